"""fixed_point: floats that are multiples of 1/scale, stored as integers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...casts import bits, blocks, first_inexact, limits
from ...dtypes import checked_number, dtype_name, numpy_dtype
from ...errors import EncodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.by_row import by_element, by_row
from ...graph.casts import cast_tensor, tensor_bits
from ...graph.rows import Rows, Status
from ...statistics import Statistics
from ..base import Cost, Filter

FLOATS = ("float16", "float32", "float64")
#: 1 / MAX_SCALE is no subnormal float32, which TensorFlow flushes to 0; JSON needs no exponent.
MIN_SCALE, MAX_SCALE = 1e-4, 1e15
#: What `infer` proposes, the first that fits, the narrowest first.
DTYPES = ("uint8", "int8", "int16", "int32")
#: Integers that are exact in float32.
EXACT_IN_FLOAT32 = ("int8", "uint8", "int16", "uint16")


@dataclass(frozen=True)
class FixedPoint(Filter):
    """Store the integers ``x * scale``, like numcodecs' FixedScaleOffset, but without loss.

    Parameters
    ----------
    scale : float or sequence of float
        Steps per unit, 0.0001 to 1e15: one number, or one for each index of the last axis.
    dtype : str
        Of the integers.

    Notes
    -----
    It suits points in millimetres and scores with two digits. Each element must be ``q / scale``
    bit for bit: no -0.0, NaN or infinity.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> spec = tfd.ArraySpec((2,), "float32", "fixed_point:100,dtype=int16")
    >>> np.frombuffer(spec.encode(np.float32([0.07, -1.5])), "int16").tolist()
    [7, -150]
    """

    name = "fixed_point"
    decode_cost = Cost(2.0)
    encode_cost = Cost(8.0)
    scale: tuple[float, ...]
    dtype: str

    def __post_init__(self) -> None:
        scale = self.scale
        scales = tuple(scale) if isinstance(scale, Sequence) else (scale,)
        for number in scales:
            checked_number("codec fixed_point: scale", number, MIN_SCALE, MAX_SCALE, whole=False)
        if not scales:
            raise SpecError("codec fixed_point: scale is an empty list, needs a number")
        # So that 100 and 100.0 give equal specs.
        put = object.__setattr__
        put(self, "scale", tuple(int(n) if n == math.floor(n) else float(n) for n in scales))
        put(self, "dtype", dtype_name(self.dtype))
        if "int" not in self.dtype:
            raise SpecError(f"codec fixed_point: dtype is {self.dtype}, needs an integer")

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        scales = statistics.scales
        if scales is None:
            return []
        columns, steps = statistics.columns, np.asarray(scales, np.float64)
        low = float((columns.min(0) * steps).round().min())
        high = float((columns.max(0) * steps).round().max())
        fits = (name for name in DTYPES if limits(name)[0] <= low and high < limits(name)[1])
        dtype = next(fits, "int32")
        return [f"fixed_point:{','.join(map(str, scales))},dtype={dtype}"]

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if form.dtype not in FLOATS:
            raise SpecError(f"codec fixed_point: takes {', '.join(FLOATS)}, not {form.dtype}")
        if len(self.scale) > 1 and form.shape[-1:] != (len(self.scale),):
            raise SpecError(
                f"codec fixed_point: scale has {len(self.scale)} numbers, {form} needs one, or "
                "one for each index of a last axis of known size"
            )
        return ArrayForm(form.shape, self.dtype, form.max_shape)

    def domain(self, form: ArrayForm) -> str:
        low, end = map(int, limits(self.dtype))
        return f"integers {low}..{end - 1} divided by {self.scale_text}, no -0.0"

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        x = np.asarray(x, numpy_dtype(form.dtype))
        y = np.empty(x.shape, self.dtype)
        exact = np.empty(x.shape, bool)
        # A rank of 1 with a scale for each element is small.
        for block in blocks(x) if x.ndim > 1 or len(self.scale) == 1 else (...,):
            y[block], exact[block] = self.steps(x[block], form)
        if not exact.all():
            raise EncodeError(
                f"array has values that are not exactly {self.dtype} divided by {self.scale_text}: "
                f"{first_inexact(x, exact)}"
            )
        return y

    @np.errstate(all="ignore")
    def steps(self, x: np.ndarray, form: ArrayForm) -> tuple[np.ndarray, np.ndarray]:
        """The integers, and which of them decode to ``x``."""
        low, end = limits(self.dtype)
        steps = np.asarray(np.multiply(x, self.scales("float64"), dtype=np.float64))
        np.rint(steps, out=steps)
        exact = (steps >= low) & (steps < end)  # False for NaN
        y = steps.astype(self.dtype)
        return y, exact & (bits(self.decode(y, form)) == bits(x))

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        dtype = self.division_dtype(form)
        with np.errstate(over="ignore"):
            quotient = np.asarray(np.divide(y, self.scales(dtype), dtype=dtype))
            if form.dtype == "float16":  # TensorFlow's kernels round by way of float32
                quotient = quotient.astype(np.float32, copy=False)
            return quotient.astype(form.dtype, copy=False)

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        dtype = self.division_dtype(form)

        def dense(y: Any) -> Any:
            scales = tf.constant(self.scales(dtype))
            # Not y / scale: the optimizer makes a division by a constant inexact.
            quotient = tf.math.divide_no_nan(tf.cast(y, dtype), scales)
            if form.dtype == "float16":
                quotient = tf.cast(quotient, tf.float32)
            return tf.cast(quotient, form.dtype)

        each = by_row if len(self.scale) > 1 else by_element
        return each(rows, self.resolve(form), form, dense)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        low, end = limits(self.dtype)
        x = cast_tensor(rows.data, "float64")
        steps = tf.round(x * tf.constant(self.scales("float64")))
        fits = (steps >= low) & (steps < end)  # False for NaN
        y = tf.cast(tf.where(fits, steps, tf.zeros_like(steps)), self.dtype)
        back = self.decode_rows(Rows(y, rows.size), form).data
        same = tf.equal(tensor_bits(back), tensor_bits(rows.data))
        message = f"has {{}} values that are not exactly {self.dtype} divided by {self.scale_text}"
        rows = rows.check_elements(tf.logical_not(fits & same), Status.VALUE, message)
        return replace(rows, data=y)

    def division_dtype(self, form: ArrayForm) -> str:
        """float32 if both operands are exact in it, which gives the rounded float64 quotient."""
        # float(): NumPy 2 compares a float32 with a Python number in float32.
        exact = all(float(np.float32(n)) == n for n in self.scale)
        fits = self.dtype in EXACT_IN_FLOAT32 and exact
        return "float32" if fits and form.dtype != "float64" else "float64"

    @property
    def scale_text(self) -> str:
        """The scale, for messages."""
        return ", ".join(map(str, self.scale))

    def scales(self, dtype: str) -> np.ndarray:
        """The scale, or one for each index of the last axis."""
        return np.asarray(self.scale if len(self.scale) > 1 else self.scale[0], dtype)
