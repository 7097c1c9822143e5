"""Numbers without a header, as `numpy.ndarray.tofile` writes them: ``.bin``, KITTI's clouds."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import dtype_name, numpy_dtype
from ..errors import FileError, SpecError
from .contents import Contents, Entry, checked_shape, view
from .sniff import sniff

NAME, SUFFIX = "headerless", ".bin"
ADVICE = (
    "pass its dtype and shape: --dtype float32 --shape -1,4, in Python "
    'load(path, dtype="float32", shape=(-1, 4))'
)
#: What to do about numbers that begin as another file does: all are 0, or like text.
TRUST = "if it is numbers without a header, pass its shape too: --shape -1, in Python shape=[-1]"
AS_IS = "its numbers alone are a payload: tfdecode pack FILE --codec raw, with its dtype and shape"
#: What arrives in the place of a file, and is no numbers of anyone.
_INSTEAD = re.compile("pointer|HTML|XML|web server")


def contents(data: bytes, dtype: Any = None, shape: Sequence[int] | None = None) -> Contents:
    """The only array of the file, whose key is ``""``."""
    if not data:
        raise FileError("is empty")
    kind = sniff(data, None)
    if kind and _INSTEAD.search(kind.name):
        raise FileError(f"is {kind.name}")
    if kind and dtype is not None and shape is None:
        raise FileError(f"holds {kind.name}; {TRUST}")
    if dtype is None:
        raise FileError(f"has no header that says what its numbers are; {ADVICE}")
    stored = stored_dtype(dtype)
    sides = sides_of(shape, stored, len(data))
    array = view(data, stored, checked_shape(sides, stored.itemsize))
    return Contents([Entry("", stored, array.shape, lambda: array)])


def stored_dtype(dtype: Any) -> np.dtype[Any]:
    """A dtype as it is in the file: little-endian unless it says otherwise."""
    name = dtype_name(dtype)
    if name == "bfloat16":
        return numpy_dtype(name)
    found: np.dtype[Any] = np.dtype(getattr(dtype, "as_numpy_dtype", dtype))
    return found.newbyteorder("<") if found.byteorder == "=" else found


def sides_of(shape: Sequence[int] | None, stored: np.dtype[Any], nbytes: int) -> list[int]:
    """``shape`` without -1; `FileError` unless it needs exactly so many bytes."""
    try:
        sides = [-1] if shape is None else [operator.index(side) for side in shape]
    except TypeError:
        raise SpecError(f"shape is {shape!r}, needs integers, as (-1, 4)") from None
    if sides.count(-1) > 1 or any(side < -1 for side in sides):
        raise SpecError(f"shape is {sides}, needs sizes of 0 or more, and -1 at most once")
    step = math.prod(side for side in sides if side != -1) * stored.itemsize
    text = f"{stored.name} [{','.join(map(str, sides))}]"
    if -1 not in sides:
        if step != nbytes:
            raise FileError(f"has {nbytes} bytes, {text} needs {step}")
        return sides
    if not step or nbytes % step:
        raise FileError(f"has {nbytes} bytes, {text} needs a multiple of {step}")
    return [nbytes // step if side == -1 else side for side in sides]
