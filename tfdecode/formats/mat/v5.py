"""MAT-files of versions 5 to 7.2: tagged elements, some deflated ("MAT-File Format", 1)."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from ...errors import FileError
from ..contents import Array, Contents, Entry, checked_shape, shown
from . import types
from .numbers import ADVICE, numbers

ByteOrder = Literal["<", ">"]
# Flags, 32 dimensions, a name and the first tag of the numbers; MATLAB's names end at 63 letters.
_HEAD = 4096


def contents(data: bytes) -> Contents:
    """List the matrices; of a deflated one only 4 KiB are inflated before it is read."""
    pairs = ((_head(element), element) for element in _elements(data))
    # MATLAB stores the workspace of functions under no name.
    found = ((head.name, _entry(head, element)) for head, element in pairs)
    return Contents.of((name, value) for name, value in found if name)


def named(data: bytes, name: str, most: int) -> Entry:
    """The one matrix ``name`` among ``most`` elements; of the others only the names are read."""
    found = []
    for index, element in enumerate(_elements(data)):
        if index == most:
            raise FileError(f"holds more than {most} variables; save {shown(name)} alone")
        with suppress(FileError):
            head = _head(element)
            if head.name == name and head.is_array:
                found.append((head, element))
    if len(found) != 1:
        times = f"{len(found)} variables" if found else "no variable"
        raise FileError(f"holds {times} named {shown(name)}")
    entry = _entry(*found[0])
    if isinstance(entry, str):
        raise FileError(f"holds {shown(name)} as {entry}")
    return entry


def _elements(data: bytes) -> Iterator[_Element]:
    orders: dict[bytes, ByteOrder] = {b"IM": "<", b"MI": ">"}
    order = orders.get(data[126:128])
    if order is None:
        raise FileError("is not a .mat file: bytes 126 and 127 are not the letters IM")
    position = 128
    while position < len(data):
        kind, length = _words(data, position, order)
        end = position + 8 + length
        if length == 0 or end > len(data) or kind not in (types.MATRIX, types.COMPRESSED):
            raise FileError(f"is a damaged .mat: no whole matrix at byte {position}")
        start = position + (8 if kind == types.COMPRESSED else 0)
        yield _Element(memoryview(data)[start:end], kind == types.COMPRESSED, order)
        position = end


class _Element(NamedTuple):
    """The bytes of one matrix with its tag, as they are in the file."""

    raw: memoryview
    deflated: bool
    order: ByteOrder

    def first(self, count: int) -> bytes | memoryview:
        """The first ``count`` bytes once inflated, or all if it has fewer."""
        if not self.deflated:
            return self.raw[:count]
        stream = zlib.decompressobj()
        try:
            head = stream.decompress(self.raw, count)
        except zlib.error:
            raise FileError("is a damaged .mat: a matrix does not inflate") from None
        if len(head) < count and (stream.unused_data or stream.unconsumed_tail):
            raise FileError("is a damaged .mat: bytes follow a deflated matrix")
        return head


class _Tag(NamedTuple):
    kind: int
    start: int
    length: int
    end: int


def _tag(data: bytes | memoryview, position: int, order: ByteOrder) -> _Tag:
    kind, length = _words(data, position, order)
    if kind >> 16:  # the small form: both halves in one word, up to 4 bytes in the other
        kind, length = kind & 0xFFFF, kind >> 16
        if length > 4:
            raise FileError("is a damaged .mat: a small element of more than 4 bytes")
        return _Tag(kind, position + 4, length, position + 8)
    start = position + 8
    return _Tag(kind, start, length, start + length + -length % 8)


def _words(data: bytes | memoryview, position: int, order: ByteOrder) -> tuple[int, int]:
    if position + 8 > len(data):
        raise FileError("is a truncated .mat: an element's tag is cut")
    first, second = struct.unpack_from(f"{order}II", data, position)
    return first, second


class _Head(NamedTuple):
    """What precedes the numbers of a matrix; ``length`` is that of the element."""

    name: str
    length: int
    matlab_class: int
    logical: int
    complex: int
    dims: tuple[int, ...]
    end: int

    @property
    def is_array(self) -> bool:
        """Whether it can be one: not an opaque object, at most 32 dimensions as in NumPy 1."""
        return self.matlab_class != 17 and len(self.dims) <= 32


def _head(element: _Element) -> _Head:
    order = element.order
    head = element.first(_HEAD)
    kind, length = _words(head, 0, order)
    flags = _tag(head, 8, order)
    if kind != types.MATRIX or flags.kind != 6 or flags.length != 8 or flags.end > len(head):
        raise FileError("is a damaged .mat: a matrix without its flags")
    (word,) = struct.unpack_from(f"{order}I", head, flags.start)
    logical, complex_ = word >> types.LOGICAL & 1, word >> types.COMPLEX & 1
    matlab_class, position, dims = word & 0xFF, flags.end, ()
    if matlab_class != 17:  # opaque objects have no dimensions
        tag = _tag(head, position, order)
        if tag.kind not in (5, 6) or tag.length % 4 or tag.end > len(head):
            raise FileError("is a damaged .mat: a matrix without its dimensions")
        dims = struct.unpack_from(f"{order}{tag.length // 4}i", head, tag.start)
        position = tag.end
    tag = _tag(head, position, order)
    if tag.kind not in (1, 16) or tag.end > len(head):
        raise FileError("is a damaged .mat: a matrix without its name")
    try:
        raw = bytes(head[tag.start : tag.start + tag.length])
        name = raw.decode("ascii" if tag.kind == 16 else "latin-1")
    except UnicodeDecodeError:
        raise FileError("is a damaged .mat: a name that is not ASCII") from None
    return _Head(name, length, matlab_class, logical, complex_, dims, tag.end)


def _entry(head: _Head, element: _Element) -> Entry | str:
    """The entry of a matrix, or what it is instead."""
    name, length, order = head.name, head.length, element.order
    if head.matlab_class not in types.CLASSES:
        kind = types.OTHER_CLASSES.get(head.matlab_class)
        return ADVICE[kind] if kind else f"of unknown class {head.matlab_class}"
    if not name:
        return "workspace of functions"
    dtype = np.dtype(types.CLASSES[head.matlab_class])
    if head.complex and (head.logical or dtype.kind != "f"):
        return "complex integers; save it as double"
    code = f"c{2 * dtype.itemsize}" if head.complex else "?" if head.logical else dtype.str
    result, count = np.dtype(code), math.prod(head.dims)
    numeric = _Numeric(name, order, head.matlab_class, 1 + head.complex, count, head.end)
    shape = checked_shape(head.dims, result.itemsize)
    numeric.storage(element.first(_HEAD), numeric.start)
    # Each part is as wide as the class at most, so that inflating stays near the decoded size.
    width = types.class_nbytes(head.matlab_class)
    most = head.end - 8 + numeric.parts * (16 + numeric.elements * width)
    if length > most:
        raise FileError(
            f"matrix {shown(name)} claims {length} bytes, its dimensions need at most {most}"
        )
    return Entry(name, result, shape, partial(numeric.read, element, length, shape, result))


class _Numeric(NamedTuple):
    """Where the numbers of a matrix are and how many its header promises."""

    name: str
    order: ByteOrder
    matlab_class: int
    parts: int
    elements: int
    start: int

    def storage(self, data: bytes | memoryview, position: int) -> tuple[np.dtype[Any], _Tag]:
        """The type that a part is stored in, and its tag; checked against class and dimensions."""
        tag = _tag(data, position, self.order)
        if not types.carries(self.matlab_class, tag.kind):
            kind = types.CLASSES[self.matlab_class]
            raise FileError(
                f"matrix {shown(self.name)} of class {kind} is stored as type {tag.kind}, "
                "which cannot hold it"
            )
        stored = np.dtype(types.STORAGE[tag.kind]).newbyteorder(self.order)
        if tag.length != self.elements * stored.itemsize:
            raise FileError(
                f"matrix {shown(self.name)} has {tag.length} bytes of numbers, its dimensions "
                f"need {self.elements * stored.itemsize}"
            )
        return stored, tag

    def read(
        self, element: _Element, length: int, shape: tuple[int, ...], result: np.dtype[Any]
    ) -> Array:
        # One byte more than there is: zlib compares its checksum only at the very end.
        data = element.first(8 + length + 1)
        if len(data) != 8 + length:
            raise FileError(f"matrix {shown(self.name)} is not {length} bytes long as it claims")
        storage, raws, position = [], [], self.start
        for _ in range(self.parts):
            stored, tag = self.storage(data, position)
            storage.append(stored)
            raws.append(memoryview(data)[tag.start : tag.start + tag.length])
            position = tag.end
        return numbers(raws, storage, shape, result)
