"""PNG images of arrays that differ in size: the header of each says its height and its width."""

from __future__ import annotations

import struct
from math import prod
from typing import Any

from ...dtypes import ITEM_SIZES
from ...errors import DecodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...formats.png import Image
from ...graph.rows import Rows, Status
from .images import varied_images
from .sides import check_sides, checked_shape, of_good_rows

#: Where the sizes of an image are in its header, and where that ends without its CRC.
SIZES, HEAD_NBYTES = slice(16, 24), 29


def check_form(form: ArrayForm) -> None:
    """SpecError unless the sizes of an image tell those of the array."""
    axes = [axis for axis in form.none_axes if axis > 1]
    if axes or 0 in form.max_shape:
        wrong = f"axis {axes[0]} is None" if axes else "a side is 0"
        raise SpecError(
            f"codec png: {form} has a None dimension, and a PNG tells the first two sizes of an "
            f"array with elements, but {wrong}; use raw|zlib_bounded instead"
        )


def heights(form: ArrayForm, image: Image) -> int:
    """The rows of the image for each row of the array."""
    if image.samples > 1:
        return 1
    planes = 1 if image.depth == 16 else ITEM_SIZES[form.dtype]
    return planes * prod(form.max_shape[2:])


def shape_in(y: bytes, form: ArrayForm, image: Image) -> tuple[int, ...]:
    """The shape of the array of a payload; DecodeError if it cannot be of ``form``."""
    width, height = struct.unpack_from(">II", y, SIZES.start)
    height, rest = divmod(height, heights(form, image))
    sides = [height, width] if len(form.shape) > 1 else [width]
    known = [got for got, side in zip(sides, form.shape, strict=False) if side is None]
    shape = checked_shape(known, form)
    same = all(got == side for got, side in zip(sides, shape, strict=False))
    if rest or not prod(sides) or not same or (len(form.shape) == 1 and height != 1):
        raise DecodeError(f"payload has {len(y)} bytes without a PNG header of {form}")
    return shape


def row_sides(rows: Rows, form: ArrayForm, image: Image) -> tuple[Rows, Any, Any]:
    """Check the headers; the sizes along the ``None`` axes, and the bytes of the filtered rows."""
    head = tf.io.decode_raw(rows.data, tf.uint8, fixed_length=HEAD_NBYTES)
    head = tf.cast(tf.reshape(head, tf.stack([rows.size, HEAD_NBYTES])), tf.int64)
    expected = list(image.head[:HEAD_NBYTES])
    before, after = expected[: SIZES.start], expected[SIZES.stop :]
    fits = tf.reduce_all(tf.equal(head[:, : SIZES.start], before), 1)
    fits &= tf.reduce_all(tf.equal(head[:, SIZES.stop :], after), 1)
    weights = [1 << 24, 1 << 16, 1 << 8, 1]
    width, pixel_rows = (tf.reduce_sum(head[:, at : at + 4] * weights, 1) for at in (16, 20))
    each = heights(form, image)
    height = pixel_rows // each
    fits &= tf.equal(height * each, pixel_rows) & (height > 0) & (width > 0)
    sides = [height, width] if len(form.shape) > 1 else [width]
    if len(form.shape) == 1:
        fits &= tf.equal(height, 1)
    for got, side in zip(sides, form.shape, strict=False):
        if side is not None:
            fits &= tf.equal(got, side)
    message = f"has {{}} bytes without a PNG header of {form}"
    rows = rows.check(fits, tf.strings.length(rows.data), Status.HEADER, message)
    none = [got for got, side in zip(sides, form.shape, strict=False) if side is None]
    rows = check_sides(rows, tf.stack(none, 1), form)
    nbytes = tf.where(rows.ok, pixel_rows * (width * image.pixel_bytes + 1), 0)
    return rows, of_good_rows(tf.stack(none, 1), rows), nbytes


def decode_sides(rows: Rows, sides: Any, form: ArrayForm, image: Image) -> Rows:
    """The arrays of files that are checked, with those ``sides``."""
    dtype, channels = (tf.uint16 if image.depth == 16 else tf.uint8), prod(form.max_shape[2:])
    each = heights(form, image)

    def one(file: Any) -> Any:
        pixels = tf.io.decode_png(file, channels=image.samples, dtype=dtype)
        if image.samples == 1:  # planes of the bytes of each element, each of all channels
            planes = [each // channels, channels, tf.size(pixels) // each]
            pixels = tf.transpose(tf.reshape(pixels, planes), [2, 1, 0])
        return pixels

    return varied_images(one, rows, sides, form, image.data_bytes, rows.data)
