"""Apply a dense function to rows: the batch at once, each row on all cores, or row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..extras import tensorflow as tf
from ..form import ArrayForm
from .casts import as_bits, movable, movable_dtype
from .map_rows import LARGE, map_rows
from .rows import Rows

#: The graph side of a filter: ``[B, *after.shape]`` -> ``[B, *before.shape]``. B and the ``None``
#: axes are known at run time only.
Dense = Callable[[Any], Any]


def by_element(rows: Rows, after: ArrayForm, before: ArrayForm, function: Dense) -> Rows:
    """As ``by_row``, for a function that treats each element separately."""
    if rows.lengths is not None:
        data = function(tf.reshape(rows.data, [-1, max(1, after.stride)]))
        return replace(rows, data=tf.reshape(data, [-1]))
    return by_row(rows, after, before, function)


def by_row(rows: Rows, after: ArrayForm, before: ArrayForm, function: Dense) -> Rows:
    """Undo a filter: ``rows`` of the form after it to rows of the form before it."""
    if rows.lengths is not None:
        return each_row(rows, after, before, lambda y, row: function(y))
    if after.max_nbytes < LARGE or tf.executing_eagerly():
        data = function(rows.data)
        data.set_shape([None, *before.shape])
        return replace(rows, data=data)

    def one(row: Any) -> Any:
        return tf.squeeze(function(tf.expand_dims(row, 0)), 0)

    row = tf.TensorSpec(before.max_shape, before.dtype)
    return replace(rows, data=map_rows(one, rows.data, row=row))


def each_row(
    rows: Rows, after: ArrayForm, before: ArrayForm, function: Callable[[Any, Any], Any]
) -> Rows:
    """Undo a filter on rows of different lengths, each as a batch of one, by its index."""
    # One gather over the batch takes six int64 for each element: 50 times the memory of uint8 rows.
    ends = tf.cumsum(rows.lengths)
    dtype = movable_dtype(before.dtype)
    results = tf.TensorArray(dtype, rows.size, infer_shape=False, element_shape=[None])

    def step(row: Any, results: Any) -> Any:
        length = rows.lengths[row]
        sides = after.shape_with(tf.unstack(rows.sides[row], num=len(after.none_axes)))
        y = tf.reshape(rows.data[ends[row] - length : ends[row]], tf.stack([1, *sides]))
        y.set_shape([1, *after.shape])
        return row + 1, results.write(row, movable(tf.reshape(function(y, row), [-1])))

    def loop() -> Any:
        return tf.while_loop(lambda row, _: row < rows.size, step, (0, results))[1].concat()

    # A TensorArray without rows cannot be concatenated.
    data = tf.cond(rows.size > 0, loop, lambda: tf.zeros([0], dtype))
    return with_sides(replace(rows, data=as_bits(data, before.dtype)), rows.sides, before)


def with_sides(rows: Rows, sides: Any, form: ArrayForm) -> Rows:
    """``rows`` of flat data with those ``sides`` along the ``None`` axes, int64 ``[B, k]``."""
    return replace(rows, sides=sides, lengths=elements(sides, form))


def elements(sides: Any, form: ArrayForm) -> Any:
    """The number of elements of each row: int64 ``[B]``."""
    return tf.reduce_prod(sides, 1) * form.stride
