"""Deflate in the frame of zlib (RFC 1950, RFC 1951), for the codecs zlib, deflate and png."""

from __future__ import annotations

import zlib

from isal import isal_zlib

from ..errors import DecodeError, SpecError

#: One byte of deflate makes at most 1032 (a match of 258 bytes in 2 bits).
EXPANSION = 1032
#: An empty stream: two bytes of header, an empty block, four bytes of Adler-32.
LEAST = 8


def longest(nbytes: int) -> int:
    """What the worst ``nbytes`` deflate to: stored blocks of zlib, libdeflate and isa-l."""
    return nbytes + 5 * -(-nbytes // 5000) + 64


def checked_level(codec: str, level: object) -> None:
    """SpecError unless ``level`` is one."""
    if type(level) is not int or level not in range(10):
        raise SpecError(f"codec {codec}: level is {level!r}, needs 0 to 9")


def compress(data: bytes | memoryview, level: int) -> bytes:
    """A stream, by isa-l at the levels 1 to 3 and by zlib at 0 and 4 to 9.

    At 2 a label map and pose discs deflated 12 and 30 times as fast as at 6, to 1.6 and 1.3 times
    the size; noisy data 7 times as fast at 1.02. (isa-l's own level 0 outgrows ``longest``.)
    """
    return isal_zlib.compress(data, level) if level in (1, 2, 3) else zlib.compress(data, level)


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
