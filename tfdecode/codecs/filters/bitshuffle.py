"""bitshuffle: the bits of the elements by their place, as the HDF5 filter of that name."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...dtypes import ITEM_SIZES, from_little_endian, little_endian
from ...errors import SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.by_row import by_row
from ...graph.rows import Rows
from ..base import Filter
from .shuffle import whole

#: Swaps that transpose 8 x 8 bits in an integer of 64 (Warren, Hacker's Delight, 7-3): how far the
#: bits go, and those that go down.
SWAPS = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))


@dataclass(frozen=True)
class BitShuffle(Filter):
    """All first bits, then all second bits: uint8 ``[8*S, ceil(N/8)]`` of N elements of S bytes.

    Row ``8*s + b`` has bit ``b`` of byte ``s`` of every element, that of element ``j`` as bit
    ``j % 8`` of its byte ``j // 8``; what is left of the last byte is 0. For values that leave
    some of their bits alone: few of many codes, or floats of few significant digits.

    >>> import numpy as np, tfdecode
    >>> tfdecode.ArraySpec((9,), "uint8", "bitshuffle").encode(np.full(9, 129, "u1")).hex(" ", 2)
    'ff01 0000 0000 0000 0000 0000 0000 ff01'
    """

    name = "bitshuffle"

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if form.dtype == "bool":
            raise SpecError("codec bitshuffle: bool has one bit an element, nothing to sort")
        if form.unknown_axis is not None:
            raise SpecError(
                f"codec bitshuffle: {form} has a None dimension, its size must be known: "
                "shuffle takes it"
            )
        shape = (8 * ITEM_SIZES[form.dtype], -(-prod(form.max_shape) // 8))
        return ArrayForm(shape, "uint8", shape)

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        size, count = ITEM_SIZES[form.dtype], prod(form.max_shape)
        planes = np.zeros((size, -(-count // 8) * 8), np.uint8)
        planes[:, :count] = little_endian(x).reshape(count, 1).view(np.uint8).T
        words = turned(planes.view("<u8")).astype("<u8", copy=False)
        octets = words.view(np.uint8).reshape(size, words.shape[1], 8)
        return np.moveaxis(octets, 1, 2).reshape(self.resolve(form).max_shape)

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        size, count = ITEM_SIZES[form.dtype], prod(form.max_shape)
        rows = y.reshape(size, 8, y.shape[1]).transpose(0, 2, 1)
        words = turned(np.ascontiguousarray(rows).view("<u8")[..., 0])
        planes = words.astype("<u8", copy=False).view(np.uint8)[:, :count]
        return from_little_endian(planes.T.tobytes(), form.dtype).reshape(form.max_shape)

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        after = self.resolve(form)
        size, count = ITEM_SIZES[form.dtype], prod(form.max_shape)

        def dense(y: Any) -> Any:
            batch = tf.shape(y)[0]
            # The bits of a byte as a matrix for itself: transposes of two axes are the fast ones.
            bits = tf.split(y, size, 1)
            octets = tf.stack([tf.transpose(plane, [0, 2, 1]) for plane in bits], 1)
            words = tensor_turned(tf.bitcast(octets, tf.int64))
            side = after.max_shape[1] * 8
            planes = tf.reshape(tf.bitcast(words, tf.uint8), tf.stack([batch, size, side]))
            data = whole(planes[:, :, :count], form.dtype)
            return tf.reshape(data, tf.stack([batch, *form.max_shape]))

        return by_row(rows, after, form, dense)


def turned(words: np.ndarray) -> np.ndarray:
    """Bit ``b`` of byte ``j`` of each word as bit ``j`` of byte ``b``; its own reverse."""
    for distance, mask in SWAPS:
        moved = words >> distance
        moved ^= words
        moved &= mask
        words = words ^ moved
        moved <<= distance
        words ^= moved
    return words


def tensor_turned(words: Any) -> Any:
    """``turned`` in the graph, of int64: the masks hide the bits that a signed shift brings."""
    for distance, mask in SWAPS:
        moved = tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, distance))
        moved = tf.bitwise.bitwise_and(moved, mask)
        words = tf.bitwise.bitwise_xor(words, moved)
        words = tf.bitwise.bitwise_xor(words, tf.bitwise.left_shift(moved, distance))
    return words
