"""A contact sheet: an array on one page, drawn by matplotlib without a display."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from ...dtypes import dtype_name
from ...extras import missing_extra
from ..failure import one_line
from ..inspecting.values import spoken, values
from ..show import dimensions
from .colours import GREY, colour_bar, colours_of, has_bar
from .draw import DRAW, caption, write
from .panels import Drawing, Panel, drawing

#: Of the picture, in pixels; the page is as high as it needs to be.
DPI, WIDTH, HEIGHT = 100, 1500, 1050
MARGIN, GAP, CAPTION, TITLE, BAR = 40, 14, 20, 72, 110
#: The largest cell of a small matrix, and the largest patch of a label beside a map.
CELL, PATCH = 110, 30


class Sheet:
    """A drawn page: ``figure`` is matplotlib's."""

    def __init__(self, figure: Any, drawn: Drawing) -> None:
        self.figure = figure
        self.panels = len(drawn.panels)
        self.note = "; ".join(drawn.notes)

    def save(self, file: BinaryIO) -> None:
        """Write a PNG; the same array gives the same bytes."""
        with plain():
            self.figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})


def sheet(array: np.ndarray, name: str) -> Sheet:
    """Draw ``array`` under the title ``name``.

    Raises MissingExtraError without matplotlib, EncodeError for an array without elements.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise missing_extra("matplotlib", "plot") from error
    drawn = drawing(array)
    with plain():
        boxes, width, height = layout(drawn)
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        title(figure, array, name, drawn, (width, height))
        colours = colours_of(drawn)
        for panel, box in zip(drawn.panels, boxes, strict=True):
            axes = figure.add_axes(fraction(box, width, height))
            DRAW[panel.kind](axes, panel, drawn, colours)
            if panel.name:
                caption(axes, panel.name)
        if has_bar(drawn):
            left = max(x + w for x, _, w, _ in boxes) + 24
            top, bottom = boxes[0][1], max(y + h for _, y, _, h in boxes)
            tall = bottom - top
            if drawn.labels is not None:
                tall = min(tall, PATCH * len(drawn.labels))
            bar = fraction((left, top, 20, tall), width, height)
            colour_bar(figure.add_axes(bar), drawn, colours, tall)
    return Sheet(figure, drawn)


@contextmanager
def plain() -> Iterator[None]:
    """matplotlib as it comes, not as its user has set it up, and without a word on stderr."""
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


Box = tuple[float, float, float, float]  # left, top, width, height in pixels


def layout(drawn: Drawing) -> tuple[list[Box], float, float]:
    """Where the panels stand, and how large the page is: as large panels as fit."""
    bar = BAR if has_bar(drawn) else 0
    start = TITLE + (20 if remarks_of(drawn) else 0)
    room = WIDTH - 2 * MARGIN - bar, HEIGHT - start - MARGIN
    count = len(drawn.panels)
    ticks = 0 if drawn.panels[0].kind == "image" and count > 1 else 44
    across, down = GAP + ticks, GAP + ticks // 2
    above = CAPTION if drawn.panels[0].name or count > 1 else 0
    aspect = min(8.0, max(1 / 8, shape_of(drawn.panels[0])))
    best = (0.0, 0.0, 1)
    for columns in range(1, count + 1):
        rows = -(-count // columns)
        width = (room[0] - columns * across) / columns
        height = (room[1] - rows * (down + above)) / rows
        fit = min(width, height * aspect)
        if drawn.panels[0].kind == "image":
            fit = min(fit, CELL * max(drawn.panels[0].size[1], 2))
        if fit > best[0]:
            best = fit, fit / aspect, columns
    width, height, columns = best
    height = max(height, 60)
    boxes = []
    for index in range(count):
        row, column = divmod(index, columns)
        left = MARGIN + ticks + column * (width + across)
        boxes.append((left, start + above + row * (height + down + above), width, height))
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    return boxes, max(900.0, right + bar + MARGIN), max(300.0, bottom + ticks // 2 + MARGIN)


def shape_of(panel: Panel) -> float:
    """Width over height."""
    if panel.kind == "image":
        return panel.size[1] / panel.size[0]
    return 2.4 if panel.kind == "lines" else 1.25


def fraction(box: Box, width: float, height: float) -> tuple[float, float, float, float]:
    """A box as matplotlib wants it: from the bottom left, in shares of the page."""
    left, top, across, down = box
    return left / width, 1 - (top + down) / height, across / width, down / height


def title(
    figure: Any, array: np.ndarray, name: str, drawn: Drawing, size: tuple[float, float]
) -> None:
    """The name; then dtype, shape and range; then what must be known to read the panels."""
    width, height = size
    left = MARGIN / width
    reach, remarks = spoken(values(array), array.shape)
    lines = [
        f"{dtype_name(array.dtype)} {dimensions(array.shape)}",
        f"values {reach}" * (reach != "-"),
        remarks,
    ]
    most = int((width - 2 * MARGIN) / 14)  # characters of the name that fit
    name = one_line(name)
    if len(name) > most:
        name = f"{name[: most // 2]} ... {name[-most // 2 + 5 :]}"
    write(figure, left, 1 - 34 / height, name, fontsize=15, fontweight="bold")
    write(figure, left, 1 - 56 / height, "   ".join(filter(None, lines)), fontsize=10.5)
    write(figure, left, 1 - 75 / height, remarks_of(drawn), fontsize=9, color=GREY)


def remarks_of(drawn: Drawing) -> str:
    """What must be known to read the panels."""
    notes = list(drawn.notes)
    if drawn.odd:
        colour = "pink: " if drawn.panels[0].kind == "image" else ""
        notes.append(f"{colour}{drawn.odd:,} values that are not finite")
    return "; ".join(notes)
