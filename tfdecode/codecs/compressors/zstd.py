"""zstd: Zstandard frames that say their size (RFC 8878); the graph needs TensorFlow 2.20."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...errors import DecodeError, SpecError
from ...extras import tensorflow as tf
from ...extras import zstd as library
from ...form import BytesForm
from ...graph.inflate import inflate
from ...graph.rows import Rows, Status
from ..base import Compressor, Cost, encoder_only

MAGIC = b"\x28\xb5\x2f\xfd"
#: descriptor of a single segment without checksum and dictionary -> bytes of its content size, and
#: what is added to them. The other descriptor with a size would make an array of more than 4 GiB.
DESCRIPTORS = {0x20: (1, 0), 0x60: (2, 256), 0xA0: (4, 0)}
#: The longest head: magic, descriptor and content size.
HEAD = 9
#: A block that holds nothing.
LEAST = 3


@dataclass(frozen=True)
class Zstd(Compressor):
    """Zstandard, which inflates two to three times as fast as deflate, to what its frame claims.

    ``decode_compressed`` knows it from TensorFlow 2.20 on; in an earlier one the first request
    fails. Clients need the extra ``zstd`` before Python 3.14.

    The op makes room for what a frame claims, and a claim of 1e11 bytes ends the process. So there
    is one form of frame: a single segment, no checksum, no dictionary. The graph compares magic,
    descriptor and content size with the spec before the op sees them, and libzstd writes no byte
    beyond the claim. A damaged frame fails the whole batch; in a chain without a seal it may pass
    as another array instead, as in ``raw``. (An empty frame, or one to skip, behind the first also
    passes there; the array is right all the same.)

    Parameters
    ----------
    level : 1 to 22, how hard the encoder tries
    """

    name = "zstd"
    decode_cost = Cost(0.3, 0.8)
    encode_cost = Cost(0.6, 6.0)
    min_tensorflow = (2, 20)
    trials = ("zstd",)
    efforts = {"smallest": ("zstd:19",), "fastest": ("zstd:1",)}  # noqa: RUF012
    throws = True
    magics = (MAGIC,)
    level: int = encoder_only(3)

    def __post_init__(self) -> None:
        if type(self.level) is not int or not 1 <= self.level <= 22:
            raise SpecError(f"codec zstd: level is {self.level!r}, needs 1 to 22")

    def resolve(self, form: BytesForm) -> BytesForm:
        least = len(head(form.min_nbytes)) + LEAST
        return BytesForm(least, longest(form.max_nbytes), lambda: self.filler(form))

    def filler(self, form: BytesForm) -> bytes:
        return stored(form.filler())

    def encode(self, x: bytes, form: BytesForm) -> bytes:
        parameter = library.CompressionParameter
        options = {
            parameter.compression_level: self.level,
            # A window of the whole array: else large ones are no single segment.
            parameter.window_log: max(10, (len(x) - 1).bit_length()),
            parameter.content_size_flag: 1,
            parameter.checksum_flag: 0,
        }
        y: bytes = library.compress(x, options=options)
        assert y.startswith(head(len(x)))
        return y

    def decode(self, y: bytes, form: BytesForm) -> bytes:
        size = claimed(y)
        if size is None or not form.min_nbytes <= size <= form.max_nbytes:
            got = f"of {len(y)} bytes" if size is None else f"whose zstd header claims {size} bytes"
            raise DecodeError(f"payload {got} is no zstd frame of its spec, {form.needs()}")
        # Single segments have the window of their size, which may be more than the default limit.
        options = {library.DecompressionParameter.window_log_max: 31}
        inflater = library.ZstdDecompressor(options=options)
        try:
            x: bytes = inflater.decompress(y, max_length=size + 1)
        except library.ZstdError as error:
            raise DecodeError(f"payload is no zstd frame: {error}") from None
        if not inflater.eof:
            raise DecodeError(f"payload ends inside its zstd frame after {len(x)} bytes")
        if inflater.unused_data:
            count = len(inflater.unused_data)
            raise DecodeError(f"payload has {count} bytes behind its zstd frame, needs 0")
        return x

    def decode_rows(self, rows: Rows, form: BytesForm) -> Rows:
        # Sealed rows too: whoever holds the spec can seal a frame that ends the process.
        if form.min_nbytes == form.max_nbytes:
            start = head(form.max_nbytes)
            fits = tf.equal(tf.strings.substr(rows.data, 0, len(start)), start)
            got = tf.strings.length(rows.data)
            message = f"has {{}} bytes without the zstd header of a frame of {form.max_nbytes}"
        else:
            fits, got = claims(rows.data)
            fits &= (got >= form.min_nbytes) & (got <= form.max_nbytes)
            message = f"has a zstd header that claims {{}} bytes, {form.needs()}"
        rows = rows.check(fits, got, Status.HEADER, message).guard(self.filler(form))
        return replace(rows, data=inflate(rows.data, "ZSTD", form.max_nbytes))


def longest(nbytes: int) -> int:
    """The most that ``nbytes`` can be compressed to: ZSTD_compressBound."""
    small = 2**17
    return nbytes + (nbytes >> 8) + ((small - nbytes) >> 11 if nbytes < small else 0)


def head(nbytes: int) -> bytes:
    """What a frame of ``nbytes`` begins with."""
    descriptor = 0x20 if nbytes < 256 else 0x60 if nbytes < 65536 + 256 else 0xA0
    size, added = DESCRIPTORS[descriptor]
    return MAGIC + bytes([descriptor]) + (nbytes - added).to_bytes(size, "little")


def claimed(frame: bytes) -> int | None:
    """The content size of a frame that begins as ``head`` says, else None."""
    if frame[:4] != MAGIC or frame[4:5] == b"" or frame[4] not in DESCRIPTORS:
        return None
    size, added = DESCRIPTORS[frame[4]]
    nbytes = int.from_bytes(frame[5 : 5 + size], "little") + added
    return nbytes if frame.startswith(head(nbytes)) else None


def stored(data: bytes) -> bytes:
    """A frame of blocks that hold their bytes, or one byte and how often: no library is needed."""
    frame = head(len(data))
    for start in range(0, max(1, len(data)), 2**17):
        piece = data[start : start + 2**17]
        repeats = len(piece) > 1 and piece == piece[:1] * len(piece)
        last = start + 2**17 >= len(data)
        frame += (len(piece) << 3 | repeats << 1 | last).to_bytes(3, "little")
        frame += piece[:1] if repeats else piece
    return frame


def claims(frames: Any) -> tuple[Any, Any]:
    """Strings ``[B]`` -> whether each begins as ``head`` says, and its content size as int64."""
    start = tf.cast(tf.io.decode_raw(frames, tf.uint8, fixed_length=HEAD), tf.int64)
    descriptor = start[:, 4]
    low = start[:, 5] + start[:, 6] * 2**8
    whole = low + start[:, 7] * 2**16 + start[:, 8] * 2**24
    fits = tf.reduce_all(tf.equal(start[:, :4], list(MAGIC)), 1)
    long = tf.equal(descriptor, 0xA0)
    middle = tf.equal(descriptor, 0x60)
    fits &= tf.equal(descriptor, 0x20) | middle | (long & (whole >= 65536 + 256))
    return fits, tf.where(long, whole, tf.where(middle, low + 256, start[:, 5]))
