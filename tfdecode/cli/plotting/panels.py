"""What to draw of an array: images, points or lines, few enough and small enough for a page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from ...errors import EncodeError
from ...statistics import few
from ..inspecting.values import real_numbers

#: Panels on a page, and pixels along a side of all of them together.
PANELS, PIXELS = 64, 2400
#: Distinct whole numbers of a label map, which get a colour each.
LABELS = 40
#: Points that are drawn of a scatter or a line.
POINTS = 20_000
#: Columns of a table that is drawn as lines, coordinates of points.
COLUMNS, COORDINATES = 8, 4


@dataclass(frozen=True)
class Panel:
    """One picture: an image ``[h, w]``, points ``[n, 2..4]`` or lines ``[n, columns]``."""

    name: str
    kind: Literal["image", "points", "lines"]
    data: np.ndarray
    #: The shape before pixels or steps were left out.
    size: tuple[int, ...]


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


def drawing(array: np.ndarray) -> Drawing:
    """Choose what to draw; EncodeError for an array without elements."""
    if not array.size:
        raise EncodeError("array has no elements, so there is nothing to draw")
    notes = []
    x = real_numbers(array)
    if x.dtype.kind == "c":
        notes.append("magnitude of complex numbers")
        with np.errstate(over="ignore"):
            x = np.abs(x)
    x = without_single_axes(x)
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
    panels = list(panels_of(x, notes))
    labels = labels_of(finite) if panels[0].kind == "image" else None
    if unit != 1:
        panels = [
            Panel(p.name, p.kind, np.asarray(p.data, np.float64) / unit, p.size) for p in panels
        ]
        labels = None if labels is None else labels / unit
    return Drawing(
        panels, low / unit, high / unit, labels, notes, x.size - finite.size, finite.size > 0
    )


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


def panels_of(x: np.ndarray, notes: list[str]) -> Iterator[Panel]:
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
        yield from images(x, notes)


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


def lines(x: np.ndarray, name: str = "") -> Panel:
    """Columns as lines; long ones as the minimum and the maximum of each block of steps."""
    count, columns = x.shape
    step = -(-2 * count // POINTS) if count > POINTS else 1
    if step > 1:
        blocks = x[: count - count % step].astype(np.float64).reshape(-1, step, columns)
        with np.errstate(invalid="ignore"):
            extremes = [np.fmin.reduce(blocks, axis=1), np.fmax.reduce(blocks, axis=1)]
        x = np.stack(extremes, axis=1).reshape(-1, columns)
    return Panel(name, "lines", x.astype(np.float64), (count, columns))


def images(x: np.ndarray, notes: list[str]) -> Iterator[Panel]:
    """An image for each index of the axes that are not its height and width."""
    first = image_axis(x.shape)
    if first:
        axes = f"{first} and {first + 1}"
        notes.append(f"axes {axes} are drawn, a panel for each index of the others")
    x = np.moveaxis(x, (first, first + 1), (0, 1))
    height, width, *others = x.shape
    channels = math.prod(others)
    count = min(channels, PANELS)
    if channels > count:
        notes.append(f"the first {count} of {channels:,} channels")
    limit = PIXELS // math.isqrt(count - 1) if count > 1 else PIXELS // 2
    steps = [-(-side // limit) for side in (height, width)]
    if max(steps) > 1:
        notes.append(f"every pixel in {steps[0]} x {steps[1]} is drawn")
    small = x[:: steps[0], :: steps[1]]
    for channel in range(count):
        index = [int(i) for i in np.unravel_index(channel, others)] if others else []
        name = ",".join(map(str, index))
        pixels: Any = (..., *index)
        yield Panel(name, "image", np.asarray(small[pixels], np.float64), (height, width))


def image_axis(shape: tuple[int, ...]) -> int:
    """First axis of height and width: 0, as in [H, W, C], unless a later pair is 4 times as big."""
    smaller = [min(pair) for pair in pairwise(shape)]
    best = max(range(len(smaller)), key=smaller.__getitem__)
    return best if smaller[best] >= 4 * smaller[0] else 0
