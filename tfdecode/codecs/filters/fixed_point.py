"""fixed_point: floats that are whole numbers over a scale, as those whole numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...casts import bits, first_inexact, limits
from ...dtypes import dtype_name, numpy_dtype
from ...errors import EncodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.by_row import by_element, by_row
from ...graph.rows import Rows
from ..base import Filter

FLOATS = ("float16", "float32", "float64")
#: Of a scale. No whole number over the greatest is a subnormal float32, which TensorFlow would
#: flush to zero, and all of them are written in JSON without an exponent.
LEAST, MOST = 1e-4, 1e15
#: The integers that are exact in float32.
SHORT = ("int8", "uint8", "int16", "uint16")


@dataclass(frozen=True)
class FixedPoint(Filter):
    """``q = x * scale``, as numcodecs' FixedScaleOffset, but without any loss.

    Measurements come in steps: points in millimetres, scores of two digits. Where ``q / scale`` is
    the very float that came, the integer ``q`` carries it. The domain is the arrays of which this
    holds in each element, bit for bit: no -0.0, no NaN, no infinity.

    Parameters
    ----------
    scale : steps in a unit, one number from 0.0001 to 1e15, or one for each place of the last axis
    dtype : of the integers

    >>> import numpy as np, tfdecode
    >>> spec = tfdecode.ArraySpec((2,), "float32", "fixed_point:100,dtype=int16")
    >>> np.frombuffer(spec.encode(np.float32([0.07, -1.5])), "int16").tolist()
    [7, -150]
    """

    name = "fixed_point"
    scale: tuple[float, ...]
    dtype: str

    def __post_init__(self) -> None:
        scale = self.scale
        scales = tuple(scale) if isinstance(scale, Sequence) else (scale,)
        for number in scales:
            known = isinstance(number, int | float) and not isinstance(number, bool)
            if not known or not LEAST <= number <= MOST:
                raise SpecError(f"codec fixed_point: scale {number!r} is not from 0.0001 to 1e15")
        if not scales:
            raise SpecError("codec fixed_point: scale is an empty list, needs a number")
        # 100 and 100.0 are one spec with one text.
        put = object.__setattr__
        put(self, "scale", tuple(int(n) if n == math.floor(n) else float(n) for n in scales))
        put(self, "dtype", dtype_name(self.dtype))
        if "int" not in self.dtype:
            raise SpecError(f"codec fixed_point: dtype is {self.dtype}, needs an integer")

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if form.dtype not in FLOATS:
            raise SpecError(f"codec fixed_point: takes {', '.join(FLOATS)}, not {form.dtype}")
        if len(self.scale) > 1 and form.shape[-1:] != (len(self.scale),):
            raise SpecError(
                f"codec fixed_point: scale has {len(self.scale)} numbers, {form} needs one, or "
                "one for each place of a last axis of known size"
            )
        return ArrayForm(form.shape, self.dtype, form.max_shape)

    def domain(self, form: ArrayForm) -> str:
        low, high = map(int, limits(self.dtype))
        scale = ", ".join(map(str, self.scale))
        return f"integers {low}..{high - 1} over {scale}, as {form.dtype}, no -0.0"

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        x = np.asarray(x, numpy_dtype(form.dtype))
        low, high = limits(self.dtype)
        with np.errstate(all="ignore"):
            steps = np.asarray(np.multiply(x, self.scales("float64"), dtype=np.float64))
            np.rint(steps, out=steps)
            exact = (steps >= low) & (steps < high)  # a NaN is neither
            y = steps.astype(self.dtype)
            exact &= bits(self.decode(y, form)) == bits(x)
        if not exact.all():
            scale = ", ".join(map(str, self.scale))
            raise EncodeError(
                f"{first_inexact(x, np.asarray(exact))} is not an {self.dtype} over {scale} exactly"
            )
        return y

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        working = self.working(form)
        with np.errstate(over="ignore"):
            quotient = np.asarray(np.divide(y, self.scales(working), dtype=working))
            if form.dtype == "float16":  # by way of float32, as the kernels of TensorFlow round
                quotient = quotient.astype(np.float32, copy=False)
            return quotient.astype(form.dtype, copy=False)

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        working = self.working(form)

        def dense(y: Any) -> Any:
            scales = tf.constant(self.scales(working))
            # Not y / scale: a division by a constant is not exact under the optimizer.
            quotient = tf.math.divide_no_nan(tf.cast(y, working), scales)
            if form.dtype == "float16":
                quotient = tf.cast(quotient, tf.float32)
            return tf.cast(quotient, form.dtype)

        each = by_row if len(self.scale) > 1 else by_element
        return each(rows, self.resolve(form), form, dense)

    def working(self, form: ArrayForm) -> str:
        """In what to divide: float32 where it rounds no operand, which gives what float64 gives
        rounded to float32; else float64."""
        fits = self.dtype in SHORT and all(np.float32(number) == number for number in self.scale)
        return "float32" if fits and form.dtype != "float64" else "float64"

    def scales(self, dtype: str) -> np.ndarray:
        """The scale, or one for each place of the last axis."""
        return np.asarray(self.scale if len(self.scale) > 1 else self.scale[0], dtype)
