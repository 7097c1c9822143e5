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
from ....formats.mat import types, v5
from ....formats.sniff import HDF5_MAGIC
from ....formats.zlib_stream import compress_bound
from ....graph.casts import transposed
from ....graph.raw_bytes import raw_bytes
from ....graph.rows import Check, Rows, Status
from ....graph.switch import cond, outlined
from ...base import Container
from ..template import from_column_order
from .rows import SAVE, AnyLayout, FastPath, part_nbytes, part_of, transposes_each_row
from .walk import MAX_ELEMENTS, MatVariable

#: The header: a free text, then version and byte order.
HEADER = b"MATLAB 5.0 MAT-file, by tfdecode".ljust(116) + bytes(8) + types.VERSION
#: The smallest file: its header, and the tags of an element and of its content.
MIN_NBYTES = len(HEADER) + 8 + 8
#: Limit of the bytes of other variables in the file.
MAX_OTHERS_NBYTES = 2**24


@dataclass(frozen=True)
class Mat(Container):
    """One variable of a MAT-file by MATLAB, Octave or `scipy.io.savemat`, versions 5 to 7.2.

    The file may hold up to 32 variables, compressed or not. Numbers may be stored in a narrower
    type, and sides of 1 at the end of a shape dropped, as MATLAB does. A vector is a row.

    Parameters
    ----------
    key : str
        Name of the variable: a letter, then up to 62 letters, digits and underscores.

    Notes
    -----
    Format: MathWorks, "MAT-File Format", chapter 1. Big-endian files and versions 4 and 7.3 are
    refused; `tfdecode.load` reads them.

    A hostile compressed variable can take 2,100 times its length, which is at most about that of
    the array. Rows are inflated one after the other if four could take more than 1 GiB. A damaged
    stream makes a bad row. The graph does not compare the checksum of a stream.

    Examples
    --------
    >>> import numpy as np, tfdecode
    >>> spec = tfdecode.ArraySpec((2, 3), "uint8", "mat:S")
    >>> spec.encode(np.arange(6, dtype="uint8").reshape(2, 3))[-8:]
    b'\\x00\\x03\\x01\\x04\\x02\\x05\\x00\\x00'
    """

    name = "mat"
    suffixes = (".mat",)
    contents = mat.contents
    magics = (b"MATLAB ",)
    key: str

    def __post_init__(self) -> None:
        if isinstance(self.key, str) and re.search(r"[.\[]", self.key):
            raise SpecError(
                "codec mat: a graph reads variables, not fields of structs or cells; save the "
                "numbers as a variable of their own"
            )
        if not isinstance(self.key, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9_]{,62}", self.key):
            raise SpecError(
                f"codec mat: key is {self.key!r}, needs the name of a variable: a letter, then up "
                "to 62 letters, digits and _"
            )

    def resolve(self, form: ArrayForm) -> BytesForm:
        form.require_fixed(self.name)
        if form.dtype in ("float16", "bfloat16"):
            raise SpecError(
                f"codec mat: MATLAB has no {form.dtype}; use astype:float32|mat:{self.key} for "
                "files of single"
            )
        most = 128 + self.variable(form).max_nbytes
        return BytesForm(
            MIN_NBYTES,
            max(most, min(most + MAX_OTHERS_NBYTES, MAX_NBYTES - 64)),
            lambda: self.filler(form),
            self.found,
        )

    def bounded(self, form: ArrayForm) -> bool:
        return False  # a compressed file can take 2,100 times its length

    def inflates(self, form: ArrayForm) -> int:
        return self.variable(form).max_nbytes

    def variable(self, form: ArrayForm) -> MatVariable:
        """What the file must hold."""
        shape = form.max_shape
        sides = shape if len(shape) > 1 else (1, *shape) if shape else (1, 1)
        part = PARTS.get(form.dtype, form.dtype)
        matlab_class = None if form.dtype == "bool" else types.CLASS_OF[part]
        return MatVariable(self.key, sides, matlab_class, 1 + (part != form.dtype))

    # -- numpy --------------------------------------------------------------------------------

    def around(self, form: ArrayForm, storage: int | None = None) -> list[bytes]:
        """The bytes before the numbers, between the parts of complex ones, and after them.

        ``storage`` is the type in which the numbers are stored, by default that of their class.
        """
        variable = self.variable(form)
        part = "uint8" if form.dtype == "bool" else part_of(form)
        storage = types.TYPE_OF[part] if storage is None else storage
        flags = types.CLASS_OF[part] | (form.dtype == "bool") << types.LOGICAL
        flags |= (variable.parts - 1) << types.COMPLEX
        dims = struct.pack(f"<{len(variable.sides)}i", *variable.sides)
        head = tagged(6, struct.pack("<II", flags, 0)) + tagged(5, dims)
        head += tagged(1, self.key.encode())
        nbytes = variable.count * types.storage_nbytes(storage)
        before, after = tag_around(storage, nbytes)
        inner = len(head) + variable.parts * (len(before) + nbytes + len(after))
        prefix = HEADER + struct.pack("<II", types.MATRIX, inner) + head + before
        return [prefix, *[after + before] * (variable.parts - 1), after]

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        x = checked_bool(x)
        parts = (x,) if part_of(form) == form.dtype else (x.real, x.imag)
        prefix, *rest = self.around(form)
        # The transposed array in C order is the array in column order.
        numbers = [little_endian(part.T).reshape(-1).view(np.uint8).data for part in parts]
        pairs = zip(numbers, rest, strict=True)
        return b"".join([prefix, *(piece for pair in pairs for piece in pair)])

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        if y[124:128] != types.VERSION or 0 in y[:4]:
            reason = self.found(y) or ", not a MAT-file of version 5 to 7.2"
            raise DecodeError(f"payload has {len(y)} bytes{reason}")
        try:
            most_packed = compress_bound(self.variable(form).max_nbytes)
            entry = v5.named(y, self.key, MAX_ELEMENTS, most_packed)
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
        """The version or byte order of a file that is refused, and what to do."""
        if HDF5_MAGIC in (y[:8], y[512:520]) or y.startswith(b"MATLAB 7.3"):
            return f": it is a MAT-file of version 7.3 (HDF5); {SAVE}"
        if 0 in y[:4]:
            return f": it may be a MAT-file of version 4; {SAVE}"
        if y[124:128] == types.BIG_ENDIAN:
            return f": it is a big-endian MAT-file; {SAVE}"
        return ""

    # -- graph --------------------------------------------------------------------------------

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        rows = rows.guard(self.filler(form))
        payloads, variable = rows.data, self.variable(form)
        if not tf.executing_eagerly():
            # A batch of a static size: substr and loops refuse to trace [1] together with [None].
            payloads = tf.compat.v1.placeholder_with_default(payloads, [None])
        inside = transposes_each_row(form)
        row = tf.TensorSpec([*form.max_shape] if inside else [variable.count], form.dtype)
        fast, any_layout = FastPath(self.around(form), form, row), AnyLayout(variable, form, row)

        def any_file() -> list[Any]:
            # The prefix of up to 4 numbers differs in length, and complex numbers have two tags.
            if variable.parts == 1 and variable.count > 4 and variable.matlab_class is not None:
                prefixes = [self.around(form, storage)[0][128:] for storage in variable.storage]
                return any_layout.decode_single_variable(payloads, prefixes)
            return any_layout.decode(payloads)

        def all_match() -> list[Any]:
            good = tf.zeros(tf.shape(payloads), tf.int32)
            return [fast.decode(payloads), good, tf.cast(good, tf.int64)]

        data, code, got = cond(fast.matches(payloads), all_match, outlined(any_file))
        data.set_shape([None, *row.shape])
        if not inside:
            data = from_column_order(data, form.max_shape)
        messages = [message.split("{}") for message in any_layout.messages(self.key)]
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
                columns = transposed(part, [0, *range(rank, 0, -1)])
                pieces.append(raw_bytes(columns, part_nbytes(form)))
        return replace(rows, data=tf.strings.join(pieces))


def padded(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """``shape`` with the sides of 1 that MATLAB drops at its end."""
    return shape + (1,) * (rank - len(shape))


def tag_around(kind: int, nbytes: int) -> tuple[bytes, bytes]:
    """The tag before ``nbytes`` of a type, and the padding after: up to 4 have the small form."""
    if nbytes <= 4:
        return struct.pack("<HH", kind, nbytes), bytes(4 - nbytes)
    return struct.pack("<II", kind, nbytes), bytes(-nbytes % 8)


def tagged(kind: int, data: bytes) -> bytes:
    """``data`` as a whole element."""
    before, after = tag_around(kind, len(data))
    return before + data + after
