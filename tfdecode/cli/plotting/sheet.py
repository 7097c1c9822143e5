"""A contact sheet: an array on one page, drawn by matplotlib without a display."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from ...dtypes import dtype_name
from ...extras import missing_extra
from ..failure import one_line
from ..inspecting.values import range_and_remarks, values
from ..show import dimensions
from .colours import GREY, colour_bar, colours_of, has_bar
from .draw import DRAW, ratio_of, write
from .panels import Drawing, drawing

#: Pixels: the largest area of the panels, the largest cell of a small matrix, what captions, ticks
#: and the colour bar take, and the margin.
DPI, WIDTH, HEIGHT, CELL, CAPTION, BAR, MARGIN = 100, 1360, 930, 110, 20, 90, 30


class Sheet:
    """A drawn page: ``figure`` is matplotlib's."""

    def __init__(self, figure: Any, drawn: Drawing) -> None:
        self.figure = figure
        self.panels = len(drawn.panels)
        self.note = "; ".join(drawn.notes)

    def save(self, file: BinaryIO) -> None:
        """Write a PNG; the same array gives the same bytes."""
        options: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": MARGIN / DPI, "dpi": DPI}
        with plain():
            self.figure.savefig(file, format="png", metadata={"Software": None}, **options)


def sheet(
    array: np.ndarray,
    name: str,
    axes: tuple[int, ...] | None = None,
    table: Sequence[str] | None = None,
) -> Sheet:
    """Draw ``array``; MissingExtraError without matplotlib, EncodeError without elements."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise missing_extra("matplotlib", "plot") from error
    drawn = drawing(array, axes, table)
    with plain():
        rows, columns, size = grid(drawn)
        figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout="compressed")
        FigureCanvasAgg(figure)
        colours = colours_of(drawn)
        for index, panel in enumerate(drawn.panels, 1):
            place = figure.add_subplot(rows, columns, index)
            DRAW[panel.kind](place, panel, drawn, colours)
            title: dict[str, Any] = {"fontsize": 8.5, "color": GREY, "pad": 3, "parse_math": False}
            place.set_title(panel.name, loc="left", **title)
        if has_bar(drawn):
            colour_bar(figure, drawn, colours)
        head(figure, array, name, drawn)
    return Sheet(figure, drawn)


@contextmanager
def plain() -> Iterator[None]:
    """matplotlib's own defaults, not the settings of its user, and without a word on stderr."""
    import matplotlib.style

    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        # It warns of characters that its font lacks, which are drawn as boxes.
        with matplotlib.style.context("default"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def grid(drawn: Drawing) -> tuple[int, int, tuple[float, float]]:
    """Rows and columns that give the largest panels, and the inches that they take."""
    first, count = drawn.panels[0], len(drawn.panels)
    ratio = ratio_of(first)
    widest = WIDTH if first.kind in ("points", "lines") else CELL * max(first.size[1], 2)

    def width(columns: int) -> float:
        return min(WIDTH / columns, HEIGHT / -(-count // columns) * ratio, widest)

    columns = max(range(1, count + 1), key=width)
    rows = -(-count // columns)
    across = max(columns * width(columns), 300) + BAR * has_bar(drawn)
    high = max(width(columns) / ratio, 60) + CAPTION
    return rows, columns, (across / DPI, rows * high / DPI)


def head(figure: Any, array: np.ndarray, name: str, drawn: Drawing) -> None:
    """Above the figure, outside of it: the name; dtype, shape and range; how to read the panels."""
    reach, remarks = range_and_remarks(values(array), array.shape)
    facts = [f"{dtype_name(array.dtype)} {dimensions(array.shape)}", remarks]
    facts.insert(1, f"values {reach}" if reach != "-" else "")
    name, half = one_line(name), int(max(figure.bbox.width, 800) / 28)  # characters that fit
    if len(name) > 2 * half:
        name = f"{name[:half]} ... {name[5 - half :]}"
    notes = list(drawn.notes)
    if drawn.labels is not None and len(drawn.labels) > 1:
        notes.append("grey: the commonest value")
    if drawn.odd:
        colour = "pink: " if drawn.panels[0].kind == "image" else ""
        notes.append(f"{colour}{drawn.odd:,} values that are not finite")
    top = 1 + (14 + 19 * bool(notes)) / figure.bbox.height
    write(figure, 0, top + 22 / figure.bbox.height, name, fontsize=15, fontweight="bold")
    write(figure, 0, top, "   ".join(filter(None, facts)), fontsize=10.5)
    write(figure, 0, top - 19 / figure.bbox.height, "; ".join(notes), fontsize=9, color=GREY)
