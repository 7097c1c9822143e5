"""The image in a PNG file, without a look at its other chunks: the numpy side of ``png_image``."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from ..errors import DecodeError, FileError
from .contents import Array
from .png import END, SIGNATURE, chunk, inflated
from .png_image import Header, arranged, header_of

#: Signature and IHDR.
HEAD_NBYTES = 33
#: A file may have so many chunks, and one more for so many bytes. Most writers make them of 8 KiB.
CHUNKS, CHUNK_NBYTES = 64, 4096


def most_chunks(nbytes: Any) -> Any:
    """How many chunks a file of that length may have after IHDR, an integer or a tensor."""
    return CHUNKS + nbytes // CHUNK_NBYTES


def file_head(header: Header) -> bytes:
    """Signature and IHDR."""
    packed = struct.pack(">IIBBBBB", *header[:4], 0, 0, header.interlaced)
    return SIGNATURE + chunk(b"IHDR", packed)


def read_head(data: bytes) -> Header:
    """What a file begins with; FileError unless it is the IHDR of a PNG image, with its CRC."""
    if not data.startswith(SIGNATURE + b"\0\0\0\x0dIHDR") or len(data) < HEAD_NBYTES:
        raise FileError("is not a PNG image, or it is cut")
    header = header_of(memoryview(data)[16:29])
    if not data.startswith(file_head(header)):
        raise FileError("is a PNG image whose header has a wrong CRC")
    return header


def image_chunks(data: bytes) -> list[memoryview]:
    """The IDAT chunks, whole; FileError unless chunks cover the file, these one after the other."""
    view, start, end = memoryview(data), HEAD_NBYTES, 0
    found: list[memoryview] = []
    for _ in range(most_chunks(len(data))):
        after = start + 12 + int.from_bytes(view[start : start + 4], "big")
        if after > len(data):
            raise FileError("is a PNG image that is cut")
        kind = data[start + 4 : start + 8]
        if kind == b"IEND" and data[start:] == END and found and len(found[0]) > 12:
            return found
        if kind == b"IDAT" and end in (0, start):
            found.append(view[start:after])
            end = after
        elif kind != b"PLTE" and not kind[0] & 32:
            raise FileError("is a PNG image with chunks that are not to be skipped; save it anew")
        start = after
    raise FileError("is a PNG image of too many chunks; save it anew")


def image_samples(header: Header, chunks: list[memoryview]) -> Array:
    """The samples of IDAT chunks, as libpng reads them; DecodeError if it would not."""
    for one in chunks:
        if one[-4:] != zlib.crc32(one[4:-4]).to_bytes(4, "big"):
            raise DecodeError("payload has a PNG image with a wrong CRC")
    parts = [one[8:-4] for one in chunks]
    lines = [1 + image.row_bytes for *_, image in header.passes() for _ in range(image.height)]
    return arranged(header, inflated(parts, lines))
