"""One chunk of an HDF5 dataset: its filters undone in Python, never beyond the chunk's size."""

from __future__ import annotations

import math
import zlib
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ...errors import FileError
from ...reading import Slices
from ..contents import Array, Buffer, view

_DEFLATE, _SHUFFLE, _FLETCHER32, _LZF = 1, 2, 3, 32000
FILTERS = (_SHUFFLE, _DEFLATE, _LZF, _FLETCHER32)
#: The filters of a dataset, in the order in which they are applied.
PIPELINES = {
    (*shuffle, *compress, *checksum)
    for shuffle in [(), (_SHUFFLE,)]
    for compress in [(), (_DEFLATE,), (_LZF,)]
    for checksum in [(), (_FLETCHER32,)]
}


class Chunk(NamedTuple):
    """Where the bytes of a chunk are, and which filters were skipped when it was written."""

    offset: int
    length: int
    skipped: int


def read_chunk(
    chunk: Chunk,
    pipeline: tuple[int, ...],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    data: memoryview | Slices,
) -> Array:
    """The whole chunk of ``shape`` that is somewhere in ``data``."""
    raw: Buffer = data[chunk.offset : chunk.offset + chunk.length]
    size = math.prod(shape) * dtype.itemsize
    for position, code in reversed([*enumerate(pipeline)]):
        if chunk.skipped >> position & 1:
            continue
        if code == _FLETCHER32:
            raw, checksum = raw[:-4], raw[-4:]
            if fletcher32(raw).to_bytes(4, "little") != checksum:
                raise FileError("has a chunk with a wrong checksum")
        elif code == _DEFLATE:
            stream, whole = zlib.decompressobj(), False
            with suppress(zlib.error):
                raw = stream.decompress(raw, size + 1)  # its checksum is compared at the very end
                whole = stream.eof
            if not whole:
                raise FileError("has a chunk that does not inflate to its size")
        elif code == _LZF:
            raw = lzf(raw, size)
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


def lzf(raw: Buffer, size: int) -> bytes:
    """The ``size`` bytes of an LZF stream: runs of new bytes, and copies of what came before.

    Some 20 MB/s: the format is that of liblzf 3, which h5py ships as filter 32000.
    """
    data, out, position = bytes(raw), bytearray(), 0
    try:
        while position < len(data) and len(out) <= size:
            control = data[position]
            position += 1
            if control < 32:
                out += data[position : position + control + 1]
                position += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[position]
                position += 1
            start = len(out) - ((control & 31) << 8) - data[position] - 1
            position += 1
            if start < 0:
                raise FileError("has an LZF chunk that copies from before its beginning")
            piece = out[start : start + length + 2]
            while len(piece) < length + 2:  # it copies what it is writing
                piece *= 2
            out += piece[: length + 2]
    except IndexError:
        raise FileError("has an LZF chunk that is cut") from None
    if len(out) != size or position != len(data):
        raise FileError("has an LZF chunk of another size")
    return bytes(out)
