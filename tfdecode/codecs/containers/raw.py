"""raw: the elements in C order, little-endian. It can encode every array."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ...casts import checked_bool
from ...dtypes import ITEM_SIZES, from_little_endian, little_endian
from ...errors import DecodeError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...graph.by_row import elements, with_sides
from ...graph.casts import READ_AS, as_dtype, flat_numbers
from ...graph.raw_bytes import raw_bytes
from ...graph.rows import Rows, Status
from ...graph.substr import string_length
from ..base import Container, Cost
from .sides import of_good_rows, read_sides, sides_nbytes, split_row_sides, write_sides

if TYPE_CHECKING:
    from ...statistics import Statistics


@dataclass(frozen=True)
class Raw(Container):
    """The default container: elements in C order, little-endian; bool is one byte, 0 or 1.

    Notes
    -----
    If several dimensions are ``None``, or one next to a dimension of 0, their sizes come first: a
    uint32 for each.

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
        head = 0 if form.sides_follow else sides_nbytes(form)
        low, high = head + form.min_nbytes, head + form.max_nbytes
        return BytesForm(low, high, lambda: self.filler(form))

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        numbers: bytes = checked_bool(little_endian(x)).tobytes()
        return numbers if form.sides_follow else write_sides(x.shape, form) + numbers

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        item = ITEM_SIZES[form.dtype]
        if not form.sides_follow:
            shape, head = read_sides(y, form), sides_nbytes(form)
            needed = head + prod(shape) * item
            if len(y) != needed:
                raise DecodeError(
                    f"payload has {len(y)} bytes, its shape {list(shape)} needs {needed}"
                )
            return from_little_endian(y[head:], form.dtype).reshape(shape)
        step = form.stride * item
        if form.none_axes and len(y) % step:
            raise DecodeError(f"payload has {len(y)} bytes, needs a multiple of {step}")
        x = from_little_endian(y, form.dtype)
        return x.reshape(form.shape_of(x.size))

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        if not form.none_axes:
            read_as = READ_AS.get(form.dtype, form.dtype)
            data = tf.io.decode_raw(rows.guard(self.filler(form)).data, read_as)
            # The batch size comes from the strings: with -1 two half rows would become one.
            data = tf.reshape(data, tf.stack([rows.size, *form.max_shape]))
            return as_dtype(replace(rows, data=data, unguarded=False), form.dtype)
        rows = self.flat(rows, form) if form.sides_follow else self.flat_after_sides(rows, form)
        return flat_numbers(rows, form.dtype)

    def flat(self, rows: Rows, form: ArrayForm) -> Rows:
        """The strings of the elements, whose length tells the size along the ``None`` axis."""
        step, length = form.stride * ITEM_SIZES[form.dtype], tf.strings.length(rows.data)
        message = f"has {{}} bytes, needs a multiple of {step}"
        rows = rows.check(tf.equal(length % step, 0), length, Status.LENGTH, message)
        rows = rows.guard(self.filler(form))
        sides = tf.cast(tf.strings.length(rows.data) // step, tf.int64)
        return with_sides(rows, sides[:, tf.newaxis], form)

    def flat_after_sides(self, rows: Rows, form: ArrayForm) -> Rows:
        """The strings of the elements, after the sizes along the ``None`` axes."""
        head, filler = sides_nbytes(form), self.filler(form)
        rows, sides = split_row_sides(rows, form, filler)
        length = string_length(rows.data)
        needed = elements(sides, form) * ITEM_SIZES[form.dtype]
        message = "has {} bytes, its dimensions need {}"
        got = length + head, needed + head
        rows = rows.check(tf.equal(length, needed), got, Status.LENGTH, message)
        return with_sides(rows.guard(filler[head:]), of_good_rows(sides, rows), form)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        return replace(rows, data=raw_bytes(rows.data, form.max_nbytes))
