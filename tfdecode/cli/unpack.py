"""Unpack payloads into .npy files, bit for bit as they were packed.

The spec is read from PAYLOAD.json next to each payload, unless --spec names one. The .npy format
has no bfloat16: bfloat16 arrays are saved as float32, which holds the same values.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from .. import reading
from ..errors import DecodeError, FileError
from ..spec import ArraySpec
from .batch import Report, process_files
from .npy import savable, save_npy
from .source import given_spec, read_spec, spec_path
from .write import named_path, outputs, refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode unpack pose.pkl.tfd                          writes pose.pkl.npy
  tfdecode unpack packed/*.tfd -o arrays/
  tfdecode unpack body.bin --spec model/1#pose_map -o pose.npy
"""

SENTENCE = "{file}: {dtype} {shape} by {chain}, {payload bytes} -> {array bytes} bytes -> {array}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``unpack``."""
    add = parser.add_argument
    add("files", nargs="+", type=named_path, metavar="PAYLOAD", help="payload that pack wrote")
    add("--spec", metavar="SPEC", help="SPEC.json or MODEL_DIR#INPUT (default: PAYLOAD.json)")
    out = "output file; or a directory, if there are several payloads or it ends in /"
    add("-o", metavar="OUT", help=out)
    add("--json", action="store_true", help="print a JSON array, one object per payload")


def run(arguments: argparse.Namespace) -> int:
    """Unpack each payload."""
    inputs: list[Path] = arguments.files
    spec, origin = given_spec(arguments.spec)
    arrays = outputs(inputs, arguments.o, lambda name: f"{name.removesuffix('.tfd')}.npy")
    refuse_overwriting([*inputs, *map(spec_path, inputs), *origin], arrays)

    def work(index: int) -> Report:
        return unpack(inputs[index], arrays[index], spec)

    return process_files("unpack", inputs, work, SENTENCE, arguments.json)


def unpack(path: Path, out: Path, spec: ArraySpec | None) -> Report:
    """Unpack one payload; returns its report."""
    if spec is None:
        spec = load_spec(path)
    payload = read_payload(path, spec)
    array = spec.decode(payload)
    saved = savable(array)
    write_files({out: partial(save_npy, array=saved)})
    return {
        "file": str(path),
        "dtype": spec.dtype,
        "saved_dtype": saved.dtype.name,
        "shape": list(array.shape),
        "codecs": spec.chain.text,
        "payload_bytes": len(payload),
        "array_bytes": array.nbytes,
        "array": str(out),
    }


def load_spec(path: Path) -> ArraySpec:
    """The spec that ``pack`` wrote next to a payload."""
    file = spec_path(path)
    if not path.is_file():
        what = "is not a file" if path.exists() else "there is no such file"
        raise FileError(f"{path}: {what}")
    if not file.exists():
        raise FileError(f"{path}: there is no {file.name} next to it; pass --spec")
    return read_spec(str(file))[0]


def read_payload(path: Path, spec: ArraySpec) -> bytes:
    """The bytes of a payload, which is not read if it is longer than its spec allows."""
    form = spec.chain.payload
    with reading.opened(path) as (file, size), reading.failures_of(path):
        if size > form.max_nbytes:
            raise DecodeError(f"payload has {size} bytes, {form.needs()}")
        return reading.part(file, size)
