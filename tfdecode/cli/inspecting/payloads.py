"""Payloads: which spec carries them, what each step of its chain makes of them, and what comes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...codecs.chain import Chain
from ...codecs.chain_text import brief, to_text
from ...codecs.one_of import OneOf
from ...errors import DecodeError, FileError, SpecError
from ...formats.png import SIGNATURE
from ...schema import MAX_BYTES
from ...spec import ArraySpec
from ...spec_json import parse_json
from ..batch import Facts
from ..failure import one_line
from ..show import fields, ratio, table
from ..source import spec_path
from ..unpack import read_payload, spec_beside
from . import specs
from .values import spoken, values

#: Signature and IHDR: what stands before the chunk that carries a spec.
PNG_HEAD = 33
KEYWORD = b"tfdecode\0"


def find_spec(path: Path) -> tuple[ArraySpec, str]:
    """The spec that lies beside a payload or stands in it, and where it was found."""
    if not spec_path(path).exists() and is_png(path):
        return described(path), "its tEXt chunk"
    return spec_beside(path), str(spec_path(path))


def is_png(path: Path) -> bool:
    """Whether a file begins as a PNG does."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:  # told where it is read as a whole
        return False


def described(path: Path) -> ArraySpec:
    """The spec that the png codec writes into a tEXt chunk; it comes from a stranger.

    The chunk is looked for in the one place where the codec puts it. Raises FileError where there
    is none, SpecError where it is damaged or no spec.
    """
    with path.open("rb") as file:
        head = file.read(PNG_HEAD + 8)
        length, kind = int.from_bytes(head[-8:-4], "big"), head[-4:]
        text = file.read(len(KEYWORD)) if kind == b"tEXt" else b""
        if len(head) < PNG_HEAD + 8 or text != KEYWORD:
            raise FileError(
                f"{path}: is a PNG image that carries no spec; name one with --spec if it is a "
                "payload"
            )
        if length > MAX_BYTES:
            raise SpecError(f"its tEXt chunk has {length} bytes, at most {MAX_BYTES} are read")
        text += file.read(length - len(KEYWORD)) if length > len(KEYWORD) else b""
        crc = file.read(4)
    if len(text) != length or crc != zlib.crc32(kind + text).to_bytes(4, "big"):
        raise SpecError("its tEXt chunk is damaged")
    try:
        return ArraySpec.from_dict(parse_json(text[len(KEYWORD) :], "it"))
    except SpecError as error:
        raise SpecError(f"the spec in its tEXt chunk cannot be used: {error}") from None


def facts(
    path: Path, spec: ArraySpec, source: str, max_bytes: int
) -> tuple[Facts, np.ndarray | None]:
    """What a payload is under ``spec``, and its array if it decodes.

    One whose row can take more than ``max_bytes`` is not decoded: ``decodes`` is None then.
    """
    found: Facts = {"file": str(path), "kind": "payload", "spec_from": source, **specs.facts(spec)}
    found |= {"file_bytes": None, "decodes": None, "values": None}
    chain = spec.chains[0]
    # The steps in the order of encoding, their lengths found on the way back.
    lengths: list[int | None] = [None] * (len(chain.codecs) + 1)
    array: np.ndarray | None = None
    try:
        payload = read_payload(path, spec)
        found["file_bytes"] = len(payload)
        if isinstance(spec.chain, OneOf):
            chain, payload = spec.chain.chosen(payload)
            lengths = [None] * (len(chain.codecs) + 1)
            found |= {"packed_by": chain.text, "steps": specs.steps_of(chain)}
        lengths[-1] = len(payload)
        if spec.row_nbytes <= max_bytes:
            found["decodes"] = False
            for index, (_, value) in enumerate(chain.undo(payload), 2):
                lengths[-index] = value.nbytes if isinstance(value, np.ndarray) else len(value)
                if isinstance(value, np.ndarray):
                    array = value
            assert array is not None
            found |= {"decodes": True, "array_shape": list(array.shape), "values": values(array)}
    except DecodeError as error:
        array = None
        found |= {"decodes": False, "error": one_line(f"{path}: {error}")}
    found["array_length"] = lengths[0]
    for step, length in zip(found["steps"], lengths[1:], strict=False):  # none if no chain is known
        step["length"] = length
    found["fails_at"] = None if found["decodes"] is not False else failing(chain, lengths)
    return found, array


def failing(chain: Chain, lengths: Sequence[int | None]) -> str | None:
    """The step that could not be undone; None where not even the payload has a fitting length."""
    whole, form = lengths[-1], chain.payload
    if whole is None or not form.min_nbytes <= whole <= form.max_nbytes:
        return None
    undone = sum(length is not None for length in lengths) - 1
    return brief(to_text(chain.codecs[-1 - undone]))


def show(found: Facts) -> None:
    """The spec, the way through the chain and the array."""
    size = found["file_bytes"]
    what = "a payload" if size is None else f"a payload of {size:,} bytes"
    fields([(found["file"], f"{what}: {specs.array(found)}")])
    said = dict(specs.summary(found))
    before = found["array_length"]
    packed = f"{ratio(before, size)} smaller than the array" if before and size else ""
    keep = ("  chain", "  label", "  sealed", "  fingerprint")
    fields(
        [
            ("  spec", f"from {found['spec_from']}"),
            ("  packed by", brief(found.get("packed_by", ""))),
            *((name, text) for name, text in said.items() if name in keep),
            ("  decodes", verdict(found)),
            ("  values", found_values(found)),
            ("  packed", packed),
        ]
    )
    array = [
        "  (the array)",
        specs.array(found),
        "?" if before is None else f"{before:,}",
        specs.span([0 if found["max_shape"] else found["array_bytes"], found["array_bytes"]]),
    ]
    rows = [
        [
            f"  {brief(step['codec'])}",
            specs.result(step),
            "?" if step["length"] is None else f"{step['length']:,}",
            specs.span(step["bytes"]),
        ]
        for step in found["steps"]
    ]
    table(("  step", "makes", "bytes", "allowed"), [array, *rows], right=("bytes", "allowed"))


def found_values(found: Facts) -> str:
    """What the array holds, where there is one."""
    if not found["values"]:
        return ""
    return ", ".join(filter(None, spoken(found["values"], found["array_shape"])))


def verdict(found: Facts) -> str:
    """Whether it decodes."""
    if found["decodes"] is None:
        return "not tried: a row of this spec is larger than --max-bytes"
    if not found["decodes"]:
        return f"no: {found['fails_at']} cannot be undone" if found["fails_at"] else "no"
    return "yes"
