"""Running sums in the graph: what undoes differences."""

from __future__ import annotations

from math import prod
from typing import Any

from ..extras import tensorflow as tf

#: As many steps are added one after the other; longer axes are summed up in blocks of about this.
SHORT, BLOCK = 48, 16
#: Bytes behind the axis from which on the planes are cut out as they lie.
WIDE = 64


def running_sum(x: Any, axis: int) -> Any:
    """Each element of ``[B, ...]`` plus all before it along ``axis`` (1 or more), wrapping around.

    ``tf.cumsum`` takes 12 to 25 times bare decode_raw. So whole planes are added: those of the
    steps, one by one; or, along more than ``SHORT`` steps, the first ones of all blocks, the second
    ones, ..., and to all of them what the blocks before add up to (uint16 [480, 640] at batch 32:
    12 times by cumsum, 5.0 step by step, 3.4 in blocks).
    """
    if 0 in x.shape.as_list():
        return x
    dynamic = tf.unstack(tf.shape(x, tf.int64))
    sides = [dynamic[at] if side is None else side for at, side in enumerate(x.shape.as_list())]
    whole = [prod(sides[:axis]), sides[axis], prod(sides[axis + 1 :])]
    return tf.reshape(along(tf.reshape(x, of(whole)), *whole), of(sides))


def along(x: Any, outer: Any, length: Any, inner: Any) -> Any:
    """The running sums of ``[outer, length, inner]``: numbers, or scalars known at run time."""
    block = block_of(length)
    count = -(-length // block)
    short = count * block - length  # of the last block
    padded = not isinstance(short, int) or short > 0
    if padded:
        x = tf.pad(x, [[0, 0], [0, short], [0, 0]])
    # Planes of a few bytes in a row are first brought together: unstack and stack, which copy
    # piece by piece, took 13 to 27 times bare decode_raw on the last axis, so 6 to 14 times.
    narrow = isinstance(inner, int) and inner * x.dtype.size < WIDE
    if narrow:
        x = turned(x, outer * count, block * inner)
        x = tf.reshape(x, of([block, inner * outer * count]))
        planes = tf.unstack(x, block, 0)
    else:
        planes = tf.unstack(tf.reshape(x, of([outer * count, block, inner])), block, 1)
    for at in range(1, block):
        planes[at] = planes[at - 1] + planes[at]
    if not isinstance(count, int) or count > 1:
        last = turned(planes[-1], inner, outer * count) if narrow else planes[-1]
        before = before_each(tf.reshape(last, of([outer, count, inner])), outer, count, inner)
        before = turned(before, outer * count, inner) if narrow else before
        before = tf.reshape(before, tf.shape(planes[-1]))
        planes = [plane + before for plane in planes]
    x = tf.stack(planes, 0 if narrow else 1)
    if narrow:
        x = turned(x, block * inner, outer * count)
    x = tf.reshape(x, of([outer, count * block, inner]))
    return x[:, :length] if padded else x


def before_each(totals: Any, outer: Any, count: Any, inner: Any) -> Any:
    """What all blocks before each add up to: ``[outer, count, inner]`` totals of blocks."""
    if not isinstance(count, int):
        return tf.cumsum(totals, axis=1, exclusive=True)
    sums = along(totals[:, :-1], outer, count - 1, inner)
    return tf.pad(sums, [[0, 0], [1, 0], [0, 0]])


def block_of(length: Any) -> int:
    """How many steps a block has: of those near ``BLOCK`` one that needs no padding, if any."""
    if not isinstance(length, int):
        return BLOCK
    if length <= SHORT:
        return length
    return next((k for k in range(2 * BLOCK, BLOCK // 2, -1) if length % k == 0), BLOCK)


def turned(x: Any, rows: Any, columns: Any) -> Any:
    """The matrix ``[rows, columns]`` that lies in ``x``, transposed."""
    return tf.transpose(tf.reshape(x, of([rows, columns])))


def of(sides: list[Any]) -> Any:
    """A shape of sides of which some are known at run time only."""
    return tf.stack([tf.cast(side, tf.int64) for side in sides])
