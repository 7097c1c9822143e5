"""Rows: a batch on its way through a chain inside the graph, and what is wrong with it."""

from __future__ import annotations

import enum
import zlib
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from ..extras import tensorflow as tf

if TYPE_CHECKING:
    from ..codecs.form import ArrayForm


class Status(enum.IntEnum):
    """Why a row is bad, as ``decode_checked`` reports it; 0 is good."""

    GOOD = 0
    LENGTH = 1  #: the payload, or what it inflates to, has a number of bytes that cannot be
    DAMAGED = 2  #: a compressed stream or its checksum is wrong
    SEAL = 3  #: the seal does not match: damage, another input's payload, or another spec
    VALUE = 4  #: a value that the spec's dtype cannot hold exactly


@dataclass(frozen=True, eq=False)
class Check:
    """One thing that every row was checked for."""

    passed: Any  # [B] bool
    got: Any  # [B], the number that the message shows
    status: Status
    message: str  # with one {} for the number


@dataclass(frozen=True, eq=False)
class Rows:
    """A batch between two steps of a chain.

    ``data`` is one of: strings ``[B]``; a dense tensor ``[B, *shape]``; or, where rows differ in
    length, the elements of all rows one after the other, ``[sum(lengths)]``, with ``lengths``
    ``[B]`` int64 beside it. ``size`` is ``B``, taken from the payloads and never from decoded
    data: a wrong payload must not change the number of rows.
    """

    data: Any
    size: Any
    lengths: Any = None
    ok: Any = None  # [B] bool; None while nothing was checked
    checks: tuple[Check, ...] = ()
    unguarded: bool = False
    #: The bytes are what an encoder of this very spec wrote (a seal says so), so values that no
    #: encoder writes need not be looked for again.
    verified: bool = False

    def check(self, passed: Any, got: Any, status: Status, message: str) -> Rows:
        """Narrow ``ok`` by ``passed`` [B]; ``got`` [B] fills the ``{}`` of ``message``."""
        check = Check(passed, got, status, message)
        ok = passed if self.ok is None else tf.logical_and(self.ok, passed)
        return replace(self, ok=ok, checks=(*self.checks, check), unguarded=True)

    def guard(self, filler: bytes) -> Rows:
        """Swap the strings of bad rows for ``filler``, so that the next op cannot fail on them.

        Only when there are any: an unconditional ``tf.where`` copies every string (3.5x bare
        ``decode_raw`` on large rows, against 1.01x inside ``tf.cond``).
        """
        if not self.unguarded:
            return self
        # The filler of a large array is kept deflated: a constant of a few kilobytes in the graph.
        small = len(filler) < 1024
        constant = filler if small else zlib.compress(filler, 9)

        def swapped() -> Any:
            good = tf.constant(constant)
            if not small:
                good = tf.io.decode_compressed(good, "ZLIB")
            return tf.where(self.ok, self.data, good)

        data = tf.cond(tf.reduce_all(self.ok), lambda: self.data, swapped)
        return replace(self, data=data, unguarded=False)

    def count(self, flags: Any) -> Any:
        """How many of ``flags`` (bool, laid out as ``data``) are set in each row: [B] int64."""
        flags = tf.cast(flags, tf.int64)
        if self.lengths is None:
            return tf.reduce_sum(tf.reshape(flags, self.matrix_shape(flags)), axis=1)
        ends = tf.cumsum(self.lengths)
        sums = tf.concat([tf.zeros([1], tf.int64), tf.cumsum(flags)], 0)
        return tf.gather(sums, ends) - tf.gather(sums, ends - self.lengths)

    def matrix_shape(self, tensor: Any) -> Any:
        """``[B, elements of a row]``, for dense data (B may be 0, so -1 could not be inferred)."""
        shape = tensor.shape[1:]
        return tf.stack([self.size, shape.num_elements()])

    def status(self) -> Any:
        """[B] int32: the ``Status`` of the first check that a row failed."""
        code = tf.zeros([self.size], tf.int32)
        for check in reversed(self.checks):
            code = tf.where(check.passed, code, int(check.status))
        return code

    def enforce(self, name: str) -> Rows:
        """Fail unless every row is good; the message names ``name``, the row, expected and got."""
        if self.ok is None:
            return self

        def fail() -> Any:
            row = tf.argmin(tf.cast(self.ok, tf.int32))
            message = tf.constant("")
            for check in reversed(self.checks):
                before, after = check.message.split("{}")
                number = tf.strings.as_string(tf.gather(check.got, row))
                text = tf.strings.join([before, number, after])
                message = tf.where(tf.gather(check.passed, row), message, text)
            message = tf.strings.join([f"{name}: row ", tf.strings.as_string(row), " ", message])
            return failed(message, self.data)

        # By data dependency: an assert that nothing takes its output from is dropped in v1 graphs.
        data = tf.cond(tf.reduce_all(self.ok), lambda: self.data, fail)
        if self.lengths is None:
            return replace(self, data=data)
        with tf.control_dependencies([data]):
            return replace(self, data=data, lengths=tf.identity(self.lengths))

    def zero_bad(self) -> Rows:
        """Set the elements of bad rows to zero (rows that differ in length become empty)."""
        if self.ok is None:
            return self
        if self.lengths is None:

            def masked() -> Any:
                # As a matrix: tf.where does not broadcast over more than 9 dimensions.
                matrix = tf.reshape(self.data, self.matrix_shape(self.data))
                zero = tf.zeros([], matrix.dtype)
                matrix = tf.where(self.ok[:, tf.newaxis], matrix, zero)
                return tf.reshape(matrix, tf.shape(self.data))

            data = tf.cond(tf.reduce_all(self.ok), lambda: self.data, masked)
            return replace(self, data=data)
        keep = tf.repeat(self.ok, self.lengths)
        lengths = tf.where(self.ok, self.lengths, 0)
        return replace(self, data=tf.boolean_mask(self.data, keep), lengths=lengths)

    def agree(self, form: ArrayForm, name: str) -> Any:
        """Flat data as ``[B, *shape]``; fails unless all rows are as long as the first."""
        length = tf.reduce_max(tf.concat([self.lengths, [0]], 0))

        def fail() -> Any:
            row = tf.argmin(tf.cast(tf.equal(self.lengths, length), tf.int32))
            numbers = (row, tf.gather(self.lengths, row) // form.stride, length // form.stride)
            row, got, needed = (tf.strings.as_string(number) for number in numbers)
            message = [f"{name}: row ", row, " has ", got, " along the None dimension, another "]
            message += [needed, ": decode_ragged takes rows that differ"]
            return failed(tf.strings.join(message), self.data)

        data = tf.cond(tf.reduce_all(tf.equal(self.lengths, length)), lambda: self.data, fail)
        return tf.reshape(data, self.dense_shape(form, length))

    def pad(self, form: ArrayForm) -> Any:
        """Flat data as ``[B, *shape]``, zeros behind the end of the ``None`` dimension."""
        length = tf.reduce_max(tf.concat([self.lengths, [0]], 0))
        axis = form.unknown_axis or 0
        before = prod(form.max_shape[:axis])
        # Runs of one row: as many as there are elements before the None axis.
        runs = tf.repeat(self.lengths // before, tf.fill([self.size], before))
        ragged = tf.RaggedTensor.from_row_lengths(self.data, runs, validate=False)
        run = length // before
        flat = ragged.to_tensor(shape=tf.stack([tf.cast(self.size, tf.int64) * before, run]))
        return tf.reshape(flat, self.dense_shape(form, length))

    def dense_shape(self, form: ArrayForm, length: Any) -> Any:
        """``[B, *shape]`` for rows of ``length`` elements."""
        size = tf.cast(self.size, tf.int64)
        sides = [length // form.stride if side is None else side for side in form.shape]
        return tf.stack([size, *sides])


def failed(message: Any, data: Any) -> Any:
    """``data``, behind an assertion that always fails with ``message``."""
    assertion = tf.raw_ops.Assert(condition=False, data=[message])
    dependencies = [] if assertion is None else [assertion]  # eagerly it has already raised
    with tf.control_dependencies(dependencies):
        return tf.identity(data)


def admit(payloads: Any, size: Any, max_rows: int, name: str) -> Any:
    """``payloads``, unless there are more than ``max_rows`` of them: refused before decoding."""
    static = payloads.shape[0]
    if static is not None and static <= max_rows:
        return payloads

    def refuse() -> Any:
        got = tf.strings.as_string(size)
        text = f" rows, at most {max_rows} fit the memory budget of a request"
        return failed(tf.strings.join([f"{name}: batch has ", got, text]), payloads)

    return tf.cond(size <= max_rows, lambda: payloads, refuse)
