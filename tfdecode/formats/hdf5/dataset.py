"""One HDF5 dataset: its form, checked, and its numbers without any filter of libhdf5 run.

The HDF Group, "HDF5 File Format Specification", version 3. What `survey` says is checked here like
the file itself. The bytes of a chunk are taken as they are stored and inflated in Python, never
beyond the chunk's size: libhdf5 inflates a chunk of 1 MB to 1 GB, and it loads shared libraries for
filters that it does not know.
"""

from __future__ import annotations

import base64
import math
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ...errors import FileError
from ...reading import Slices
from ..contents import Array, Entry, checked_shape, shown, unreadable, view
from .chunk import FILTERS, PIPELINES, Chunk, read_chunk

# A chunk is inflated whole, and can be larger than the array or mostly outside of it: up to these.
_SLACK = 2**22
_PADDING = 16
_CHUNKS = 2**16


def stored(key: str, found: dict[str, Any], data: memoryview | Slices) -> Entry | str:
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

    row_nbytes = math.prod(shape[1:]) * dtype.itemsize

    def contiguous_row(index: int) -> Array:
        start = found["offset"] + index * row_nbytes
        return view(data[start : start + row_nbytes], dtype, shape[1:])

    if "chunk" not in found:
        row = contiguous_row if shape and found.get("offset") is not None else None
        read = compact if "compact" in found else contiguous
        return Entry(key, dtype, shape, read, row, row_nbytes)
    chunk = checked_shape(found["chunk"], dtype.itemsize)
    grid = [-(-side // step) for side, step in zip(shape, chunk, strict=True)]
    nbytes = math.prod(chunk) * dtype.itemsize
    if nbytes > max(size, _SLACK) or nbytes * math.prod(grid) > max(_PADDING * size, _SLACK):
        return f"dataset of {size} bytes in chunks of {nbytes}; save it without chunks"
    # Each chunk in the file takes 8 bytes of its index at least.
    count = math.prod(grid)
    if count > max(_CHUNKS, len(data) // 8):
        return f"dataset in {count} chunks, more than the file holds; save it whole"

    @cache
    def bands() -> list[list[tuple[list[int], Chunk]]]:
        """The offset and place of each chunk, by its index along the first axis."""
        table = np.frombuffer(base64.b64decode(found.get("chunks", "")), "<u8").reshape(-1, 4)
        if len(np.unique(table[:, 0])) != len(table):
            raise FileError("has a chunk twice")
        places = np.stack(np.unravel_index(table[:, 0].astype(np.intp), grid), 1)
        bands: list[list[tuple[list[int], Chunk]]] = [[] for _ in range(grid[0])]
        starts = (places * chunk).tolist()
        for band, start, (_, *where) in zip(places[:, 0], starts, table.tolist(), strict=True):
            bands[band].append((start, Chunk(*where)))
        return bands

    def fill_band(array: Array, index: int) -> None:
        """Fill rows that begin with those of the chunks ``index`` along the first axis."""
        for (_, *start), where in bands()[index]:
            sides = [slice(chunk[0])]
            sides += [slice(i, i + n) for i, n in zip(start, chunk[1:], strict=True)]
            part = array[tuple(sides)]
            block = read_chunk(where, pipeline, dtype, chunk, data)
            part[...] = block[tuple(map(slice, part.shape))]

    def chunked() -> Array:
        array = unallocated()
        for index in range(grid[0]):
            fill_band(array[index * chunk[0] :], index)
        return array

    @lru_cache(1)  # rows are read one after another
    def band(index: int) -> Array:
        rows = min(chunk[0], shape[0] - index * chunk[0])
        array = np.full((rows, *shape[1:]), fill, dtype)
        fill_band(array, index)
        return array

    def chunked_row(index: int) -> Array:
        row: Array = band(index // chunk[0])[index % chunk[0]]
        return row

    return Entry(key, dtype, shape, chunked, chunked_row, min(chunk[0], shape[0]) * row_nbytes)


def _strange(filters: list[tuple[int, str]]) -> str:
    code, name = next((one for one in filters if one[0] not in FILTERS), filters[0])
    label = name[:16] if name.isidentifier() else "unknown"
    return (
        f"dataset with filter {code} ({shown(label)}); save it with gzip, lzf or none, "
        "by h5repack -f GZIP=4 OLD.h5 NEW.h5"
    )
