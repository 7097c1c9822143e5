"""delta: the difference to the previous element, along one or more axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...casts import bits, blocks
from ...dtypes import ITEM_SIZES, checked_flag, numpy_dtype
from ...errors import SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.by_row import by_row
from ...graph.cumsum import cumsum
from ...graph.rows import Rows
from ...graph.swar import map_swar, sign_bits
from ...statistics import CHANNELS, Statistics
from ..base import Cost, Filter
from .sortable import FLOATS

#: Up to so many different bytes are taken for labels, between which there is no difference.
LABELS = 32


@dataclass(frozen=True)
class Delta(Filter):
    """Differences of integers to the previous element, which wrap around.

    Parameters
    ----------
    axes : sequence of int
        The axes along which differences are taken, one after the other.
    zigzag : bool, default False
        Map 0, -1, 1, -2 to 0, 1, 2, 3, as in Protocol Buffers: ``shuffle`` groups the upper bytes.

    Notes
    -----
    Over two axes this is the Lorenzo predictor (Ibarria et al., 2003). Decoding takes 3 to 9 times
    as long as bare ``decode_raw``, least for an axis before many elements.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> spec = tfd.ArraySpec((4,), "uint8", "delta:0,zigzag=true")
    >>> list(spec.encode(np.uint8([9, 8, 8, 10])))
    [18, 1, 0, 4]
    """

    name = "delta"
    stage = "difference"
    decode_cost = Cost(4.0)
    encode_cost = Cost(1.5)
    axes: tuple[int, ...]
    zigzag: bool = False

    def __post_init__(self) -> None:
        axes = self.axes
        if not isinstance(axes, Sequence) or not all(type(axis) is int for axis in axes):
            raise SpecError(f"codec delta: axes is {axes!r}, needs a list of axes")
        if not axes or min(axes) < 0 or len(set(axes)) != len(axes):
            raise SpecError(
                f"codec delta: axes is {list(axes)}, needs distinct axes, counted from 0"
            )
        checked_flag("codec delta: zigzag", self.zigzag)
        object.__setattr__(self, "axes", tuple(axes))

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        few = statistics.few if statistics.itemsize == 1 else None
        labels = few is not None and len(few) <= LABELS
        if statistics.complex or labels:
            return []
        ordered = "" if statistics.integer else "sortable|"
        axes = axes_of_lines(statistics.shape)
        return [f"{ordered}delta:{','.join(map(str, some))},zigzag=true" for some in axes]

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if "int" not in form.dtype:
            advice = "; put sortable before it" if form.dtype in FLOATS else ""
            raise SpecError(f"codec delta: takes integers, not {form.dtype}{advice}")
        if max(self.axes) >= len(form.shape):
            raise SpecError(f"codec delta: axes is {list(self.axes)}, {form} has no such axis")
        dtype = f"u{signed(form.dtype)}" if self.zigzag else form.dtype
        return ArrayForm(form.shape, dtype, form.max_shape)

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        y = bits(x)
        for axis in self.axes:
            x = np.moveaxis(y, axis, 0)
            y = np.empty_like(y)
            z = np.moveaxis(y, axis, 0)
            z[:1] = x[:1]
            np.subtract(x[1:], x[:-1], out=z[1:])
        if not self.zigzag:
            return y.view(numpy_dtype(form.dtype))
        signed = y.view(f"i{y.itemsize}")
        for block in blocks(signed):
            sign = signed[block] >> (8 * y.itemsize - 1)
            signed[block] <<= 1
            signed[block] ^= sign
        return y

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        unsigned = np.dtype(f"u{ITEM_SIZES[form.dtype]}")
        x = y.view(unsigned)
        if self.zigzag:
            x = (x >> 1) ^ -(x & 1)
        for axis in self.axes:
            x = np.cumsum(x, axis, unsigned)
        return x.view(numpy_dtype(form.dtype))

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        def dense(y: Any) -> Any:
            x = tf.bitcast(map_swar(y, from_zigzag) if self.zigzag else y, signed(form.dtype))
            for axis in self.axes:
                x = cumsum(x, axis + 1)
            return tf.bitcast(x, form.dtype)

        return by_row(rows, self.resolve(form), form, dense)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        y = tf.bitcast(rows.data, signed(form.dtype))
        for axis in self.axes if 0 not in form.max_shape else ():
            padding = [[int(i == axis + 1), 0] for i in range(len(form.shape) + 1)]
            y -= tf.pad(y[(slice(None),) * (axis + 1) + (slice(-1),)], padding)
        y = map_swar(y, to_zigzag) if self.zigzag else y
        return replace(rows, data=tf.bitcast(y, self.resolve(form).dtype))


def signed(dtype: str) -> str:
    """The signed dtype of the same width: TensorFlow cannot add uint32 and uint64."""
    return dtype.lstrip("u")


def to_zigzag(words: Any, lanes: Any, bits: int) -> Any:
    """The zigzag encoding, as a SWAR function."""
    low = words & lanes(2 ** (bits - 1) - 1)
    return tf.bitwise.bitwise_xor(low + low, fill_lanes(sign_bits(words, lanes, bits), bits))


def from_zigzag(words: Any, lanes: Any, bits: int) -> Any:
    """The reverse of ``to_zigzag``."""
    half = tf.bitwise.right_shift(words, 1) & lanes(2 ** (bits - 1) - 1)
    return tf.bitwise.bitwise_xor(half, fill_lanes(words & lanes(1), bits))


def fill_lanes(flags: Any, bits: int) -> Any:
    """All bits set in the elements that are 1, none in those that are 0."""
    return flags * (2**bits - 1 if 8 * flags.dtype.size > bits else -1)


def axes_of_lines(shape: Sequence[int]) -> list[list[int]]:
    """The axes worth differences: those of maps, lines and columns, not those of channels."""
    rank = len(shape)
    if rank < 2:
        return [[0]] if rank else []
    if shape[-1] <= CHANNELS and (rank > 2 or shape[0] > CHANNELS):  # channels last
        return [[rank - 2]] if rank == 2 else [[rank - 3], [rank - 3, rank - 2]]
    if shape[-2] <= CHANNELS < shape[-1]:
        return [[rank - 1]]
    return [[rank - 2], [rank - 1], [rank - 2, rank - 1]]
