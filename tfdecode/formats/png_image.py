"""PNG images of any program, in every channel and every bit (PNG specification, RFC 2083).

`png` is the strict form that payloads have, with an encoder; this reader takes all colour types,
depths of 1 to 16 bits and interlaced images.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..errors import DecodeError, FileError
from .contents import MAX_BYTES, Array, Contents, Entry, failures
from .png import MAX_SIDE, SIGNATURE, Image

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {
    GREY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    RGBA: (8, 16),
}
#: The images of an interlaced one: first row and column, and the steps between them.
ADAM7 = [
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
]
COLOURS = "the colours of the indices that were read; save the image as RGB if you want these"
FRAMES = "frames of an animation, of which only the first image is read"
#: The first chunk of text of an image that `tfdecode` made.
KEYWORD = b"tfdecode\0"


class Header(NamedTuple):
    """What IHDR says."""

    width: int
    height: int
    depth: int
    color: int
    interlaced: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        samples = SAMPLES[self.color]
        return (self.height, self.width, samples) if samples > 1 else (self.height, self.width)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The dtype of the array."""
        return np.dtype(np.uint16 if self.depth == 16 else np.uint8)

    @property
    def data_bytes(self) -> int:
        """What IDAT inflates to: each row of each pass after its filter byte."""
        return sum(image.data_bytes for _, _, image in self.passes())

    def passes(self) -> list[tuple[slice, slice, Image]]:
        """Where in the array each image of the file goes, and its rows of bytes."""
        steps = ADAM7 if self.interlaced else [(0, 0, 1, 1)]
        found = []
        for row, column, down, right in steps:
            height, width = (self.height - row + down - 1) // down, self.width - column
            width = (width + right - 1) // right
            if height > 0 and width > 0:
                place = slice(row, None, down), slice(column, None, right)
                found.append((*place, self.rows(width, height)))
        return found

    def rows(self, width: int, height: int) -> Image:
        """Rows as filters see them: pixels, or bytes if these hold several samples."""
        samples = SAMPLES[self.color]
        if self.depth < 8:
            return Image((width * self.depth + 7) // 8, height, 1, 8)
        return Image(width, height, samples, self.depth)


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The samples, uint8 or uint16, ``[height, width]`` or ``[height, width, channels]``.

    They are as stored: grey of 4 bits is 0 to 15, and of a palette image these are the indices.
    """
    with failures("is a damaged PNG image"):
        found = list(chunks(data))
        header = header_of(found[0][1])
    others = {}
    for kind, chunk in found:
        if kind == b"PLTE" and header.color == PALETTE:
            others["palette"] = COLOURS
        elif kind == b"acTL":
            others["frames"] = FRAMES
        elif kind == b"tEXt" and bytes(chunk[: len(KEYWORD)]) == KEYWORD:
            raise FileError("is a payload that tfdecode packed; tfdecode unpack FILE decodes it")

    def read() -> Array:
        with failures("is a damaged PNG image"):
            return pixels(header, [chunk for kind, chunk in found if kind == b"IDAT"])

    return Contents([Entry("", header.dtype, header.shape, read)], others)


def chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and data of each chunk, IHDR first and without IEND; checks the CRC of all others."""
    at, whole = len(SIGNATURE), memoryview(data)
    kind = b""
    while kind != b"IEND":
        length = int.from_bytes(data[at : at + 4], "big")
        start, end = at + 8, at + 8 + length
        if end + 4 > len(data):
            raise FileError(f"it ends after {len(data)} bytes without IEND")
        first, kind = not kind, data[at + 4 : start]
        if first != (kind == b"IHDR"):
            raise FileError("it has not one IHDR at its beginning")
        if zlib.crc32(whole[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise FileError(f"its chunk at byte {at} has a wrong CRC")
        yield kind, whole[start:end]
        at = end + 4


def header_of(data: memoryview) -> Header:
    """IHDR, checked."""
    if len(data) != 13:
        raise FileError(f"its IHDR has {len(data)} bytes, needs 13")
    width, height, depth, color, compression, method, interlace = struct.unpack(">IIBBBBB", data)
    # libpng takes no more either; each row takes memory of its own, even if it is a single byte.
    if not 0 < min(width, height) <= max(width, height) <= MAX_SIDE:
        raise FileError(f"its size is {width} x {height}, needs sides of 1 to {MAX_SIDE}")
    if depth not in DEPTHS.get(color, ()) or compression or method or interlace > 1:
        raise FileError(f"its IHDR has colour type {color}, depth {depth}, interlace {interlace}")
    return Header(width, height, depth, color, bool(interlace))


def pixels(header: Header, packed: list[memoryview]) -> Array:
    """The samples of the image."""
    needed = header.data_bytes
    inflater = zlib.decompressobj()
    data = inflater.decompress(b"".join(packed), needed + 1)
    if len(data) != needed or not inflater.eof:
        raise FileError(f"its IDAT does not inflate to the {needed} bytes of its rows")
    return arranged(header, data)


def arranged(header: Header, data: bytes) -> Array:
    """The samples of an image whose rows, each after its filter byte, are ``data``."""
    array = np.empty(header.shape, header.dtype)
    at = 0
    for rows, columns, image in header.passes():
        part = array[rows, columns]
        try:
            lines = image.unfiltered(data[at : at + image.data_bytes])
        except DecodeError as error:
            raise FileError(str(error)) from None
        part[...] = samples(lines, header.depth, part.shape)
        at += image.data_bytes
    return array


def samples(lines: Array, depth: int, shape: tuple[int, ...]) -> Array:
    """Rows of bytes as samples; those of a byte begin with its highest bits."""
    if depth == 16:
        return lines.view(">u2").reshape(shape)
    if depth < 8:
        shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
        apart: Array = (lines[..., np.newaxis] >> shifts) & np.uint8(2**depth - 1)
        return apart.reshape(len(lines), -1)[:, : shape[1]]  # the last byte may be longer
    return lines.reshape(shape)
