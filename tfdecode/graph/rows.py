"""Rows: a batch between two steps of a chain in the graph, and the checks that it has passed."""

from __future__ import annotations

import enum
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from ..errors import SpecError
from ..extras import tensorflow as tf
from .switch import cond, outlined


class Status(enum.IntEnum):
    """The result for each row of ``decode_checked``: 0 is good, any other value is an error.

    Examples
    --------
    >>> import tfdecode as tfd
    >>> array, status = tfd.ArraySpec((2,), "uint8").decode_checked([b"ab", b"abc"])
    >>> [tfd.Status(code).name for code in status.numpy()]
    ['GOOD', 'LENGTH']
    """

    GOOD = 0
    LENGTH = 1  # the payload, or the data that it inflates to, has the wrong number of bytes
    DAMAGED = 2  # a compressed stream or its checksum is wrong
    SEAL = 3  # the payload is damaged, or of another input or another spec
    VALUE = 4  # a value is outside the domain of a codec, or the dtype cannot hold it exactly
    HEADER = 5  # a header does not match the spec


#: Elements of a row, on average, from which on `long_rows` is true.
LONG = 1024


@dataclass(frozen=True, eq=False)
class Check:
    """The result of one check on every row."""

    passed: Any  # [B] bool
    status: Any  # of the rows that did not pass: a Status, or int32 [B]
    text: Callable[[Any], Any]  # the index of a failed row -> its message, a string tensor


@dataclass(frozen=True, eq=False)
class Rows:
    """A batch between two steps of a chain: strings ``[B]``, or a dense tensor ``[B, *shape]``.

    If rows differ in shape, ``data`` is the elements of all, ``[sum(lengths)]``, ``lengths`` int64
    ``[B]``, ``sides`` int64 ``[B, k]`` the sizes along the ``None`` axes. ``size``, B, comes from
    the payloads: decoded data must not change the number of rows.
    """

    data: Any
    size: Any
    lengths: Any = None
    sides: Any = None
    ok: Any = None  # [B] bool; None before the first check
    checks: tuple[Check, ...] = ()
    unguarded: bool = False
    #: A seal has shown that an encoder of this spec wrote the payloads: checks can be skipped.
    verified: bool = False

    def check(self, passed: Any, got: Any, status: Status, message: str) -> Rows:
        """Narrow ``ok`` to the rows that ``passed``, bool ``[B]``; the others get ``status``.

        ``message`` follows "row 3 ". ``got`` is the number for its ``{}``: one for each row, or
        a function from the index of a row to a scalar; a tuple of these for several.
        """
        numbers = got if isinstance(got, tuple) else (got,)
        first, *others = message.split("{}")

        def text(row: Any) -> Any:
            parts = [first]
            for number, after in zip(numbers, others, strict=True):
                value = number(row) if callable(number) else tf.gather(number, row)
                parts += [tf.strings.as_string(value), after]
            return tf.strings.join(parts)

        check = Check(passed, status, text)
        ok = passed if self.ok is None else tf.logical_and(self.ok, passed)
        return replace(self, ok=ok, checks=(*self.checks, check), unguarded=True)

    def guard(self, filler: bytes) -> Rows:
        """Replace the strings of bad rows by ``filler``: the next op cannot fail on them."""
        # In tf.cond: tf.where alone copies every string (3.5x decode_raw on large rows, not 1.01x).
        if not self.unguarded:
            return self
        # The filler of a large array is a compressed constant, a few kilobytes in the graph.
        small = len(filler) < 1024
        constant = filler if small else zlib.compress(filler, 9)

        def replaced() -> Any:
            good = tf.constant(constant)
            if not small:
                good = tf.io.decode_compressed(good, "ZLIB")
            return tf.where(self.ok, self.data, good)

        good = tf.reduce_all(self.ok)
        (data,) = cond(good, lambda: [self.data], outlined(lambda: [replaced()]))
        return replace(self, data=data, unguarded=False)

    def check_elements(self, wrong: Any, status: Status, message: str) -> Rows:
        """Narrow ``ok`` to rows without a ``wrong`` element (bool, in the layout of ``data``)."""
        # Counted in the failing row alone: in all rows it takes 8 bytes per element of the batch.
        if self.lengths is None:
            wrong = tf.reshape(wrong, self.matrix_shape(wrong))
            bad = tf.reduce_any(wrong, axis=1)
        else:
            ends = tf.cumsum(self.lengths)

            def together() -> list[Any]:
                row = tf.searchsorted(ends, tf.reshape(tf.where(wrong), [-1]), side="right")
                shape = tf.stack([self.size])
                return [tf.scatter_nd(row[:, tf.newaxis], tf.ones_like(row), shape) > 0]

            def each() -> list[Any]:
                one = lambda row: tf.reduce_any(wrong[ends[row] - self.lengths[row] : ends[row]])  # noqa: E731
                return [tf.map_fn(one, tf.range(self.size), fn_output_signature=tf.bool)]

            def found() -> list[Any]:
                return list(cond(long_rows(wrong, self.size), each, together))

            none = tf.fill([self.size], False)
            (bad,) = cond(tf.reduce_any(wrong), outlined(found), lambda: [none])

        def count(row: Any) -> Any:
            if self.lengths is None:
                return tf.math.count_nonzero(tf.gather(wrong, row))
            return tf.math.count_nonzero(wrong[ends[row] - self.lengths[row] : ends[row]])

        return self.check(tf.logical_not(bad), count, status, message)

    def matrix_shape(self, tensor: Any) -> Any:
        """``[B, elements of a row]`` for dense data (B may be 0, so -1 cannot be inferred)."""
        return tf.stack([self.size, tensor.shape[1:].num_elements()])

    def status(self) -> Any:
        """[B] int32: the ``Status`` of the first check that a row failed."""
        code = tf.zeros([self.size], tf.int32)
        for check in reversed(self.checks):
            code = tf.where(check.passed, code, check.status)  # a scalar or one for each row
        return code

    def first_bad(self) -> tuple[Any, Any]:
        """The index of the first bad row, int64, and its message; there must be a bad row."""
        row = tf.argmin(tf.cast(self.ok, tf.int32))
        message = tf.constant("")
        for check in reversed(self.checks):
            message = tf.where(tf.gather(check.passed, row), message, check.text(row))
        return row, message

    def enforce(
        self,
        name: str,
        start: Any = 0,
        total: Any = None,
        advice: Callable[[Any], Any] = lambda row: "",
    ) -> Rows:
        """Fail unless every row is good; the message states ``name``, the row, expected and got.

        The first row is row ``start`` of a batch of ``total``. ``advice`` follows the message: a
        function from the index of the bad row.
        """
        if self.ok is None:
            return self

        def fail() -> Any:
            row, message = self.first_bad()
            number = tf.strings.as_string(row + tf.cast(start, tf.int64))
            text = tf.strings.join([f"{name}: row ", number, " ", message, advice(row)])
            # A client may have sent fewer rows: servers merge requests.
            size = tf.strings.as_string(self.size if total is None else total)
            of = [text, " (in a batch of ", size, " rows, which may be of several requests)"]
            text = tf.cond(tf.equal(size, "1"), lambda: text, lambda: tf.strings.join(of))
            return fail_with(text, self.data)

        # By data dependency: v1 graphs drop an assert whose output is not used.
        good = tf.reduce_all(self.ok)
        (data,) = cond(good, lambda: [self.data], outlined(lambda: [fail()]))
        if self.lengths is None:
            return replace(self, data=data)
        with tf.control_dependencies([data]):
            lengths, sides = tf.identity(self.lengths), tf.identity(self.sides)
            return replace(self, data=data, lengths=lengths, sides=sides)

    def zero_bad(self) -> Rows:
        """Set the elements of bad rows to zero (rows of different lengths become empty)."""
        if self.ok is None:
            return self
        if self.lengths is None:

            def masked() -> Any:
                # As a matrix: tf.where does not broadcast over more than 9 dimensions.
                matrix = tf.reshape(self.data, self.matrix_shape(self.data))
                zero = tf.zeros([], matrix.dtype)
                matrix = tf.where(self.ok[:, tf.newaxis], matrix, zero)
                return tf.reshape(matrix, tf.shape(self.data))

            good = tf.reduce_all(self.ok)
            (data,) = cond(good, lambda: [self.data], outlined(lambda: [masked()]))
            return replace(self, data=data)

        def kept() -> list[Any]:
            rows = tf.RaggedTensor.from_row_lengths(self.data, self.lengths, validate=False)
            return [tf.gather(rows, tf.reshape(tf.where(self.ok), [-1])).flat_values]

        (data,) = cond(tf.reduce_all(self.ok), lambda: [self.data], outlined(kept))
        sides = tf.where(self.ok[:, tf.newaxis], self.sides, 0)
        return replace(self, data=data, lengths=tf.where(self.ok, self.lengths, 0), sides=sides)


def long_rows(data: Any, count: Any) -> Any:
    """Whether flat data of ``count`` rows is better treated row by row, in 8 us each.

    Together ops take 8 to 24 bytes for the index of each element, 12 times the memory of bool.
    """
    return tf.size(data, tf.int64) >= LONG * tf.cast(count, tf.int64)


def fail_with(message: Any, data: Any) -> Any:
    """``data``, after an assertion that always fails with ``message``."""
    assertion = tf.raw_ops.Assert(condition=False, data=[message])
    with tf.control_dependencies([] if assertion is None else [assertion]):  # None: it has raised
        return tf.identity(data)


def admit(payloads: Any, max_batch_size: int, name: str) -> Any:
    """``payloads``; fails before anything is decoded unless they are ``[B]`` of an allowed B."""
    needs = "payloads as a list of strings [B]"
    return checked_shape(payloads, [None], name, needs, max_batch_size)


def checked_shape(
    tensor: Any, shape: list[int | None], name: str, needs: str, max_batch_size: int | None = None
) -> Any:
    """``tensor``; fails unless it has ``shape`` when it runs: servers feed any shape.

    It also fails if it has more than ``max_batch_size`` elements.
    """
    static = tensor.shape.num_elements()
    limited = max_batch_size is not None and (static is None or static > max_batch_size)
    if tf.executing_eagerly() and not limited:  # the static shape is the true one
        return tensor
    # The static shape is what the signature says; a placeholder's own is not computed with.
    fed = (
        tensor
        if tf.executing_eagerly()
        else tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=None)
    )
    got, right_rank = tf.shape(fed), tf.equal(tf.rank(fed), len(shape))
    # One predicate and one branch: each node costs time when a data set begins an epoch.
    fits = [right_rank]
    if any(side is not None for side in shape):
        known = tf.concat([got, tf.fill([len(shape)], -1)], 0)[: len(shape)]
        fits += [tf.equal(known[i], side) for i, side in enumerate(shape) if side is not None]
    if limited:
        fits.append(tf.size(fed) <= max_batch_size)

    def fail() -> list[Any]:
        sides = tf.strings.reduce_join(tf.strings.as_string(got), separator=", ")
        text = tf.strings.join([f"{name}: has shape [", sides, f"], needs {needs}"])
        if limited:
            most = f" rows, the model takes at most {max_batch_size} at a time (max_batch_size)"
            many = tf.strings.join([f"{name}: batch has ", sides, most])
            text = tf.where(right_rank, many, text)
        # Of the right rank: what comes next may run, and fail with a message of its own.
        return [fail_with(text, tf.zeros([side or 0 for side in shape], tensor.dtype))]

    (checked,) = cond(reduce(tf.logical_and, fits), lambda: [fed], outlined(fail))
    # An op, as set_shape is not part of the graph: one of static sizes is then refused when loaded.
    return tf.ensure_shape(checked, tensor.shape)


def same_size(payloads: dict[str, Any]) -> dict[str, Any]:
    """Inputs by name; fails unless all have the same ``B``, else TensorFlow broadcasts."""
    names = list(payloads)
    first = rows_of(payloads[names[0]]) if names else 0
    checked = dict(payloads)
    for name in names[1:]:
        size = rows_of(payloads[name])

        def fail(name: str = name, size: Any = size) -> Any:
            text = [f"{name}: batch has ", size, f" rows, {names[0]} has ", first]
            strings = [x if isinstance(x, str) else tf.strings.as_string(x) for x in text]
            return fail_with(tf.strings.join(strings), payloads[name])

        checked[name] = tf.cond(tf.equal(size, first), lambda n=name: payloads[n], fail)
    return checked


def rows_of(batch: Any) -> Any:
    """The number of rows; 1 for a scalar, whose rank is refused elsewhere."""
    return tf.concat([tf.shape(batch), [1]], 0)[0]


def as_batch(payloads: Any, name: str) -> tuple[Any, bool]:
    """The payloads as ``[B]``, and whether they were a scalar; SpecError for another rank."""
    payloads = tf.convert_to_tensor(payloads, dtype=tf.string)
    if payloads.shape.rank not in (0, 1):
        raise SpecError(
            f"{name} has shape {payloads.shape}, needs a scalar string or a batch [B] of known rank"
        )
    scalar = payloads.shape.rank == 0
    return (tf.expand_dims(payloads, 0) if scalar else payloads), scalar
