"""astype: cast to another dtype, only if every value is exactly representable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ...casts import always_exact, cast, exact_astype, integral, limits, survives
from ...dtypes import dtype_name, numpy_dtype
from ...errors import DecodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.casts import cast_tensor, tensor_survives
from ...graph.rows import Rows, Status
from ...statistics import Statistics
from ..base import Cost, Filter


@dataclass(frozen=True)
class AsType(Filter):
    """Cast to ``dtype``: ``astype:uint8`` stores float32 labels in a quarter of the bytes.

    Parameters
    ----------
    dtype : str
        The dtype of the payload.

    Notes
    -----
    Every value must keep every bit when it is cast to ``dtype`` and back: -0.0 and NaN cannot
    become integers. Decoding checks values too if the array's dtype cannot hold them all: a file of
    float64 labels with a 1.5 is a bad row for an int32 input, not a 1.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> tfd.ArraySpec((3,), "float32", "astype:uint8").encode(np.float32([1, 2, 255]))
    b'\\x01\\x02\\xff'
    """

    name = "astype"
    decode_cost = Cost(0.3)
    encode_cost = Cost(0.8)
    supersedes = True
    portable = True
    dtype: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", dtype_name(self.dtype))

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        narrow = statistics.narrowest
        return [] if narrow is None else [f"astype:{narrow}"]

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if "complex" in self.dtype and "complex" not in form.dtype:
            raise SpecError(f"codec astype: cannot cast {form.dtype} to {self.dtype}")
        return ArrayForm(form.shape, self.dtype, form.max_shape)

    def domain(self, form: ArrayForm) -> str:
        if always_exact(form.dtype, self.dtype):
            return ""
        if not integral(self.dtype):
            return f"values exact in {self.dtype}"
        low, end = map(int, limits(self.dtype))
        if not integral(form.dtype):
            zeros = " with imaginary part 0" if "complex" in form.dtype else ""
            return f"integers {low}..{end - 1} exactly{zeros}, no -0.0"
        own_low, own_end = map(int, limits(form.dtype))
        return f"integers {max(low, own_low)}..{min(end, own_end) - 1}"

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        return exact_astype(x, self.dtype)

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        x = cast(y, numpy_dtype(form.dtype))
        exact = always_exact(self.dtype, form.dtype) or survives(y, x)
        if count := np.count_nonzero(np.logical_not(exact)):  # messages never quote values
            raise DecodeError(f"payload has {count} values that are not exact in {form.dtype}")
        return x

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        x = cast_tensor(rows.data, form.dtype)
        if not always_exact(self.dtype, form.dtype) and not rows.verified:
            wrong = tf.logical_not(tensor_survives(rows.data, x))
            message = f"has {{}} values of {self.dtype} that are not exact in {form.dtype}"
            rows = rows.check_elements(wrong, Status.VALUE, message)
        return replace(rows, data=x)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        y = cast_tensor(rows.data, self.dtype)
        if not always_exact(form.dtype, self.dtype):
            wrong = tf.logical_not(tensor_survives(rows.data, y))
            message = f"has {{}} values that are not exact in {self.dtype}"
            rows = rows.check_elements(wrong, Status.VALUE, message)
        return replace(rows, data=y)
