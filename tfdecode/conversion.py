"""Arrays in another dtype, as far as the caller allows: NumPy's words for it, checked by value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from .casts import cast, exact_astype, integral, survives
from .dtypes import dtype_name, numpy_dtype
from .errors import EncodeError, SpecError

Casting: TypeAlias = Literal["no", "equiv", "same_kind", "unsafe"]
CASTINGS = ("no", "equiv", "same_kind", "unsafe")
#: Elements that are compared at a time for the message: all of 2 GiB would need 27 GB.
PART = 2**18
#: The order of kinds in which NumPy's "same_kind" goes upwards.
_KINDS = ("bool", "uint", "int", "float", "complex")


def converted(array: np.ndarray, dtype: Any, casting: Casting = "equiv") -> np.ndarray:
    """``array`` as ``dtype``, under one of four rules that are NumPy's, checked value by value.

    - "no": the array must have that dtype.
    - "equiv": each value stays the same number, in all its bits.
    - "same_kind": what `numpy.can_cast` calls so, where floats may be rounded; but each value must
      be in the range of the dtype.
    - "unsafe": whatever `numpy.ndarray.astype` does.

    EncodeError says which value would change, how far, and which rule would allow it.

    >>> converted(np.array([0.5, 0.1]), "float32")
    Traceback (most recent call last):
      ...
    tfdecode.errors.EncodeError: array is not exact in float32: 0.1 at index [1] would become \
0.100000001 (1 in all, moved by at most 1.49e-09, or 1.49e-08 relative, at index [1]); to round, \
pass --casting same_kind, in Python casting="same_kind"
    >>> converted(np.array([0.5, 0.1]), "float32", "same_kind")
    array([0.5, 0.1], dtype=float32)
    """
    if casting not in CASTINGS:
        raise SpecError(f"casting is {casting!r}, needs one of {', '.join(CASTINGS)}")
    target = dtype_name(dtype)
    if array.dtype == numpy_dtype(target):
        return array
    if casting == "no" and array.dtype.name != target:
        how = '--casting equiv, in Python casting="equiv", converts it if no value changes'
        raise EncodeError(f"array is {array.dtype.name}, needs {target}; {how}")
    rounds = casting == "same_kind" and _upwards(dtype_name(array.dtype), target)

    def kept(x: np.ndarray, y: np.ndarray) -> Any:
        return casting == "unsafe" or _kept(x, y, rounds)

    return exact_astype(array, target, kept, lambda: _refusal(array, target, rounds))


def _upwards(source: str, target: str) -> bool:
    """Whether NumPy calls a cast to another size or kind "same_kind"; bfloat16 is a float."""
    kinds = [name.rstrip("0123456789").removeprefix("b") for name in (source, target)]
    ranks = [_KINDS.index("bool" if kind == "ool" else kind) for kind in kinds]
    return ranks[0] <= ranks[1]


def _kept(x: np.ndarray, y: np.ndarray, rounds: bool) -> np.ndarray:
    """Whether each element of ``y``, a cast of ``x``, is its number, or that number rounded."""
    if rounds and not integral(y.dtype.name):
        if x.dtype.kind == "c":  # one part may be infinite before, the other only after
            kept: np.ndarray = _kept(x.real, y.real, rounds) & _kept(x.imag, y.imag, rounds)
            return kept
        return np.asarray(np.isfinite(y) | ~np.isfinite(x))
    return survives(x, y)


@dataclass(frozen=True)
class _Moves:
    """The values that a cast changes: the first, how many, and the largest distance."""

    index: list[int]
    value: str
    becomes: str
    count: int
    most: float
    relative: float
    at: list[int]
    #: Whether any of them is out of range: to round them is not enough.
    lost: bool


def _moves(x: np.ndarray, target: str, rounds: bool) -> _Moves:
    flat, dtype, wide = x.reshape(-1), numpy_dtype(target), _wide(x.dtype.name, target)
    first = at = -1
    count, most, relative, lost = 0, 0.0, 0.0, False
    for start in range(0, flat.size, PART):
        part = flat[start : start + PART]
        moved = np.flatnonzero(~_kept(part, cast(part, dtype), rounds))
        if not moved.size:
            continue
        a = part[moved]
        b = cast(a, dtype)
        lost |= not _kept(a, b, rounds=True).all()
        with np.errstate(all="ignore"):
            distance = np.abs(a.astype(wide) - b.astype(wide))
            ratio = float(np.nanmax(distance / np.abs(a.astype(wide)), initial=0))
        distance[np.isnan(distance)] = 0  # NaN
        farthest = int(np.argmax(distance))
        if first < 0 or distance[farthest] > most:
            most, at = float(distance[farthest]), start + int(moved[farthest])
        first = start + int(moved[0]) if first < 0 else first
        count, relative = count + moved.size, max(relative, ratio)
    value = flat[first]
    becomes = _digits(value, cast(flat[first : first + 1], dtype)[0])
    places = [[int(i) for i in np.unravel_index(place, x.shape)] for place in (first, at)]
    return _Moves(places[0], str(value), becomes, count, most, relative, places[1], lost)


def _wide(source: str, target: str) -> Any:
    """The dtype in which differences are computed: int64 has more digits than float64."""
    long = bool({source, target} & {"int64", "uint64"})
    if source.startswith("complex") or target.startswith("complex"):
        return np.clongdouble if long else np.complex128
    return np.longdouble if long else np.float64


def _digits(value: Any, becomes: Any) -> str:
    """What a value becomes, with so many digits that it is told from the value."""
    if integral(becomes.dtype.name) or becomes.dtype.kind == "c":
        return str(becomes)
    short = f"{float(becomes):.9g}"
    return repr(float(becomes)) if short == str(value) else short


def _refusal(x: np.ndarray, target: str, rounds: bool) -> str:
    """What a conversion would change, and how to have it all the same."""
    found = _moves(x, target, rounds)
    source = x.dtype.name
    far = ""
    if found.most:
        relative = f", or {found.relative:.3g} relative" if math.isfinite(found.relative) else ""
        far = f", moved by at most {found.most:.3g}{relative}, at index {found.at}"
    text = (
        f"array is not exact in {target}: {found.value} at index {found.index} would become "
        f"{found.becomes} ({found.count} in all{far}); "
    )
    if not rounds and _upwards(source, target) and not integral(target) and not found.lost:
        return f'{text}to round, pass --casting same_kind, in Python casting="same_kind"'
    if integral(target):
        how = "wraps around" if integral(source) else "truncates"
        how = "makes all but 0 True" if target == "bool" else how
    elif source.startswith("complex") and not target.startswith("complex"):
        how = "drops imaginary parts"
    else:
        how = "makes it infinite"
    return (
        f"{text}choose a dtype that holds these values; --casting unsafe, in Python "
        f'casting="unsafe", {how}'
    )
