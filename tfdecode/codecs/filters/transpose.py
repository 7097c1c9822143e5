"""transpose: another order of the axes, as the codec of that name in Zarr v3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import SpecError
from ...extras import tensorflow as tf
from ...graph.rows import Rows
from ..base import Filter
from ..form import ArrayForm


@dataclass(frozen=True)
class Transpose(Filter):
    """Axis ``order[i]`` of the array becomes axis ``i`` of what the next step sees.

    >>> import tfdecode
    >>> tfdecode.ArraySpec((2, 3), "uint8", codecs="transpose:1,0|raw").codecs[0].order
    (1, 0)
    """

    name = "transpose"
    order: tuple[int, ...]

    def __post_init__(self) -> None:
        order = self.order
        if not isinstance(order, Sequence) or not all(type(axis) is int for axis in order):
            raise SpecError(f"codec transpose: order is {order!r}, needs a list of axes")
        object.__setattr__(self, "order", tuple(order))

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if not form.shape:
            raise SpecError(f"codec transpose: {form} has no axes")
        if sorted(self.order) != list(range(len(form.shape))):
            raise SpecError(
                f"codec transpose: order {list(self.order)} is no permutation "
                f"of the {len(form.shape)} axes of {form}"
            )
        shape = tuple(form.shape[axis] for axis in self.order)
        return ArrayForm(shape, form.dtype, tuple(form.max_shape[axis] for axis in self.order))

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        return np.transpose(x, self.order)

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        return np.transpose(y, np.argsort(self.order))

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        inverse = [int(axis) for axis in np.argsort(self.order)]
        if rows.lengths is not None:
            return transpose_flat(rows, self.resolve(form), inverse)
        return replace(rows, data=tf.transpose(rows.data, [0, *(axis + 1 for axis in inverse)]))

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        return replace(rows, data=tf.transpose(rows.data, [0, *(axis + 1 for axis in self.order)]))


def transpose_flat(rows: Rows, form: ArrayForm, order: list[int]) -> Rows:
    """Transpose rows of different length by one gather over the whole batch.

    Each element of the result is asked for its indices in the result's shape (mixed radix, the
    radix of the ``None`` axis differing from row to row) and looked up where it stands in ``form``.
    """
    lengths = rows.lengths
    sides = [lengths // form.stride if side is None else side for side in form.shape]
    starts = tf.repeat(tf.cumsum(lengths, exclusive=True), lengths)

    def each(side: Any) -> Any:
        return side if isinstance(side, int) else tf.repeat(side, lengths)

    strides: list[Any] = [1] * len(sides)  # of the source, in elements
    for axis in range(len(sides) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * sides[axis + 1]
    place = tf.range(tf.reduce_sum(lengths)) - starts
    source = starts
    for axis in reversed(order):  # the last axis of the result varies fastest
        side = each(sides[axis])
        source += place % side * each(strides[axis])
        place //= side
    return replace(rows, data=tf.gather(rows.data, source))
