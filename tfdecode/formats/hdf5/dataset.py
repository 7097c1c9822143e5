"""One HDF5 dataset: its form, checked, and its numbers without any filter of libhdf5 run.

The HDF Group, "HDF5 File Format Specification", version 3. libhdf5 parses the metadata only: its
deflate filter inflates a chunk without a bound (a chunk of 1 MB can ask for 1 GB), it loads shared
libraries for filters that it does not know, and it opens other files for virtual datasets. So the
bytes of a chunk are taken as they are stored and inflated here, never beyond the chunk's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import FileError
from ...extras import LazyModule
from ..contents import Array, checked_shape, unreadable, view
from .chunk import FILTERS, PIPELINES, read_chunk

h5py: Any = LazyModule("h5py", "hdf5")

_COMPLEX = {("real", "imag"), ("r", "i")}
# A chunk is inflated whole, and can be larger than the array or mostly outside of it: up to these.
_SLACK = 2**22
_PADDING = 16
_CHUNKS = 2**16


@dataclass(frozen=True)
class Stored:
    """The numbers of a dataset: their dtype and shape as HDF5 has them, and ``read``."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    read: Callable[[], Array]


def stored(dataset: Any, data: memoryview) -> Stored | str:
    """What a dataset (an ``h5py.h5d.DatasetID``) of the file ``data`` holds, or why not.

    ``read`` gives a view of ``data`` for contiguous numbers. Whoever calls it keeps the file open.
    """
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
    raw, dtype, refusal = _dtype(dataset.get_type())
    if refusal:
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
            raise FileError(f"has {dataset.get_storage_size()} bytes where its shape needs {size}")
        array = np.empty(shape, raw)
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
        return array.view(dtype)

    def contiguous() -> Array:
        # A dataset without storage has no offset, but one that is wrong behind a user block.
        if not size or dataset.get_space_status() == h5py.h5d.SPACE_STATUS_NOT_ALLOCATED:
            return unallocated()
        start = dataset.get_offset()
        return view(data[start : start + size], dtype, shape)

    if layout != h5py.h5d.CHUNKED:
        return Stored(dtype, shape, compact if layout == h5py.h5d.COMPACT else contiguous)
    if not hasattr(dataset, "chunk_iter"):
        return "chunked dataset; reading it needs h5py 3.10 or later, built with HDF5 1.14"
    chunk = options.get_chunk()
    grid = [-(-side // step) for side, step in zip(shape, chunk, strict=True)]
    whole = math.prod(chunk) * dtype.itemsize
    if whole > max(size, _SLACK) or whole * math.prod(grid) > max(_PADDING * size, _SLACK):
        return f"dataset of {size} bytes in chunks of {whole}; save it without chunks"
    # Each chunk in the file takes 8 bytes of its index at least.
    count = math.prod(grid)
    if count > max(_CHUNKS, len(data) // 8):
        return f"dataset in {count} chunks, more than the file holds; save it whole"

    def chunked() -> Array:
        array, left = unallocated(), count

        def place(info: Any) -> None:
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
        dataset.chunk_iter(place)
        return array

    return Stored(dtype, shape, chunked)


def _dtype(kind: Any) -> tuple[np.dtype[Any], np.dtype[Any], str | None]:
    """The dtype as h5py has it and as it is given here, or why it is refused."""
    none = np.dtype("V1")
    code = kind.get_class()
    if code == h5py.h5t.COMPOUND and kind.get_nmembers() != 2:
        return none, none, "table; save each column as a dataset of its own"
    others = {
        h5py.h5t.STRING: "text; save the numbers it stands for",
        h5py.h5t.VLEN: "ragged rows; save each one as a dataset of its own",
        h5py.h5t.REFERENCE: "references to other datasets; save the numbers themselves",
    }
    if code not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.COMPOUND):
        return none, none, others.get(code, "of a type that is no number; save it as plain numbers")
    try:
        raw = kind.dtype
        # A type of odd bits reads as the nearest NumPy has, but its bytes are not those.
        plain = h5py.h5t.py_create(raw, logical=True).equal(kind)
    except (TypeError, ValueError):
        plain = False
    if not plain:
        return none, none, "numbers in a layout that NumPy has not; save them as plain numbers"
    dtype = np.dtype(raw.str)  # without the names of an enumeration
    if raw.names is not None:
        parts = [raw[name] for name in raw.names]
        if raw.names not in _COMPLEX or parts[0] != parts[1]:
            return none, none, "table; save each column as a dataset of its own"
        if parts[0].kind != "f":
            return none, none, "complex integers; save it as double"
        dtype = np.dtype(f"{parts[0].byteorder}c{raw.itemsize}")
    return raw, dtype, unreadable(dtype.kind, dtype.itemsize)
