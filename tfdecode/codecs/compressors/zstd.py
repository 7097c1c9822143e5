"""zstd: Zstandard frames with a content size (RFC 8878); the graph needs TensorFlow 2.20."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...dtypes import checked_number
from ...errors import DecodeError
from ...extras import tensorflow as tf
from ...extras import zstd as library
from ...form import BytesForm
from ...formats.sniff import ZSTD_MAGIC as MAGIC
from ...graph.inflate import inflate, inflate_untrusted
from ...graph.rows import Rows, Status
from ..base import Compressor, Cost, encoder_only

#: Descriptor of a single segment without checksum and dictionary -> bytes of its content size, and
#: the offset that is added to them. Arrays of 4 GiB would need the descriptor that is left out.
DESCRIPTORS = {0x20: (1, 0), 0x60: (2, 256), 0xA0: (4, 0)}
#: The magic numbers of frames that decoders skip.
SKIPPABLE = range(0x184D2A50, 0x184D2A60)
#: Magic, descriptor and content size.
MAX_HEADER_NBYTES = 9
#: The header of a block, the last one of which may be empty.
BLOCK_HEADER_NBYTES = 3
MAX_BLOCK_NBYTES = 2**17


@dataclass(frozen=True)
class Zstd(Compressor):
    """Zstandard (RFC 8878), which decodes two to three times as fast as deflate.

    Before TensorFlow 2.20 the first request fails.

    Parameters
    ----------
    level : int, default 3
        Compression level, 1 to 22.

    Notes
    -----
    The op allocates the content size that a frame states, and 1e11 bytes end the process. So the
    graph compares magic, descriptor (one segment, no checksum, no dictionary) and content size with
    the spec before the op runs. A damaged frame is a bad row, as in `zlib`; in a chain without a
    seal it may also decode to another array. Empty and skippable frames after it are accepted.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> spec = tfd.ArraySpec((1000,), "uint8", "zstd:19", seal=False)
    >>> len(spec.encode(np.zeros(1000, np.uint8))) < 30
    True
    """

    name = "zstd"
    decode_cost = Cost(0.3, 0.8)
    encode_cost = Cost(0.6, 6.0)
    min_tensorflow = (2, 20)
    trials = ("zstd",)
    efforts = {"smallest": ("zstd:19",), "fastest": ("zstd:1",)}  # noqa: RUF012
    magics = (MAGIC,)
    level: int = encoder_only(3)

    def __post_init__(self) -> None:
        checked_number("codec zstd: level", self.level, 1, 22)

    @property
    def effort(self) -> float:
        return 0.4 if self.level < 3 else 1.0 if self.level <= 9 else 30.0

    def resolve(self, form: BytesForm) -> BytesForm:
        low = len(frame_header(form.min_nbytes)) + BLOCK_HEADER_NBYTES
        return BytesForm(low, compress_bound(form.max_nbytes), lambda: self.filler(form))

    def filler(self, form: BytesForm) -> bytes:
        return store(form.filler())

    def encode(self, x: bytes, form: BytesForm) -> bytes:
        parameter = library.CompressionParameter
        options = {
            parameter.compression_level: self.level,
            # A window of the whole array, without which a large one is not a single segment.
            parameter.window_log: max(10, (len(x) - 1).bit_length()),
            parameter.content_size_flag: 1,
            parameter.checksum_flag: 0,
        }
        y: bytes = library.compress(x, options=options)
        assert y.startswith(frame_header(len(x)))
        return y

    def decode(self, y: bytes, form: BytesForm) -> bytes:
        size = content_size(y)
        if size is None:
            raise DecodeError(f"payload of {len(y)} bytes is not a zstd frame of its spec")
        if not form.min_nbytes <= size <= form.max_nbytes:
            raise DecodeError(f"payload has a zstd header of {size} bytes, {form.needs()}")
        # The window of a single segment is its size, which may exceed the default limit.
        options = {library.DecompressionParameter.window_log_max: 31}
        inflater = library.ZstdDecompressor(options=options)
        try:
            x: bytes = inflater.decompress(y, max_length=size + 1)
        except library.ZstdError as error:
            raise DecodeError(f"payload is not a valid zstd frame: {error}") from None
        if not inflater.eof:
            raise DecodeError(f"payload is a truncated zstd frame of {len(x)} bytes")
        rest = inflater.unused_data
        while rest:  # as the op, which skips frames that hold nothing
            if int.from_bytes(rest[:4], "little") in SKIPPABLE:
                end = 8 + int.from_bytes(rest[4:8], "little")
                rest = rest[end:] if 8 <= end <= len(rest) and len(rest) >= 8 else rest[:1]
                continue
            inflater = library.ZstdDecompressor(options=options)
            try:
                empty = inflater.decompress(rest, max_length=1) == b"" and inflater.eof
            except library.ZstdError:
                empty = False
            if not empty:
                raise DecodeError(f"payload has {len(rest)} bytes after its zstd frame, needs 0")
            rest = inflater.unused_data
        return x

    def decode_rows(self, rows: Rows, form: BytesForm) -> Rows:
        # Sealed rows too: everyone who has the spec can seal a frame that ends the process.
        if form.min_nbytes == form.max_nbytes:
            header = frame_header(form.max_nbytes)
            fits = tf.equal(tf.strings.substr(rows.data, 0, len(header)), header)
            got = tf.strings.length(rows.data)
            message = f"has {{}} bytes without the zstd header of a frame of {form.max_nbytes}"
        else:
            fits, got = content_sizes(rows.data)
            fits &= (got >= form.min_nbytes) & (got <= form.max_nbytes)
            message = f"has a zstd header of {{}} bytes, {form.needs()}"
        rows = rows.check(fits, got, Status.HEADER, message).guard(self.filler(form))
        if rows.verified:
            return replace(rows, data=inflate(rows.data, "ZSTD", form.max_nbytes))
        packed, message = tf.strings.length(rows.data), "has {} bytes with a damaged zstd frame"
        data, sound = inflate_untrusted(rows.data, "ZSTD", form.max_nbytes)
        return replace(rows, data=data).check(sound, packed, Status.DAMAGED, message)


def compress_bound(nbytes: int) -> int:
    """The maximum compressed size of ``nbytes``: ZSTD_compressBound."""
    small = 2**17
    return nbytes + (nbytes >> 8) + ((small - nbytes) >> 11 if nbytes < small else 0)


def frame_header(nbytes: int) -> bytes:
    """The header of a frame with a content size of ``nbytes``."""
    descriptor = 0x20 if nbytes < 256 else 0x60 if nbytes < 65536 + 256 else 0xA0
    size, offset = DESCRIPTORS[descriptor]
    return MAGIC + bytes([descriptor]) + (nbytes - offset).to_bytes(size, "little")


def content_size(frame: bytes) -> int | None:
    """The content size of a frame with a header as ``frame_header`` writes it, else None."""
    if frame[:4] != MAGIC or frame[4:5] == b"" or frame[4] not in DESCRIPTORS:
        return None
    size, offset = DESCRIPTORS[frame[4]]
    nbytes = int.from_bytes(frame[5 : 5 + size], "little") + offset
    return nbytes if frame.startswith(frame_header(nbytes)) else None


def content_sizes(frames: Any) -> tuple[Any, Any]:
    """Strings ``[B]`` -> whether each header is valid, and its content size as int64."""
    header = tf.cast(tf.io.decode_raw(frames, tf.uint8, fixed_length=MAX_HEADER_NBYTES), tf.int64)
    descriptor = header[:, 4]
    size2 = header[:, 5] + header[:, 6] * 2**8
    size4 = size2 + header[:, 7] * 2**16 + header[:, 8] * 2**24
    fits = tf.reduce_all(tf.equal(header[:, :4], list(MAGIC)), 1)
    has4 = tf.equal(descriptor, 0xA0)
    has2 = tf.equal(descriptor, 0x60)
    fits &= tf.equal(descriptor, 0x20) | has2 | (has4 & (size4 >= 65536 + 256))
    return fits, tf.where(has4, size4, tf.where(has2, size2 + 256, header[:, 5]))


def store(data: bytes) -> bytes:
    """A frame of raw and run-length blocks, made without the library."""
    frame = frame_header(len(data))
    for start in range(0, max(1, len(data)), MAX_BLOCK_NBYTES):
        block = data[start : start + MAX_BLOCK_NBYTES]
        repeats = len(block) > 1 and block == block[:1] * len(block)
        last = start + MAX_BLOCK_NBYTES >= len(data)
        frame += (len(block) << 3 | repeats << 1 | last).to_bytes(BLOCK_HEADER_NBYTES, "little")
        frame += block[:1] if repeats else block
    return frame
