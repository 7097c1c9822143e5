"""Pack array files (.npy .mat .pkl .csv .h5 ...) into payloads that a model's graph decodes.

Writes FILE.tfd, the payload, and FILE.tfd.json, its spec: what unpack and the model need to know.
With --tfrecord all payloads go into one file for training, a tf.train.Example each with the name of
its file under ``file``, and OUT.tfrecord.json is their schema: what tfdecode.Schema.load reads. It
is written of the files that can be packed; where some cannot, they are named and the exit status
is 1.
With --as-is the payload is the file itself, all of it, untouched, and the spec says how a graph
reads it.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

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
from .batch import Facts, each
from .failure import UsageError, complain
from .packing import preferences, read, sizes, spec_of
from .show import dimensions, ratio
from .source import LIMIT, array_file, byte_count, keyed, read_spec, source, spec_path
from .write import named_path, outputs, refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode pack pose.pkl                                pose.pkl.tfd and pose.pkl.tfd.json
  tfdecode pack labels.mat --key S --dtype uint8        one variable, where its values allow uint8
  tfdecode pack depth.npy --codec 'astype:uint16|zlib:9'
  tfdecode pack pose.pkl --prefer smallest --explain    what was tried, and what it costs
  tfdecode pack *.pkl --spec model/1#pose_map -o packed/
  tfdecode pack 'maps.npz#pose'                         one array of several, as by --key
  tfdecode pack pose.pkl --as-is                        the file is the payload; see its spec
  tfdecode pack *.mat --tfrecord train.tfrecord         for training, with train.tfrecord.json
  tfdecode pack pose.pkl --json | jq '.[0].payload_bytes'
"""

#: Options of the choice of a chain, and all for which ``--as-is`` leaves no room.
CHOICE = ("prefer", "min_tensorflow", "portable", "trusted", "explain")
NOT_AS_IS = ("codec", "dtype", "seal", "tfrecord", *CHOICE)

COLUMNS = {
    "file": lambda facts: source(facts),
    "dtype": lambda facts: str(facts["dtype"]),
    "shape": lambda facts: dimensions(facts["shape"]),
    "chain": lambda facts: brief(facts["codecs"]),
    "array bytes": lambda facts: f"{facts['array_bytes']:,}",
    "payload bytes": lambda facts: f"{facts['payload_bytes']:,}",
    "ratio": lambda facts: ratio(facts["array_bytes"], facts["payload_bytes"]),
    "payload": lambda facts: str(facts["payload"]),
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
    add("--dtype", type=dtype, help="convert first; an error where a value would change")
    add(
        "--codec",
        type=chain,
        metavar="CHAIN",
        help="chain text, or several with ' or ' between (default: chosen for each array)",
    )
    add("--prefer", choices=PREFER, help="what to choose a chain for (default: balanced)")
    add(
        "--min-tensorflow",
        type=release,
        metavar="VERSION",
        help="the oldest that the model has to run in (default: 2.12; zstd needs 2.20)",
    )
    add("--portable", action="store_true", help="choose among what the JavaScript client packs")
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
        help="the whole file is the payload, untouched, also what in it is not the array; not "
        f"with {', '.join(map(option_name, NOT_AS_IS))}",
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
    out = parser.add_mutually_exclusive_group()
    out.add_argument(
        "-o",
        metavar="OUT",
        help="the payload; a directory for several files or where it ends in / (default: FILE.tfd)",
    )
    out.add_argument(
        "--tfrecord",
        type=records_path,
        metavar="OUT.tfrecord",
        help="one file of a tf.train.Example each, all of one spec; GZIP where it ends in .gz",
    )
    add(
        "--name",
        help="what --tfrecord calls the input (default: as in --spec, the key, or else array)",
    )
    add(
        "--max-bytes",
        type=byte_count,
        default=MAX_BYTES,
        metavar="N",
        help=LIMIT,
    )
    add("--json", action="store_true", help="print a JSON array with an object for each file")


def run(arguments: argparse.Namespace) -> int:
    """Pack each file."""
    spec = None
    arguments.files = keyed(arguments.files, arguments.key, "FILE")
    places: list[tuple[Path, str | None]] = arguments.files
    inputs = [path for path, _ in places]
    protected = list(inputs)
    if arguments.spec is not None:
        for option in ("codec", "seal", "label"):
            if getattr(arguments, option) is not None:
                raise UsageError(f"argument --{option}: not allowed with argument --spec")
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
    return each(
        "pack",
        inputs,
        lambda index: pack(*places[index], payloads[index], spec, arguments),
        as_json=arguments.json,
        sentence=sentence,
        columns=COLUMNS,
        right=("array bytes", "payload bytes", "ratio"),
    )


def check_choice(arguments: argparse.Namespace) -> None:
    """UsageError for options that do not go together."""
    if arguments.as_is:
        for option in NOT_AS_IS:
            given = getattr(arguments, option)
            if given or (given is False and option == "seal"):
                raise UsageError(
                    f"argument {option_name(option)}: not allowed with argument --as-is"
                )
    fixed = "codec" if arguments.codec is not None else "spec"
    if arguments.codec is not None or arguments.spec is not None:
        for option in CHOICE:
            if getattr(arguments, option):
                raise UsageError(
                    f"argument {option_name(option)}: not allowed with argument --{fixed}"
                )
    if arguments.seal is False:
        if arguments.codec is None:
            raise UsageError("argument --no-seal: needs argument --codec")
        several = isinstance(arguments.codec, Alternatives)
        named = arguments.codec if several else (arguments.codec,)
        if any(codec.name == "seal" for codecs in named for codec in codecs):
            raise UsageError("argument --no-seal: not allowed with a chain that names seal")


def option_name(option: str) -> str:
    """An attribute of the arguments as the option that it comes from."""
    return f"--{option.replace('_', '-')}"


def pack(
    path: Path, key: str | None, out: Path, spec: ArraySpec | None, arguments: argparse.Namespace
) -> Facts:
    """Pack one file, and what to tell of it."""
    if arguments.as_is:
        return written(path, key, out, *whole(path, key, spec, arguments))
    array = read(path, key, spec, arguments)
    tried: list[Facts] = []
    if spec is None and arguments.explain:
        wanted = preferences(arguments)
        tried = explain.facts(rank(array, **wanted), array.nbytes)
        if not arguments.json:
            explain.show(str(path), tried, wanted["prefer"])
    if spec is None:
        spec = spec_of(array, arguments)
    facts = written(path, key, out, array, spec, spec.encode(array))
    return {**facts, **({"tried": tried} if tried else {})}


def written(
    path: Path, key: str | None, out: Path, array: np.ndarray, spec: ArraySpec, payload: bytes
) -> Facts:
    """Write a payload and its spec, and what to tell of them."""
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


def whole(
    path: Path, key: str | None, spec: ArraySpec | None, arguments: argparse.Namespace
) -> tuple[np.ndarray, ArraySpec, bytes]:
    """For ``--as-is`` the array of a file, the spec that reads it, and all bytes of the file."""
    limit = {"max_bytes": arguments.max_bytes}
    taken = ""
    if spec is None:
        spec, payload = spec_of_file(path, key, label=arguments.label or "", **limit)
        array, taken = spec.decode(payload), also_taken(spec)
    else:
        payload = opened(path, **limit)[1]
        try:
            array = untouched(spec, payload, **limit)
        except FileError as error:
            raise FileError(f"{shown(str(path), 200)}: {error}") from None
        except DecodeError as error:
            reason = f"the spec does not take this file as it is, try without --as-is: {error}"
            raise EncodeError(reason) from None
        if key is not None and not reads(key, path, array, limit):
            raise EncodeError(f"the spec reads another array of the file than {key}")
    complain("pack", f"{path}: {sent(spec, payload)}{'; ' + taken if taken else ''}")
    return array, spec, payload


def sent(spec: ArraySpec, payload: bytes) -> str:
    """What a client sends with a file as it is."""
    codec = spec.chain.chosen(payload)[0].codecs[-1]
    alone = codec.name not in ("npz", "mat") and not sample_of(codec)
    what = "which is this array alone" if alone else "with all that is in it"
    return f"the payload is the whole file, {len(payload):,} bytes, {what}"


def also_taken(spec: ArraySpec) -> str:
    """Which files a spec takes beside the one that it was made from."""
    (codec,) = spec.chains[0].codecs
    if not sample_of(codec):
        return f"other {codec.name} files with such an array are accepted too"
    key = getattr(codec, "key", None)
    usual = f"with {shown(key)} alone" if key else "of the array alone"
    return (
        f"{codec.around:,} bytes of it, those around the numbers, are now part of the spec: "
        "another file is accepted if it differs in nothing but the numbers, and refused if it "
        f"differs around them, as by another value beside the array (usual files {usual} are "
        "accepted too)"
    )


def sample_of(codec: AnyCodec) -> TypeGuard[SampledFile]:
    """Whether the bytes of a sample stand in the spec."""
    return isinstance(codec, SampledFile) and bool(codec.head)


def reads(key: str, path: Path, array: np.ndarray, limit: dict[str, int]) -> bool:
    """Whether ``array`` is that of ``key`` in the file."""
    return same(exact_astype(load(path, key, **limit), array.dtype.name), array)


def write_bytes(file: Any, data: bytes) -> None:
    """Write all of ``data``."""
    file.write(data)


def sentence(facts: Facts) -> str:
    """One packed file in a line."""
    before, after = facts["array_bytes"], facts["payload_bytes"]
    return (
        f"{source(facts)}: {facts['dtype']} {dimensions(facts['shape'])} by "
        f"{brief(facts['codecs'])}, {before:,} -> {after:,} bytes "
        f"({ratio(before, after)}) -> {facts['payload']}"
    )


def dtype(text: str) -> str:
    """The argument of ``--dtype``."""
    try:
        return dtype_name(text)
    except SpecError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def records_path(text: str) -> Path:
    """The argument of ``--tfrecord``; an array file is more likely an input, and is kept."""
    path = named_path(text)
    if has_suffix(path):
        raise argparse.ArgumentTypeError(f"{text!r} is named as an array file, not as a TFRecord")
    return path


def release(text: str) -> str:
    """The argument of ``--min-tensorflow``."""
    try:
        version(text)
    except SpecError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def chain(text: str) -> tuple[AnyCodec, ...] | Alternatives:
    """The argument of ``--codec``, as far as it can be judged without an array."""
    try:
        return parse_any(text)
    except SpecError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
