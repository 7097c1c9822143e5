"""Flat rows of different shapes to dense, padded or ragged tensors."""

from __future__ import annotations

from math import prod
from typing import Any

from ..extras import tensorflow as tf
from ..form import ArrayForm
from .by_row import each_row
from .casts import as_bits, movable
from .rows import Rows, fail_with, long_rows
from .switch import cond, outlined


def to_dense(rows: Rows, form: ArrayForm, name: str) -> Any:
    """``[B, *shape]``; fails unless all rows have the same shape."""
    sides = largest(rows)
    same = tf.equal(rows.sides, sides)
    several = len(form.none_axes) > 1
    axes = [f"axis {axis}" if several else "the None dimension" for axis in form.none_axes]

    def fail() -> Any:
        row = tf.argmin(tf.cast(tf.reduce_all(same, 1), tf.int32))
        axis = tf.argmin(tf.cast(tf.gather(same, row), tf.int32))
        numbers = row, tf.gather(tf.gather(rows.sides, row), axis), tf.gather(sides, axis)
        row, got, needed = (tf.strings.as_string(number) for number in numbers)
        message = [
            f"{name}: row ",
            row,
            " has ",
            got,
            " along ",
            tf.gather(axes, axis),
            ", another ",
        ]
        message += [needed, ": decode_ragged takes rows that differ"]
        return fail_with(tf.strings.join(message), rows.data)

    data = tf.cond(tf.reduce_all(same), lambda: rows.data, fail)
    return tf.reshape(data, dense_shape(rows, form, sides))


def to_padded(rows: Rows, form: ArrayForm) -> Any:
    """``[B, *shape]``, smaller rows padded with zeros to the largest size along each axis."""
    sides = largest(rows)
    shape = dense_shape(rows, form, sides)

    def together() -> list[Any]:
        return [tf.reshape(to_ragged(rows, form).to_tensor(shape=shape), [-1])]

    def each() -> list[Any]:
        target = tf.unstack(sides)
        return [each_row(rows, form, form, lambda y, row: padded_to(y, form, target)).data]

    def filled() -> list[Any]:
        return list(cond(long_rows(rows.data, rows.size), each, together))

    whole = tf.reduce_all(tf.equal(rows.sides, sides))
    (data,) = cond(whole, lambda: [rows.data], outlined(filled))
    return tf.reshape(data, shape)


def padded(batch: Any, form: ArrayForm) -> Any:
    """``[B, *shape]``, padded with zeros to ``[B, *max_shape]``."""
    if not form.none_axes:
        return batch
    batch = padded_to(batch, form, [form.max_shape[axis] for axis in form.none_axes])
    batch.set_shape([None, *form.max_shape])
    return batch


def padded_to(batch: Any, form: ArrayForm, sides: Any) -> Any:
    """``[B, *shape]``, padded with zeros to those ``sides`` along the ``None`` axes."""
    dtype, batch = batch.dtype.name, movable(batch)
    for axis, side in zip(form.none_axes, sides, strict=True):  # tf.pad takes 6 dimensions at most
        shape = tf.unstack(tf.shape(batch, tf.int64), num=len(form.shape) + 1)
        shape[axis + 1] = tf.cast(side, tf.int64) - shape[axis + 1]
        batch = tf.concat([batch, tf.zeros(tf.stack(shape), batch.dtype)], axis + 1)
    return as_bits(batch, dtype)


def to_ragged(rows: Rows, form: ArrayForm) -> Any:
    """A tf.RaggedTensor ``[B, *shape]``, ragged along each ``None`` axis."""
    shape = form.shape_with(tf.unstack(rows.sides, num=len(form.none_axes), axis=1))
    last, counts = form.none_axes[-1], [tf.ones_like(rows.lengths)]
    for side in shape:
        counts.append(counts[-1] * side)  # of each row, its slices along the axes up to this one
    values = [tf.reduce_sum(counts[last + 1]), *form.max_shape[last + 1 :]]
    tensor = tf.reshape(rows.data, tf.stack(values))
    for axis in range(last, -1, -1):
        if form.shape[axis] is None:
            fixed = axis == form.none_axes[0]
            slices = prod(form.max_shape[:axis]) if fixed else counts[axis]
            lengths = repeated(shape[axis], slices)
            tensor = tf.RaggedTensor.from_row_lengths(tensor, lengths, validate=False)
        else:
            tensor = tf.RaggedTensor.from_uniform_row_length(
                tensor, form.max_shape[axis], nrows=tf.reduce_sum(counts[axis]), validate=False
            )
    return tensor


def repeated(values: Any, times: Any) -> Any:
    """``[B]`` values, each so many ``times``: a number, or one for each value."""
    if isinstance(times, int):
        return tf.repeat(values, times)
    # tf.repeat takes B times the memory of the largest number.
    ends = tf.cumsum(times)
    return tf.gather(values, tf.searchsorted(ends, tf.range(tf.reduce_sum(times)), side="right"))


def largest(rows: Rows) -> Any:
    """The largest size along each ``None`` axis: int64 ``[k]``, 0 for an empty batch."""
    none = tf.zeros([1, rows.sides.shape[1]], tf.int64)
    return tf.reduce_max(tf.concat([rows.sides, none], 0), 0)


def none_lengths(rows: Rows, form: ArrayForm) -> Any:
    """int32 ``[B]``, or ``[B, k]`` of several ``None`` axes: the size of each row along them."""
    sides = tf.cast(rows.sides, tf.int32)
    return sides if len(form.none_axes) > 1 else tf.squeeze(sides, 1)


def dense_shape(rows: Rows, form: ArrayForm, sides: Any) -> Any:
    """``[B, *shape]`` of rows with those ``sides`` along the ``None`` axes."""
    size = tf.cast(rows.size, tf.int64)
    return tf.stack([size, *form.shape_with(tf.unstack(sides, num=len(form.none_axes)))])


def stitch(indices: Any, data: Any, lengths: Any) -> Any:
    """``tf.dynamic_stitch`` for the flat data of groups of rows of different lengths."""
    lengths = tf.concat(lengths, 0)
    rows = tf.RaggedTensor.from_row_lengths(tf.concat(data, 0), lengths, validate=False)
    return tf.gather(rows, tf.argsort(tf.concat(indices, 0))).flat_values
