"""Text for people: lines and tables on stdout, progress on stderr."""

from __future__ import annotations

import io
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from .failure import one_line

Item = TypeVar("Item")


def say(text: str) -> None:
    """Print to stdout; escape characters that its encoding lacks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def dimensions(shape: Sequence[int | None]) -> str:
    """A shape without spaces, as ``[256,192,18]``."""
    return f"[{','.join(map(str, shape))}]"


def ratio(before: int, after: int) -> str:
    """How many times smaller, as ``12.3x``."""
    if not after:
        return "-"
    times = before / after
    return f"{times:,.0f}x" if times >= 100 else f"{times:.1f}x" if times >= 10 else f"{times:.2f}x"


def number(value: Any) -> str:
    """A statistic for people."""
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def plain(value: Any) -> Any:
    """``value`` for JSON, which has neither NaN nor infinity: those become None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def fits(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table of these cells is no wider than the terminal, if there is one."""
    widths = (max(map(len, cells)) for cells in zip(columns, *rows, strict=True))
    return not sys.stdout.isatty() or sum(widths) + 2 * len(columns) <= terminal_width()


def terminal_width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print a table; the columns named by ``right`` are right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    # Without a terminal there is no width: nothing is wrapped or cut.
    width = terminal_width() if terminal else 10_000
    lines = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        lines.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        # Text, not str: rich would read names with [brackets] as markup.
        lines.add_row(*(Text(one_line(cell)) for cell in row))
    buffer = io.StringIO()
    Console(file=buffer, width=width, force_terminal=terminal, highlight=False).print(lines)
    say("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()))


def fields(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values, a line each; pairs with an empty value are left out."""
    width = max((len(name) for name, _ in pairs), default=0)
    for name, text in pairs:
        if text:
            say(one_line(f"{name:{width}}  {text}"))


def progress(items: Sequence[Item], what: str) -> Iterator[Item]:
    """Iterate over ``items``, with a progress bar if stderr is a terminal and there are several."""
    if len(items) < 2 or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, console=Console(stderr=True), transient=True)
