"""The numbers of a MATLAB matrix, from the type they are stored in to the type of its class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..contents import Array, Buffer, view

ADVICE = {
    "cell": "cell array; save each cell as a variable of its own",
    "struct": "struct; save each field as a variable of its own",
    "object": "object; save its numbers as variables",
    "char": "text; save its numbers by double(...)",
    "sparse": "sparse matrix; store full(...)",
    "function_handle": "function; save its results",
}
"""What to do about the variables that are no full numeric matrices, by MATLAB's class."""


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
    array = np.empty(shape, dtype, "F")
    # Set apart: real + 1j * imaginary would lose -0.0, infinities and NaN payloads.
    array.real, array.imag = real, imaginary[0]
    return array
