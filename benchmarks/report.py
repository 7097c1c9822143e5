"""Tables of results: printed as they come, and written to ``RESULTS.md``."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = """# Results

Written by `make bench`, which takes some ten minutes; times are medians.
"""
PACKAGES = (
    *("tensorflow", "numpy", "isal", "deflate"),
    *("orjson", "tensorflow-datasets", "numcodecs", "opencv-python-headless"),
)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Table:
    """Results of a benchmark; the first ``words`` columns are words, the others numbers."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1

    def markdown(self) -> str:
        """The table under its title."""
        rule = ["---"] * self.words + ["---:"] * (len(self.columns) - self.words)
        lines = [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
            for cells in (self.columns, rule, *self.rows)
        ]
        return "\n".join([f"### {self.title}", "", self.note, "", *lines, ""])


def track(items: Iterable[Item], what: str) -> Iterable[Item]:
    """``items``, with a bar on stderr."""
    from rich.console import Console
    from rich.progress import track as bar

    return bar(list(items), what, console=Console(stderr=True), transient=True)


def machine() -> str:
    """What the numbers depend on."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    where = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return f"{where}, {', '.join(found)}"


def section(name: str, tables: Sequence[Table]) -> str:
    """One benchmark's part of the report."""
    head = f"## {name}\n\n`python -m benchmarks {name}` on {machine()}.\n"
    return "\n".join([head, *(table.markdown() for table in tables)])


def replaced(report: str, name: str, new: str, order: Sequence[str]) -> str:
    """``report`` with the section of ``name`` replaced by ``new``; sections are in ``order``."""
    sections = {}
    for text in report.split("\n## ")[1:]:
        sections[text.partition("\n")[0].strip()] = f"## {text.strip()}\n"
    sections[name] = new
    kept = [sections[key] for key in order if key in sections]
    return "\n".join([HEAD, *kept])


def write(name: str, tables: Sequence[Table], order: Sequence[str]) -> None:
    """Replace one benchmark's part of ``RESULTS.md``, the others stay."""
    report = RESULTS.read_text() if RESULTS.exists() else ""
    RESULTS.write_text(replaced(report, name, section(name, tables), order))
