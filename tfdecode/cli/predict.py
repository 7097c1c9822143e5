"""Run a model on arrays and files: a SavedModel in this process, or the model of a server.

An input with a spec is packed by it, from an array file or a payload (.tfd). If the input's chain
can read an array file directly, the whole file is sent unchanged. For other string inputs, the
bytes of the file are sent (for example an encoded image); for other numeric inputs, its array.

Arrays of files are converted to the dtype of the input, if no value changes or as --casting allows.
Give NAME several times to send a batch of rows, or a file whose array has all rows. A line for each
file says how it was sent; the outputs follow.

A directory or a quoted pattern is an example for each file: 'poses/*.pkl'. {} in the pattern of
another input stands for the same text: 'maps/{}.mat'. A file is then the same for all. They are
sent in batches, several at a time. Failures are listed by file; the exit status is 1 if there are
any. -o OUT.npz stacks the outputs, with the names of the files; -o DIR/ saves STEM.npz for each.
--json prints a line for each example.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from .. import reading
from ..client.array_file import ArrayFile
from ..client.each import IN_FLIGHT
from ..client.grpc import Grpc
from ..client.in_process import InProcess
from ..client.inputs import Provenance
from ..client.rest import Rest
from ..codecs.chain_text import brief
from .batch import Report
from .failure import UsageError, complain
from .inputs import MAX_STDIN, standard_input
from .joined import is_many
from .many import BATCH, run_many
from .npy import save_npz
from .outputs import STATISTICS, for_json, masked_rows, output_report
from .parsing import pair, whole
from .quiet_import import import_quietly
from .saved import named
from .schema import add_server, check_place, is_url, server_client
from .show import dimensions, fields, number, say, table
from .source import (
    DASH,
    add_casting,
    add_limit,
    add_missing,
    path_key,
    reading_of,
    refuse_dash,
    split_fragment,
)
from .write import named_path, refuse_other_suffix, refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode predict model/ pose_map=pose.pkl image_bytes=person.png
  tfdecode predict model/2 labels=scene.mat#S -o out.npz
  tfdecode predict model/ pose_map=a.pkl pose_map=b.pkl --json     a batch of two
  tfdecode predict http://localhost:8501/v1/models/pose pose_map=pose.pkl
  tfdecode predict grpc://localhost:8500/v1/models/pose pose_map=pose.pkl
  tfdecode predict model/ pose_map='poses/*.pkl' segment_map='maps/{}.mat' -o out.npz
  tfdecode predict grpc://localhost:8500/v1/models/pose pose_map=poses/ -o answers/ --batch 32
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``predict``."""
    add = parser.add_argument
    model = "SavedModel, or the directory of its versions, or the URL of a server's model"
    add("model", metavar="MODEL", help=model)
    files = (
        "input of the model: a file, a directory, or a pattern as 'poses/*.pkl' or 'maps/{}.mat'"
    )
    add("inputs", nargs="*", type=pair("NAME=FILE[#KEY]"), metavar="NAME=FILE[#KEY]", help=files)
    run = "signature to run (default: that of the schema, else serving_default)"
    add("--signature", metavar="S", help=run)
    add("-o", type=destination, metavar="OUT.npz", help="save all outputs; DIR/: a file each")
    batch = f"examples of a request, of many files (default: {BATCH}, or what the model allows)"
    add("--batch", type=whole(1), metavar="N", help=batch)
    flight = f"requests at the same time, of many files (default: {IN_FLIGHT} to a server)"
    add("--in-flight", type=whole(1), metavar="N", help=flight)
    add("--all", action="store_true", help="print a line for each example and failure, not a few")
    add_server(parser)
    add_limit(parser)
    add_missing(parser)
    add_casting(parser)
    add("--json", action="store_true", help="print a JSON object; of many files one a line")


def output(text: str) -> Path:
    """The argument ``-o`` of one file."""
    refuse_dash(text)
    return named_path(text)


def destination(text: str) -> str:
    """The argument ``-o`` of a file or ``DIR/``."""
    output(text)
    return text


def given_file(text: str, arguments: argparse.Namespace) -> ArrayFile | bytes:
    """A file, or the bytes of standard input: a payload, or the bytes of another string input."""
    if text == DASH:
        return reading.read(standard_input(), MAX_STDIN)
    return ArrayFile(*split_fragment(text), **reading_of(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Run the model once, or on many files."""
    if [text for _, text in arguments.inputs].count(DASH) > 1:
        raise UsageError("standard input (-) can be read only once")
    if any(is_many(text) for _, text in arguments.inputs):
        with opened_model(arguments) as model:
            return run_many(arguments, model)
    inputs: dict[str, list[Any]] = {}
    for name, text in arguments.inputs:
        inputs.setdefault(name, []).append(given_file(text, arguments))
    if arguments.o is not None and arguments.o.endswith("/"):
        raise UsageError(
            f"argument -o: {arguments.o} is a directory, which is for many examples; name a .npz"
        )
    files = [file for given in inputs.values() for file in given]
    out = None if arguments.o is None else Path(arguments.o)
    if out is not None:
        refuse_overwriting([file.path for file in files if isinstance(file, ArrayFile)], [out])
        refuse_other_suffix(out, many=False)
    with opened_model(arguments) as model:
        # One file is not a list of one: it may be a batch as it is, or have no batch dimension.
        prepared = model.prepare({name: f if len(f) > 1 else f[0] for name, f in inputs.items()})
        outputs = model.run(prepared)
        told = model.describe()[2] is not None
    sent = [
        input_report(name, file, way, len(fed.provenance) if len(given) == 1 else 1)
        # Lengths that the signature takes were added after them.
        for (name, given), fed in zip(inputs.items(), prepared.values(), strict=False)
        for file, way in zip(given, fed.provenance, strict=len(given) > 1)
    ]
    if out is not None:
        saved = {name: named(name, array) for name, array in outputs.items()}
        write_files({out: partial(save_npz, arrays=saved)})
    results = [output_report(name, outputs[name]) for name in sorted(outputs)]
    masked = masked_rows(outputs, told)
    for row, why in masked.items():
        complain("predict", f"row {row} is invalid and masked: {why}")
    if arguments.json:
        report = {
            "model": str(getattr(model, "directory", arguments.model)),
            "signature": model.signature,
            "inputs": sent,
            "outputs": [for_json(one) for one in results],
            "saved": str(out) if out is not None else None,
        }
        say(json.dumps(report, indent=2))
        return 1 if masked else 0
    rows = [
        [
            *(one["name"], one["dtype"], dimensions(one["shape"])),
            *map(number, (one["min"], one["mean"], one["max"])),
        ]
        for one in results
    ]
    fields([(one["name"], input_line(one)) for one in sent])
    if sent:
        say("")
    table(("name", "dtype", "shape", *STATISTICS), rows, right=STATISTICS)
    return 1 if masked else 0


def opened_model(arguments: argparse.Namespace) -> InProcess | Rest | Grpc:
    """The model of a directory, in this process, or of a URL."""
    if is_url(arguments.model):
        return server_client(arguments)
    check_place(arguments.model)
    import_quietly()
    return InProcess(Path(arguments.model), arguments.signature)


#: How a file was sent, in words for people.
SENT = {
    "untouched": "sent unchanged, read by {}",
    "packed": "packed by {}",
    "array": "its array is sent",
    "as it is": "its bytes are sent",
}


def input_report(name: str, file: ArrayFile | bytes, way: Provenance, rows: int) -> Report:
    """How the file of an input was sent, and how many rows it has."""
    path, key = (DASH, None) if isinstance(file, bytes) else (str(file.path), file.key)
    how, codecs = way.how, way.codecs
    return {"name": name, "file": path, "key": key, "how": how, "codecs": codecs, "rows": rows}


def input_line(report: Report) -> str:
    """The same for people."""
    sent = SENT[report["how"]].format(brief(report["codecs"] or ""))
    rows = f"a batch of {report['rows']}, " if report["rows"] > 1 else ""
    return f"{path_key(report['file'], report['key'])}: {rows}{sent}"
