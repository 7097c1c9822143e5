"""Unpack payloads into .npy files, every bit as it was packed.

The spec is read from PAYLOAD.json beside each payload. numpy's .npy has no bfloat16: such arrays
are saved as float32, which holds the same values.
"""

from __future__ import annotations

import argparse
import stat
from functools import partial
from pathlib import Path

from ..codecs.chain_text import brief
from ..errors import DecodeError, FileError
from ..spec import ArraySpec
from .batch import Facts, each
from .npy import savable, save_npy
from .show import dimensions
from .source import read_spec, spec_path
from .write import named_path, outputs, refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode unpack pose.pkl.tfd                          writes pose.pkl.npy
  tfdecode unpack packed/*.tfd -o arrays/
  tfdecode unpack body.bin --spec model/1#pose_map -o pose.npy
"""

COLUMNS = {
    "file": lambda facts: str(facts["file"]),
    "dtype": lambda facts: spoken_dtype(facts),
    "shape": lambda facts: dimensions(facts["shape"]),
    "chain": lambda facts: brief(facts["codecs"]),
    "payload bytes": lambda facts: f"{facts['payload_bytes']:,}",
    "array bytes": lambda facts: f"{facts['array_bytes']:,}",
    "array": lambda facts: str(facts["array"]),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``unpack``."""
    add = parser.add_argument
    add("files", nargs="+", type=named_path, metavar="PAYLOAD", help="what pack wrote")
    add("--spec", metavar="SPEC", help="SPEC.json or MODEL_DIR#INPUT (default: PAYLOAD.json)")
    add(
        "-o",
        metavar="OUT",
        help="the .npy; a directory for several payloads or where it ends in /",
    )
    add("--json", action="store_true", help="print a JSON array with an object for each payload")


def run(arguments: argparse.Namespace) -> int:
    """Unpack each payload."""
    inputs: list[Path] = arguments.files
    spec = None
    protected = [*inputs, *map(spec_path, inputs)]
    if arguments.spec is not None:
        spec, origin = read_spec(arguments.spec)
        protected.append(origin)
    arrays = outputs(inputs, arguments.o, lambda name: f"{name.removesuffix('.tfd')}.npy")
    refuse_overwriting(protected, arrays)
    return each(
        "unpack",
        inputs,
        lambda index: unpack(inputs[index], arrays[index], spec),
        as_json=arguments.json,
        sentence=sentence,
        columns=COLUMNS,
        right=("payload bytes", "array bytes"),
    )


def unpack(path: Path, out: Path, spec: ArraySpec | None) -> Facts:
    """Unpack one payload, and what to tell of it."""
    if spec is None:
        spec = spec_beside(path)
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


def spec_beside(path: Path) -> ArraySpec:
    """The spec that ``pack`` wrote beside a payload."""
    beside = spec_path(path)
    if not path.is_file():
        what = "is not a file" if path.exists() else "there is no such file"
        raise FileError(f"{path}: {what}")
    if not beside.exists():
        raise FileError(f"{path}: no spec {beside.name} lies beside it; name one with --spec")
    return read_spec(str(beside))[0]


def read_payload(path: Path, spec: ArraySpec) -> bytes:
    """The bytes of a payload; one that is longer than its spec allows is not read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would block, a device never end
            raise FileError(f"{path}: is not a regular file")
        form = spec.chain.payload
        if status.st_size > form.max_nbytes:
            raise DecodeError(f"payload has {status.st_size} bytes, {form.needs()}")
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from None


def sentence(facts: Facts) -> str:
    """One unpacked payload in a line."""
    return (
        f"{facts['file']}: {spoken_dtype(facts)} {dimensions(facts['shape'])} by "
        f"{brief(facts['codecs'])}, {facts['payload_bytes']:,} -> {facts['array_bytes']:,} bytes "
        f"-> {facts['array']}"
    )


def spoken_dtype(facts: Facts) -> str:
    """The dtype, and that of the file where it is another."""
    if facts["saved_dtype"] == facts["dtype"]:
        return str(facts["dtype"])
    return f"{facts['dtype']} (saved as {facts['saved_dtype']}, the same values)"
