"""Inflating a batch of strings: on all cores, row by row, or in groups, by what it could take."""

from __future__ import annotations

from typing import Any

from ..extras import tensorflow as tf
from .map_rows import LARGE, map_rows
from .try_rows import PARALLEL, try_rows

#: Maximum output bytes per input byte of deflate (a match of 258 bytes in 2 bits).
EXPANSION = 1032
#: Bytes that the op takes at its peak per input byte: its buffer doubles as it grows, and the old
#: one is copied if it cannot be moved: 1,030 were measured for rows of 390 kB, 2,060 for 35 kB.
PEAK = 2 * EXPANSION
#: Bytes to which the streams of a group can inflate at worst. The peak is twice that: 70 MB for a
#: row of 32 KiB, the largest for which `zlib` is bounded.
GROUP = 2**25
#: What a gzip file begins with: deflate, no name, no date (RFC 1952); bytes of a full stored block.
GZIP, STORED = bytes.fromhex("1f8b08000000000000ff"), 2**16 - 1
#: Bytes that streams may take which are inflated at the same time.
AT_ONCE = 2**30


def inflate(packed: Any, kind: str, max_nbytes: int) -> Any:
    """Streams ``[B]`` of a ``kind`` of ``decode_compressed`` to strings of ``max_nbytes`` bytes.

    A stream that is damaged fails the batch, and one that is hostile can take `EXPANSION` times its
    length: for streams that a seal has verified.
    """
    # The op inflates row by row on one core, MapDefun on all cores: zlib and zstd 1.9x on 32 pose
    # maps, 1.4x to 1.5x on 32 label maps of 48 KiB, 0.8x on 32 rows of 4 KiB (2 cores).
    if max_nbytes < LARGE:
        return tf.io.decode_compressed(packed, kind)
    return map_rows(lambda row: tf.io.decode_compressed(row, kind), packed)


def inflate_untrusted(packed: Any, kind: str, max_nbytes: int, *trailers: Any) -> tuple[Any, Any]:
    """Any streams ``[B]`` to strings, and whether each could be inflated: bool ``[B]``.

    Strings are cut after ``max_nbytes + 1`` bytes, which the chain refuses; those that could not be
    inflated are empty, and those that do not match their `checked` ``trailers``, if given. Each is
    inflated after the other if several could take more than `AT_ONCE`.
    """

    def one(row: Any, *trailer: Any) -> Any:
        data = tf.strings.substr(tf.io.decode_compressed(row, kind), 0, max_nbytes + 1)
        return checked(data, *trailer) if trailer else data

    if max_nbytes < LARGE:
        return try_rows(one, packed, *trailers)
    longest = tf.reduce_max(tf.concat([tf.strings.length(packed), [0]], 0))
    return try_rows(one, packed, *trailers, parallel=longest <= AT_ONCE // (PARALLEL * PEAK))


def checked(data: Any, trailer: Any) -> Any:
    """``data``, one string; an error unless ``trailer`` is its CRC-32 and its length modulo 2**32.

    The op compares both if it reads a gzip file (RFC 1952). The file is made of stored blocks (RFC
    1951, 3.2.4), as a stream of others could take the trailer after it for data.
    """
    length = tf.strings.length(data)
    full, rest = length // STORED, length % STORED
    pieces = tf.strings.substr(data, tf.range(full) * STORED, tf.fill([full], STORED))
    begin, size = b"\0\xff\xff\0\0", tf.stack([rest % 256, rest // 256])
    last = tf.gather([bytes([byte]) for byte in range(256)], tf.concat([[1], size, 255 - size], 0))
    file = [GZIP, tf.where(full > 0, begin, b""), tf.strings.reduce_join(pieces, separator=begin)]
    file += [tf.strings.reduce_join(last), tf.strings.substr(data, full * STORED, rest), trailer]
    return tf.io.decode_compressed(tf.strings.join(file), "GZIP")


def inflate_bounded(packed: Any, kind: str, max_nbytes: int) -> Any:
    """As ``inflate_untrusted``, for data that is never empty: empty if it could not be inflated."""
    return inflate_untrusted(packed, kind, max_nbytes)[0]


def inflate_in_groups(packed: Any, kind: str, max_nbytes: int) -> Any:
    """As ``inflate``, in groups that cannot take more than `GROUP` bytes each, and cut."""
    lengths = tf.cast(tf.strings.length(packed), tf.int64)

    def in_groups() -> Any:
        size = tf.maximum(GROUP // (EXPANSION * tf.maximum(tf.reduce_max(lengths), 1)), 1)
        size, count = tf.cast(size, tf.int32), tf.size(packed)
        groups = -(-count // size)

        def inflated(index: Any, data: Any) -> Any:
            rows = tf.io.decode_compressed(packed[index * size : (index + 1) * size], kind)
            cut = tf.strings.substr(rows, 0, max_nbytes + 1)
            return index + 1, data.write(index, cut)

        data = tf.TensorArray(tf.string, groups, element_shape=[None], infer_shape=False)
        state = [tf.constant(0), data]
        loop = tf.while_loop(
            lambda index, _: index < groups, inflated, state, parallel_iterations=1
        )
        return tf.reshape(loop[1].concat(), [count])

    fits = tf.reduce_sum(lengths) * EXPANSION <= GROUP
    return tf.cond(fits, lambda: inflate(packed, kind, max_nbytes), in_groups)
