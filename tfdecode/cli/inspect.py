"""Tell what files are: array files, payloads, specs, schemas and SavedModels.

An array file gets a row for each array, with the range of its values and the narrowest dtype that
holds them exactly, and the chain by which a graph reads the file itself, or why none does. A
payload is decoded step by step by the spec beside it (PAYLOAD.json), that of --spec, or the one
that a png payload carries. Nothing of a file is run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from ..files import has_suffix, load
from ..schema import Schema
from ..spec import ArraySpec
from .batch import Facts, gather
from .failure import UsageError, complain
from .inspecting import arrays, models, payloads, specs
from .show import say
from .source import byte_count, chosen, keyed, place, read_spec, read_specs, source, spec_path
from .write import refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode inspect pose.pkl scene.mat                   the arrays in two files
  tfdecode inspect scene.mat --key S --plot scene.png   one of them, drawn
  tfdecode inspect pose.pkl.tfd                         a payload, by pose.pkl.tfd.json
  tfdecode inspect body.bin --spec model/1#pose_map
  tfdecode inspect model/                               signatures and byte inputs
  tfdecode inspect pose.pkl --json | jq '.[0].arrays[0].values.exact_in'
"""

#: Bytes of arrays that are read for their values, unless --max-bytes says otherwise.
MAX_BYTES = 2**28


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``inspect``."""
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        type=place,
        metavar="PATH",
        help="array file, payload, spec, schema or SavedModel; FILE#KEY for a part of it",
    )
    add("--key", help="which array of a file, or which input of a schema or model")
    add("--spec", metavar="SPEC", help="PATH is a payload of this: SPEC.json or MODEL_DIR#INPUT")
    add("--plot", type=picture, metavar="OUT.png", help="draw the array, a panel for each channel")
    add(
        "--max-bytes",
        type=byte_count,
        default=MAX_BYTES,
        metavar="N",
        help="read the values of so many bytes of arrays, or K, M, G: times 1024 (default: 256M)",
    )
    add("--json", action="store_true", help="print a JSON array with an object for each path")


def run(arguments: argparse.Namespace) -> int:
    """Inspect each path."""
    places: list[tuple[Path, str | None]] = arguments.paths
    places = keyed(places, arguments.key, "PATH")
    paths = [path for path, _ in places]
    spec = None
    protected = [*paths, *map(spec_path, filter(lambda path: path.name, paths))]
    if arguments.spec is not None:
        spec, origin = read_spec(arguments.spec)
        protected.append(origin)
    if arguments.plot is not None:
        if len(places) > 1:
            raise UsageError("argument --plot: needs one PATH")
        refuse_overwriting(protected, [arguments.plot])
    told, failures = gather(
        "inspect", paths, lambda index: inspect(*places[index], spec, arguments)
    )
    # A damaged file is described as far as it can be.
    failures += [facts["error"] for facts in told if "error" in facts and "kind" in facts]
    if arguments.json:
        say(json.dumps(told, indent=2))
    else:
        shown = [facts for facts in told if "kind" in facts]
        for index, facts in enumerate(shown):
            if index:
                say("")
            show(facts)
    for failure in failures:
        complain("inspect", failure)
    return 1 if failures else 0


def inspect(
    path: Path, key: str | None, spec: ArraySpec | None, arguments: argparse.Namespace
) -> Facts:
    """What one path is; its array is drawn where that is asked for."""
    facts, array = look(path, key, spec, arguments.max_bytes)
    if arguments.plot is not None and "error" not in facts:
        if facts["kind"] == "arrays":
            array = load(path, key, max_bytes=arguments.max_bytes)
        if array is None:
            raise FileError(f"{path}: no array to plot was read from this {facts['kind']}")
        facts["plot"] = draw(array, source({"file": path.name, "key": key}), arguments.plot)
    return facts


def look(
    path: Path, key: str | None, spec: ArraySpec | None, max_bytes: int
) -> tuple[Facts, np.ndarray | None]:
    """What one path is, and the array of a payload that decodes."""
    if spec is not None:
        return payloads.facts(path, keyless(path, spec, key), "--spec", max_bytes)
    if path.name == "saved_model.pb":
        path = path.parent
    if path.is_dir():
        if key is None:
            return models.facts(path), None
        return specs.file_facts(path, chosen(Schema.load(path), key)), None
    if path.suffix == ".json" and (path.is_file() or not path.exists()):  # a pipe would block
        found = read_specs(path)
        return specs.file_facts(path, found if key is None else chosen(found, key)), None
    if ".tfrecord" in path.suffixes and path.is_file():
        raise FileError(
            f"{path}: is a TFRecord of examples; tf.data.TFRecordDataset reads it, and its schema "
            f"is {spec_path(path).name}"
        )
    beside = not has_suffix(path) and path.name and spec_path(path).is_file()
    if path.suffix == ".tfd" or beside or payloads.is_png(path):
        spec, origin = payloads.find_spec(path)
        return payloads.facts(path, keyless(path, spec, key), origin, max_bytes)
    return arrays.facts(path, key, max_bytes), None


def keyless(path: Path, spec: ArraySpec, key: str | None) -> ArraySpec:
    """The spec of a payload, which has no parts to choose from."""
    if key is not None:
        raise FileError(f"{path}: is a payload of one array, so it has no key {key}")
    return spec


def draw(array: np.ndarray, name: str, out: Path) -> dict[str, Any]:
    """Draw ``array`` into ``out``, and what to tell of the picture."""
    from .plotting.sheet import sheet  # matplotlib: only for those who draw

    figure = sheet(array, name)
    write_files({out: figure.save})
    return {"file": str(out), "panels": figure.panels, "note": figure.note}


def show(facts: Facts) -> None:
    """What one path is, for people."""
    KINDS[facts["kind"]](facts)
    if "plot" in facts:
        plot = facts["plot"]
        panels = f"{plot['panels']} panel{'' if plot['panels'] == 1 else 's'}"
        say(f"drawn in {plot['file']}: {panels}")


KINDS = {
    "arrays": arrays.show,
    "payload": payloads.show,
    "spec": specs.show,
    "schema": specs.show,
    "model": models.show,
}


def picture(text: str) -> Path:
    """The argument of ``--plot``."""
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a .png")
    return path
