"""Sides: the dimensions that a payload states if its length does not tell them.

A header of one uint32, little-endian, for each ``None`` axis in the order of the axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DecodeError
from ..extras import tensorflow as tf
from ..form import ArrayForm
from ..graph.rows import Rows, Status

SIDE_NBYTES = 4


def sides_nbytes(form: ArrayForm) -> int:
    """Bytes of the header."""
    return SIDE_NBYTES * len(form.none_axes)


def write_sides(shape: tuple[int, ...], form: ArrayForm) -> bytes:
    """The header of an array of that ``shape``."""
    return b"".join(shape[axis].to_bytes(SIDE_NBYTES, "little") for axis in form.none_axes)


def read_sides(y: bytes, form: ArrayForm) -> tuple[int, ...]:
    """The shape that the header states; DecodeError if a size is larger than it can be."""
    sides = np.frombuffer(y[: sides_nbytes(form)], "<u4").tolist()
    for axis, side in zip(form.none_axes, sides, strict=True):
        if side > form.max_shape[axis]:
            raise DecodeError(f"payload {too_large(form, axis).format(side)}")
    return form.shape_with(sides)


def read_row_sides(rows: Rows, form: ArrayForm) -> tuple[Rows, Any]:
    """Check the headers; the sizes along the ``None`` axes, int64 ``[B, k]``, are 0 in bad rows."""
    axes, nbytes = form.none_axes, sides_nbytes(form)
    head = tf.io.decode_raw(rows.data, tf.int32, fixed_length=nbytes)
    head = tf.reshape(head, tf.stack([rows.size, len(axes)]))
    sides = tf.bitwise.bitwise_and(tf.cast(head, tf.int64), 2**32 - 1)
    for index, axis in enumerate(axes):
        fits = sides[:, index] <= form.max_shape[axis]
        rows = rows.check(fits, sides[:, index], Status.HEADER, too_large(form, axis))
    return rows, tf.where(rows.ok[:, tf.newaxis], sides, 0)


def too_large(form: ArrayForm, axis: int) -> str:
    """The message for a size that ``max_shape`` does not allow."""
    return f"states {{}} along axis {axis}, needs at most {form.max_shape[axis]}"
