"""astype: carry the values in another dtype, where every one of them is exactly the same in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...casts import always_exact, cast, exact_astype, integral, limits, survives
from ...dtypes import dtype_name, numpy_dtype
from ...errors import DecodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.casts import cast_tensor, tensor_survives
from ...graph.rows import Rows, Status
from ..base import Filter


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
        if always_exact(form.dtype, self.dtype):
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
        return exact_astype(x, self.dtype)

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        x = cast(y, numpy_dtype(form.dtype))
        if not always_exact(self.dtype, form.dtype):
            exact = survives(y, x)
            if not exact.all():
                count = np.count_nonzero(~exact)  # which values, no message about a payload says
                raise DecodeError(f"payload has {count} values that are not exact in {form.dtype}")
        return x

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        y = rows.data
        x = cast_tensor(y, form.dtype)
        if not always_exact(self.dtype, form.dtype) and not rows.verified:
            wrong = tf.logical_not(tensor_survives(y, x))
            message = f"has {{}} values of {self.dtype} that are not exact in {form.dtype}"
            rows = rows.check_elements(wrong, Status.VALUE, message)
        return replace(rows, data=x)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        if not always_exact(form.dtype, self.dtype):
            raise SpecError(
                f"codec astype cannot encode {form.dtype} as {self.dtype} in a graph: "
                "not every value is exact"
            )
        return replace(rows, data=cast_tensor(rows.data, self.dtype))
