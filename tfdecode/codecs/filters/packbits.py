"""packbits: small integers and bool in a few bits each, as the filter of that name in numcodecs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...casts import checked_bool
from ...dtypes import ITEM_SIZES, numpy_dtype
from ...errors import DecodeError, EncodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.casts import SAME_BITS
from ...graph.map_rows import map_rows
from ...graph.rows import Rows, Status
from ..base import Filter

#: Elements that fill whole bytes, whatever their number of bits.
GROUP = 8
#: Elements from which on rows are unpacked one at a time on all cores.
MANY = 2**15


@dataclass(frozen=True)
class PackBits(Filter):
    """Values from 0 to ``2**bits - 1`` as a stream of bits: uint8, ``ceil(N * bits / 8)`` of them.

    Element ``i`` in C order stands from bit ``i * bits`` on, its lowest first, where bit ``b`` is
    bit ``b % 8`` of byte ``b // 8``. The bits behind the last element are 0.

    Parameters
    ----------
    bits : 1 to 15

    >>> import numpy as np, tfdecode
    >>> spec = tfdecode.ArraySpec((9,), "bool", codecs="packbits")
    >>> spec.encode(np.array([1, 1, 0, 0, 0, 0, 0, 0, 1], bool))
    b'\\x03\\x01'
    """

    name = "packbits"
    bits: int = 1

    def __post_init__(self) -> None:
        if type(self.bits) is not int or not 1 <= self.bits <= 15:
            raise SpecError(f"codec packbits: bits is {self.bits!r}, needs 1 to 15")

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if form.unknown_axis is not None:
            raise SpecError(
                f"codec packbits: {form} has a None dimension, and packbits needs a fixed shape; "
                "leave it out, a compressor packs too"
            )
        if form.dtype != "bool" and "int" not in form.dtype:
            raise SpecError(
                f"codec packbits: takes bool and integers, not {form.dtype}; "
                "put astype:uint8 or astype:bool in front"
            )
        most = room(form.dtype)
        if self.bits > most:
            raise SpecError(f"codec packbits: bits is {self.bits}, {form.dtype} has {most}")
        side = -(-prod(form.max_shape) * self.bits // 8)
        return ArrayForm((side,), "uint8", (side,))

    def domain(self, form: ArrayForm) -> str:
        if form.dtype == "bool" or self.bits == 8 * ITEM_SIZES[form.dtype]:
            return ""
        return f"integers 0..{2**self.bits - 1}"

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        if form.dtype == "bool":
            return np.packbits(checked_bool(x), bitorder="little")
        if x.size and (x.min() < 0 or int(x.max()) >= 2**self.bits):
            wrong = (x < 0) | (x.astype(np.uint64) >= 2**self.bits)
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise EncodeError(
                f"array does not fit {self.bits} bits: {x[index]} at index {list(index)} "
                f"({np.count_nonzero(wrong)} in all)"
            )
        if self.bits == 1:
            return np.packbits(x.astype(np.uint8), bitorder="little")
        return packed(x.reshape(-1), self.bits)

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        count = prod(form.max_shape)
        unused = -count * self.bits % 8
        if unused and y[-1] >> (8 - unused):
            raise DecodeError(f"payload has other than 0 in {unused} bits behind its last element")
        if self.bits == 1:
            x = np.unpackbits(y, count=count, bitorder="little")
        else:
            x = unpacked(y, self.bits, count)
        dtype = numpy_dtype(form.dtype)
        x = x.view(np.bool_) if form.dtype == "bool" else x.astype(dtype, copy=False)
        return x.reshape(form.max_shape)

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        count = prod(form.max_shape)
        unused = -count * self.bits % 8
        if unused and not rows.verified:
            last = tf.cast(rows.data[:, -1], tf.int32)
            message = "has other than 0 in {} bits behind its last element"
            got = tf.fill([rows.size], unused)
            rows = rows.check(last < 2 ** (8 - unused), got, Status.VALUE, message)
        carrier = SAME_BITS.get(form.dtype, form.dtype)
        data = rows.data
        if self.bits == 1:
            x = looked_up(data, carrier)
        elif self.bits == 8:
            x = tf.cast(data, carrier)
        elif count < MANY:
            x = tf.cast(fields(data, self.bits, count), carrier)
        else:
            # 1.4 to 1.7 times as fast as the whole batch at once.
            def one(row: Any) -> Any:
                return tf.cast(fields(row[tf.newaxis], self.bits, count)[0, :count], carrier)

            x = map_rows(one, data, row=tf.TensorSpec([count], carrier))
        x = tf.reshape(x[:, :count], tf.stack([rows.size, *form.max_shape]))
        return replace(rows, data=x if carrier == form.dtype else tf.bitcast(x, form.dtype))


def room(dtype: str) -> int:
    """The bits of the values from 0 on that ``dtype`` holds."""
    return 1 if dtype == "bool" else 8 * ITEM_SIZES[dtype] - (not dtype.startswith("u"))


def moves(bits: int, wide: int) -> list[tuple[int, int, int]]:
    """How fields of ``bits`` in units of ``wide`` become neighbours, first by two, then by four, in
    words of 64: of each step the mask of those that stay and of those that moved, and how far.
    """
    steps = []
    while wide < 64:
        stay = sum((2**bits - 1) << at for at in range(0, 64, 2 * wide))
        steps.append((stay, stay << bits, wide - bits))
        wide, bits = 2 * wide, 2 * bits
    return steps


def packed(x: np.ndarray, bits: int) -> np.ndarray:
    """Values ``[n]`` below ``2**bits`` as uint8: a word of eight or four at a time."""
    wide = 8 if bits <= 8 else 16
    groups = -(-x.size // GROUP)
    units = np.empty(groups * GROUP, f"<u{wide // 8}")
    units[: x.size] = x
    units[x.size :] = 0
    words = units.view("<u8")
    for stay, moved, far in moves(bits, wide):
        right = words >> np.uint64(far)
        right &= np.uint64(moved)
        words &= np.uint64(stay)
        words |= right
    if wide == 16:  # two words of four, whose bits fill no whole bytes
        low, high = words.reshape(-1, 2).T
        size = np.uint64(4 * bits)
        words = np.stack([low | high << size, high >> (np.uint64(64) - size)], 1)
    data = words.view(np.uint8).reshape(groups, wide)[:, :bits]
    return data.reshape(-1)[: -(-x.size * bits // 8)]


def unpacked(y: np.ndarray, bits: int, count: int) -> np.ndarray:
    """The reverse: uint8 or uint16 ``[count]``."""
    wide = 8 if bits <= 8 else 16
    groups = -(-count // GROUP)
    whole = np.zeros(groups * bits, np.uint8)
    whole[: y.size] = y
    data = np.zeros((groups, wide), np.uint8)
    data[:, :bits] = whole.reshape(groups, bits)
    words = data.reshape(-1).view("<u8")
    if wide == 16:
        low, high = words.reshape(-1, 2).T
        size = np.uint64(4 * bits)
        rest = low >> size | high << (np.uint64(64) - size)
        mask = np.uint64(2 ** (4 * bits) - 1)
        words = np.stack([low & mask, rest & mask], 1).reshape(-1)
    for stay, moved, far in reversed(moves(bits, wide)):
        left = words & np.uint64(moved)
        left <<= np.uint64(far)
        words &= np.uint64(stay)
        words |= left
    return words.view(f"<u{wide // 8}")[:count].astype(f"u{wide // 8}")


def looked_up(data: Any, dtype: str) -> Any:
    """uint8 ``[B, n]`` -> ``[B, 8 * n]``: the bits of each byte are a row of a table.

    1.2x bare ``decode_raw`` of float32. Of dtypes of one byte, two bytes are looked up at once: a
    mask [480, 640] took 1.5x where single ones took 3.7x, and words like the others 7x. (That table
    is 1 MB, so the graph makes it of the small one, once: it is folded at the first run.)
    """
    numbers = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    bits = np.unpackbits(numbers, axis=1, bitorder="little").astype(numpy_dtype(dtype))
    batch, side = tf.shape(data)[0], data.shape[1]
    table = tf.constant(bits)
    many = GROUP * side >= MANY and not tf.executing_eagerly()  # which would make the table anew
    if ITEM_SIZES[dtype] == 1 and side % 2 == 0 and many:
        low = tf.tile(table[tf.newaxis], [256, 1, 1])
        high = tf.tile(table[:, tf.newaxis], [1, 256, 1])
        table = tf.reshape(tf.stack([low, high], 2), [2**16, 16])
        data = tf.bitcast(tf.reshape(data, tf.stack([batch, side // 2, 2])), tf.uint16)
    x = tf.gather(table, tf.cast(data, tf.int32))
    return tf.reshape(x, tf.stack([batch, GROUP * side]))


def fields(data: Any, bits: int, count: int) -> Any:
    """uint8 ``[B, n]`` -> uint8 or uint16 ``[B, count]`` and a little more.

    As words of 64 bits, in which eight or four values move apart at once: 7x bare ``decode_raw`` of
    bytes up to 4 bits, 9x up to 7, 13x of 16-bit numbers; a column of each value takes 26x to 35x.
    """
    wide = 8 if bits <= 8 else 16
    size = bits * (64 // wide)  # of the values of one word, close together
    number = 64 * bits // size  # of words that stand in `bits` words of the stream
    repeats = -(-count // (number * (64 // wide)))
    batch = tf.shape(data)[0]
    missing = repeats * 8 * bits - data.shape[1]
    data = tf.concat([data, tf.zeros(tf.stack([batch, missing]), tf.uint8)], 1)
    stream = tf.bitcast(tf.reshape(data, tf.stack([batch * repeats, bits, 8])), tf.int64)
    columns = tf.unstack(stream, axis=1)
    parts = []
    for part in range(number):
        word, shift = divmod(size * part, 64)
        value = columns[word]
        if shift:  # the sign comes along from the left
            value = both(tf.bitwise.right_shift(value, int64(shift)), 2 ** (64 - shift) - 1)
        if shift + size > 64:
            rest = tf.bitwise.left_shift(columns[word + 1], int64(64 - shift))
            value = tf.bitwise.bitwise_or(value, rest)
        parts.append(both(value, 2**size - 1))
    words = tf.stack(parts, 1)
    for stay, moved, far in reversed(moves(bits, wide)):
        left = tf.bitwise.left_shift(both(words, moved), int64(far))
        words = tf.bitwise.bitwise_or(both(words, stay), left)
    x = tf.bitcast(words, tf.uint8 if wide == 8 else tf.uint16)
    return tf.reshape(x, tf.stack([batch, repeats * number * (64 // wide)]))


def both(words: Any, mask: int) -> Any:
    """The bits of ``words`` that ``mask`` has."""
    return tf.bitwise.bitwise_and(words, int64(mask))


def int64(bits: int) -> Any:
    """The int64 of those 64 bits."""
    return tf.constant(bits - 2**64 if bits >= 2**63 else bits, tf.int64)
