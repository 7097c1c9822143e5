"""Sides: the dimensions that a payload states if its length does not tell them.

A header of one uint32, little-endian, for each ``None`` axis in the order of the axes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import DecodeError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.rows import Rows, Status
from ...graph.substr import string_length

SIDE_NBYTES = 4


def sides_nbytes(form: ArrayForm) -> int:
    """Bytes of the header."""
    return SIDE_NBYTES * len(form.none_axes)


def write_sides(shape: tuple[int, ...], form: ArrayForm) -> bytes:
    """The header of an array of that ``shape``."""
    return b"".join(shape[axis].to_bytes(SIDE_NBYTES, "little") for axis in form.none_axes)


def read_sides(y: bytes, form: ArrayForm) -> tuple[int, ...]:
    """The shape that the header states; DecodeError if a size is larger than it can be."""
    return checked_shape(np.frombuffer(y[: sides_nbytes(form)], "<u4").tolist(), form)


def checked_shape(sides: list[int], form: ArrayForm) -> tuple[int, ...]:
    """The shape with those ``sides``; DecodeError if one is larger than it can be."""
    for axis, side in zip(form.none_axes, sides, strict=True):
        if side > form.max_shape[axis]:
            raise DecodeError(f"payload {too_large(form, axis).format(side)}")
    return form.shape_with(sides)


def split_row_sides(rows: Rows, form: ArrayForm, filler: bytes) -> tuple[Rows, Any]:
    """The rows without their headers, and the sizes that these state: int64 ``[B, k]``.

    Bad rows have what follows the header of ``filler``, which has no elements, and sizes of 0.
    """
    nbytes = sides_nbytes(form)
    head = tf.io.decode_raw(rows.data, tf.int32, fixed_length=nbytes)
    head = tf.reshape(head, tf.stack([rows.size, len(form.none_axes)]))
    sides = tf.bitwise.bitwise_and(tf.cast(head, tf.int64), 2**32 - 1)
    rows = check_sides(rows, sides, form).guard(filler)
    start = tf.fill([rows.size], tf.constant(nbytes, tf.int64))
    data = tf.strings.substr(rows.data, start, string_length(rows.data) - nbytes)
    return replace(rows, data=data), of_good_rows(sides, rows)


def check_sides(rows: Rows, sides: Any, form: ArrayForm) -> Rows:
    """Narrow ``rows`` to those whose ``sides``, int64 ``[B, k]``, are not too large."""
    for index, axis in enumerate(form.none_axes):
        fits = sides[:, index] <= form.max_shape[axis]
        rows = rows.check(fits, sides[:, index], Status.HEADER, too_large(form, axis))
    return rows


def of_good_rows(sides: Any, rows: Rows) -> Any:
    """``sides``, but 0 for bad rows."""
    return tf.where(rows.ok[:, tf.newaxis], sides, 0)


def too_large(form: ArrayForm, axis: int) -> str:
    """The message for a size that ``max_shape`` does not allow."""
    return f"states {{}} along axis {axis}, needs at most {form.max_shape[axis]}"
