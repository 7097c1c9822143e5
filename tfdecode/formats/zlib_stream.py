"""Deflate in the frame of zlib (RFC 1950, RFC 1951), for the codecs zlib, deflate and png."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise

import deflate
import numpy as np
from isal import isal_zlib

from ..dtypes import checked_number
from ..errors import DecodeError

#: The first two bytes of a stream: deflate, a window of 256 bytes to 32 KiB, no preset dictionary,
#: one of four levels, and what makes them a multiple of 31.
HEADERS = tuple(
    bytes([8 + 16 * window, 64 * level + 31 - (256 * (8 + 16 * window) + 64 * level) % 31])
    for window in range(8)
    for level in range(4)
)
#: An empty stream: two bytes of header, an empty block, four bytes of Adler-32.
MIN_NBYTES = 8
#: Bytes of a cell, and cells of a block, for ``incompressible_cells``.
CELL, CELLS = 128, 8
#: Distances at which neighbours are not similar, one for each remainder of 8: the share of pairs at
#: the same byte of numbers of up to 8 bytes is that of random pairs.
LAGS = range(65, 521, 65)
#: Bytes that are compared at a time: they fit the cache of a core.
CACHED = 2**17
#: The last bytes of a flush: the lengths of an empty stored block.
FLUSHED = b"\0\0\xff\xff"
#: Bytes that a stored block can hold.
BLOCK = 2**16 - 1


Data = bytes | bytearray | memoryview


def compress_bound(nbytes: int) -> int:
    """Bytes of the longest stream for ``nbytes``: stored blocks of zlib, libdeflate or isa-l."""
    return nbytes + 5 * -(-nbytes // 5000) + 64


def checked_level(codec: str, level: object) -> None:
    """SpecError unless ``level`` is one."""
    checked_number(f"codec {codec}: level", level, 0, 12)


def compress(data: bytes | memoryview, level: int) -> bytes:
    """A stream, by zlib at level 0, by isa-l at 1 to 3 and by libdeflate at 4 to 12.

    Against zlib at 6, level 2 deflates a label map 12 and pose discs 30 times as fast, to 1.6 and
    1.3 times the size, noisy data 7 times as fast at 1.02; level 6 takes a half to a quarter of the
    time for the same size or less. (isa-l's own level 0 exceeds ``compress_bound``.)
    """
    if level == 0:
        return zlib.compress(data, 0)
    if level <= 3:
        return isal_zlib.compress(data, level)
    return bytes(deflate.zlib_compress(data, level))


def effort(level: int) -> float:
    """How many times as long as at level 6 ``compress`` takes."""
    return 0.4 if level <= 3 else 1.0 if level <= 6 else 2.0 if level <= 9 else 30.0


def compress_with_stored_blocks(data: bytes, level: int) -> bytes:
    """A stream that stores incompressible cells and codes the rest; if none, as ``compress``.

    In the graph, a byte with its own code takes 3 to 5 ns to inflate, a byte in a stored block 1 to
    2. The rest is coded by isa-l, at level 3 at most: its matches reach farther back, so that runs
    inflate in half of the time, and libdeflate cannot leave a stream open.
    """
    if not level or not (noisy := incompressible_cells(data)).any():
        return compress(data, level)
    stream = b"".join(stored_and_coded([(data, noisy)], level))
    # Cells coded one by one may grow beyond ``compress_bound``.
    return stream if len(stream) < len(data) else compress(data, level)


def stored_and_coded(pieces: Iterable[tuple[bytes, np.ndarray]], level: int) -> Iterator[Data]:
    """A stream of pieces, each with its `noisy_cells`, which it stores."""
    coder = isal_zlib.compressobj(min(level, 3), zlib.DEFLATED, -zlib.MAX_WBITS)
    yield HEADERS[-4]
    adler, coding = 1, False
    for piece, noisy in pieces:
        adler = zlib.adler32(piece, adler)
        view = memoryview(piece)
        edges = ((np.flatnonzero(np.diff(noisy)) + 1) * CELL).tolist()
        stored = bool(noisy.size and noisy[0])
        for start, end in pairwise([0, *edges, len(view)]):
            if stored:
                if coding:
                    yield coder.flush(isal_zlib.Z_FULL_FLUSH)
                for at in range(start, end, BLOCK):
                    count = min(BLOCK, end - at)
                    yield struct.pack("<BHH", 0, count, BLOCK - count)
                    yield view[at : at + count]
            else:
                yield coder.compress(view[start:end])
            coding, stored = not stored, not stored
    if coding:
        yield coder.flush(isal_zlib.Z_FULL_FLUSH)
    yield b"\1" + FLUSHED + struct.pack(">I", adler)


def incompressible_cells(data: bytes) -> np.ndarray:
    """Bool ``[cells]``: which cells ``compress_with_stored_blocks`` stores."""
    return noisy_cells(data, data[: LAGS[-1]])  # as if the start followed the end


def noisy_cells(data: bytes, after: bytes) -> np.ndarray:
    """Bool ``[cells]``: which deflate codes in 6 bits a byte or more, without repetitions.

    ``after`` are the bytes after ``data``, or where there are none those of its start.
    Bytes with 6 bits of entropy match in 1 of 64 random pairs. Pairs at LAGS are counted for each
    block (6 bits), then for each cell (7 bits: a smaller sample). Cells alone broke depth maps into
    many small pieces, blocks alone missed the rows of a blob.
    """
    count = len(data) // (CELL * CELLS) * (CELL * CELLS)
    x = np.frombuffer(data + after, np.uint8)
    cells = np.empty(count // CELL, np.uint16)
    for start in range(0, count, CACHED):  # 200 MB at once took three times as long
        part = x[start : min(start + CACHED, count)]
        same = np.zeros(len(part), np.uint8)
        for lag in LAGS:
            same += part == x[start + lag : start + lag + len(part)]
        cells[start // CELL : (start + len(part)) // CELL] = same.reshape(-1, CELL).sum(1)
    blocks = cells.reshape(-1, CELLS).sum(1, dtype=np.uint16)
    whole = blocks <= CELL * CELLS * len(LAGS) >> 6
    noisy: np.ndarray = np.repeat(whole, CELLS) | (cells <= CELL * len(LAGS) >> 7)
    return noisy


def coded_nbytes(stream: bytes) -> int:
    """Bytes outside of the stored blocks of ``compress_with_stored_blocks``; else too many."""
    at, end, total = 2, len(stream) - 4, 6
    while at < end:
        if stream[at] & 6 == 0:  # a stored block, whose lengths begin at the next byte
            at += 5 + int.from_bytes(stream[at + 1 : at + 3], "little")
            continue
        flushed = stream.find(FLUSHED, at, end)
        after = end if flushed < 0 else flushed + len(FLUSHED)
        total += after - at
        at = after
    return total


def decompress(stream: bytes, max_nbytes: int) -> bytes:
    """Inflate a stream that gives at most ``max_nbytes`` bytes; else a DecodeError.

    As in the graph, whose op does not tell where the stream ends: a stream without its end, and
    bytes after it, pass if the last four bytes are the Adler-32 of what was inflated.
    """
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(stream, max_nbytes + 1)
    except zlib.error as error:
        raise DecodeError(f"payload is not a zlib stream: {error}") from None
    if len(data) > max_nbytes:
        raise DecodeError(f"payload inflates to more than {max_nbytes} bytes")
    matches = zlib.adler32(data) == int.from_bytes(stream[-4:], "big")
    if not inflater.eof and not matches:
        raise DecodeError(f"payload ends inside its zlib stream after {len(data)} bytes")
    if inflater.unused_data and not matches:
        count = len(inflater.unused_data)
        raise DecodeError(f"payload has {count} bytes after its zlib stream, needs 0")
    return data


#: Codes in two bytes of deflate, of data that it shrinks to less than two thirds.
CODES = 3


def codes(stream: bytes, nbytes: int) -> int:
    """An estimate of the codes in a stream that inflates to ``nbytes``.

    They take inflating as long whether they have five bits or nine, and bytes in stored blocks have
    none. Of incompressible data, each byte is a code.
    """
    own = coded_nbytes(stream)
    return max(0, min(CODES * own // 2, nbytes - (len(stream) - own)))
