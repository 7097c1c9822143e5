"""Varints of protocol buffers: numbers of 7 bits a byte, the lowest first."""

from __future__ import annotations

from typing import Any

from ..extras import tensorflow as tf

#: Bytes of a number below 2**31, and of any number, at most.
SHORT, LONG = 5, 10


def varints(numbers: Any) -> Any:
    """int32 ``[B]``, none negative, as strings ``[B]``."""
    characters = tf.constant([bytes([value]) for value in range(256)])
    parts = []
    for place in range(SHORT):
        rest = tf.bitwise.right_shift(numbers, 7 * place)
        more = tf.where(rest > 127, 128, 0)
        part = tf.gather(characters, (rest & 127) + more)
        parts.append(tf.where((rest > 0) | (place == 0), part, ""))
    return tf.strings.join(parts)


def varint_sizes(numbers: Any) -> Any:
    """How many bytes they are, int32 ``[B]``."""
    return 1 + sum(tf.cast(numbers >= 128**place, tf.int32) for place in range(1, SHORT))


def read_varints(text: Any, count: int, limits: tuple[int, int]) -> tuple[Any, Any]:
    """The ``count`` numbers of a string, int64 ``[count]``, and whether it holds just these.

    Each is as short as it can be, and within ``limits``.
    """
    digits = tf.io.decode_raw(text, tf.uint8)
    final = digits < 128
    ends = tf.reshape(tf.where(final), [-1])
    whole = tf.equal(tf.size(ends), count) & tf.reduce_all(final[-1:])

    def numbers() -> tuple[Any, Any]:
        starts = tf.concat([[tf.constant(0, tf.int64)], ends[:-1] + 1], 0)
        lengths = ends - starts + 1
        values = tf.zeros([count], tf.int64)
        for place in range(LONG):
            digit = tf.cast(tf.gather(digits, tf.minimum(starts + place, ends)), tf.int64) & 127
            digit = tf.where(place < lengths, digit, 0)
            values |= tf.bitwise.left_shift(digit, tf.constant(7 * place, tf.int64))
        last = tf.gather(digits, ends)
        good = (lengths <= LONG) & (tf.not_equal(last, 0) | tf.equal(lengths, 1))
        good &= (lengths < LONG) | (last <= 1)
        good &= (values >= limits[0]) & (values <= limits[1])
        return values, tf.reduce_all(good)

    values, good = tf.cond(whole, numbers, lambda: (tf.zeros([count], tf.int64), False))
    return tf.ensure_shape(values, [count]), good
