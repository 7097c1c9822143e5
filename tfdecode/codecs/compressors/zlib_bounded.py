"""zlib_bounded: a zlib stream that never inflates beyond the size of the spec."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np

from ...dtypes import checked_flag
from ...errors import DecodeError, SpecError
from ...extras import tensorflow as tf
from ...form import BytesForm
from ...formats.png import END, MAX_PIXELS, Image, chunk
from ...formats.zlib_pieces import PIECE, compress_pieces
from ...formats.zlib_stream import (
    MIN_NBYTES,
    Data,
    checked_level,
    codes,
    compress,
    compress_bound,
    compress_with_stored_blocks,
    effort,
)
from ...graph.images import check_window, decode_images
from ...graph.map_rows import map_rows
from ...graph.raw_bytes import big_endian, raw_string
from ...graph.rows import Rows, Status
from ..base import Compressor, Cost, encoder_only
from ..deflate import deflated

#: libpng decodes row by row: rows of 1024 bytes took 1.1 to 1.2 times as long, of 65536 no less.
#: Compared with ``zlib``: 1.1 to 1.2 times from 48 KB on, 1.5 to 1.9 at 4 KB (batch 1 and 32).
IMAGE_ROW_NBYTES = 8192


@dataclass(frozen=True)
class ZlibBounded(Compressor):
    """Deflate whose output is bounded: the data of a PNG whose header the graph writes.

    Parameters
    ----------
    level : int, default 6
        Compression level, 0 to 12: isa-l up to 3, libdeflate from 4 on.
    store_incompressible : bool, default False
        Store bytes that deflate hardly shrinks uncompressed, as in `zlib`.

    Notes
    -----
    ``decode_png`` writes no more than the size in the image header, which the graph adds. So the
    payload is the data of an IDAT chunk and its CRC (PNG specification, ISO/IEC 15948), of a grey
    image with rows of about 8 KiB, the last of which is padded with zeros.

    If the number of bytes is not fixed, 8 bytes come first: the number, and the CRC of the IHDR
    that follows from it. A damaged stream is a bad row, as in `zlib`.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> spec = tfd.ArraySpec((1000,), "uint8", "zlib_bounded", seal=False)
    >>> len(spec.encode(np.zeros(1000, np.uint8))) < 30
    True
    """

    name = "zlib_bounded"
    decode_cost = Cost(0.6, 1.5)
    encode_cost = Cost(2.2, 10.0)
    trials = ("zlib_bounded",)
    portable = True
    baselines = ("zlib_bounded:1", "zlib_bounded", "zlib_bounded:9")
    trials_incompressible = ("zlib_bounded:3,store_incompressible=true",)
    efforts = {"smallest": ("zlib_bounded:12",), "fastest": ("zlib_bounded:2",)}  # noqa: RUF012
    level: int = encoder_only(6)
    store_incompressible: bool = encoder_only(False)

    def __post_init__(self) -> None:
        checked_level(self.name, self.level)
        checked_flag("codec zlib_bounded: store_incompressible", self.store_incompressible)

    def resolve(self, form: BytesForm) -> BytesForm:
        if form.max_nbytes > MAX_PIXELS:
            raise SpecError(
                f"codec zlib_bounded: {form.max_nbytes} bytes, at most {MAX_PIXELS} are supported"
            )
        frame = CRC_NBYTES + (0 if form.min_nbytes == form.max_nbytes else PREFIX.size)
        bound = compress_bound(image_of(form.max_nbytes, form.max_nbytes).data_bytes) + frame
        return BytesForm(MIN_NBYTES + frame, bound, lambda: self.filler(form))

    def inflates(self, form: BytesForm) -> int:
        return image_of(form.max_nbytes, form.max_nbytes).data_bytes

    @property
    def effort(self) -> float:
        return effort(self.level)

    @classmethod
    def packed_nbytes(cls, payload: bytes, nbytes: int) -> int:
        return codes(payload[:-CRC_NBYTES], nbytes)

    def encode(self, x: bytes, form: BytesForm) -> bytes:
        image = image_of(len(x), form.max_nbytes)
        lines = padded_rows(x, image, image.height)
        # Without the length and the type of the chunk, which the graph adds.
        pack = compress_with_stored_blocks if self.store_incompressible else compress
        packed = chunk(b"IDAT", pack(lines.tobytes(), self.level))[8:]
        return packed if form.min_nbytes == form.max_nbytes else prefix(len(x), image) + packed

    def encode_pieces(
        self, pieces: Callable[..., Iterable[Data]], nbytes: int, form: BytesForm
    ) -> BytesIO | None:
        image, out = image_of(nbytes, form.max_nbytes), BytesIO()
        if form.min_nbytes != form.max_nbytes:
            out.write(prefix(nbytes, image))
        start = out.tell()

        def rows() -> Iterator[Data]:
            # Whole rows at a time, each after its filter byte.
            for piece in pieces(max(1, PIECE // image.width) * image.width):
                yield padded_rows(piece, image, -(-len(piece) // image.width)).data.cast("B")

        compress_pieces(rows, image.data_bytes, self.level, self.store_incompressible, out)
        with out.getbuffer() as view:
            crc = zlib.crc32(view[start:], zlib.crc32(b"IDAT"))
        out.write(struct.pack(">I", crc))
        return out

    def decode(self, y: bytes, form: BytesForm) -> bytes:
        count = form.max_nbytes
        if form.min_nbytes != form.max_nbytes:
            count = PREFIX.unpack_from(y)[0]
            if not form.min_nbytes <= count <= form.max_nbytes:
                raise DecodeError(f"payload states {count} bytes, {form.needs()}")
        image = image_of(count, form.max_nbytes)
        if form.min_nbytes != form.max_nbytes:
            if not y.startswith(prefix(count, image)):
                raise DecodeError(f"payload that states {count} bytes has a wrong header CRC")
            y = y[PREFIX.size :]
        packed = struct.pack(">I", len(y) - CRC_NBYTES) + b"IDAT" + y
        return image.read(image.head + packed + END, b"").tobytes()[:count]

    def decode_rows(self, rows: Rows, form: BytesForm) -> Rows:
        image = image_of(form.max_nbytes, form.max_nbytes)
        if form.min_nbytes == form.max_nbytes:
            rows = rows.guard(self.filler(form))
            head, count, packed = image.head, tf.fill([rows.size], form.max_nbytes), rows.data
            nbytes = image.data_bytes
        else:
            # As int64: numbers from 2**31 on are negative as int32.
            claimed = tf.cast(counts(rows), tf.int64) % 2**32
            fits = (claimed >= form.min_nbytes) & (claimed <= form.max_nbytes)
            message = f"states {{}} bytes, {form.needs()}"
            rows = rows.check(fits, claimed, Status.HEADER, message).guard(self.filler(form))
            count, length = counts(rows), tf.strings.length(rows.data)
            height = tf.maximum(1, (count + image.width - 1) // image.width)
            nbytes = height * (image.width + 1)
            crc = tf.strings.substr(rows.data, 4, 4)
            parts = [
                image.head[:HEIGHT_OFFSET],
                big_endian(height),
                image.head[HEIGHT_OFFSET + 4 : -4],
                crc,
            ]
            head = tf.strings.join(parts)
            start = tf.fill([rows.size], PREFIX.size)
            packed = tf.strings.substr(rows.data, start, length - PREFIX.size)
        first = tf.io.decode_raw(packed, tf.uint8, fixed_length=1)[:, 0]
        rows = check_window(rows, first, nbytes)
        length = big_endian(tf.strings.length(packed) - CRC_NBYTES)
        files = tf.strings.join([head, length, b"IDAT", packed, END])

        def one(file: Any, count: Any) -> Any:
            pixels = tf.io.decode_png(file, 1)
            return raw_string(pixels, tf.size(pixels), count)

        return decode_images(one, rows, image.data_bytes, files, count)

    def encode_rows(self, rows: Rows, form: BytesForm) -> Rows:
        count = form.max_nbytes
        if form.min_nbytes != count:
            raise SpecError(
                "codec zlib_bounded encodes in a graph only bytes of a fixed number; put it after "
                "a container that does not compress"
            )
        image = image_of(count, count)

        def one(data: Any) -> Any:
            pixels = tf.io.decode_raw(data, tf.uint8)
            pixels = tf.pad(pixels, [[0, image.pixels - count]])
            pixels = tf.reshape(pixels, [image.height, image.width])
            return deflated(pixels, image, self.level)

        return replace(rows, data=map_rows(one, rows.data))


#: The number of bytes, if it is not fixed, and the CRC of IHDR as in the PNG.
PREFIX = struct.Struct("<I4s")
#: Bytes of the CRC of a chunk, and the offset of the height in the header of the image.
CRC_NBYTES, HEIGHT_OFFSET = 4, 20


@lru_cache(maxsize=256)
def image_of(count: int, max_nbytes: int) -> Image:
    """The image for ``count`` bytes; ``max_nbytes`` determines its width."""
    width = max(1, -(-max_nbytes // max(1, -(-max_nbytes // IMAGE_ROW_NBYTES))))
    return Image(width, max(1, -(-count // width)), 1, 8)


def padded_rows(data: Data, image: Image, height: int) -> np.ndarray:
    """``data`` as rows of the image: uint8 ``[height, 1 + width]``, zeros after its end."""
    lines = image.blank(height)
    whole, rest = divmod(len(data), image.width)
    flat = np.frombuffer(data, np.uint8)
    lines[:whole, 1:] = flat[: len(flat) - rest].reshape(whole, image.width)
    lines[whole:, 1:] = 0
    lines[whole:, 1 : 1 + rest] = flat[len(flat) - rest :]
    return lines


def prefix(count: int, image: Image) -> bytes:
    """The prefix of a payload of ``count`` bytes."""
    return PREFIX.pack(count, image.head[-CRC_NBYTES:])


def counts(rows: Rows) -> Any:
    """The number of bytes that each row states: int32 ``[B]``."""
    head = tf.io.decode_raw(rows.data, tf.int32, fixed_length=4)
    return tf.reshape(head, [rows.size])
