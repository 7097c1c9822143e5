"""The graph side of `mat`: a fast path for files as SciPy writes them, and any other layout."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from ....dtypes import ITEM_SIZES, PARTS
from ....errors import PACK_ANEW
from ....extras import tensorflow as tf
from ....form import ArrayForm
from ....formats.mat.types import COMPRESSED, MATRIX, STORAGE, VERSION, storage_nbytes
from ....formats.zlib_stream import compress_bound
from ....graph.casts import READ_AS, cast_tensor
from ....graph.inflate import inflate_bounded
from ....graph.map_rows import LARGE, map_rows
from ....graph.substr import cut, string_length
from ....graph.switch import cond, switch
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
    return tf.transpose(tf.reshape(data, form.max_shape[::-1]))


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
        at, found = variable.find(payloads, known)
        kind, size = element(payloads, at)
        found &= (size > 0) & (at + 8 + size <= length)
        packed = found & tf.equal(kind, COMPRESSED) & is_stream(payloads, at + 8)
        packed &= size <= compress_bound(variable.max_nbytes)
        found &= packed | tf.equal(kind, MATRIX)
        elements, start = self.elements(payloads, at, size, packed)
        head = variable.head(elements, start)
        found &= head.named
        end = start + 8 + head.inner
        sound = tf.logical_not(packed) | tf.equal(end, string_length(elements))
        sound &= head.inner <= head.end - 8 + variable.max_data_nbytes(head.kind)
        kinds, starts, sizes = [], [], []
        offset = start + head.end
        for _ in range(variable.parts):
            fits, index, (first, nbytes), offset = variable.part(elements, offset, end, head.kind)
            sound &= fits
            kinds.append(index)
            starts.append(first)
            sizes.append(nbytes)
        code = tf.zeros_like(at, tf.int32)
        passed = [sound, head.dims, head.fits, found, known]
        for number, good in zip(range(5, 0, -1), passed, strict=True):
            code = tf.where(good, code, number)
        got = tf.where(code <= 2, length, tf.where(tf.equal(code, 3), head.kind, head.inner))
        good = tf.equal(code, 0)
        nothing = tf.zeros_like(at)
        starts = [tf.where(good, start, nothing) for start in starts]
        sizes = [tf.where(good, nbytes, nothing) for nbytes in sizes]
        columns = [tf.stack(column, 1) for column in (kinds, starts, sizes)]
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
            at = tf.fill(tf.shape(length), 136)
            streams = tf.strings.substr(payloads, at, length - at)
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

    def elements(self, payloads: Any, at: Any, size: Any, packed: Any) -> tuple[Any, Any]:
        """Strings with the elements at ``at``, inflated, and the offset of the element in each."""

        def inflated() -> list[Any]:
            streams = cut(payloads, at + 8, tf.where(packed, size, 0))
            data = inflate_bounded(streams, "ZLIB", self.variable.max_nbytes)
            (strings,) = cond(
                tf.reduce_all(packed),
                lambda: [data],
                lambda: [tf.where(packed, data, payloads)],
            )
            return [strings, tf.where(packed, tf.zeros_like(at), at)]

        strings, start = cond(tf.reduce_any(packed), inflated, lambda: [payloads, at])
        return strings, start

    def one(self, text: Any, kinds: Any, starts: Any, sizes: Any) -> Any:
        """One row: zeros if it is bad, which has a size of 0."""
        parts = [
            self.numbers([tf.strings.substr(text, starts[part], sizes[part])], kinds[part])
            for part in range(self.variable.parts)
        ]
        return assemble(parts, self.form, self.row)

    def numbers(self, texts: Any, kind: Any) -> Any:
        """The numbers of all ``texts``, ``[B * n]``, all stored as ``kind`` says; zeros of none."""
        count = self.variable.count
        part = part_of(self.form)
        data = tf.reshape(tf.io.decode_raw(texts, tf.uint8), [-1])
        some = tf.size(data) > 0

        def stored_as(storage: str) -> Callable[[], list[Any]]:
            return lambda: [as_class(data, storage, part)]

        functions = [stored_as(STORAGE[storage]) for storage in self.variable.storage]
        functions.append(lambda: [tf.zeros([count], part)])
        branch = tf.where(some, kind, len(functions) - 1)
        return switch(branch, *functions)[0]


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
