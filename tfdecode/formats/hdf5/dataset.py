"""One HDF5 dataset: its form, checked, and its numbers without any filter of libhdf5 run.

The HDF Group, "HDF5 File Format Specification", version 3. libhdf5 parses the metadata only: its
deflate filter inflates a chunk without a bound (a chunk of 1 MB can ask for 1 GB), it loads shared
libraries for filters that it does not know, and it opens other files for virtual datasets. So the
bytes of a chunk are taken as they are stored and inflated here, never beyond the chunk's size.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import FileError
from ...extras import LazyModule
from ..contents import Array, Entry, checked_shape, unreadable, view
from .chunk import FILTERS, PIPELINES, read_chunk

h5py: Any = LazyModule("h5py", "hdf5")

_COMPLEX = {("real", "imag"), ("r", "i")}
# A chunk is inflated whole, and can be larger than the array or mostly outside of it: up to these.
_SLACK = 2**22
_PADDING = 16
_CHUNKS = 2**16


def stored(key: str, dataset: Any, data: memoryview) -> Entry | str:
    """The array of an ``h5py.h5d.DatasetID`` of the open file ``data``, or why it is refused."""
    options = dataset.get_create_plist()
    layout = options.get_layout()
    # First of all: even the shape of a virtual dataset can depend on other files.
    if layout == h5py.h5d.VIRTUAL:
        return "virtual dataset; save the numbers themselves"
    if options.get_external_count():
        return "dataset whose numbers are in another file; save them in this one"
    names = [options.get_filter(index) for index in range(options.get_nfilters())]
    pipeline = tuple(code for code, *_ in names)
    if pipeline not in PIPELINES:
        strange = next((i for i, code in enumerate(pipeline) if code not in FILTERS), 0)
        label = names[strange][3].decode("ascii", "replace") or "unknown"
        label = label if label.isidentifier() else "unknown"
        return f"dataset with filter {pipeline[strange]} ({label[:16]}); save it with gzip or none"
    raw = _raw_dtype(dataset.get_type())
    if isinstance(raw, str):
        return raw
    dtype = np.dtype(raw.str)  # without the names of an enumeration
    if raw.names is not None:
        dtype = np.dtype(f"{raw[0].byteorder}c{raw.itemsize}")
    if refusal := unreadable(dtype.kind, dtype.itemsize):
        return refusal
    space = dataset.get_space()
    if space.get_simple_extent_type() == h5py.h5s.NULL:
        return "dataset without any shape"
    shape = checked_shape(space.get_simple_extent_dims(), dtype.itemsize)
    size = math.prod(shape) * dtype.itemsize
    fill = np.zeros((), raw)
    if options.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
        options.get_fill_value(fill)
    fill = fill.view(dtype)

    def unallocated() -> Array:
        return np.full(shape, fill, dtype)

    def compact() -> Array:
        if dataset.get_storage_size() != size:
            raise FileError(f"has {dataset.get_storage_size()} bytes, its shape needs {size}")
        array = np.empty(shape, raw)
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
        return array.view(dtype)

    def contiguous() -> Array:
        # Without storage there is no offset, or after a user block a wrong one.
        if not size or dataset.get_space_status() == h5py.h5d.SPACE_STATUS_NOT_ALLOCATED:
            return unallocated()
        start = dataset.get_offset()
        return view(data[start : start + size], dtype, shape)

    if layout != h5py.h5d.CHUNKED:
        return Entry(key, dtype, shape, compact if layout == h5py.h5d.COMPACT else contiguous)
    if not hasattr(dataset, "chunk_iter"):
        return "chunked dataset; reading it needs h5py 3.10 or later, built with HDF5 1.14"
    chunk = options.get_chunk()
    grid = [-(-side // step) for side, step in zip(shape, chunk, strict=True)]
    nbytes = math.prod(chunk) * dtype.itemsize
    if nbytes > max(size, _SLACK) or nbytes * math.prod(grid) > max(_PADDING * size, _SLACK):
        return f"dataset of {size} bytes in chunks of {nbytes}; save it without chunks"
    # Each chunk in the file takes 8 bytes of its index at least.
    count = math.prod(grid)
    if count > max(_CHUNKS, len(data) // 8):
        return f"dataset in {count} chunks, more than the file holds; save it whole"

    def chunked() -> Array:
        array, left = unallocated(), count

        def add_chunk(info: Any) -> None:
            nonlocal left
            left -= 1
            start = info.chunk_offset
            if left < 0 or any(i % step for i, step in zip(start, chunk, strict=True)):
                raise FileError("has chunks that are not in its grid")
            part = array[tuple(slice(i, i + step) for i, step in zip(start, chunk, strict=True))]
            if part.size:
                block = read_chunk(info, pipeline, dtype, chunk, data)
                part[...] = block[tuple(map(slice, part.shape))]

        # Not by get_chunk_info_by_coord: it goes through all chunks to find one of them.
        dataset.chunk_iter(add_chunk)
        return array

    return Entry(key, dtype, shape, chunked)


def _raw_dtype(kind: Any) -> np.dtype[Any] | str:
    """The dtype as h5py has it, or why it is refused."""
    code, table = kind.get_class(), "table; save each column as a dataset of its own"
    if code == h5py.h5t.COMPOUND and kind.get_nmembers() != 2:
        return table
    others = {
        h5py.h5t.STRING: "text; save the numbers it stands for",
        h5py.h5t.VLEN: "ragged rows; save each one as a dataset of its own",
        h5py.h5t.REFERENCE: "references to other datasets; save the numbers themselves",
    }
    if code not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.COMPOUND):
        return others.get(code, "not of a numeric type; save it as plain numbers")
    try:
        raw: np.dtype[Any] = kind.dtype
        # A type of odd bits reads as the nearest NumPy has, but its bytes are not those.
        plain = h5py.h5t.py_create(raw, logical=True).equal(kind)
    except (TypeError, ValueError):
        plain = False
    if not plain:
        return "numbers in a layout that NumPy does not have; save them as plain numbers"
    if raw.names is not None:
        if raw.names not in _COMPLEX or raw[0] != raw[1]:
            return table
        if raw[0].kind != "f":
            return "complex integers; save it as double"
    return raw
