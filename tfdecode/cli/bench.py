"""Measure on this machine: what chains make of array files, or what each codec costs to decode.

For each file the chains that could suit are tried as ``pack --explain`` tries them, and decoded in
TensorFlow beside a bare ``tf.io.decode_raw``. ``--calibrate`` measures each codec, for `infer` and
``pack`` to choose by from then on. Needs the extra ``tensorflow``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..choose import PREFER, calibrate, costs, rank
from ..files import load
from ..formats.contents import MAX_BYTES
from .batch import Facts
from .failure import UsageError
from .quiet_import import import_quietly
from .show import dimensions, progress, ratio, say, table
from .source import array_file, byte_count, keyed

EXAMPLES = """\
examples:
  tfdecode bench pose.pkl                        bytes, encoding and decoding of each chain
  tfdecode bench depth.npy --prefer smallest --min-tensorflow 2.20
  tfdecode bench --calibrate                     measure the codecs here, for pack and infer
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench``."""
    add = parser.add_argument
    add("files", nargs="*", type=array_file, metavar="FILE[#KEY]", help="array file")
    add("--key", help="which array of a file that holds several")
    add("--prefer", choices=PREFER, default="balanced", help="as of pack (default: balanced)")
    add("--min-tensorflow", metavar="VERSION", default="2.12", help="as of pack (default: 2.12)")
    add("--calibrate", action="store_true", help="measure what each codec costs, and keep it")
    add("--max-bytes", type=byte_count, default=MAX_BYTES, metavar="N", help="as of pack")
    add("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure the files, or the codecs."""
    if bool(arguments.files) == arguments.calibrate:
        raise UsageError("either FILE or --calibrate is needed")
    import_quietly()
    if arguments.calibrate:
        show_costs(arguments.json)
        return 0
    places = keyed(arguments.files, arguments.key, "FILE")
    found = [measured(path, key, arguments) for path, key in places]
    if arguments.json:
        say(json.dumps(found, indent=2))
        return 0
    for one in found:
        show(one)
    return 0


def show_costs(as_json: bool) -> None:
    """Measure the codecs, keep what they cost, and tell it."""
    names = calibrate.calibrated(lambda codecs: progress(codecs, "tfdecode bench"))
    file = costs.save(names)
    if as_json:
        say(json.dumps({name: [cost.made, cost.taken] for name, cost in names.items()}, indent=2))
        return
    rows = [[name, f"{cost.made:.3f}", f"{cost.taken:.3f}"] for name, cost in names.items()]
    table(
        ("codec", "ns a byte made", "ns a byte taken"),
        rows,
        right=("ns a byte made", "ns a byte taken"),
    )
    say(f"kept in {file}")


def measured(path: Path, key: str | None, arguments: argparse.Namespace) -> Facts:
    """What the chains make of one file."""
    array = load(path, key, max_bytes=arguments.max_bytes)
    options = {"prefer": arguments.prefer, "min_tensorflow": arguments.min_tensorflow}
    tried = rank(array, **options)
    chains = [one.chain for one in tried]
    decoders = [calibrate.Decoder(chain, array) for chain in progress(chains, "tfdecode bench")]
    bare, *times = calibrate.medians([calibrate.Bare(array), *decoders])
    return {
        "file": str(path),
        "key": key,
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "array_bytes": array.nbytes,
        "rows": calibrate.ROWS,
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


def show(found: Facts) -> None:
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
