"""Where the image is in PNG files: their chunks, without a look at what these hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..extras import tensorflow as tf
from .substr import cut, string_length

IDAT, IEND, PLTE = (int.from_bytes(kind, "big") for kind in (b"IDAT", b"IEND", b"PLTE"))
#: Chunks of the same length and type that are found at once: a step for one took 60 us.
AT_ONCE = 32


def image_chunks(
    files: Any, head: int, tail: bytes, most: Callable[[Any], Any]
) -> tuple[Any, Any, Any, Any]:
    """Of PNG files ``[B]``: where their IDAT chunks begin and end, the first byte of the image.

    All three are int64. The last is bool: whether chunks cover the file from ``head`` to ``tail``,
    at most ``most`` of its length, the IDAT ones one after the other, and none that readers must
    know besides. Files have ``head`` and 12 bytes at least.
    """
    length = string_length(files)
    # One string, so that a gather reads any byte of any row: substr would copy whole rows. With an
    # end of its own, as there may be no rows.
    flat = tf.io.decode_raw(tf.strings.reduce_join(tf.concat([files, [bytes(8)]], 0)), tf.uint8)
    base = tf.cumsum(length, exclusive=True)

    def begins(offset: Any) -> Any:
        """The eight bytes at offsets of each row, int64 ``[B, n, 8]``."""
        offset = base[:, tf.newaxis] + tf.maximum(offset, 0)
        place = offset[:, :, tf.newaxis] + tf.range(8, dtype=tf.int64)
        return tf.cast(tf.gather(flat, place), tf.int64)

    def step(active: Any, good: Any, offset: Any, count: Any, start: Any, end: Any) -> Any:
        first = begins(tf.minimum(offset, length - 8)[:, tf.newaxis])
        number = tf.reduce_sum(first[:, 0, :4] * [2**24, 2**16, 2**8, 1], 1)
        kind = tf.reduce_sum(first[:, 0, 4:] * [2**24, 2**16, 2**8, 1], 1)
        size = number + 12
        places = offset[:, tf.newaxis] + tf.range(AT_ONCE, dtype=tf.int64) * size[:, tf.newaxis]
        inside = places + size[:, tf.newaxis] <= length[:, tf.newaxis]
        others = begins(tf.minimum(places, length[:, tf.newaxis] - 8))
        same = inside & tf.reduce_all(tf.equal(others, first), 2)
        run = tf.reduce_sum(tf.math.cumprod(tf.cast(same, tf.int64), 1), 1)
        after = offset + run * size
        image = tf.equal(kind, IDAT) & (tf.equal(end, 0) | tf.equal(end, offset))
        last = tf.equal(kind, IEND) & tf.equal(offset + size, length)
        skipped = tf.not_equal(kind & 2**29, 0) | tf.equal(kind, PLTE)
        fits = (run > 0) & (image | last | skipped) & (count + run <= most(length))
        now = active & fits
        good &= fits | ~active
        start = tf.where(now & image & tf.equal(end, 0), offset, start)
        end = tf.where(now & image, after, end)
        return now & ~last, good, tf.where(now, after, offset), count + run, start, end

    zero = tf.zeros_like(length)
    state = (zero < 1, zero < 1, zero + head, zero, zero, zero)
    _, good, _, _, start, end = tf.while_loop(
        lambda active, *_: tf.reduce_any(active), step, state, parallel_iterations=1
    )
    image = begins(tf.minimum(start, length - 16)[:, tf.newaxis] + [[0, 8]])
    good &= (end > 0) & tf.reduce_any(tf.not_equal(image[:, 0, :4], 0), 1)
    good &= tf.equal(cut(files, length - len(tail), len(tail)), tail)
    return start, end, image[:, 1, 0], good
