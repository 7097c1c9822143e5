"""Measure on this machine what chains make of array files, and how fast TensorFlow decodes them.

For each file, measure the chains that "pack --explain" lists, and compare decoding with a plain
tf.io.decode_raw. Needs the extra "tensorflow".
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..choose import PREFER, rank
from ..files import load
from ..formats.contents import MAX_BYTES
from . import measure
from .batch import Report
from .quiet_import import import_quietly
from .show import dimensions, progress, ratio, say, table
from .source import array_file, byte_count, with_key

EXAMPLES = """\
examples:
  tfdecode bench pose.pkl                        bytes, encoding and decoding of each chain
  tfdecode bench depth.npy --prefer smallest --min-tensorflow 2.20
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench``."""
    add = parser.add_argument
    add("files", nargs="+", type=array_file, metavar="FILE[#KEY]", help="array file")
    add("--key", help="which array of a file that holds several")
    add("--prefer", choices=PREFER, default="balanced", help="same as in pack")
    add(
        "--min-tensorflow",
        metavar="VERSION",
        default="2.12",
        help="same as in pack (default: 2.12)",
    )
    add("--trusted", action="store_true", help="same as in pack")
    add("--max-bytes", type=byte_count, default=MAX_BYTES, metavar="N", help="same as in pack")
    add("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure the files."""
    import_quietly()
    files = with_key(arguments.files, arguments.key, "FILE")
    found = [measured(path, key, arguments) for path, key in files]
    if arguments.json:
        say(json.dumps(found, indent=2))
        return 0
    for one in found:
        show(one)
    return 0


def measured(path: Path, key: str | None, arguments: argparse.Namespace) -> Report:
    """What the chains make of one file."""
    array = load(path, key, max_bytes=arguments.max_bytes)
    options = ("prefer", "min_tensorflow", "trusted")
    tried = rank(array, **{name: getattr(arguments, name) for name in options})
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


def show(found: Report) -> None:
    """The chains of one file as a table."""
    form = f"{found['dtype']} {dimensions(found['shape'])}"
    say(f"{found['file']}: {form}, {found['array_bytes']:,} bytes, batches of {found['rows']}")
    rows = [
        [
            f"  {one['codecs']}",
            f"{one['payload_bytes']:,}",
            ratio(found["array_bytes"], one["payload_bytes"]),
            f"{one['encode_ms']:.2f}",
            f"{one['decode_ms']:.3f}",
            f"{one['decode_ms'] / found['bare_ms']:.1f}x",
            one["domain"] or "every array",
        ]
        for one in found["chains"]
    ]
    columns = ("  chain", "bytes", "ratio", "encode, ms", "decode, ms", "of bare", "carries")
    table(columns, rows, right=columns[1:6])
