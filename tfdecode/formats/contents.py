"""What every file format gives: its arrays, listed but not yet decoded, and what else is there."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..dtypes import in_words
from ..errors import RAISE_LIMIT, FileError, TfdecodeError
from ..errors import shown as shown

Array: TypeAlias = npt.NDArray[Any]
Buffer: TypeAlias = "bytes | memoryview"

MAX_BYTES = 2**31
"""Decoded bytes that a read may yield when the caller names no other limit."""

_LISTED = 20
_TOGETHER = 4
HOW = ' (how: FILE#KEY or --key KEY, in Python load(path, "KEY"))'
# NumPy 1 stops at 32 dimensions; a file that needs more could not be read everywhere.
_MAX_DIMENSIONS = 32
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Entry:
    """One array in a file: its ``key``, ``dtype`` and ``shape``, and ``read`` to decode it.

    ``read_row`` reads ``array[index]`` alone, if the file allows it, and decodes ``row_nbytes``.
    """

    key: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    read: Callable[[], Array] = field(repr=False, compare=False)
    read_row: Callable[[int], Array] | None = field(default=None, repr=False, compare=False)
    row_nbytes: int = field(default=0, repr=False, compare=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded array, counted with Python's integers."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        form = f"{in_words(self.dtype)} [{','.join(map(str, self.shape))}]"
        return f"{shown(self.key)}: {form}" if self.key else form


@dataclass(frozen=True)
class Sparse:
    """A sparse array in a file: how to read it densely, and how many non-zeros it stores."""

    entry: Entry
    count: int

    def __str__(self) -> str:
        dims = ",".join(map(str, self.entry.shape))
        return (
            f"sparse {self.entry.dtype} [{dims}] with {self.count} non-zeros, {self.entry.nbytes} "
            'bytes when dense; in Python tfdecode.load(path, key, sparse="dense") reads it so'
        )


@dataclass(frozen=True)
class Contents:
    """What a file holds: arrays, advice on each of the others, a ``note`` for who needs a key.

    ``dense`` is what it holds if sparse arrays are read densely; None if there is none.
    """

    entries: Sequence[Entry]
    others: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    dense: Contents | None = None
    #: Whether the others are parts of the arrays, of which even who reads one array must know.
    partial: ClassVar[bool] = False

    @classmethod
    def of(cls, found: Iterable[tuple[str, Entry | Sparse | str]]) -> Contents:
        """Arrays, and names with what to do about what is not one."""
        entries: list[Entry] = []
        sparse: list[Entry] = []
        others: dict[str, str] = {}
        for name, value in found:
            if isinstance(value, Entry):
                entries.append(value)
                continue
            if isinstance(value, Sparse):
                sparse.append(value.entry)
            others[name] = str(value)
        if not sparse:
            return cls(entries, others)
        names = {entry.key for entry in sparse}
        left = {name: what for name, what in others.items() if name not in names}
        return cls(entries, others, dense=cls([*entries, *sparse], left))

    def read(self, key: str | None = None, *, max_bytes: int = MAX_BYTES) -> Array:
        """The array named ``key``, or the only one; `FileError` says what there is otherwise."""
        return _decode([self.entry(key)], max_bytes)[0]

    def entry(self, key: str | None = None) -> Entry:
        """The same array, not decoded."""
        self._require_some()
        if key is None:
            found = list(self.entries)
            if len(found) > 1:
                many = f"holds {len(found)} arrays{self.note}, choose one by key"
                raise FileError(f"{many}: {_listing(found)}{HOW}")
        else:
            found = [entry for entry in self.entries if entry.key == key]
            if not found:
                what = self.others.get(key)
                note = f" ({shown(key)}: {what})" if what else ""
                counted = counted_from_zero(key)
                first = counted.partition("]")[0]
                if counted != key and any(e.key.startswith(first) for e in self.entries):
                    raise FileError(
                        f"holds no array named {shown(key)}; indices are counted from 0, in "
                        f"square brackets: {shown(counted)}{HOW}"
                    )
                inside = [e for e in self.entries if e.key.startswith(key) and e.key != key]
                inside = [entry for entry in inside if entry.key[len(key)] in "./["]
                raise FileError(
                    f"holds no array named {shown(key)}{note}, "
                    f"but {len(inside)} inside of it, choose one by key: {_listing(inside)}{HOW}"
                    if key and inside
                    else f"holds no array named {shown(key)}{note}; it has {_listing(self.entries)}"
                )
            if len(found) > 1:
                raise _ambiguous(key, len(found))
        return found[0]

    def read_all(self, *, max_bytes: int = MAX_BYTES) -> dict[str, Array]:
        """Every array by its key; `FileError` if there is none or two share a key."""
        self._require_some()
        key, times = Counter(entry.key for entry in self.entries).most_common(1)[0]
        if times > 1:
            raise _ambiguous(key, times)
        arrays = _decode(self.entries, max_bytes)
        return {entry.key: array for entry, array in zip(self.entries, arrays, strict=True)}

    @property
    def left_out(self) -> str:
        """What is no array, and why, in one line: each reason once, with some of the names."""
        reasons: dict[str, list[str]] = {}
        for key, what in self.others.items():
            reasons.setdefault(what, []).append(key)
        return _capped([_together(keys, what) for what, keys in reasons.items()])

    def _require_some(self) -> None:
        if not self.entries:
            raise FileError(f"holds no array to read: {self.left_out or 'it is empty'}")


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Any exception of a library on hostile bytes as a `FileError` that begins with ``what``."""
    try:
        yield
    except FileError as error:
        raise FileError(f"{what}: {error}") from None
    except TfdecodeError:  # h5py is not installed
        raise
    except Exception as error:  # zipfile, zlib and h5py raise a dozen kinds
        raise FileError(f"{what} ({type(error).__name__})") from None


def _ambiguous(key: str, times: int) -> FileError:
    return FileError(
        f"holds {times} different arrays named {shown(key)}, so that key is ambiguous; "
        "give them different names"
    )


def _decode(entries: Sequence[Entry], max_bytes: int) -> list[Array]:
    needed = sum(entry.nbytes for entry in entries)
    if needed > max_bytes:
        one = len(entries) == 1
        what = (
            (shown(entries[0].key) or "the array") if one else f"the sum of {len(entries)} arrays"
        )
        raise beyond(what, needed, max_bytes)
    arrays = [entry.read() for entry in entries]
    for array in arrays:
        array.flags.writeable = False  # some are views of the file's bytes: make all alike
    return arrays


def beyond(what: str, nbytes: int, limit: int) -> FileError:
    """The error of an array larger than a read may yield."""
    return FileError(
        f"{what} decodes to {nbytes} bytes, more than the limit of {limit}; {RAISE_LIMIT}"
    )


def counted_from_zero(key: str) -> str:
    """A key as MATLAB writes it, ``C{1}.x(2)``, as it is written here: ``C[0].x[1]``."""
    return re.sub(r"[{(]([0-9]{1,9})[})]", lambda index: f"[{int(index[1]) - 1}]", key)


def _listing(entries: Iterable[Entry]) -> str:
    return _capped([str(entry) for entry in entries])


def _together(keys: Sequence[str], what: str) -> str:
    more = f" and {len(keys) - _TOGETHER} more" if len(keys) > _TOGETHER else ""
    named = ", ".join(shown(key) for key in keys[:_TOGETHER] if key)
    return f"{named}{more}: {what}" if named else what


def _capped(items: Sequence[str]) -> str:
    more = f"; ... and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return "; ".join(items[:_LISTED]) + more


def checked_shape(dims: Iterable[object], itemsize: int) -> tuple[int, ...]:
    """``dims`` as a shape that NumPy can hold; `FileError` for any other claim of a file."""
    shape: list[int] = []
    for dim in dims:
        if type(dim) is not int or not 0 <= dim <= _LARGEST:
            raise FileError("has an array whose dimensions are not all non-negative integers")
        shape.append(dim)
        if len(shape) > _MAX_DIMENSIONS:
            raise FileError(f"has an array of more than {_MAX_DIMENSIONS} dimensions")
    # NumPy multiplies the non-zero dimensions even of an array without elements.
    if math.prod(dim for dim in shape if dim) * itemsize > _LARGEST:
        raise FileError("has an array whose dimensions exceed the address space")
    return tuple(shape)


def view(
    raw: Buffer, dtype: np.dtype[Any], shape: tuple[int, ...], order: Literal["C", "F"] = "C"
) -> Array:
    """``raw`` as an array, without a copy; its length must be exactly what the form needs."""
    needed, got = math.prod(shape) * dtype.itemsize, len(raw)
    if needed != got:
        dims = ",".join(map(str, shape))
        raise FileError(f"has {got} bytes of data where {dtype} [{dims}] needs {needed}")
    if not needed:  # frombuffer refuses an empty buffer in NumPy 1
        return np.empty(shape, dtype, order)
    return np.frombuffer(raw, dtype).reshape(shape, order=order)


def unreadable(kind: str, itemsize: int = 0) -> str | None:
    """Why arrays of dtype ``kind`` and ``itemsize`` are refused; None for plain numbers."""
    if kind in "bui" or (kind, itemsize) in _FLOATS:
        return None
    if kind == "V" and itemsize:
        return "array of raw bytes, as which bfloat16 is saved; save it as .view('uint16')"
    return _REFUSED.get(kind, f"array of dtype kind {shown(kind)}; save it as plain numbers")


_FLOATS = {("f", 2), ("f", 4), ("f", 8), ("c", 8), ("c", 16)}
_REFUSED = {
    "O": "object array; save each array in it under its own key",
    "V": "structured array; save each field as an array of its own",
    "S": "array of byte strings; save the numbers they stand for",
    "a": "array of byte strings; save the numbers they stand for",
    "U": "array of strings; save the numbers they stand for",
    "T": "array of strings; save the numbers they stand for",
    "M": "datetime64 array; save it as .view('int64')",
    "m": "timedelta64 array; save it as .view('int64')",
    "f": "long double array; save it as .astype('float64')",
    "c": "long double array; save it as .astype('complex128')",
}
