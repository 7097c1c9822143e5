"""zlib: deflate with a header and an Adler-32 trailer (RFC 1950, RFC 1951)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from ...dtypes import checked_flag, checked_number
from ...errors import EncodeError, SpecError
from ...extras import tensorflow as tf
from ...form import BytesForm
from ...formats.zlib_pieces import compress_pieces
from ...formats.zlib_stream import (
    HEADERS,
    MIN_NBYTES,
    Data,
    checked_level,
    codes,
    compress,
    compress_bound,
    compress_with_stored_blocks,
    decompress,
    effort,
)
from ...graph.inflate import EXPANSION, inflate, inflate_in_groups, inflate_untrusted
from ...graph.rows import Rows, Status
from ..base import Compressor, Cost, encoder_only

#: Rows of at most 32 KiB are inflated in groups, so that no stream takes more than 100 MB.
SMALL = 2**15
#: The modulus of Adler-32: the largest prime below 2**16.
MODULUS = 65521


@dataclass(frozen=True)
class Zlib(Compressor):
    """Deflate with a zlib header and an Adler-32 trailer (RFC 1950, RFC 1951).

    Parameters
    ----------
    level : int, default 6
        Compression level, 0 to 12: isa-l up to 3, libdeflate from 4 on.
    max_packed : int, optional
        Refuse payloads of more bytes; arrays that need more are an EncodeError.
    store_incompressible : bool, default False
        Store bytes that deflate hardly shrinks uncompressed: floats after ``shuffle`` decode in a
        third to two thirds of the time, at 0.9 to 1.1 times the size.

    Notes
    -----
    Rows of at most 32 KiB are inflated in groups that cannot take more than 100 MB. A larger row
    can take 2,100 times its length: if you do not trust your clients, use `zlib_bounded` or
    ``max_packed``.

    The op accepts a stream without its trailer, and bytes after it. In a chain without a seal the
    graph compares the trailer with the Adler-32 of the inflated bytes (bytes after a stream pass if
    they end with its checksum). A stream that is damaged inside is a bad row; under a seal, where
    only who has the spec can have written it, it fails the whole batch.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> spec = tfd.ArraySpec((1000,), "uint8", "zlib:9", seal=False)
    >>> len(spec.encode(np.zeros(1000, np.uint8))) < 30
    True
    """

    name = "zlib"
    decode_cost = Cost(0.5, 1.5)
    encode_cost = Cost(2.0, 10.0)
    portable = True
    trials = ("zlib",)
    baselines = ("zlib:1", "zlib", "zlib:9")
    trials_incompressible = ("zlib:3,store_incompressible=true",)
    efforts = {"smallest": ("zlib:12",), "fastest": ("zlib:2",)}  # noqa: RUF012
    magics = HEADERS
    level: int = encoder_only(6)
    max_packed: int | None = None
    store_incompressible: bool = encoder_only(False)

    def __post_init__(self) -> None:
        checked_level(self.name, self.level)
        bound = self.max_packed
        if bound is not None:
            checked_number("codec zlib: max_packed", bound, MIN_NBYTES)
        checked_flag("codec zlib: store_incompressible", self.store_incompressible)

    def resolve(self, form: BytesForm) -> BytesForm:
        high = compress_bound(form.max_nbytes)
        if self.max_packed is not None:
            high = min(high, self.max_packed)
        low = max(MIN_NBYTES, form.min_nbytes // EXPANSION)
        if low > high:
            raise SpecError(f"codec zlib: max_packed is {self.max_packed}, needs at least {low}")
        return BytesForm(low, high, lambda: self.filler(form))

    def domain(self, form: BytesForm) -> str:
        if self.max_packed is None or self.max_packed >= compress_bound(form.max_nbytes):
            return ""
        return f"arrays that deflate to at most {self.max_packed:,} bytes"

    def inflates(self, form: BytesForm) -> int:
        if form.max_nbytes <= SMALL:
            return form.max_nbytes
        return EXPANSION * self.resolve(form).max_nbytes

    def bounded(self, form: BytesForm) -> bool:
        return self.inflates(form) <= 4 * form.max_nbytes

    @property
    def effort(self) -> float:
        return effort(self.level)

    @classmethod
    def packed_nbytes(cls, payload: bytes, nbytes: int) -> int:
        return codes(payload, nbytes)

    def filler(self, form: BytesForm) -> bytes:
        return compress(form.filler(), 9)  # may exceed max_packed, as it is never sent

    def encode(self, x: bytes, form: BytesForm) -> bytes:
        bound = self.resolve(form).max_nbytes
        if self.store_incompressible:
            y = compress_with_stored_blocks(x, self.level)
            if len(y) <= bound:
                return y
        y = compress(x, self.level)
        if len(y) > bound:
            raise EncodeError(f"array needs {len(y)} bytes, zlib:max_packed allows {bound}")
        return y

    def encode_pieces(
        self, pieces: Callable[..., Iterable[Data]], nbytes: int, form: BytesForm
    ) -> BytesIO | None:
        out, bound = BytesIO(), self.resolve(form).max_nbytes
        compress_pieces(pieces, nbytes, self.level, self.store_incompressible, out)
        if out.tell() > bound:
            return None
        return out

    def decode(self, y: bytes, form: BytesForm) -> bytes:
        return decompress(y, form.max_nbytes)

    def decode_rows(self, rows: Rows, form: BytesForm) -> Rows:
        if not rows.verified:
            head = tf.io.decode_raw(rows.data, tf.uint8, fixed_length=2)
            first, second = tf.unstack(tf.cast(head, tf.int32), axis=1)
            # Deflate with a window of up to 32 KiB, no preset dictionary, a valid header checksum.
            fits = tf.equal(first % 16, 8) & (first < 128) & tf.equal(second & 32, 0)
            fits &= tf.equal((first * 256 + second) % 31, 0)
            message = "has {} bytes that do not begin with a zlib header"
            rows = rows.check(fits, tf.strings.length(rows.data), Status.DAMAGED, message)
        rows = rows.guard(self.filler(form))
        packed = rows.data
        if rows.verified:
            one = inflate_in_groups if form.max_nbytes <= SMALL else inflate
            return replace(rows, data=one(packed, "ZLIB", form.max_nbytes))
        data, sound = inflate_untrusted(packed, "ZLIB", form.max_nbytes)
        message = "has {} bytes with a damaged zlib stream"
        rows = replace(rows, data=data)
        rows = rows.check(sound, tf.strings.length(packed), Status.DAMAGED, message)
        length = tf.strings.length(packed)
        trailer = tf.strings.substr(packed, length - 4, tf.fill([rows.size], 4))
        trailer = tf.io.decode_raw(trailer, tf.int32, little_endian=False)
        same = tf.equal(tf.reshape(trailer, [rows.size]), adler32(rows.data, form.max_nbytes))
        inflated = tf.strings.length(rows.data)
        message = "inflates to {} bytes that do not match its Adler-32 trailer"
        return rows.check(same, inflated, Status.DAMAGED, message)


def adler32(strings: Any, max_nbytes: int) -> Any:
    """The Adler-32 of each string: ``[B]`` -> ``[B]`` int32 (the bits of the unsigned sum)."""
    # Row by row: the integers take eight times the bytes. Weighted sums of 256 fit an int32.
    # Longer strings, which are wrong anyway, are cut: a bomb must not grow further.
    block = 256
    weights = tf.range(block)

    def one(string: Any) -> Any:
        string = tf.strings.substr(string, 0, max_nbytes)
        length = tf.cast(tf.strings.length(string), tf.int64)
        blocks = tf.cast((length + block - 1) // block, tf.int32)
        padded = tf.maximum(blocks, 1) * block  # decode_raw pads the last block with zeros
        data = tf.io.decode_raw(string[None], tf.uint8, fixed_length=padded)
        data = tf.cast(tf.reshape(data, [-1, block]), tf.int32)
        plain = tf.cast(tf.reduce_sum(data, 1), tf.int64)
        weighted = tf.cast(tf.reduce_sum(data * weights, 1), tf.int64)
        starts = tf.range(tf.size(plain, out_type=tf.int64)) * block
        low = 1 + tf.reduce_sum(plain)
        # Byte i counts (length - i) times. Blocks are reduced first: large rows would overflow.
        high = length + tf.reduce_sum(((length - starts) * plain - weighted) % MODULUS)
        total = (high % MODULUS) * 65536 + low % MODULUS
        # To int32 by hand: the result of a cast that wraps depends on the platform.
        return tf.cast(tf.where(total < 2**31, total, total - 2**32), tf.int32)

    return tf.map_fn(one, strings, fn_output_signature=tf.int32)
