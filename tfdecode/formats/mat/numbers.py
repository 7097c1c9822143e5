"""The numbers of a MATLAB matrix, from the type they are stored in to the type of its class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..contents import Array, Buffer, Entry, Sparse, view
from ..sparse import expanded, scattered


def numbers(
    parts: Sequence[Buffer],
    storage: Sequence[np.dtype[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Array:
    """Join the real part and, if there is one, the imaginary part; both are in column order."""
    real, *imaginary = (
        view(raw, stored, shape, "F") for raw, stored in zip(parts, storage, strict=True)
    )
    if not imaginary:
        return real.astype(dtype, copy=False)
    return joined(real, imaginary[0], dtype)


def joined(real: Array, imaginary: Array, dtype: np.dtype[Any]) -> Array:
    """A complex array of both parts."""
    array = np.empty(real.shape, dtype, "F")
    # Set apart: real + 1j * imaginary would lose -0.0, infinities and NaN payloads.
    array.real, array.imag = real, imaginary
    return array


def by_columns(
    key: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    count: int,
    parts: Callable[[], tuple[Array, Array, Sequence[Array]]],
) -> Sparse:
    """A sparse matrix by columns: rows, where each column begins, and one or two parts of values.

    What follows the last value is space that MATLAB reserved.
    """

    def read() -> Array:
        rows, pointers, values = parts()
        columns = expanded(pointers, shape[1], min(map(len, (rows, *values))))
        real, *imaginary = (part[: len(columns)] for part in values)
        kept = joined(real, imaginary[0], dtype) if imaginary else real.astype(dtype)
        return scattered(shape, (rows[: len(columns)], columns), kept)

    return Sparse(Entry(key, dtype, shape, read), count)
