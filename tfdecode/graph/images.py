"""Images of untrusted rows: what libpng or libjpeg refuses makes a bad row, not a failed batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..extras import tensorflow as tf
from .map_rows import map_rows
from .rows import Rows, Status
from .try_rows import try_rows

#: Bytes of an image from which on threads are worth their start: 256 KiB.
LARGE_IMAGE = 2**18


def check_window(rows: Rows, first: Any, nbytes: Any) -> Rows:
    """Narrow ``rows`` to those whose stream, of that ``first`` byte, has a window for ``nbytes``.

    That is what an image inflates to: a number, or one for each row.
    """
    first = tf.cast(first, tf.int32)
    fits = tf.reduce_any(tf.equal(first[:, tf.newaxis], [8 + 16 * bits for bits in range(8)]), 1)
    window = tf.bitwise.left_shift(256, tf.minimum(first // 16, 7))
    fits &= window >= tf.cast(tf.minimum(nbytes, 2**15), tf.int32)
    message = "has {} bytes with a zlib window that is too small for its image"
    return rows.check(fits, tf.strings.length(rows.data), Status.DAMAGED, message)


def decode_images(
    function: Callable[..., Any], rows: Rows, nbytes: int, *data: Any, row: Any = None
) -> Rows:
    """``function`` of each row of ``data``, which decodes an image of ``nbytes`` to a ``row``."""
    if rows.verified:
        return replace(rows, data=map_rows(function, *data, row=row))
    parallel = nbytes >= LARGE_IMAGE
    images, sound = try_rows(function, *data, row=row, parallel=parallel)
    message, length = "has {} bytes with a damaged image", tf.strings.length(rows.data)
    return replace(rows, data=images).check(sound, length, Status.DAMAGED, message)
