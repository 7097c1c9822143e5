"""The elements of a MAT-file of versions 5 to 7.2: their tags, and what precedes the numbers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

from ...errors import FileError
from . import types

ByteOrder = Literal["<", ">"]
# Flags, 32 dimensions, a name and the first tag of the numbers; MATLAB's names end at 63 letters.
HEAD = 4096
#: Bytes of a deflated variable in which a reader of another looks for its name. Names are in the
#: first 184 (272 if they have 32 dimensions); each of these bytes may inflate to 1032.
SHOWN = 208
#: Class of MATLAB's objects, which have no dimensions.
OPAQUE = 17


def elements(data: bytes) -> Iterator[Element]:
    orders: dict[bytes, ByteOrder] = {b"IM": "<", b"MI": ">"}
    order = orders.get(data[126:128])
    if order is None:
        raise FileError("is not a .mat file: bytes 126 and 127 are not the letters IM")
    position = 128
    while position < len(data):
        kind, length = words(data, position, order)
        end = position + 8 + length
        if length == 0 or kind not in (types.MATRIX, types.COMPRESSED):
            raise FileError(f"is a damaged .mat: no matrix at byte {position}")
        if end > len(data):
            raise FileError(
                f"is a truncated .mat: the variable at byte {position} ends at byte {end}, "
                f"the file at byte {len(data)}"
            )
        start = position + (8 if kind == types.COMPRESSED else 0)
        yield Element(memoryview(data)[start:end], kind == types.COMPRESSED, order)
        position = end


class Element(NamedTuple):
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
        return head


class Tag(NamedTuple):
    kind: int
    start: int
    length: int
    end: int


def tag_at(data: bytes | memoryview, position: int, order: ByteOrder) -> Tag:
    kind, length = words(data, position, order)
    if kind >> 16:  # the small form: both halves in one word, up to 4 bytes in the other
        kind, length = kind & 0xFFFF, kind >> 16
        if length > 4:
            raise FileError("is a damaged .mat: a small element of more than 4 bytes")
        return Tag(kind, position + 4, length, position + 8)
    start = position + 8
    return Tag(kind, start, length, start + length + -length % 8)


def words(data: bytes | memoryview, position: int, order: ByteOrder) -> tuple[int, int]:
    if position + 8 > len(data):
        raise FileError("is a truncated .mat: an element's tag is cut")
    first, second = struct.unpack_from(f"{order}II", data, position)
    return first, second


class Head(NamedTuple):
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
        return self.matlab_class != OPAQUE and len(self.dims) <= 32


def head_of(element: Element, path: str = "") -> Head:
    """The head of a matrix; one in a struct or cell has no name but a ``path``."""
    order = element.order
    head = element.first(HEAD)
    kind, length = words(head, 0, order)
    flags = tag_at(head, 8, order)
    if kind != types.MATRIX or flags.kind != 6 or flags.length != 8 or flags.end > len(head):
        raise FileError("is a damaged .mat: a matrix without its flags")
    (word,) = struct.unpack_from(f"{order}I", head, flags.start)
    logical, complex_ = word >> types.LOGICAL & 1, word >> types.COMPLEX & 1
    matlab_class, position, dims = word & 0xFF, flags.end, ()
    if matlab_class != OPAQUE:
        tag = tag_at(head, position, order)
        if tag.kind not in (5, 6) or tag.length % 4 or tag.end > len(head):
            raise FileError("is a damaged .mat: a matrix without its dimensions")
        dims = struct.unpack_from(f"{order}{tag.length // 4}i", head, tag.start)
        position = tag.end
    tag = tag_at(head, position, order)
    if tag.kind not in (1, 16) or tag.end > len(head):
        raise FileError("is a damaged .mat: a matrix without its name")
    try:
        raw = bytes(head[tag.start : tag.start + tag.length])
        name = raw.decode("ascii" if tag.kind == 16 else "latin-1")
    except UnicodeDecodeError:
        raise FileError("is a damaged .mat: a name that is not ASCII") from None
    return Head(path or name, length, matlab_class, logical, complex_, dims, tag.end)


def shown_head(element: Element) -> Element:
    """The beginning of a deflated ``element`` among others: what its first bytes inflate to.

    FileError if these do not show its name: a reader of one variable looks at no more of others.
    """
    try:
        head = zlib.decompressobj().decompress(element.raw[:SHOWN])
    except zlib.error:
        head = b""
    if len(element.raw) > SHOWN and not shows_name(head, element.order):
        raise FileError(f"holds a variable whose first {SHOWN} bytes do not show its name")
    return Element(memoryview(head), False, element.order)


def shows_name(head: bytes, order: ByteOrder) -> bool:
    """Whether ``head``, the beginning of an element, has all of its name."""
    try:
        name = tag_at(head, tag_at(head, 24, order).end, order)
    except FileError:
        return len(head) >= 232
    return name.end <= len(head) or len(head) >= 232
