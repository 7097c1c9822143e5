"""Tables of results: printed as they come, and written to ``RESULTS.md``."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True)
class Table:
    """One benchmark's results; the first column is words, the others numbers."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table under its title."""
        rule = ["---"] + ["---:"] * (len(self.columns) - 1)
        lines = [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
            for cells in (self.columns, rule, *self.rows)
        ]
        return "\n".join([f"## {self.title}", "", self.note, "", *lines, ""])


def write(tables: Sequence[Table]) -> None:
    """Replace ``RESULTS.md``."""
    cores = os.cpu_count()
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "numpy"))
    where = f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, {packages}"
    head = ["# Results", "", f"Written by `make bench` on {where}. Times are medians.", ""]
    RESULTS.write_text("\n".join([*head, *(table.markdown() for table in tables)]))
