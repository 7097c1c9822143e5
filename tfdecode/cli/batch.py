"""Process several files: a failure of one does not stop the others."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..codecs.chain_text import brief
from ..errors import TfdecodeError
from .failure import complain, one_line, reason
from .show import dimensions, fits, progress, ratio, say, table
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


def process_files(
    command: str,
    paths: Sequence[Path],
    work: Callable[[int], Report],
    sentence: str,
    as_json: bool,
) -> int:
    """Call ``work`` with the index of each path, print the reports, return the exit status.

    One file is printed as a ``sentence`` with fields of CELLS, several as a table if it fits.
    """
    reports, failures = gather(command, paths, work)
    columns = [name for _, name, _, _ in string.Formatter().parse(sentence) if name]
    rows = [
        [CELLS[column](report) for column in columns] for report in reports if "error" not in report
    ]
    if as_json:
        say(json.dumps(reports, indent=2))
    elif len(paths) > 1 and rows and fits(columns, rows):
        table(columns, rows, RIGHT)
    else:
        for row in rows:
            say(one_line(sentence.format(**dict(zip(columns, row, strict=True)))))
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


def saved_dtype(dtype: str, saved: str | None) -> str:
    """The dtype, and that of the saved file if it differs."""
    return dtype if saved in (None, dtype) else f"{dtype} (saved as {saved}, the same values)"
