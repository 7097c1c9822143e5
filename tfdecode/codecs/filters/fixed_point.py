"""fixed_point: floats that are multiples of 1/scale, or these plus an offset, as integers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

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
#: Whether x / scale is rounded to the dtype of the array before the offset is added.
ROUNDINGS = ("once", "each")
#: What `infer` proposes, the first that fits, the narrowest first.
DTYPES = ("uint8", "int8", "int16", "int32")
#: Integers that are exact in float32.
EXACT_IN_FLOAT32 = ("int8", "uint8", "int16", "uint16")


@dataclass(frozen=True)
class FixedPoint(Filter):
    """Store the integers ``(x - offset) * scale``, as numcodecs' FixedScaleOffset, without loss.

    Parameters
    ----------
    scale : float or sequence of float
        Steps per unit, 0.0001 to 1e15: one number, or one for each index of the last axis.
    dtype : str
        Of the integers.
    offset : float or sequence of float, default 0
        The value of the integer 0: one number, or one for each index of the last axis. 0, or
        0.0001 to 1e15 without its sign.
    rounding : {"once", "each"}, default "once"
        "once": ``q / scale + offset`` is computed in float64 and rounded to the array's dtype.
        "each": the quotient is rounded to it, and then the sum, as float32 programs compute it.

    Notes
    -----
    It suits points in millimetres, scores with two digits and pixels in [-1, 1]. Each element must
    be ``q / scale + offset`` bit for bit: no -0.0, NaN or infinity.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> spec = tfd.ArraySpec((2,), "float32", "fixed_point:100,dtype=int16")
    >>> np.frombuffer(spec.encode(np.float32([0.07, -1.5])), "int16").tolist()
    [7, -150]
    >>> pixels = np.uint8([0, 128, 255])
    >>> chain = "fixed_point:127.5,dtype=uint8,offset=-1,rounding=each"
    >>> tfd.ArraySpec((3,), "float32", chain).encode(pixels.astype("float32") / 127.5 - 1)
    b'\\x00\\x80\\xff'
    """

    name = "fixed_point"
    decode_cost = Cost(2.0)
    encode_cost = Cost(8.0)
    scale: tuple[float, ...]
    dtype: str
    offset: float | tuple[float, ...] = 0
    rounding: Literal["once", "each"] = "once"

    def __post_init__(self) -> None:
        # Whole numbers as integers, so that 100 and 100.0 give equal specs.
        put = object.__setattr__
        put(self, "scale", checked("scale", self.scale))
        offset = checked("offset", self.offset)
        put(self, "offset", offset if len(offset) > 1 else offset[0])
        put(self, "dtype", dtype_name(self.dtype))
        if "int" not in self.dtype:
            raise SpecError(f"codec fixed_point: dtype is {self.dtype}, needs an integer")
        if self.rounding not in ROUNDINGS:
            known = " or ".join(ROUNDINGS)
            raise SpecError(f"codec fixed_point: rounding is {self.rounding!r}, needs {known}")
        if self.rounding != "once" and not self.offset:
            raise SpecError("codec fixed_point: rounding=each needs an offset other than 0")

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        scales = statistics.scales
        found = [] if scales is None else [proposal(statistics, scales)]
        # A step of 1/255 takes two bytes for the pixels of [-1, 1], of 1/127.5 one.
        if not any(fits for _, fits in found) and statistics.centred is not None:
            found.insert(0, proposal(statistics, *statistics.centred))
        return [text for text, _ in found]

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if form.dtype not in FLOATS:
            raise SpecError(f"codec fixed_point: takes {', '.join(FLOATS)}, not {form.dtype}")
        for name, numbers in (("scale", self.scale), ("offset", self.offsets)):
            if len(numbers) > 1 and form.shape[-1:] != (len(numbers),):
                raise SpecError(
                    f"codec fixed_point: {name} has {len(numbers)} numbers, {form} needs one, or "
                    "one for each index of a last axis of known size"
                )
        if not np.isfinite(self.added(form)).all():
            raise SpecError(
                f"codec fixed_point: offset {self.offset} is infinite in {form.dtype}, in which "
                "rounding=each adds it; pass rounding=once"
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
        for block in blocks(x) if x.ndim > 1 or self.alike else (...,):
            y[block], exact[block] = self.steps(x[block], form)
        if not exact.all():
            raise EncodeError(
                f"array has values that are not exactly {self.dtype} divided by {self.scale_text}: "
                f"{first_inexact(x, exact)}{self.advice(x, form)}"
            )
        return y

    def advice(self, x: np.ndarray, form: ArrayForm) -> str:
        """The other rounding, if it suits the array."""
        if not any(self.offsets) or form.dtype == "float64":
            return ""
        other: Literal["once", "each"] = "each" if self.rounding == "once" else "once"
        _, exact = replace(self, rounding=other).steps(x, form)
        return f"; they are with rounding={other}" if exact.all() else ""

    @np.errstate(all="ignore")
    def steps(self, x: np.ndarray, form: ArrayForm) -> tuple[np.ndarray, np.ndarray]:
        """The integers, and which of them decode to ``x``."""
        low, end = limits(self.dtype)
        steps = np.asarray(x, np.float64)
        if any(self.offsets):
            steps = np.asarray(steps - self.added(form))
        steps = np.asarray(steps * one_or_all(self.scale, "float64"))
        np.rint(steps, out=steps)
        exact = (steps >= low) & (steps < end)  # False for NaN
        y = steps.astype(self.dtype)
        return y, exact & (bits(self.decode(y, form)) == bits(x))

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        dtype, added = self.division_dtype(form), self.addition_dtype(form)
        with np.errstate(over="ignore"):
            x = np.asarray(np.divide(y, one_or_all(self.scale, dtype), dtype=dtype))
            if added == "float64":
                x = np.asarray(x + one_or_all(self.offsets, added))
            if form.dtype == "float16":  # TensorFlow's kernels round by way of float32
                x = x.astype(np.float32, copy=False)
            x = x.astype(form.dtype, copy=False)
            if added not in (None, "float64"):
                x = np.asarray(x + one_or_all(self.offsets, added))
            return x

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        dtype, added = self.division_dtype(form), self.addition_dtype(form)

        def dense(y: Any) -> Any:
            # Not y / scale: the optimizer makes a division by a constant inexact.
            x = tf.math.divide_no_nan(tf.cast(y, dtype), tf.constant(one_or_all(self.scale, dtype)))
            if added == "float64":
                x += tf.constant(one_or_all(self.offsets, added))
            if form.dtype == "float16":
                x = tf.cast(x, tf.float32)
            x = tf.cast(x, form.dtype)
            if added not in (None, "float64"):
                x += tf.constant(one_or_all(self.offsets, added))
            return x

        each = by_element if self.alike else by_row
        return each(rows, self.resolve(form), form, dense)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        low, end = limits(self.dtype)
        x = cast_tensor(rows.data, "float64")
        if any(self.offsets):
            x -= tf.constant(self.added(form))
        steps = tf.round(x * tf.constant(one_or_all(self.scale, "float64")))
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
        fits = self.dtype in EXACT_IN_FLOAT32 and exact and self.addition_dtype(form) != "float64"
        return "float32" if fits and form.dtype != "float64" else "float64"

    def addition_dtype(self, form: ArrayForm) -> str | None:
        """The dtype in which the offset is added; None if there is none."""
        if not any(self.offsets):
            return None
        return form.dtype if self.rounding == "each" else "float64"

    @np.errstate(over="ignore")
    def added(self, form: ArrayForm) -> np.ndarray:
        """The offset as decoding adds it, in float64."""
        dtype = self.addition_dtype(form) or "float64"
        return np.asarray(one_or_all(self.offsets, dtype), np.float64)

    @property
    def offsets(self) -> tuple[float, ...]:
        """The offset: one number, or one for each index of the last axis."""
        return self.offset if isinstance(self.offset, tuple) else (self.offset,)

    @property
    def alike(self) -> bool:
        """Whether all elements have the same scale and offset."""
        return len(self.scale) == len(self.offsets) == 1

    @property
    def scale_text(self) -> str:
        """What the integers are divided by, and what is added, for messages."""
        text = ", ".join(map(str, self.scale))
        return f"{text}, plus {', '.join(map(str, self.offsets))}" if any(self.offsets) else text


def proposal(
    statistics: Statistics,
    scales: Sequence[float],
    offsets: Sequence[float] = (0,),
    each: bool = False,
) -> tuple[str, bool]:
    """The chain text for these numbers, and whether the integers fit one byte."""
    columns = statistics.columns
    low, high = (
        np.rint((limit.astype(np.float64) - offsets) * scales)
        for limit in (columns.min(0), columns.max(0))
    )
    fits = (
        name for name in DTYPES if limits(name)[0] <= low.min() and high.max() < limits(name)[1]
    )
    dtype = next(fits, "int32")
    options = [*map(str, scales), f"dtype={dtype}"]
    if any(offsets):
        same = len(set(offsets)) == 1
        options.append(f"offset={json.dumps(offsets[0] if same else list(offsets))}")
        options += ["rounding=each"] if each else []
    return f"fixed_point:{','.join(options)}", dtype.endswith("int8")


def checked(name: str, value: Any) -> tuple[float, ...]:
    """The numbers of an option; SpecError unless each is in its range."""
    numbers = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not numbers:
        raise SpecError(f"codec fixed_point: {name} is an empty list, needs a number")
    for number in numbers:
        checked_number(f"codec fixed_point: {name}", number, whole=False)
        signed = name == "offset"
        if not (signed and number == 0):
            size = abs(number) if signed else number
            checked_number(f"codec fixed_point: {name}", size, MIN_SCALE, MAX_SCALE, whole=False)
    return tuple(int(n) if n == math.floor(n) else float(n) for n in numbers)


def one_or_all(numbers: tuple[float, ...], dtype: str) -> np.ndarray:
    """One number, or one for each index of the last axis."""
    return np.asarray(numbers if len(numbers) > 1 else numbers[0], numpy_dtype(dtype))
