"""Files whose bytes before and after the numbers are constants, compared byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from ...dtypes import ITEM_SIZES
from ...extras import tensorflow as tf
from ...graph.casts import transposed
from ...graph.rows import Rows, Status
from ...graph.switch import cond, outlined


@dataclass(frozen=True)
class Template:
    """The bytes that one writer puts around the numbers of an array, and the order of these."""

    head: bytes
    tail: bytes = b""
    fortran: bool = False
    big_endian: bool = False

    @property
    def layout(self) -> tuple[int, int]:
        """Bytes before the numbers, and after them."""
        return len(self.head), len(self.tail)


@dataclass(frozen=True)
class Templates:
    """The files of one array by all known writers: all are accepted, the first is written."""

    known: tuple[Template, ...]
    shape: tuple[int, ...]
    item: int

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.item

    @cached_property
    def lengths(self) -> list[int]:
        """Lengths that rows can have, ascending."""
        return sorted({sum(template.layout) + self.nbytes for template in self.known})

    def of(self, data: bytes) -> Template | None:
        """The template that ``data`` matches."""
        for template in self.known:
            head, tail = template.head, template.tail
            fits = len(data) == len(head) + self.nbytes + len(tail)
            if fits and data.startswith(head) and data.endswith(tail):
                return template
        return None

    def decode_rows(self, rows: Rows, dtype: str, filler: bytes, message: str) -> Rows:
        """Strings ``[B]`` to ``[B, *shape]`` of ``dtype``, which ``decode_raw`` must know."""
        data, good, column_order = self.numbers_of(rows.data, dtype, filler)
        length = tf.strings.length(rows.data)
        data = self.in_row_order(data, column_order)
        rows = rows.check(good, length, Status.HEADER, message)
        return replace(rows, data=data, unguarded=False)

    def numbers_of(self, payloads: Any, dtype: str, filler: bytes) -> list[Any]:
        """Numbers ``[B, n]``, which rows match a template, and whether the order is Fortran's."""

        def first_template() -> list[Any]:
            first = self.known[0]
            data = decode_uniform(payloads, len(first.head), self.nbytes, dtype)
            return [data, tf.ones(tf.shape(payloads), tf.bool), first.fortran]

        def any_template() -> list[Any]:
            index = self.match(payloads)
            good = index >= 0
            checked = Rows(payloads, tf.shape(payloads)[0], ok=good, unguarded=True)
            index = tf.where(good, index, self.order.index(self.known[0]))
            data, column_order = self.numbers(checked.guard(filler).data, index, dtype)
            return [data, good, column_order]

        found: list[Any] = cond(
            self.all_match_first(payloads), first_template, outlined(any_template)
        )
        found[0].set_shape([None, self.nbytes // self.item])
        return found

    def in_row_order(self, data: Any, column_order: Any) -> Any:
        """Numbers ``[B, n]`` as ``[B, *shape]``."""
        # Not in a function: a transpose in a Case took 2.3 times as long.
        if not any(template.fortran for template in self.known):
            return self.shaped(data)
        (data,) = cond(
            column_order,
            lambda: [from_column_order(data, self.shape)],
            lambda: [self.shaped(data)],
        )
        return data

    # -- which template -----------------------------------------------------------------------

    def all_match_first(self, payloads: Any) -> Any:
        """Whether every row matches the first template."""
        head, tail = self.known[0].head, self.known[0].tail
        if self.known[0].big_endian:  # which `decode_uniform` does not swap
            return tf.equal(tf.size(payloads), 0)
        length = tf.strings.length(payloads)
        fits = tf.equal(length, len(head) + self.nbytes + len(tail))
        fits &= tf.equal(tf.strings.substr(payloads, 0, len(head)), head)
        if tail:
            offset = tf.maximum(length - len(tail), 0)
            end = tf.strings.substr(payloads, offset, tf.fill(tf.shape(offset), len(tail)))
            fits &= tf.equal(end, tail)
        return tf.reduce_all(fits)

    @cached_property
    def layouts(self) -> list[tuple[int, int]]:
        """The different lengths of head and tail."""
        return sorted({template.layout for template in self.known})

    @cached_property
    def order(self) -> list[Template]:
        """The templates, sorted by layout."""
        return sorted(self.known, key=lambda template: self.layouts.index(template.layout))

    def match(self, payloads: Any) -> Any:
        """The index of each row's template in ``order``, or -1: int32 ``[B]``."""
        layouts = [[t for t in self.order if t.layout == layout] for layout in self.layouts]
        most = max(map(len, layouts))
        around = [[t.head + t.tail for t in some] + [b""] * (most - len(some)) for some in layouts]
        first = [self.order.index(some[0]) for some in layouts]
        by_length = [
            [i for i, layout in enumerate(self.layouts) if sum(layout) + self.nbytes == length]
            for length in self.lengths
        ]
        length = tf.strings.length(payloads)
        fits = tf.equal(length[:, tf.newaxis], self.lengths)
        known, which = tf.reduce_any(fits, 1), first_true(fits)
        index = tf.fill(tf.shape(payloads), -1)
        # Nearly always one turn: few layouts share their sum.
        for turn in range(max(map(len, by_length))):
            layout = tf.gather([some[min(turn, len(some) - 1)] for some in by_length], which)
            sides = tf.where(known[:, tf.newaxis], tf.gather(self.layouts, layout), 0)
            head, tail = sides[:, 0], sides[:, 1]
            parts = [
                tf.strings.substr(payloads, tf.zeros_like(head), head),
                tf.strings.substr(payloads, length - tail, tail),
            ]
            key = tf.strings.join(parts)[:, tf.newaxis]
            equal = tf.equal(key, tf.gather(tf.constant(around), layout))
            equal &= known[:, tf.newaxis]
            found = tf.gather(first, layout) + first_true(equal)
            index = tf.where(tf.reduce_any(equal, 1), found, index)
        return index

    # -- the numbers --------------------------------------------------------------------------

    def numbers(self, payloads: Any, index: Any, dtype: str) -> tuple[Any, Any]:
        """Numbers ``[B, n]`` by any templates, and whether all are in Fortran order (else C)."""
        about = [[len(t.head), t.fortran, t.big_endian] for t in self.order]
        start, fortran, swapped = tf.unstack(tf.gather(about, index), axis=1)
        fortran, swapped = tf.cast(fortran, tf.bool), tf.cast(swapped, tf.bool)
        column_order = tf.reduce_all(fortran)
        begin = tf.reduce_max(tf.concat([start, [0]], 0))  # of no rows too
        same = tf.reduce_all(tf.equal(index, index[:1])) & ~tf.reduce_any(swapped)

        def differing() -> list[Any]:
            text = tf.strings.substr(payloads, start, tf.fill(tf.shape(start), self.nbytes))
            shape = tf.stack([tf.size(text), self.nbytes // self.item])
            data = tf.reshape(tf.io.decode_raw(text, dtype), shape)
            if any(template.big_endian for template in self.known):
                as_big_endian = partial(tf.io.decode_raw, text, dtype, little_endian=False)
                data = with_rows(data, swapped, as_big_endian)
            if any(template.fortran for template in self.known):
                in_c_order = partial(from_column_order, data, self.shape)
                data = with_rows(data, fortran & ~column_order, in_c_order)
            return [data]

        uniform = partial(decode_uniform, payloads, begin, self.nbytes, dtype)
        (data,) = cond(same, lambda: [uniform()], differing)
        return data, column_order

    def shaped(self, data: Any) -> Any:
        """Numbers ``[B, n]`` in C order as ``[B, *shape]``."""
        return tf.reshape(data, tf.stack([tf.shape(data)[0], *self.shape]))


def from_column_order(data: Any, shape: tuple[int, ...]) -> Any:
    """Numbers ``[B, n]`` in column (Fortran) order as ``[B, *shape]``."""
    data = tf.reshape(data, tf.stack([tf.shape(data)[0], *reversed(shape)]))
    return transposed(data, [0, *range(len(shape), 0, -1)])


def decode_uniform(payloads: Any, offset: Any, nbytes: int, dtype: str) -> Any:
    """Numbers ``[B, n]`` of rows of one length, whose ``nbytes`` of numbers begin at ``offset``."""
    # Decoded whole, then cut: 1.4 times bare decode_raw of 32 pose maps; cut as strings 3.2.
    # For a single row a slice at a multiple of 64 bytes, as in an .npy, is not copied at all.
    data = tf.io.decode_raw(payloads, tf.uint8)
    end = offset + nbytes
    (data,) = cond(
        tf.equal(tf.size(payloads), 1),
        lambda: [tf.reshape(data, [-1])[offset:end][tf.newaxis]],
        lambda: [data[:, offset:end]],
    )
    itemsize = ITEM_SIZES[dtype]
    data = tf.reshape(data, tf.stack([tf.size(payloads), nbytes // itemsize, itemsize]))
    if itemsize == 1:
        data = tf.squeeze(data, 2)
    return data if dtype == "uint8" else tf.bitcast(data, dtype)


def with_rows(data: Any, rows: Any, other: Callable[[], Any]) -> Any:
    """``data`` ``[B, n]`` with those ``rows``, bool ``[B]``, taken from what ``other`` returns."""

    def some() -> list[Any]:
        return [tf.where(rows[:, tf.newaxis], tf.reshape(other(), tf.shape(data)), data)]

    (data,) = cond(tf.reduce_any(rows), some, lambda: [data])
    return data


def first_true(flags: Any) -> Any:
    """The index of the first true element of each row of a matrix, or 0: int32."""
    return tf.argmax(tf.cast(flags, tf.int32), 1, tf.int32)
