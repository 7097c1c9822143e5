"""Which TensorFlow has which ops, attributes, dtypes and CPU kernels: 2.3 to 2.21."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import SpecError
from ...extras import LazyModule

attr_value_pb2: Any = LazyModule("tensorflow.core.framework.attr_value_pb2", "tensorflow")
types_pb2: Any = LazyModule("tensorflow.core.framework.types_pb2", "tensorflow")
text_format: Any = LazyModule("google.protobuf.text_format", "tensorflow")

#: From here on a server ignores attributes that it does not know.
LENIENT = "2.5"
#: Attributes that only name things, for people who debug or profile.
NAMES = ("debug_name", "metadata")
#: Values that no registry lists, and the first version that takes them.
VALUES = {("DecodeCompressed", "compression_type", b"ZSTD"): "2.20"}


@cache
def history() -> dict[str, Any]:
    """The table that ``make.py`` wrote."""
    table = Path(__file__).with_name("history.json.xz").read_bytes()
    found: dict[str, Any] = json.loads(lzma.decompress(table))
    return found


def newest() -> str:
    """The newest TensorFlow in the table."""
    return str(history()["versions"][-1])


def known_version(text: str) -> str:
    """``2.12`` of ``2.12.1``; SpecError if the table does not have it."""
    versions: list[str] = history()["versions"]
    numbers = str(text).split(".")[:2]
    if ".".join(numbers) in versions:
        return ".".join(numbers)
    last = list(map(int, newest().split(".")))
    later = all(map(str.isdecimal, numbers)) and list(map(int, numbers)) > last
    advice = f": pass {newest()!r}, whose models newer servers run too, or upgrade tfdecode"
    raise SpecError(
        f"TensorFlow {text!r} is not known; known are {versions[0]} to {newest()}{advice * later}"
    )


def knows(op: str) -> bool:
    """Whether any TensorFlow of the table has the op."""
    return op in history()["ops"]


def missing(node: Any, version: str) -> Iterator[str]:
    """What a stock TensorFlow of that version lacks to run a NodeDef, as half sentences."""
    versions: list[str] = history()["versions"]
    at = versions.index(version)
    entry = history()["ops"].get(node.op)
    if entry is None:  # of a TensorFlow that is newer than the table
        if version != newest():
            yield f"comes after TensorFlow {newest()}"
        return
    if not within(entry["in"], at):
        first = versions[start(entry["in"])]
        yield f"comes with TensorFlow {first}" if start(entry["in"]) > at else "was removed before"
        return
    types: dict[str, str] = {}
    for name, value in node.attr.items():
        if name.startswith("_"):
            continue
        if lacks_attribute(node, name, version):
            lenient = at >= versions.index(LENIENT)
            if not (lenient and is_idle(node, name)):
                first = versions[start(entry["attrs"][name])]
                ignored = ": an older one ignores it" if lenient else ""
                yield f"has the attribute {name}, which comes with TensorFlow {first}{ignored}"
            continue
        kind = value.WhichOneof("value")
        if kind == "type":
            types[name] = dtype = dtype_name(value.type)
            allowed = entry.get("types", {}).get(name, {"*": 0})
            spans = [allowed[one] for one in (dtype, "*") if one in allowed]
            known = start(history()["dtypes"].get(dtype, 0))
            if known > at or not any(within(one, at) for one in spans):
                came = max(known, min(map(start, spans), default=at))
                since = f"only from TensorFlow {versions[came]} on" if came > at else "never"
                yield f"takes {dtype} for {name} {since}"
        elif kind == "s" and (node.op, name, value.s) in VALUES:
            first = VALUES[node.op, name, value.s]
            if at < versions.index(first):
                yield f"takes {name}={value.s.decode()} from TensorFlow {first} on"
    if not runs_on_cpu(entry["kernels"], types, at):
        given = ", ".join(f"{name}={dtype}" for name, dtype in sorted(types.items()))
        yield "has no CPU kernel" + (f" for {given}" if entry["kernels"] else "")


def newer(version: str) -> list[str]:
    """The versions after one, oldest first."""
    versions: list[str] = history()["versions"]
    return versions[versions.index(version) + 1 :]


def lacks(op: str, version: str) -> bool:
    """Whether an op comes after a version."""
    at = int(history()["versions"].index(version))
    return knows(op) and start(history()["ops"][op]["in"]) > at


def lacks_attribute(node: Any, name: str, version: str) -> bool:
    """Whether an attribute of a node comes after a version."""
    came = start(history()["ops"].get(node.op, {}).get("attrs", {}).get(name, 0))
    return came > int(history()["versions"].index(version))


def is_idle(node: Any, name: str) -> bool:
    """Whether a node without this attribute, which came after its op, does the same."""
    if name in NAMES and not node.op.startswith("RegisterDataset"):
        return True
    default = history()["ops"][node.op].get("defaults", {}).get(name)
    return bool(default and node.attr[name] == attribute(default))


@cache
def attribute(text: str) -> Any:
    """An AttrValue of its text."""
    return text_format.Parse(text, attr_value_pb2.AttrValue())


def runs_on_cpu(kernels: Mapping[str, Any], types: Mapping[str, str], at: int) -> bool:
    """Whether a kernel of that version takes the dtypes; lists of dtypes are not compared."""
    for text, when in kernels.items():
        if within(when, at):
            limits = (limit.partition("=") for limit in text.split(",") if limit)
            if all(
                not allowed or name not in types or types[name] in allowed.split("/")
                for name, _, allowed in limits
            ):
                return True
    return False


def start(span: int | list[int]) -> int:
    """The index of the first version of a span."""
    return span if isinstance(span, int) else span[0]


def within(span: int | list[int], at: int) -> bool:
    """Whether a version is in a span."""
    return start(span) <= at and (isinstance(span, int) or at <= span[1])


def dtype_name(number: int) -> str:
    """The name of a DataType, as in the table; a protobuf may have any number."""
    try:
        name: str = types_pb2.DataType.Name(number)
    except ValueError:
        return f"dtype {number}"
    return name[3:].lower()
