"""jpeg: a JPEG image of any program (ITU-T T.81), decoded as libjpeg decodes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...errors import DecodeError, EncodeError, FileError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...formats import jpeg
from ...formats.jpeg import MAGIC, MAX_PIXELS, MAX_SCANS, MAX_SIDE
from ...graph.images import decode_images
from ...graph.rows import Rows, Status
from ...graph.try_rows import try_rows
from ..base import Container, Cost
from ..containers.images import check_form, check_image_sides, varied_images

#: Bytes that a file may have besides its image: EXIF, profiles, previews.
MAX_BESIDE = 2**18
#: Pixels of the largest block that libjpeg decodes at once, and a side of it.
BLOCK = 32
COLORS = {"L": "grey", "RGB": "RGB"}


@dataclass(frozen=True)
class Jpeg(Container):
    r"""A JPEG image as cameras, browsers, Pillow and OpenCV write it.

    The array is what ``tf.io.decode_jpeg(file, dct_method="INTEGER_ACCURATE")`` gives, uint8:
    ``[height, width]`` or ``[height, width, 1]`` of a grey image, ``[height, width, 3]`` of RGB.

    Notes
    -----
    JPEG loses values. Payloads are files that others made; ``encode`` takes only arrays that come
    back bit for bit, such as those of one grey. The graph compares the size in the header with the
    spec before it decodes, and takes at most 64 scans (progressive images have about ten). With
    ``None`` sizes the header says the size of each image. The orientation in EXIF is not applied.
    The NumPy side needs Pillow: the extra ``jpeg``. JPEG has no checksum: a damaged file can decode
    to other pixels, and each library gives up on damage at another place.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> payload = tfd.ArraySpec((4, 5), "uint8", "jpeg").encode(np.full((4, 5), 7, np.uint8))
    >>> payload[:3]
    b'\xff\xd8\xff'
    """

    name = "jpeg"
    decode_cost = Cost(4.0, 20.0)
    encode_cost = Cost(10.0)
    compresses = True
    suffixes = (".jpg", ".jpeg")
    magics = (MAGIC,)
    contents = jpeg.contents

    def resolve(self, form: ArrayForm) -> BytesForm:
        sides = form.max_shape
        channels = sides[2] if len(sides) == 3 else 1
        if len(sides) not in (2, 3) or channels not in (1, 3) or form.dtype != "uint8":
            raise SpecError(
                f"codec jpeg: {form} is not a JPEG image: it needs uint8 and [height, width], "
                "[height, width, 1] or [height, width, 3]"
            )
        check_form(self.name, form, MAX_SIDE, MAX_PIXELS)
        most = 2 * form.max_nbytes + MAX_BESIDE  # of noise at the best quality: 1.2 times
        return BytesForm(64, most, lambda: self.filler(form), lambda y: self.found(y))

    def domain(self, form: ArrayForm) -> str:
        return "images that JPEG keeps bit for bit"

    def filler(self, form: ArrayForm) -> bytes:
        return self.encode(np.zeros(form.shape_with([1] * len(form.none_axes)), np.uint8), form)

    def inflates(self, form: ArrayForm) -> int:
        # A progressive image is 16 bit numbers first, of whole blocks.
        whole = [-(-side // BLOCK) * BLOCK for side in form.max_shape[:2]]
        return 2 * prod(whole) * 3 + 2 * form.max_nbytes + self.resolve(form).max_nbytes

    def found(self, y: bytes) -> str:
        """What a file is, for the message."""
        try:
            image = jpeg.opened(y)
        except FileError as error:
            return f": it {error}"
        return f": it has {image.width} x {image.height} pixels, {COLORS[image.mode]}"

    # -- numpy --------------------------------------------------------------------------------

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        if not x.size:
            raise EncodeError(f"array of shape {list(x.shape)} has no elements, a JPEG needs one")
        payload = jpeg.written(x[..., 0] if x.shape[2:] == (1,) else x)
        read = jpeg.contents(payload).read().reshape(x.shape)
        wrong = np.flatnonzero(read != x)
        if wrong.size:
            at = np.unravel_index(wrong[0], x.shape)
            raise EncodeError(
                f"array is not exact as a JPEG image: {x[at]} at index {[int(i) for i in at]} "
                f"would become {read[at]} ({wrong.size} in all); send the bytes of the file, or "
                "pack the array by a spec of png_image"
            )
        return payload

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        wrong = f"payload ({len(y)} bytes) is not a JPEG image of {form}"
        try:
            (entry,) = jpeg.contents(y).entries
            shape = (*entry.shape, 1) if form.max_shape[2:] == (1,) else entry.shape
            if not form.takes(shape):
                raise DecodeError(wrong + self.found(y))
            return entry.read().reshape(shape)
        except FileError as error:
            raise DecodeError(f"{wrong}: it {error}") from None

    # -- graph --------------------------------------------------------------------------------

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        channels = form.max_shape[2] if len(form.shape) == 3 else 1

        def head(row: Any) -> Any:
            data = tf.io.decode_raw(row, tf.uint8)
            scans = tf.equal(data[:-1], 255) & tf.equal(data[1:], jpeg.SCAN[1])
            count = tf.math.count_nonzero(scans, dtype=tf.int32)
            return tf.concat([tf.image.extract_jpeg_shape(row), [count]], 0)

        length = tf.strings.length(rows.data)
        message = f"({{}} bytes) is not a JPEG image of {form}"
        # decode_jpeg takes PNG and GIF images too.
        known = tf.equal(tf.strings.substr(rows.data, 0, len(MAGIC)), MAGIC)
        rows = rows.check(known, length, Status.HEADER, message).guard(self.filler(form))
        about, known = try_rows(head, rows.data, row=tf.TensorSpec([4], tf.int32))
        sizes = tf.cast(about[:, :2], tf.int64)
        known &= tf.equal(about[:, 2], channels)
        for axis, side in enumerate(form.shape[:2]):
            if side is not None:
                known &= tf.equal(sizes[:, axis], side)
        rows = rows.check(known, length, Status.HEADER, message)
        if form.none_axes:
            rows, sides = check_image_sides(rows, [sizes[:, 0], sizes[:, 1]], form)
        message = f"has {{}} scans, needs at most {MAX_SCANS}"
        rows = rows.check(about[:, 3] <= MAX_SCANS, about[:, 3], Status.HEADER, message)
        rows = rows.guard(self.filler(form))

        def one(row: Any) -> Any:
            pixels = tf.io.decode_jpeg(row, channels=channels, dct_method="INTEGER_ACCURATE")
            return tf.ensure_shape(pixels, [*form.shape[:2], channels])

        if form.none_axes:
            return varied_images(one, rows, sides, form, form.max_nbytes, rows.data)
        row = tf.TensorSpec(form.max_shape, tf.uint8)
        decoded = decode_images(
            lambda file: tf.reshape(one(file), form.max_shape),
            rows,
            form.max_nbytes,
            rows.data,
            row=row,
        )
        return replace(decoded, unguarded=False)
