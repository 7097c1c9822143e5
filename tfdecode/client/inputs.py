"""The batches that a model is fed, from arrays, files and payloads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .. import reading
from ..array_like import as_array
from ..choose.as_is import reads_as_is, same, untouched
from ..conversion import converted
from ..errors import DecodeError, EncodeError, FileError, MissingExtraError, TfdecodeError
from ..files import form_for, load, naming, opened
from ..formats.contents import MAX_BYTES
from ..layouts import lengths_of, stacked
from ..spec import ArraySpec
from .array_file import PAYLOAD_SUFFIX, ArrayFile
from .signature import ANY, Tensor, by_key, lengths_in


class Provenance(NamedTuple):
    """How a row was produced, and by which chain."""

    #: "untouched" file, "packed" by the chain, "array" of a file for an array input, or "as it is".
    how: str = "as it is"
    codecs: str | None = None


class PreparedInput(NamedTuple):
    """The array to feed, with its batch dimension, and how each row was produced."""

    array: npt.NDArray[Any]
    provenance: list[Provenance]
    #: Of each row, if they may differ.
    lengths: list[npt.NDArray[np.int32]] | None = None


BYTES = bytes | bytearray | memoryview
#: One example. A str is never a path here, so that forwarded text cannot read local files.
Value: TypeAlias = "npt.ArrayLike | bytes | os.PathLike[str] | ArrayFile"
#: One example or several of each input.
Inputs: TypeAlias = "Mapping[str, Value | Sequence[Value]]"
Outputs: TypeAlias = "dict[str, npt.NDArray[Any]]"


def prepare(
    inputs: Inputs, known: Mapping[str, Tensor], signature: str
) -> dict[str, PreparedInput]:
    """What to feed, by signature key: the batches of ``inputs``, and the lengths of arrays.

    Arrays of different length are padded if the signature takes their lengths, and these are not
    given.
    """
    given, lengths = named_inputs(inputs, known, signature)
    prepared = {
        key: prepare_batch(known[key], value, key in lengths.values())
        for key, value in given.items()
    }
    for key, of in lengths.items():
        prepared[key] = PreparedInput(np.array(prepared[of].lengths, known[key].dtype), [])
    return prepared


def named_inputs(
    inputs: Mapping[str, Any], known: Mapping[str, Tensor], signature: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """``inputs`` by signature key, and the lengths to add; SpecError for a wrong name."""
    lengths = {key: of for key, of in lengths_in(known).items() if key not in inputs}
    named = {key: one for key, one in known.items() if key not in lengths}
    return by_key(inputs, named, signature), lengths


def prepare_batch(
    given: Tensor, value: Value | Sequence[Value], any_length: bool = False
) -> PreparedInput:
    """The batch to feed for one example or a list of examples, padded if of ``any_length``."""
    several = isinstance(value, Sequence) and not isinstance(value, BYTES | str)
    values = [
        bytes(one) if isinstance(one, BYTES) else one
        for one in (value if several else [value])  # type: ignore[union-attr]
    ]
    if not values:
        raise EncodeError(f"input {given.name} has no rows")
    rows, provenance = [], []
    for index, item in enumerate(values):
        try:
            found = [prepare_row(given, item)] if several else prepare_rows(given, item)
        except FileError:  # names the file
            raise
        except TfdecodeError as error:
            prefix = f"input {given.name}, row {index}" if several else f"input {given.name}"
            raise type(error)(f"{prefix}: {error}") from None
        rows += [row for row, _ in found]
        provenance += [how for _, how in found]
    lengths = None
    if any_length:
        rows, lengths = padded_rows(given, rows, several)
    return PreparedInput(assemble(given, rows, several), provenance, lengths)


def padded_rows(given: Tensor, rows: list[Any], several: bool) -> tuple[list[Any], list[Any]]:
    """The rows, padded with zeros to the longest, and the lengths of each."""
    sides = (given.shape or ())[1:]
    if not several and rows[0].ndim == len(sides) + 1:  # a batch as it is
        return rows, [lengths_of(sides, rows[0].shape[1:])] * len(rows[0])
    if any(row.ndim != len(sides) for row in rows):
        return rows, []  # which no signature takes
    return list(stacked(rows)), [lengths_of(sides, row.shape) for row in rows]


def prepare_rows(given: Tensor, value: Any) -> list[tuple[Any, Provenance]]:
    """The same for one value, which may be an array or a file with all rows of a batch."""
    spec = given.spec
    if spec is None or isinstance(value, bytes | str):
        return [prepare_row(given, value)]
    if not isinstance(value, os.PathLike | ArrayFile):
        array = as_array(value)
        return [prepare_row(given, row) for row in (array if is_batch(spec, array) else [array])]
    try:
        return [prepare_row(given, value)]
    except EncodeError:
        file = value if isinstance(value, ArrayFile) else ArrayFile(value)
        array = load(file.path, file.key, casting=file.casting, dtype=spec.dtype, **file.reading)
        if not is_batch(spec, array):
            raise
        with naming(file.path):
            return [encode_array(spec, row) for row in array]


def is_batch(spec: ArraySpec, array: npt.NDArray[Any]) -> bool:
    """Whether an array has one dimension more than the spec, and so cannot be one example."""
    return array.ndim == len(spec.shape) + 1 and len(array) > 0


def prepare_row(given: Tensor, value: Any) -> tuple[Any, Provenance]:
    """The row to feed for one example, bytes or an array, and how it was produced."""
    if isinstance(value, str):  # a service that forwards text must not read local files
        raise EncodeError("is text, needs an array, bytes or a pathlib.Path")
    file = ArrayFile(value) if isinstance(value, os.PathLike) else value
    if given.dtype == "string":
        if isinstance(value, bytes):
            return value, Provenance()
        if isinstance(file, ArrayFile):
            if given.spec is None or file.path.suffix == PAYLOAD_SUFFIX:
                return file_bytes(file), Provenance()
            try:
                return encode_file(given.spec, file)
            except MissingExtraError:  # a JPEG image without Pillow: the model looks at it
                data = file_bytes(file)
                chain, _ = given.spec.chain.chosen(data)
                if not (chain.native and chain.magics and data.startswith(chain.magics)):
                    raise
                return data, Provenance("untouched", chain.text)
        if given.spec is not None:
            return encode_array(given.spec, value)
        return np.asarray(value, object), Provenance()
    if isinstance(file, ArrayFile):
        to: Any = {} if given.dtype == ANY else {"dtype": given.dtype, "casting": file.casting}
        return load(file.path, file.key, **to, **file.reading), Provenance("array")
    if isinstance(value, bytes):
        raise EncodeError(f"is bytes, needs an array of {given.dtype}")
    array = np.asarray(value)
    if array.dtype.name != given.dtype:
        raise EncodeError(f"array is {array.dtype.name}, the signature needs {given.dtype}")
    return array, Provenance()


def encode_file(spec: ArraySpec, file: ArrayFile) -> tuple[bytes, Provenance]:
    """All bytes of a file if the spec reads it; else its array, encoded."""
    form = form_for(spec, file.path)
    found, data, contents = opened(file.path, **form, **file.reading)
    read, how = None, Provenance()
    with naming(file.path):
        if reads_as_is(spec, found):
            with contextlib.suppress(DecodeError):
                read = untouched(spec, data, max_bytes=file.max_bytes)
                how = Provenance("untouched", spec.chain.chosen(data)[0].text)
        if read is not None and file.key is None:
            return data, how
        array = contents.read(file.key, max_bytes=file.max_bytes)
        array = converted(array, spec.dtype, file.casting)
        # A key may choose another array of the file than the spec reads.
        return (data, how) if read is not None and same(read, array) else encode_array(spec, array)


def encode_array(spec: ArraySpec, array: npt.NDArray[Any]) -> tuple[bytes, Provenance]:
    """The payload of an array, and the chain that encoded it."""
    payload = spec.encode(array)
    return payload, Provenance("packed", spec.chain.chosen(payload)[0].text)


def assemble(given: Tensor, rows: Sequence[Any], several: bool) -> npt.NDArray[Any]:
    """Rows as one array of the signature's shape."""
    batch: npt.NDArray[Any]
    if isinstance(rows[0], bytes):
        batch = np.empty(len(rows), object)
        batch[:] = rows
    elif not several and given.shape is not None and len(given.shape) == rows[0].ndim:
        batch = rows[0]  # has its batch dimension, or the input has none
    elif len({row.shape for row in rows}) > 1:
        listed = ", ".join(str(list(row.shape)) for row in rows[:5])
        raise EncodeError(f"input {given.name}: rows differ in shape: {listed}")
    else:
        batch = np.stack(rows)
    if given.shape == () and batch.shape == (1,):
        batch = batch.reshape(())
    if not given.takes(batch.shape):
        shape = list(batch.shape)
        raise EncodeError(f"input {given.name}: has shape {shape}, the signature takes {given}")
    return batch


def file_bytes(file: ArrayFile) -> bytes:
    """All bytes of a file, such as an encoded image or a payload."""
    path = file.path
    if file.key is not None:
        raise EncodeError(f"{path} is sent unchanged, so no array {file.key!r} can be chosen")
    return reading.read(path, MAX_BYTES, "a tensor holds no more")
