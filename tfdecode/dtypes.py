"""The dtypes that numpy can make and a TensorFlow tensor can hold, by their common names."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import SpecError

#: name -> bytes of one element
ITEM_SIZES = {
    "bool": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
}

#: Of what dtype the two numbers of a complex one are.
PARTS = {"complex64": "float32", "complex128": "float64"}


def dtype_name(dtype: Any) -> str:
    """The common name of ``dtype``, whatever its byte order.

    >>> dtype_name(">f4"), dtype_name(np.uint8), dtype_name("bfloat16")
    ('float32', 'uint8', 'bfloat16')

    Raises SpecError for a dtype that no TensorFlow tensor holds.
    """
    if isinstance(dtype, str) and dtype in ITEM_SIZES:
        return dtype
    try:
        # numpy takes None for float64
        name = "None" if dtype is None else np.dtype(getattr(dtype, "as_numpy_dtype", dtype)).name
    except (TypeError, ValueError, SyntaxError):  # SyntaxError: of texts like "f4,,"
        name = str(dtype)
    if name not in ITEM_SIZES:
        raise SpecError(f"dtype {name!r} is not one of {', '.join(ITEM_SIZES)}")
    return name


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The native numpy dtype of a common name; bfloat16 comes from ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes  # 15 ms to import: only for those who use it

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)


def little_endian(x: np.ndarray) -> np.ndarray:
    """``x`` in C order and little-endian, every bit kept (no copy when it is so already)."""
    if x.dtype.name == "bfloat16":  # not every numpy swaps its bytes: those of its bits it does
        x = x.view(np.dtype(np.uint16).newbyteorder(x.dtype.byteorder))
    return np.asarray(x, x.dtype.newbyteorder("<"), order="C")


def from_little_endian(data: bytes, name: str) -> np.ndarray:
    """A new native array ``[n]`` of the elements in ``data``; the reverse of ``little_endian``."""
    native = numpy_dtype(name)
    bits = np.dtype(np.uint16) if name == "bfloat16" else native
    return np.frombuffer(data, bits.newbyteorder("<")).astype(bits).view(native)
