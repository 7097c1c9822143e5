"""MAT-files of version 5 to 7.2: the walk to a variable, and its numbers, in stock ops."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from ....extras import tensorflow as tf
from ....formats.mat import types
from ....formats.mat.elements import OPAQUE, SHOWN
from ....graph.inflate import inflate_bounded
from ....graph.substr import cut, string_length
from ....graph.switch import cond

#: Elements in a file: files with more are refused.
MAX_ELEMENTS = 32
#: Bytes that the head of an element can have: 32 dimensions and a name of 63 letters.
HEAD_NBYTES = 232


class Tag(NamedTuple):
    """The tags of elements, ``[B]``: int64, and ``sound`` bool."""

    kind: Any
    sound: Any  # not small with more bytes than fit
    start: Any  # of the data
    size: Any
    end: Any  # of the element


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
        if self.matlab_class is not None:
            return self.parts * (16 + self.count * types.class_nbytes(self.matlab_class))
        widths = [types.class_nbytes(c) if c in types.CLASSES else 0 for c in range(16)]
        width = tf.gather(widths, tf.minimum(kind, 15))
        return self.parts * (16 + self.count * tf.cast(width, tf.int64))

    # -- tags ---------------------------------------------------------------------------------

    def head(self, elements: Any, start: Any) -> Head:
        """The beginning of the elements that begin at ``start``; as ``elements.head_of``."""
        words = tf.unstack(unsigned(elements, start, 8), axis=1)
        kind, inner, flags_kind, flags_nbytes, flags, _, dims_kind, dims_nbytes = words
        matrix = tf.stack([kind, flags_kind, flags_nbytes], 1)
        named = tf.reduce_all(tf.equal(matrix, [types.MATRIX, 6, 8]), 1)
        matlab_class = tf.bitwise.bitwise_and(flags, 255)
        dims = tag_of(dims_kind, dims_nbytes, start + 24)
        named &= (dims.kind - 5 <= 1) & (dims.kind >= 5) & dims.sound & tf.equal(dims.size % 4, 0)
        named &= (dims.size <= 128) & tf.not_equal(matlab_class, OPAQUE)
        name = tag(elements, dims.end)
        named &= (tf.equal(name.kind, 1) | tf.equal(name.kind, 16)) & name.sound
        named &= tf.equal(name.size, len(self.name)) & (name.end <= string_length(elements))
        named &= tf.equal(cut(elements, name.start, len(self.name)), self.name)
        # MATLAB drops sides of 1 at the end, scipy keeps them.
        rank = len(self.sides)
        given = dims.size[:, tf.newaxis] > tf.range(0, 4 * rank, 4, tf.int64)
        sides = tf.where(given, unsigned(elements, dims.start, rank), 1)
        same = tf.reduce_all(tf.equal(sides, self.sides), 1)
        same &= (dims.size >= 8) & (dims.size <= 4 * rank)
        logical, more = 1 << types.LOGICAL, 1 << types.COMPLEX
        if self.matlab_class is None:
            fits = tf.equal(tf.bitwise.bitwise_and(flags, logical | more), logical)
            numeric = tf.equal(matlab_class[:, tf.newaxis], list(types.CLASSES))
            fits &= tf.reduce_any(numeric, 1)
        else:
            wanted = self.matlab_class | (self.parts - 1) * more
            fits = tf.equal(tf.bitwise.bitwise_and(flags, 255 | logical | more), wanted)
        return Head(named, matlab_class, fits, same, inner, name.end - start)

    def part(self, elements: Any, start: Any, end: Any, kind: Any) -> tuple[Any, Any, Tag]:
        """Whether the numbers at ``start`` fit, their index in ``storage``, and their tag."""
        found = tag(elements, start)
        stored = tf.equal(found.kind[:, tf.newaxis], self.storage)
        index = tf.argmax(tf.cast(stored, tf.int32), 1, tf.int32)
        needs = [types.storage_nbytes(code) * self.count for code in self.storage]
        fits = tf.reduce_any(stored, 1) & found.sound & (found.start + found.size <= end)
        fits &= tf.equal(found.size, tf.gather(tf.constant(needs, tf.int64), index))
        if self.matlab_class is None:
            allowed = [[types.carries(c, s) for s in self.storage] for c in range(16)]
            fits &= tf.gather_nd(allowed, tf.stack([tf.cast(kind % 16, tf.int32), index], 1))
        return fits, index, found

    # -- the walk -----------------------------------------------------------------------------

    def find(self, payloads: Any, good: Any) -> list[Any]:
        """The offset of the one element with the name, and whether the file is sound, ``[B]``."""
        length = string_length(payloads)
        first = tf.fill(tf.shape(length), tf.constant(128, tf.int64))
        _, size = element(payloads, first)
        single = tf.equal(first + 8 + size, length)

        def step(turn: Any, offset: Any, hit_offset: Any, hits: Any, valid: Any) -> Any:
            live = valid & (offset < length)
            kind, size = element(payloads, offset)
            end = offset + 8 + size
            packed, plain = tf.equal(kind, types.COMPRESSED), tf.equal(kind, types.MATRIX)
            sound = (packed | plain) & (size > 0) & (end <= length)
            stream = live & sound & packed & is_stream(payloads, offset + 8)
            shown = tf.where(live & sound & plain, tf.minimum(size + 8, HEAD_NBYTES), 0)
            prefix = cut(payloads, offset, shown)

            def inflated() -> list[Any]:
                # A cut stream is not an error: the op gives what it has inflated.
                some = cut(payloads, offset + 8, tf.minimum(size, SHOWN))
                heads = inflate_bounded(tf.where(stream, some, ""), "ZLIB", HEAD_NBYTES)
                return [tf.where(stream, heads, prefix)]

            (head,) = cond(tf.reduce_any(stream), inflated, lambda: [prefix])
            hit = self.head(head, tf.zeros_like(offset)).named
            # A name that those bytes do not show could be this one.
            sound &= plain | (size <= SHOWN) | shows_name(head)
            hits += tf.cast(hit, tf.int32)
            valid &= tf.logical_not(live) | sound
            following, hit_offset = tf.where(live, end, offset), tf.where(hit, offset, hit_offset)
            return turn + 1, following, hit_offset, hits, valid

        def more(turn: Any, offset: Any, hit_offset: Any, hits: Any, valid: Any) -> Any:
            return (turn < MAX_ELEMENTS) & tf.reduce_any(valid & (offset < length))

        def walk() -> list[Any]:
            state = [0, first, first, tf.zeros_like(first, tf.int32), good & ~single]
            _, offset, hit_offset, hits, valid = tf.while_loop(more, step, state)
            valid &= tf.equal(offset, length) & tf.equal(hits, 1)
            # Of a variable alone in its file the name is compared later: no row depends on others.
            return [tf.where(single, first, hit_offset), tf.where(single, good, valid)]

        alone = tf.reduce_all(single | ~good)
        found: list[Any] = cond(alone, lambda: [first, good], walk)
        return found


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


def tag(strings: Any, start: Any) -> Tag:
    """The tag at ``start``."""
    first, second = tf.unstack(unsigned(strings, start, 2), axis=1)
    return tag_of(first, second, start)


def tag_of(first: Any, second: Any, start: Any) -> Tag:
    """The tag of those two words; as ``elements.tag_at``."""
    small = first >= 2**16
    size = tf.where(small, first // 2**16, second)
    begin = start + tf.where(small, *int64(4, 8))
    end = tf.where(small, start + 8, begin + multiple_of_8(size))
    return Tag(first % 2**16, tf.logical_not(small) | (size <= 4), begin, size, end)


def shows_name(head: Any) -> Any:
    """Whether strings that begin an element have all of its name; as ``elements.shows_name``."""
    length, zero = string_length(head), tf.zeros_like(string_length(head))
    dims = tag(head, zero + 24)
    name = tag(head, dims.end)
    shown = dims.sound & (dims.end + 8 <= length) & name.sound & (name.end <= length)
    return (length >= HEAD_NBYTES) | shown


def is_stream(payloads: Any, start: Any) -> Any:
    """Whether a zlib stream may begin there (RFC 1950): bool ``[B]``."""
    text = cut(payloads, start, 2)
    head = tf.cast(tf.io.decode_raw(text, tf.uint8, fixed_length=2), tf.int32)
    first, second = head[:, 0], head[:, 1]
    fits = tf.equal(first % 16, 8) & (first < 128) & tf.equal((first * 256 + second) % 31, 0)
    return fits & tf.equal(tf.bitwise.bitwise_and(second, 32), 0)
