"""The spec under which a file of the user's is the payload, untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..codecs.chain_text import brief
from ..codecs.native.sampled import MOST, SampledFile, encoded, place_of
from ..codecs.registry import CODECS, NATIVE
from ..dtypes import dtype_name, little_endian
from ..errors import PACK_ARRAY, DecodeError, FileError, SpecError
from ..files import opened
from ..formats.contents import MAX_BYTES, Array, beyond, shown
from ..spec import ArraySpec

#: How lines of text may be cut into cells, and how many may stand before the numbers.
SEPARATORS, HEADERS = (",", ";", "\t", " "), (0, 1)

#: Why the numbers cannot be found in files of a format, and what to do.
ADVICE = {
    "pkl": "a pickle of protocol 0, 1 or 2 by Python 3 holds numbers as text; save it by "
    "pickle.dump(array, file, protocol=4)",
    "csv": "no graph reads quotes, a byte order mark or cells of more than 31 characters; save it "
    "by numpy.savetxt(path, array, '%.17g', ',')",
    "hdf5": "no graph reads HDF5, which .mat of version 7.3 is too; save it by numpy.save, or in "
    "MATLAB with -v7",
}


def spec_of_file(
    path: Path, key: str | None = None, *, label: str = "", max_bytes: int = MAX_BYTES
) -> tuple[ArraySpec, bytes]:
    """The spec under which all bytes of a file are the payload of an array in it, and these bytes.

    It is proven: the spec decodes the file to what `tfdecode.load` reads, bit for bit. Where no
    known writer made the file, what is around the numbers is taken from it (``head`` and ``tail``
    of the container), and stands in the spec.

    Raises FileError where the file cannot be read or has several arrays and no ``key`` is given,
    and where no graph can read it: the message says what to do instead.
    """
    found, data, contents = opened(path, max_bytes=max_bytes)
    named = shown(str(path), 200)
    try:
        array = contents.read(key, max_bytes=max_bytes)
    except FileError as error:
        raise FileError(f"{named}: {error}") from None
    try:
        name = contents.entries[0].key if key is None else key
        return spec_of_array(found, data, array, name, label=label), data
    except FileError as error:
        raise FileError(f"{named}: {error}; or {PACK_ARRAY}") from None


def spec_of_array(
    found: str, data: bytes, array: Array, name: str, *, label: str = ""
) -> ArraySpec:
    """The same for an array that was read from ``data``: its file's format, and its name there."""
    try:
        dtype = dtype_name(array.dtype)
    except SpecError as error:
        raise FileError(str(error)) from None
    reasons = []
    for codec in configurations(found, name):
        try:
            spec = ArraySpec(array.shape, dtype, [codec], label=label)
            if same(spec.decode(data), array):
                return spec
        except (SpecError, DecodeError, FileError) as error:
            reasons.append(str(error))
    if found in CODECS and issubclass(CODECS[found], SampledFile):
        return sampled(found, data, array, name, label)
    reason = ADVICE.get(found) or (reasons or ["no container is for its format"])[0]
    raise FileError(f"is not read in a graph: {reason}")


def configurations(found: str, name: str) -> list[dict[str, Any]]:
    """The container of a format as it may be of this array, the likeliest first."""
    if found not in NATIVE:
        return []
    if found == "csv":
        ways = [(separator, header) for header in HEADERS for separator in SEPARATORS]
        return [{"name": found, "separator": sep, "header": header} for sep, header in ways]
    bare = [{"name": found}] if found in ("npy", "pkl") else []
    return bare + ([{"name": found, "key": name}] if found != "npy" and name else [])


def sampled(found: str, data: bytes, array: Array, name: str, label: str) -> ArraySpec:
    """The spec of files that are like this one around their numbers."""
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        raise FileError("has its axes in another order; save np.ascontiguousarray(...) of it")
    start = place_of(array, data)
    if start is None:
        raise FileError(f"does not hold its numbers as they are: {ADVICE[found]}")
    head, tail = data[:start], data[start + array.nbytes :]
    if len(head) + len(tail) > MOST:
        raise FileError(
            f"has {len(head) + len(tail)} bytes beside this array, and only {MOST} can be part of "
            "a spec; save the array in a file of its own"
        )
    codec = {"name": found, "head": encoded(head), "tail": encoded(tail)}
    if name:
        codec["key"] = name
    try:
        spec = ArraySpec(array.shape, dtype_name(array.dtype), [codec], label=label)
        if same(spec.decode(data), array):
            return spec
        reason = "its numbers are not those of the file"
    except (SpecError, DecodeError) as error:
        reason = str(error)
    raise FileError(f"is not read in a graph: {reason}")


def untouched(spec: ArraySpec, data: bytes, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """What ``data``, all of a file, is under ``spec`` as it is.

    Only native containers are asked: to ``raw`` any file of the right length is an array.
    Raises DecodeError where the file is no payload, and says why; FileError for a larger array.
    """
    chain, plain = spec.chain.chosen(data)
    if plain != data or not chain.native:
        raise DecodeError(f"it would be taken as packed by {brief(chain.text)}, not as a file")
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
