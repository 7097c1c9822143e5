"""MAT-files of versions 5 to 7.2: tagged elements, some deflated ("MAT-File Format", 1)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ...errors import RAISE_LIMIT, FileError
from ..contents import MAX_BYTES, Array, Contents, Entry, checked_shape, shown
from . import types
from .advice import advice
from .elements import (
    HEAD,
    ByteOrder,
    Element,
    Head,
    Tag,
    elements,
    head_of,
    shown_head,
    tag_at,
    words,
)
from .numbers import by_columns, numbers
from .tree import Leaf, Members, Tree, parts

# A struct is inflated whole, and can hold more than its arrays: up to this.
_SLACK = 2**22


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """List the arrays; of a deflated one only 4 KiB are inflated before it is read.

    Structs, cells and sparse matrices are inflated at once: all together to ``max_bytes`` + 4 MiB.
    """
    return Contents.of(_found(data, max_bytes + _SLACK))


def named(data: bytes, name: str, most: int, most_packed: int) -> Entry:
    """The one matrix ``name`` among ``most`` elements; of the others only the names are read.

    FileError if it is deflated to more than ``most_packed`` bytes.
    """
    found, every = [], list(islice(elements(data), most + 1))
    if len(every) > most:
        raise FileError(f"holds more than {most} variables; save {shown(name)} alone")
    for element in every:
        beginning = shown_head(element) if element.deflated and len(every) > 1 else element
        with suppress(FileError):
            head = head_of(beginning)
            if head.name == name and head.is_array:
                found.append(element)
    if len(found) != 1:
        times = f"{len(found)} variables" if found else "no variable"
        raise FileError(f"holds {times} named {shown(name)}")
    if found[0].deflated and len(found[0].raw) > most_packed:
        raise FileError(f"holds {shown(name)} deflated to more than {most_packed} bytes")
    entry = _entry(head_of(found[0]), found[0])
    if isinstance(entry, str):
        raise FileError(f"holds {shown(name)} as {entry}")
    return entry


def _found(data: bytes, left: int) -> Iterator[tuple[str, Leaf]]:
    tree, start = Tree(_expand), 128
    for element in elements(data):
        try:
            head = head_of(element)
        except FileError as error:
            raise FileError(f"{error} (in the variable at byte {start})") from None
        start += len(element.raw) + (8 if element.deflated else 0)
        if not head.name:
            yield "", "MATLAB's own data of functions and objects, which is no variable"
            continue
        if element.deflated and head.matlab_class in _NESTED:
            nbytes = 8 + head.length
            if nbytes > left:
                kind = types.OTHER_CLASSES[head.matlab_class]
                yield head.name, f"{kind} of {nbytes} bytes when inflated; {RAISE_LIMIT}"
                continue
            left -= nbytes
            element = Element(
                memoryview(_whole(element, head.name, head.length)), False, element.order
            )
        yield from tree.leaves(head.name, element)


# Classes of which the members are looked at: cell, struct, object of old classes, sparse matrix.
_CELL, _STRUCT, _OBJECT, _SPARSE, _OPAQUE = 1, 2, 3, 5, 17
_NESTED = (_CELL, _STRUCT, _OBJECT, _SPARSE)


def _whole(element: Element, name: str, length: int) -> bytes | memoryview:
    # One byte more than there is: zlib compares its checksum only at the very end.
    data = element.first(8 + length + 1)
    if len(data) != 8 + length:
        raise FileError(f"matrix {shown(name)} is not {length} bytes long as it claims")
    return data


def _expand(path: str, element: Element) -> Leaf | Members:
    """The array in a matrix, or the matrices in it."""
    if len(element.raw) == 8:  # the tag alone: a field or cell that was never set
        return Entry(path, np.dtype("f8"), (0, 0), lambda: np.zeros((0, 0), order="F"))
    head = head_of(element, path)
    if head.matlab_class in (_CELL, _STRUCT, _OBJECT):
        return _members(head, element)
    return _sparse(head, element) if head.matlab_class == _SPARSE else _entry(head, element)


def _members(head: Head, element: Element) -> str | Members:
    """The matrices in a cell array or in a structure array, in the order of the file."""
    raw, order, position = element.raw, element.order, head.end
    checked_shape(head.dims, 8)
    count = math.prod(head.dims)
    if head.matlab_class == _CELL:
        return _cells(raw, position, order, count) if count else "cell array without cells"
    if head.matlab_class == _OBJECT:  # its class
        position = tag_at(raw, position, order).end
    width, names = (tag := tag_at(raw, position, order)), tag_at(raw, tag.end, order)
    longest = int.from_bytes(raw[width.start : width.start + 4], _ENDIAN[order])
    if width.length != 4 or names.end > len(raw) or names.length % (longest or 1):
        raise FileError("is a damaged .mat: a struct without the names of its fields")
    text = bytes(raw[names.start : names.start + names.length])
    fields = [
        text[start : start + longest].split(b"\0")[0].decode("utf-8", "replace")
        for start in range(0, len(text), longest or 1)
    ]
    if not count or not fields:
        return "struct without elements" if fields else "struct without fields"
    labels = parts(fields, count)
    cells = _cells(raw, names.end, order, count * len(fields))
    return ((label, cell) for label, (_, cell) in zip(labels, cells, strict=True))


_ENDIAN: dict[ByteOrder, Any] = {"<": "little", ">": "big"}


def _cells(raw: Any, position: int, order: ByteOrder, count: int) -> Members:
    if count > (len(raw) - position) // 8:
        raise FileError(f"is a damaged .mat: {count} cells or fields in {len(raw)} bytes")
    for index in range(count):
        kind, length = words(raw, position, order)
        end = position + 8 + length
        if kind != types.MATRIX or end > len(raw):
            raise FileError(f"is a damaged .mat: no whole matrix as cell or field {index}")
        yield f"[{index}]", Element(raw[position:end], False, order)
        position = end
    if position != len(raw):
        raise FileError("is a damaged .mat: bytes follow the last cell or field")


def _sparse(head: Head, element: Element) -> Leaf:
    """A sparse matrix: rows of the non-zeros, where each column begins, then the values."""
    dtype = np.dtype("c16" if head.complex else "?" if head.logical else "f8")
    shape = checked_shape(head.dims, dtype.itemsize)
    raw, order, position = element.raw, element.order, head.end
    tags = []
    for _ in range(3 + head.complex):
        tag = tag_at(raw, position, order)
        if tag.kind not in types.STORAGE or tag.start + tag.length > len(raw):
            raise FileError("is a damaged .mat: a sparse matrix that is not whole")
        tags.append(tag)
        position = tag.end
    stored = [np.dtype(types.STORAGE[tag.kind]).newbyteorder(order) for tag in tags]
    if head.logical:  # MATLAB tags them as doubles, but writes a byte each
        stored[2] = stored[2] if tags[2].length == tags[0].length * 2 else np.dtype("u1")
    whole = not any(t.length % s.itemsize for t, s in zip(tags, stored, strict=True))
    if len(shape) != 2 or not whole or "f" in (stored[0].kind, stored[1].kind):
        raise FileError("is a damaged .mat: a sparse matrix of an unknown form")
    rows, columns, *values = (
        np.frombuffer(raw[tag.start : tag.start + tag.length], kind)
        for tag, kind in zip(tags, stored, strict=True)
    )
    count = max(int(columns[-1]), 0) if columns.size else 0
    return by_columns(head.name, shape, dtype, count, lambda: (rows, columns, values))


def _entry(head: Head, element: Element) -> Entry | str:
    """The entry of a matrix, or what it is instead."""
    name, length, order = head.name, head.length, element.order
    if head.matlab_class not in types.CLASSES:
        kind = types.OTHER_CLASSES.get(head.matlab_class)
        if kind in ("cell", "struct", "sparse"):
            return f"{kind}; save the numbers as a variable of their own"
        kind = _class_name(head, element) if head.matlab_class == _OPAQUE else kind
        return f"of unknown class {head.matlab_class}" if kind is None else advice(kind)
    dtype = np.dtype(types.CLASSES[head.matlab_class])
    if head.complex and (head.logical or dtype.kind != "f"):
        return "complex integers; save it as double"
    code = f"c{2 * dtype.itemsize}" if head.complex else "?" if head.logical else dtype.str
    result, count = np.dtype(code), math.prod(head.dims)
    numeric = _Numeric(name, order, head.matlab_class, 1 + head.complex, count, head.end)
    shape = checked_shape(head.dims, result.itemsize)
    try:
        numeric.storage(element.first(HEAD), numeric.start)
    except FileError as error:  # the others are whole
        return f"{error}; if it is sparse, save it by full(...)" if head.logical else str(error)
    # Each part is as wide as the class at most, so that inflating stays near the decoded size.
    width = types.class_nbytes(head.matlab_class)
    most = head.end - 8 + numeric.parts * (16 + numeric.elements * width)
    if length > most:
        raise FileError(
            f"matrix {shown(name)} claims {length} bytes, its dimensions need at most {most}"
        )
    return Entry(name, result, shape, partial(numeric.read, element, length, shape, result))


def _class_name(head: Head, element: Element) -> str:
    """The class of an opaque object: after its name come the kind of object and the class."""
    with suppress(FileError):
        data = element.first(HEAD)
        tag = tag_at(data, tag_at(data, head.end, element.order).end, element.order)
        if tag.end <= len(data):
            return bytes(data[tag.start : tag.start + tag.length]).decode("latin-1")
    return ""


class _Numeric(NamedTuple):
    """Where the numbers of a matrix are and how many its header promises."""

    name: str
    order: ByteOrder
    matlab_class: int
    parts: int
    elements: int
    start: int

    def storage(self, data: bytes | memoryview, position: int) -> tuple[np.dtype[Any], Tag]:
        """The type that a part is stored in, and its tag; checked against class and dimensions."""
        tag = tag_at(data, position, self.order)
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
        self, element: Element, length: int, shape: tuple[int, ...], result: np.dtype[Any]
    ) -> Array:
        data = _whole(element, self.name, length)
        storage, raws, position = [], [], self.start
        for _ in range(self.parts):
            stored, tag = self.storage(data, position)
            storage.append(stored)
            raws.append(memoryview(data)[tag.start : tag.start + tag.length])
            position = tag.end
        return numbers(raws, storage, shape, result)
