"""Pack array files (.npy .mat .pkl .csv .h5 ...) into payloads that a model's graph decodes.

Writes FILE.tfd, the payload, and FILE.tfd.json, its spec, which unpack and the model need; for
FILE#KEY these are FILE.KEY.tfd and FILE.KEY.tfd.json.

Of several files, those of the same dtype and shape share one spec, which is chosen by up to 16 of
them, so one input of a model takes them all. --one-spec demands one spec for all files. If they
differ in size, --max-shape says the largest shape that may come, and makes one spec for all.

With --tfrecord, all payloads go into one TFRecord file, or into shards, one tf.train.Example per
input file; the feature "file" holds the file name. OUT.tfrecord.json is the schema, for
tfdecode.Schema.load, and OUT.tfrecord.manifest.json says what is there and what failed. If the
files hold several arrays and none is chosen, an example has all of them, by their keys.

With --as-is, the payload is the whole file, unchanged; the spec says how a graph reads it.

Files that cannot be packed are skipped and reported, and the exit status is 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from ..casts import exact_astype
from ..codecs.base import AnyCodec
from ..codecs.chain_text import Alternatives, parse_any
from ..errors import DecodeError, EncodeError, FileError
from ..files import has_suffix, load, opened
from ..formats import headerless
from ..formats.contents import shown
from ..names import check_name
from ..sources import Remote, is_url
from ..spec import ArraySpec
from .batch import Report, add_output, process_files
from .choosing import Group, groups_of
from .failure import UsageError, note
from .inputs import (
    SPOOLED,
    Input,
    add_inputs,
    each_input,
    inputs_of,
    needs_one_output,
    to_stdout,
)
from .packing import FILE, add_choice, add_key, add_role, read, sizes
from .parsing import INT64, argument, pair, sides, whole
from .show import doing
from .source import DASH, add_dtype, add_limit, add_missing, given_spec, refuse_dash, spec_path
from .write import named_path, outputs, refuse_overwriting, write_files

if TYPE_CHECKING:
    from ..codecs.native.sampled import SampledFile

EXAMPLES = """\
examples:
  tfdecode pack pose.pkl                                pose.pkl.tfd and pose.pkl.tfd.json
  tfdecode pack labels.mat --key S --dtype uint8        one variable, if its values fit uint8
  tfdecode pack depth.npy --dtype float32 --casting same_kind          float64, rounded
  tfdecode pack 000000.bin --dtype float32 --shape -1,4                a file without a header
  tfdecode pack depth.npy --codec 'astype:uint16|zlib:9'
  tfdecode pack pose.pkl --prefer smallest --explain    the chains that were tried
  tfdecode pack *.pkl --spec model/1#pose_map -o packed/
  tfdecode pack 'maps.npz#pose' 'maps.npz#depth'        two arrays, maps.npz.pose.tfd and so on
  tfdecode pack poses/ -o packed/                       all array files in poses and below
  tfdecode pack mel-*.npy --max-shape 80,1500           rows of different length, one spec
  find . -name '*.mat' | tfdecode pack --files-from -
  curl ... | tfdecode pack - --spec pose.json -o - | curl --data-binary @- ...
  tfdecode pack pose.pkl --as-is                        the file itself is the payload
  tfdecode pack *.mat --tfrecord train.tfrecord         for training, with train.tfrecord.json
  tfdecode pack *.npz --tfrecord train.tfrecord         examples of all arrays in a file
  tfdecode pack maps/ --tfrecord train.tfrecord --shards 8 --workers 4 --features labels.csv
  tfdecode pack --input pose='poses/{}.pkl' --input map='maps/{}.mat' --tfrecord train.tfrecord
  tfdecode pack frames.npy --split-axis 0 --tfrecord train.tfrecord --shards 8
  tfdecode pack --files-from LIST --tfrecord /data/train.tfrecord --spark spark://host:7077
  tfdecode pack 's3://bucket/maps/*.npy' --tfrecord s3://bucket/train.tfrecord --shards 64
  tfdecode pack pose.pkl --json | jq '.[0].payload_bytes'
"""

#: In a directory of arrays, photos are what the arrays belong to: they are packed only if named.
PHOTO = (".jpg", ".jpeg")
#: Options of the choice of a chain, and all that ``--as-is`` excludes.
CHOICE = ("prefer", "min_tensorflow", "portable", "trusted", "role", "explain")
SHARED = ("one_spec", "max_shape")
#: Options of ``--tfrecord``.
RECORDS = ("input", "split_axis", "name", "shards", "workers", "spark", "seed", "features")
NOT_AS_IS = ("codec", "dtype", "missing", "seal", "tfrecord", *CHOICE, *SHARED)

SENTENCE = (
    "{file}: {dtype} {shape} by {chain}, {array bytes} -> {payload bytes} bytes ({ratio}) -> "
    "{payload}"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``pack``."""
    add = parser.add_argument
    add_inputs(parser, "FILE", FILE)
    add_key(parser)
    add_dtype(parser, "convert to this dtype; with --spec, to that of the spec (default)")
    codec = "chain text, or several joined by ' or ' (default: chosen by the arrays)"
    add("--codec", type=argument(parse_any), metavar="CHAIN", help=codec)
    portable = "use only codecs that the JavaScript client supports"
    add("--portable", action="store_true", help=portable)
    add_choice(parser)
    add_role(parser)
    one = "pack all files by one spec; fails if they differ in dtype or shape"
    add("--one-spec", action="store_true", help=one)
    longest = "largest shape, as 80,1500; the dimensions in which arrays are smaller may vary"
    add("--max-shape", type=sides, metavar="SHAPE", help=longest)
    add("--explain", action="store_true", help="show the chains that were tried")
    as_is = (
        "send the whole file unchanged, including anything in it besides the array; cannot be "
        f"combined with {', '.join(map(option_name, NOT_AS_IS))}"
    )
    add("--as-is", action="store_true", help=as_is)
    seal = (
        "append an 8-byte checksum keyed by the spec, so that damaged or swapped payloads are "
        "refused (default: if the chain compresses)"
    )
    add("--seal", action=argparse.BooleanOptionalAction, help=seal)
    add("--label", help="text stored in the spec; distinguishes inputs with equal specs")
    by = "pack by this spec, SPEC.json or MODEL_DIR#INPUT, instead of choosing a chain"
    add("--spec", metavar="SPEC", help=by)
    either = parser.add_mutually_exclusive_group().add_argument
    out = "output file; or a directory, if there are several files or it ends in /"
    either("-o", metavar="OUT", help=f"{out}; - for standard output (default: FILE.tfd)")
    records = "write one TFRecord file, one tf.train.Example per input; compressed if the name ends"
    either("--tfrecord", type=records_path, metavar="OUT.tfrecord", help=f"{records} in .gz")
    shards = "write so many TFRecord files, OUT-00000-of-0000N.tfrecord; with --workers alone, one"
    again = "for each 150 MB; a run that was stopped goes on"
    number = whole(1, 99_999)
    add("--shards", type=number, metavar="N", help=f"{shards} {again}")
    add("--workers", type=number, metavar="N", help="processes that write shards (default: 1)")
    spark = "write shards on Spark: local[2,4], spark://HOST:7077, or sc://HOST for Spark Connect"
    add("--spark", metavar="MASTER", help=spark)
    seed = "shuffle the examples; by default they are sorted"
    add("--seed", type=whole(-INT64, INT64), metavar="N", help=seed)
    pattern = "files of an input; those of several inputs are joined by what {} or * stands for"
    add(
        "--input",
        action="append",
        type=argument(pairing),
        metavar="NAME=PATTERN[#KEY]",
        help=pattern,
    )
    split = "make an example of each row of an array, called FILE#ROW"
    add("--split-axis", type=whole(0), choices=[0], help=split)
    table = "CSV or Parquet file of more features; the first column has the names of the files"
    add("--features", metavar="META", help=table)
    name = 'input name in the TFRecord (default: from --spec, else the key, else "array")'
    add("--name", help=name)
    add_limit(parser)
    add_missing(parser)
    add_output(parser, "file")


def run(arguments: argparse.Namespace) -> int:
    """Pack each file."""
    if arguments.spec is not None:
        exclude(arguments, "spec", ("codec", "seal", "label", *SHARED))
    check_choice(arguments)
    # Of several inputs, it is a schema.
    spec, origin = given_spec(None if arguments.input else arguments.spec)
    wanted = partial(is_array_file, no_header=arguments.shape is not None)
    if arguments.tfrecord is not None:
        from .tfrecord import pack_examples  # SQLite and more: only for those who train

        found = each_input(arguments, "FILE", wanted, "array files")
        return pack_examples(arguments, found, spec, origin)
    files = inputs_of(arguments, "FILE", wanted, "array files")
    inputs = [one.path for one in files]
    protected = [*inputs, *origin]
    if arguments.o == DASH:
        needs_one_output(arguments, files, "spec")
        assert spec is not None
        to_stdout(spec.encode(read(files[0].path, files[0].key, spec, arguments)))
        return 0
    if arguments.o is None and SPOOLED.intersection(inputs):
        raise UsageError("standard input (-) needs -o OUT")
    payloads = outputs([(one.path, one.place) for one in files], arguments.o, "{}.tfd".format)
    refuse_overwriting(protected, [p for path in payloads for p in (path, spec_path(path))])
    if arguments.o and has_suffix(Path(arguments.o)) and not Path(arguments.o).is_dir():
        raise UsageError(f"argument -o: {arguments.o!r} has the suffix of an array file")

    choosing = spec is None and not arguments.as_is and (len(files) > 1 or arguments.one_spec)
    groups = groups_of(files, arguments) if choosing else [None] * len(files)

    def work(index: int) -> Report:
        return pack(files[index], payloads[index], spec, groups[index], arguments)

    return process_files("pack", inputs, work, SENTENCE, arguments)


def is_array_file(path: Path, no_header: bool) -> bool:
    """Whether a file of a directory is taken; ``--shape`` says that there is no header."""
    if path.suffix.lower() in PHOTO:
        return False
    return has_suffix(path) or (no_header and path.suffix.lower() == headerless.SUFFIX)


def pairing(text: str) -> tuple[str, str]:
    """The argument of ``--input``."""
    name, pattern = pair("NAME=PATTERN")(text)
    check_name(name)
    return name, pattern


def check_choice(arguments: argparse.Namespace) -> None:
    """UsageError for options that cannot be combined."""
    chosen = arguments.dtype or arguments.spec or arguments.tfrecord
    if arguments.casting != "equiv" and chosen is None:
        raise UsageError("argument --casting: needs argument --dtype or --spec")
    if arguments.as_is:
        exclude(arguments, "as_is", NOT_AS_IS)
    if arguments.tfrecord is not None:
        exclude(arguments, "tfrecord", ("explain",))
        if arguments.input:
            exclude(arguments, "input", ("key", "name"))
            if arguments.files:
                raise UsageError("FILE: not allowed with argument --input")
    elif given := [name for name in RECORDS if getattr(arguments, name) is not None]:
        raise UsageError(f"argument {option_name(given[0])}: needs argument --tfrecord")
    if arguments.spark is not None:
        exclude(arguments, "spark", ("workers",))
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
    one: Input,
    out: Path,
    spec: ArraySpec | None,
    group: Group | None,
    arguments: argparse.Namespace,
) -> Report:
    """Pack one file; returns its report."""
    path, key, _ = one
    if arguments.as_is:
        return write(path, key, out, *read_whole(path, key, spec, arguments))
    array = read(path, key, spec, arguments)
    chains: Sequence[Report] = ()
    if spec is None:
        group = group or Group([one], arguments)
        spec, chains = group.choose(array)
        if chains and not arguments.json:
            from . import explain

            many = f" and {len(group.inputs) - 1:,} more" if len(group.inputs) > 1 else ""
            prefer = arguments.prefer or "balanced"
            explain.print_report(f"{one.path}{many}", chains, prefer, arguments.all)
    doing("packing")
    payload = spec.encode(array)
    doing("writing")
    report = write(path, key, out, array, spec, payload)
    return {**report, "tried": chains} if chains else report


def write(
    path: Path, key: str | None, out: Path, array: np.ndarray, spec: ArraySpec, payload: bytes
) -> Report:
    """Write a payload and its spec; returns the report."""
    text = spec.to_json() + "\n"
    write_files({spec_path(out): text.encode(), out: payload})
    return {
        **sizes(path, key, array, spec, payload),
        "payload": str(out),
        "spec": str(spec_path(out)),
        "fingerprint": spec.fingerprint,
    }


def read_whole(
    path: Path, key: str | None, spec: ArraySpec | None, arguments: argparse.Namespace
) -> tuple[np.ndarray, ArraySpec, bytes]:
    """For ``--as-is``: the array of a file, the spec that reads it, and the bytes of the file."""
    from ..choose.as_is import spec_of_file, untouched

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
        if key is not None and not reads(key, path, array, arguments.max_bytes):
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
    from ..codecs.native.sampled import SampledFile

    return isinstance(codec, SampledFile) and bool(codec.head)


def reads(key: str, path: Path, array: np.ndarray, max_bytes: int) -> bool:
    """Whether ``array`` is the one of ``key`` in the file."""
    from ..choose.as_is import same

    return same(exact_astype(load(path, key, max_bytes=max_bytes), array.dtype.name), array)


def records_path(text: str) -> Path | Remote:
    """The argument of ``--tfrecord``; the name of an array file is taken for a mistake."""
    refuse_dash(text)
    if is_url(text):
        return Remote(text)
    path = named_path(text)
    if has_suffix(path):
        raise argparse.ArgumentTypeError(f"{text!r} has the suffix of an array file")
    return path
