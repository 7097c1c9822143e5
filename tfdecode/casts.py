"""Exact casts: which values keep every bit when their dtype changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .dtypes import ITEM_SIZES, dtype_name, numpy_dtype
from .errors import EncodeError

#: Bytes of the arrays that are cast at a time.
BLOCK = 2**22
#: dtype -> bits of the significand: all integers up to two to that power are exact.
SIGNIFICAND = {
    "float16": 11,
    "bfloat16": 8,
    "float32": 24,
    "float64": 53,
    "complex64": 24,
    "complex128": 53,
}


def exact_astype(
    array: np.ndarray,
    dtype: Any,
    kept: Callable[[np.ndarray, np.ndarray], Any] | None = None,
    refusal: Callable[[], str] | None = None,
) -> np.ndarray:
    """``array`` as ``dtype``, or EncodeError with the first value that would change a bit.

    ``kept(x, y)``, by default ``survives``, says which elements of a cast may be as they are, and
    ``refusal()`` the message.

    >>> exact_astype(np.array([1.0, 0.5]), "uint8")
    Traceback (most recent call last):
      ...
    tfdecode.errors.EncodeError: array is not exact in uint8: 0.5 at index [1] (1 in all)
    """
    target = dtype_name(dtype)
    if dtype_name(array.dtype) == target:
        return array
    result = np.empty_like(array, numpy_dtype(target), subok=False)
    for block in blocks(array):
        result[block] = part = cast(array[block], numpy_dtype(target))
        if not np.all((kept or survives)(array[block], part)):
            if refusal:
                raise EncodeError(refusal())
            exact = survives(array, cast(array, numpy_dtype(target)))
            raise EncodeError(f"array is not exact in {target}: {first_inexact(array, exact)}")
    return result


def blocks(x: np.ndarray) -> Iterator[Any]:
    """Indices of parts of ``x`` that together are all of it, so that temporaries stay small."""
    if x.nbytes <= BLOCK or not x.ndim:
        yield ...
        return
    count = max(1, len(x) * BLOCK // x.nbytes)
    yield from (slice(start, start + count) for start in range(0, len(x), count))


def integral(dtype: str) -> bool:
    """Whether ``dtype`` is an integer dtype or bool."""
    return dtype == "bool" or "int" in dtype


def always_exact(source: str, target: str) -> bool:
    """Whether every value of ``source``, cast to ``target`` and back, keeps every bit."""
    # Never between different float dtypes: a signalling NaN of float16 becomes quiet.
    if source == target or not integral(source) or target == "bool":
        return source == target
    bits = 1 if source == "bool" else 8 * ITEM_SIZES[source] - (not source.startswith("u"))
    if not integral(target):
        return bits <= SIGNIFICAND[target]
    signs = source.startswith(("u", "bool")) or not target.startswith("u")
    return signs and bits <= 8 * ITEM_SIZES[target] - (not target.startswith("u"))


def cast(x: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """``x`` as ``dtype`` without warnings; ``survives`` finds the values that this changes."""
    with np.errstate(all="ignore"):
        if x.dtype.kind == "c" and dtype.kind != "c":
            x = x.real
        return x.astype(dtype)


def survives(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """bool ``x.shape``: whether each element of ``y``, a cast of ``x``, casts back to its bits."""
    a, b = (bits(z) for z in (x, cast(y, x.dtype)))
    same = np.asarray(a == b)
    if x.dtype.itemsize == 16:  # complex128, in either byte order
        same = np.asarray(same.all(axis=-1))
    for number, other in ((x, y), (y, x)):
        if integral(other.dtype.name) and not integral(number.dtype.name) and at_limit(other):
            # A float out of range casts to another integer on x86, and to the nearest one on ARM,
            # which would cast back to the same float.
            low, high = limits(other.dtype.name)
            # float16 and bfloat16 cannot hold the limits; to copy the others costs a third more.
            real = number.real if number.dtype.itemsize > 2 else cast(number, np.dtype(np.float64))
            same &= (real >= low) & (real < high)
    for signed, unsigned in ((x, y), (y, x)):
        if signed.dtype.kind == "i" and unsigned.dtype.kind == "u":
            same &= signed >= 0  # negative ones wrap around and back
    names = {x.dtype.name, y.dtype.name}
    if len(names) > 1 and not any(integral(name) for name in names):
        # TensorFlow changes NaNs that NumPy keeps: float16 become quiet, bfloat16 positive.
        for short in (x, y):
            if short.dtype.name == "float16":
                same &= ((bits(short) & 0x7E00) != 0x7C00) | ((bits(short) & 0x01FF) == 0)
            elif short.dtype.name == "bfloat16":
                same &= bits(short) <= 0xFF80
    return same


def bits(x: np.ndarray) -> np.ndarray:
    """The bits of each element as unsigned integers; complex128 gets a last axis of two."""
    if x.dtype.kind == "V":  # bfloat16
        x = x.view(np.dtype(np.uint16).newbyteorder(x.dtype.byteorder))
    x = np.asarray(x, x.dtype.newbyteorder("="), order="C")
    if x.dtype.itemsize == 16:  # complex128, in either byte order
        return x.reshape(*x.shape, 1).view(np.uint64)
    return x.view(f"u{x.dtype.itemsize}")


def at_limit(x: np.ndarray) -> bool:
    """Whether any integer is at a limit of its dtype: else no float was out of range."""
    # This saves two comparisons of all floats: half of the time.
    if x.dtype == np.bool_ or not x.size:
        return False
    info = np.iinfo(x.dtype)
    return bool(x.max() == info.max or x.min() == info.min)


def limits(dtype: str) -> tuple[float, float]:
    """The range of an integer dtype, end excluded, exact as float64."""
    if dtype == "bool":
        return 0.0, 2.0
    info = np.iinfo(dtype)
    return float(info.min), float(int(info.max) + 1)


def first_inexact(x: np.ndarray, exact: np.ndarray) -> str:
    """The first value that is not exact, its index, and how many there are, for messages."""
    index = tuple(int(i) for i in np.argwhere(~exact)[0])
    return f"{x[index]} at index {list(index)} ({np.count_nonzero(~exact)} in all)"


def checked_bool(x: np.ndarray) -> np.ndarray:
    """``x``; EncodeError if it is a bool array with bytes other than 0 and 1."""
    if x.dtype == np.bool_ and x.size and int(x.view(np.uint8).max()) > 1:
        index = np.argwhere(x.view(np.uint8) > 1)[0].tolist()
        raise EncodeError(
            f"array is bool but has a byte other than 0 and 1 at index {index}; pass array != 0"
        )
    return x
