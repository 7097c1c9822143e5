"""A dense function for rows in whatever form they lie: on all cores, at once, or one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..extras import tensorflow as tf
from ..form import ArrayForm
from .map_rows import LARGE, map_rows
from .rows import Rows

#: A filter writes its graph side once: ``[B, *after.shape]`` -> ``[B, *before.shape]``, where B and
#: the ``None`` axis are known at run time only.
Dense = Callable[[Any], Any]


def by_element(rows: Rows, after: ArrayForm, before: ArrayForm, function: Dense) -> Rows:
    """As ``by_row``, of a function that takes each element for itself."""
    if rows.lengths is not None:
        whole_steps = tf.reshape(rows.data, [-1, after.stride])
        return replace(rows, data=tf.reshape(function(whole_steps), [-1]))
    return by_row(rows, after, before, function)


def by_row(rows: Rows, after: ArrayForm, before: ArrayForm, function: Dense) -> Rows:
    """``rows`` of the form ``after`` a step made those of the form ``before`` it."""
    if rows.lengths is not None:
        return each_row(rows, after, before, function)
    if after.max_nbytes < LARGE or tf.executing_eagerly():
        data = function(rows.data)
        data.set_shape([None, *before.shape])
        return replace(rows, data=data)

    def one(row: Any) -> Any:
        return tf.squeeze(function(tf.expand_dims(row, 0)), 0)

    row = tf.TensorSpec(before.max_shape, before.dtype)
    return replace(rows, data=map_rows(one, rows.data, row=row))


def each_row(rows: Rows, after: ArrayForm, before: ArrayForm, function: Dense) -> Rows:
    """Rows of different length, one after the other, each as a batch of one.

    A gather over the whole batch, which a transpose would be, needs six int64 for each element: 50
    times the memory of uint8 rows.
    """
    ends = tf.cumsum(rows.lengths)
    pieces = tf.TensorArray(before.dtype, rows.size, infer_shape=False, element_shape=[None])

    def made(row: Any, pieces: Any) -> Any:
        length = rows.lengths[row]
        sides = [length // after.stride if side is None else side for side in after.shape]
        piece = tf.reshape(rows.data[ends[row] - length : ends[row]], tf.stack([1, *sides]))
        piece.set_shape([1, *after.shape])
        return row + 1, pieces.write(row, tf.reshape(function(piece), [-1]))

    def loop() -> Any:
        return tf.while_loop(lambda row, _: row < rows.size, made, (0, pieces))[1].concat()

    # A TensorArray without rows cannot be concatenated.
    data = tf.cond(rows.size > 0, loop, lambda: tf.zeros([0], before.dtype))
    # Of each step along the None axis there are as many elements as the other sides have.
    return replace(rows, data=data, lengths=rows.lengths // after.stride * before.stride)
