"""Pack array files (.npy .mat .pkl .csv .h5 ...) into payloads that a model's graph decodes.

Writes FILE.tfd, the payload, and FILE.tfd.json, its spec, which unpack and the model need.

With --tfrecord, all payloads go into one TFRecord file, one tf.train.Example per input file; the
feature "file" holds the file name. OUT.tfrecord.json is the schema, for tfdecode.Schema.load.

With --as-is, the payload is the whole file, unchanged; the spec says how a graph reads it.

Files that cannot be packed are skipped and reported, and the exit status is 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeGuard, TypeVar

import numpy as np

from ..casts import exact_astype
from ..choose import PREFER, rank
from ..choose.as_is import same, spec_of_file, untouched
from ..choose.infer import version
from ..codecs.base import AnyCodec
from ..codecs.chain_text import Alternatives, brief, parse_any
from ..codecs.native.sampled import SampledFile
from ..dtypes import dtype_name
from ..errors import DecodeError, EncodeError, FileError, SpecError
from ..files import has_suffix, load, opened
from ..formats.contents import MAX_BYTES, shown
from ..spec import ArraySpec
from . import explain
from .batch import Report, process_files
from .failure import UsageError, note
from .packing import SizesReport, preferences, read, sizes, spec_of
from .show import dimensions, ratio
from .source import MAX_BYTES_HELP, array_file, byte_count, path_key, read_spec, spec_path, with_key
from .write import named_path, outputs, refuse_overwriting, write_files

Item = TypeVar("Item")

EXAMPLES = """\
examples:
  tfdecode pack pose.pkl                                pose.pkl.tfd and pose.pkl.tfd.json
  tfdecode pack labels.mat --key S --dtype uint8        one variable, if its values fit uint8
  tfdecode pack depth.npy --codec 'astype:uint16|zlib:9'
  tfdecode pack pose.pkl --prefer smallest --explain    the chains that were tried
  tfdecode pack *.pkl --spec model/1#pose_map -o packed/
  tfdecode pack 'maps.npz#pose'                         one array of several, as with --key
  tfdecode pack pose.pkl --as-is                        the file itself is the payload
  tfdecode pack *.mat --tfrecord train.tfrecord         for training, with train.tfrecord.json
  tfdecode pack pose.pkl --json | jq '.[0].payload_bytes'
"""

#: Options of the choice of a chain, and all that ``--as-is`` excludes.
CHOICE = ("prefer", "min_tensorflow", "portable", "trusted", "explain")
NOT_AS_IS = ("codec", "dtype", "seal", "tfrecord", *CHOICE)

COLUMNS = {
    "file": lambda report: path_key(report["file"], report["key"]),
    "dtype": lambda report: str(report["dtype"]),
    "shape": lambda report: dimensions(report["shape"]),
    "chain": lambda report: brief(report["codecs"]),
    "array bytes": lambda report: f"{report['array_bytes']:,}",
    "payload bytes": lambda report: f"{report['payload_bytes']:,}",
    "ratio": lambda report: ratio(report["array_bytes"], report["payload_bytes"]),
    "payload": lambda report: str(report["payload"]),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``pack``."""
    add = parser.add_argument
    add(
        "files",
        nargs="+",
        type=array_file,
        metavar="FILE",
        help="array file; FILE#KEY for one array of several",
    )
    add("--key", help="which array of a file that holds several")
    add("--dtype", type=argument(dtype_name), help="cast first; fails if any value would change")
    add(
        "--codec",
        type=argument(parse_any),
        metavar="CHAIN",
        help="chain text, or several joined by ' or ' (default: chosen for each array)",
    )
    add("--prefer", choices=PREFER, help="goal when choosing a chain (default: balanced)")
    add(
        "--min-tensorflow",
        type=argument(release),
        metavar="VERSION",
        help="oldest TensorFlow that must run the model (default: 2.12; zstd needs 2.20)",
    )
    add(
        "--portable",
        action="store_true",
        help="use only codecs that the JavaScript client supports",
    )
    add(
        "--trusted",
        action="store_true",
        help="allow zlib on large rows, where a hostile payload can take 1032 times its length in "
        "memory (default: only chains that the spec bounds)",
    )
    add("--explain", action="store_true", help="show the chains that were tried")
    add(
        "--as-is",
        action="store_true",
        help="send the whole file unchanged, including anything in it besides the array; cannot "
        f"be combined with {', '.join(map(option_name, NOT_AS_IS))}",
    )
    add(
        "--seal",
        action=argparse.BooleanOptionalAction,
        help="append an 8-byte checksum keyed by the spec, so that damaged or swapped payloads are "
        "refused (default: if the chain compresses)",
    )
    add("--label", help="text stored in the spec; distinguishes inputs with equal specs")
    add(
        "--spec",
        metavar="SPEC",
        help="pack by this spec, SPEC.json or MODEL_DIR#INPUT, instead of choosing a chain",
    )
    out = parser.add_mutually_exclusive_group()
    out.add_argument(
        "-o",
        metavar="OUT",
        help="output file; or a directory, if there are several files or it ends in / "
        "(default: FILE.tfd)",
    )
    out.add_argument(
        "--tfrecord",
        type=records_path,
        metavar="OUT.tfrecord",
        help="write one TFRecord file, one tf.train.Example per input; compressed if the name "
        "ends in .gz",
    )
    add(
        "--name",
        help='input name in the TFRecord (default: from --spec, else the key, else "array")',
    )
    add("--max-bytes", type=byte_count, default=MAX_BYTES, metavar="N", help=MAX_BYTES_HELP)
    add("--json", action="store_true", help="print a JSON array, one object per file")


def run(arguments: argparse.Namespace) -> int:
    """Pack each file."""
    spec = None
    arguments.files = with_key(arguments.files, arguments.key, "FILE")
    files: list[tuple[Path, str | None]] = arguments.files
    inputs = [path for path, _ in files]
    protected = list(inputs)
    if arguments.spec is not None:
        exclude(arguments, "spec", ("codec", "seal", "label"))
        spec, origin = read_spec(arguments.spec)
        protected.append(origin)
    check_choice(arguments)
    if arguments.tfrecord is not None:
        from .tfrecord import pack_examples  # TensorFlow: only for those who train

        return pack_examples(arguments, spec, protected)
    if arguments.name is not None:
        raise UsageError("argument --name: needs argument --tfrecord")
    payloads = outputs(inputs, arguments.o, "{}.tfd".format)
    refuse_overwriting(protected, [p for path in payloads for p in (path, spec_path(path))])
    return process_files(
        "pack",
        inputs,
        lambda index: pack(*files[index], payloads[index], spec, arguments),
        as_json=arguments.json,
        sentence=sentence,
        columns=COLUMNS,
        right=("array bytes", "payload bytes", "ratio"),
    )


def check_choice(arguments: argparse.Namespace) -> None:
    """UsageError for options that cannot be combined."""
    if arguments.as_is:
        exclude(arguments, "as_is", NOT_AS_IS)
    for option in ("codec", "spec"):
        if getattr(arguments, option) is not None:
            exclude(arguments, option, CHOICE)
    if arguments.seal is False:
        if arguments.codec is None:
            raise UsageError("argument --no-seal: needs argument --codec")
        several = isinstance(arguments.codec, Alternatives)
        named = arguments.codec if several else (arguments.codec,)
        if any(codec.name == "seal" for codecs in named for codec in codecs):
            raise UsageError("argument --no-seal: not allowed with a chain that names seal")


class PackReport(SizesReport):
    """A file and its payload."""

    file: str
    key: str | None
    payload: str
    spec: str
    fingerprint: str


def exclude(arguments: argparse.Namespace, option: str, others: Sequence[str]) -> None:
    """UsageError if one of ``others`` is given, which ``option`` excludes."""
    for other in others:
        given = getattr(arguments, other)
        # Switches are False unless given; --no-seal is False and given.
        if given is not None and (given is not False or other == "seal"):
            raise UsageError(
                f"argument {option_name(other)}: not allowed with argument {option_name(option)}"
            )


def option_name(option: str) -> str:
    """The option that sets this attribute of the arguments."""
    return f"--{option.replace('_', '-')}"


def pack(
    path: Path, key: str | None, out: Path, spec: ArraySpec | None, arguments: argparse.Namespace
) -> Report:
    """Pack one file; returns its report."""
    if arguments.as_is:
        return write(path, key, out, *read_whole(path, key, spec, arguments))
    array = read(path, key, spec, arguments)
    tried: Sequence[Report] = ()
    if spec is None and arguments.explain:
        wanted = preferences(arguments)
        tried = explain.facts(rank(array, **wanted), array.nbytes)
        if not arguments.json:
            explain.show(str(path), tried, wanted["prefer"])
    if spec is None:
        spec = spec_of(array, arguments)
    report = write(path, key, out, array, spec, spec.encode(array))
    return {**report, "tried": tried} if tried else report


def write(
    path: Path, key: str | None, out: Path, array: np.ndarray, spec: ArraySpec, payload: bytes
) -> PackReport:
    """Write a payload and its spec; returns the report."""
    text = spec.to_json() + "\n"
    write_files(
        {
            spec_path(out): partial(write_bytes, data=text.encode()),
            out: partial(write_bytes, data=payload),
        }
    )
    return {
        "file": str(path),
        "key": key,
        **sizes(array, spec, payload),
        "payload": str(out),
        "spec": str(spec_path(out)),
        "fingerprint": spec.fingerprint,
    }


def read_whole(
    path: Path, key: str | None, spec: ArraySpec | None, arguments: argparse.Namespace
) -> tuple[np.ndarray, ArraySpec, bytes]:
    """For ``--as-is``: the array of a file, the spec that reads it, and the bytes of the file."""
    limit = {"max_bytes": arguments.max_bytes}
    accepted = ""
    if spec is None:
        spec, payload = spec_of_file(path, key, label=arguments.label or "", **limit)
        array, accepted = spec.decode(payload), accepted_files(spec)
    else:
        payload = opened(path, **limit)[1]
        try:
            array = untouched(spec, payload, **limit)
        except FileError as error:
            raise FileError(f"{shown(str(path), 200)}: {error}") from None
        except DecodeError as error:
            reason = f"the spec cannot read this file as it is; try without --as-is: {error}"
            raise EncodeError(reason) from None
        if key is not None and not reads(key, path, array, limit):
            raise EncodeError(f"the spec reads an array of the file that is not {key}")
    codec = spec.chain.chosen(payload)[0].codecs[-1]
    alone = codec.name not in ("npz", "mat") and not has_sample(codec)
    content = "which is only this array" if alone else "everything in it"
    note(f"{path}: the payload is the whole file ({len(payload):,} bytes, {content}).{accepted}")
    return array, spec, payload


def accepted_files(spec: ArraySpec) -> str:
    """Which files a spec accepts besides the one that it was made from."""
    (codec,) = spec.chains[0].codecs
    if not has_sample(codec):
        return f" The spec accepts any {codec.name} file with an array of this dtype and shape."
    key = getattr(codec, "key", None)
    ordinary = shown(key) if key else "the array"
    return (
        f" The spec now contains the {codec.around:,} bytes around the array: it accepts files "
        f"that differ only in the array's values, and ordinary files that hold only {ordinary}."
    )


def has_sample(codec: AnyCodec) -> TypeGuard[SampledFile]:
    """Whether the spec contains bytes of a sample file."""
    return isinstance(codec, SampledFile) and bool(codec.head)


def reads(key: str, path: Path, array: np.ndarray, limit: dict[str, int]) -> bool:
    """Whether ``array`` is the one of ``key`` in the file."""
    return same(exact_astype(load(path, key, **limit), array.dtype.name), array)


def write_bytes(file: BinaryIO, data: bytes) -> None:
    """Write all of ``data``."""
    file.write(data)


def sentence(report: Report) -> str:
    """One packed file in a line."""
    before, after = report["array_bytes"], report["payload_bytes"]
    return (
        f"{path_key(report['file'], report['key'])}: {report['dtype']} "
        f"{dimensions(report['shape'])} by {brief(report['codecs'])}, {before:,} -> {after:,} "
        f"bytes ({ratio(before, after)}) -> {report['payload']}"
    )


def argument(parse: Callable[[str], Item]) -> Callable[[str], Item]:
    """``parse`` as a ``type`` of argparse, which prints the message of this error alone."""

    def parsed(text: str) -> Item:
        try:
            return parse(text)
        except SpecError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def records_path(text: str) -> Path:
    """The argument of ``--tfrecord``; the name of an array file is taken for a mistake."""
    path = named_path(text)
    if has_suffix(path):
        raise argparse.ArgumentTypeError(f"{text!r} has the suffix of an array file")
    return path


def release(text: str) -> str:
    """The argument of ``--min-tensorflow``."""
    version(text)
    return text
