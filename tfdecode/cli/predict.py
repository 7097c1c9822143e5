"""Run a SavedModel in this process on arrays and files, as a server would run it.

Inputs that are arrays to the model are packed as its schema says, from an array file or a payload
(.tfd); an array file that the chain of the input reads as it is goes untouched, all of it. Other
strings get the bytes of the file, as an encoded image; other numbers its array. The dtype of a file
is converted where every value stays the same. A NAME given several times makes a batch of as many
rows. What was done with each file is told above the table of the outputs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..client.in_process import InProcess
from ..client.inputs import ArrayFile, Provenance
from ..codecs.chain_text import brief
from ..errors import EncodeError
from ..formats.contents import MAX_BYTES
from ..graph.rows import Status
from .batch import Facts
from .failure import complain
from .npy import savable, save_npz
from .quiet_import import import_quietly
from .show import dimensions, fields, number, plain, say, table
from .source import LIMIT, byte_count, source, split_fragment
from .write import named_path, refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode predict model/ pose_map=pose.pkl image_bytes=person.png
  tfdecode predict model/2 labels=scene.mat#S -o out.npz
  tfdecode predict model/ pose_map=a.pkl pose_map=b.pkl --json     a batch of two
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``predict``."""
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL_DIR", help="SavedModel, or the base path of versions")
    add("inputs", nargs="*", type=assignment, metavar="NAME=FILE[#KEY]", help="input of the model")
    add("--signature", default="serving_default", metavar="S", help="default: %(default)s")
    add("-o", type=named_path, metavar="OUT.npz", help="save all outputs")
    add("--max-bytes", type=byte_count, default=MAX_BYTES, metavar="N", help=LIMIT)
    add("--json", action="store_true", help="print a JSON object")


def assignment(text: str) -> tuple[str, ArrayFile]:
    """The argument ``NAME=FILE[#KEY]``."""
    name, mark, file = text.partition("=")
    if not (name and mark and file):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    return name, ArrayFile(*split_fragment(file))


def run(arguments: argparse.Namespace) -> int:
    """Run the model once."""
    inputs: dict[str, list[ArrayFile]] = {}
    for name, file in arguments.inputs:
        limited = replace(file, max_bytes=arguments.max_bytes)
        inputs.setdefault(name, []).append(limited)
    out: Path | None = arguments.o
    if out is not None:
        refuse_overwriting([file.path for _, file in arguments.inputs], [out])
    import_quietly()
    with InProcess(arguments.model, arguments.signature) as model:
        # One file is not a list of one: it may be a batch as it is, or have no batch dimension.
        prepared = model.prepare({name: f if len(f) > 1 else f[0] for name, f in inputs.items()})
        outputs = model.run(prepared)
    sent = [
        input_facts(name, file, way)
        for (name, files), fed in zip(inputs.items(), prepared.values(), strict=True)
        for file, way in zip(files, fed.provenance, strict=True)
    ]
    if out is not None:
        saved = {name: named(name, array) for name, array in outputs.items()}
        write_files({out: partial(save_npz, arrays=saved)})
    facts = [{"name": name, **summary(outputs[name])} for name in sorted(outputs)]
    masked = masked_rows(outputs)
    for row, why in masked.items():
        complain("predict", f"row {row} was refused and is masked: {why}")
    if arguments.json:
        told = {
            "model": str(model.directory),
            "signature": model.signature,
            "inputs": sent,
            "outputs": [{key: plain(value) for key, value in fact.items()} for fact in facts],
            "saved": str(out) if out is not None else None,
        }
        say(json.dumps(told, indent=2))
        return 1 if masked else 0
    rows = [
        [fact["name"], fact["dtype"], dimensions(fact["shape"]), *map(number, statistics(fact))]
        for fact in facts
    ]
    fields([(fact["name"], f"{source(fact)}: {spoken(fact)}") for fact in sent])
    if sent:
        say("")
    table(("name", "dtype", "shape", *STATISTICS), rows, right=STATISTICS)
    return 1 if masked else 0


WORDS = {
    "untouched": "sent untouched, read by {}",
    "packed": "packed by {}",
    "array": "its array is sent",
    "as it is": "sent as it is",
}


def input_facts(name: str, file: ArrayFile, way: Provenance) -> Facts:
    """What was done with the file of an input."""
    return {"name": name, "file": str(file.path), "key": file.key, **way._asdict()}


def spoken(fact: Facts) -> str:
    """The same in words, behind the name of the file."""
    return WORDS[fact["how"]].format(brief(fact["codecs"] or ""))


def masked_rows(outputs: Mapping[str, np.ndarray]) -> dict[int, str]:
    """The rows that a model exported with ``on_invalid="mask"`` refused, and why."""
    status = outputs.get("status")
    if status is None or status.dtype != np.int32 or status.ndim != 1:
        return {}
    names = {int(code): code.name for code in Status}
    return {row: names.get(int(code), str(code)) for row, code in enumerate(status) if code}


STATISTICS = ("min", "mean", "max")


def summary(array: np.ndarray) -> dict[str, Any]:
    """The dtype and shape of an output, and its least, mean and greatest value if it has any."""
    string = array.dtype.kind == "O"
    facts = {"dtype": "string" if string else array.dtype.name, "shape": list(array.shape)}
    values: list[Any] = [None] * 3
    if array.size and not string and array.dtype.kind != "c":
        # float64 for what numpy has no statistics of: bool, bfloat16, and sums beyond float16.
        exact = array if array.dtype.kind in "iu" else array.astype(np.float64)
        values = [exact.min().item(), float(np.mean(exact, dtype=np.float64)), exact.max().item()]
    return {**facts, **dict(zip(STATISTICS, values, strict=True))}


def statistics(facts: dict[str, Any]) -> list[Any]:
    """The three numbers of a summary."""
    return [facts[name] for name in STATISTICS]


def named(name: str, array: np.ndarray) -> np.ndarray:
    """An output as it is saved; EncodeError tells which one cannot be."""
    try:
        return savable(array)
    except EncodeError as error:
        raise EncodeError(f"output {name}: {error}") from None
