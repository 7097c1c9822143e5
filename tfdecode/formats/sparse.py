"""Sparse arrays made dense: their indices checked, their values set among zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import FileError
from .contents import Array


def scattered(shape: tuple[int, ...], places: Sequence[Array], values: Array) -> Array:
    """``values`` at ``places``, an index array for each axis, and zeros elsewhere.

    Values at the same place are added, as SciPy does. A single one keeps its bits, also of -0.0.
    """
    for side, index in zip(shape, places, strict=True):
        if len(index) != len(values):
            raise FileError(f"has {len(values)} values but {len(index)} indices")
        if index.size and not 0 <= int(index.min()) <= int(index.max()) < side:
            raise FileError(f"has indices outside of its shape {list(shape)}")
    array = np.zeros(shape, values.dtype)
    if not values.size:
        return array
    flat = np.ravel_multi_index([index.astype(np.intp) for index in places], shape)
    if len(np.unique(flat)) == len(flat):
        array.reshape(-1)[flat] = values
    else:
        np.add.at(array.reshape(-1), flat, values)
    return array


def expanded(pointers: Array, count: int, stored: int) -> Array:
    """The row (or column) of each value, where value ``pointers[i]`` is the first of row ``i``."""
    steps: Any = pointers.astype(np.int64)
    if pointers.shape != (count + 1,) or steps[0] != 0 or (np.diff(steps) < 0).any():
        raise FileError(f"has no {count + 1} rising pointers to its rows or columns")
    if steps[-1] > stored:
        raise FileError(f"points to {steps[-1]} values but stores {stored}")
    return np.repeat(np.arange(count), np.diff(steps))
