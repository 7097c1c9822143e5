"""raw: the elements in C order, little-endian, nothing else. Total: it carries every array."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...casts import checked_bool
from ...dtypes import ITEM_SIZES, from_little_endian, little_endian
from ...errors import DecodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...graph.casts import READ_AS, as_dtype
from ...graph.raw_bytes import raw_bytes
from ...graph.rows import Rows, Status
from ...statistics import Statistics
from ..base import Container, Cost


@dataclass(frozen=True)
class Raw(Container):
    """The default container.

    >>> import numpy as np, tfdecode
    >>> tfdecode.ArraySpec((2,), "uint16").encode(np.array([1, 256], "uint16"))
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
        row = form.stride * ITEM_SIZES[form.dtype]
        if form.unknown_axis is not None and len(y) % row:
            raise DecodeError(f"payload has {len(y)} bytes, needs a multiple of {row}")
        if form.dtype == "bool" and y.strip(b"\0\1"):
            raise DecodeError("payload holds bytes other than 0 and 1, needs bool")
        x = from_little_endian(y, form.dtype)
        return x.reshape(form.shape_of(x.size))

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        item = ITEM_SIZES[form.dtype]
        lengths = None
        data = rows.data
        if form.unknown_axis is not None:
            row = form.stride * item
            length = tf.strings.length(data)
            whole = tf.equal(length % row, 0)
            rows = rows.check(
                whole, length, Status.LENGTH, f"has {{}} bytes, needs a multiple of {row}"
            )
            data = rows.guard(self.filler(form)).data
            # One decode_raw over the joined rows: it takes only rows of one length.
            lengths = tf.cast(tf.strings.length(data) // item, tf.int64)
            data = tf.strings.reduce_join(data)
            shape: Any = [-1]
        else:
            data = rows.guard(self.filler(form)).data
            # The batch size comes from the strings: with -1 two half rows would become one.
            shape = tf.stack([rows.size, *form.max_shape])
        read_as = READ_AS.get(form.dtype, form.dtype)
        data = tf.reshape(tf.io.decode_raw(data, read_as), shape)
        return as_dtype(replace(rows, data=data, lengths=lengths, unguarded=False), form.dtype)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        nbytes = form.max_nbytes
        if form.unknown_axis is not None:
            raise SpecError(f"codec raw cannot encode the None dimension of {form} in a graph")
        return replace(rows, data=raw_bytes(rows.data, nbytes))
