"""astype: carry the values in another dtype, where every one of them is exactly the same in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...dtypes import ITEM_SIZES, dtype_name, numpy_dtype
from ...errors import DecodeError, EncodeError, SpecError
from ...extras import tensorflow as tf
from ...graph.rows import Rows, Status
from ..base import Filter
from ..form import ArrayForm


@dataclass(frozen=True)
class AsType(Filter):
    """Values as ``dtype``: ``astype:uint8`` packs float32 labels in a quarter of the bytes.

    The domain is the arrays whose values survive the way there and back with every bit (so -0.0
    and NaN do not become integers, and a NaN stays only where its payload does). Decoding checks
    values too wherever ``dtype`` can hold some that the array's dtype cannot: a file of float64
    labels with a 1.5 in it is a bad row for an int32 input, not a 1.
    """

    name = "astype"
    dtype: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", dtype_name(self.dtype))

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if "complex" in self.dtype and "complex" not in form.dtype:
            raise SpecError(f"codec astype: {form.dtype} cannot be carried as {self.dtype}")
        return ArrayForm(form.shape, self.dtype, form.max_shape)

    def domain(self, form: ArrayForm) -> str:
        if exact_cast(form.dtype, self.dtype):
            return ""
        if not integral(self.dtype):
            return f"values exact in {self.dtype}"
        low, high = map(int, limits(self.dtype))
        if not integral(form.dtype):
            zeros = " with imaginary part 0" if "complex" in form.dtype else ""
            return f"integers {low}..{high - 1} exactly{zeros}, no -0.0"
        least, most = map(int, limits(form.dtype))
        return f"integers {max(low, least)}..{min(high, most) - 1}"

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        y = cast(x, numpy_dtype(self.dtype))
        exact = survives(x, y)
        if not exact.all():
            raise EncodeError(f"array is not exact in {self.dtype}: {first(x, exact)}")
        return y

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        x = cast(y, numpy_dtype(form.dtype))
        if not exact_cast(self.dtype, form.dtype):
            exact = survives(y, x)
            if not exact.all():
                count = np.count_nonzero(~exact)  # which values, no message about a payload says
                raise DecodeError(f"payload has {count} values that are not exact in {form.dtype}")
        return x

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        y = rows.data
        x = cast_tensor(y, form.dtype)
        if not exact_cast(self.dtype, form.dtype) and not rows.verified:
            wrong = tf.logical_not(tensor_survives(y, x))
            message = f"has {{}} values of {self.dtype} that are not exact in {form.dtype}"
            rows = rows.check_elements(wrong, Status.VALUE, message)
        return replace(rows, data=x)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        if not exact_cast(form.dtype, self.dtype):
            raise SpecError(
                f"codec astype cannot encode {form.dtype} as {self.dtype} in a graph: "
                "not every value is exact"
            )
        return replace(rows, data=cast_tensor(rows.data, self.dtype))


def integral(dtype: str) -> bool:
    """Whether ``dtype`` holds whole numbers (or bool)."""
    return dtype == "bool" or "int" in dtype


#: dtype -> bits of the significand: the whole numbers below two to that power are all exact.
SIGNIFICAND = {
    "float16": 11,
    "bfloat16": 8,
    "float32": 24,
    "float64": 53,
    "complex64": 24,
    "complex128": 53,
}


def exact_cast(source: str, target: str) -> bool:
    """Whether every value of ``source`` is the same in ``target``, every bit of it kept on return.

    Between floats only where nothing has to be widened through arithmetic: a signalling NaN of
    float16 comes out quiet.
    """
    if source == target:
        return True
    if integral(source):
        bits = 1 if source == "bool" else 8 * ITEM_SIZES[source] - (not source.startswith("u"))
        if target == "bool":
            return False
        if integral(target):
            room = 8 * ITEM_SIZES[target] - (not target.startswith("u"))
            return bits <= room and (source.startswith(("u", "bool")) or not target.startswith("u"))
        return bits <= SIGNIFICAND[target]
    return False


def cast(x: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """``x`` as ``dtype`` without warnings: values that do not fit are found by ``survives``."""
    with np.errstate(all="ignore"):
        if x.dtype.kind == "c" and dtype.kind != "c":
            x = x.real
        return x.astype(dtype)


def survives(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where ``y``, a cast of ``x``, casts back to the same bits."""
    a, b = (bits(z) for z in (x, cast(y, x.dtype)))
    same = np.asarray(a == b)
    if x.dtype.itemsize == 16:  # complex128, in either byte order
        same = np.asarray(same.all(axis=-1))
    for number, other in ((x, y), (y, x)):
        if integral(other.dtype.name) and not integral(number.dtype.name) and at_limit(other):
            # A float outside an integer dtype casts to anything: to another number on x86, to the
            # nearest one on ARM, which would then come back the same.
            low, high = limits(other.dtype.name)
            # float16 and bfloat16 cannot hold the limits; a copy of the others would cost a third.
            real = number.real if number.dtype.itemsize > 2 else cast(number, np.dtype(np.float64))
            same &= (real >= low) & (real < high)
    for signed, unsigned in ((x, y), (y, x)):
        if signed.dtype.kind == "i" and unsigned.dtype.kind == "u":
            same &= signed >= 0  # others wrap around, and back
    names = {x.dtype.name, y.dtype.name}
    if len(names) > 1 and not any(integral(name) for name in names):
        # NaNs that numpy keeps and TensorFlow does not: it makes those of float16 quiet and those
        # of bfloat16 positive.
        for short in (x, y):
            if short.dtype.name == "float16":
                same &= ((bits(short) & 0x7E00) != 0x7C00) | ((bits(short) & 0x01FF) == 0)
            elif short.dtype.name == "bfloat16":
                same &= bits(short) <= 0xFF80
    return same


def bits(x: np.ndarray) -> np.ndarray:
    """The bits of each element as unsigned integers: two along a last axis for complex128."""
    if x.dtype.kind == "V":  # bfloat16
        x = x.view(np.dtype(np.uint16).newbyteorder(x.dtype.byteorder))
    x = np.asarray(x, x.dtype.newbyteorder("="), order="C")
    if x.dtype.itemsize == 16:  # complex128, in either byte order
        return x.reshape(*x.shape, 1).view(np.uint64)
    return x.view(f"u{x.dtype.itemsize}")


def at_limit(x: np.ndarray) -> bool:
    """Whether any of the integers is the least or the greatest of its dtype.

    What lies outside could have become that; where none is, two comparisons of all the floats are
    saved, half of the time.
    """
    if x.dtype == np.bool_ or not x.size:
        return False
    info = np.iinfo(x.dtype)
    return bool(x.max() == info.max or x.min() == info.min)


def limits(dtype: str) -> tuple[float, float]:
    """The least value of an integer dtype and the first above its greatest, exact as float64."""
    if dtype == "bool":
        return 0.0, 2.0
    info = np.iinfo(dtype)
    return float(info.min), float(int(info.max) + 1)


def first(x: np.ndarray, exact: np.ndarray) -> str:
    """The first value that is not exact and its index, for a message."""
    index = tuple(int(i) for i in np.argwhere(~exact)[0])
    return f"{x[index]} at index {list(index)} ({np.count_nonzero(~exact)} in all)"


def cast_tensor(x: Any, dtype: str) -> Any:
    """``x`` as ``dtype``; values that do not fit are found by ``tensor_survives``."""
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
        return widened(x) if dtype == "float64" else narrowed(x, dtype)
    return tf.cast(x, dtype)


#: Of what dtype the two numbers of a complex one are.
PARTS = {"complex64": "float32", "complex128": "float64"}
#: The least power of two that is a normal float32, and the least of all.
NORMAL, TINY = 2.0**-126, 2.0**-149


def widened(x: Any) -> Any:
    """float32 or bfloat16 as float64, subnormal numbers too.

    TensorFlow's threads flush subnormal float32 numbers to zero in every conversion: those are
    made from their bits.
    """
    x = tf.cast(x, tf.float32)
    bits = tf.bitcast(x, tf.int32)
    size = tf.bitwise.bitwise_and(bits, 2**31 - 1)
    tiny = (size > 0) & (size < 2**23)
    wide = tf.cast(x, tf.float64)

    def exact() -> Any:
        value = tf.cast(size, tf.float64) * TINY
        return tf.where(tiny, tf.where(bits < 0, -value, value), wide)

    return tf.cond(tf.reduce_any(tiny), exact, lambda: wide)


def narrowed(x: Any, dtype: str) -> Any:
    """float64 as float32 or bfloat16, subnormal numbers too: the reverse of ``widened``."""
    tiny = (tf.abs(x) < NORMAL) & tf.not_equal(x, 0)
    narrow = tf.cast(x, tf.float32)

    def exact() -> Any:
        size = tf.cast(tf.where(tiny, tf.abs(x), 0) / TINY, tf.int32)
        bits = tf.where(x < 0, size - 2**31, size)
        return tf.where(tiny, tf.bitcast(bits, tf.float32), narrow)

    return tf.cast(tf.cond(tf.reduce_any(tiny), exact, lambda: narrow), dtype)


def tensor_survives(x: Any, y: Any) -> Any:
    """Where ``y``, a cast of ``x``, casts back to the same bits: ``survives`` in the graph."""
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
            same &= signed >= 0  # others wrap around, and back
    return same


def tensor_bits(x: Any) -> Any:
    """The bits of each element as signed integers, which every release compares."""
    if x.dtype == tf.bool:
        return x
    if x.dtype == tf.complex128:  # two numbers along a last axis
        x = tf.stack([tf.math.real(x), tf.math.imag(x)], -1)
    return tf.bitcast(x, {1: tf.int8, 2: tf.int16, 4: tf.int32, 8: tf.int64}[x.dtype.size])
