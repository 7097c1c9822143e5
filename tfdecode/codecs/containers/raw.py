"""raw: the elements in C order, little-endian. It can encode every array."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...casts import checked_bool
from ...dtypes import ITEM_SIZES, from_little_endian, little_endian
from ...errors import DecodeError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...graph.casts import READ_AS, as_dtype
from ...graph.raw_bytes import raw_bytes
from ...graph.rows import Rows, Status
from ..base import Container, Cost

if TYPE_CHECKING:
    from ...statistics import Statistics


@dataclass(frozen=True)
class Raw(Container):
    """The default container: elements in C order, little-endian; bool is one byte, 0 or 1.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> tfd.ArraySpec((2,), "uint16", "raw").encode(np.uint16([1, 256]))
    b'\\x01\\x00\\x00\\x01'
    """

    name = "raw"
    decode_cost = Cost(0.14)
    encode_cost = Cost(0.05)
    portable = True

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        return ["raw"]

    def resolve(self, form: ArrayForm) -> BytesForm:
        return BytesForm(form.min_nbytes, form.max_nbytes, lambda: self.filler(form))

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        return checked_bool(little_endian(x)).tobytes()

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        step = form.stride * ITEM_SIZES[form.dtype]
        if form.unknown_axis is not None and len(y) % step:
            raise DecodeError(f"payload has {len(y)} bytes, needs a multiple of {step}")
        x = from_little_endian(y, form.dtype)
        return x.reshape(form.shape_of(x.size))

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        item = ITEM_SIZES[form.dtype]
        if form.unknown_axis is not None:
            step, length = form.stride * item, tf.strings.length(rows.data)
            message = f"has {{}} bytes, needs a multiple of {step}"
            rows = rows.check(tf.equal(length % step, 0), length, Status.LENGTH, message)
        rows = rows.guard(self.filler(form))
        data, lengths = rows.data, None
        # The batch size comes from the strings: with -1 two half rows would become one.
        shape: Any = tf.stack([rows.size, *form.max_shape])
        if form.unknown_axis is not None:
            # One decode_raw over the concatenated rows: it takes only rows of one length.
            lengths = tf.cast(tf.strings.length(data) // item, tf.int64)
            data, shape = tf.strings.reduce_join(data), [-1]
        data = tf.io.decode_raw(data, READ_AS.get(form.dtype, form.dtype))
        return as_dtype(replace(rows, data=tf.reshape(data, shape), lengths=lengths), form.dtype)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        return replace(rows, data=raw_bytes(rows.data, form.max_nbytes))
