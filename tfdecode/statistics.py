"""Statistics that suggest codecs: distinct values, narrowest exact dtype, background, scales."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from .casts import bits, cast, survives
from .dtypes import ITEM_SIZES, dtype_name, numpy_dtype

#: Distinct values are counted up to here, by their bits up to `MANY`.
FEW, MANY = 256, 2**16
#: Elements that are looked at together, so that copies stay small beside the array.
BLOCK = 2**20
#: What may hold the values of a wider dtype, the best choice first.
NARROW = ("uint8", "int8", "uint16", "int16", "float16", "bfloat16", "uint32", "int32", "float32")
#: Steps of numbers that people quantise by, the coarsest first.
SCALES = (
    *(1, 2, 4, 8, 10, 16, 32, 64, 100, 128, 255, 256, 512, 1000, 1024, 2048, 4096, 10_000),
    *(32_767, 32_768, 65_535, 65_536, 100_000, 1_000_000),
)
#: Offsets of such numbers after people have centred them, with their scales: pixels in [-1, 1] and
#: [-0.5, 0.5], and less the means of ImageNet.
OFFSETS = (
    *((-1, scale) for scale in (127.5, 128, 255, 256, 32_767.5, 32_768, 100, 1000)),
    *((-0.5, scale) for scale in (255, 256, 65_535, 65_536)),
    *((-mean, 1) for mean in (103.939, 116.779, 123.68)),
    *((-mean, 255) for mean in (0.485, 0.456, 0.406)),
)
#: Steps that `step_scale` looks for, at most.
MAX_STEPS = 2**16
#: A last axis of up to this length is one of channels or coordinates.
CHANNELS = 32


class Statistics:
    """What is known of the arrays that a codec is proposed for; each figure is found when asked.

    ``stage`` is the stage of the last filter before them (of `tfdecode.codecs.base.STAGES`), or "".
    """

    def __init__(self, samples: Sequence[np.ndarray], stage: str = "") -> None:
        self.samples = samples
        self.stage = stage
        self.shape = samples[0].shape
        self.rank = samples[0].ndim
        self.dtype = dtype_name(samples[0].dtype)
        self.itemsize = ITEM_SIZES[self.dtype]
        self.integer = self.dtype == "bool" or "int" in self.dtype
        self.complex = "complex" in self.dtype

    @cached_property
    def flat(self) -> np.ndarray:
        """All elements, ``[n]``."""
        flat = [sample.ravel() for sample in self.samples]
        return np.concatenate(flat) if len(flat) > 1 else flat[0]

    @cached_property
    def few(self) -> np.ndarray | None:
        """The distinct values in order, of complex numbers the real ones; None if over 256."""
        return few(self.flat.real if self.complex else self.flat)

    @cached_property
    def narrowest(self) -> str | None:
        """A narrower dtype in which each value is exact, or None."""
        return narrowest(self.flat)

    @cached_property
    def one_hot(self) -> bool:
        """Whether there is exactly one 1 along the last axis, and else 0."""
        return all(one_hot(sample) for sample in self.samples)

    @cached_property
    def background(self) -> tuple[float, float] | None:
        """The commonest value and its share; None for complex numbers, bfloat16 and no elements."""
        if not self.flat.size or self.dtype == "bfloat16" or self.complex:
            return None
        with np.errstate(all="ignore"):
            return background(self.flat)

    @cached_property
    def scales(self) -> Sequence[float] | None:
        """Scales over which floats are whole: one, or one per index of a short last axis."""
        if self.integer or self.complex or not self.flat.size:
            return None
        scales = scales_of(self.columns)
        if scales is None and self.dtype == "float32":
            scale = step_scale(self.flat)
            return None if scale is None else [scale]
        return scales if scales is None or len(set(scales)) > 1 else scales[:1]

    @cached_property
    def centred(self) -> tuple[Sequence[float], Sequence[float], bool] | None:
        """Scales and offsets over which floats are whole, one each or one per index of a short
        last axis, and whether x / scale is rounded before the offset is added.
        """
        if self.integer or self.complex or not self.flat.size:
            return None
        for each in (False, True)[: 1 + (self.dtype != "float64")]:
            pairs = [centred(column, each) for column in self.columns.T]
            if None not in pairs:
                offsets, scales = zip(*filter(None, pairs), strict=True)
                return scales if len(set(scales)) > 1 else scales[:1], offsets, each
        return None

    @cached_property
    def one_byte(self) -> bool:
        """Whether integers of one byte hold the values, as they are or over a scale."""
        if self.narrowest in ("int8", "uint8") or self.centred is not None:
            return True
        if self.scales is None:
            return False
        columns = self.columns.astype(np.float64)
        return float(((columns.max(0) - columns.min(0)) * self.scales).max()) < FEW

    @cached_property
    def distinct(self) -> tuple[int | None, int] | None:
        """The axis for each index of which arrays have few bit patterns, and their number.

        None for all elements together. None if there are too many, or if one byte holds them.
        """
        if not 1 < self.itemsize <= 8 or not self.flat.size or self.one_byte:
            return None
        ends = (self.rank - 1, 0) if self.rank else ()
        axes = [None, *(axis for axis in ends if 1 < self.shape[axis] <= CHANNELS)]
        for axis in axes if self.rank > 1 else axes[:1]:
            numbers = [distinct(x, axis, FEW) for x in self.samples]
            if None not in numbers:
                return axis, max(filter(None, numbers))
        if self.itemsize == 2 or self.narrowest is not None or self.scales is not None:
            return None
        least = min(x.size for x in self.samples) // 4
        numbers = [distinct(x, None, min(MANY, least)) for x in self.samples]
        return None if None in numbers else (None, max(filter(None, numbers)))

    @cached_property
    def columns(self) -> np.ndarray:
        """Elements by their index on a short last axis, ``[n, channels]``; else ``[n, 1]``."""
        sides = {sample.shape[-1:] for sample in self.samples}
        short = self.rank > 1 and self.shape[-1] <= CHANNELS and len(sides) == 1
        flat = self.flat.astype(numpy_dtype(self.dtype), copy=False)
        return flat.reshape(-1, self.shape[-1] if short else 1)


def distinct(x: np.ndarray, axis: int | None, limit: int) -> int | None:
    """How many bit patterns ``x`` has at most at an index of ``axis``; None if over ``limit``."""
    if axis is not None:
        parts = np.moveaxis(x, axis, 0)
        numbers = [distinct(part, None, limit) for part in parts]
        return None if None in numbers else max(filter(None, numbers), default=0)
    flat = bits(x).reshape(-1)
    found = np.unique(flat[:: max(1, flat.size // 2**16)])
    for start in range(0, flat.size, BLOCK):
        if len(found) > limit:
            return None
        found = np.unique(np.concatenate([found, flat[start : start + BLOCK]]))
    return len(found) if len(found) <= limit else None


def few(flat: np.ndarray) -> np.ndarray | None:
    """The distinct values of a 1-D array in order; None where there are more than ``FEW``."""
    sample = np.unique(flat[:: max(1, flat.size // 2**16)])
    if len(sample) > FEW:
        return None
    for start in range(0, flat.size, BLOCK):
        sample = np.unique(np.concatenate([sample, flat[start : start + BLOCK]]))
        if len(sample) > FEW:
            return None
    return np.asarray(sample)


def narrowest(flat: np.ndarray) -> str | None:
    """The first of ``NARROW`` in which every value of a 1-D array survives bit for bit."""
    source = dtype_name(flat.dtype)
    for name in NARROW if flat.size else ():
        if ITEM_SIZES[name] < ITEM_SIZES[source] and all(
            survives(block, cast(block, numpy_dtype(name))).all()
            for block in (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))
        ):
            return name
    return None


def background(flat: np.ndarray) -> tuple[float, float]:
    """The value that a 1-D array of finite numbers has most often, and its share, by a sample."""
    sample = flat[:: max(1, flat.size // 2**14)]
    found, counts = np.unique(sample, return_counts=True)
    most = int(counts.argmax())
    return found[most].item(), counts[most] / len(sample)


@np.errstate(all="ignore")  # of NaNs
def one_hot(x: np.ndarray) -> bool:
    """Whether there is exactly one 1 along the last axis, and else 0."""
    if x.ndim < 1 or x.shape[-1] < 2 or not x.size:
        return False
    ones = x == 1
    return bool((ones | (x == 0)).all() and (np.count_nonzero(ones, axis=-1) == 1).all())


@np.errstate(all="ignore")  # of NaNs, and of numbers beyond an integer
def scales_of(columns: np.ndarray) -> list[int] | None:
    """The first of ``SCALES`` over which each column is exactly whole; None if one has none."""
    found = []
    for column in columns.T:
        parts = parts_of(column)
        scale = next((s for s in SCALES if all(whole_over(part, s) for part in parts)), None)
        if scale is None:
            return None
        found.append(scale)
    return found


def parts_of(column: np.ndarray) -> tuple[np.ndarray, ...]:
    """The first elements, some of all, and all: what is not whole mostly shows in the first."""
    return column[:64], column[:: max(1, column.size // 4096)], column


@np.errstate(all="ignore")
def whole_over(column: np.ndarray, scale: float, offset: float = 0.0, each: bool = False) -> bool:
    """Whether each element is the number nearest to an integer over ``scale``, plus ``offset``.

    Rounded to their dtype twice, before and after the addition, if ``each``.
    """
    for start in range(0, column.size, BLOCK):
        part = column[start : start + BLOCK]
        back = np.rint((part.astype(np.float64) - offset) * scale) / scale
        back = back.astype(part.dtype) + part.dtype.type(offset) if each else back + offset
        back = back.astype(part.dtype, copy=False)
        if not (np.array_equal(back, part) and np.isfinite(part).all()):
            return False
    return True


@np.errstate(all="ignore")
def centred(column: np.ndarray, each: bool) -> tuple[float, float] | None:
    """The first of ``OFFSETS``, with its scale, at which a column is exactly whole; else None."""
    parts = parts_of(column)
    return next(
        (
            (offset, scale)
            for offset, scale in OFFSETS
            if all(whole_over(part, scale, offset, each) for part in parts)
        ),
        None,
    )


@np.errstate(all="ignore")
def step_scale(flat: np.ndarray) -> float | None:
    """1 / step if float32 numbers are integers times a step, as pixels times 1/255; else None."""
    sample = np.unique(np.abs(flat[:: max(1, flat.size // 4096)]))
    sample = sample[sample > 0]
    if sample.size < 2 or not np.isfinite(sample[-1]):
        return None
    wide = sample.astype(np.float64)
    step = min(wide[0], np.diff(wide).min())
    if step * MAX_STEPS < wide[-1]:
        return None
    for value in wide:  # each makes the step more exact, for larger ones
        step = value / max(1, np.rint(value / step))
    steps, error = np.rint(wide / step), np.spacing(sample).astype(np.float64) / 2
    low, high = ((wide - error) / steps).max(), ((wide + error) / steps).min()
    middle = np.float32((low + high) / 2)
    if not low <= middle <= high:
        return None
    scale = 1 / float(middle)
    return scale if whole_over(flat, scale) else None
