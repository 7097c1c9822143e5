"""MAT-files of version 5 to 7.2: the walk to a variable, and its numbers, in stock ops."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from ....extras import tensorflow as tf
from ....formats.mat import types
from ....graph.inflate import inflate_bounded
from ....graph.substr import cut, string_length
from ....graph.switch import cond

#: Elements in a file: files with more are refused.
MAX_ELEMENTS = 32
#: Bytes of a compressed element that are inflated for its name, and of the element that they need
#: to give: 32 dimensions and the name end at byte 232; tables and others took at most 300 bytes.
PREFIX_PACKED, PREFIX = 1024, 232


class Span(NamedTuple):
    """Offset and length of bytes in each row: int64 ``[B]``."""

    start: Any
    size: Any


class Head(NamedTuple):
    """What precedes the numbers of a matrix."""

    named: Any  # whether it is one of the name
    kind: Any  # its class
    fits: Any  # whether it is of the class, logical and complex as it must be
    dims: Any  # whether it has the dimensions
    inner: Any  # the length that its tag says
    end: Any  # where the numbers begin, from the start of the element


@dataclass(frozen=True)
class MatVariable:
    """The numeric variable ``name``: ``sides`` in column order, of ``matlab_class``.

    ``matlab_class`` is None for any class that is marked logical; the parts of complex numbers are
    2, the real numbers and the imaginary ones.
    """

    name: str
    sides: tuple[int, ...]
    matlab_class: int | None
    parts: int

    @property
    def count(self) -> int:
        """Its elements."""
        return prod(self.sides)

    @property
    def storage(self) -> list[int]:
        """The types that its numbers may be stored as."""
        classes = types.CLASSES if self.matlab_class is None else (self.matlab_class,)
        return [kind for kind in types.STORAGE if any(types.carries(c, kind) for c in classes)]

    @property
    def max_nbytes(self) -> int:
        """The most bytes of its element."""
        width = types.class_nbytes(self.matlab_class) if self.matlab_class else 8
        dims, name = -(-4 * len(self.sides) // 8) * 8, -(-len(self.name) // 8) * 8
        return 40 + dims + name + self.parts * (16 + self.count * width)

    def max_data_nbytes(self, kind: Any) -> Any:
        """The most bytes that numbers of a class can have with their tags."""
        widths = [types.class_nbytes(c) if c in types.CLASSES else 0 for c in range(16)]
        width = tf.gather(widths, tf.minimum(kind, 15))
        return self.parts * (16 + self.count * tf.cast(width, tf.int64))

    # -- tags ---------------------------------------------------------------------------------

    def head(self, elements: Any, start: Any) -> Head:
        """The beginning of the elements that begin at ``start``."""
        words = unsigned(elements, start, 8 + 32)
        nbytes = words[:, 7]
        matrix = tf.reduce_all(tf.equal(words[:, :4:2], [types.MATRIX, 6]), 1)
        matrix &= tf.equal(words[:, 3], 8)
        matrix &= tf.equal(words[:, 6], 5) | tf.equal(words[:, 6], 6)
        matrix &= tf.equal(nbytes % 4, 0) & (nbytes >= 8) & (nbytes <= 128)
        dims = tf.ones_like(matrix)
        for axis, side in enumerate(self.sides):
            # MATLAB drops sides of 1 at the end, scipy keeps them.
            dropped = nbytes <= 4 * axis if all(s == 1 for s in self.sides[axis:]) else False
            dims &= tf.equal(words[:, 8 + axis], side) | dropped
        dims &= nbytes <= 4 * len(self.sides)
        flags = words[:, 4]
        kind = flags % 256
        logical, more = (flags // 2**bit % 2 for bit in (types.LOGICAL, types.COMPLEX))
        if self.matlab_class is None:
            numeric = tf.reduce_any(tf.equal(kind[:, tf.newaxis], list(types.CLASSES)), 1)
            fits = numeric & tf.equal(logical, 1) & tf.equal(more, 0)
        else:
            fits = tf.equal(kind, self.matlab_class) & tf.equal(logical, 0)
            fits &= tf.equal(more, self.parts - 1)
        offset = 32 + multiple_of_8(tf.where(matrix, nbytes, 0))
        storage, small, (at, size) = tag(elements, start + offset)
        length = len(self.name)
        matrix &= tf.equal(storage, 1) | tf.equal(storage, 16)
        matrix &= tf.equal(size, length) & (tf.logical_not(small) | (length <= 4))
        named = matrix & tf.equal(cut(elements, at, length), self.name)
        end = offset + tf.where(small, *int64(8, 8 + -(-length // 8) * 8))
        return Head(named, kind, fits, dims, words[:, 1], end)

    def part(self, elements: Any, start: Any, end: Any, kind: Any) -> tuple[Any, Any, Span, Any]:
        """Whether the numbers at ``start`` fit, their index in ``storage``, span and end."""
        storage, small, (at, size) = tag(elements, start)
        stored = tf.equal(storage[:, tf.newaxis], self.storage)
        index = tf.argmax(tf.cast(stored, tf.int32), 1, tf.int32)
        allowed = [[types.carries(c, s) for s in self.storage] for c in range(16)]
        fits = tf.gather_nd(allowed, tf.stack([tf.cast(kind % 16, tf.int32), index], 1))
        width = tf.gather([types.storage_nbytes(code) for code in self.storage], index)
        need = tf.cast(width, tf.int64) * self.count
        fits &= tf.reduce_any(stored, 1) & tf.equal(size, need) & (at + size <= end)
        fits &= tf.logical_not(small) | (size <= 4)
        return fits, index, Span(at, size), tf.where(small, start + 8, at + multiple_of_8(size))

    # -- the walk -----------------------------------------------------------------------------

    def find(self, payloads: Any, good: Any) -> tuple[Any, Any]:
        """The offset of the one element with the name, and whether the file is sound, ``[B]``."""
        length = string_length(payloads)
        first = tf.fill(tf.shape(length), tf.constant(128, tf.int64))
        _, size = element(payloads, first)
        single = tf.reduce_all(tf.equal(first + 8 + size, length) | tf.logical_not(good))

        def step(turn: Any, at: Any, hit_at: Any, hits: Any, valid: Any) -> Any:
            live = valid & (at < length)
            kind, size = element(payloads, at)
            end = at + 8 + size
            sound = (tf.equal(kind, types.MATRIX) | tf.equal(kind, types.COMPRESSED)) & (size > 0)
            sound &= end <= length
            packed = live & sound & tf.equal(kind, types.COMPRESSED) & is_stream(payloads, at + 8)
            plain = live & sound & tf.equal(kind, types.MATRIX)
            prefix = cut(payloads, at, tf.where(plain, tf.minimum(size + 8, PREFIX), 0))

            def inflated() -> list[Any]:
                some = tf.where(packed, tf.minimum(size, PREFIX_PACKED), 0)
                # A cut stream is not an error: the op gives what it has inflated.
                streams = tf.where(packed, cut(payloads, at + 8, some), "")
                return [tf.where(packed, inflate_bounded(streams, "ZLIB", PREFIX), prefix)]

            (prefix,) = cond(tf.reduce_any(packed), inflated, lambda: [prefix])
            hit = self.head(prefix, tf.zeros_like(at)).named
            hits += tf.cast(hit, tf.int32)
            valid &= tf.logical_not(live) | sound
            at, hit_at = tf.where(live & sound, end, at), tf.where(hit, at, hit_at)
            return turn + 1, at, hit_at, hits, valid

        def more(turn: Any, at: Any, hit_at: Any, hits: Any, valid: Any) -> Any:
            return (turn < MAX_ELEMENTS) & tf.reduce_any(valid & (at < length))

        def walk() -> list[Any]:
            state = [0, first, first, tf.zeros_like(first, tf.int32), good]
            _, at, hit_at, hits, valid = tf.while_loop(more, step, state)
            return [hit_at, valid & tf.equal(at, length) & tf.equal(hits, 1)]

        offset, found = cond(single, lambda: [first, good], walk)
        return offset, found


def multiple_of_8(nbytes: Any) -> Any:
    """Up to a multiple of 8."""
    return (nbytes + 7) // 8 * 8


def int64(*numbers: int) -> list[Any]:
    """As int64."""
    return [tf.constant(number, tf.int64) for number in numbers]


def unsigned(strings: Any, start: Any, count: int) -> Any:
    """``count`` words of 4 bytes: int64 ``[B, count]``, zeros after the end of a string."""
    text = cut(strings, start, 4 * count)
    words = tf.cast(tf.io.decode_raw(text, tf.int32, fixed_length=4 * count), tf.int64)
    return tf.bitwise.bitwise_and(words, 2**32 - 1)


def element(payloads: Any, start: Any) -> tuple[Any, Any]:
    """Type and size of the element at ``start``."""
    words = unsigned(payloads, start, 2)
    return words[:, 0], words[:, 1]


def tag(strings: Any, start: Any) -> tuple[Any, Any, Span]:
    """Type, whether it has the small form (see ``v5``), and span of the element at ``start``."""
    words = unsigned(strings, start, 2)
    small = words[:, 0] >= 2**16
    kind = words[:, 0] % 2**16
    size = tf.where(small, words[:, 0] // 2**16, words[:, 1])
    return kind, small, Span(start + tf.where(small, *int64(4, 8)), size)


def is_stream(payloads: Any, start: Any) -> Any:
    """Whether a zlib stream may begin there (RFC 1950): bool ``[B]``."""
    text = cut(payloads, start, 2)
    head = tf.cast(tf.io.decode_raw(text, tf.uint8, fixed_length=2), tf.int32)
    first, second = head[:, 0], head[:, 1]
    fits = tf.equal(first % 16, 8) & (first < 128) & tf.equal((first * 256 + second) % 31, 0)
    return fits & tf.equal(tf.bitwise.bitwise_and(second, 32), 0)
