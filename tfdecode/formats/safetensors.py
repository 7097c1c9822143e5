"""``.safetensors``: a length, a JSON header, the numbers (its README and ``tensor.rs``, v0.4)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import numpy_dtype
from ..errors import FileError
from ..reading import Slices
from .contents import MAX_BYTES, Array, Contents, Entry, checked_shape, shown, view

_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
# The reference allows 100 MB; Python takes up to 30 times that. 10,000 tensors have 1 MB of header.
_MAX_HEADER = 10_000_000
_MAX_DIGITS = 20
_METADATA = "__metadata__"


class _Tensor(NamedTuple):
    begin: int
    end: int
    name: str
    dtype: str
    shape: list[object]


def contents(data: bytes | Slices, *, max_bytes: int = MAX_BYTES) -> Contents:
    """Every tensor by its name, as a view of the file's bytes; ``__metadata__`` is no tensor.

    As in the reference, tensors cover the data without gap or overlap: no byte goes unseen.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise FileError("is a truncated .safetensors: its header is cut")
    if length > _MAX_HEADER:
        raise FileError(f"has a header of {length} bytes, more than the limit of {_MAX_HEADER}")
    begin = 8 + length
    body = data if isinstance(data, Slices) else memoryview(data)
    found: list[tuple[str, Entry | str]] = []
    end = 0
    tensors, metadata = _header(data[8 : 8 + length])
    for tensor in sorted(tensors):
        if tensor.begin != end or tensor.end < end:
            raise FileError(
                f"tensor {shown(tensor.name)} begins at byte {tensor.begin} of the data, not at "
                f"byte {end}; save the file again"
            )
        end = tensor.end
        found.append((tensor.name, _entry(tensor, body, begin)))
    if end != len(data) - begin:
        raise FileError(f"has {len(data) - begin} bytes of data, its tensors need {end}")
    if metadata:
        found.append((_METADATA, f"{_count(metadata)}, not a tensor"))
    return Contents.of(found)


def _count(metadata: object) -> str:
    if not isinstance(metadata, dict):
        raise FileError(f"has a {_METADATA} that is not a JSON object")
    return f"{len(metadata)} text{'' if len(metadata) == 1 else 's'}"


def _entry(tensor: _Tensor, data: memoryview | Slices, begin: int) -> Entry | str:
    if tensor.dtype == "BF16":
        dtype = numpy_dtype("bfloat16")
    elif tensor.dtype in _DTYPES:
        dtype = np.dtype(_DTYPES[tensor.dtype])
    else:
        return f"tensor of dtype {shown(tensor.dtype, 16)}; save it as bfloat16 or float32"
    try:
        shape = checked_shape(tensor.shape, dtype.itemsize)
    except FileError as error:
        raise FileError(f"tensor {shown(tensor.name)} {error}") from None

    def read() -> Array:
        return view(data[begin + tensor.begin : begin + tensor.end], dtype, shape)

    entry = Entry(tensor.name, dtype, shape, read)
    if entry.nbytes != tensor.end - tensor.begin:
        size = f"{tensor.end - tensor.begin} bytes of data where {entry} needs {entry.nbytes}"
        raise FileError(f"tensor {shown(tensor.name)} has {size}")
    return entry


def _header(header: bytes) -> tuple[list[_Tensor], object]:
    """The tensors, and what ``__metadata__`` is."""
    try:
        value = json.loads(
            header.decode(), object_pairs_hook=_unique, parse_int=_integer, parse_constant=_refuse
        )
    except FileError:
        raise
    except (ValueError, RecursionError):  # ValueError: neither UTF-8 nor JSON
        raise FileError("has a header that is not JSON") from None
    if not isinstance(value, dict) or header[:1] != b"{":
        raise FileError("has a header that is not a JSON object")
    metadata = value.pop(_METADATA, None)
    return [_tensor(name, entry) for name, entry in value.items()], metadata


def _tensor(name: str, entry: object) -> _Tensor:
    if isinstance(entry, dict) and entry.keys() == {"dtype", "shape", "data_offsets"}:
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if (
            isinstance(dtype, str)
            and isinstance(shape, list)
            and isinstance(offsets, list)
            and [type(offset) for offset in offsets] == [int, int]
        ):
            return _Tensor(offsets[0], offsets[1], name, dtype, shape)
    raise FileError(f"tensor {shown(name)} has no dtype, shape and two data_offsets in the header")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise FileError(f"has the name {shown(twice)} twice in its header; give each its own")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:  # before Python 3.10.7 the time grows quadratically
        raise FileError(f"has a header with an integer of {len(digits)} digits")
    return int(digits)


def _refuse(constant: str) -> None:
    raise FileError(f"has a header with {constant}, which is not JSON")
