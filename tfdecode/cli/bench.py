"""Measure on this machine what chains make of array files, and how fast TensorFlow decodes them.

For each file, measure the best chains of "pack --explain" and plain deflate, and compare decoding
with a plain tf.io.decode_raw. Needs the extra "tensorflow".

chain       the codecs; the best chain comes first
bytes       of the payload; the ratio is how many times smaller than the array it is
encode, ms  to encode one array with NumPy, by the cost model
decode, ms  to decode one row in TensorFlow, measured here: the median of several runs of a batch
of bare     the same as a multiple of tf.io.decode_raw and reshape of the raw array, unchecked
carries     the arrays that the chain can encode; others are an error, or take a second chain
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..files import load
from . import measure
from .batch import Report
from .explain import print_chains
from .packing import FILE, add_choice, add_key, add_role, preferences
from .quiet_import import import_quietly
from .show import dimensions, doing, progress, say
from .source import add_dtype, add_limit, add_missing, array_file, reading_of, with_key

#: Chains that are measured: each takes TensorFlow up to a second to trace.
MEASURED = 12
#: What the best ones are compared with.
PLAIN = ("raw", "raw|zlib|seal", "raw|zlib_bounded|seal")

EXAMPLES = """\
examples:
  tfdecode bench pose.pkl                        bytes, encoding and decoding of each chain
  tfdecode bench depth.npy --prefer smallest --min-tensorflow 2.20
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench``."""
    parser.add_argument("files", nargs="+", type=array_file, metavar="FILE", help=FILE)
    add_key(parser)
    add_choice(parser)
    add_role(parser)
    add_dtype(parser, "convert to this dtype")
    add_limit(parser)
    add_missing(parser)
    every = f"measure all chains, not only the {MEASURED} best and plain deflate"
    parser.add_argument("--all", action="store_true", help=every)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure the files."""
    import_quietly()
    files = with_key(arguments.files, arguments.key, "FILE")
    found = [report(path, key, arguments) for path, key in files]
    if arguments.json:
        say(json.dumps(found, indent=2))
    else:
        for one in found:
            print_report(one)
    return 0


def report(path: Path, key: str | None, arguments: argparse.Namespace) -> Report:
    """What the chains make of one file."""
    from ..choose import rank

    array = load(path, key, **reading_of(arguments))
    doing("choosing chains")
    tried = rank(array, **preferences(arguments))
    if not arguments.all:
        tried = [*tried[:MEASURED], *(one for one in tried[MEASURED:] if one.chain in PLAIN)]
    doing("")
    chains = [one.chain for one in tried]
    decoders = [measure.Decoder(chain, array) for chain in progress(chains, "tfdecode bench")]
    bare, *times = measure.medians([measure.Bare(array), *decoders])
    return {
        "file": str(path),
        "key": key,
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "array_bytes": array.nbytes,
        "rows": measure.ROWS,
        "bare_ms": bare / 1e6,
        "chains": [
            {
                "codecs": one.chain,
                "payload_bytes": round(one.payload_bytes),
                "encode_ms": 1e3 * one.encode_seconds,
                "decode_ms": took / 1e6,
                "domain": one.domain,
            }
            for one, took in zip(tried, times, strict=True)
        ],
    }


def print_report(found: Report) -> None:
    """The chains of one file as a table."""
    form = f"{found['dtype']} {dimensions(found['shape'])}"
    say(f"{found['file']}: {form}, {found['array_bytes']:,} bytes, batches of {found['rows']}")
    print_chains(found["chains"], found["array_bytes"], found["bare_ms"])
