"""Describe files: array files, payloads, specs, schemas and SavedModels.

For an array file: one line per array with its value range, the narrowest dtype that holds it
exactly, and whether a graph can read the file directly.
For a payload: whether it decodes, and what each step of its chain makes. The spec is --spec,
PAYLOAD.json next to it, or the spec inside a png payload.
For a SavedModel: its signatures and byte inputs. Nothing in a file is executed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import data_set_of
from ..errors import FileError
from ..files import has_suffix, load
from ..schema import Schema, version_directory
from ..spec import ArraySpec
from .batch import Report, gather
from .failure import UsageError, complain
from .inputs import files_below
from .inspecting import arrays, models, payloads, specs
from .parsing import argument, byte_count, sides
from .show import say
from .source import (
    add_missing,
    dtype_text,
    given_spec,
    listing_of,
    parse_path_key,
    path_key,
    read_specs,
    reading_of,
    select_input,
    spec_path,
    with_key,
)
from .write import refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode inspect pose.pkl scene.mat                   the arrays in two files
  tfdecode inspect scene.mat --key S --plot scene.png   a picture of one array
  tfdecode inspect scan.npy --plot scan.png --axis 0    a panel for each index of axis 0
  tfdecode inspect pose.pkl.tfd                         a payload; pose.pkl.tfd.json is its spec
  tfdecode inspect body.bin --spec model/1#pose_map
  tfdecode inspect scans/                               each array file in it and below
  tfdecode inspect model/                               signatures and byte inputs
  tfdecode inspect pose.pkl --json | jq '.[0].arrays[0].values.exact_in'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``inspect``."""
    add = parser.add_argument
    paths = "array file, payload, spec, schema, SavedModel, or directory; FILE#KEY for a part of it"
    add("paths", nargs="+", type=parse_path_key, metavar="PATH", help=paths)
    add("--key", help="which array of a file, or which input of a schema or model")
    add("--spec", metavar="SPEC", help="spec of the payload PATH: SPEC.json or MODEL_DIR#INPUT")
    add("--plot", type=picture, metavar="OUT.png", help="plot the array, one panel per channel")
    axis = "draw axes R and C as rows and columns, or a panel for each index of axis N"
    add("--axis", type=axis_numbers, metavar="R,C|N", help=axis)
    limit = "read at most N bytes of array values; 4K, 4M and 4G are allowed (default: 256M)"
    add("--max-bytes", type=byte_count, default=2**28, metavar="N", help=limit)
    add("--all", action="store_true", help="read, try and list each array of a file of many")
    add_missing(parser)
    headerless = "of a file without a header (.bin)"
    add("--dtype", type=argument(dtype_text), help=f"dtype of the numbers {headerless}")
    add("--shape", type=sides, help=f"shape {headerless}, as -1,4; one size may be -1")
    add("--json", action="store_true", help="print a JSON array, one object per path")


def run(arguments: argparse.Namespace) -> int:
    """Inspect each path."""
    given = with_key(arguments.paths, arguments.key, "PATH")
    keyed_paths = [one for path, key in given for one in paths_in(path, key)]
    paths = [path for path, _ in keyed_paths]
    if arguments.axis is not None and arguments.plot is None:
        raise UsageError("argument --axis: needs --plot")
    spec, origin = given_spec(arguments.spec)
    if arguments.plot is not None:
        if len(paths) > 1:
            raise UsageError("argument --plot: needs one PATH")
        protected = [*paths, *map(spec_path, filter(lambda path: path.name, paths)), *origin]
        refuse_overwriting(protected, [arguments.plot])
    reports, failures = gather(
        "inspect", paths, lambda index: inspect(*keyed_paths[index], spec, arguments)
    )
    described = [report for report in reports if "kind" in report]
    # A damaged file is described as far as possible.
    failures += [report["error"] for report in described if "error" in report]
    if arguments.json:
        say(json.dumps(reports, indent=2))
    else:
        for index, report in enumerate(described):
            if index:
                say("")
            print_report(report, arguments.all)
    for failure in failures:
        complain("inspect", failure)
    return 1 if failures else 0


def inspect(
    path: Path, key: str | None, spec: ArraySpec | None, arguments: argparse.Namespace
) -> Report:
    """The report on one path; its array is plotted if ``--plot`` is given."""
    report, array = describe(path, key, spec, arguments)
    if arguments.plot is not None and "error" not in report:
        if report["kind"] == "arrays":
            array = load(path, key, **reading_of(arguments))
        if array is None:
            raise FileError(f"{path}: no array to plot was read from this {report['kind']}")
        table = report.get("columns") if report.get("format") == "csv" else None
        name = path_key(path.name, key)
        return {**report, "plot": draw(array, name, arguments.plot, arguments.axis, table)}
    return report


def paths_in(path: Path, key: str | None) -> list[tuple[Path, str | None]]:
    """The array files in a directory and below; ``path`` if it is a file, or of a model."""
    if not path.is_dir():
        return [(path, key)]
    with contextlib.suppress(FileError):
        version_directory(path)
        return [(path, key)]
    files = sorted(file for file in files_below(path) if has_suffix(file))
    if not files:
        raise FileError(f"{path}: is a directory without array files, and not of a model")
    return [(file, key) for file in files]


def describe(
    path: Path, key: str | None, spec: ArraySpec | None, arguments: argparse.Namespace
) -> tuple[Report, np.ndarray | None]:
    """The report on one path, and the array of a payload that decodes."""
    max_bytes: int = arguments.max_bytes
    if spec is not None:
        return payloads.report(path, without_key(path, spec, key), "--spec", max_bytes)
    if path.name == "saved_model.pb":
        path = path.parent
    if path.is_dir():
        if key is None:
            return models.report(path), None
        return specs.file_report(path, select_input(Schema.load(path), key)), None
    if path.suffix == ".json" and (path.is_file() or not path.exists()):  # a pipe would block
        found = read_specs(path)
        return specs.file_report(path, found if key is None else select_input(found, key)), None
    if ".tfrecord" in path.suffixes and path.is_file():
        raise FileError(
            f"{path}: is a TFRecord; read it with tf.data.TFRecordDataset, "
            f"its schema is {data_set_of(path).name}.json"
        )
    unnamed = not has_suffix(path) or path.suffix == ".png"  # payloads can be PNG images, too
    with_spec = unnamed and path.name and spec_path(path).is_file()
    if path.suffix == ".tfd" or with_spec or payloads.has_embedded(path):
        spec, origin = payloads.find_spec(path)
        return payloads.report(path, without_key(path, spec, key), origin, max_bytes)
    options = {**listing_of(arguments), "every": arguments.all}
    return arrays.report(path, key, **options), None


def without_key(path: Path, spec: ArraySpec, key: str | None) -> ArraySpec:
    """``spec``; FileError if there is a key, because a payload has one array."""
    if key is not None:
        raise FileError(f"{path}: is a payload of one array, so it has no key {key}")
    return spec


def draw(
    array: np.ndarray,
    name: str,
    out: Path,
    axes: tuple[int, ...] | None,
    table: Sequence[str] | None,
) -> dict[str, Any]:
    """Draw ``array`` into ``out``; returns the report on the picture."""
    from .plotting.sheet import sheet  # matplotlib: only if it is used

    figure = sheet(array, name, axes, table)
    write_files({out: figure.save})
    return {"file": str(out), "panels": figure.panels, "note": figure.note}


def print_report(report: Report, every: bool) -> None:
    """Print the report on one path for people."""
    if report["kind"] == "arrays":
        arrays.print_report(report, every)
    else:
        PRINT[report["kind"]](report)
    if "plot" in report:
        plot = report["plot"]
        panels = f"{plot['panels']} panel{'' if plot['panels'] == 1 else 's'}"
        say(f"drawn in {plot['file']}: {panels}{'; ' if plot['note'] else ''}{plot['note']}")


PRINT: dict[str, Callable[[Any], None]] = {
    "payload": payloads.print_report,
    "spec": specs.print_report,
    "schema": specs.print_report,
    "model": models.print_report,
}


def axis_numbers(text: str) -> tuple[int, ...]:
    """The argument of ``--axis``: one number, or two."""
    found = re.fullmatch(r"([0-9]{1,2})(?:,([0-9]{1,2}))?", text)
    axes = tuple(int(number) for number in found.groups() if number) if found else ()
    if not axes or len(set(axes)) < len(axes):
        raise argparse.ArgumentTypeError(f"{text!r} is not one axis or two, as 0 or 1,2")
    return axes


def picture(text: str) -> Path:
    """The argument of ``--plot``."""
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a .png")
    return path
