"""One chunk of an HDF5 dataset: its filters undone in Python, never beyond the chunk's size."""

from __future__ import annotations

import itertools
import math
import zlib
from typing import Any

import numpy as np

from ...errors import FileError
from ..contents import Array, Buffer, view

_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
FILTERS = (_SHUFFLE, _DEFLATE, _FLETCHER32)
PIPELINES = {some for count in range(4) for some in itertools.combinations(FILTERS, count)}


def read_chunk(
    info: Any,
    pipeline: tuple[int, ...],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    data: memoryview,
) -> Array:
    """The whole chunk of ``shape`` that an ``h5py.h5d.StoreInfo`` says is somewhere in ``data``."""
    # Not by read_direct_chunk: where the size of a chunk is a lie, it writes beyond its buffer.
    raw: Buffer = data[info.byte_offset : info.byte_offset + info.size]
    size = math.prod(shape) * dtype.itemsize
    for position, code in reversed([*enumerate(pipeline)]):
        if info.filter_mask >> position & 1:  # skipped when this chunk was written
            continue
        if code == _FLETCHER32:
            raw, checksum = raw[:-4], raw[-4:]
            if fletcher32(raw).to_bytes(4, "little") != checksum:
                raise FileError("has a chunk with a wrong checksum")
        elif code == _DEFLATE:
            stream = zlib.decompressobj()
            raw = stream.decompress(raw, size + 1)  # its checksum is compared at the very end
            if not stream.eof:
                raise FileError("has a chunk that does not inflate to its size")
        elif len(raw) == size:
            raw = np.frombuffer(raw, "u1").reshape(dtype.itemsize, -1).T.tobytes()
    return view(raw, dtype, shape)


def fletcher32(raw: Buffer) -> int:
    """The checksum of HDF5's filter 3: sums of big-endian words, and of these sums, mod 65535."""
    words = np.frombuffer(bytes(raw) + bytes(len(raw) % 2), ">u2")
    low = high = 0
    for start in range(0, len(words), 2**16):
        block = words[start : start + 2**16].astype(np.uint64)
        weights = np.arange(len(block), 0, -1, dtype=np.uint64)
        high += low * len(block) + int(block @ weights)
        low += int(block.sum())
    # Folding 17 bits into 16, as the sums are made, keeps 65535 apart from 0.
    low, high = (total and (total - 1) % 65535 + 1 for total in (low, high))
    return high << 16 | low
