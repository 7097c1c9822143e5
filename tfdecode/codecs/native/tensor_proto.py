"""tensor_proto: a tensor as tf.io.serialize_tensor writes it (``tensor.proto`` of TensorFlow)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ... import protobuf_fields
from ...casts import checked_bool
from ...dtypes import ITEM_SIZES, dtype_name, little_endian
from ...errors import DecodeError, FileError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...formats import tensor_proto
from ...formats.tensor_proto import CONTENT, DTYPES, MAX_VARINT_NBYTES, VARINT_FIELDS
from ...graph.raw_bytes import raw_string
from ...graph.rows import Rows, Status
from ...graph.switch import cond, outlined
from ...graph.varints import SHORT, read_varints, varint_sizes, varints
from ..base import Cost
from ..containers.raw import Raw
from .file import NativeFile, copied
from .template import Template

#: Bytes that the graph takes for each element of a row whose elements are varints.
VARINT_NBYTES = 96
#: Numbers from which on a varint has a byte more.
MORE_DIGITS = [128**place for place in range(1, SHORT)]
ADVICE = "write it with tf.io.serialize_tensor"


@dataclass(frozen=True)
class TensorProto(NativeFile):
    r"""A tensor as `tf.io.serialize_tensor` writes it, or ``tf.make_tensor_proto``.

    Its values are the bytes of ``tensor_content``, or all in the field of their dtype: so
    ``make_tensor_proto`` writes single values, bool, uint16 and complex numbers. If the shape has a
    ``None``, fields of varints (those of integers, float16 and bfloat16) are not read.

    Notes
    -----
    Format: ``tensorflow/core/framework/tensor.proto``, in the encoding of protocol buffers. Fields
    are in the order of their numbers, without those that are zero, and varints as short as they
    can be: so the libraries for protocol buffers write them.

    Examples
    --------
    >>> import numpy as np, tfdecode
    >>> tfdecode.ArraySpec((3,), "uint8", "tensor_proto").encode(np.arange(3, dtype="uint8"))
    b'\x08\x04\x12\x04\x12\x02\x08\x03"\x03\x00\x01\x02'
    """

    name = "tensor_proto"
    decode_cost = Cost(0.2)
    file = "a TensorProto"
    contents = tensor_proto.contents

    def advice(self, data: bytes) -> str:
        return ADVICE

    def found(self, y: bytes, form: ArrayForm) -> str:
        try:
            x = self.read(y)
        except FileError as error:
            return f": it {error}"
        if (dtype_name(x.dtype), len(x.shape)) == (form.dtype, len(form.shape)):
            return f": it holds {form.dtype} {list(x.shape)}; {ADVICE}"
        return f": it holds {dtype_name(x.dtype)} {list(x.shape)}"

    def resolve(self, form: ArrayForm) -> BytesForm:
        form.require_sides_follow(self.name)
        least = most = nbytes_of(form, form.max_shape)
        if form.unknown_axis is not None:
            least = nbytes_of(form, form.shape_of(0))
        elif self.has_varints(form):
            count = prod(form.max_shape)
            start = len(varint_start(form))
            for nbytes in (count, MAX_VARINT_NBYTES * count):
                length = start + len(protobuf_fields.varints([nbytes])) + nbytes
                least, most = min(least, length), max(most, length)
        return BytesForm(
            least, most, lambda: self.filler(form), lambda data: self.found(data, form)
        )

    def begins(self, form: ArrayForm) -> tuple[bytes, ...]:
        if form.unknown_axis is None:
            return (tensor_proto.form_bytes(form.dtype, form.max_shape),)
        return tuple(dict.fromkeys(before_side(form)))

    def inflates(self, form: ArrayForm) -> int:
        return form.max_nbytes + self.has_varints(form) * VARINT_NBYTES * prod(form.max_shape)

    def has_varints(self, form: ArrayForm) -> bool:
        """Whether the values can be varints."""
        fixed = form.unknown_axis is None and prod(form.max_shape) > 0
        return fixed and DTYPES[form.dtype][1] in VARINT_FIELDS

    def fields(self, form: ArrayForm) -> list[int]:
        """The fields that hold values as their bytes."""
        field = DTYPES[form.dtype][1]
        return [CONTENT] if field in VARINT_FIELDS else [CONTENT, field]

    def templates(self, form: ArrayForm) -> list[Template]:
        about = form.dtype, form.max_shape
        fields = self.fields(form)
        return [Template(tensor_proto.head(*about, field, form.max_nbytes)) for field in fields]

    # -- numpy --------------------------------------------------------------------------------

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        data = checked_bool(little_endian(x)).tobytes()
        return tensor_proto.head(form.dtype, x.shape, CONTENT, len(data)) + data

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        wrong = f"payload ({len(y)} bytes) is not {self.file} of {form}"
        try:
            x = self.read(y)
        except FileError as error:
            raise DecodeError(f"{wrong}: it {error}") from None
        if dtype_name(x.dtype) == form.dtype and form.takes(x.shape):
            heads = [
                tensor_proto.head(form.dtype, x.shape, field, x.nbytes)
                for field in self.fields(form)
            ]
            good = any(y.startswith(head) and len(y) == len(head) + x.nbytes for head in heads)
            if not good and self.has_varints(form):
                start = varint_start(form)
                good = y.startswith(start) and tensor_proto.is_prefixed(y[len(start) :])
            if good:
                return copied(x, form)
        raise DecodeError(wrong + self.found(y, form))

    # -- graph --------------------------------------------------------------------------------

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        if form.unknown_axis is not None:
            return self.decode_unknown(rows, form)
        if self.has_varints(form):
            rows = replace(rows, data=without_varints(rows.data, form))
        return super().decode_rows(rows, form)

    def decode_unknown(self, rows: Rows, form: ArrayForm) -> Rows:
        """Rows of a shape with a ``None``, whose side follows from the length of the row."""
        step = form.stride * ITEM_SIZES[form.dtype]
        most = max(form.max_shape[form.unknown_axis or 0], 0)
        length = tf.strings.length(rows.data)
        ends = {128**place for place in range(SHORT)}
        changes = sorted({0, *ends, *(-(-end // step) for end in ends)})
        changes = [side for side in changes if side <= most]
        sizes = [nbytes_of(form, sides_of(form, side)) for side in changes]
        heads = [size - side * step for size, side in zip(sizes, changes, strict=True)]
        turn = tf.reduce_sum(tf.cast(length[:, tf.newaxis] >= sizes, tf.int32), 1)
        side = (length - tf.gather([0, *heads], turn)) // step
        side = tf.clip_by_value(side, 0, most)
        expected = [self.head_of(side, form, field) for field in self.fields(form)]
        start = tf.strings.length(expected[0])
        before = tf.strings.substr(rows.data, tf.zeros_like(start), start)
        fits = tf.equal(length, start + side * step)
        fits &= tf.reduce_any(tf.stack([tf.equal(before, one) for one in expected]), 0)
        message = f"({{}} bytes) is not {self.file} of {form}"
        rows = rows.check(fits, length, Status.HEADER, message)
        start, size = tf.where(fits, start, 0), tf.where(fits, side * step, 0)
        numbers = tf.strings.substr(rows.data, start, size)
        return Raw().decode_rows(replace(rows, data=numbers), form)

    def head_of(self, side: Any, form: ArrayForm, field: int) -> Any:
        """``tensor_proto.head`` for sides int32 ``[B]`` of the ``None`` dimension."""
        axis, step = form.unknown_axis or 0, form.stride * ITEM_SIZES[form.dtype]
        digits = tf.where(side > 0, varint_sizes(side), 0)
        after = b"".join(tensor_proto.dimension(side) for side in form.max_shape[axis + 1 :])
        tag = bytes([field << 3 | 2])
        values = tf.strings.join([tag, varints(side * step)])
        some = tf.strings.join([varints(side), after, values])
        return tf.strings.join(
            [tf.gather(before_side(form), digits), tf.where(side > 0, some, after)]
        )

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        form.require_fixed(f"{self.name} in a graph")
        return super().encode_rows(rows, form)


def nbytes_of(form: ArrayForm, shape: tuple[int, ...]) -> int:
    """The length of a payload of that shape."""
    nbytes = prod(shape) * ITEM_SIZES[form.dtype]
    return len(tensor_proto.head(form.dtype, shape, CONTENT, nbytes)) + nbytes


def sides_of(form: ArrayForm, unknown: int) -> tuple[int, ...]:
    """The shape in which the ``None`` dimension has ``unknown`` elements."""
    return tuple(unknown if side is None else side for side in form.shape)


def before_side(form: ArrayForm) -> list[bytes]:
    """What is before the ``None`` side if that has 0 bytes, as a varint (it is 0), 1, 2 ... 5."""
    after = form.max_shape[(form.unknown_axis or 0) + 1 :]
    nbytes = len(b"".join(tensor_proto.dimension(side) for side in after))
    found = []
    for digits, unknown in enumerate([0, *(128**place for place in range(SHORT))]):
        start = tensor_proto.form_bytes(form.dtype, sides_of(form, unknown))
        found.append(start[: len(start) - nbytes - digits])
    return found


def varint_start(form: ArrayForm) -> bytes:
    """What is before the length of values that are varints."""
    start = tensor_proto.form_bytes(form.dtype, form.max_shape)
    return start + protobuf_fields.varints([DTYPES[form.dtype][1] << 3 | 2])


def without_varints(payloads: Any, form: ArrayForm) -> Any:
    """Payloads ``[B]``: those with varints have their values in ``tensor_content`` instead."""
    start = varint_start(form)
    item, count = ITEM_SIZES[form.dtype], prod(form.max_shape)
    limits = tensor_proto.value_limits(form.dtype)
    head = tensor_proto.head(form.dtype, form.max_shape, CONTENT, form.max_nbytes)
    most = MAX_VARINT_NBYTES * count

    def one(payload: Any) -> Any:
        rest = tf.strings.length(payload) - len(start)
        digits = 1 + tf.reduce_sum(tf.cast(rest - tf.range(2, SHORT + 1) >= MORE_DIGITS, tf.int32))
        nbytes = rest - digits
        prefix = tf.strings.substr(payload, len(start), digits)
        good = tf.equal(prefix, varints(nbytes[tf.newaxis])[0]) & (nbytes <= most)
        offset, nbytes = tf.where(good, len(start) + digits, 0), tf.where(good, nbytes, 0)
        text = tf.strings.substr(payload, offset, nbytes)
        values, good = read_varints(text, count, limits)
        elements = tf.bitcast(values, tf.uint8)[:, :item]
        bytewise = tf.strings.join([head, raw_string(elements, form.max_nbytes)])
        return tf.where(good, bytewise, payload)

    has_varints = tf.equal(tf.strings.substr(payloads, 0, len(start)), start)

    def converted() -> list[Any]:
        index = tf.where(has_varints)
        some = tf.gather(payloads, index[:, 0])
        some = tf.map_fn(one, some, parallel_iterations=1)
        return [tf.tensor_scatter_nd_update(payloads, index, some)]

    return cond(tf.reduce_any(has_varints), outlined(converted), lambda: [payloads])[0]
