"""TFRecord files and ``tf.train.Example`` without TensorFlow, byte for byte as TensorFlow writes.

A worker that imports TensorFlow takes seconds and hundreds of megabytes before its first file.

Sources: https://www.tensorflow.org/tutorials/load_data/tfrecord (the record: length, CRC of the
length, data, CRC of the data), and tensorflow/core/example/feature.proto (the messages).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np

from ..errors import EncodeError, FileError
from ..extras import LazyModule
from ..formats.tensor_proto import fields, read_varint
from ..protobuf_fields import field, head, varints

#: A value of a feature: one of a kind, or several.
Value = (
    bytes | str | int | float | Sequence[bytes] | Sequence[str] | Sequence[int] | Sequence[float]
)
#: Protocol buffers have at most 2 GiB.
MAX_EXAMPLE_BYTES = 2**31 - 1
#: What the CRC of a record is rotated by and added to, so that the CRC of a CRC is not trivial.
_ROTATE, _MASK = 15, 0xA282EAD8
#: The field numbers of BytesList, FloatList and Int64List in a Feature.
BYTES, FLOAT, INT64 = 1, 2, 3
_LARGEST = float(np.finfo(np.float32).max)

_crc32c: Any = LazyModule("google_crc32c", "bulk")


def record(data: bytes) -> bytes:
    """The bytes of one record of a TFRecord file.

    Examples
    --------
    >>> record(b"abc")[:8]
    b'\\x03\\x00\\x00\\x00\\x00\\x00\\x00\\x00'
    """
    length, crc = struct.pack("<Q", len(data)), _crc32c.value
    return b"".join((length, _masked(crc(length)), data, _masked(crc(data))))


def _masked(crc: int) -> bytes:
    rotated = crc >> _ROTATE | crc << (32 - _ROTATE)
    return struct.pack("<I", (rotated + _MASK) & 0xFFFFFFFF)


def example(features: Mapping[str, Value]) -> bytes:
    """The bytes of a ``tf.train.Example``; EncodeError if a value is not of one of its kinds.

    Parameters
    ----------
    features : mapping of str to bytes, str, int, float, or a sequence of one of them
        bool and int become an ``int64_list``, float a ``float_list``, bytes and str (as UTF-8) a
        ``bytes_list``.

    Examples
    --------
    >>> example({"label": 3})
    b'\\n\\x10\\n\\x0e\\n\\x05label\\x12\\x05\\x1a\\x03\\n\\x01\\x03'
    """
    # In the order of their UTF-8, which is that of their characters.
    entries = [piece for name in sorted(features) for piece in _entry(name, features[name])]
    serialized = b"".join((head(1, sum(map(len, entries))), *entries))
    if len(serialized) > MAX_EXAMPLE_BYTES:
        size = f"has {len(serialized)} bytes, at most {MAX_EXAMPLE_BYTES} are possible"
        raise EncodeError(f"a tf.train.Example {size}")
    return serialized


def _entry(name: str, value: Value) -> tuple[bytes, bytes]:
    """The bytes of a feature, in two pieces: a payload is not copied for each message around it."""
    if isinstance(value, bytes):
        found, data, heads = BYTES, value, head(1, len(value))
    else:
        found, values = typed(name, value)
        if found == BYTES:
            data, heads = b"".join(field(1, item) for item in values), b""
        else:
            data = np.asarray(values, "<f4").tobytes() if found == FLOAT else varints(values)
            heads = head(1, len(data))
    key = _key(name)
    for number in (found, 2):
        heads = head(number, len(heads) + len(data)) + heads
    return head(1, len(key) + len(heads) + len(data)) + key + heads, data


@lru_cache(256)
def _key(name: str) -> bytes:
    return field(1, name.encode())


def records(file: Any, size: int, compressed: bool = False) -> Iterator[bytes]:
    """The data of each record of a TFRecord file of ``size`` bytes; FileError if it is none.

    Checksums are not compared: a manifest has a better one.

    Examples
    --------
    >>> import io
    >>> data = record(b"abc") + record(b"")
    >>> list(records(io.BytesIO(data), len(data)))
    [b'abc', b'']
    """
    if compressed:
        file, size = gzip.GzipFile(fileobj=file), MAX_EXAMPLE_BYTES
    try:
        while head := file.read(12):
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size + 1
            data = file.read(length + 4) if length <= size else b""
            if len(data) != length + 4:
                raise FileError("is no TFRecord file, or cut")
            yield data[:-4]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"is not compressed by gzip, or cut ({error})") from None


def features_of(data: bytes) -> dict[str, list[Any]]:
    """The values of each feature of a ``tf.train.Example``; FileError if it is none.

    Examples
    --------
    >>> features_of(example({"file": "a.npy", "label": [3, -1], "weight": 0.5}))
    {'file': [b'a.npy'], 'label': [3, -1], 'weight': [0.5]}
    """
    found: dict[str, list[Any]] = {}
    try:
        for features in _parts(data, 1):
            for entry in _parts(features, 1):
                (name,), (feature,) = _parts(entry, 1), _parts(entry, 2)
                values = found[bytes(name).decode()] = []
                for kind in (BYTES, FLOAT, INT64):
                    for one in _parts(feature, kind):
                        values += _values(kind, _parts(one, 1))
    except (FileError, ValueError):
        raise FileError("is not a tf.train.Example") from None
    return found


def _values(kind: int, parts: list[memoryview]) -> list[Any]:
    """The values of a BytesList, or those of a FloatList or Int64List, which are packed."""
    if kind == BYTES:
        return [bytes(part) for part in parts]
    packed = memoryview(b"".join(parts))
    if kind == FLOAT:
        floats: list[float] = np.frombuffer(packed, "<f4").tolist()
        return floats
    numbers, start = [], 0
    while start < len(packed):
        number, start = read_varint(packed, start, 2**64 - 1)
        numbers.append(number - 2**64 if number >= 2**63 else number)
    return numbers


def _parts(message: bytes | memoryview, number: int) -> list[memoryview]:
    """The fields of this number that have a length."""
    found = fields(memoryview(message))
    return [part for field, part in found if field == number and isinstance(part, memoryview)]


def typed(name: str, value: Value) -> tuple[int, list[Any]]:
    """Which list of a Feature holds the value (BYTES, FLOAT, INT64), and the list."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    values: list[Any] = [value] if is_one(value) else list(value)  # type: ignore[arg-type]
    kinds = {_kind(item) for item in values}
    if len(kinds) != 1 or None in kinds:
        held = ", ".join(sorted({type(item).__name__ for item in values})) or "nothing"
        raise EncodeError(f"feature {name} holds {held}; needs texts, whole numbers or floats")
    (found,) = kinds
    if found == BYTES:
        return BYTES, [item.encode() if isinstance(item, str) else item for item in values]
    if found == FLOAT:
        floats = [float(item) for item in values]
        if any(_LARGEST < abs(number) < inf for number in floats):
            raise EncodeError(f"feature {name}: a number does not fit float32")
        return FLOAT, floats
    numbers = [int(item) for item in values]
    if not all(-(2**63) <= number < 2**63 for number in numbers):
        raise EncodeError(f"feature {name}: a whole number does not fit int64")
    return INT64, numbers


def is_one(value: Value) -> bool:
    """Whether a value is one, not a sequence of values."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0
    return isinstance(value, bytes | str) or not hasattr(value, "__len__")


def _kind(item: object) -> int | None:
    if isinstance(item, bytes | str):
        return BYTES
    if isinstance(item, float | np.floating):
        return FLOAT
    return INT64 if isinstance(item, int | np.integer | np.bool_) else None
