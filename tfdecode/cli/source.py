"""Where a spec comes from: ``SPEC.json``, ``SCHEMA.json#input`` or ``MODEL_DIR#input``."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import FileError, SpecError
from ..schema import ASSET, MAX_BYTES, Schema, version_directory
from ..spec import ArraySpec
from ..spec_json import parse_json
from .failure import UsageError
from .write import named_path

SUFFIXES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def split_fragment(text: str) -> tuple[Path, str | None]:
    """The path and what stands behind its ``#``, if anything does.

    Files may have a ``#`` in their names: the longest path that exists is taken.

    >>> split_fragment("no-such.mat#depth")
    (PosixPath('no-such.mat'), 'depth')
    """
    pieces = text.split("#")
    for count in range(len(pieces), 0, -1):
        path = "#".join(pieces[:count])
        if path and os.path.exists(path):
            return Path(path), "#".join(pieces[count:]) if count < len(pieces) else None
    path, mark, fragment = text.partition("#")
    return Path(path), fragment if mark else None


def place(text: str) -> tuple[Path, str | None]:
    """The argument ``PATH[#KEY]``."""
    if not text or (text.startswith("#") and not os.path.exists(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a file")
    return split_fragment(text)


def array_file(text: str) -> tuple[Path, str | None]:
    """The argument ``FILE[#KEY]``."""
    path, key = place(text)
    return named_path(str(path)), key


def keyed(
    places: Sequence[tuple[Path, str | None]], key: str | None, metavar: str
) -> list[tuple[Path, str | None]]:
    """The places, all of ``--key`` if it is given; UsageError where one has a key of its own."""
    if key is not None and any(own is not None for _, own in places):
        raise UsageError(f"argument --key: not allowed with a {metavar} that names a key behind #")
    return [(path, key if own is None else own) for path, own in places]


#: What ``--max-bytes`` of every command says.
LIMIT = "largest array to read, in bytes or K, M, G: times 1024 (default: 2G)"


def byte_count(text: str) -> int:
    """The argument of ``--max-bytes``: a whole number of bytes, of K, M or G.

    >>> byte_count("4K")
    4096
    """
    found = re.fullmatch(r"([0-9]{1,18})([KMG]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, or one with K, M or G")
    return int(found[1]) * SUFFIXES[found[2]]


def read_spec(text: str) -> tuple[ArraySpec, Path]:
    """The spec that ``text`` names, and the file that it stands in.

    Raises FileError where it cannot be read, SpecError where it is none or has no such input.
    """
    path, name = split_fragment(text)
    if not text or text.startswith("#"):
        raise FileError(f"{text!r} names no spec; it is SPEC.json or MODEL_DIR#INPUT")
    try:
        if path.is_dir():
            return chosen(Schema.load(path), name), version_directory(path) / ASSET
        return chosen(read_specs(path), name), path
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def read_specs(path: Path) -> ArraySpec | Schema:
    """The spec or the schema of a JSON file; raises as ``read_spec``."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"{path}: no spec could be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise SpecError(f"has more than {MAX_BYTES} bytes, which no spec needs")
    value = parse_json(data, "it")
    schema = isinstance(value, dict) and "inputs" in value
    return Schema.from_json(data) if schema else ArraySpec.from_dict(value)


def chosen(found: ArraySpec | Schema, name: str | None) -> ArraySpec:
    """The spec itself, or that of the input called ``name``; SpecError where there is none."""
    if isinstance(found, Schema):
        return one_of(found, name)
    if name is not None:
        raise SpecError(f"is the spec of one array, so it has no input #{name}")
    return found


def one_of(schema: Schema, name: str | None) -> ArraySpec:
    """The input called ``name``, or the only one."""
    if name is None and len(schema) == 1:
        return next(iter(schema.values()))
    if name is None or name not in schema:
        wanted = "has several inputs" if name is None else f"has no input {name}"
        raise SpecError(f"{wanted}, choose one by #NAME of {', '.join(schema) or 'none'}")
    return schema[name]


def spec_path(payload: Path) -> Path:
    """Where the spec of a payload lies: beside it."""
    return payload.with_name(f"{payload.name}.json")


def source(facts: dict[str, object]) -> str:
    """The file, and the key where one was chosen."""
    return f"{facts['file']}#{facts['key']}" if facts["key"] is not None else str(facts["file"])
