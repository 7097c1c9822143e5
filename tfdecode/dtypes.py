"""The dtypes that NumPy and TensorFlow share, by name."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .errors import DecodeError, SpecError, meant

#: Name -> bytes of one element.
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

#: The largest finite number, and the largest integer that messages show.
LARGEST, MAX_SHOWN = sys.float_info.max, 2**64

#: Complex dtype -> the dtype of its real and imaginary part.
PARTS = {"complex64": "float32", "complex128": "float64"}


def checked_number(
    what: str,
    value: Any,
    low: float = -LARGEST,
    high: float = LARGEST,
    *,
    whole: bool = True,
) -> Any:
    """``value``; SpecError unless it is a number, or a ``whole`` one, from ``low`` to ``high``."""
    # Specs come from elsewhere, too: no float holds 400 digits, and repr refuses 5000 of them.
    if type(value) not in ((int,) if whole else (int, float)) or not low <= value <= high:
        huge = isinstance(value, int) and abs(value) > MAX_SHOWN
        text = "an integer of many digits" if huge else repr(value)[:100]
        needs = f"{low} to {high}" if high < LARGEST else f"at least {low}"
        needs = needs if low > -LARGEST else "a finite number"
        raise SpecError(f"{what} is {text}, needs {needs}")
    return value


def checked_flag(what: str, value: Any) -> None:
    """SpecError unless ``value`` is a bool."""
    if not isinstance(value, bool):
        raise SpecError(f"{what} is {value!r}, needs true or false")


#: What people call dtypes that are no numbers.
KINDS = {"str": "text", "bytes": "byte strings", "object": "objects", "void": "records"}


def dtype_name(dtype: Any) -> str:
    """The name of ``dtype``, in either byte order; SpecError if TensorFlow does not have it."""
    if isinstance(dtype, str) and dtype in ITEM_SIZES:
        return dtype
    try:
        # NumPy reads None as float64.
        name = "None" if dtype is None else np.dtype(getattr(dtype, "as_numpy_dtype", dtype)).name
    except (TypeError, ValueError, SyntaxError):  # SyntaxError: for "f4,,"
        name = str(dtype)
    if name not in ITEM_SIZES:
        words = KINDS.get(name.rstrip("0123456789"))
        what = f"{name!r} ({words})" if words else repr(name)
        close = meant(name, ITEM_SIZES)
        raise SpecError(f"dtype {what} is not one of {', '.join(ITEM_SIZES)}{close}")
    return name


def in_words(dtype: np.dtype[Any]) -> str:
    """A dtype as people call it: ``>f4`` is "float32, big-endian", ``<U8`` is "text"."""
    words = KINDS.get(dtype.name.rstrip("0123456789"), dtype.name)
    return f"{words}{', big-endian' if dtype.byteorder == '>' and words == dtype.name else ''}"


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a name, in native byte order; bfloat16 comes from ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes  # 15 ms to import

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)


def little_endian(x: np.ndarray) -> np.ndarray:
    """``x`` in C order and little-endian, bit for bit (not copied if it is so already)."""
    return np.asarray(as_stored(x), order="C")


def as_stored(x: np.ndarray) -> np.ndarray:
    """``x`` little-endian, in any order."""
    if x.dtype.kind == "V" and x.dtype.name == "bfloat16":  # not every NumPy can swap bfloat16
        x = x.view(np.dtype(np.uint16).newbyteorder(x.dtype.byteorder))
    return x.astype(x.dtype.newbyteorder("<"), copy=False)


def from_little_endian(data: bytes, name: str) -> np.ndarray:
    """A new array ``[n]`` in native byte order; DecodeError for a bool other than 0 and 1."""
    if name == "bool" and data.strip(b"\0\1"):
        raise DecodeError("payload has bytes other than 0 and 1, needs bool")
    native = numpy_dtype(name)
    bits = np.dtype(np.uint16) if name == "bfloat16" else native
    return np.frombuffer(data, bits.newbyteorder("<")).astype(bits).view(native)
