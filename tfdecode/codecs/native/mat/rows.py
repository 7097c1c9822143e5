"""The graph side of `mat`: a fast path for files as SciPy writes them, and any other layout."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from ....dtypes import ITEM_SIZES, PARTS
from ....errors import PACK_ANEW
from ....extras import tensorflow as tf
from ....form import ArrayForm
from ....formats.mat.types import COMPRESSED, MATRIX, STORAGE, VERSION, storage_nbytes
from ....formats.zlib_stream import compress_bound
from ....graph.casts import READ_AS, cast_tensor, transposed
from ....graph.inflate import inflate_bounded
from ....graph.map_rows import LARGE, map_rows
from ....graph.substr import cut, string_length
from ....graph.switch import case, cond, unoptimized
from ..template import decode_uniform
from .walk import MAX_ELEMENTS, MatVariable, element, int64, is_stream

#: What to do about big-endian files and versions 4 and 7.3.
SAVE = f"save it with save -v7 in MATLAB, or {PACK_ANEW}"
NAMES = {6: "double", 7: "single"}


def part_of(form: ArrayForm) -> str:
    """The dtype of the numbers, or of the parts of complex numbers."""
    return PARTS.get(form.dtype, form.dtype)


def part_nbytes(form: ArrayForm) -> int:
    """Bytes of one part: of all real numbers, or of all imaginary ones."""
    return prod(form.max_shape) * ITEM_SIZES[part_of(form)]


def transposes_each_row(form: ArrayForm) -> bool:
    """Whether each row is transposed as it is decoded, on its own core (MapDefun)."""
    # 32 float64 [256,192] take 0.7 of one transpose of the batch, float32 0.9; small rows longer,
    # float32 with three sides 1.4 times: oneDNN transposes it, but only outside of functions.
    sides = sum(side != 1 for side in form.max_shape)
    return form.max_nbytes >= LARGE and (form.dtype != "float32" or sides <= 2)


def assemble(parts: list[Any], form: ArrayForm, row: Any) -> Any:
    """One row of its parts: ``[n]``, or ``[*shape]`` if rows are transposed one by one."""
    data = parts[0] if len(parts) == 1 else tf.complex(*parts)
    if tuple(row.shape) != form.max_shape or len(form.max_shape) < 2:
        return tf.reshape(data, row.shape)
    return transposed(tf.reshape(data, form.max_shape[::-1]))


@dataclass(frozen=True)
class FastPath:
    """Files that ``encode`` and SciPy write: all bytes but text and numbers are compared."""

    around: list[bytes]
    form: ArrayForm
    row: Any

    @property
    def nbytes(self) -> int:
        """Of one part."""
        return part_nbytes(self.form)

    def matches(self, payloads: Any) -> Any:
        """Whether all rows are such files: bool."""
        prefix, *between, tail = self.around
        length = tf.strings.length(payloads)
        total = sum(map(len, self.around)) + (1 + len(between)) * self.nbytes
        fits = tf.equal(length, total)
        fits &= tf.equal(tf.strings.substr(payloads, 124, len(prefix) - 124), prefix[124:])
        fits &= tf.equal(tf.strings.substr(payloads, 0, 7), b"MATLAB ")
        if tail:
            fits &= tf.equal(tf.strings.substr(payloads, -len(tail), len(tail)), tail)
        for piece in between:
            size = tf.fill(tf.shape(length), len(piece))
            offset = tf.minimum(tf.fill(tf.shape(length), len(prefix) + self.nbytes), length)
            fits &= tf.equal(tf.strings.substr(payloads, offset, size), piece)
        return tf.reduce_all(fits)

    def decode(self, payloads: Any) -> Any:
        """``[B, n]`` or ``[B, *shape]``, as ``row`` says."""
        prefix, *between, _ = self.around
        starts = [len(prefix), *(len(prefix) + self.nbytes + len(piece) for piece in between)]
        part = part_of(self.form)
        read_as = READ_AS.get(part, part)
        count = prod(self.form.max_shape)

        def as_part(data: Any) -> Any:
            if part == "bool":
                return tf.cast(data, tf.bool)
            return data if read_as == part else tf.bitcast(data, part)

        def one(payload: Any) -> Any:
            texts = [tf.strings.substr(payload, start, self.nbytes) for start in starts]
            parts = [tf.reshape(tf.io.decode_raw(text, read_as), [count]) for text in texts]
            return assemble([as_part(data) for data in parts], self.form, self.row)

        def by_row() -> Any:
            return map_rows(one, payloads, row=self.row)

        def at_once() -> Any:
            parts = [
                as_part(decode_uniform(payloads, start, self.nbytes, read_as)) for start in starts
            ]
            return parts[0] if len(parts) == 1 else tf.complex(*parts)

        if transposes_each_row(self.form):
            return by_row()
        if self.form.max_nbytes < LARGE:
            return at_once()
        # 32 pose maps: 1.1 to 1.4 transposes by row, 1.3 to 1.5 at once; a single one 1.6, 1.3.
        single = tf.equal(tf.size(payloads), 1)
        return cond(single, lambda: [at_once()], lambda: [by_row()])[0]


@dataclass(frozen=True)
class AnyLayout:
    """Any MAT-files."""

    variable: MatVariable
    form: ArrayForm
    row: Any

    def messages(self, key: str) -> list[str]:
        """The message for each code of ``decode``."""
        variable = self.variable
        kind = "logical"
        if variable.matlab_class is not None:
            name = NAMES.get(variable.matlab_class, part_of(self.form))
            number = "real" if variable.parts == 1 else "complex"
            kind = f"{variable.matlab_class}, {name}, {number}"
        sides = "x".join(map(str, variable.sides))
        return [
            "{}",
            "has {} bytes, not a MAT-file of version 5 to 7.2 in little-endian order; " + SAVE,
            f"has {{}} bytes that do not hold {key} once, as a matrix, among up to {MAX_ELEMENTS}"
            " whole variables",
            f"holds {key} as class {{}}, needs {kind} (1 is cell, 2 struct, 4 text, 5 sparse)",
            f"holds {key} in {{}} bytes of other dimensions, needs {sides}",
            f"holds {key} in {{}} bytes that are not the numbers of {sides} {part_of(self.form)}",
        ]

    def decode(self, payloads: Any) -> list[Any]:
        """The rows, a code for each (index into ``messages``), and the number for its message."""
        variable = self.variable
        length = string_length(payloads)
        version = tf.strings.substr(payloads, 124, 4)
        known = tf.equal(version, VERSION) & starts_as_text(payloads)
        offset, found = variable.find(payloads, known)
        kind, size = element(payloads, offset)
        found &= (size > 0) & (offset + 8 + size <= length)
        packed = found & tf.equal(kind, COMPRESSED) & is_stream(payloads, offset + 8)
        packed &= size <= compress_bound(variable.max_nbytes)
        found &= packed | tf.equal(kind, MATRIX)
        elements, start = self.elements(payloads, offset, size, packed)
        head = variable.head(elements, start)
        found &= head.named
        end = start + 8 + head.inner
        sound = tf.logical_not(packed) | tf.equal(end, string_length(elements))
        sound &= head.inner <= head.end - 8 + variable.max_data_nbytes(head.kind)
        kinds, starts, sizes = [], [], []
        part_start = start + head.end
        for _ in range(variable.parts):
            fits, index, part = variable.part(elements, part_start, end, head.kind)
            sound &= fits
            kinds.append(index)
            starts.append(part.start)
            sizes.append(part.size)
            part_start = part.end
        # The first check that failed, from 1 on; 0 if none did.
        passed = tf.stack([known, found, head.fits, head.dims, sound], 1)
        good = tf.reduce_all(passed, 1)
        code = tf.where(good, 0, tf.argmin(tf.cast(passed, tf.int32), 1, tf.int32) + 1)
        got = tf.where(code <= 2, length, tf.where(tf.equal(code, 3), head.kind, head.inner))
        columns = [tf.stack(column, 1) for column in (kinds, starts, sizes)]
        columns[1:] = [tf.where(good[:, tf.newaxis], column, 0) for column in columns[1:]]
        if not variable.count:
            data = tf.zeros(tf.stack([tf.size(payloads), *self.row.shape]), self.form.dtype)
        else:
            data = map_rows(self.one, elements, *columns, row=self.row)
        return [data, code, got]

    def decode_single_variable(self, payloads: Any, prefixes: list[bytes]) -> list[Any]:
        """As ``decode``, for files of this variable alone; one of ``prefixes`` per ``storage``."""
        # Compressed, 32 rows of 2 KB take 0.4 of the time, one label map [256,192] 0.7.
        variable = self.variable
        length = tf.strings.length(payloads)
        size = tf.io.decode_raw(tf.strings.substr(payloads, 132, 4), tf.int32)
        single = tf.reduce_all(tf.equal(tf.reshape(size, tf.shape(length)), length - 136))
        single &= tf.reduce_all(starts_as_text(payloads))
        begins = tf.strings.substr(payloads, 124, 8)
        plain, packed = (
            single & tf.reduce_all(tf.equal(begins, struct.pack("<4sI", VERSION, kind)))
            for kind in (MATRIX, COMPRESSED)
        )
        packed &= tf.reduce_all(is_stream(payloads, tf.fill(tf.shape(length), *int64(136))))
        packed &= tf.reduce_all(length <= 136 + compress_bound(variable.max_nbytes))

        def inflated() -> list[Any]:
            start = tf.fill(tf.shape(length), 136)
            streams = tf.strings.substr(payloads, start, length - start)
            return [inflate_bounded(streams, "ZLIB", variable.max_nbytes)]

        (elements,) = cond(packed, inflated, lambda: [payloads])
        base = tf.fill(tf.shape(length), tf.where(packed, 0, 128))
        head = tf.strings.substr(elements, base, tf.fill(tf.shape(length), len(prefixes[0])))
        equal = tf.equal(head[:, tf.newaxis], prefixes)
        kind = tf.argmax(tf.cast(equal, tf.int32), 1, tf.int32)
        nbytes = tf.gather(
            [storage_nbytes(code) * variable.count for code in variable.storage], kind
        )
        start = base + len(prefixes[0])
        need = start + (nbytes + 7) // 8 * 8
        fast = (plain | packed) & tf.reduce_all(tf.equal(tf.strings.length(elements), need))
        fast &= tf.reduce_all(tf.reduce_any(equal, 1))
        small = self.form.max_nbytes < LARGE
        if small:
            fast &= tf.reduce_all(tf.equal(kind, kind[0]))

        def read() -> Any:
            good = tf.zeros_like(length)
            if small:
                texts = tf.strings.substr(elements, start, nbytes)
                data = self.numbers(texts, kind[0])
                data = tf.reshape(data, tf.stack([tf.size(length), variable.count]))
            else:
                columns = [column[:, tf.newaxis] for column in (kind, start, nbytes)]
                data = map_rows(self.one, elements, *columns, row=self.row)
            return [data, good, tf.cast(good, tf.int64)]

        found: list[Any] = cond(fast, read, lambda: self.decode(payloads))
        return found

    def elements(self, payloads: Any, offset: Any, size: Any, packed: Any) -> list[Any]:
        """Strings with the elements at ``offset``, inflated, and where the element is in each."""

        def inflated() -> list[Any]:
            streams = cut(payloads, offset + 8, tf.where(packed, size, 0))
            data = inflate_bounded(streams, "ZLIB", self.variable.max_nbytes)
            (strings,) = cond(
                tf.reduce_all(packed),
                lambda: [data],
                lambda: [tf.where(packed, data, payloads)],
            )
            return [strings, tf.where(packed, tf.zeros_like(offset), offset)]

        found: list[Any] = cond(tf.reduce_any(packed), inflated, lambda: [payloads, offset])
        return found

    def one(self, text: Any, kinds: Any, starts: Any, sizes: Any) -> Any:
        """One row: zeros if it is bad, which has a size of 0."""
        parts = [
            self.numbers([tf.strings.substr(text, starts[part], sizes[part])], kinds[part])
            for part in range(self.variable.parts)
        ]
        return assemble(parts, self.form, self.row)

    def numbers(self, texts: Any, kind: Any) -> Any:
        """The numbers of all ``texts``, ``[B * n]``, all stored as ``kind`` says; zeros of none."""
        data = tf.reshape(tf.io.decode_raw(texts, tf.uint8), [-1])
        branch = tf.where(tf.size(data) > 0, kind, len(self.readers) - 1)
        if tf.executing_eagerly():
            return self.readers[int(branch)](data)[0]
        return case(branch, self.traced_readers, [data])[0]

    @cached_property
    def readers(self) -> list[Callable[[Any], list[Any]]]:
        """For each ``storage`` what makes numbers of its bytes, then what makes zeros."""
        part, count = part_of(self.form), self.variable.count

        def stored_as(storage: str) -> Callable[[Any], list[Any]]:
            return lambda data: [as_class(data, storage, part)]

        some = [stored_as(STORAGE[storage]) for storage in self.variable.storage]
        return [*some, lambda data: [tf.zeros([count], part)]]

    @cached_property
    def traced_readers(self) -> list[Any]:
        """The ``readers`` for `case`: the same functions wherever numbers are read."""
        signature = [tf.TensorSpec([None], tf.uint8)]
        return [unoptimized(read, signature) for read in self.readers]


def as_class(data: Any, storage: str, dtype: str) -> Any:
    """uint8 ``[n * width]`` as numbers ``[n]`` of ``dtype`` that are stored as ``storage``."""
    width = ITEM_SIZES[storage]
    data = data if width == 1 else tf.reshape(data, [-1, width])
    data = data if storage == "uint8" else tf.bitcast(data, storage)
    if dtype != "bool":
        return cast_tensor(data, dtype)
    if "float" in storage:  # -0.0 is false, and a subnormal number true, which threads take for 0
        bits = tf.bitcast(data, f"int{8 * width}")
        data = tf.bitwise.bitwise_and(bits, 2 ** (8 * width - 1) - 1)
    return tf.not_equal(data, tf.zeros([], data.dtype))


def starts_as_text(payloads: Any) -> Any:
    """Whether none of the first four bytes is 0, as in version 4: bool ``[B]``."""
    first = tf.io.decode_raw(payloads, tf.uint8, fixed_length=4)
    return tf.reduce_all(tf.not_equal(first, 0), 1)
