"""palette: values of any kind as indices into a table of the different ones."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...casts import bits, first_inexact
from ...dtypes import ITEM_SIZES, checked_number, little_endian, numpy_dtype
from ...errors import DecodeError, EncodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, Shape
from ...graph.by_row import by_element, by_row, with_sides
from ...graph.rows import Rows, Status
from ...graph.tables import look_up, read_tables
from ...statistics import Statistics
from ..base import Cost, Filter, from_base64

#: Indices are uint8 or uint16.
MAX_VALUES = 2**16
#: Bytes of a table: every copy of the spec or every payload has them.
MAX_TABLE_NBYTES = 2**19
#: Bytes by which arrays with their tables may be larger than without, as payloads state it.
MAX_ROOM_NBYTES = 2**23


@dataclass(frozen=True)
class Palette(Filter):
    """Store indices into a table of values, which each payload or the spec contains.

    Parameters
    ----------
    values : int, default 256
        Values that the table of a payload has room for, 1 to 65536. Indices are uint8 up to 256
        values, else uint16.
    axis : int, optional
        Of arrays with a table for each index of this axis, counted from 0: the channels of images
        that were standardized by channel.
    table : str or numpy.ndarray, optional
        The values of a table in the spec, ``[n]`` or, with ``axis``, ``[side, n]``; in JSON and
        chain text the base64 of their little-endian bytes. Payloads then have no table.

    Notes
    -----
    Values are compared by their bits, so -0.0 and NaNs are values like others. The table of a
    payload is stored as the differences of the sorted values, which compress to less than a byte
    for each value of a scaled image, before the indices along the longest axis.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> table = ((np.arange(256) - 123.68) / 58.393).astype("float32")
    >>> spec = tfd.ArraySpec((3,), "float32", [tfd.codecs.Palette(table=table)])
    >>> spec.encode(table[[7, 255, 0]])
    b'\\x07\\xff\\x00'
    """

    name = "palette"
    decode_cost = Cost(5.0)
    encode_cost = Cost(25.0)
    values: int = 256
    axis: int | None = None
    table: str = ""

    def __post_init__(self) -> None:
        checked_number("codec palette: values", self.values, 1, MAX_VALUES)
        if self.axis is not None:
            checked_number("codec palette: axis", self.axis, 0, 31)
        if isinstance(self.table, np.ndarray):
            data = base64.b64encode(little_endian(self.table).tobytes()).decode()
            object.__setattr__(self, "table", data)
        if len(decoded(self.table)) > MAX_TABLE_NBYTES:
            raise SpecError(f"codec palette: table has more than {MAX_TABLE_NBYTES} bytes")
        if self.table and self.values != 256:
            raise SpecError("codec palette: values is of tables in payloads, and table is given")

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        found = statistics.distinct
        if found is None:
            return []
        axis, count = found
        options = [] if count <= 256 else [str(1 << (count - 1).bit_length())]
        options += [] if axis is None else [f"axis={axis}"]
        return [f"palette:{','.join(options)}" if options else "palette"]

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if not 2 <= ITEM_SIZES[form.dtype] <= 8:
            raise SpecError(f"codec palette: takes elements of 2 to 8 bytes, not {form.dtype}")
        if self.axis is not None and form.shape[self.axis : self.axis + 1] in ((), (None,)):
            raise SpecError(f"codec palette: {form} needs an axis {self.axis} of known size")
        if self.axis is not None and len(form.shape) == 1:
            raise SpecError(f"codec palette: {form} needs a second axis beside axis {self.axis}")
        nbytes = self.tables(form) * ITEM_SIZES[form.dtype]
        have = len(decoded(self.table))
        if self.table and (not nbytes or have % nbytes or have > MAX_VALUES * nbytes):
            needs = f"{self.tables(form)} tables of up to {MAX_VALUES} values of {form.dtype}"
            raise SpecError(f"codec palette: table has {have} bytes, needs {needs}")
        if not self.table and nbytes * self.values > MAX_TABLE_NBYTES:
            raise SpecError(
                f"codec palette: the tables of {form} take {nbytes * self.values} bytes, at most "
                f"{MAX_TABLE_NBYTES} are supported; use fewer values, or no axis"
            )
        dtype = "uint8" if self.count(form) <= 256 else "uint16"
        axis, steps = self.room(form.shape, form)
        shape, bound = list(form.shape), list(form.max_shape)
        if steps:
            shape, bound = shape or [1], bound or [1]
            bound[axis] += steps
            shape[axis] = None if shape[axis] is None else bound[axis]
        after = ArrayForm(tuple(shape), dtype, tuple(bound))
        # The steps that the tables take along one None axis, a payload can state next to any size
        # of the others: one of 260 KB took 2.5 GB for an array of 3 MB.
        if after.max_nbytes > form.max_nbytes + MAX_ROOM_NBYTES:
            raise SpecError(
                f"codec palette: a payload of {form} with its tables could state "
                f"{after.max_nbytes} bytes; use fewer values, or a table in the spec"
            )
        return after

    def tables(self, form: ArrayForm) -> int:
        """The number of tables."""
        return 1 if self.axis is None else form.max_shape[self.axis]

    def count(self, form: ArrayForm) -> int:
        """The number of values of a table."""
        tables = self.tables(form) * ITEM_SIZES[form.dtype]
        return len(decoded(self.table)) // tables if self.table and tables else self.values

    def table_nbytes(self, form: ArrayForm) -> int:
        """Bytes of the tables in a payload."""
        return 0 if self.table else self.tables(form) * self.values * ITEM_SIZES[form.dtype]

    def room(self, shape: Shape, form: ArrayForm) -> tuple[int, int]:
        """The axis along which a payload's tables come first, and how many steps they take.

        Of an array of ``shape``; for its ``None`` axes, of which the first is the axis, the most.
        """
        axis = self.room_axis(form)
        step = prod(side or 1 for at, side in enumerate(shape) if at != axis and side != 0)
        if self.table or not prod(form.max_shape) or 0 in (*shape[:axis], *shape[axis + 1 :]):
            return axis, 0
        return axis, -(-self.room_elements(form) // step)

    def room_axis(self, form: ArrayForm) -> int:
        """The first ``None`` axis or, as its steps are short, the longest one."""
        if form.unknown_axis is not None:
            return form.unknown_axis
        sides = [0 if axis == self.axis else side for axis, side in enumerate(form.max_shape)]
        return int(np.argmax(sides or [0]))

    def room_elements(self, form: ArrayForm) -> int:
        """The indices that hold all tables."""
        nbytes, item = self.values * ITEM_SIZES[form.dtype], 1 if self.values <= 256 else 2
        return -(-nbytes // item) * self.tables(form)

    def domain(self, form: ArrayForm) -> str:
        each = "" if self.axis is None else f" for each index of axis {self.axis}"
        if self.table:
            return f"the {self.count(form)} values of its table{each}"
        few = prod(form.max_shape) <= self.values * self.tables(form)
        return "" if few else f"at most {self.values} different values{each}"

    def inflates(self, form: ArrayForm) -> int:
        # Indices become int32, and once more with the start of their table; then they are looked
        # up. A payload can state more of them than the array has elements: its tables count too.
        indices = prod(self.resolve(form).max_shape)
        return (ITEM_SIZES[form.dtype] + 12) * indices + 16 * self.table_nbytes(form)

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        after = self.resolve(form)
        x = np.asarray(x, numpy_dtype(form.dtype))
        grouped = self.grouped(bits(x))
        indices = np.zeros(grouped.shape, after.dtype)
        if self.table:
            known = np.zeros(grouped.shape, bool)
            for group, values in enumerate(self.spec_bits(form)):
                order = np.argsort(values, kind="stable")
                place = np.searchsorted(values[order], grouped[:, group])
                indices[:, group] = found = order[np.minimum(place, len(order) - 1)]
                known[:, group] = values[found] == grouped[:, group]
            if not known.all():
                where = first_inexact(x, known.reshape(x.shape))
                raise EncodeError(f"array has values that are not in the palette: {where}")
            return indices.reshape(x.shape)
        tables = np.zeros((self.tables(form), self.values), grouped.dtype)
        for group in range(len(tables)) if x.size else ():
            keys, place = np.unique(ordered(grouped[:, group], form.dtype), return_inverse=True)
            if len(keys) > self.values:
                each = "" if self.axis is None else f" at index {group} of axis {self.axis}"
                raise EncodeError(
                    f"array has {len(keys)} different values{each}, palette takes at most "
                    f"{self.values}"
                )
            indices[:, group] = place.reshape(indices[:, group].shape)
            tables[group, : len(keys)] = np.diff(keys, prepend=keys.dtype.type(0))
        axis, steps = self.room(x.shape, form)
        if not steps:
            return indices.reshape(x.shape)
        item = tables.dtype.itemsize
        planes = little_endian(tables).view(np.uint8).reshape(*tables.shape, item)
        planes = planes.transpose(0, 2, 1).reshape(len(tables), -1)
        sides = list(x.shape) or [1]
        sides[axis] = steps
        head = np.zeros(sides, after.dtype)
        grid = np.moveaxis(self.grouped(head), 1, 0)
        room = np.zeros((len(tables), grid[0].size * head.itemsize), np.uint8)
        room[:, : planes.shape[1]] = planes
        grid[...] = room.view(np.dtype(after.dtype).newbyteorder("<")).reshape(grid.shape)
        return np.concatenate([head, indices.reshape(x.shape or (1,))], axis)

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        count = self.count(form)
        if self.table:
            tables = self.spec_bits(form)
        else:
            axis, steps = self.room(y.shape, form)
            if not 0 <= y.shape[axis] - steps <= (form.max_shape or (1,))[axis]:
                raise DecodeError(f"payload {self.misfit(form).format(y.shape[axis])}")
            head, y = np.split(y, [steps], axis)
            tables = self.payload_bits(head, form) if steps else np.zeros((1, 1), np.uint8)
        shape = y.shape if form.shape else ()
        if not y.size:
            return np.zeros(shape, numpy_dtype(form.dtype))
        if int(y.max()) >= count:
            raise DecodeError(f"payload has index {y.max()} into {count} values")
        places = self.grouped(y.reshape(shape)).astype(np.intp)
        x = tables[np.arange(len(tables))[:, np.newaxis], places]
        return x.reshape(shape).view(numpy_dtype(form.dtype))

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        after, count = self.resolve(form), self.count(form)
        if not self.table:
            return self.with_own_tables(rows, after, form)
        if not self.fits_all(rows, after, form):
            rows = self.checked(rows, rows.data, form)
        tables = self.spec_bits(form).reshape(1, -1)
        tables, number = tf.constant(tables.view(f"i{tables.itemsize}")), self.tables(form)

        def dense(y: Any) -> Any:
            behind = prod(known_sides(y)[self.axis + 1 :]) if self.axis is not None else 1
            return look_up(tables, y, number, behind, count, form.dtype)

        def flat(y: Any) -> Any:
            behind = prod(form.max_shape[self.axis + 1 :]) if self.axis is not None else 1
            return look_up(tables, y, number, behind, count, form.dtype)

        if rows.lengths is None:
            return replace(rows, data=dense(rows.data))
        # Where the tables repeat after each step of the None axes, the whole batch is one array.
        if self.axis is None or None not in form.shape[self.axis :]:
            return by_element(rows, after, form, flat)
        return by_row(rows, after, form, dense)

    def fits_all(self, rows: Rows, after: ArrayForm, form: ArrayForm) -> bool:
        """Whether no index can be beyond a table."""
        return rows.verified or self.count(form) == 2 ** (8 * ITEM_SIZES[after.dtype])

    def checked(self, rows: Rows, indices: Any, form: ArrayForm) -> Rows:
        """``rows``, of which those are bad that have an index beyond a table."""
        wrong = tf.cast(indices, tf.int32) >= self.count(form)
        message = f"has {{}} indices of {self.count(form)} or more"
        return rows.check_elements(wrong, Status.VALUE, message)

    def with_own_tables(self, rows: Rows, after: ArrayForm, form: ArrayForm) -> Rows:
        """As ``decode_rows``, for rows that begin with their tables."""
        axis, most = self.room(form.shape, form)
        if not most:
            shape = [0] if rows.lengths is not None else [rows.size, *form.max_shape]
            return replace(rows, data=tf.zeros(tf.stack(shape), form.dtype))
        elements = self.room_elements(form)

        def split(y: Any) -> tuple[Any, Any, list[Any]]:
            batch, sides = tf.shape(y)[0], known_sides(y)
            before, behind = prod(sides[:axis]), prod(sides[axis + 1 :])
            steps = steps_of(elements, before * behind)
            y = tf.reshape(y, tf.stack([batch, before, sides[axis], behind]))
            sides[axis] = steps
            return y[:, :, :steps], y[:, :, steps:], sides

        def dense(y: Any) -> Any:
            head, y, sides = split(y)
            grid = self.grid(sides)
            tables = read_tables(head, grid, self.values, form.dtype)
            sides[axis] = tf.shape(y)[2]
            return look_up(tables, y, grid[1], self.grid(sides)[2], self.values, form.dtype)

        fits_all = self.fits_all(rows, after, form)
        if rows.lengths is None:
            if not fits_all:
                rows = self.checked(rows, split(rows.data)[1], form)
            x = tf.reshape(dense(rows.data), tf.stack([rows.size, *form.max_shape]))
            return replace(rows, data=x)
        first, *others = tf.unstack(rows.sides, num=len(form.none_axes), axis=1)
        taken = steps_of(elements, prod([tf.ones_like(first) * form.stride, *others]))
        left = first - taken
        fits = (left >= 0) & (left <= form.max_shape[axis])
        rows = rows.check(fits, first, Status.LENGTH, self.misfit(form))
        sides = tf.stack([tf.maximum(left, 0), *others], 1)
        if not fits_all:
            alike = ArrayForm(form.shape, after.dtype, form.max_shape)
            indices = with_sides(by_row(rows, after, alike, lambda y: split(y)[1]), sides, form)
            seen = self.checked(indices, indices.data, form)
            rows = replace(rows, ok=seen.ok, checks=seen.checks, unguarded=seen.unguarded)
        return with_sides(by_row(rows, after, form, dense), sides, form)

    def misfit(self, form: ArrayForm) -> str:
        """The message for a payload that is too short for its tables, or too long."""
        axis = self.room_axis(form)
        most = (form.max_shape or (1,))[axis]
        return f"has {{}} steps along axis {axis}, needs its tables and at most {most}"

    def grid(self, sides: list[Any]) -> tuple[Any, Any, Any]:
        """The elements before the axis of tables, the tables, and the elements after each."""
        if self.axis is None:
            return 1, 1, prod(sides)
        return prod(sides[: self.axis]), sides[self.axis], prod(sides[self.axis + 1 :])

    def grouped(self, y: np.ndarray) -> np.ndarray:
        """``y`` as ``[before, tables, after]``."""
        return y.reshape(self.grid(list(y.shape)))

    def spec_bits(self, form: ArrayForm) -> np.ndarray:
        """The bits of the table in the spec, ``[tables, n]``."""
        unsigned = np.dtype(f"u{ITEM_SIZES[form.dtype]}")
        flat = np.frombuffer(decoded(self.table), unsigned.newbyteorder("<")).astype(unsigned)
        return flat.reshape(self.tables(form), self.count(form))

    def payload_bits(self, head: np.ndarray, form: ArrayForm) -> np.ndarray:
        """The bits of the tables in a payload, ``[tables, values]``."""
        item = ITEM_SIZES[form.dtype]
        grid = np.ascontiguousarray(np.moveaxis(self.grouped(head), 1, 0))
        data = little_endian(grid.reshape(len(grid), -1)).view(np.uint8)[:, : self.values * item]
        planes = data.reshape(len(grid), item, self.values).transpose(0, 2, 1)
        unsigned = np.dtype(f"u{item}")
        steps = np.ascontiguousarray(planes).view(unsigned.newbyteorder("<"))[..., 0]
        keys = np.cumsum(steps.astype(unsigned), axis=1, dtype=unsigned)
        return in_bits(keys, form.dtype)


def decoded(table: object) -> bytes:
    """The bytes of a table in base64; SpecError if it is not that in its one form."""
    return from_base64("palette: table", table, MAX_TABLE_NBYTES)


def known_sides(y: Any) -> list[Any]:
    """The sizes of all axes but the first: numbers where they are known."""
    shape = tf.shape(y)
    static = y.shape.as_list()
    return [shape[at] if static[at] is None else static[at] for at in range(1, len(static))]


def steps_of(elements: int, step: Any) -> Any:
    """How many steps of so many elements hold the tables: none if a step has no element."""
    if isinstance(step, int):
        return -(-elements // step) if step else 0
    return tf.where(step > 0, (elements + step - 1) // tf.maximum(step, 1), 0)


def ordered(number: np.ndarray, dtype: str) -> np.ndarray:
    """Bits of ``dtype`` as unsigned integers in the order of the values, as by ``sortable``."""
    sign = number.dtype.type(1 << (8 * number.itemsize - 1))
    if "float" in dtype:
        return np.where(number & sign, ~number, number | sign)
    return number ^ sign if dtype.startswith("int") else number


def in_bits(key: np.ndarray, dtype: str) -> np.ndarray:
    """The reverse of ``ordered``."""
    sign = key.dtype.type(1 << (8 * key.itemsize - 1))
    if "float" in dtype:
        return np.where(key & sign, key ^ sign, ~key)
    return key ^ sign if dtype.startswith("int") else key
