"""Process several files: a failure of one does not stop the others."""

from __future__ import annotations

import argparse
import json
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..codecs.chain_text import brief
from ..errors import TfdecodeError
from .failure import complain, note, one_line, reason
from .inputs import shown_path
from .show import dimensions, fits, progress, ratio, say, spent, table
from .source import path_key

#: A JSON object of ``--json``.
Report = Mapping[str, Any]

#: What people read of a packed or unpacked file: fields of a sentence, columns of a table.
CELLS: dict[str, Callable[[Report], str]] = {
    "file": lambda report: path_key(report["file"], report.get("key")),
    "dtype": lambda report: saved_dtype(report["dtype"], report.get("saved_dtype")),
    "shape": lambda report: dimensions(report["shape"]),
    "chain": lambda report: brief(report["codecs"]),
    "array bytes": lambda report: f"{report['array_bytes']:,}",
    "payload bytes": lambda report: f"{report['payload_bytes']:,}",
    "ratio": lambda report: ratio(report["array_bytes"], report["payload_bytes"]),
    "payload": lambda report: str(report["payload"]),
    "array": lambda report: str(report["array"]),
}
RIGHT = ("array bytes", "payload bytes", "ratio")
#: Files up to this many are listed, more are summed up by these cells.
MANY = 20
KIND = ("dtype", "shape", "chain")
SUMS = ("files", *RIGHT)


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """``--all`` and ``--json``."""
    many = f"print a line for each {what}, not a summary, if there are more than {MANY}"
    parser.add_argument("--all", action="store_true", help=many)
    parser.add_argument(
        "--json", action="store_true", help=f"print a JSON array, one object per {what}"
    )


def process_files(
    command: str,
    paths: Sequence[Path],
    work: Callable[[int], Report],
    sentence: str,
    arguments: argparse.Namespace,
) -> int:
    """Call ``work`` with the index of each path, print the reports, return the exit status.

    One file is printed as a ``sentence`` with fields of CELLS, several as a table if it fits,
    many as a summary: a row for each form and chain.
    """
    reports, failures = gather(command, paths, work)
    columns = [name for _, name, _, _ in string.Formatter().parse(sentence) if name]
    good = [report for report in reports if "error" not in report]
    if arguments.json:
        say(json.dumps(reports, indent=2))
    elif len(good) > MANY and not arguments.all:
        print_summary(good)
    else:
        rows = [[CELLS[column](report) for column in columns] for report in good]
        if len(paths) > 1 and rows and fits(columns, rows):
            table(columns, rows, RIGHT)
        else:
            for row in rows:
                say(one_line(sentence.format(**dict(zip(columns, row, strict=True)))))
    print_failures(command, failures, arguments.all)
    return 1 if failures else 0


def print_summary(reports: Sequence[Report]) -> None:
    """Sums over files that have dtype, shape and chain in common, and over all."""
    kinds: dict[tuple[str, ...], list[Report]] = {}
    for report in reports:
        kinds.setdefault(tuple(CELLS[column](report) for column in KIND), []).append(report)
    order = sorted(kinds, key=lambda kind: -len(kinds[kind]))
    rows = [[*sums(kinds[kind]), *kind] for kind in order[:MANY]]
    table((*SUMS, *KIND), rows, right=SUMS)
    if len(order) > MANY:
        say(f"and {len(order) - MANY:,} more kinds of array")
    files, before, after, times = sums(reports)
    say(f"{files} files, {before} array bytes, {after} payload bytes ({times}); --all lists them")


def sums(reports: Sequence[Report]) -> list[str]:
    """The cells of SUMS."""
    before = sum(report["array_bytes"] for report in reports)
    after = sum(report["payload_bytes"] for report in reports)
    return [f"{len(reports):,}", f"{before:,}", f"{after:,}", ratio(before, after)]


def print_failures(command: str, failures: Sequence[str], every: bool) -> None:
    """A line on stderr for each failure, or for the first of many."""
    shown = len(failures) if every else MANY
    for failure in failures[:shown]:
        complain(command, failure)
    if len(failures) > shown:
        complain(command, f"{len(failures) - shown:,} more files failed; --all lists them")


def gather(
    command: str, paths: Sequence[Path], work: Callable[[int], Report]
) -> tuple[list[Report], list[str]]:
    """The report of ``work`` on each path, and the reasons of those that failed."""
    reports: list[Report] = []
    failures: list[str] = []
    spent()  # of an earlier run in this process
    try:
        for index in progress(range(len(paths)), f"tfdecode {command}"):
            path = paths[index]
            try:
                reports.append(work(index))
            except (TfdecodeError, OSError, MemoryError) as error:
                text = reason(error, path).replace(str(path), shown_path(path))
                failures.append(text)
                reports.append({"file": shown_path(path), "error": one_line(text)})
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"after {len(reports):,} of {len(paths):,} files") from None
    if took := spent():
        note(took)
    return reports, failures


def saved_dtype(dtype: str, saved: str | None) -> str:
    """The dtype, and that of the saved file if it differs."""
    return dtype if saved in (None, dtype) else f"{dtype} (saved as {saved}, the same values)"
