"""Deflate in the frame of zlib (RFC 1950, RFC 1951), for the codecs zlib, deflate and png."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

import deflate
import numpy as np
from isal import isal_zlib

from ..errors import DecodeError, SpecError

#: The first two bytes of a stream: deflate, a window of 256 bytes to 32 KiB, no preset dictionary,
#: one of four levels, and what makes them a multiple of 31.
HEADERS = tuple(
    bytes([8 + 16 * window, 64 * level + 31 - (256 * (8 + 16 * window) + 64 * level) % 31])
    for window in range(8)
    for level in range(4)
)
#: An empty stream: two bytes of header, an empty block, four bytes of Adler-32.
LEAST = 8
#: Bytes of a cell, and cells of a block, that are judged to be noise or not.
CELL, CELLS = 128, 8
#: Distances far enough for neighbours not to be alike, one for each remainder of 8: as many of all
#: pairs are bytes of the same place in numbers of up to 8 bytes as would be in random pairs.
LAGS = range(65, 521, 65)
#: What a flush ends in: the lengths of an empty stored block.
FLUSHED = b"\0\0\xff\xff"
#: The most that a stored block holds.
BLOCK = 2**16 - 1


def longest(nbytes: int) -> int:
    """What the worst ``nbytes`` deflate to: stored blocks of zlib, libdeflate and isa-l."""
    return nbytes + 5 * -(-nbytes // 5000) + 64


def checked_level(codec: str, level: object) -> None:
    """SpecError unless ``level`` is one."""
    if type(level) is not int or level not in range(13):
        raise SpecError(f"codec {codec}: level is {level!r}, needs 0 to 12")


def checked_store(codec: str, value: object) -> None:
    """SpecError unless ``store_incompressible`` is a bool."""
    if not isinstance(value, bool):
        raise SpecError(f"codec {codec}: store_incompressible is {value!r}, needs true or false")


def compress(data: bytes | memoryview, level: int) -> bytes:
    """A stream, by zlib at level 0, by isa-l at 1 to 3 and by libdeflate at 4 to 12.

    At 2 a label map and pose discs deflated 12 and 30 times as fast as zlib does at 6, to 1.6 and
    1.3 times the size; noisy data 7 times as fast at 1.02. At 6 libdeflate takes a half to a
    quarter of zlib's time for the same size or less. (isa-l's own level 0 outgrows ``longest``.)
    """
    if level == 0:
        return zlib.compress(data, 0)
    if level <= 3:
        return isal_zlib.compress(data, level)
    return bytes(deflate.zlib_compress(data, level))


def compress_with_stored_blocks(data: bytes, level: int) -> bytes:
    """A stream as ``compress`` makes it, or one that stores noise and codes the rest.

    In the graph a byte that is a code of its own takes 3 to 5 ns to inflate, one in a stored block
    1 to 2, whatever little the code saves. What is not noise is coded by isa-l, at level 3 at most:
    its matches reach farther back than those of others, so that runs inflate in half of the time,
    and libdeflate cannot leave a stream open.
    """
    if not level or not (noisy := noise(data)).any():
        return compress(data, level)
    view = memoryview(data)
    edges = (np.flatnonzero(np.diff(noisy)) + 1) * CELL
    coder = isal_zlib.compressobj(min(level, 3), zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces: list[bytes | memoryview] = [HEADERS[-4]]
    stored = bool(noisy[0])
    for start, end in pairwise([0, *edges.tolist(), len(view)]):
        if stored:
            for at in range(start, end, BLOCK):
                count = min(BLOCK, end - at)
                pieces += [struct.pack("<BHH", 0, count, BLOCK - count), view[at : at + count]]
        else:
            pieces += [coder.compress(view[start:end]), coder.flush(isal_zlib.Z_FULL_FLUSH)]
        stored = not stored
    pieces += [b"\1" + FLUSHED, struct.pack(">I", zlib.adler32(view))]
    stream = b"".join(pieces)
    # Cells by themselves may grow by more than ``longest`` allows.
    return stream if len(stream) < len(view) else compress(data, level)


def noise(data: bytes) -> np.ndarray:
    """Which cells deflate would code in six bits a byte or more, if it finds no repetition.

    Of bytes with six bits each, two are the same in one of 64 pairs: what is counted is the pairs
    at short distances, in a block of cells. Of the others, which may be noise in part, each cell is
    looked at by itself, and has to show seven bits, as it shows them less surely. (Cells alone
    broke depth into many small pieces, blocks alone missed the rows of a blob.)
    """
    count = len(data) // (CELL * CELLS) * (CELL * CELLS)
    x = np.frombuffer(data, np.uint8)
    x = np.concatenate([x, x[: LAGS[-1]]])  # as if the start followed the end
    same = np.zeros(count, np.uint8)
    for lag in LAGS:
        same += x[:count] == x[lag : lag + count]
    cells = same.reshape(-1, CELL).sum(1, dtype=np.uint16)
    blocks = cells.reshape(-1, CELLS).sum(1, dtype=np.uint16)
    whole = blocks <= CELL * CELLS * len(LAGS) >> 6
    noisy: np.ndarray = np.repeat(whole, CELLS) | (cells <= CELL * len(LAGS) >> 7)
    return noisy


def coded(stream: bytes) -> int:
    """Of a stream, how many bytes are not in the stored blocks of ``compress_with_stored_blocks``.

    Of other streams too many: their stored blocks are found only in front of all codes.
    """
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


def decompress(stream: bytes, most: int, what: str = "payload") -> bytes:
    """What ``stream``, exactly one, inflates to; DecodeError at more than ``most`` bytes."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(stream, most + 1)
    except zlib.error as error:
        raise DecodeError(f"{what} is no zlib stream: {error}") from None
    if len(data) > most:
        raise DecodeError(f"{what} inflates to more than {most} bytes")
    if not inflater.eof:
        raise DecodeError(f"{what} ends inside its zlib stream after {len(data)} bytes")
    if inflater.unused_data:
        count = len(inflater.unused_data)
        raise DecodeError(f"{what} has {count} bytes behind its zlib stream, needs 0")
    return data


#: Codes in two bytes of deflate, of data that it shrinks to less than two thirds.
CODES = 3


def codes(stream: bytes, nbytes: int) -> int:
    """An estimate of the codes in a stream that inflates to ``nbytes``.

    They take inflating as long whether they have five bits or nine, and bytes in stored blocks have
    none. Of incompressible data, each byte is a code.
    """
    own = coded(stream)
    return max(0, min(CODES * own // 2, nbytes - (len(stream) - own)))
