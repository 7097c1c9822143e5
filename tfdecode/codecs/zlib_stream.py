"""Deflate in the frame of zlib (RFC 1950, RFC 1951), for the codecs zlib, deflate and png."""

from __future__ import annotations

import zlib

import deflate
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


def longest(nbytes: int) -> int:
    """What the worst ``nbytes`` deflate to: stored blocks of zlib, libdeflate and isa-l."""
    return nbytes + 5 * -(-nbytes // 5000) + 64


def checked_level(codec: str, level: object) -> None:
    """SpecError unless ``level`` is one."""
    if type(level) is not int or level not in range(13):
        raise SpecError(f"codec {codec}: level is {level!r}, needs 0 to 12")


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
