"""Pack array files (.npy .mat .pkl .csv .h5 ...) into payloads that a model's graph decodes.

Writes FILE.tfd, the payload, and FILE.tfd.json, its spec: what unpack and the model need to know.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from ..choose import total_chain
from ..codecs.base import AnyCodec
from ..codecs.chain import parse
from ..dtypes import dtype_name
from ..errors import EncodeError, SpecError
from ..files import load
from ..formats.contents import MAX_BYTES
from ..spec import ArraySpec
from .each import Facts, each
from .failure import UsageError
from .show import dimensions, ratio
from .source import read_spec
from .write import named_path, outputs, refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode pack pose.pkl                                pose.pkl.tfd and pose.pkl.tfd.json
  tfdecode pack labels.mat --key S --dtype uint8        one variable, where its values allow uint8
  tfdecode pack depth.npy --codec 'astype:uint16|zlib:9'
  tfdecode pack *.pkl --spec model/1#pose_map -o packed/
  tfdecode pack pose.pkl --json | jq '.[0].payload_bytes'
"""

COLUMNS = {
    "file": lambda facts: source(facts),
    "dtype": lambda facts: str(facts["dtype"]),
    "shape": lambda facts: dimensions(facts["shape"]),
    "chain": lambda facts: str(facts["codecs"]),
    "array bytes": lambda facts: f"{facts['array_bytes']:,}",
    "payload bytes": lambda facts: f"{facts['payload_bytes']:,}",
    "ratio": lambda facts: ratio(facts["array_bytes"], facts["payload_bytes"]),
    "payload": lambda facts: str(facts["payload"]),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``pack``."""
    add = parser.add_argument
    add("files", nargs="+", type=named_path, metavar="FILE", help="array file")
    add("--key", help="which array of a file that holds several")
    add("--dtype", type=dtype, help="convert first; an error where a value would change")
    add(
        "--codec",
        type=chain,
        metavar="CHAIN",
        help="chain text (default: the smallest of raw, zlib, png)",
    )
    add(
        "--seal",
        action=argparse.BooleanOptionalAction,
        help="eight bytes that refuse damage and mix-ups (default: where something compresses)",
    )
    add("--label", help="goes into the spec: tells inputs apart that are otherwise alike")
    add(
        "--spec",
        metavar="SPEC",
        help="SPEC.json or MODEL_DIR#INPUT: pack as this spec says, in place of a chain",
    )
    add(
        "-o",
        metavar="OUT",
        help="the payload; a directory for several files or where it ends in / (default: FILE.tfd)",
    )
    add("--max-bytes", type=natural, default=MAX_BYTES, metavar="N", help="largest array to read")
    add("--json", action="store_true", help="print a JSON array with an object for each file")


def run(arguments: argparse.Namespace) -> int:
    """Pack each file."""
    spec = None
    inputs: list[Path] = arguments.files
    protected = list(inputs)
    if arguments.spec is not None:
        for option in ("codec", "seal", "label"):
            if getattr(arguments, option) is not None:
                raise UsageError(f"argument --{option}: not allowed with argument --spec")
        spec, origin = read_spec(arguments.spec)
        protected.append(origin)
    named = arguments.codec or ()
    if arguments.seal is False and any(codec.name == "seal" for codec in named):
        raise UsageError("argument --no-seal: not allowed with a chain that names seal")
    payloads = outputs(inputs, arguments.o, "{}.tfd".format)
    refuse_overwriting(protected, [p for path in payloads for p in (path, spec_path(path))])
    return each(
        "pack",
        inputs,
        lambda index: pack(inputs[index], payloads[index], spec, arguments),
        as_json=arguments.json,
        sentence=sentence,
        columns=COLUMNS,
        right=("array bytes", "payload bytes", "ratio"),
    )


def pack(path: Path, out: Path, spec: ArraySpec | None, arguments: argparse.Namespace) -> Facts:
    """Pack one file, and what to tell of it."""
    array = load(path, arguments.key, max_bytes=arguments.max_bytes)
    if arguments.dtype is not None:
        from ..client.exact import exact_astype

        array = exact_astype(array, arguments.dtype)
    elif spec is not None and array.dtype.name != spec.dtype:
        raise EncodeError(
            f"array is {array.dtype.name}, spec needs {spec.dtype}; "
            f"convert it with --dtype {spec.dtype}"
        )
    if spec is None:
        codecs = arguments.codec or parse(total_chain(array))
        label = arguments.label or ""
        name = dtype_name(array.dtype)
        spec = ArraySpec(array.shape, name, codecs, label=label, seal=arguments.seal)
    payload = spec.encode(array)
    text = spec.to_json() + "\n"
    write_files(
        {
            spec_path(out): partial(write_bytes, data=text.encode()),
            out: partial(write_bytes, data=payload),
        }
    )
    return {
        "file": str(path),
        "key": arguments.key,
        "dtype": spec.dtype,
        "shape": list(array.shape),
        "codecs": spec.chain.text,
        "array_bytes": array.nbytes,
        "payload_bytes": len(payload),
        "payload": str(out),
        "spec": str(spec_path(out)),
        "fingerprint": spec.fingerprint,
    }


def spec_path(payload: Path) -> Path:
    """Where the spec of a payload lies: beside it."""
    return payload.with_name(f"{payload.name}.json")


def write_bytes(file: Any, data: bytes) -> None:
    """Write all of ``data``."""
    file.write(data)


def sentence(facts: Facts) -> str:
    """One packed file in a line."""
    before, after = facts["array_bytes"], facts["payload_bytes"]
    return (
        f"{source(facts)}: {facts['dtype']} {dimensions(facts['shape'])} by {facts['codecs']}, "
        f"{before:,} -> {after:,} bytes ({ratio(before, after)}) -> {facts['payload']}"
    )


def source(facts: Facts) -> str:
    """The file, and the key where one was chosen."""
    return f"{facts['file']}#{facts['key']}" if facts["key"] is not None else str(facts["file"])


def dtype(text: str) -> str:
    """The argument of ``--dtype``."""
    try:
        return dtype_name(text)
    except SpecError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def natural(text: str) -> int:
    """The argument of ``--max-bytes``."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def chain(text: str) -> tuple[AnyCodec, ...]:
    """The argument of ``--codec``, as far as it can be judged without an array."""
    try:
        return parse(text)
    except SpecError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
