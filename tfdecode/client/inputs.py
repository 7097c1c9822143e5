"""The inputs of a signature, and what is fed to them for arrays, files and payloads."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..casts import exact_astype
from ..choose.as_is import reads_as_is, same, untouched
from ..codecs.chain_text import brief
from ..errors import DecodeError, EncodeError, FileError, TfdecodeError
from ..extras import tensorflow as tf
from ..files import load, opened
from ..formats.contents import MAX_BYTES, shown
from ..schema import Schema, bytes_key
from ..spec import ArraySpec

#: The suffix of files that hold a payload.
PAYLOAD_SUFFIX = ".tfd"


@dataclass(frozen=True)
class ArrayFile:
    """One array of a file that may hold several."""

    path: Path
    key: str | None = None
    max_bytes: int = MAX_BYTES


class Way(NamedTuple):
    """What was done to make one row: nothing, or what a chain reads or has packed.

    ``how`` is "untouched" for a file that the chain reads, "packed" for an array by the chain,
    "array" for that of a file where the model takes arrays, and "as it is" for a payload and for
    what no chain is for.
    """

    how: str = "as it is"
    codecs: str | None = None


class Fed(NamedTuple):
    """What one input is fed, the batch dimension included, and how each row was made."""

    array: np.ndarray
    ways: list[Way]


Value: TypeAlias = "np.ndarray | bytes | Path | ArrayFile"


@dataclass(frozen=True)
class Input:
    """One input of a signature: its name, the key it is fed by, and what it takes."""

    name: str
    key: str
    dtype: Any  # a tf.DType
    shape: Any  # a tf.TensorShape, with the batch dimension
    spec: ArraySpec | None = None

    @classmethod
    def of_signature(cls, infos: Mapping[str, Any], schema: Schema) -> dict[str, Input]:
        """Signature key -> input, from the TensorInfo of each and the schema."""
        specs = {bytes_key(name): (name, spec) for name, spec in schema.items()}
        inputs = {}
        for key, info in infos.items():
            dtype, shape = tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape)
            name, spec = specs.get(key, (key, None)) if dtype == tf.string else (key, None)
            inputs[key] = cls(name, key, dtype, shape, spec)
        return inputs

    @property
    def batched(self) -> bool:
        """Whether the first dimension may be any number of rows."""
        return self.shape.rank is None or (self.shape.rank > 0 and self.shape[0] is None)

    def __str__(self) -> str:
        if self.spec is not None:
            return f"{self.name} ({self.spec.chain.form} by {brief(self.spec.chain.text)})"
        if self.shape.rank is None:
            return f"{self.name} ({self.dtype.name} of any shape)"
        sides = ", ".join(str(side) for side in self.shape.as_list())
        return f"{self.name} ({self.dtype.name} [{sides}])"


def stacked(given: Input, value: Value | Sequence[Value]) -> Fed:
    """What to feed for one example or a list of them."""
    if isinstance(value, bytearray | memoryview):
        value = bytes(value)
    several = isinstance(value, Sequence) and not isinstance(value, bytes | str)
    values: list[Any] = list(value) if several else [value]  # type: ignore[arg-type]
    if not values:
        raise EncodeError(f"input {given.name} has no rows")
    rows, ways = [], []
    for index, item in enumerate(values):
        try:
            row, way = row_of(given, item)
        except FileError:  # names the file
            raise
        except TfdecodeError as error:
            place = f"input {given.name}, row {index}" if several else f"input {given.name}"
            raise type(error)(f"{place}: {error}") from None
        rows.append(row)
        ways.append(way)
    return Fed(joined(given, rows, several), ways)


def row_of(given: Input, value: Any) -> tuple[Any, Way]:
    """One example, a payload, a byte string or an array, and how it was made."""
    if isinstance(value, str):  # a service that forwards text must not read local files
        raise EncodeError("is text, needs an array, bytes or a pathlib.Path")
    file = ArrayFile(value) if isinstance(value, Path) else value
    if given.dtype == tf.string:
        if isinstance(value, bytes):
            return value, Way()
        if isinstance(file, ArrayFile):
            if given.spec is None or file.path.suffix == PAYLOAD_SUFFIX:
                return file_bytes(file), Way()
            return packed(given.spec, file)
        if given.spec is not None:
            return encoded(given.spec, value)
        return np.asarray(value, object), Way()
    if isinstance(file, ArrayFile):
        try:
            array = load(file.path, file.key, max_bytes=file.max_bytes)
            return exact_astype(array, given.dtype.name), Way("array")
        except EncodeError as error:
            raise EncodeError(f"{file.path}: {error}") from None
    if isinstance(value, bytes):
        raise EncodeError(f"is bytes, needs an array of {given.dtype.name}")
    array = np.asarray(value)
    if array.dtype.name != given.dtype.name:
        raise EncodeError(f"array is {array.dtype.name}, the signature needs {given.dtype.name}")
    return array, Way()


def packed(spec: ArraySpec, file: ArrayFile) -> tuple[bytes, Way]:
    """All bytes of a file where the spec takes it as it is; else its array, packed."""
    found, data, contents = opened(file.path, max_bytes=file.max_bytes)
    read, way = None, Way()
    try:
        if reads_as_is(spec, found):
            with contextlib.suppress(DecodeError):
                read = untouched(spec, data, max_bytes=file.max_bytes)
                way = Way("untouched", spec.chain.chosen(data)[0].text)
        if read is not None and file.key is None:
            return data, way
        array = contents.read(file.key, max_bytes=file.max_bytes)
    except FileError as error:
        raise FileError(f"{shown(str(file.path), 200)}: {error}") from None
    try:
        array = exact_astype(array, spec.dtype)
        # A key may choose another array of the file than the spec reads.
        return (data, way) if read is not None and same(read, array) else encoded(spec, array)
    except EncodeError as error:
        raise EncodeError(f"{file.path}: {error}") from None


def encoded(spec: ArraySpec, array: np.ndarray) -> tuple[bytes, Way]:
    """The payload of an array, and the chain that made it."""
    payload = spec.encode(array)
    return payload, Way("packed", spec.chain.chosen(payload)[0].text)


def joined(given: Input, rows: Sequence[Any], several: bool) -> np.ndarray:
    """Rows as one array that fits the signature's shape."""
    batch: np.ndarray
    if isinstance(rows[0], bytes):
        batch = np.empty(len(rows), object)
        batch[:] = rows
    elif not several and given.shape.rank == rows[0].ndim:
        batch = rows[0]  # has its batch dimension, or the input has none
    elif len({row.shape for row in rows}) > 1:
        listed = ", ".join(str(list(row.shape)) for row in rows[:5])
        raise EncodeError(f"input {given.name}: rows differ in shape: {listed}")
    else:
        batch = np.stack(rows)
    if given.shape.rank == 0 and batch.shape == (1,):
        batch = batch.reshape(())
    if not given.shape.is_compatible_with(batch.shape):
        raise EncodeError(
            f"input {given.name}: has shape {list(batch.shape)}, the signature takes {given}"
        )
    return batch


def file_bytes(file: ArrayFile) -> bytes:
    """The bytes of a file as they are, an encoded image or a payload."""
    path = file.path
    if file.key is not None:
        raise EncodeError(f"{path} is passed on as it is, so it has no array {file.key!r}")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would block, a device never end
            raise FileError(f"{path}: is not a regular file")
        if status.st_size > MAX_BYTES:
            raise FileError(f"{path}: has {status.st_size} bytes, at most {MAX_BYTES} can be fed")
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from None
