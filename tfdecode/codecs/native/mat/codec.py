"""mat: one variable of a MAT-file of version 5 to 7.2 (MathWorks, "MAT-File Format", chapter 1)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....casts import checked_bool
from ....dtypes import PARTS, dtype_name, little_endian, numpy_dtype
from ....errors import DecodeError, FileError, SpecError
from ....extras import tensorflow as tf
from ....form import MAX_NBYTES, ArrayForm, BytesForm
from ....formats import mat
from ....formats.mat import v5
from ....formats.sniff import HDF5_MAGIC
from ....graph.raw_bytes import raw_bytes
from ....graph.rows import Check, Rows, Status
from ....graph.switch import switch
from ...base import Container
from .rows import (
    SAVE,
    General,
    Usual,
    part_nbytes,
    part_of,
    turned,
    turns_inside,
)
from .walk import MATRIX, MAX_ELEMENTS, WIDTHS, MatVariable

#: dtype of the numbers -> MATLAB's class, and the type that they are written as.
CLASSES = {
    "float64": (6, 9), "float32": (7, 7), "int8": (8, 1), "uint8": (9, 2), "int16": (10, 3),
    "uint16": (11, 4), "int32": (12, 5), "uint32": (13, 6), "int64": (14, 12), "uint64": (15, 13),
}  # fmt: skip
#: What stands in front of the first element: a text that is free, and version and byte order.
TEXT = b"MATLAB 5.0 MAT-file, by tfdecode".ljust(116) + bytes(8)
VERSIONS = (b"\x00\x01IM", b"\x01\x00MI")
#: The most bytes of other variables in the file.
OTHERS = 2**24
LEAST = 128 + 8 + 8


@dataclass(frozen=True)
class Mat(Container):
    """What MATLAB's ``save`` (but not ``-v7.3``), Octave or `scipy.io.savemat` wrote.

    Of all that the file holds, up to 32 variables, the graph reads one: compressed or not, in
    either byte order, its numbers stored narrower than they are, as MATLAB does. Arrays with one
    axis are a row, as scipy writes them; sides of 1 that MATLAB drops at the end are no difference.

    A compressed variable is inflated only if it can be the one of the spec by its size, but may
    then take 1032 times that, one row at a time (all at once only while they cannot exceed 1 GiB).
    Any that is damaged, another one too, fails the whole batch. The graph takes a stream that ends
    without its checksum, or in bytes that do not belong to it.

    Parameters
    ----------
    key : the name of the variable

    >>> import numpy as np, tfdecode
    >>> spec = tfdecode.ArraySpec((2, 3), "uint8", "mat:S")
    >>> spec.encode(np.arange(6, dtype="uint8").reshape(2, 3))[-8:]
    b'\\x00\\x03\\x01\\x04\\x02\\x05\\x00\\x00'
    """

    name = "mat"
    suffixes = (".mat",)
    contents = mat.contents
    magics = (b"MATLAB ",)
    throws = True
    key: str

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9_]{,62}", self.key):
            raise SpecError(
                f"codec mat: key is {self.key!r}, needs the name of a variable: a letter, then up "
                "to 62 letters, digits and _"
            )

    def resolve(self, form: ArrayForm) -> BytesForm:
        form.require_fixed(self.name)
        if form.dtype in ("float16", "bfloat16"):
            raise SpecError(
                f"codec mat: MATLAB has no {form.dtype}; take astype:float32|mat:{self.key} for "
                "files of single"
            )
        most = 128 + self.variable(form).longest
        return BytesForm(
            LEAST,
            max(most, min(most + OTHERS, MAX_NBYTES - 64)),
            lambda: self.filler(form),
            self.found,
        )

    def bounded(self, form: ArrayForm) -> bool:
        return False  # a compressed file may inflate to 1032 times its length

    def inflates(self, form: ArrayForm) -> int:
        return self.variable(form).longest

    def variable(self, form: ArrayForm) -> MatVariable:
        """What the file must hold."""
        shape = form.max_shape
        sides = shape if len(shape) > 1 else (1, *shape) if shape else (1, 1)
        part = PARTS.get(form.dtype, form.dtype)
        matlab_class = None if form.dtype == "bool" else CLASSES[part][0]
        return MatVariable(self.key, sides, matlab_class, 1 + (part != form.dtype))

    # -- numpy --------------------------------------------------------------------------------

    def around(self, form: ArrayForm, storage: int | None = None) -> list[bytes]:
        """What stands in front of the numbers, between the parts of complex ones, and behind.

        The numbers are stored as ``storage``, by default as what they are.
        """
        variable = self.variable(form)
        matlab_class, own = CLASSES["uint8" if form.dtype == "bool" else part_of(form)]
        storage = own if storage is None else storage
        flags = matlab_class | (form.dtype == "bool") << 9 | (variable.parts - 1) << 11
        dims = struct.pack(f"<{len(variable.sides)}i", *variable.sides)
        head = tagged(6, struct.pack("<II", flags, 0)) + tagged(5, dims)
        head += tagged(1, self.key.encode())
        nbytes = variable.count * WIDTHS[storage]
        before, behind = tag_around(storage, nbytes)
        inner = len(head) + variable.parts * (len(before) + nbytes + len(behind))
        front = TEXT + b"\x00\x01IM" + struct.pack("<II", MATRIX, inner) + head + before
        return [front, *[behind + before] * (variable.parts - 1), behind]

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        x = checked_bool(x)
        parts = (x,) if part_of(form) == form.dtype else (x.real, x.imag)
        front, *rest = self.around(form)
        # Transposed the numbers are in C order what they are in column order.
        numbers = [little_endian(part.T).reshape(-1).view(np.uint8).data for part in parts]
        pairs = zip(numbers, rest, strict=True)
        return b"".join([front, *(piece for pair in pairs for piece in pair)])

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        if y[124:128] not in VERSIONS or 0 in y[:4]:
            raise DecodeError(f"payload has {len(y)} bytes{self.found(y) or ', no MAT-file'}")
        try:
            entry = v5.named(y, self.key, MAX_ELEMENTS)
            got, shape = dtype_name(entry.dtype), entry.shape
            sides = self.variable(form).sides
            if got != form.dtype or len(shape) < 2 or sides != padded(shape, len(sides)):
                needs = f"{form.dtype} {list(sides)}"
                raise FileError(f"holds {self.key} as {got} {list(shape)}, needs {needs}")
            x = entry.read()
        except FileError as error:
            raise DecodeError(f"payload {error}") from None
        return x.reshape(form.max_shape, order="F").astype(numpy_dtype(form.dtype), order="C")

    def found(self, y: bytes) -> str:
        """What a file is that is none of these versions, and what to do about it."""
        if HDF5_MAGIC in (y[:8], y[512:520]) or y.startswith(b"MATLAB 7.3"):
            return f": it is a MAT-file of version 7.3 (HDF5); {SAVE}"
        if 0 in y[:4]:
            return f": it may be a MAT-file of version 4; {SAVE}"
        return ""

    # -- graph --------------------------------------------------------------------------------

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        rows = rows.guard(self.filler(form))
        payloads, variable = rows.data, self.variable(form)
        inside = turns_inside(form)
        row = tf.TensorSpec([*form.max_shape] if inside else [variable.count], form.dtype)
        usual = Usual(self.around(form), form, row)
        general = General(variable, form, row)

        def any_file(payloads: Any) -> Any:
            # Up to 4 numbers have another front for each storage, and complex ones two tags.
            if variable.parts == 1 and variable.count > 4 and variable.matlab_class is not None:
                fronts = [self.around(form, storage)[0][128:] for storage in variable.storage]
                return general.alone(payloads, fronts)
            return general.decode(payloads)

        def all_usual() -> Any:
            good = tf.zeros(tf.shape(payloads), tf.int32)
            return [usual.decode(payloads), good, tf.cast(good, tf.int64)]

        def others() -> Any:
            return switch(0, [any_file], [payloads], general.signature)

        data, code, got = tf.cond(usual.matches(payloads), all_usual, others)
        data.set_shape([None, *row.shape])
        if not inside:
            data = turned(data, form)
        messages = [message.split("{}") for message in general.messages(self.key)]
        before, after = (list(side) for side in zip(*messages, strict=True))

        def text(row: Any) -> Any:
            number = tf.strings.as_string(tf.gather(got, row))
            kind = tf.gather(code, row)
            return tf.strings.join([tf.gather(before, kind), number, tf.gather(after, kind)])

        check = Check(tf.equal(code, 0), Status.HEADER, text)
        ok = check.passed if rows.ok is None else rows.ok & check.passed
        return replace(rows, data=data, ok=ok, checks=(*rows.checks, check), unguarded=False)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        x = rows.data
        parts = [x] if part_of(form) == form.dtype else [tf.math.real(x), tf.math.imag(x)]
        rank = len(form.shape)
        pieces: list[Any] = []
        for around, part in zip(self.around(form), [*parts, None], strict=True):
            pieces.append(around)
            if part is not None:
                columns = tf.transpose(part, [0, *range(rank, 0, -1)])
                pieces.append(raw_bytes(columns, part_nbytes(form)))
        return replace(rows, data=tf.strings.join(pieces))


def padded(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """``shape`` with the sides of 1 that MATLAB drops at its end."""
    return shape + (1,) * (rank - len(shape))


def tag_around(kind: int, nbytes: int) -> tuple[bytes, bytes]:
    """What stands before and behind ``nbytes`` of a type: few are in the small form."""
    if nbytes <= 4:
        return struct.pack("<HH", kind, nbytes), bytes(4 - nbytes)
    return struct.pack("<II", kind, nbytes), bytes(-nbytes % 8)


def tagged(kind: int, data: bytes) -> bytes:
    """``data`` as a whole element."""
    before, behind = tag_around(kind, len(data))
    return before + data + behind
