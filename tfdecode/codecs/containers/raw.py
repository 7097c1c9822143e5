"""raw: the elements in C order, little-endian, nothing else. Total: it carries every array."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...dtypes import ITEM_SIZES, from_little_endian, little_endian
from ...errors import DecodeError, EncodeError, SpecError
from ...extras import tensorflow as tf
from ...graph.raw_bytes import raw_bytes
from ...graph.rows import Rows, Status
from ..base import Container
from ..form import ArrayForm, BytesForm

# dtype -> what decode_raw reads in its place: it has no uint32 and uint64, bfloat16 only from
# TF 2.6 on, and passes any byte but 0 as True.
READ_AS = {"uint32": "int32", "uint64": "int64", "bfloat16": "uint16", "bool": "uint8"}


@dataclass(frozen=True)
class Raw(Container):
    """The default container.

    >>> import numpy as np, tfdecode
    >>> tfdecode.ArraySpec((2,), "uint16").encode(np.array([1, 256], "uint16"))
    b'\\x01\\x00\\x00\\x01'
    """

    name = "raw"

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


def checked_bool(x: np.ndarray) -> np.ndarray:
    """``x``; EncodeError for a bool array that holds other bytes than 0 and 1."""
    if x.dtype == np.bool_ and x.size and int(x.view(np.uint8).max()) > 1:
        index = np.argwhere(x.view(np.uint8) > 1)[0].tolist()
        raise EncodeError(
            f"array is bool with a byte other than 0 and 1 at index {index}; "
            "make it anew by array != 0"
        )
    return x


def as_dtype(rows: Rows, dtype: str) -> Rows:
    """What was read as ``READ_AS`` says, as ``dtype``."""
    if dtype == "bool":
        return bool_rows(rows)
    if dtype in READ_AS:
        return replace(rows, data=tf.bitcast(rows.data, dtype))
    return rows


def bool_rows(rows: Rows) -> Rows:
    """uint8 data as bool; a row with bytes other than 0 and 1 is bad."""
    message = "has {} bytes other than 0 and 1, needs bool"
    if not rows.verified and rows.lengths is None:
        matrix = tf.reshape(rows.data, rows.matrix_shape(rows.data))

        def count(row: Any) -> Any:
            return tf.math.count_nonzero(tf.gather(matrix, row) > 1)

        # To look for a comparison that holds took 1.4 times as long in all.
        fits = tf.reduce_max(matrix, axis=1) <= 1
        rows = rows.check(fits, count, Status.VALUE, message)
    elif not rows.verified:
        rows = rows.check_elements(rows.data > 1, Status.VALUE, message)
    return replace(rows, data=tf.cast(rows.data, tf.bool))
