"""What is peculiar about the values of an array: how few they are, how little space they need."""

from __future__ import annotations

import numpy as np

from ..casts import cast, survives
from ..dtypes import ITEM_SIZES, dtype_name, numpy_dtype

#: Distinct values are counted up to here.
FEW = 256
#: Elements that are looked at together, so that copies stay small beside the array.
BLOCK = 2**20
#: What may hold the values of a wider dtype, the best choice first.
NARROW = ("uint8", "int8", "uint16", "int16", "float16", "bfloat16", "uint32", "int32", "float32")
#: Steps of numbers that people quantise by, the coarsest first.
SCALES = (1, 2, 4, 8, 10, 16, 32, 64, 100, 128, 255, 256, 1000, 1024, 4096, 10_000, 65_536, 100_000)


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
    """The first of ``SCALES`` over which each column of a matrix of floats has whole numbers,
    exactly; None where one has none.
    """
    if not np.isfinite(columns).all():
        return None
    found = []
    for column in columns.T:
        scales: tuple[int, ...] = SCALES
        # Most fail at once.
        for part in (column[:64], column[:: max(1, column.size // 4096)], column):
            wide = part.astype(np.float64)
            back = {scale: (np.rint(wide * scale) / scale).astype(part.dtype) for scale in scales}
            scales = tuple(scale for scale in scales if np.array_equal(back[scale], part))
        if not scales:
            return None
        found.append(scales[0])
    return found
