"""Flat rows of different lengths to dense, padded or ragged tensors."""

from __future__ import annotations

from math import prod
from typing import Any

from ..extras import tensorflow as tf
from ..form import ArrayForm
from .rows import Rows, fail_with, long_rows
from .switch import cond, outlined


def to_dense(rows: Rows, form: ArrayForm, name: str) -> Any:
    """``[B, *shape]``; fails unless all rows have the same length."""
    length = max_length(rows)

    def fail() -> Any:
        row = tf.argmin(tf.cast(tf.equal(rows.lengths, length), tf.int32))
        numbers = (row, tf.gather(rows.lengths, row) // form.stride, length // form.stride)
        row, got, needed = (tf.strings.as_string(number) for number in numbers)
        message = [f"{name}: row ", row, " has ", got, " along the None dimension, another "]
        message += [needed, ": decode_ragged takes rows that differ"]
        return fail_with(tf.strings.join(message), rows.data)

    data = tf.cond(tf.reduce_all(tf.equal(rows.lengths, length)), lambda: rows.data, fail)
    return tf.reshape(data, dense_shape(rows, form, length))


def to_padded(rows: Rows, form: ArrayForm) -> Any:
    """``[B, *shape]``, shorter rows padded with zeros to the length of the longest."""
    length = max_length(rows)
    before = prod(form.max_shape[: form.unknown_axis])
    count, width = tf.cast(rows.size, tf.int64) * before, length // before
    lengths = run_lengths(rows, form)
    ends = tf.cumsum(lengths)

    def together() -> list[Any]:
        runs = tf.RaggedTensor.from_row_lengths(rows.data, lengths, validate=False)
        return [tf.reshape(runs.to_tensor(shape=tf.stack([count, width])), [-1])]

    def each() -> list[Any]:
        def one(run: Any) -> Any:
            missing = tf.zeros(tf.stack([width - lengths[run]]), rows.data.dtype)
            return tf.concat([rows.data[ends[run] - lengths[run] : ends[run]], missing], 0)

        kind = tf.TensorSpec([None], rows.data.dtype)
        return [tf.reshape(tf.map_fn(one, tf.range(count), fn_output_signature=kind), [-1])]

    def filled() -> list[Any]:
        return list(cond(long_rows(rows.data, count), each, together))

    whole = tf.reduce_all(tf.equal(rows.lengths, length))
    (data,) = cond(whole, lambda: [rows.data], outlined(filled))
    return tf.reshape(data, dense_shape(rows, form, length))


def padded(batch: Any, form: ArrayForm) -> Any:
    """``[B, *shape]``, padded with zeros to ``[B, *max_shape]``."""
    if form.unknown_axis is None:
        return batch
    axis = form.unknown_axis + 1
    sides = tf.unstack(tf.shape(batch), num=len(form.shape) + 1)
    sides[axis] = form.max_shape[form.unknown_axis] - sides[axis]
    batch = tf.concat([batch, tf.zeros(tf.stack(sides), batch.dtype)], axis)
    batch.set_shape([None, *form.max_shape])
    return batch


def to_ragged(rows: Rows, form: ArrayForm) -> Any:
    """A tf.RaggedTensor ``[B, *shape]``."""
    axis = form.unknown_axis or 0
    after = form.max_shape[axis + 1 :]
    values = tf.reshape(rows.data, [-1, *after])
    lengths = run_lengths(rows, form) // prod(after)
    tensor = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
    for side in reversed(form.max_shape[:axis]):
        tensor = tf.RaggedTensor.from_uniform_row_length(tensor, side)
    return tensor


def max_length(rows: Rows) -> Any:
    """The number of elements of the longest row; 0 for an empty batch."""
    return tf.reduce_max(tf.concat([rows.lengths, [0]], 0))


def none_lengths(rows: Rows, form: ArrayForm) -> Any:
    """int32 ``[B]``: the length of each row along the ``None`` axis."""
    return tf.cast(rows.lengths // form.stride, tf.int32)


def run_lengths(rows: Rows, form: ArrayForm) -> Any:
    """Elements along the ``None`` and later axes, for each index of the axes before it."""
    before = prod(form.max_shape[: form.unknown_axis])
    return tf.repeat(rows.lengths // before, tf.fill([rows.size], before))


def dense_shape(rows: Rows, form: ArrayForm, length: Any) -> Any:
    """``[B, *shape]`` for rows of ``length`` elements."""
    size = tf.cast(rows.size, tf.int64)
    sides = [length // form.stride if side is None else side for side in form.shape]
    return tf.stack([size, *sides])


def stitch(indices: Any, data: Any, lengths: Any) -> tuple[Any, Any]:
    """``tf.dynamic_stitch`` for groups of rows of different lengths: flat data and lengths."""
    rows = tf.RaggedTensor.from_row_lengths(
        tf.concat(data, 0), tf.concat(lengths, 0), validate=False
    )
    order = tf.argsort(tf.concat(indices, 0))
    rows = tf.gather(rows, order)
    return rows.flat_values, rows.row_lengths()
