"""Deflate in the graph: by ``encode_png``, the only stock op that compresses without loss."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..extras import tensorflow as tf
from ..formats.png import END, MAX_SIDE, NONE, SUB, UP, Image
from ..graph.crc import joined_crc
from ..graph.raw_bytes import big_endian
from ..graph.rows import fail_with
from ..graph.switch import cond, outlined, switch

#: What libpng writes: a head, then chunks of 8192 bytes, the last aside, with 12 bytes around each.
HEAD_NBYTES, CHUNK_NBYTES, FRAME_NBYTES = 33, 8192, 12
#: More bytes than deflate adds to data of less than a chunk.
SLACK = 128
#: The CRC of "IDAT", which the CRC of each chunk begins with.
IDAT_CRC = 0x35AF061E
#: Bytes of a zlib stream that hold the header of a block, of which a first byte inflates.
BLOCK_HEADER_NBYTES = 400
#: Bytes of an image from which on our own choice of filters is worth 0.4 ms.
MIN_CHOSEN_NBYTES = 2048
#: Rows, about, of the sample by which a filter is chosen.
SAMPLE_ROWS = 64
#: The filters that numpy undoes fast.
KINDS = (NONE, SUB, UP)
#: More than the sum of the values of such an image.
WORSE = 2**30


def zlib_level(level: int) -> int:
    """The level of zlib for one of isa-l and libdeflate, 0 to 12."""
    # Of masks, labels, depth and heat maps 3 makes 0.85 to 0.97 of the bytes of 1 in 1 to 1.5 times
    # its time; 6 makes 0.77 to 1.0 of those of 3 in 1 to 5 times, 9 takes 10 to 50 times.
    return 3 if level <= 6 else 6 if level < 9 else 9


def deflated(rows: Any, image: Image, level: int) -> Any:
    """The data of the only IDAT chunk of an image, and its CRC: a string scalar.

    ``rows``, uint8 ``[height, row_bytes]``, are its pixels, big-endian. The height may be less than
    that of ``image``.
    """

    def usual() -> list[Any]:
        # libpng chooses a filter for each row, often Paeth: it takes numpy 0.3 us to undo a byte.
        pixels = rows
        if image.depth == 16:
            pairs = tf.cast(tf.reshape(rows, [-1, 2]), tf.uint16)
            pixels = pairs[:, 0] * 256 + pairs[:, 1]
        pixels = tf.reshape(pixels, [-1, image.width, image.samples])
        return [as_one_chunk(tf.io.encode_png(pixels, zlib_level(level)), image)]

    one_row = image.height == 1  # of which libpng makes nothing else
    if one_row or not MIN_CHOSEN_NBYTES <= image.data_bytes <= MAX_SIDE:
        return usual()[0]
    # An image of one row: our rows, with a filter byte of our own before each but the first, which
    # libpng writes. If that is "none", this is the stream of the image. Against `usual`: labels
    # 0.8 of the bytes, heat maps 0.6, depth the same, and numpy decodes 10 to 100 times as fast.
    pixels = tf.reshape(filtered(rows, image), [1, -1, 1])[:, 1:]
    packed = as_one_chunk(tf.io.encode_png(pixels, zlib_level(level)), image)
    begin = tf.minimum(tf.strings.length(packed) - 4, BLOCK_HEADER_NBYTES)
    begin = tf.io.decode_compressed(tf.strings.substr(packed, 0, begin), "ZLIB")
    plain = tf.equal(tf.strings.substr(begin, 0, 1), bytes([NONE]))
    (packed,) = cond(plain, lambda: [packed], outlined(usual))
    return packed


def filtered(rows: Any, image: Image) -> Any:
    """``rows`` after a filter byte each, so that libpng does not filter them as one row."""
    # It does if the differences of neighbours have smaller absolute values, as int8, in all.
    step = image.pixel_bytes

    def kind_of(kind: int, rows: Any, above: Any) -> Any:
        if kind == SUB:
            return rows - tf.concat([tf.zeros_like(rows[:, :step]), rows[:, :-step]], 1)
        return rows - above if kind == UP else rows

    def sums(kinds: list[Any]) -> tuple[Any, Any]:
        """Of each row: the sum under each kind, and how much larger that of differences is."""
        own, steps = (
            tf.stack([tf.reduce_sum(magnitudes(x), 1) for x in values])
            for values in (kinds, [x[:, 1:] - x[:, :-1] for x in kinds])
        )
        return own, steps - own

    def above() -> Any:
        return tf.concat([tf.zeros_like(rows[:1]), rows[:-1]], 0)

    def alike(kind: int) -> list[Any]:
        lines = tf.concat([rows[:1], kind_of(kind, rows, above())[1:]], 0)
        return [tf.pad(lines, [[0, 0], [1, 0]], constant_values=tf.constant(kind, tf.uint8))]

    def mixed() -> list[Any]:
        each = [kind_of(kind, rows, above()) for kind in KINDS]
        kind = tf.argmax(sums(each)[1], 0, output_type=tf.int32)
        kind = tf.concat([[NONE], kind[1:]], 0)[:, tf.newaxis]  # the first has no row above
        lines = tf.where(kind < SUB, each[NONE], tf.where(kind < UP, each[SUB], each[UP]))
        return [tf.concat([tf.cast(kind, tf.uint8), lines], 1)]

    every = max(1, image.height // SAMPLE_ROWS)
    sample = rows[every::every], rows[every - 1 : -1 : every]
    own, margin = (tf.reduce_sum(x, 1) for x in sums([kind_of(kind, *sample) for kind in KINDS]))
    fits = margin > 0
    kind = tf.argmin(own + tf.where(fits, 0, WORSE), output_type=tf.int32)
    kind = tf.where(tf.reduce_any(fits), kind, len(KINDS))
    (lines,) = switch(kind, *(partial(alike, kind) for kind in KINDS), mixed)
    return lines


def magnitudes(values: Any) -> Any:
    """The absolute values of uint8, as int8: int32."""
    return tf.cast(tf.bitcast(tf.abs(tf.bitcast(values, tf.int8)), tf.uint8), tf.int32)  # 128 stays


def as_one_chunk(file: Any, image: Image) -> Any:
    """The data of all IDAT chunks of a PNG file as that of one, and its CRC."""
    body = tf.strings.length(file) - HEAD_NBYTES - len(END)
    if image.data_bytes < CHUNK_NBYTES - SLACK:
        return tf.strings.substr(file, HEAD_NBYTES + 8, body - 8)
    start = tf.range(0, body, CHUNK_NBYTES + FRAME_NBYTES)
    sizes = tf.minimum(body - start, CHUNK_NBYTES + FRAME_NBYTES) - FRAME_NBYTES
    start += HEAD_NBYTES

    def parts(offset: Any, nbytes: Any) -> Any:
        return tf.strings.substr(file, start + offset, tf.broadcast_to(nbytes, tf.shape(start)))

    data, crcs = tf.strings.reduce_join(parts(8, sizes)), parts(8 + sizes, 4)

    def joined() -> list[Any]:
        four = tf.cast(tf.io.decode_raw(crcs, tf.uint8, fixed_length=4), tf.int32)
        numbers = tf.reduce_sum(tf.bitwise.left_shift(four, [24, 16, 8, 0]), 1)
        after = tf.reduce_sum(sizes) - tf.cumsum(sizes)
        # Of one chunk with all the data: "IDAT" counts once, so it is taken out of the others.
        numbers = tf.bitwise.bitwise_xor(numbers, tf.where(after > 0, IDAT_CRC, 0))
        bound = image.data_bytes + image.data_bytes // 8 + 1024
        return [big_endian(tf.reshape(joined_crc(numbers, after, bound), [1]))[0]]

    (crc,) = cond(tf.size(sizes) > 1, outlined(joined), lambda: [crcs[0]])
    packed = tf.strings.join([data, crc])
    expected = tf.strings.join([big_endian(sizes), "IDAT"])
    sound = tf.reduce_all(tf.equal(parts(0, 8), expected))
    message = "encode_png of this TensorFlow does not write IDAT chunks of 8192 bytes"
    return tf.cond(sound, lambda: packed, lambda: fail_with(message, packed))
