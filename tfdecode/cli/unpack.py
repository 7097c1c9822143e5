"""Unpack payloads into .npy files, bit for bit as they were packed.

The spec is read from PAYLOAD.json next to each payload, unless --spec names one. The .npy format
has no bfloat16: bfloat16 arrays are saved as float32, which holds the same values.
"""

from __future__ import annotations

import argparse
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np

from .. import reading
from ..codecs.chain import looks_like
from ..errors import DecodeError, FileError
from ..formats.sniff import sniff
from ..spec import ArraySpec
from .batch import Report, add_output, process_files
from .failure import UsageError
from .inputs import add_inputs, inputs_of, needs_one_output, shown_path, to_stdout
from .npy import savable, save_npy
from .source import DASH, given_spec, read_spec, spec_path
from .write import outputs, refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode unpack pose.pkl.tfd                          writes pose.pkl.npy
  tfdecode unpack packed/*.tfd -o arrays/
  tfdecode unpack packed/ -o arrays/                    all .tfd files in packed and below
  tfdecode unpack body.bin --spec model/1#pose_map -o pose.npy
  curl ... | tfdecode unpack - --spec pose.json -o - > pose.npy
"""

SENTENCE = "{file}: {dtype} {shape} by {chain}, {payload bytes} -> {array bytes} bytes -> {array}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``unpack``."""
    add = parser.add_argument
    add_inputs(parser, "PAYLOAD", "payload that pack wrote")
    add("--spec", metavar="SPEC", help="SPEC.json or MODEL_DIR#INPUT (default: PAYLOAD.json)")
    out = "output file; or a directory, if there are several payloads or it ends in /"
    add("-o", metavar="OUT", help=f"{out}; - for standard output")
    force = "overwrite files that exist and hold something else"
    add("--force", action="store_true", help=force)
    add_output(parser, "payload")


def run(arguments: argparse.Namespace) -> int:
    """Unpack each payload."""
    found = inputs_of(arguments, "PAYLOAD", lambda path: path.suffix == ".tfd", "payloads (.tfd)")
    inputs = [one.path for one in found]
    spec, origin = given_spec(arguments.spec)
    if spec is None and DASH in arguments.files:
        raise UsageError("standard input (-) needs --spec: there is no spec next to it")
    if arguments.o == DASH:
        needs_one_output(arguments, found, "")
        array = BytesIO()
        used = spec or load_spec(inputs[0])
        save_npy(array, savable(used.decode(read_payload(inputs[0], used))))
        to_stdout(array.getvalue())
        return 0
    places = [(one.path, one.place) for one in found]
    arrays = outputs(places, arguments.o, lambda name: f"{name.removesuffix('.tfd')}.npy")
    refuse_overwriting([*inputs, *map(spec_path, inputs), *origin], arrays)

    def work(index: int) -> Report:
        return unpack(inputs[index], arrays[index], spec, arguments.force)

    return process_files("unpack", inputs, work, SENTENCE, arguments)


def unpack(path: Path, out: Path, spec: ArraySpec | None, force: bool) -> Report:
    """Unpack one payload; returns its report. FileError if ``out`` holds something else."""
    if spec is None:
        spec = load_spec(path)
    payload = read_payload(path, spec)
    array = spec.decode(payload)
    saved = savable(array)
    # It may be what the payload was packed from, changed since.
    if out.exists() and not force and not holds(out, saved):
        raise FileError(f"{out}: exists and holds something else; pass --force to overwrite it")
    write_files({out: partial(save_npy, array=saved)})
    return {
        "file": shown_path(path),
        "dtype": spec.dtype,
        "saved_dtype": saved.dtype.name,
        "shape": list(array.shape),
        "codecs": spec.chain.text,
        "payload_bytes": len(payload),
        "array_bytes": array.nbytes,
        "array": str(out),
    }


def holds(path: Path, array: np.ndarray) -> bool:
    """Whether a file is the .npy file of ``array``."""
    try:
        with reading.opened(path) as (file, _):
            found = np.lib.format.read_array(file, allow_pickle=False)
    except (FileError, OSError, ValueError, EOFError):
        return False
    same = (found.dtype, found.shape) == (array.dtype, array.shape)
    return same and found.tobytes() == array.tobytes()


def load_spec(path: Path) -> ArraySpec:
    """The spec that ``pack`` wrote next to a payload."""
    file = spec_path(path)
    if not path.is_file():
        what = "is not a file" if path.exists() else "there is no such file"
        raise FileError(f"{path}: {what}")
    if not file.exists():
        with reading.opened(path) as (opened, _):
            kind = sniff(reading.part(opened, 4096))
        what = f"holds {kind.name}, so it may be no payload; " if kind and kind.format else ""
        raise FileError(f"{path}: {what}there is no {file.name} next to it; pass --spec")
    return read_spec(str(file))[0]


def read_payload(path: Path, spec: ArraySpec) -> bytes:
    """The bytes of a payload, which is not read if it is longer than its spec allows."""
    form = spec.chain.payload
    with reading.opened(path) as (file, size), reading.failures_of(path):
        if size > form.max_nbytes:
            looks = looks_like(reading.part(file, 4096))
            raise DecodeError(f"payload has {size} bytes, {form.needs()}{looks}")
        return reading.part(file, size)
