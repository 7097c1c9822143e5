"""sortable: floats as unsigned integers of the same width and in the same order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...casts import bits
from ...dtypes import ITEM_SIZES, numpy_dtype
from ...errors import SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.by_row import by_element
from ...graph.rows import Rows
from ...graph.swar import in_words
from ..base import Filter

FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Sortable(Filter):
    """The bits of a float such that the order of the numbers is that of the integers.

    Floats have a sign and a magnitude: where the sign bit is set all bits are inverted, else that
    bit alone. Neighbouring numbers become neighbouring integers, across zero too, so ``delta``
    makes small differences of them. Every bit pattern has its integer, NaNs beyond the infinities.

    >>> import numpy as np, tfdecode
    >>> tfdecode.ArraySpec((3,), "float16", "sortable").encode(np.float16([-1, 0, 1])).hex(" ", 2)
    'ff43 0080 00bc'
    """

    name = "sortable"

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if form.dtype not in FLOATS:
            raise SpecError(
                f"codec sortable: takes {', '.join(FLOATS)}, not {form.dtype}"
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
            return tf.bitcast(in_words(y, unflipped_words), form.dtype)

        return by_element(rows, self.resolve(form), form, dense)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        y = tf.bitcast(in_words(rows.data, flipped_words), self.resolve(form).dtype)
        return replace(rows, data=y)


def flipped(bits: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """``bits`` with all of them inverted where ``sign`` is negative, else the first one alone."""
    mask = np.asarray(sign >> (8 * sign.itemsize - 1))
    mask |= np.iinfo(sign.dtype).min
    mask ^= bits
    return mask


def flipped_words(words: Any, lanes: Any, bits: int) -> Any:
    """``encode`` in the graph."""
    others = negative(words, lanes, bits) * (2 ** (bits - 1) - 1)
    words = tf.bitwise.bitwise_xor(words, lanes(2 ** (bits - 1)))
    return tf.bitwise.bitwise_xor(words, others)


def unflipped_words(words: Any, lanes: Any, bits: int) -> Any:
    """``decode`` in the graph."""
    others = negative(words, lanes, bits) * (2 ** (bits - 1) - 1)
    return tf.bitwise.invert(tf.bitwise.bitwise_xor(words, others))


def negative(words: Any, lanes: Any, bits: int) -> Any:
    """1 for each element with the first bit set, else 0."""
    return tf.bitwise.bitwise_and(tf.bitwise.right_shift(words, bits - 1), lanes(1))
