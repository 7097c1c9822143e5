"""Run a model on arrays and files: a SavedModel in this process, or the model of a server.

An input with a spec is packed by it, from an array file or a payload (.tfd). If the input's chain
can read an array file directly, the whole file is sent unchanged. For other string inputs, the
bytes of the file are sent (for example an encoded image); for other numeric inputs, its array.

Arrays of files are converted to the dtype of the input, if no value changes or as --casting allows.
Give NAME several times to send a batch of rows. A line for each file says how it was sent; the
outputs follow.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..client.grpc import Grpc
from ..client.in_process import InProcess
from ..client.inputs import ArrayFile, Provenance
from ..client.rest import Rest
from ..codecs.chain_text import brief
from ..errors import EncodeError, shown
from ..graph.rows import Status
from .batch import Report
from .failure import complain
from .npy import savable, save_npz
from .quiet_import import import_quietly
from .schema import add_headers, is_url, server_client
from .show import dimensions, fields, number, plain, say, table
from .source import (
    add_casting,
    add_limit,
    add_missing,
    path_key,
    reading_of,
    refuse_dash,
    split_fragment,
)
from .write import named_path, refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode predict model/ pose_map=pose.pkl image_bytes=person.png
  tfdecode predict model/2 labels=scene.mat#S -o out.npz
  tfdecode predict model/ pose_map=a.pkl pose_map=b.pkl --json     a batch of two
  tfdecode predict http://localhost:8501/v1/models/pose pose_map=pose.pkl
  tfdecode predict grpc://localhost:8500/v1/models/pose pose_map=pose.pkl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``predict``."""
    add = parser.add_argument
    model = "SavedModel, or the directory of its versions, or the URL of a server's model"
    add("model", metavar="MODEL", help=model)
    add("inputs", nargs="*", type=assignment, metavar="NAME=FILE[#KEY]", help="input of the model")
    run = "signature to run (default: that of the schema, else serving_default)"
    add("--signature", metavar="S", help=run)
    add("-o", type=output, metavar="OUT.npz", help="save all outputs")
    add_headers(parser)
    add_limit(parser)
    add_missing(parser)
    add_casting(parser)
    add("--json", action="store_true", help="print a JSON object")


def output(text: str) -> Path:
    """The argument of ``-o``."""
    refuse_dash(text)
    return named_path(text)


def assignment(text: str) -> tuple[str, ArrayFile]:
    """The argument ``NAME=FILE[#KEY]``."""
    name, mark, file = text.partition("=")
    if not (name and mark and file):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    refuse_dash(file)
    return name, ArrayFile(*split_fragment(file))


def run(arguments: argparse.Namespace) -> int:
    """Run the model once."""
    inputs: dict[str, list[ArrayFile]] = {}
    for name, file in arguments.inputs:
        inputs.setdefault(name, []).append(replace(file, **reading_of(arguments)))
    out: Path | None = arguments.o
    if out is not None:
        refuse_overwriting([file.path for _, file in arguments.inputs], [out])
    with opened_model(arguments) as model:
        # One file is not a list of one: it may be a batch as it is, or have no batch dimension.
        prepared = model.prepare({name: f if len(f) > 1 else f[0] for name, f in inputs.items()})
        outputs = model.run(prepared)
    sent = [
        input_report(name, file, way)
        # Lengths that the signature takes were added after them.
        for (name, files), fed in zip(inputs.items(), prepared.values(), strict=False)
        for file, way in zip(files, fed.provenance, strict=True)
    ]
    if out is not None:
        saved = {name: named(name, array) for name, array in outputs.items()}
        write_files({out: partial(save_npz, arrays=saved)})
    results = [output_report(name, outputs[name]) for name in sorted(outputs)]
    masked = masked_rows(outputs)
    for row, why in masked.items():
        complain("predict", f"row {row} is invalid and masked: {why}")
    if arguments.json:
        report = {
            "model": str(getattr(model, "directory", arguments.model)),
            "signature": model.signature,
            "inputs": sent,
            "outputs": [{key: plain(value) for key, value in one.items()} for one in results],
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
    import_quietly()
    return InProcess(Path(arguments.model), arguments.signature)


#: How a file was sent, in words for people.
SENT = {
    "untouched": "sent unchanged, read by {}",
    "packed": "packed by {}",
    "array": "its array is sent",
    "as it is": "its bytes are sent",
}


def input_report(name: str, file: ArrayFile, way: Provenance) -> Report:
    """How the file of an input was sent."""
    path, how, codecs = str(file.path), way.how, way.codecs
    return {"name": name, "file": path, "key": file.key, "how": how, "codecs": codecs}


def input_line(report: Report) -> str:
    """The same for people."""
    sent = SENT[report["how"]].format(brief(report["codecs"] or ""))
    return f"{path_key(report['file'], report['key'])}: {sent}"


def masked_rows(outputs: Mapping[str, np.ndarray]) -> dict[int, str]:
    """Invalid rows of a model that was exported with ``on_invalid="mask"``, and why."""
    status = outputs.get("status")
    if status is None or status.dtype != np.int32 or status.ndim != 1:
        return {}
    names = {int(code): code.name for code in Status}
    return {row: names.get(int(code), str(code)) for row, code in enumerate(status) if code}


STATISTICS = ("min", "mean", "max")


def output_report(name: str, array: np.ndarray) -> Report:
    """The dtype, shape and statistics of an output."""
    string = array.dtype.kind == "O"
    low = mean = high = None
    if array.size and not string and array.dtype.kind != "c":
        # float64 for what numpy has no statistics of: bool, bfloat16, and sums beyond float16.
        exact = array if array.dtype.kind in "iu" else array.astype(np.float64)
        low, high = exact.min().item(), exact.max().item()
        mean = float(np.mean(exact, dtype=np.float64))
    dtype, shape = "string" if string else array.dtype.name, list(array.shape)
    form = {"name": name, "dtype": dtype, "shape": shape}
    return {**form, "min": low, "mean": mean, "max": high}


def named(name: str, array: np.ndarray) -> np.ndarray:
    """An output as it is saved; EncodeError names one that cannot be saved."""
    if name.startswith("/") or ".." in name.split("/"):  # a server may say anything
        raise EncodeError(f"output {shown(name)}: is no name of an array in a .npz")
    try:
        return savable(array)
    except EncodeError as error:
        raise EncodeError(f"output {name}: {error}") from None
