"""Converting an array to another dtype where not one value changes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..codecs.filters.astype import AsType
from ..codecs.form import ArrayForm
from ..dtypes import dtype_name


def exact_astype(array: np.ndarray, dtype: Any) -> np.ndarray:
    """``array`` as ``dtype``: the very values, or EncodeError with the first that would change.

    It is the domain of the codec ``astype``: the way there and back keeps every bit.

    >>> exact_astype(np.array([1.0, 255.0]), "uint8")
    array([  1, 255], dtype=uint8)
    >>> exact_astype(np.array([1.0, 0.5]), "uint8")
    Traceback (most recent call last):
      ...
    tfdecode.errors.EncodeError: array is not exact in uint8: 0.5 at index [1] (1 in all)
    """
    name = dtype_name(array.dtype)
    if name == dtype_name(dtype):
        return array
    return AsType(dtype).encode(array, ArrayForm.of(array.shape, name))
