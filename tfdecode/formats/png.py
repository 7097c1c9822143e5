"""PNG images of one strict form, written and read with numpy (PNG specification, RFC 2083).

Signature, IHDR, at most one tEXt, one IDAT, IEND: a reader inflates just what IHDR announces.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from ..errors import DecodeError

Buffer: TypeAlias = "bytes | memoryview"

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # samples of a pixel -> grey, grey+alpha, RGB, RGBA
NONE, SUB, UP, AVERAGE, PAETH = range(5)
#: What libpng in TensorFlow takes: a side, and all pixels together.
MAX_SIDE, MAX_PIXELS = 1_000_000, 2**29
#: Bytes of IDAT that libpng inflates at once.
READ_NBYTES = 8192
#: Pixels of a diagonal from which on numpy is faster than Python.
LONG = 128


@dataclass(frozen=True)
class Image:
    """The form of an image: what its IHDR says."""

    width: int
    height: int
    samples: int  # of a pixel: 1 to 4
    depth: int  # bits of a sample: 8 or 16

    @cached_property
    def pixels(self) -> int:
        """How many samples the image has."""
        return self.height * self.width * self.samples

    @cached_property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel: how far back the filters look."""
        return self.samples * self.depth // 8

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of one row of pixels, without its filter byte."""
        return self.width * self.pixel_bytes

    @cached_property
    def data_bytes(self) -> int:
        """What IDAT inflates to: each row behind its filter byte."""
        return self.height * (self.row_bytes + 1)

    @cached_property
    def head(self) -> bytes:
        """Signature and IHDR: the first 33 bytes of every such file."""
        color = COLOR_TYPES[self.samples]
        header = struct.pack(">IIBBBBB", self.width, self.height, self.depth, color, 0, 0, 0)
        return SIGNATURE + chunk(b"IHDR", header)

    def blank(self, height: int) -> np.ndarray:
        """Rows to be filled, uint8 ``[height, 1 + row_bytes]``: their filter bytes are 0."""
        lines = np.empty((height, 1 + self.row_bytes), np.uint8)
        lines[:, 0] = NONE
        return lines

    def filtered(self, lines: np.ndarray, kind: int) -> np.ndarray:
        """``lines`` as ``blank`` makes them, under one filter."""
        if kind == NONE:
            return lines
        out = np.empty_like(lines)
        step = self.pixel_bytes
        if kind == SUB and step > 1:
            out[:, 1 : 1 + step] = lines[:, 1 : 1 + step]
            np.subtract(lines[:, 1 + step :], lines[:, 1:-step], out=out[:, 1 + step :])
        else:
            # As one vector (3x faster): a row's first bytes look back to the filter bytes, still 0.
            back = 1 if kind == SUB else lines.shape[1]
            flat = lines.reshape(-1)
            out.reshape(-1)[:back] = flat[:back]
            np.subtract(flat[back:], flat[:-back], out=out.reshape(-1)[back:])
        out[:, 0] = kind
        return out

    def unfiltered(self, data: bytes) -> np.ndarray:
        """The reverse, for all five filters, mixed as they come: uint8 ``[height, row_bytes]``."""
        lines = np.frombuffer(data, np.uint8).reshape(self.height, self.row_bytes + 1)
        kinds: np.ndarray = lines[:, 0]
        rows: np.ndarray = lines[:, 1:].copy()
        if kinds.size and kinds.max() > PAETH:
            raise DecodeError(f"image has the row filter {kinds.max()}, needs 0 to {PAETH}")
        step = self.pixel_bytes
        shape = (self.width, step)
        for kind in (NONE, SUB):  # rows that need no other row: all at once
            chosen = kinds == kind
            if kind == SUB and chosen.any():
                pixels = rows[chosen].reshape(-1, *shape)
                rows[chosen] = pixels.cumsum(axis=1, dtype=np.uint8).reshape(-1, self.row_bytes)
        if (kinds == UP).all():
            return np.cumsum(rows, axis=0, dtype=np.uint8)
        if not ((kinds == AVERAGE) | (kinds == PAETH)).any():
            for row, above, kind in zip(rows[1:], rows, kinds[1:], strict=False):
                if kind == UP:
                    row += above
            return rows
        unfilter = unfilter_diagonals if min(self.height, self.width) >= LONG else unfilter_bytes
        return unfilter(lines[:, 1:].reshape(-1, *shape), kinds).reshape(rows.shape)

    def heads(self, text: bytes) -> tuple[bytes, bytes]:
        """All that may stand before IDAT: signature, IHDR and a tEXt chunk, or not that."""
        return self.head + chunk(b"tEXt", text), self.head

    def read(self, data: bytes, text: bytes) -> np.ndarray:
        """The rows of a file of this form; DecodeError for any other."""
        head = next((head for head in self.heads(text) if data.startswith(head)), None)
        if head is None:
            raise DecodeError(f"payload has {len(data)} bytes without the PNG header of its spec")
        body = data[len(head) : -len(END)]
        packed = body[8:-4]
        if body[:4] != len(packed).to_bytes(4, "big") or body[4:8] != b"IDAT":
            body = b""
        if not body or not data.endswith(END):
            raise DecodeError(
                f"payload has {len(data)} bytes that are not one IDAT and IEND "
                "behind its PNG header"
            )
        if body != chunk(b"IDAT", packed):
            raise DecodeError("payload has a PNG image with a wrong CRC")
        return self.unfiltered(self.inflated(packed))

    def inflated(self, packed: bytes) -> bytes:
        """The rows with their filter bytes; DecodeError if libpng cannot inflate them."""
        return inflated([packed], [self.row_bytes + 1] * self.height)


def windows_for(nbytes: int) -> tuple[int, ...]:
    """The first bytes of streams whose window holds ``nbytes``, or is the largest."""
    # libpng allocates the window that a stream declares, and zlib in Python the largest.
    needed = min(nbytes, 2**15)
    return tuple(8 + 16 * bits for bits in range(8) if 2 ** (bits + 8) >= needed)


def inflated(parts: Sequence[Buffer], lines: Sequence[int]) -> bytes:
    """Rows of so many bytes, from the data of IDAT chunks; DecodeError if libpng would fail."""
    nbytes = sum(lines)
    packed = b"".join(parts)
    if not packed or packed[0] not in windows_for(nbytes):
        raise DecodeError("payload has a PNG image whose zlib window is too small for it")
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, nbytes + 1)
    except zlib.error:
        data = b""
    if inflater.eof and not inflater.unused_data and len(data) == nbytes:
        return data
    try:
        return b"".join(inflated_rows(parts, lines))
    except zlib.error as error:
        raise DecodeError(f"payload's PNG image is not a zlib stream: {error}") from None


def inflated_rows(parts: Sequence[Buffer], lines: Sequence[int]) -> Iterator[bytes]:
    """Inflate row by row, as libpng does, which hardly looks at what follows the last row.

    It passes more rows, an error, and bytes after the stream, but not the lack of an end.
    """
    inflater, waiting = zlib.decompressobj(), b""
    pieces = (
        bytes(part[at : at + READ_NBYTES])
        for part in parts
        for at in range(0, len(part), READ_NBYTES)
    )
    short = DecodeError(f"payload has a PNG image of less than {sum(lines)} bytes")

    def more(count: int) -> bytes:
        nonlocal waiting
        if not waiting:
            waiting = next(pieces, b"")
        if not waiting or inflater.eof:
            raise short
        data = inflater.decompress(waiting, count)
        waiting = inflater.unconsumed_tail
        return data

    for length in lines:
        row = b""
        while len(row) < length:
            row += more(length - len(row))
        yield row
    surplus = 0
    with suppress(zlib.error):
        while not inflater.eof:
            surplus += len(more(READ_NBYTES))
            if not surplus:
                break


def unfilter_diagonals(pixels: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """``[height, width, bytes of a pixel]`` without their filters, a diagonal after the other."""
    # A pixel needs those to the left, above and between, so the pixels of a diagonal are computed
    # together: 512 x 512 take 70 ms. Numpy pixel by pixel took 2.8 s.
    height, width, step = pixels.shape
    padded = np.zeros((height + 1, width + 1, step), np.int16)
    padded[1:, 1:] = pixels
    flat, down = padded.reshape(-1, step), width + 1
    sub, up, average, paeth = ((kinds == kind)[:, np.newaxis] for kind in (SUB, UP, AVERAGE, PAETH))
    for diagonal in range(height + width - 1):
        first, last = max(0, diagonal - width + 1), min(height - 1, diagonal)
        row = slice(first, last + 1)
        start = down + diagonal + 1 + first * width
        end = down + diagonal + 2 + last * width
        a = flat[start - 1 : end - 1 : width]
        b = flat[start - down : end - down : width]
        c = flat[start - down - 1 : end - down - 1 : width]
        to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        nearest = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
        guess = sub[row] * a + up[row] * b + average[row] * ((a + b) >> 1) + paeth[row] * nearest
        pixel = flat[start:end:width]
        pixel += guess
        pixel &= 255
    return padded[1:, 1:].astype(np.uint8)


def unfilter_bytes(pixels: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """As ``unfilter_diagonals``, for images whose diagonals are short: 0.2 us for each byte."""
    step = pixels.shape[2]
    above = [0] * (step + pixels[0].size)
    rows = []
    for pixel_row, kind in zip(pixels, kinds.tolist(), strict=True):
        row = [0] * step
        for at, byte in enumerate(pixel_row.reshape(-1).tolist()):
            a, b, c = row[at], above[at + step], above[at]
            if kind == PAETH:
                to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
                a = a if to_a <= to_b and to_a <= to_c else b if to_b <= to_c else c
            elif kind == AVERAGE:
                a = (a + b) // 2
            elif kind != SUB:
                a = b if kind == UP else 0
            row.append((byte + a) & 255)
        rows.append(bytes(row[step:]))
        above = row
    return np.frombuffer(b"".join(rows), np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG: length, type, data, CRC-32."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
