"""The spec under which a file of the user's is the payload, untouched."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..codecs.base import Container
from ..codecs.chain_text import brief
from ..codecs.native.sampled import MAX_AROUND_NBYTES, SampledFile, encoded, offset_in
from ..codecs.registry import CODECS
from ..dtypes import dtype_name, little_endian
from ..errors import PACK_ANEW, PACK_ARRAY, DecodeError, FileError, SpecError
from ..files import naming, opened
from ..formats import headerless
from ..formats.contents import MAX_BYTES, Array, beyond
from ..formats.readers import READERS
from ..spec import ArraySpec


def spec_of_file(
    path: Path, key: str | None = None, *, label: str = "", max_bytes: int = MAX_BYTES
) -> tuple[ArraySpec, bytes]:
    """The spec that decodes a file's bytes to what `load` reads, and these bytes; or FileError."""
    # No graph reads missing cells, and to pack the array is the better advice.
    found, data, contents = opened(path, max_bytes=max_bytes, missing="nan")
    with naming(path):
        array = contents.read(key, max_bytes=max_bytes)
        name = contents.entries[0].key if key is None else key
        try:
            return spec_of_array(found, data, array, name, label=label), data
        except FileError as error:
            said = PACK_ARRAY in str(error)
            raise FileError(f"{error}{'' if said else f'; or {PACK_ARRAY}'}") from None


def spec_of_array(
    found: str, data: bytes, array: Array, name: str, *, label: str = ""
) -> ArraySpec:
    """The same for an array that was read from ``data``: its file's format, and its name there."""
    try:
        dtype = dtype_name(array.dtype)
    except SpecError as error:
        raise FileError(str(error)) from None
    codec = CODECS.get(found)
    if codec is None or not issubclass(codec, Container):
        raise refused(READERS[found].advice if found in READERS else headerless.AS_IS)
    reasons = []
    for configuration in codec.file_configurations(name, data):
        try:
            spec = ArraySpec(array.shape, dtype, [configuration], label=label)
            # A decode of another length would read the whole file again to explain itself.
            fits = spec.chain.payload.min_nbytes <= len(data) <= spec.chain.payload.max_nbytes
            if not fits and issubclass(codec, SampledFile):
                continue
            if same(spec.decode(data), array):
                return spec
        except (SpecError, DecodeError, FileError) as error:
            reasons.append(str(error))
    if issubclass(codec, SampledFile):
        return sampled(codec, data, array, name, label)
    raise refused(codec.as_is_refusal(data) or (reasons or ["its array has no name"])[0])


def sampled(
    container: type[SampledFile], data: bytes, array: Array, name: str, label: str
) -> ArraySpec:
    """The spec of files that equal this one except for their numbers."""
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        raise FileError("is neither C- nor Fortran-contiguous; save np.ascontiguousarray(array)")
    start = offset_in(array, data)
    if start is None:
        raise FileError(f"does not hold the array's own bytes: {container.as_is_advice}")
    head, tail = data[:start], data[start + array.nbytes :]
    if len(head) + len(tail) > MAX_AROUND_NBYTES:
        raise FileError(
            f"has {len(head) + len(tail)} bytes beside this array, and only "
            f"{MAX_AROUND_NBYTES} can be part of a spec; save the array in a file of its own"
        )
    codec = {"name": container.name, "head": encoded(head), "tail": encoded(tail)}
    keyed = any(option.name == "key" for option in container.options())
    codec |= {"key": name} if name and keyed else {}
    try:
        spec = ArraySpec(array.shape, dtype_name(array.dtype), [codec], label=label)
        if same(spec.decode(data), array):
            return spec
        reason = "its numbers are not those of the file"
    except (SpecError, DecodeError) as error:
        reason = str(error)
    raise refused(reason)


def refused(reason: str) -> FileError:
    """The error of a file that no graph reads; there is no spec yet by which to pack it."""
    return FileError(f"cannot be decoded in a graph: {reason.replace(PACK_ANEW, PACK_ARRAY)}")


def untouched(spec: ArraySpec, data: bytes, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """The array that ``spec`` reads from all bytes of a file; else DecodeError or FileError."""
    chain, plain = spec.chain.chosen(data)
    if plain != data or not chain.native:  # to raw, any file of the right length is an array
        text = brief(chain.text)
        raise DecodeError(f"the model would read it as a payload of {text}, not as a file")
    try:
        array = spec.decode(data)
    except FileError as error:
        raise DecodeError(f"payload {error}") from None
    if array.nbytes > max_bytes:
        raise beyond("the array", array.nbytes, max_bytes)
    return array


def reads_as_is(spec: ArraySpec, found: str) -> bool:
    """Whether some payloads of ``spec`` are files of that format."""
    return any(chain.native and chain.codecs[-1].name == found for chain in spec.chains)


def same(one: Array, other: Array) -> bool:
    """Whether two arrays are alike in dtype, shape and every bit."""
    if (one.dtype.name, one.shape) != (other.dtype.name, other.shape):
        return False
    bits, expected = (little_endian(x).reshape(-1).view(np.uint8) for x in (one, other))
    return bool(np.array_equal(bits, expected))
