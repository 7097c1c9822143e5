"""TensorProto, the protobuf message of one tensor (``tensor.proto`` of TensorFlow)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from ..dtypes import numpy_dtype
from ..errors import FileError
from ..protobuf_fields import field as message_field
from ..protobuf_fields import varints
from .contents import MAX_BYTES, Array, Contents, Entry, checked_shape, view

#: dtype -> its number in ``types.proto``, and the number of the field for its values.
DTYPES = {
    "float32": (1, 5), "float64": (2, 6), "int32": (3, 7), "uint8": (4, 7), "int16": (5, 7),
    "int8": (6, 7), "complex64": (8, 9), "int64": (9, 10), "bool": (10, 11), "bfloat16": (14, 13),
    "uint16": (17, 7), "complex128": (18, 12), "float16": (19, 13), "uint32": (22, 16),
    "uint64": (23, 17),
}  # fmt: skip
NAMES = {number: name for name, (number, _) in DTYPES.items()}
#: The field that holds all values as bytes.
CONTENT = 4
VALUES = {CONTENT, *(field for _, field in DTYPES.values())}
#: Fields whose elements are varints of one to ten bytes; those of bool take one.
VARINT_FIELDS = (7, 10, 13, 16, 17)
MAX_VARINT_NBYTES = 10
#: The largest tag or length: no message has more bytes.
MAX_LENGTH = 2**31 - 1
#: A dimension is a few bytes, and a shape has at most 32 of them.
MAX_SHAPE_NBYTES = 32 * (2 + 1 + MAX_VARINT_NBYTES)


def form_bytes(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The fields for dtype and shape; a number that is 0 is left out."""
    dimensions = b"".join(map(dimension, shape))
    return b"\x08" + varints([DTYPES[dtype][0]]) + message_field(2, dimensions)


def dimension(side: int) -> bytes:
    """One side of a shape."""
    return message_field(2, b"\x08" + varints([side]) if side else b"")


def is_prefixed(data: bytes) -> bool:
    """Whether ``data`` is the length of the rest, as short a varint as it can be, and the rest."""
    lengths = (varints([len(data) - digits]) for digits in range(1, min(5, len(data)) + 1))
    return any(
        len(length) == digits and data.startswith(length)
        for digits, length in enumerate(lengths, 1)
    )


def head(dtype: str, shape: tuple[int, ...], field: int, nbytes: int) -> bytes:
    """All that is before ``nbytes`` of values; a field without bytes is left out."""
    after = varints([field << 3 | 2, nbytes]) if nbytes else b""
    return form_bytes(dtype, shape) + after


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The tensor of a message with all its values in one field, whose key is ``""``."""
    number, sides, values = -1, None, []
    for field, value in fields(memoryview(data)):
        if field == 1 and isinstance(value, int):
            number = value
        elif field == 2 and isinstance(value, memoryview):
            sides = sides_of(value)
        elif field in VALUES:
            values.append((field, value))
        elif field != 3:  # the version
            raise FileError(f"has field {field}, which no TensorProto of numbers has")
    if sides is None:
        raise FileError("is not a TensorProto: it has no shape")
    if number not in NAMES:
        raise FileError(f"is a TensorProto of dtype {number}, not of numbers")
    name = NAMES[number]
    dtype = numpy_dtype(name)
    shape = checked_shape(sides, dtype.itemsize)

    def read() -> Array:
        if len(values) > 1:
            raise FileError("is a TensorProto with values in several pieces")
        field, value = values[0] if values else (CONTENT, memoryview(b""))
        if field not in (CONTENT, DTYPES[name][1]) or not isinstance(value, memoryview):
            raise FileError(f"is a TensorProto of {name} with values in field {field}")
        if field in VARINT_FIELDS:
            value = memoryview(varint_values(value, name))
        if len(value) != prod(shape) * dtype.itemsize:
            raise FileError(
                f"is a TensorProto of {name} {list(shape)} with {len(value) // dtype.itemsize} "
                "values; tf.io.serialize_tensor writes all"
            )
        return view(value, dtype.newbyteorder("<") if name != "bfloat16" else dtype, shape)

    return Contents([Entry("", dtype, shape, read)])


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The number and value of each field of a message."""
    start = 0
    while start < len(data):
        tag, start = read_varint(data, start, MAX_LENGTH)
        if tag & 7 not in (0, 2):
            raise FileError("is not a TensorProto")
        number, start = read_varint(data, start, MAX_LENGTH if tag & 7 else 2**64 - 1)
        if tag & 7 == 0:
            yield tag >> 3, number
            continue
        if number > len(data) - start:
            raise FileError("is not a TensorProto, or cut")
        yield tag >> 3, data[start : start + number]
        start += number


def sides_of(data: memoryview) -> list[object]:
    """The sides of a TensorShapeProto."""
    if len(data) > MAX_SHAPE_NBYTES:
        raise FileError(f"is a TensorProto with a shape of {len(data)} bytes")
    sides: list[object] = []
    for field, value in fields(data):
        if field != 2 or not isinstance(value, memoryview):
            raise FileError("is a TensorProto of unknown shape")
        sides.append(dict(fields(value)).get(1, 0))
    return sides


def read_varint(data: memoryview, start: int, most: int) -> tuple[int, int]:
    """The varint at ``start``, and where it ends."""
    number = 0
    for place, byte in enumerate(data[start : start + MAX_VARINT_NBYTES]):
        number |= (byte & 127) << 7 * place
        if byte < 128 and number <= most:
            return number, start + place + 1
    raise FileError("is not a TensorProto, or cut")


def varint_values(data: memoryview, name: str) -> bytes:
    """Numbers in varints, each as short as it can be, as little-endian elements of a dtype."""
    bad = FileError(f"is a TensorProto with damaged values of {name}")
    digits = np.frombuffer(data, np.uint8)
    if not digits.size or digits[-1] > 127:
        raise bad
    ends = np.flatnonzero(digits < 128)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    padded = (digits[ends] == 0) & (lengths > 1)
    beyond = (lengths == MAX_VARINT_NBYTES) & (digits[ends] > 1)
    if lengths.max() > MAX_VARINT_NBYTES or padded.any() or beyond.any():
        raise bad
    values = np.zeros(ends.size, np.uint64)
    for place in range(int(lengths.max())):
        digit = digits[np.minimum(starts + place, ends)].astype(np.uint64) & np.uint64(127)
        digit[place >= lengths] = 0
        values |= digit << np.uint64(7 * place)
    low, high = value_limits(name)
    signed = values.view(np.int64)
    if ((signed < low) | (signed > high)).any():
        raise bad
    item = numpy_dtype(name).itemsize
    return values.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :item].tobytes()


def value_limits(name: str) -> tuple[int, int]:
    """The least and greatest element of a dtype in a varint, read as int64."""
    dtype = numpy_dtype(name)
    if dtype.itemsize == 8:
        return -(2**63), 2**63 - 1
    if dtype.kind == "i":
        return -(2 ** (8 * dtype.itemsize - 1)), 2 ** (8 * dtype.itemsize - 1) - 1
    return 0, 2 ** (8 * dtype.itemsize) - 1  # the bits of float16 and bfloat16
