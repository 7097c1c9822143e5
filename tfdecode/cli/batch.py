"""Process several files: a failure of one does not stop the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import TfdecodeError
from .failure import complain, one_line, reason
from .show import fits, progress, say, table

#: A JSON object of ``--json``; a TypedDict in the module that makes it.
Report = Mapping[str, Any]


def process_files(
    command: str,
    paths: Sequence[Path],
    work: Callable[[int], Report],
    *,
    as_json: bool,
    sentence: Callable[[Any], str],
    columns: Mapping[str, Callable[[Any], str]],
    right: Sequence[str],
) -> int:
    """Call ``work`` with the index of each path, print the reports, return the exit status.

    One file is printed as a ``sentence``; several as a table of ``columns``, or as sentences if
    the terminal is too narrow; with ``as_json`` all are one JSON array.
    """
    reports, failures = gather(command, paths, work)
    good = [report for report in reports if "error" not in report]
    rows = [[cell(report) for cell in columns.values()] for report in good]
    if as_json:
        say(json.dumps(reports, indent=2))
    elif len(paths) > 1 and good and fits(list(columns), rows):
        table(list(columns), rows, right)
    else:
        for report in good:
            say(one_line(sentence(report)))
    for failure in failures:
        complain(command, failure)
    return 1 if failures else 0


def gather(
    command: str, paths: Sequence[Path], work: Callable[[int], Report]
) -> tuple[list[Report], list[str]]:
    """The report of ``work`` on each path, and the reasons of those that failed."""
    reports: list[Report] = []
    failures: list[str] = []
    for index in progress(range(len(paths)), f"tfdecode {command}"):
        try:
            reports.append(work(index))
        except (TfdecodeError, OSError, MemoryError) as error:
            failures.append(reason(error, paths[index]))
            reports.append({"file": str(paths[index]), "error": one_line(failures[-1])})
    return reports, failures
