"""shuffle: byte planes, all first bytes, then all second bytes, as in HDF5 and numcodecs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...dtypes import ITEM_SIZES, from_little_endian, little_endian
from ...errors import SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.by_row import by_row
from ...graph.rows import Rows
from ...graph.swar import interleave
from ...statistics import Statistics
from ..base import Cost, Filter


@dataclass(frozen=True)
class Shuffle(Filter):
    """Byte planes: elements of S bytes become uint8 ``[S, *shape]``.

    Notes
    -----
    This is the shuffle filter of HDF5, for a whole array as one block. Neighbours often have equal
    high bytes, which a compressor finds if they are adjacent.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> tfd.ArraySpec((3,), "uint16", "shuffle").encode(np.uint16([1, 2, 259])).hex(" ")
    '01 02 03 00 00 01'
    """

    name = "shuffle"
    stage = "bytes"
    counts_bytes = True
    decode_cost = Cost(0.28)
    encode_cost = Cost(0.4)

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        return ["shuffle"] if statistics.itemsize > 1 else []

    def resolve(self, form: ArrayForm) -> ArrayForm:
        size = ITEM_SIZES[form.dtype]
        if size == 1:
            raise SpecError(f"codec shuffle: {form.dtype} has one byte per element; remove shuffle")
        return ArrayForm((size, *form.shape), "uint8", (size, *form.max_shape))

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        x = little_endian(x)
        return np.moveaxis(x.reshape(*x.shape, 1).view(np.uint8), -1, 0)

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        x = from_little_endian(np.moveaxis(y, 0, -1).tobytes(), form.dtype)
        return x.reshape(y.shape[1:])

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        def dense(y: Any) -> Any:
            sides = tf.shape(y)
            planes = tf.reshape(y, [sides[0], y.shape[1], tf.reduce_prod(sides[2:])])
            x = join_byte_planes(planes, form.dtype)
            return tf.reshape(x, tf.concat([sides[:1], sides[2:]], 0))

        return by_row(rows, self.resolve(form), form, dense)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        order = [0, len(form.shape) + 1, *range(1, len(form.shape) + 1)]
        return replace(rows, data=tf.transpose(tf.bitcast(rows.data, tf.uint8), order))


def join_byte_planes(planes: Any, dtype: str) -> Any:
    """uint8 ``[B, S, N]`` -> ``[B, N]`` of ``dtype``, which has S bytes."""
    # ``interleave`` took 1/3 of a transpose for two bytes, 1/2 for four, longer for eight (0.5 MB).
    if planes.shape[1] in (2, 4):
        return tf.bitcast(interleave(tf.unstack(planes, axis=1)), dtype)
    return tf.bitcast(tf.transpose(planes, [0, 2, 1]), dtype)
