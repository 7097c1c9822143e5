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
    """Transpose rows of different length, one after the other.

    One gather over the whole batch would need six int64 for each element, 50 times the memory of
    uint8 rows.
    """
    ends = tf.cumsum(rows.lengths)
    pieces = tf.TensorArray(rows.data.dtype, rows.size, infer_shape=False, element_shape=[None])

    def transposed(row: Any, pieces: Any) -> Any:
        length = rows.lengths[row]
        sides = [length // form.stride if side is None else side for side in form.shape]
        piece = tf.reshape(rows.data[ends[row] - length : ends[row]], tf.stack(sides))
        return row + 1, pieces.write(row, tf.reshape(tf.transpose(piece, order), [-1]))

    def loop() -> Any:
        return tf.while_loop(lambda row, _: row < rows.size, transposed, (0, pieces))[1].concat()

    # A TensorArray without rows cannot be concatenated.
    return replace(rows, data=tf.cond(rows.size > 0, loop, lambda: rows.data))
