"""ordered: floats as unsigned integers of the same width and in the same order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...dtypes import ITEM_SIZES, numpy_dtype
from ...errors import SpecError
from ...extras import tensorflow as tf
from ...graph.rows import Rows
from ..base import Filter
from ..by_row import by_element
from ..form import ArrayForm
from .astype import bits, tensor_bits

FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Ordered(Filter):
    """The bits of a float such that the order of the numbers is that of the integers.

    Floats have a sign and a magnitude: where the sign bit is set all bits are inverted, else that
    bit alone. Neighbouring numbers become neighbouring integers, across zero too, so ``delta``
    makes small differences of them. Every bit pattern has its integer, NaNs beyond the infinities.

    >>> import numpy as np, tfdecode
    >>> tfdecode.ArraySpec((3,), "float16", "ordered").encode(np.float16([-1, 0, 1])).hex(" ", 2)
    'ff43 0080 00bc'
    """

    name = "ordered"

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if form.dtype not in FLOATS:
            raise SpecError(
                f"codec ordered: takes {', '.join(FLOATS)}, not {form.dtype}"
                + ("; integers are in order as they are" if "int" in form.dtype else "")
            )
        return ArrayForm(form.shape, f"uint{8 * ITEM_SIZES[form.dtype]}", form.max_shape)

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        y = bits(x)
        signed = y.view(f"i{y.itemsize}")
        return flipped(signed, signed).view(y.dtype)

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        signed = y.view(f"i{y.itemsize}")
        return flipped(signed, ~signed).view(numpy_dtype(form.dtype))

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        def dense(y: Any) -> Any:
            signed = tensor_bits(y)
            return tf.bitcast(tensor_flipped(signed, tf.bitwise.invert(signed)), form.dtype)

        return by_element(rows, self.resolve(form), form, dense)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        signed = tensor_bits(rows.data)
        data = tf.bitcast(tensor_flipped(signed, signed), self.resolve(form).dtype)
        return replace(rows, data=data)


def flipped(bits: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """``bits`` with all of them inverted where ``sign`` is negative, else the first one alone."""
    mask = np.asarray(sign >> (8 * sign.itemsize - 1))
    mask |= np.iinfo(sign.dtype).min
    mask ^= bits
    return mask


def tensor_flipped(bits: Any, sign: Any) -> Any:
    """``flipped`` in the graph."""
    mask = tf.bitwise.right_shift(sign, sign.dtype.size * 8 - 1)
    return tf.bitwise.bitwise_xor(tf.bitwise.bitwise_or(mask, sign.dtype.min), bits)
