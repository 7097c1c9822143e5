"""What to draw of an array: images, points, lines or tables, small enough for a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ...errors import EncodeError
from ...statistics import few
from ..inspecting.values import real_numbers

#: Panels on a page, and pixels along a side of all of them together.
PANELS, PIXELS = 64, 2400
#: Distinct whole numbers of a label map, which get a colour each.
LABELS = 40
#: Points that are drawn of a scatter, and of a line: a line has twice as many as pixels.
POINTS, LINE_POINTS = 20_000, 4000
#: Columns of an array that is drawn as lines, coordinates of points.
COLUMNS, COORDINATES = 8, 4
#: Columns of a table from a text, which get a panel each, and rows from which on they do.
TABLE_COLUMNS, TABLE_ROWS = 16, 8
#: The least maximum of uint8 pixels: labels are smaller numbers.
BRIGHT = 64


@dataclass(frozen=True)
class Panel:
    """One picture: an image ``[h, w]``, colours ``[h, w, 3 or 4]``, points or lines ``[n, k]``."""

    name: str
    kind: Literal["image", "colours", "points", "lines"]
    data: np.ndarray
    #: The shape before pixels or steps were left out.
    size: tuple[int, ...]
    #: Of lines, what they are drawn over, and its name; None for the index of the row.
    over: np.ndarray | None = None
    over_name: str = ""


@dataclass(frozen=True)
class Drawing:
    """The panels, and what is common to them."""

    panels: list[Panel]
    #: The range of all finite values.
    low: float
    high: float
    #: The distinct values of a label map, or None if colours are a scale.
    labels: np.ndarray | None
    notes: list[str]
    #: How many values are not finite, and whether any value is finite.
    odd: int
    finite: bool


def drawing(
    array: np.ndarray,
    axes: tuple[int, ...] | None = None,
    table: Sequence[str] | None = None,
) -> Drawing:
    """Choose what to draw; EncodeError for an array without elements.

    ``axes`` are those of the rows and the columns of an image, or that of its panels. ``table``
    are the names of the columns of a table, as far as there are names.
    """
    if axes is not None:
        axes = rows_and_columns(axes, array.ndim)
    if not array.size:
        raise EncodeError("array has no elements, so there is nothing to draw")
    notes = []
    x = real_numbers(array)
    if x.dtype.kind == "c":
        notes.append("magnitude of complex numbers")
        with np.errstate(over="ignore"):
            x = np.abs(x)
    x = x if axes else without_single_axes(x)
    good = np.isfinite(x) if x.dtype.kind == "f" else None
    finite = x if good is None or good.all() else x[good]
    if x.dtype.kind in "iu" and max(abs(int(x.min())), int(x.max())) >= 2**53:
        base = int(x.min())
        if int(x.max()) - base < 2**53:  # a float64 would drop what makes them differ
            notes.append(f"differences from {base}")
            x = finite = x - x.min()
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    unit = unit_of(low, high)
    if unit != 1:
        notes.append(f"in units of {unit:g}")
    colours = unit == 1 and axes is None and finite.size == x.size and are_colours(x, low, high)
    if table is not None and len(x) >= TABLE_ROWS and x.ndim == 2 and x.shape[1] <= TABLE_COLUMNS:
        panels = list(columns(x, table, notes))
    elif axes is not None or (colours and has_colours(x.shape)):
        panels = list(images(x, notes, axes, array.ndim - x.ndim, colours))
    else:
        panels = list(panels_of(x, notes, array.ndim - x.ndim))
    labels = labels_of(finite) if panels[0].kind == "image" else None
    if unit != 1:
        panels = [replace(p, data=np.asarray(p.data, np.float64) / unit) for p in panels]
        labels = None if labels is None else labels / unit
    return Drawing(
        panels, low / unit, high / unit, labels, notes, x.size - finite.size, finite.size > 0
    )


def rows_and_columns(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The axes of rows and columns; one axis is that of panels, the two others are drawn."""
    if max(axes) >= rank:
        raise EncodeError(f"array has {rank} axes, counted from 0, so there is no axis {max(axes)}")
    if len(axes) == 1 and rank != 3:
        raise EncodeError(
            f"array has {rank} axes, and one axis of panels leaves two of an array of three only; "
            "name the axes of rows and columns, as --axis 0,1"
        )
    return axes if len(axes) == 2 else tuple(axis for axis in range(3) if axis != axes[0])


def without_single_axes(x: np.ndarray) -> np.ndarray:
    """``x`` without leading axes of one step; a scalar is a row of one number."""
    while x.ndim > 1 and x.shape[0] == 1:
        x = x[0]
    return x.reshape(1) if not x.ndim else x


def unit_of(low: float, high: float) -> float:
    """A power of ten to divide by, if differences would overflow or vanish in a float64."""
    size = max(abs(low), abs(high))
    if not size or 1e-100 < size < 1e100:
        return 1.0
    return float(10.0 ** max(-300, math.floor(math.log10(size))))


def labels_of(finite: np.ndarray) -> np.ndarray | None:
    """The values of a label map: few whole numbers, or one number everywhere."""
    values = few(finite.ravel(order="K"))
    if values is None or not 1 <= len(values) <= LABELS:
        return None
    if len(values) > 1 and (8 * len(values) > finite.size or not (values % 1 == 0).all()):
        return None
    return np.asarray(values, np.float64)


def are_colours(x: np.ndarray, low: float, high: float) -> bool:
    """Whether these are the values of pixels: uint8, or numbers from 0 to 1 that are no labels."""
    if x.dtype == np.uint8:
        return high >= BRIGHT
    return x.dtype.kind == "f" and low >= 0 and 0 < high <= 1 and labels_of(x) is None


def has_colours(shape: tuple[int, ...]) -> bool:
    """Whether the last axis that is not of rows or columns has three or four colours."""
    if len(shape) < 3:
        return False
    others = [side for axis, side in enumerate(shape) if axis not in image_axes(shape)]
    rows, columns = (shape[axis] for axis in image_axes(shape))
    return others[-1] in (3, 4) and min(rows, columns) >= 8


def columns(x: np.ndarray, names: Sequence[str], notes: list[str]) -> Iterator[Panel]:
    """The columns of a table, each on a scale of its own, over the first one if that increases."""
    named = [*names, *[""] * x.shape[1]]
    over, first = None, 0
    with np.errstate(invalid="ignore"):
        if x.shape[1] > 1 and bool((np.diff(x[:, 0]) > 0).all()):
            over, first = x[:, 0], 1
    across = named[0] or ("column 0" if first else "row")
    notes.append(f"a panel for each column, over {across}")
    for column in range(first, x.shape[1]):
        name = named[column] or f"column {column}"
        yield replace(lines(x[:, column : column + 1], name, over), over_name=across)


def panels_of(x: np.ndarray, notes: list[str], dropped: int = 0) -> Iterator[Panel]:
    """The panels of an array of any rank from 1 on."""
    if x.ndim == 1:
        yield lines(x[:, None])
    elif x.ndim == 2 and x.dtype.kind != "b" and is_points(x.shape):
        if (step := thinning(len(x))) > 1:
            notes.append(f"every point in {step} is drawn")
        yield points("", x)
        yield lines(x, "columns over rows")
    elif x.ndim == 2 and min(x.shape) <= COLUMNS and max(x.shape) >= 16 * min(x.shape):
        tall = x.shape[0] >= x.shape[1]
        notes.append("a line for each column" if tall else "a line for each row")
        yield lines(x if tall else x.T)
    elif x.ndim == 3 and x.dtype.kind == "f" and is_few_points(x.shape):
        notes.append("a panel of points for each index of the first axis")
        for index, table in enumerate(x):
            yield points(str(index), table)
    else:
        yield from images(x, notes, None, dropped, False)


def is_points(shape: tuple[int, ...]) -> bool:
    """Whether this is the shape of points: a row each, with a few coordinates."""
    rows, columns = shape
    return 2 <= columns <= COORDINATES and rows >= max(4, columns + 1)


def is_few_points(shape: tuple[int, ...]) -> bool:
    """Whether this is a small batch of keypoints, too low for an image with channels."""
    return is_points(shape[1:]) and shape[0] <= 8 and 2 * shape[0] <= shape[1] <= 64


def points(name: str, x: np.ndarray) -> Panel:
    """Points ``[n, coordinates]``, thinned to POINTS."""
    return Panel(name, "points", x[:: thinning(len(x))].astype(np.float64), x.shape)


def thinning(count: int) -> int:
    """The step of the slice that leaves at most POINTS of ``count`` points."""
    return -(-count // POINTS)


def lines(x: np.ndarray, name: str = "", over: np.ndarray | None = None) -> Panel:
    """Columns as lines; long ones as the minimum and the maximum of each block of steps."""
    count, columns = x.shape
    step = -(-2 * count // LINE_POINTS) if count > LINE_POINTS else 1
    if step > 1:
        blocks = x[: count - count % step].astype(np.float64).reshape(-1, step, columns)
        with np.errstate(invalid="ignore"):
            extremes = [np.fmin.reduce(blocks, axis=1), np.fmax.reduce(blocks, axis=1)]
        x = np.stack(extremes, axis=1).reshape(-1, columns)
        over = None if over is None else np.repeat(over[: count - count % step : step], 2)
    return Panel(name, "lines", x.astype(np.float64), (count, columns), over)


def images(
    x: np.ndarray,
    notes: list[str],
    axes: tuple[int, ...] | None,
    dropped: int,
    colours: bool,
) -> Iterator[Panel]:
    """An image for each index of the axes that are not its rows and columns, or are colours.

    ``dropped`` leading axes of the array had one step.
    """
    chosen = axes or image_axes(x.shape)
    rest = [axis + dropped for axis in range(x.ndim) if axis not in chosen]
    coloured = rest.pop() if colours else None
    x = np.moveaxis(x, chosen, (0, 1))
    height, width, *others = x.shape
    channels = math.prod(others[:-1] if colours else others)
    count = min(channels, PANELS)
    if rest or coloured is not None or axes:
        rows, across = (axis + dropped for axis in chosen)
        each = f", a panel for each index of axis {' and '.join(map(str, rest))}" if rest else ""
        hue = "" if coloured is None else f", colours axis {coloured}"
        notes.append(f"rows are axis {rows}, columns axis {across}{hue}{each}; --axis changes it")
    if channels > count:
        notes.append(f"the first {count} of {channels:,} channels")
    limit = PIXELS // math.isqrt(count - 1) if count > 1 else PIXELS // 2
    steps = [-(-side // limit) for side in (height, width)]
    if max(steps) > 1:
        notes.append(f"every pixel in {steps[0]} x {steps[1]} is drawn")
    small = x[:: steps[0], :: steps[1]]
    names = others[:-1] if colours else others
    for channel in range(count):
        index = [int(i) for i in np.unravel_index(channel, names)] if names else []
        name = ",".join(map(str, index))
        pixels: Any = (slice(None), slice(None), *index)
        if colours:
            scale = 255 if x.dtype == np.uint8 else 1
            hues = np.asarray(small[pixels], np.float64) / scale
            if hues.shape[2] == 4 and not hues[..., 3].any():
                hues = hues[..., :3]  # all of it would be transparent
            yield Panel(name, "colours", hues, (height, width))
            continue
        yield Panel(name, "image", np.asarray(small[pixels], np.float64), (height, width))


def image_axes(shape: tuple[int, ...]) -> tuple[int, int]:
    """The axes of rows and columns: 0 and 1, as in [H, W, C], unless a later pair is better.

    Sides of an image are long and similar: [16, 32, 32] is 16 images, [32, 32, 16] as well.
    """

    def score(axis: int) -> float:
        short, long = sorted(shape[axis : axis + 2])
        if short < 2:  # a line is no image
            return 0
        return short * short / long * (1.5 if short == long else 1)

    best = max(range(len(shape) - 1), key=score)
    first = best if score(best) >= 2 * score(0) else 0
    return first, first + 1
