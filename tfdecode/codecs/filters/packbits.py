"""packbits: bool, or integers that are 0 or 1, as one bit each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...casts import checked_bool, first_inexact
from ...dtypes import ITEM_SIZES, numpy_dtype
from ...errors import DecodeError, EncodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.casts import SAME_BITS, as_bits
from ...graph.rows import Rows, Status
from ...statistics import Statistics
from ..base import Cost, Filter

#: From this number of elements on, the graph looks up two bytes at once.
MIN_PAIRED_ELEMENTS = 2**15


@dataclass(frozen=True)
class PackBits(Filter):
    """Pack bool, or integers that are 0 or 1, into one bit each: uint8 ``[ceil(N / 8)]``.

    Notes
    -----
    This is ``numpy.packbits(x, bitorder="little")``: element ``i`` in C order is bit ``i % 8`` of
    byte ``i // 8``, the lowest bit first. The padding bits are 0.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> spec = tfd.ArraySpec((9,), "bool", "packbits")
    >>> spec.encode(np.array([1, 1, 0, 0, 0, 0, 0, 0, 1], bool))
    b'\\x03\\x01'
    """

    name = "packbits"
    stage = "bytes"
    decode_cost = Cost(0.25)
    encode_cost = Cost(0.5)

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        values = statistics.few if statistics.integer and statistics.itemsize == 1 else None
        mask = values is not None and len(values) and values[0] >= 0 and values[-1] <= 1
        return ["packbits"] if mask and statistics.stage != "difference" else []

    def resolve(self, form: ArrayForm) -> ArrayForm:
        form.require_fixed(self.name)
        if form.dtype != "bool" and "int" not in form.dtype:
            advice = "put astype:bool before it"
            raise SpecError(f"codec packbits: takes bool and integers, not {form.dtype}; {advice}")
        side = -(-prod(form.max_shape) // 8)
        return ArrayForm((side,), "uint8", (side,))

    def domain(self, form: ArrayForm) -> str:
        return "" if form.dtype == "bool" else "integers 0..1"

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        if form.dtype == "bool":
            return np.packbits(checked_bool(x), bitorder="little")
        if x.size and (x.min() < 0 or x.max() > 1):
            wrong = (x < 0) | (x > 1)
            raise EncodeError(f"array has values other than 0 and 1: {first_inexact(x, ~wrong)}")
        return np.packbits(x.astype(np.uint8), bitorder="little")

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        count = prod(form.max_shape)
        padding = -count % 8
        if padding and y[-1] >> (8 - padding):
            raise DecodeError(f"payload has {padding} padding bits that are not all 0")
        x = np.unpackbits(y, count=count, bitorder="little")
        x = x.view(np.bool_) if form.dtype == "bool" else x.astype(form.dtype, copy=False)
        return x.reshape(form.max_shape)

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        count = prod(form.max_shape)
        padding = -count % 8
        if padding and not rows.verified:
            last = tf.cast(rows.data[:, -1], tf.int32)
            message = "has {} padding bits after its last element that are not all 0"
            got = tf.fill([rows.size], padding)
            rows = rows.check(last < 2 ** (8 - padding), got, Status.VALUE, message)
        x = unpack_bits(rows.data, SAME_BITS.get(form.dtype, form.dtype))
        x = tf.reshape(x[:, :count], tf.stack([rows.size, *form.max_shape]))
        return replace(rows, data=as_bits(x, form.dtype))

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        x = rows.data
        if form.dtype != "bool":
            x = as_bits(x, SAME_BITS.get(form.dtype, form.dtype))
            wrong = tf.logical_or(x < 0, x > 1)
            rows = rows.check_elements(wrong, Status.VALUE, "has {} values other than 0 and 1")
        x = tf.reshape(tf.cast(x, tf.uint8), rows.matrix_shape(x))
        x = tf.pad(x, [[0, 0], [0, -prod(form.max_shape) % 8]])
        return replace(rows, data=pack_bits(x))


def pack_bits(x: Any) -> Any:
    """uint8 ``[B, 8 * n]``, each 0 or 1 -> ``[B, n]``, the first one lowest."""
    sides = tf.stack([tf.shape(x)[0], x.shape[1] // 8, 8])
    # Of eight bytes as one integer, the product has byte i as bit i of its highest byte.
    words = tf.bitcast(tf.reshape(x, sides), tf.int64) * 0x0102040810204080
    return tf.cast(tf.bitwise.right_shift(words, 56) & 255, tf.uint8)


def unpack_bits(data: Any, dtype: str) -> Any:
    """uint8 ``[B, n]`` -> ``[B, 8 * n]``, from a table with a row for the bits of each byte."""
    # 1.2x bare decode_raw for float32. For dtypes of one byte two are looked up at once: 1.5x for a
    # mask [480, 640], not 3.7x. TensorFlow folds that table (1 MB) at the first run.
    numbers = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    bits = np.unpackbits(numbers, axis=1, bitorder="little").astype(numpy_dtype(dtype))
    batch, side = tf.shape(data)[0], data.shape[1]
    table = tf.constant(bits)
    large = 8 * side >= MIN_PAIRED_ELEMENTS and not tf.executing_eagerly()  # not at each call
    if ITEM_SIZES[dtype] == 1 and side % 2 == 0 and large:
        low = tf.tile(table[tf.newaxis], [256, 1, 1])
        high = tf.tile(table[:, tf.newaxis], [1, 256, 1])
        table = tf.reshape(tf.stack([low, high], 2), [2**16, 16])
        data = tf.bitcast(tf.reshape(data, tf.stack([batch, side // 2, 2])), tf.uint16)
    x = tf.gather(table, tf.cast(data, tf.int32))
    return tf.reshape(x, tf.stack([batch, 8 * side]))
