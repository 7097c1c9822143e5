"""Text for people: lines and tables on stdout, progress on stderr."""

from __future__ import annotations

import io
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from .failure import one_line

Item = TypeVar("Item")
#: Seconds after which a command says what they were spent on.
SLOW = 10


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


def smaller(before: int, after: int) -> str:
    """How the sizes compare, before "than": ``12.3x smaller``, ``1.02x larger``, ``no smaller``."""
    if before == after or not before or not after:
        return "no smaller"
    larger = after > before
    return f"{ratio(max(before, after), min(before, after))} {'larger' if larger else 'smaller'}"


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
    """Iterate over ``items``; a terminal shows how far it is, and what `doing` says."""
    if not sys.stderr.isatty():
        yield from items
    elif len(items) < 2:
        SHOWN.append(lambda text: print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True))
        try:
            yield from items
        finally:
            SHOWN.pop()("")
    else:
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=len(items))
            SHOWN.append(lambda text: bar.update(task, description=f"{what}: {text}"))
            try:
                for item in items:
                    yield item
                    bar.advance(task)
            finally:
                SHOWN.pop()


#: What shows on the terminal what is being done, if anything does.
SHOWN: list[Callable[[str], object]] = []
#: Seconds that each kind of work has taken, and when the present one began.
SPENT: dict[str, float] = {}
_now = ("", 0.0)


def doing(what: str) -> None:
    """Say what begins now, and count the time of what ends."""
    global _now
    before, began = _now
    _now = what, time.perf_counter()
    if before:
        SPENT[before] = SPENT.get(before, 0.0) + _now[1] - began
    if SHOWN:
        SHOWN[-1](what)


def spent() -> str:
    """What the time since the last call went to, if it was long: ``57 s: packing 57.0 s``."""
    doing("")
    took = dict(SPENT)
    SPENT.clear()
    if sum(took.values()) < SLOW:
        return ""
    parts = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in took.items())
    return f"{sum(took.values()):.0f} s: {parts}"
