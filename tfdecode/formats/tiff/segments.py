"""Strips and tiles of TIFF images: compressions and predictors (TIFF 6.0, sections 8 to 15)."""

from __future__ import annotations

import lzma
import zlib
from typing import Any

import numpy as np

from ...errors import FileError
from ...extras import zstd

NONE, LZW, DEFLATE, PACKBITS, OLD_DEFLATE, LZMA, ZSTD = 1, 5, 8, 32773, 32946, 34925, 50000
#: Compressions that are not read, and how people call them.
OTHERS = {
    2: "CCITT",
    3: "CCITT",
    4: "CCITT",
    6: "JPEG",
    7: "JPEG",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
READ = {NONE, LZW, DEFLATE, PACKBITS, OLD_DEFLATE, LZMA, ZSTD}
CLEAR, END = 256, 257
#: Bytes that a compressed segment may have besides twice its content.
BESIDE = 1024


def inflated(data: memoryview, compression: int, size: int) -> bytes | memoryview:
    """The first ``size`` bytes of a segment; hardly more than that are made."""
    # Parts can share their bytes: a hundred thousand could each inflate the whole file to nothing.
    data = data[: 2 * size + BESIDE]
    found: Any
    if compression == NONE:
        found = data
    elif compression in (DEFLATE, OLD_DEFLATE):
        inflater = zlib.decompressobj()
        found = inflater.decompress(data, size + 1)
        if len(found) <= size and not inflater.eof:
            raise FileError("a part of an image is cut off")
    elif compression == LZMA:
        found = lzma.LZMADecompressor(memlimit=2**27).decompress(data, size + 1)
    elif compression == ZSTD:
        found = zstd.ZstdDecompressor().decompress(bytes(data), size + 1)
    elif compression == PACKBITS:
        found = unpacked(bytes(data), size)
    else:
        found = unlzw(bytes(data), size)
    if len(found) < size:
        raise FileError(f"a part of an image has {len(found)} bytes, needs {size}")
    return memoryview(found)[:size]


def unpacked(data: bytes, size: int) -> bytes:
    """PackBits: runs, and bytes as they are."""
    out, at = bytearray(), 0
    while at + 1 < len(data) and len(out) < size:
        count = data[at]
        if count < 128:
            out += data[at + 1 : at + count + 2]
            at += count + 2
        else:
            if count > 128:
                out += data[at + 1 : at + 2] * (257 - count)
            at += 2 if count > 128 else 1
    return bytes(out)


def unlzw(data: bytes, size: int) -> bytes:
    """LZW: codes of 9 to 12 bits for texts, each the one before and a byte; highest bit first."""
    if data[:2] in (b"\0\1", b"\0\0") or data[:1] != b"\x80":
        raise FileError("an image has LZW data of another kind (of old programs); save it anew")
    first = [bytes([byte]) for byte in range(256)] + [b"", b""]
    texts, width, last = list(first), 9, b""
    out, total = [], 0
    held = bits = 0
    for byte in data:
        held, bits = (held << 8 | byte) & 0xFFFFFF, bits + 8
        if bits < width:
            continue
        bits -= width
        code = held >> bits & ((1 << width) - 1)
        if code == CLEAR:
            texts, width, last = list(first), 9, b""
            continue
        if code == END:
            break
        if code < len(texts):
            text = texts[code]
        elif code == len(texts) and last:
            text = last + last[:1]
        else:
            raise FileError("an image has damaged LZW data")
        out.append(text)
        total += len(text)
        if total >= size:
            break
        if last and len(texts) < 4096:
            texts.append(last + text[:1])
            # One code earlier than needed, as the writers do.
            width = 9 + (len(texts) >= 511) + (len(texts) >= 1023) + (len(texts) >= 2047)
        last = text
    return b"".join(out)


def unpredicted(rows: np.ndarray, predictor: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Pixels ``[rows, columns, samples]`` of the differences between neighbours in a row."""
    if predictor == 2:
        native = rows.astype(dtype.newbyteorder("="))
        bits = native.view(f"u{dtype.itemsize}")
        sums: np.ndarray = np.cumsum(bits, axis=1, dtype=bits.dtype)
        return sums.view(native.dtype)
    # 3: the bytes of a row of floats, highest first, then the differences of all of them.
    count, columns, samples = rows.shape
    planes = rows.reshape(count, -1).view(np.uint8).reshape(count, -1, samples)
    planes = np.cumsum(planes, axis=1, dtype=np.uint8).reshape(count, dtype.itemsize, -1)
    pixels: np.ndarray = np.ascontiguousarray(planes.transpose(0, 2, 1))
    found: np.ndarray = pixels.view(dtype.newbyteorder(">"))
    return found.reshape(count, columns, samples)
