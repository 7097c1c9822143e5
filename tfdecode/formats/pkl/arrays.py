"""Arrays among the records of a pickle: the forms that NumPy writes, each part checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from ...dtypes import numpy_dtype
from ...errors import FileError
from ..contents import Array, Buffer, checked_shape, unreadable, view
from .unpickler import Call, Global

# NumPy 2 renamed numpy.core to numpy._core.
_CORES = ("numpy.core", "numpy._core")
_RECONSTRUCT = {(f"{core}.multiarray", "_reconstruct") for core in _CORES}
_SCALAR = {(f"{core}.multiarray", "scalar") for core in _CORES}
_FROMBUFFER = {(f"{core}.numeric", "_frombuffer") for core in _CORES}
_MASKED = {("numpy.ma.core", "_mareconstruct"), ("numpy.ma", "_mareconstruct")}
_ARRAYS = {
    ("numpy", "ndarray"),
    ("numpy", "matrix"),
    ("numpy", "memmap"),
    ("numpy.matrixlib.defmatrix", "matrix"),
    *((f"{core}.memmap", "memmap") for core in _CORES),
}
_BYTES = {("builtins", "bytes"), ("__builtin__", "bytes")}
_ARRAY = ("array", "_array_reconstructor")
# The machine formats of array.array (PEP 3118 has no such list; Python's Modules/arraymodule.c).
_MACHINE = ["u1", "i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4"]
_MACHINE += ["<u8", ">u8", "<i8", ">i8", "<f4", ">f4", "<f8", ">f8"]
# The longest np.str_ or np.bytes_ that is read as a key.
_TEXT = 1024

_CODE = 20
_CODES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}


@dataclass(frozen=True)
class Found:
    """An array in the file: ``raw`` gives the bytes of shape ``stored``, to be transposed."""

    dtype: np.dtype[Any]
    stored: tuple[int, ...]
    order: Literal["C", "F"]
    axes: tuple[int, ...]
    raw: Callable[[], Buffer]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape once read."""
        return tuple(self.stored[axis] for axis in self.axes)

    def read(self) -> Array:
        """The array, a view of the file's bytes where the file holds them as they are."""
        stored = view(self.raw(), self.dtype, self.stored, self.order)
        return np.transpose(stored, self.axes)


class Objects(NamedTuple):
    """An object array: its shape and, in C order, the records of its elements."""

    shape: tuple[int, ...]
    items: list[object]


class Masked(NamedTuple):
    """A masked array: the records of its data and of its mask."""

    data: Call
    mask: Call


def array_of(call: Call) -> Found | Objects | Masked | str | None:
    """The array that a record stands for, why it is refused, or None if it is no array."""
    name = name_of(call.function)
    if name in _RECONSTRUCT:
        if len(call.args) != 3 or not isinstance(call.args[0], Global):
            raise _damaged("arguments")
        of = name_of(call.args[0])
        if of and of[1] == "recarray":
            return unreadable("V")
        if of not in _ARRAYS:
            return f"{call.args[0]} array; save numpy.asarray(...) of it"
        state = call.state
        if type(state) is not tuple or len(state) != 5:
            raise _damaged("state")
        _, shape, dtype, fortran, raw = state
        if type(fortran) not in (bool, int):
            raise _damaged("order")
        if _is_object(dtype):
            return _objects(shape, raw)
        return _found(dtype, shape, "F" if fortran else "C", None, raw)
    if name in _FROMBUFFER and len(call.args) in (4, 5):
        raw, dtype, shape, order, *axes = call.args
        if type(order) is not str or order not in "CFK" or len(order) != 1:
            raise _damaged("order")
        return _found(dtype, shape, "F" if order == "F" else "C", axes[0] if axes else None, raw)
    if name in _SCALAR and len(call.args) == 2:
        return _found(call.args[0], (), "C", None, call.args[1])
    if name == _ARRAY and len(call.args) == 4:
        _, _, machine, raw = call.args
        if type(machine) is not int or not 0 <= machine < len(_MACHINE):
            return "array.array of characters; save the numbers they stand for"
        dtype = np.dtype(_MACHINE[machine])
        length, read = _raw(raw)
        if length % dtype.itemsize:
            raise _damaged("array.array")
        return Found(dtype, (length // dtype.itemsize,), "C", (0,), read)
    if name in _MASKED:
        state = call.state
        if type(state) is not tuple or len(state) != 7:  # the seventh is the fill value
            raise _damaged("masked array")
        version, shape, dtype, fortran, data, mask, _ = state
        return Masked(
            _record((version, shape, dtype, fortran, data)),
            _record((version, shape, _BOOL, fortran, mask)),
        )
    return None


def _record(state: tuple[object, ...]) -> Call:
    """What the file would hold of an array with this state."""
    call = Call(Global("numpy.core.multiarray", "_reconstruct"), (Global("numpy", "ndarray"), 0, 0))
    call.state = state
    return call


_BOOL = Call(Global("numpy", "dtype"), ("b1", 0, 1))
_BOOL.state = (3, "|", None, None, None, -1, -1, 0)


def _is_object(record: object) -> bool:
    if not isinstance(record, Call) or name_of(record.function) != ("numpy", "dtype"):
        return False
    return record.args[:1] in (("O8",), ("O4",))


def _objects(dims: object, items: object) -> Objects:
    if type(dims) is not tuple:
        raise _damaged("shape")
    shape = checked_shape(dims, 1)
    if type(items) is not list or len(items) != math.prod(shape):
        raise _damaged("object array")
    return Objects(shape, items)


def text_of(call: Call) -> str | bytes | None:
    """The text or the bytes that a record stands for: bytes of protocol 0 to 2, np.str_."""
    raw = bytes_of(call)
    if raw is not None:
        return raw
    if name_of(call.function) not in _SCALAR or len(call.args) != 2:
        return None
    dtype, raw = call.args[0], bytes_of(call.args[1])
    if not isinstance(dtype, Call) or raw is None or type(dtype.state) is not tuple:
        return None
    code, order = dtype.args[0] if dtype.args else None, dtype.state[1:2]
    if not isinstance(code, str) or code[:1] not in ("S", "U"):
        return None
    if code[0] == "S":
        return raw
    try:
        return raw.decode("utf-32-be" if order == (">",) else "utf-32-le")
    except UnicodeDecodeError:
        raise _damaged("text") from None


def bytes_of(record: object) -> bytes | None:
    """The bytes that a record stands for, if it is a short one of them."""
    try:
        length, read = _raw(record)
        return bytes(read()) if length <= _TEXT else None
    except FileError:
        return None


def _found(
    dtype_record: object, dims: object, order: Literal["C", "F"], axes: object, raw: object
) -> Found | str:
    dtype = _dtype(dtype_record)
    if isinstance(dtype, str):
        return dtype
    if type(dims) is not tuple:
        raise _damaged("shape")
    shape = checked_shape(dims, dtype.itemsize)
    length, read = _raw(raw)
    if axes is not None and (type(axes) is not tuple or len(axes) != len(shape)):
        raise _damaged("axes")
    needed = math.prod(shape) * dtype.itemsize
    if needed != length:
        listed = ",".join(map(str, shape))
        raise FileError(f"has {length} bytes of data, {dtype} [{listed}] needs {needed}")
    if axes is None:
        axes = tuple(range(len(shape)))
    if any(type(axis) is not int for axis in axes) or sorted(axes) != list(range(len(shape))):
        raise _damaged("axes")
    return Found(dtype, shape, order, axes, read)


def _dtype(record: object) -> np.dtype[Any] | str:
    """The dtype of ``numpy.dtype(code, align, copy)`` with its state, or why it is refused."""
    if (
        not isinstance(record, Call)
        or name_of(record.function) != ("numpy", "dtype")
        or not record.args
        or type(record.state) is not tuple
        or len(record.state) not in (8, 9)  # the ninth is metadata
    ):
        raise _damaged("dtype")
    code = record.args[0]
    _, order, *structure, itemsize, alignment, flags = record.state[:8]
    if isinstance(code, Global):
        if name_of(code) != ("ml_dtypes", "bfloat16"):
            return f"array of dtype {code}; save it as plain numbers"
        if (order, structure, itemsize) != ("<", [None] * 3, 2):
            raise _damaged("dtype")
        return numpy_dtype("bfloat16")
    # The length first: a million arrays may share one code of a megabyte.
    if type(code) is not str or len(code) > _CODE or not code[1:].isdecimal():
        raise _damaged("dtype")
    if code not in _CODES:
        return unreadable(code[0], 0) or f"array of unknown dtype {code[:8]}"
    # What NumPy writes for plain numbers; NumPy would trust any other state, too.
    if [type(part) for part in (itemsize, alignment, flags)] != [int] * 3 or (
        structure != [None] * 3 or (itemsize, alignment, flags) != (-1, -1, 0)
    ):
        raise _damaged("dtype state")
    if type(order) is not str or order not in ("<", ">", "|") or (order == "|" and code[1:] != "1"):
        raise _damaged("byte order")
    return np.dtype(code if order == "|" else order + code)


def _raw(record: object) -> tuple[int, Callable[[], Buffer]]:
    """How many bytes an array's data has, and how to get them."""
    if isinstance(record, memoryview):
        return len(record), lambda: record
    text = record  # a short str of Python 2
    if isinstance(record, Call):
        if name_of(record.function) in _BYTES and not record.args:
            return 0, lambda: b""
        # Python 3 writes bytes so in protocols 0 to 2, which have text only.
        if name_of(record.function) == ("_codecs", "encode") and len(record.args) == 2:
            text = record.args[0] if record.args[1] in ("latin1", "latin-1") else None
    if type(text) is not str:
        raise _damaged("data")
    return len(text), partial(_latin1, text)


def _latin1(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise _damaged("data") from None


def name_of(record: object) -> tuple[str, str] | None:
    """Module and name of a `Global`, None for other records."""
    return (record.module, record.name) if isinstance(record, Global) else None


def _damaged(part: str) -> FileError:
    return FileError(f"is not a pickle that NumPy writes: invalid {part}")
