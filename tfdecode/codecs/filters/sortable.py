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
from ...graph.swar import map_swar, sign_bits
from ..base import Cost, Filter

FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Sortable(Filter):
    """Map floats to unsigned integers of the same width and in the same order.

    Notes
    -----
    Close floats become close integers, so ``delta`` gives small differences. If the sign bit is
    set, all bits are inverted, otherwise the sign bit alone: a well-known radix sort key.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> tfd.ArraySpec((3,), "float16", "sortable").encode(np.float16([-1, 0, 1])).hex(" ", 2)
    'ff43 0080 00bc'
    """

    name = "sortable"
    decode_cost = Cost(1.2)
    encode_cost = Cost(1.5)

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if form.dtype not in FLOATS:
            note = "; integers are sortable already" if "int" in form.dtype else ""
            raise SpecError(f"codec sortable: takes {', '.join(FLOATS)}, not {form.dtype}{note}")
        return ArrayForm(form.shape, f"uint{8 * ITEM_SIZES[form.dtype]}", form.max_shape)

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        y = bits(x)
        signed = y.view(f"i{y.itemsize}")
        return flip(signed, signed).view(y.dtype)

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        signed = y.view(f"i{y.itemsize}")
        return flip(signed, ~signed).view(numpy_dtype(form.dtype))

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        def dense(y: Any) -> Any:
            return tf.bitcast(map_swar(y, unflip_words), form.dtype)

        return by_element(rows, self.resolve(form), form, dense)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        y = map_swar(rows.data, flip_words)
        return replace(rows, data=tf.bitcast(y, self.resolve(form).dtype))


def flip(bits: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Invert all bits of elements whose ``sign`` is negative, and the sign bit of the others."""
    mask = np.asarray(sign >> (8 * sign.itemsize - 1))
    mask |= np.iinfo(sign.dtype).min
    mask ^= bits
    return mask


def flip_words(words: Any, lanes: Any, bits: int) -> Any:
    """``encode`` as a SWAR function."""
    others = sign_bits(words, lanes, bits) * (2 ** (bits - 1) - 1)
    words = tf.bitwise.bitwise_xor(words, lanes(2 ** (bits - 1)))
    return tf.bitwise.bitwise_xor(words, others)


def unflip_words(words: Any, lanes: Any, bits: int) -> Any:
    """``decode`` as a SWAR function."""
    others = sign_bits(words, lanes, bits) * (2 ** (bits - 1) - 1)
    return tf.bitwise.invert(tf.bitwise.bitwise_xor(words, others))
