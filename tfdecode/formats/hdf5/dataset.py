"""One HDF5 dataset: its form, checked, and its numbers without any filter of libhdf5 run.

The HDF Group, "HDF5 File Format Specification", version 3. What `survey` says is checked here like
the file itself. The bytes of a chunk are taken as they are stored and inflated in Python, never
beyond the chunk's size: libhdf5 inflates a chunk of 1 MB to 1 GB, and it loads shared libraries for
filters that it does not know.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from ...errors import FileError
from ..contents import Array, Entry, checked_shape, shown, unreadable, view
from .chunk import FILTERS, PIPELINES, Chunk, read_chunk

# A chunk is inflated whole, and can be larger than the array or mostly outside of it: up to these.
_SLACK = 2**22
_PADDING = 16
_CHUNKS = 2**16


def stored(key: str, found: dict[str, Any], data: memoryview) -> Entry | str:
    """The array of a dataset that `survey` found in the file ``data``, or why it is refused."""
    if "refused" in found:
        return str(found["refused"])
    pipeline = tuple(code for code, _ in found["filters"])
    if pipeline not in PIPELINES:
        return _strange(found["filters"])
    dtype = np.dtype(found["dtype"])
    if refusal := unreadable(dtype.kind, dtype.itemsize):
        return refusal
    shape = checked_shape(found["shape"], dtype.itemsize)
    size = math.prod(shape) * dtype.itemsize
    fill = np.frombuffer(bytes.fromhex(found["fill"]), dtype)[0]

    def unallocated() -> Array:
        return np.full(shape, fill, dtype)

    def compact() -> Array:
        return view(base64.b64decode(found["compact"]), dtype, shape)

    def contiguous() -> Array:
        start = found.get("offset")
        return unallocated() if start is None else view(data[start : start + size], dtype, shape)

    if "chunk" not in found:
        return Entry(key, dtype, shape, compact if "compact" in found else contiguous)
    chunk = checked_shape(found["chunk"], dtype.itemsize)
    grid = [-(-side // step) for side, step in zip(shape, chunk, strict=True)]
    nbytes = math.prod(chunk) * dtype.itemsize
    if nbytes > max(size, _SLACK) or nbytes * math.prod(grid) > max(_PADDING * size, _SLACK):
        return f"dataset of {size} bytes in chunks of {nbytes}; save it without chunks"
    # Each chunk in the file takes 8 bytes of its index at least.
    count = math.prod(grid)
    if count > max(_CHUNKS, len(data) // 8):
        return f"dataset in {count} chunks, more than the file holds; save it whole"

    def chunked() -> Array:
        array = unallocated()
        table = np.frombuffer(base64.b64decode(found.get("chunks", "")), "<u8").reshape(-1, 4)
        if len(np.unique(table[:, 0])) != len(table):
            raise FileError("has a chunk twice")
        starts = np.stack(np.unravel_index(table[:, 0].astype(np.intp), grid), 1) * chunk
        for start, (_, *where) in zip(starts.tolist(), table.tolist(), strict=True):
            part = array[tuple(slice(i, i + n) for i, n in zip(start, chunk, strict=True))]
            block = read_chunk(Chunk(*where), pipeline, dtype, chunk, data)
            part[...] = block[tuple(map(slice, part.shape))]
        return array

    return Entry(key, dtype, shape, chunked)


def _strange(filters: list[tuple[int, str]]) -> str:
    code, name = next((one for one in filters if one[0] not in FILTERS), filters[0])
    label = name[:16] if name.isidentifier() else "unknown"
    return (
        f"dataset with filter {code} ({shown(label)}); save it with gzip, lzf or none, "
        "by h5repack -f GZIP=4 OLD.h5 NEW.h5"
    )
