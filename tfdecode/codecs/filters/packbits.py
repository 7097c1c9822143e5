"""packbits: bool, and integers that are 0 or 1, in one bit each, as `numpy.packbits` does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...casts import checked_bool, first_inexact
from ...dtypes import ITEM_SIZES, numpy_dtype
from ...errors import DecodeError, EncodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.casts import SAME_BITS
from ...graph.rows import Rows, Status
from ..base import Filter

#: Elements from which on two bytes are looked up at once.
MANY = 2**15


@dataclass(frozen=True)
class PackBits(Filter):
    """Pack bool, or integers that are 0 or 1, into one bit each: uint8 ``[ceil(N / 8)]``.

    Element ``i`` in C order is bit ``i % 8`` of byte ``i // 8``, counted from the lowest bit. The
    padding bits after the last element are 0.

    >>> import numpy as np, tfdecode
    >>> spec = tfdecode.ArraySpec((9,), "bool", codecs="packbits")
    >>> spec.encode(np.array([1, 1, 0, 0, 0, 0, 0, 0, 1], bool))
    b'\\x03\\x01'
    """

    name = "packbits"

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if form.unknown_axis is not None:
            raise SpecError(
                f"codec packbits: {form} has a None dimension, and packbits needs a fixed shape; "
                "remove packbits, a compressor packs bits too"
            )
        if form.dtype != "bool" and "int" not in form.dtype:
            raise SpecError(
                f"codec packbits: takes bool and integers, not {form.dtype}; "
                "put astype:bool before it"
            )
        side = -(-prod(form.max_shape) // 8)
        return ArrayForm((side,), "uint8", (side,))

    def domain(self, form: ArrayForm) -> str:
        return "" if form.dtype == "bool" else "integers 0..1"

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        if form.dtype == "bool":
            return np.packbits(checked_bool(x), bitorder="little")
        if x.size and (x.min() < 0 or x.max() > 1):
            wrong = (x < 0) | (x > 1)
            raise EncodeError(f"array does not fit 1 bit: {first_inexact(x, ~wrong)}")
        return np.packbits(x.astype(np.uint8), bitorder="little")

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        count = prod(form.max_shape)
        padding = -count % 8
        if padding and y[-1] >> (8 - padding):
            raise DecodeError(f"the {padding} padding bits after the last element are not 0")
        x = np.unpackbits(y, count=count, bitorder="little")
        dtype = numpy_dtype(form.dtype)
        x = x.view(np.bool_) if form.dtype == "bool" else x.astype(dtype, copy=False)
        return x.reshape(form.max_shape)

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        count = prod(form.max_shape)
        padding = -count % 8
        if padding and not rows.verified:
            last = tf.cast(rows.data[:, -1], tf.int32)
            message = "has other than 0 in the {} padding bits after its last element"
            got = tf.fill([rows.size], padding)
            rows = rows.check(last < 2 ** (8 - padding), got, Status.VALUE, message)
        carrier = SAME_BITS.get(form.dtype, form.dtype)
        x = unpack_bits(rows.data, carrier)
        x = tf.reshape(x[:, :count], tf.stack([rows.size, *form.max_shape]))
        return replace(rows, data=x if carrier == form.dtype else tf.bitcast(x, form.dtype))


def unpack_bits(data: Any, dtype: str) -> Any:
    """uint8 ``[B, n]`` -> ``[B, 8 * n]``: the bits of each byte are a row of a table.

    1.2x bare ``decode_raw`` of float32. Of dtypes of one byte, two bytes are looked up at once: a
    mask [480, 640] took 1.5x where single ones took 3.7x. (That table
    is 1 MB, so the graph makes it of the small one, once: it is folded at the first run.)
    """
    numbers = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    bits = np.unpackbits(numbers, axis=1, bitorder="little").astype(numpy_dtype(dtype))
    batch, side = tf.shape(data)[0], data.shape[1]
    table = tf.constant(bits)
    many = 8 * side >= MANY and not tf.executing_eagerly()  # which would make the table anew
    if ITEM_SIZES[dtype] == 1 and side % 2 == 0 and many:
        low = tf.tile(table[tf.newaxis], [256, 1, 1])
        high = tf.tile(table[:, tf.newaxis], [1, 256, 1])
        table = tf.reshape(tf.stack([low, high], 2), [2**16, 16])
        data = tf.bitcast(tf.reshape(data, tf.stack([batch, side // 2, 2])), tf.uint16)
    x = tf.gather(table, tf.cast(data, tf.int32))
    return tf.reshape(x, tf.stack([batch, 8 * side]))
