"""sparse: only the elements that differ from a background, each with its distance from the last."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isfinite, prod
from typing import Any

import numpy as np

from ...casts import checked_bool
from ...dtypes import ITEM_SIZES, from_little_endian, little_endian, numpy_dtype
from ...errors import DecodeError, EncodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...graph.rows import Rows, Status
from ...statistics import Statistics
from ..base import Container, Cost

#: The longest distance of two records, and how many values a palette has room for.
FAR, VALUES = 2**16 - 1, 256
#: Bytes of the number of records behind a palette.
COUNT = 4
#: What the graph moves: a number of the same bits as an element of so many bytes.
CARRIERS = {1: "uint8", 2: "int16", 4: "int32", 8: "int64", 16: "complex128"}


#: The share of the background from which on `infer` tries it.
WORTHWHILE = 0.9


@dataclass(frozen=True)
class Sparse(Container):
    """Records of the elements that are not ``background``, compared by their bits, in C order.

    The number of elements from one record to the next is 1 to 65535; farther apart stand records
    of the background between them, and the last record is always that of the last element. So the
    distances in every row sum to the number of its elements, and their running sum over the whole
    batch is where each element belongs in it.

    Meant for maps of some dozen spots before a compressor: ``transpose:2,0,1|sparse|zlib``. Of
    more than 64 elements a quarter can be records, for each of which the graph takes 40 to 60 bytes
    beside the array (complex128: 90).

    Parameters
    ----------
    background : a number; for floats the nearest that the dtype has
    palette : whether values stand in a table, 256 at most, and records hold their places in it

    >>> import numpy as np, tfdecode
    >>> spec = tfdecode.ArraySpec((4,), "uint8", codecs="sparse")
    >>> spec.encode(np.array([0, 0, 7, 0], "uint8"))  # distances 3 and 1, values 7 and 0
    b'\\x03\\x01\\x00\\x00\\x07\\x00'
    """

    name = "sparse"
    decode_cost = Cost(0.2, 0.8)
    encode_cost = Cost(1.0, 2.0)
    background: int | float = 0
    palette: bool = False

    def __post_init__(self) -> None:
        number = self.background
        if type(number) not in (int, float) or not isfinite(number):
            raise SpecError(f"codec sparse: background is {number!r}, needs a finite number")
        if isinstance(number, float) and number.is_integer():
            if np.signbit(number) and number == 0:
                raise SpecError("codec sparse: background is -0.0, which JSON does not tell from 0")
            object.__setattr__(self, "background", int(number))  # one JSON text for equal numbers
        if not isinstance(self.palette, bool):
            raise SpecError(f"codec sparse: palette is {self.palette!r}, needs true or false")

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        if statistics.stage not in ("", "values", "axes") or statistics.background is None:
            return
        value, share = statistics.background
        if share < WORTHWHILE or not np.isfinite(value):
            return
        number = int(value) if statistics.integer else float(value)
        options = [] if value == 0 else [f"background={json.dumps(number)}"]
        for palette in ([], ["palette=true"])[: 1 + (statistics.itemsize > 1)]:
            text = ",".join([*options, *palette])
            yield f"sparse:{text}" if text else "sparse"

    def resolve(self, form: ArrayForm) -> BytesForm:
        if form.unknown_axis is not None:
            raise SpecError(
                f"codec sparse: {form} has a None dimension, and sparse needs a fixed shape; raw "
                "takes it"
            )
        self.nothing(form.dtype)
        count, item = prod(form.max_shape), ITEM_SIZES[form.dtype]
        fewest = -(-count // FAR)
        sizes = [records * (2 + item) for records in (fewest, most_records(count))]
        if self.palette and count:
            most = 3 * most_records(count) + room(form) * item
            sizes = [3 * fewest + item + COUNT, most + COUNT]
        return BytesForm(sizes[0], sizes[1], lambda: self.filler(form))

    def domain(self, form: ArrayForm) -> str:
        count = prod(form.max_shape)
        few = f"at most {most_records(count)} records" if most_records(count) < count else ""
        many = self.palette and room(form) == VALUES and ITEM_SIZES[form.dtype] > 1
        return ", ".join(filter(None, [few, f"at most {VALUES} different values" if many else ""]))

    def inflates(self, form: ArrayForm) -> int:
        each = 90 if form.dtype == "complex128" else 60
        return form.max_nbytes + each * most_records(prod(form.max_shape))

    def filler(self, form: ArrayForm) -> bytes:
        return self.encode(np.full(form.max_shape, self.nothing(form.dtype)), form)

    def nothing(self, dtype: str) -> np.ndarray:
        """The background as a number of ``dtype``, rank 0; SpecError where it has none."""
        try:
            with np.errstate(over="ignore"):
                number = np.array(self.background).astype(numpy_dtype(dtype))
            if dtype == "bool" or "int" in dtype:
                known = int(number) == self.background
            else:
                known = bool(np.isfinite(number))
        except OverflowError:
            known = False
        if not known:
            raise SpecError(f"codec sparse: {dtype} has no background {self.background}")
        return number

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        count, item = x.size, x.dtype.itemsize
        if not count:
            return b""
        x = np.atleast_1d(checked_bool(x) if form.dtype == "bool" else x)
        nothing = self.nothing(form.dtype)
        places = places_of(differs(x, nothing))
        if not places.size or places[-1] != count - 1:
            places = np.append(places, count - 1)
        found = elements(x, places)
        gaps = np.diff(places, prepend=-1)
        between = (gaps - 1) // FAR  # records of the background in front of each
        if between.any():
            at = np.cumsum(between + 1) - 1
            far = np.full(at[-1] + 1, FAR)
            far[at] = gaps - between * FAR
            values = np.repeat(elements(nothing, [0]), far.size, 0)
            values[at] = found
            gaps, found = far, values
        if len(gaps) > most_records(count):
            raise EncodeError(
                f"array has {len(gaps)} records beside the background {self.background}, "
                f"sparse takes {most_records(count)} of {count} elements"
            )
        head: bytes = gaps.astype("<u2").view(np.uint8).reshape(-1, 2).T.tobytes()
        if not self.palette:
            return head + bytes(found.T.tobytes())
        whole = item <= 8  # of 16 bytes: two numbers
        numbers = found.view(f"<u{min(item, 8)}").reshape(-1 if whole else (-1, 2))
        table, chosen = np.unique(numbers, axis=None if whole else 0, return_inverse=True)
        if len(table) > VALUES:
            raise EncodeError(
                f"array has {len(table)} different values, sparse:palette=true takes {VALUES}"
            )
        indexes: bytes = chosen.reshape(-1).astype(np.uint8).tobytes()
        tables: bytes = table.view(np.uint8).reshape(-1, item).T.tobytes()
        return head + indexes + tables + len(gaps).to_bytes(COUNT, "little")

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        count, item = prod(form.max_shape), ITEM_SIZES[form.dtype]
        x = np.full(count, self.nothing(form.dtype))
        if not count:
            return x.reshape(form.max_shape)
        values = 0
        if self.palette:
            records = int.from_bytes(y[-COUNT:], "little")
            values, rest = divmod(len(y) - COUNT - 3 * records, item)
            whole = 1 <= records <= most_records(count) and 1 <= values <= room(form) and not rest
        else:
            records, rest = divmod(len(y), 2 + item)
            whole = not rest
        if not whole:
            raise DecodeError(f"payload has {len(y)} bytes, which are no whole records")
        data = np.frombuffer(y, np.uint8)
        gaps = data[:records] + data[records : 2 * records] * np.int64(256)
        if not gaps.all():
            raise DecodeError(f"payload has {np.count_nonzero(gaps == 0)} records at distance 0")
        places = np.cumsum(gaps) - 1
        if places[-1] != count - 1:
            raise DecodeError(f"payload has records of {places[-1] + 1} elements, needs {count}")
        start, number = (3 * records, values) if self.palette else (2 * records, records)
        planes = data[start : start + number * item].reshape(item, number)
        if self.palette:
            indexes = data[2 * records : start]
            if indexes.max() >= values:
                raise DecodeError(f"payload has value {indexes.max()} of a table of {values}")
            planes = planes[:, indexes]
        if form.dtype == "bool" and planes.max() > 1:
            raise DecodeError("payload holds bytes other than 0 and 1, needs bool")
        x[places] = from_little_endian(planes.T.tobytes(), form.dtype)
        return x.reshape(form.max_shape)

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        count, item = prod(form.max_shape), ITEM_SIZES[form.dtype]
        if not count:
            return replace(rows, data=tf.zeros(tf.stack([rows.size, *form.max_shape]), form.dtype))
        filler = self.filler(form)
        length = tf.strings.length(rows.data)
        records, values, whole = self.counts(rows, length, form)
        message = "has {} bytes, which are no whole records"
        rows = rows.check(whole, length, Status.LENGTH, message).guard(filler)
        fewest = -(-count // FAR)  # the records of a filler, which has one value
        records = tf.where(rows.ok, records, fewest)
        places = running(rows.data, records)
        # Sealed rows too: a place beyond a row's end would be in the next one, of another client.
        rows = distances(rows, records, places, count).guard(filler)
        sound, records = tf.reduce_all(rows.ok), tf.where(rows.ok, records, fewest)
        data, kept = rows.data, records
        places = tf.cond(sound, lambda: places, lambda: running(data, kept))
        found: Any
        if self.palette:
            values = tf.where(rows.ok, values, 1)
            rows, found = self.looked_up(rows, records, values, places, form)
        else:
            found = carried(planes(rows.data, 2 * records, records, item))
        if form.dtype == "bool":
            wrong = found > 1
            if not rows.verified:
                message = "has {} records of bytes other than 0 and 1, needs bool"
                rows = of_records(rows, records, wrong, message)
            found = tf.cast(found, tf.bool)
        nothing = self.nothing(form.dtype)
        if form.dtype != "bool":
            nothing = elements(nothing, [0]).view(np.dtype(found.dtype.as_numpy_dtype))
        # 0.64x bare decode_raw on 32 pose maps; tensor_scatter_nd_update of a fill takes 1.76x.
        x = tf.raw_ops.SparseToDense(
            sparse_indices=places - 1,
            output_shape=[tf.cast(rows.size, tf.int64) * count],
            sparse_values=found,
            default_value=nothing.reshape(-1)[0],
            validate_indices=False,  # of their order, which the distances make
        )
        x = tf.reshape(x, tf.stack([rows.size, *form.max_shape]))
        return replace(rows, data=x if x.dtype.name == form.dtype else tf.bitcast(x, form.dtype))

    def counts(self, rows: Rows, length: Any, form: ArrayForm) -> tuple[Any, Any, Any]:
        """Of each row the records, the values in its table, and whether it can be."""
        count, item = prod(form.max_shape), ITEM_SIZES[form.dtype]
        if not self.palette:
            return length // (2 + item), None, tf.equal(length % (2 + item), 0)
        tail = tf.strings.substr(rows.data, tf.maximum(length - COUNT, 0), tf.fill([rows.size], 4))
        claimed = tf.reshape(tf.io.decode_raw(tail, tf.int32, fixed_length=COUNT), [rows.size])
        records = tf.clip_by_value(claimed, 1, most_records(count))
        table = length - COUNT - 3 * records
        values = table // item
        whole = tf.equal(claimed, records) & tf.equal(values * item, table)
        return records, values, whole & (values >= 1) & (values <= room(form))

    def looked_up(
        self, rows: Rows, records: Any, values: Any, places: Any, form: ArrayForm
    ) -> tuple[Rows, Any]:
        """The value of each record by its row's table."""
        item, most = ITEM_SIZES[form.dtype], room(form)
        indexes = tf.cast(planes(rows.data, 2 * records, records, 1)[0], tf.int32)
        row = tf.cast((places - 1) // prod(form.max_shape), tf.int32)
        if not rows.verified:
            message = "has {} records of values that are not in its table"
            rows = of_records(rows, records, indexes >= tf.gather(values, row), message)
        starts = [3 * records + plane * values for plane in range(item)]
        tables = tf.stack([tf.strings.substr(rows.data, start, values) for start in starts])
        # As long as the longest, so that whatever an index is it finds a value.
        tables = tf.io.decode_raw(tables, tf.uint8, fixed_length=most)
        tables = carried(tf.reshape(tables, [item, -1]))
        return rows, tf.gather(tables, row * most + tf.minimum(indexes, most - 1))


def most_records(count: int) -> int:
    """How many records an array of ``count`` elements may have.

    A quarter, and some: a record takes 40 to 60 bytes in the graph, so dense rows of one byte an
    element would take fifty times what they decode to, which the limit of a request counts.
    """
    return min(count, max(64, -(-count // FAR) + count // 4))


def room(form: ArrayForm) -> int:
    """The most values that the table of a palette has."""
    return min(VALUES, prod(form.max_shape))


def differs(x: np.ndarray, nothing: np.ndarray) -> np.ndarray:
    """Where the bits of ``x`` are not those of ``nothing``, in the memory order of ``x``."""
    if x.dtype.kind == "c":
        return np.asarray(differs(x.real, nothing.real) | differs(x.imag, nothing.imag))
    unsigned = np.dtype(f"u{x.dtype.itemsize}")
    bits = x.view(unsigned.newbyteorder(x.dtype.byteorder))
    return np.asarray(bits != nothing.view(unsigned))


def places_of(mask: np.ndarray) -> np.ndarray:
    """Where ``mask`` is true, in C order.

    Looked for in the order of memory, since few places are sorted sooner than a whole array is
    brought into another order.
    """
    if mask.flags.c_contiguous:
        return np.flatnonzero(mask)
    order = sorted(range(mask.ndim), key=lambda axis: -mask.strides[axis])
    lying = mask.transpose(order)
    index = np.unravel_index(np.flatnonzero(lying), lying.shape)
    places: np.ndarray = np.ravel_multi_index(
        [index[axis] for axis in np.argsort(order)], mask.shape
    )
    places.sort()
    return places


def elements(x: np.ndarray, places: Any) -> np.ndarray:
    """The little-endian bytes of some elements, uint8 ``[n, item]``."""
    some: np.ndarray = (
        x.reshape(-1)[places] if x.flags.c_contiguous else x[np.unravel_index(places, x.shape)]
    )
    data: np.ndarray = little_endian(some).view(np.uint8)
    return data.reshape(-1, x.dtype.itemsize)


def planes(strings: Any, start: Any, size: Any, number: int) -> Any:
    """``number`` times ``size`` bytes of each row, from ``start`` on, the same of all rows joined:
    uint8 ``[number, sum(size)]``.
    """
    parts = [tf.strings.substr(strings, start + plane * size, size) for plane in range(number)]
    return tf.io.decode_raw(tf.strings.reduce_join(tf.stack(parts), axis=1), tf.uint8)


def carried(bytes_of: Any) -> Any:
    """Byte planes ``[item, n]`` as the carriers of the elements, ``[n]``."""
    item = bytes_of.shape[0]
    return bytes_of[0] if item == 1 else tf.bitcast(tf.transpose(bytes_of), CARRIERS[item])


def running(strings: Any, records: Any) -> Any:
    """The running sum of the distances over the whole batch: int64 ``[sum(records)]``."""
    low, high = tf.unstack(tf.cast(planes(strings, 0, records, 2), tf.int64))
    return tf.cumsum(low + 256 * high)


def distances(rows: Rows, records: Any, places: Any, count: int) -> Rows:
    """Narrow ``rows`` to those whose distances are 1 or more and sum to ``count``."""
    last = tf.gather(places, tf.cumsum(records) - 1)
    sums = last - tf.concat([tf.zeros_like(last[:1]), last[:-1]], 0)
    message = f"has records of {{}} elements, needs {count}"
    rows = rows.check(tf.equal(sums, count), sums, Status.VALUE, message)
    stands = tf.equal(places, tf.concat([tf.zeros_like(places[:1]), places[:-1]], 0))
    return of_records(rows, records, stands, "has {} records at distance 0")


def of_records(rows: Rows, records: Any, wrong: Any, message: str) -> Rows:
    """Narrow ``rows`` to those without a ``wrong`` record."""
    counted = replace(rows, lengths=tf.cast(records, tf.int64))
    return replace(counted.check_elements(wrong, Status.VALUE, message), lengths=None)
