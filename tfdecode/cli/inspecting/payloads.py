"""Payloads: their spec, the length after each step of the chain, and the decoded array."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ... import reading
from ...codecs.chain import Chain
from ...codecs.chain_text import brief, to_text
from ...codecs.one_of import OneOf
from ...errors import DecodeError, FileError, SpecError
from ...formats.png import SIGNATURE
from ...schema import MAX_BYTES
from ...spec import ArraySpec
from ...spec_json import parse_json
from ..batch import Report
from ..failure import one_line
from ..show import fields, smaller, table
from ..source import spec_path
from ..unpack import load_spec, read_payload
from . import specs
from .values import range_and_remarks, values

#: Signature and IHDR, which come before the chunk that holds a spec.
PNG_HEAD = 33
KEYWORD = b"tfdecode\0"


def find_spec(path: Path) -> tuple[ArraySpec, str]:
    """The spec next to a payload or inside it, and where it was found."""
    if not spec_path(path).exists() and has_embedded(path):
        return embedded_spec(path), "its tEXt chunk"
    return load_spec(path), str(spec_path(path))


def has_embedded(path: Path) -> bool:
    """Whether a file begins as a PNG does that has its spec in it."""
    try:
        with reading.opened(path) as (file, _):
            head = file.read(PNG_HEAD + 8 + len(KEYWORD))
            return head.startswith(SIGNATURE) and head.endswith(b"tEXt" + KEYWORD)
    except FileError:  # reported when the whole file is read
        return False


def embedded_spec(path: Path) -> ArraySpec:
    """The spec in the tEXt chunk after IHDR, not trusted; FileError if none, SpecError if bad."""
    with reading.opened(path) as (file, _):
        head = file.read(PNG_HEAD + 8)
        length, kind = int.from_bytes(head[-8:-4], "big"), head[-4:]
        text = file.read(len(KEYWORD)) if kind == b"tEXt" else b""
        if len(head) < PNG_HEAD + 8 or text != KEYWORD:
            raise FileError(
                f"{path}: is a PNG image without a spec; if it is a payload, pass --spec"
            )
        if length > MAX_BYTES:
            raise SpecError(f"its tEXt chunk has {length} bytes, at most {MAX_BYTES} are supported")
        text += file.read(length - len(KEYWORD)) if length > len(KEYWORD) else b""
        crc = file.read(4)
    if len(text) != length or crc != zlib.crc32(kind + text).to_bytes(4, "big"):
        raise SpecError("its tEXt chunk is damaged")
    try:
        return ArraySpec.from_dict(parse_json(text[len(KEYWORD) :], "it"))
    except SpecError as error:
        raise SpecError(f"the spec in its tEXt chunk is invalid: {error}") from None


def report(
    path: Path, spec: ArraySpec, spec_from: str, max_bytes: int
) -> tuple[Report, np.ndarray | None]:
    """The report on a payload, and its array if it decodes and no row can exceed ``max_bytes``."""
    found: dict[str, Any] = {"file": str(path), "kind": "payload", "spec_from": spec_from}
    found |= specs.report(spec)
    found |= dict.fromkeys(("file_bytes", "decodes", "values", "array_length", "fails_at"))
    chain = spec.chains[0]
    # In the order of encoding; filled from the end, as the payload is decoded.
    lengths: list[int | None] = [None] * (len(chain.codecs) + 1)
    array: np.ndarray | None = None
    try:
        payload = read_payload(path, spec)
        found["file_bytes"] = len(payload)
        if isinstance(spec.chain, OneOf):
            chain, payload = spec.chain.chosen(payload)
            lengths = [None] * (len(chain.codecs) + 1)
            found["packed_by"], found["steps"] = chain.text, specs.steps_of(chain)
        lengths[-1] = len(payload)
        if spec.row_nbytes <= max_bytes:
            found["decodes"] = False
            for index, (_, value) in enumerate(chain.undo(payload), 2):
                lengths[-index] = value.nbytes if isinstance(value, np.ndarray) else len(value)
                if isinstance(value, np.ndarray):
                    array = value
            assert array is not None
            found["decodes"], found["values"] = True, values(array)
            found["array_shape"] = list(array.shape)
    except DecodeError as error:
        array = None
        found["decodes"], found["error"] = False, one_line(f"{path}: {error}")
    found["array_length"] = lengths[0]
    # There are no steps if no chain of one_of matches.
    for step, length in zip(found["steps"], lengths[1:], strict=False):
        step["length"] = length
    if found["decodes"] is False:
        found["fails_at"] = failing(chain, lengths)
    return found, array


def failing(chain: Chain, lengths: Sequence[int | None]) -> str | None:
    """The step that failed to decode; None if already the payload's length is wrong."""
    nbytes, form = lengths[-1], chain.payload
    if nbytes is None or not form.min_nbytes <= nbytes <= form.max_nbytes:
        return None
    decoded = sum(length is not None for length in lengths) - 1
    return brief(to_text(chain.codecs[-1 - decoded]))


def print_report(found: Report) -> None:
    """Print the spec, the steps of the chain and the array."""
    size = found["file_bytes"]
    what = "a payload" if size is None else f"a payload of {size:,} bytes"
    fields([(found["file"], f"{what}: {specs.array(found)}")])
    before = found["array_length"]
    packed = f"{smaller(before, size)} than the array" if before and size else ""
    keep = ("  chain", "  label", "  sealed", "  fingerprint")
    fields(
        [
            ("  spec", f"from {found['spec_from']}"),
            ("  packed by", brief(found.get("packed_by", ""))),
            *((name, text) for name, text in specs.summary(found) if name in keep),
            ("  decodes", verdict(found)),
            ("  values", values_line(found)),
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


def values_line(found: Report) -> str:
    """The values of the array, if it was decoded."""
    if not found["values"]:
        return ""
    return ", ".join(filter(None, range_and_remarks(found["values"], found["array_shape"])))


def verdict(found: Report) -> str:
    """Whether the payload decodes."""
    if found["decodes"] is None:
        return "not tried: a row of this spec is larger than --max-bytes"
    if not found["decodes"]:
        return f"no: {found['fails_at']} failed to decode" if found["fails_at"] else "no"
    return "yes"
