"""sparse: only the elements that differ from the background."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...casts import checked_bool, integral
from ...dtypes import (
    ITEM_SIZES,
    checked_flag,
    checked_number,
    from_little_endian,
    little_endian,
    numpy_dtype,
)
from ...errors import DecodeError, EncodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...graph.by_row import elements, with_sides
from ...graph.casts import as_bits
from ...graph.rows import Rows, Status
from ...graph.substr import cut
from ...statistics import Statistics
from ..base import Container, Cost
from .sides import of_good_rows, read_sides, sides_nbytes, split_row_sides, write_sides

#: The largest distance between two records, and the largest number of values in a palette.
MAX_DISTANCE, MAX_VALUES = 2**16 - 1, 256
#: Bytes of the number of records, which a payload with a palette ends in.
COUNT_NBYTES = 4
#: Bytes of an element -> the dtype as which the graph scatters it.
CARRIERS = {1: "uint8", 2: "int16", 4: "int32", 8: "int64", 16: "complex128"}
#: `infer` tries this codec if the background has at least this share of the elements.
MIN_BACKGROUND = 0.9


@dataclass(frozen=True)
class Sparse(Container):
    """Store only the elements that differ from the background (bitwise), in C order.

    Parameters
    ----------
    background : int or float, default 0
        The value of most elements; for floats the nearest value of the dtype is used.
    palette : bool, default False
        Store the different values, at most 256, in a table, and their indices in the records.

    Notes
    -----
    A record is an element with its distance to the previous one, a uint16 from 1 to 65535. Longer
    gaps are bridged by records of the background. The last element always has a record, so one
    cumulative sum over the batch gives all positions. At most a quarter of the elements can be
    records (64 are always allowed), each of which takes 40 to 60 bytes in the graph. If dimensions
    are ``None``, their sizes come first: a uint32 for each.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> spec = tfd.ArraySpec((4,), "uint8", "sparse")
    >>> spec.encode(np.uint8([0, 0, 7, 0]))  # distances 3 and 1, values 7 and 0
    b'\\x03\\x01\\x00\\x00\\x07\\x00'
    """

    name = "sparse"
    decode_cost = Cost(0.2, 0.8)
    encode_cost = Cost(1.0, 2.0)
    background: int | float = 0
    palette: bool = False

    def __post_init__(self) -> None:
        number = checked_number("codec sparse: background", self.background, whole=False)
        if isinstance(number, float) and number.is_integer():
            if np.signbit(number) and number == 0:
                raise SpecError("codec sparse: background is -0.0, which JSON cannot tell from 0")
            # So that -1 and -1.0 give equal specs.
            object.__setattr__(self, "background", int(number))
        checked_flag("codec sparse: palette", self.palette)

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        if statistics.stage not in ("", "values", "axes") or statistics.background is None:
            return
        value, share = statistics.background
        if share < MIN_BACKGROUND or not np.isfinite(value):
            return
        number = int(value) if statistics.integer else float(value)
        options = [] if value == 0 else [f"background={json.dumps(number)}"]
        for palette in ([], ["palette=true"])[: 1 + (statistics.itemsize > 1)]:
            text = ",".join([*options, *palette])
            yield f"sparse:{text}" if text else "sparse"

    def resolve(self, form: ArrayForm) -> BytesForm:
        self.background_of(form.dtype)
        count, item = prod(form.max_shape), ITEM_SIZES[form.dtype]
        low, high = min_records(count), max_records(count)
        sizes = [low * (2 + item), high * (2 + item)]
        if self.palette and count:
            values = ((low, 1), (high, max_values(count)))
            sizes = [3 * records + count * item + COUNT_NBYTES for records, count in values]
        if form.none_axes:
            sizes = [sides_nbytes(form) + size for size in (0, sizes[1])]
        return BytesForm(sizes[0], sizes[1], lambda: self.filler(form))

    def domain(self, form: ArrayForm) -> str:
        count = prod(form.max_shape)
        limits = [f"at most {max_records(count)} records"] if max_records(count) < count else []
        if self.palette and max_values(count) == MAX_VALUES and ITEM_SIZES[form.dtype] > 1:
            limits.append(f"at most {MAX_VALUES} different values")
        return ", ".join(limits)

    def inflates(self, form: ArrayForm) -> int:
        record_nbytes = 90 if form.dtype == "complex128" else 60
        return form.max_nbytes + int(record_nbytes * max_records(prod(form.max_shape)))

    def filler(self, form: ArrayForm) -> bytes:
        return self.encode(np.full(form.zeros().shape, self.background_of(form.dtype)), form)

    def background_of(self, dtype: str) -> np.ndarray:
        """The background as an array of ``dtype``, rank 0; SpecError if it is not exact in it."""
        with suppress(OverflowError), np.errstate(over="ignore"):
            number = np.array(self.background).astype(numpy_dtype(dtype))
            if int(number) == self.background if integral(dtype) else np.isfinite(number):
                return number
        raise SpecError(f"codec sparse: background is {self.background}, not a value of {dtype}")

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        return write_sides(x.shape, form) + self.records(x, form)

    def records(self, x: np.ndarray, form: ArrayForm) -> bytes:
        """The records of ``x``, with what is around them."""
        count, item = x.size, x.dtype.itemsize
        if not count:
            return b""
        x = np.atleast_1d(checked_bool(x))
        background = self.background_of(form.dtype)
        positions = flat_positions(differs(x, background))
        if not positions.size or positions[-1] != count - 1:
            positions = np.append(positions, count - 1)
        values = element_bytes(x, positions)
        distances = np.diff(positions, prepend=-1)
        bridges = (distances - 1) // MAX_DISTANCE  # records of the background before each element
        if bridges.any():
            own = np.cumsum(bridges + 1) - 1
            bridged = np.full(own[-1] + 1, MAX_DISTANCE)
            bridged[own] = distances - bridges * MAX_DISTANCE
            filled = np.repeat(element_bytes(background, [0]), bridged.size, 0)
            filled[own] = values
            distances, values = bridged, filled
        if len(distances) > max_records(count):
            raise EncodeError(
                f"array needs {len(distances)} records with the background {self.background}, "
                f"sparse supports at most {max_records(count)} for {count} elements"
            )
        head: bytes = distances.astype("<u2").view(np.uint8).reshape(-1, 2).T.tobytes()
        if not self.palette:
            return head + bytes(values.T.tobytes())
        scalar = item <= 8  # 16 bytes are two numbers
        numbers = values.view(f"<u{min(item, 8)}").reshape(-1 if scalar else (-1, 2))
        table, indices = np.unique(numbers, axis=None if scalar else 0, return_inverse=True)
        if len(table) > MAX_VALUES:
            raise EncodeError(
                f"array has {len(table)} different values, sparse:palette=true supports at most "
                f"{MAX_VALUES}"
            )
        head += bytes(indices.reshape(-1).astype(np.uint8).tobytes())
        planes: bytes = table.view(np.uint8).reshape(-1, item).T.tobytes()
        return head + planes + len(distances).to_bytes(COUNT_NBYTES, "little")

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        shape, y = read_sides(y, form), y[sides_nbytes(form) :]
        count, item = prod(shape), ITEM_SIZES[form.dtype]
        x = np.full(count, self.background_of(form.dtype))
        values = 0
        if self.palette and count:
            records = int.from_bytes(y[-COUNT_NBYTES:], "little")
            values, rest = divmod(len(y) - COUNT_NBYTES - 3 * records, item)
            fits = 1 <= records <= max_records(count) and 1 <= values <= max_values(count)
        else:
            records, rest = divmod(len(y), 2 + item)
            fits = min_records(count) <= records <= max_records(count)
        if rest or not fits:
            raise DecodeError(f"payload has {len(y)} bytes, not a valid number of records")
        if not count:
            return x.reshape(shape)
        data = np.frombuffer(y, np.uint8)
        distances = data[:records] + data[records : 2 * records] * np.int64(256)
        if zeros := np.count_nonzero(distances == 0):
            raise DecodeError(f"payload has {zeros} records at distance 0")
        positions = np.cumsum(distances) - 1
        if positions[-1] != count - 1:
            raise DecodeError(f"payload has records of {positions[-1] + 1} elements, needs {count}")
        start, number = (3 * records, values) if self.palette else (2 * records, records)
        planes = data[start : start + number * item].reshape(item, number)
        if self.palette:
            indices = data[2 * records : start]
            if indices.max() >= values:
                raise DecodeError(f"payload has index {indices.max()} into {values} values")
            planes = planes[:, indices]
        x[positions] = from_little_endian(planes.T.tobytes(), form.dtype)
        return x.reshape(shape)

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        sides, filler, count = None, self.filler(form), prod(form.max_shape)
        if form.none_axes:
            rows, sides = split_row_sides(rows, form, filler)
            filler, count = filler[sides_nbytes(form) :], elements(sides, form)
        elif not count:
            return replace(rows, data=tf.zeros(tf.stack([rows.size, *form.max_shape]), form.dtype))
        length = tf.strings.length(rows.data)
        records, values, fits = self.counts(rows, length, count, form)
        message = "has {} bytes, not a valid number of records"
        rows = rows.check(fits, length, Status.LENGTH, message).guard(filler)
        filler_records = min_records(form.zeros().size)  # of at most one value
        records = tf.where(rows.ok, records, filler_records)
        ends = cumulative_distances(rows.data, records)
        # Sealed rows too: beyond the end of a row is the next one, of another client.
        rows = check_distances(rows, records, ends, count).guard(filler)
        sound, records = tf.reduce_all(rows.ok), tf.where(rows.ok, records, filler_records)
        data, kept = rows.data, records
        ends = tf.cond(sound, lambda: ends, lambda: cumulative_distances(data, kept))
        if sides is not None:
            rows = with_sides(rows, of_good_rows(sides, rows), form)
        found: Any
        if self.palette:
            values = tf.where(rows.ok, values, min(1, filler_records))
            rows, found = self.look_up(rows, records, values, ends, form)
        else:
            found = bitcast_planes(
                read_planes(rows.data, 2 * records, records, ITEM_SIZES[form.dtype])
            )
        background = self.background_of(form.dtype)
        if form.dtype == "bool":
            if not rows.verified:
                message = "has {} records of bytes other than 0 and 1, needs bool"
                rows = check_records(rows, records, found > 1, message)
            found = tf.cast(found, tf.bool)
        else:
            background = element_bytes(background, [0]).view(np.dtype(found.dtype.as_numpy_dtype))
        shape: Any = [-1]
        if sides is None:
            shape = tf.stack([rows.size, *form.max_shape])
            total = tf.cast(rows.size, tf.int64) * count
        else:
            total = tf.reduce_sum(rows.lengths)
        parts, background = [found], background.reshape(-1)
        if form.dtype == "complex128":  # releases before 2.10 have no kernel for it
            # Not of two bitcasts: the optimizer makes one of them, which fails.
            parts, background = [tf.math.real(found), tf.math.imag(found)], background.view("f8")
        # 0.64x bare decode_raw on 32 pose maps; tensor_scatter_nd_update of a fill takes 1.76x.
        dense = [
            tf.raw_ops.SparseToDense(
                sparse_indices=ends - 1,
                output_shape=[total],
                sparse_values=part,
                default_value=default,
                validate_indices=False,  # distances of 1 or more give sorted ones
            )
            for part, default in zip(parts, background, strict=True)
        ]
        x = dense[0] if len(dense) == 1 else tf.complex(*dense)
        return replace(rows, data=as_bits(tf.reshape(x, shape), form.dtype))

    def counts(self, rows: Rows, length: Any, count: Any, form: ArrayForm) -> tuple[Any, Any, Any]:
        """For each row its records, the values in its table, and whether both are valid."""
        item = ITEM_SIZES[form.dtype]
        plain = length // (2 + item)
        allowed = tf.cast(max_records(count), tf.int32)
        plain_fits = tf.equal(length % (2 + item), 0) & (plain <= allowed)
        if not self.palette:
            return plain, None, plain_fits
        tail = cut(rows.data, tf.maximum(tf.cast(length, tf.int64) - COUNT_NBYTES, 0), COUNT_NBYTES)
        claimed = tf.io.decode_raw(tail, tf.int32, fixed_length=COUNT_NBYTES)
        claimed = tf.reshape(claimed, [rows.size])
        records = tf.minimum(tf.maximum(claimed, 1), allowed)
        table_nbytes = length - COUNT_NBYTES - 3 * records
        values = table_nbytes // item
        fits = tf.equal(claimed, records) & tf.equal(values * item, table_nbytes)
        fits &= (values >= 1) & (values <= tf.cast(max_values(count), tf.int32))
        if isinstance(count, int):
            return records, values, fits
        none = tf.equal(count, 0)
        values = tf.where(none, 0, values)
        return records, values, tf.where(none, tf.equal(length, 0), fits)

    def look_up(
        self, rows: Rows, records: Any, values: Any, ends: Any, form: ArrayForm
    ) -> tuple[Rows, Any]:
        """The value of each record, from the table of its row."""
        item, bound = ITEM_SIZES[form.dtype], max(1, max_values(prod(form.max_shape)))
        indices = tf.cast(read_planes(rows.data, 2 * records, records, 1)[0], tf.int32)
        if rows.lengths is None:
            row = tf.cast((ends - 1) // prod(form.max_shape), tf.int32)
        else:
            row = tf.searchsorted(tf.cumsum(rows.lengths), ends - 1, side="right")
        if not rows.verified:
            message = "has {} records of values that are not in its table"
            rows = check_records(rows, records, indices >= tf.gather(values, row), message)
        starts = [3 * records + plane * values for plane in range(item)]
        tables = tf.stack([tf.strings.substr(rows.data, start, values) for start in starts])
        # Padded to the same length, so that every index is valid.
        tables = tf.io.decode_raw(tables, tf.uint8, fixed_length=bound)
        tables = bitcast_planes(tf.reshape(tables, [item, -1]))
        return rows, tf.gather(tables, row * bound + tf.minimum(indices, bound - 1))


def min_records(count: Any) -> Any:
    """The records of ``count`` elements of the background: numbers, or tensors of them."""
    return -(-count // MAX_DISTANCE)


def max_records(count: Any) -> Any:
    """The maximum number of records: without one, uint8 rows take 50 times the array's memory."""
    most = min_records(count) + count // 4
    if isinstance(count, int):
        return min(count, max(64, most))
    return tf.minimum(count, tf.maximum(tf.constant(64, tf.int64), most))


def max_values(count: Any) -> Any:
    """The maximum number of values in a palette."""
    return min(MAX_VALUES, count) if isinstance(count, int) else tf.minimum(count, MAX_VALUES)


def differs(x: np.ndarray, background: np.ndarray) -> np.ndarray:
    """bool ``x.shape``, in the memory order of ``x``: whether bits differ from the background."""
    if x.dtype.kind == "c":
        return np.asarray(differs(x.real, background.real) | differs(x.imag, background.imag))
    unsigned = np.dtype(f"u{x.dtype.itemsize}")
    bits = x.view(unsigned.newbyteorder(x.dtype.byteorder))
    return np.asarray(bits != background.view(unsigned))


def flat_positions(mask: np.ndarray) -> np.ndarray:
    """The flat indices of the True elements; sorting a few is faster than to reorder the array."""
    if mask.flags.c_contiguous:
        return np.flatnonzero(mask)
    order = sorted(range(mask.ndim), key=lambda axis: -mask.strides[axis])
    in_memory = mask.transpose(order)
    index = np.unravel_index(np.flatnonzero(in_memory), in_memory.shape)
    return np.sort(np.ravel_multi_index([index[axis] for axis in np.argsort(order)], mask.shape))


def element_bytes(x: np.ndarray, positions: Any) -> np.ndarray:
    """The little-endian bytes of the elements at flat indices: uint8 ``[n, item]``."""
    flat = x.flags.c_contiguous
    some = x.reshape(-1)[positions] if flat else x[np.unravel_index(positions, x.shape)]
    data: np.ndarray = little_endian(some).view(np.uint8)
    return data.reshape(-1, x.dtype.itemsize)


def read_planes(strings: Any, start: Any, size: Any, number: int) -> Any:
    """Consecutive planes of ``size`` bytes of each row: uint8 ``[number, sum(size)]``."""
    parts = [tf.strings.substr(strings, start + plane * size, size) for plane in range(number)]
    return tf.io.decode_raw(tf.strings.reduce_join(tf.stack(parts), axis=1), tf.uint8)


def bitcast_planes(planes: Any) -> Any:
    """Byte planes ``[item, n]`` -> ``[n]`` of the dtype ``CARRIERS[item]``."""
    item = int(planes.shape[0])  # a Dimension if TensorFlow behaves as version 1
    return planes[0] if item == 1 else tf.bitcast(tf.transpose(planes), CARRIERS[item])


def cumulative_distances(strings: Any, records: Any) -> Any:
    """The cumulative sum of the distances over the batch: int64 ``[sum(records)]``."""
    low, high = tf.unstack(tf.cast(read_planes(strings, 0, records, 2), tf.int64))
    return tf.cumsum(low + 256 * high)


def check_distances(rows: Rows, records: Any, ends: Any, count: Any) -> Rows:
    """Narrow ``rows`` to those whose distances are 1 or more and sum to ``count``."""
    last = tf.gather(tf.concat([[0], ends], 0), tf.cumsum(records))  # a row may have no records
    sums = last - tf.concat([tf.zeros_like(last[:1]), last[:-1]], 0)
    count = tf.broadcast_to(tf.cast(count, tf.int64), [rows.size])
    message = "has records of {} elements, needs {}"
    rows = rows.check(tf.equal(sums, count), (sums, count), Status.VALUE, message)
    zero = tf.equal(ends, tf.concat([tf.zeros_like(ends[:1]), ends[:-1]], 0))
    return check_records(rows, records, zero, "has {} records at distance 0")


def check_records(rows: Rows, records: Any, wrong: Any, message: str) -> Rows:
    """Narrow ``rows`` to those without a ``wrong`` record."""
    counted = replace(rows, lengths=tf.cast(records, tf.int64))
    return replace(counted.check_elements(wrong, Status.VALUE, message), lengths=rows.lengths)
