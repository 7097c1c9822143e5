"""png: the elements as the pixels of a PNG image, whose size the graph checks first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from isal import isal_zlib

from ...casts import checked_bool
from ...dtypes import ITEM_SIZES, checked_flag, from_little_endian, little_endian, numpy_dtype
from ...errors import EncodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...formats.png import END, MAX_PIXELS, MAX_SIDE, NONE, SIGNATURE, SUB, UP, Image, chunk
from ...formats.zlib_stream import MIN_NBYTES, checked_level, compress, compress_bound
from ...graph.casts import as_bits, as_bytes, bool_rows
from ...graph.images import check_window, decode_images
from ...graph.map_rows import map_rows
from ...graph.raw_bytes import big_endian
from ...graph.rows import Rows, Status
from ...graph.substr import cut
from ..base import Container, Cost, bound_by_spec, encoder_only
from ..deflate import deflated
from .png_sides import check_form, decode_sides, row_sides, shape_in

if TYPE_CHECKING:
    from ...statistics import Statistics

#: Bytes of the CRC of a chunk.
CRC_NBYTES = 4


@dataclass(frozen=True)
class Png(Container):
    """Store the array as a PNG image.

    Parameters
    ----------
    layout : {"planar", "interleaved"}, default "planar"
        "planar" stacks the channels (all axes after the first two) into one tall grey image, which
        gave the smallest files. "interleaved" stores 1, 3 or 4 channels of one byte, or 1 of two
        bytes, in each pixel, so that viewers show the picture.
    level : int, default 2
        Compression level, 0 to 12: isa-l up to 3, libdeflate from 4 on.
    describe : bool, default True
        Store the spec in a tEXt chunk, for tools. Decoding does not need it.

    Notes
    -----
    The format is the PNG specification (ISO/IEC 15948). Elements of more than two bytes are
    stored as byte planes, one below the other. The graph compares the header of each row with a
    constant before ``decode_png`` runs, and accepts no chunk but one IDAT: no row inflates to
    more than its spec says. If the first two dimensions or one of them are ``None``, the header
    says the size of each image, and arrays without elements cannot be packed. What libpng passes
    after the last row (more rows, bytes after the stream) passes.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> payload = tfd.ArraySpec((4, 5), "uint8", "png").encode(np.zeros((4, 5), np.uint8))
    >>> payload[:4]
    b'\\x89PNG'
    """

    name = "png"
    decode_cost = Cost(0.75, 5.1)
    encode_cost = Cost(0.8, 4.0)
    compresses = True
    portable = True
    magics = (SIGNATURE,)
    layout: Literal["planar", "interleaved"] = "planar"
    level: int = encoder_only(2)
    describe: bool = encoder_only(True)
    description: str = bound_by_spec("")

    def __post_init__(self) -> None:
        if self.layout not in ("planar", "interleaved"):
            raise SpecError(f"codec png: layout is {self.layout!r}, needs planar or interleaved")
        checked_level(self.name, self.level)
        checked_flag("codec png: describe", self.describe)

    def bind(self, fingerprint: str, description: str) -> Png:
        return replace(self, description=description)

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        # libpng goes row by row: an array [16384, 4] took 58 times as long as decode_raw.
        image = statistics.rank > 1 and statistics.shape[1] >= 16
        # The client has the spec, so the payload need not describe itself.
        return ["png:describe=false"] if image and statistics.stage in ("", "values") else []

    def resolve(self, form: ArrayForm) -> BytesForm:
        image = self.mosaic(form).image
        frame = 12 + len(END)  # of the IDAT chunk, and IEND
        described, plain = image.heads(self.text)
        bound = len(described) + frame + compress_bound(image.data_bytes)
        return BytesForm(len(plain) + frame + MIN_NBYTES, bound, lambda: self.filler(form))

    def domain(self, form: ArrayForm) -> str:
        return "arrays with elements" if form.none_axes else ""

    def filler(self, form: ArrayForm) -> bytes:
        shape = form.shape_with([1] * len(form.none_axes))
        return self.encode(np.zeros(shape, numpy_dtype(form.dtype)), form)

    def inflates(self, form: ArrayForm) -> int:
        return self.mosaic(form).image.data_bytes

    @property
    def text(self) -> bytes:
        """The data of the tEXt chunk."""
        return b"tfdecode\0" + self.description.encode("ascii")

    def mosaic(self, form: ArrayForm) -> Mosaic:
        """The layout of the largest arrays of ``form`` in the image."""
        if form.none_axes:
            check_form(form)
            form = ArrayForm.of(form.max_shape, form.dtype)
        return mosaic(form, self.layout)

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        if form.none_axes and not x.size:
            raise EncodeError(f"array of shape {list(x.shape)} has no elements, a PNG needs one")
        tiles = self.mosaic(ArrayForm.of(x.shape, form.dtype))
        image, lines = tiles.image, tiles.lines(x)
        deflated = compress(image.filtered(lines, best_filter(image, lines)).data, self.level)
        described, plain = image.heads(self.text)
        return (described if self.describe else plain) + chunk(b"IDAT", deflated) + END

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        tiles = self.mosaic(form)
        if form.none_axes:
            tiles = self.mosaic(ArrayForm.of(shape_in(y, form, tiles.image), form.dtype))
        return tiles.array(tiles.image.read(y, self.text))

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        tiles = self.mosaic(form)
        image, filler = tiles.image, self.filler(form)
        described, plain = image.heads(self.text)
        if form.none_axes:
            rows, sides, nbytes = row_sides(rows, form, image)
            text = tf.constant(described[len(plain) :])
            start = tf.minimum(len(plain), tf.strings.length(rows.data))
            found = tf.strings.substr(
                rows.data, start, tf.fill([rows.size], len(described) - len(plain))
            )
            rows, first = self.check_chunks(rows, tf.equal(found, text), form)
            rows = check_window(rows, first, nbytes).guard(filler)
            return decode_sides(rows, sides, form, image)
        has_text = tf.equal(tf.strings.substr(rows.data, 0, len(described)), described)
        fits = has_text | tf.equal(tf.strings.substr(rows.data, 0, len(plain)), plain)
        message = "has {} bytes without the PNG header of its spec"
        rows = rows.check(fits, tf.strings.length(rows.data), Status.HEADER, message)
        rows, first = self.check_chunks(rows, has_text, form)
        rows = check_window(rows, first, image.data_bytes).guard(filler)
        dtype = tf.uint16 if image.depth == 16 else tf.uint8

        def one(row: Any) -> Any:
            pixels = tf.io.decode_png(row, channels=image.samples, dtype=dtype)
            pixels = tf.ensure_shape(pixels, [image.height, image.width, image.samples])
            return tiles.to_array_order(pixels)

        # Of an array without elements nothing else would need the image: it must not be skipped.
        rows = replace(rows, verified=rows.verified and prod(form.max_shape) > 0)
        row = tf.TensorSpec([image.pixels], dtype)
        return tiles.tensor(decode_images(one, rows, image.data_bytes, rows.data, row=row))

    def check_chunks(self, rows: Rows, has_text: Any, form: ArrayForm) -> tuple[Rows, Any]:
        """Check what is after the header, and after the text; the first byte of each stream."""
        described, plain = self.mosaic(form).image.heads(self.text)
        length = tf.strings.length(rows.data)
        # One IDAT that reaches to IEND: compare its length, its type, and the last twelve bytes.
        offset = tf.minimum(tf.where(has_text, len(described), len(plain)), length)
        head = tf.strings.substr(rows.data, offset, tf.fill([rows.size], 9))
        head = tf.io.decode_raw(head, tf.uint8, fixed_length=9)
        size = tf.reduce_sum(tf.cast(head[:, :4], tf.int64) * [1 << 24, 1 << 16, 1 << 8, 1], 1)
        end = cut(rows.data, tf.cast(tf.maximum(length - len(END), 0), tf.int64), len(END))
        single = tf.reduce_all(tf.equal(tf.cast(head[:, 4:8], tf.int32), list(b"IDAT")), 1)
        single &= tf.equal(end, END)
        single &= tf.equal(size, tf.cast(length - offset - 12 - len(END), tf.int64))
        message = "has {} bytes that are not one IDAT and IEND after its PNG header"
        rows = rows.check(single, length, Status.HEADER, message)
        return rows, head[:, 8]

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        tiles = self.mosaic(form)
        described, plain = tiles.image.heads(self.text)

        def one(x: Any) -> Any:
            return deflated(tiles.pixels(x), tiles.image, self.level)

        packed = map_rows(one, rows.data)
        length = big_endian(tf.strings.length(packed) - CRC_NBYTES)
        head = described if self.describe else plain
        return replace(rows, data=tf.strings.join([head, length, b"IDAT", packed, END]))


@dataclass(frozen=True)
class Mosaic:
    """An array ``[height, width, channels]`` as the pixels of an image."""

    form: ArrayForm
    height: int
    width: int
    channels: int
    image: Image

    def lines(self, x: np.ndarray) -> np.ndarray:
        """The rows of the image, each after a filter byte: uint8 ``[height, 1 + row_bytes]``."""
        image = self.image
        lines = image.blank(image.height)
        rows = lines[:, 1:]
        if not x.size:
            rows[...] = 0
            return lines
        x = checked_bool(little_endian(x))
        item = x.dtype.itemsize
        grid = self.height, self.width, self.channels
        if image.samples > 1:
            rows[...] = x.reshape(rows.shape).view(np.uint8)
        elif image.depth == 16:  # big-endian in a PNG
            pixels = x.reshape(grid).view("<u2").transpose(2, 0, 1).astype(">u2", order="C")
            rows[...] = pixels.view(np.uint8).reshape(rows.shape)
        else:
            planes = x.reshape(*grid, 1).view(np.uint8).transpose(3, 2, 0, 1)
            lines.reshape(item, self.channels, self.height, -1)[..., 1:] = planes
        return lines

    def pixels(self, x: Any) -> Any:
        """As ``lines``, in the graph and without filter bytes: uint8 ``[height, row_bytes]``."""
        image, item = self.image, ITEM_SIZES[self.form.dtype]
        if not prod(self.form.max_shape):
            return tf.zeros([image.height, image.row_bytes], tf.uint8)
        x = as_bytes(x)
        if image.samples == 1:
            x = tf.reshape(x, [self.height * self.width, self.channels * item])
            x = tf.transpose(x)  # to planes, then of each byte those of all channels
            x = tf.reshape(x, [self.channels, item, self.height, self.width])
            if image.depth == 16:  # big-endian
                x = tf.stack([x[:, 1], x[:, 0]], -1)
            elif 1 not in x.shape[:2]:
                x = tf.transpose(x, [1, 0, 2, 3])
        return tf.reshape(x, [image.height, image.row_bytes])

    def array(self, rows: np.ndarray) -> np.ndarray:
        """The array of the rows of the image, without filter bytes."""
        form, item = self.form, ITEM_SIZES[self.form.dtype]
        if not prod(form.max_shape):
            return form.zeros()
        grid = (self.height, self.width, self.channels, item)
        if self.image.samples == 1:
            parts = (self.channels, self.height, self.width, item)
            if self.image.depth == 16:
                rows = rows.reshape(parts)[..., ::-1].transpose(1, 2, 0, 3)
            else:
                rows = rows.reshape(item, *parts[:3]).transpose(2, 3, 1, 0)
        return from_little_endian(rows.reshape(grid).tobytes(), form.dtype).reshape(form.max_shape)

    def to_array_order(self, pixels: Any) -> Any:
        """The pixels of one image, ``[height, width, samples]``, flat in the order of the array."""
        # One transpose of all axes took 138 ms for 32 maps of 18 channels, these two steps 23 ms.
        if self.image.samples == 1 and 0 not in self.form.max_shape:
            area = self.height * self.width
            pixels = tf.reshape(pixels, [-1, self.channels, area])
            if 1 not in pixels.shape[:2]:
                pixels = tf.transpose(pixels, [1, 0, 2])
            if self.image.pixels > area:  # the transpose of a single plane would be a copy
                pixels = tf.transpose(tf.reshape(pixels, [-1, area]))
        return tf.reshape(pixels, [self.image.pixels])

    def tensor(self, rows: Rows) -> Rows:
        """Rows of pixels in the order of the array, as arrays."""
        form, item = self.form, ITEM_SIZES[self.form.dtype]
        if not prod(form.max_shape):
            return replace(rows, data=tf.zeros(tf.stack([rows.size, *form.max_shape]), form.dtype))
        shape = [*form.max_shape, item] if item > 2 else form.max_shape
        pixels = tf.reshape(rows.data, tf.stack([rows.size, *shape]))
        if form.dtype == "bool":
            return bool_rows(replace(rows, data=pixels))
        return replace(rows, data=as_bits(pixels, form.dtype))


@lru_cache(maxsize=64)
def mosaic(form: ArrayForm, layout: str) -> Mosaic:
    """The layout of arrays of ``form`` in an image; SpecError if none is valid."""
    form.require_fixed("png")
    sides = form.max_shape
    height = sides[0] if len(sides) > 1 else 1
    width = sides[min(1, len(sides) - 1)] if sides else 1
    channels, item = prod(sides[2:]), ITEM_SIZES[form.dtype]
    if not prod(sides):
        image = Image(1, 1, 1, 8)  # a PNG needs at least one pixel
    elif layout == "interleaved":
        if (item, channels) not in {(1, 1), (1, 3), (1, 4), (2, 1)}:
            raise SpecError(
                f"codec png: {form} cannot be interleaved, which needs 1, 3 or 4 channels of "
                "8 bits, or 1 of 16 bits; use planar"
            )
        image = Image(width, height, channels, 8 * item)
    else:
        depth, planes = (16, 1) if item == 2 else (8, item)
        image = Image(width, planes * channels * height, 1, depth)
    if max(image.width, image.height) > MAX_SIDE or image.width * image.height > MAX_PIXELS:
        raise SpecError(
            f"codec png: {form} needs an image of {image.width} x {image.height}, at most "
            f"{MAX_SIDE} per side and {MAX_PIXELS} pixels are supported"
        )
    return Mosaic(form, height, width, channels, image)


def best_filter(image: Image, lines: np.ndarray) -> int:
    """The filter that compresses a sample of the rows best; it is used for all rows."""
    # The usual one, by the smallest sum of absolute differences, is Up for labels: twice the size.
    sample = lines
    if lines.size > SAMPLE_NBYTES:
        count = max(2, SAMPLE_NBYTES // SAMPLE_BLOCKS // (1 + image.row_bytes))
        sample = image.blank(SAMPLE_BLOCKS * count)
        for block in range(SAMPLE_BLOCKS):
            start = max(0, len(lines) - count) * block // (SAMPLE_BLOCKS - 1)
            sample[block * count : (block + 1) * count] = lines[start : start + count]
    sizes = [len(isal_zlib.compress(image.filtered(sample, kind), 0)) for kind in (NONE, SUB, UP)]
    return sizes.index(min(sizes))


#: The size of the sample of `best_filter`, and in how many blocks it is read. For twelve kinds of
#: maps its choice gives 1.055 times the best size; twice the bytes or blocks is no better.
SAMPLE_NBYTES, SAMPLE_BLOCKS = 2**13, 8
