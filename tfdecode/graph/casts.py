"""Casts in the graph, bit for bit: the graph side of ``tfdecode.casts``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..casts import integral, limits
from ..dtypes import PARTS
from ..extras import tensorflow as tf
from .rows import Rows, Status

#: dtype -> what ``decode_raw`` reads instead: it does not support uint32 and uint64, bfloat16 only
#: from TF 2.6 on, and reads every byte other than 0 as True.
READ_AS = {"uint32": "int32", "uint64": "int64", "bfloat16": "uint16", "bool": "uint8"}
#: dtypes that not every release supports in every kernel -> a dtype with the same bits.
SAME_BITS = {"uint32": "int32", "uint64": "int64"}
#: The smallest normal float32 and the smallest subnormal one.
NORMAL, TINY = 2.0**-126, 2.0**-149


def cast_tensor(x: Any, dtype: str) -> Any:
    """``x`` as ``dtype``; ``tensor_survives`` finds the values that this changes."""
    source = x.dtype.name
    if source == dtype:
        return x
    if x.dtype.is_complex or dtype in PARTS:
        part = PARTS.get(dtype, dtype)
        real = cast_tensor(tf.math.real(x) if x.dtype.is_complex else x, part)
        if part == dtype:
            return real
        imag = cast_tensor(tf.math.imag(x), part) if x.dtype.is_complex else tf.zeros_like(real)
        return tf.complex(real, imag)
    if "float64" in (source, dtype) and {source, dtype} & {"float32", "bfloat16"}:
        return widen(x) if dtype == "float64" else narrow(x, dtype)
    return tf.cast(x, dtype)


def widen(x: Any) -> Any:
    """float32 or bfloat16 as float64."""
    # From the bits of subnormal float32 numbers, which TensorFlow flushes to zero.
    x = tf.cast(x, tf.float32)
    bits = tf.bitcast(x, tf.int32)
    magnitude = bits & (2**31 - 1)
    subnormal = (magnitude > 0) & (magnitude < 2**23)
    wide = tf.cast(x, tf.float64)

    def exact() -> Any:
        value = tf.cast(magnitude, tf.float64) * TINY
        return tf.where(subnormal, tf.where(bits < 0, -value, value), wide)

    return tf.cond(tf.reduce_any(subnormal), exact, lambda: wide)


def narrow(x: Any, dtype: str) -> Any:
    """float64 as float32 or bfloat16, subnormal numbers too: the reverse of ``widen``."""
    subnormal = (tf.abs(x) < NORMAL) & tf.not_equal(x, 0)
    single = tf.cast(x, tf.float32)

    def exact() -> Any:
        magnitude = tf.cast(tf.where(subnormal, tf.abs(x), 0) / TINY, tf.int32)
        bits = tf.where(x < 0, magnitude - 2**31, magnitude)
        return tf.where(subnormal, tf.bitcast(bits, tf.float32), single)

    return tf.cast(tf.cond(tf.reduce_any(subnormal), exact, lambda: single), dtype)


def tensor_survives(x: Any, y: Any) -> Any:
    """bool ``x.shape``: whether each element of ``y``, a cast of ``x``, casts back to its bits."""
    a, b = (tensor_bits(z) for z in (x, cast_tensor(y, x.dtype.name)))
    same = tf.equal(a, b)
    if x.dtype == tf.complex128:
        same = tf.reduce_all(same, -1)
    for number, other in ((x, y), (y, x)):
        if not integral(number.dtype.name) and integral(other.dtype.name):
            low, high = limits(other.dtype.name)
            real = tf.math.real(number) if number.dtype.is_complex else number
            real = tf.cast(real, tf.float64)
            same &= (real >= low) & (real < high)
    for signed, unsigned in ((x, y), (y, x)):
        if signed.dtype.name.startswith("int") and unsigned.dtype.name.startswith("uint"):
            same &= signed >= 0  # negative ones wrap around and back
    if x.dtype != y.dtype and not any(integral(number.dtype.name) for number in (x, y)):
        for short in (x, y):  # NaNs that NumPy and TensorFlow change in different ways
            if short.dtype == tf.float16:  # signalling
                same &= tf.not_equal(tensor_bits(short) & 0x7E00, 0x7C00) | tf.equal(
                    tensor_bits(short) & 0x01FF, 0
                )
            elif short.dtype == tf.bfloat16:  # negative
                same &= (tensor_bits(short) >= 0) | (tensor_bits(short) <= -128)
    return same


def tensor_bits(x: Any) -> Any:
    """The bits of each element as signed integers, which every release can compare."""
    if x.dtype == tf.bool:
        return x
    if x.dtype == tf.complex128:  # two numbers along a last axis
        x = tf.stack([tf.math.real(x), tf.math.imag(x)], -1)
    return tf.bitcast(x, {1: tf.int8, 2: tf.int16, 4: tf.int32, 8: tf.int64}[x.dtype.size])


def as_bits(x: Any, dtype: str) -> Any:
    """``x`` bitcast to ``dtype``."""
    return x if x.dtype.name == dtype else tf.bitcast(x, dtype)


def movable(x: Any) -> Any:
    """``x`` as a dtype with the same bits whose elements every release can move."""
    return as_bits(x, movable_dtype(x.dtype.name))


def movable_dtype(dtype: str) -> str:
    """The dtype of ``movable``."""
    return SAME_BITS.get(dtype, dtype)


def transposed(x: Any, order: Any = None) -> Any:
    """``tf.transpose``, which TensorFlow 2.3 lacks for uint32 and uint64."""
    return as_bits(tf.transpose(movable(x), order), x.dtype.name)


def as_bytes(x: Any) -> Any:
    """The bytes of each element, little-endian: uint8, with a last axis for wider dtypes."""
    if x.dtype == tf.bool:
        return tf.cast(x, tf.uint8)
    return as_bits(x, "uint8")


def as_dtype(rows: Rows, dtype: str) -> Rows:
    """Rows that were read as ``READ_AS[dtype]``, as ``dtype``."""
    return bool_rows(rows) if dtype == "bool" else replace(rows, data=as_bits(rows.data, dtype))


def flat_numbers(rows: Rows, dtype: str) -> Rows:
    """The elements of all strings, of different lengths, as one flat tensor of ``dtype``."""
    # One decode_raw over the concatenated rows: it takes only rows of one length.
    data = tf.io.decode_raw(tf.strings.reduce_join(rows.data), READ_AS.get(dtype, dtype))
    return as_dtype(replace(rows, data=tf.reshape(data, [-1])), dtype)


def bool_rows(rows: Rows) -> Rows:
    """uint8 data as bool; a row with bytes other than 0 and 1 is bad."""
    message = "has {} bytes other than 0 and 1, needs bool"
    if not rows.verified and rows.lengths is None:
        matrix = tf.reshape(rows.data, rows.matrix_shape(rows.data))

        def count(row: Any) -> Any:
            return tf.math.count_nonzero(tf.gather(matrix, row) > 1)

        # reduce_any of a comparison took 1.4 times as long in all.
        fits = tf.reduce_max(matrix, axis=1) <= 1
        rows = rows.check(fits, count, Status.VALUE, message)
    elif not rows.verified:
        rows = rows.check_elements(rows.data > 1, Status.VALUE, message)
    return replace(rows, data=tf.cast(rows.data, tf.bool))
