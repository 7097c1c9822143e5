"""Cumulative sums in the graph: the inverse of differences."""

from __future__ import annotations

from math import prod
from typing import Any

from ..extras import tensorflow as tf

#: Axes of up to MAX_STEPS are added step by step, longer ones in blocks of about BLOCK steps.
MAX_STEPS, BLOCK = 48, 16
#: Planes with fewer contiguous bytes are transposed first.
MIN_CONTIGUOUS_NBYTES = 64


def cumsum(x: Any, axis: int) -> Any:
    """The cumulative sum of ``[B, ...]`` along ``axis`` (1 or more); integers wrap around."""
    # tf.cumsum takes 12 to 25 times as long as bare decode_raw, so whole planes are added: one per
    # step or, over MAX_STEPS, the first of all blocks, the second ones, ..., then the totals of the
    # blocks before (uint16 [480, 640] at batch 32: 12 by tf.cumsum, 5.0 by step, 3.4 in blocks).
    if 0 in x.shape.as_list():
        return x
    dynamic = tf.unstack(tf.shape(x, tf.int64))
    sides = [dynamic[i] if side is None else side for i, side in enumerate(x.shape.as_list())]
    outer, length, inner = prod(sides[:axis]), sides[axis], prod(sides[axis + 1 :])
    x = tf.reshape(x, shape_tensor([outer, length, inner]))
    return tf.reshape(cumsum_blocks(x, outer, length, inner), shape_tensor(sides))


def cumsum_blocks(x: Any, outer: Any, length: Any, inner: Any) -> Any:
    """The cumulative sum of ``[outer, length, inner]`` along axis 1; sides are int or scalars."""
    block = block_length(length)
    count = -(-length // block)
    padding = count * block - length  # of the last block
    padded = not isinstance(padding, int) or padding > 0
    if padded:
        x = tf.pad(x, [[0, 0], [0, padding], [0, 0]])
    # Planes of few contiguous bytes are transposed first: 6 to 14 times decode_raw, not 13 to 27.
    narrow = isinstance(inner, int) and inner * x.dtype.size < MIN_CONTIGUOUS_NBYTES
    if narrow:
        x = transpose2d(x, outer * count, block * inner)
        x = tf.reshape(x, shape_tensor([block, inner * outer * count]))
        planes = tf.unstack(x, block, 0)
    else:
        planes = tf.unstack(tf.reshape(x, shape_tensor([outer * count, block, inner])), block, 1)
    for i in range(1, block):
        planes[i] = planes[i - 1] + planes[i]
    if not isinstance(count, int) or count > 1:
        totals = transpose2d(planes[-1], inner, outer * count) if narrow else planes[-1]
        totals = tf.reshape(totals, shape_tensor([outer, count, inner]))
        before = exclusive_cumsum(totals, outer, count, inner)
        before = transpose2d(before, outer * count, inner) if narrow else before
        before = tf.reshape(before, tf.shape(planes[-1]))
        planes = [plane + before for plane in planes]
    x = tf.stack(planes, 0 if narrow else 1)
    if narrow:
        x = transpose2d(x, block * inner, outer * count)
    x = tf.reshape(x, shape_tensor([outer, count * block, inner]))
    return x[:, :length] if padded else x


def exclusive_cumsum(totals: Any, outer: Any, count: Any, inner: Any) -> Any:
    """For each block of ``[outer, count, inner]`` totals, the sum of the blocks before it."""
    if not isinstance(count, int):
        return tf.cumsum(totals, axis=1, exclusive=True)
    sums = cumsum_blocks(totals[:, :-1], outer, count - 1, inner)
    return tf.pad(sums, [[0, 0], [1, 0], [0, 0]])


def block_length(length: Any) -> int:
    """Steps of a block: if possible, a divisor of ``length`` near ``BLOCK``, without padding."""
    if not isinstance(length, int):
        return BLOCK
    if length <= MAX_STEPS:
        return length
    return next((k for k in range(2 * BLOCK, BLOCK // 2, -1) if length % k == 0), BLOCK)


def transpose2d(x: Any, rows: Any, columns: Any) -> Any:
    """The elements of ``x`` as a matrix ``[rows, columns]``, transposed."""
    return tf.transpose(tf.reshape(x, shape_tensor([rows, columns])))


def shape_tensor(sides: list[Any]) -> Any:
    """An int64 shape from sides of which some are tensors."""
    return tf.stack([tf.cast(side, tf.int64) for side in sides])
