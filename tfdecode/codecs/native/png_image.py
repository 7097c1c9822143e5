"""png_image: a PNG image as other programs write it (PNG specification, ISO/IEC 15948)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...casts import checked_bool
from ...dtypes import checked_flag, numpy_dtype
from ...errors import DecodeError, EncodeError, FileError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...formats import png_chunks, png_image
from ...formats.png import COLOR_TYPES, END, MAX_PIXELS, MAX_SIDE, SIGNATURE, chunk
from ...formats.png_chunks import CHUNK_NBYTES, HEAD_NBYTES, file_head
from ...formats.png_image import ADAM7, GREY, PALETTE, SAMPLES, Header
from ...formats.zlib_stream import MIN_NBYTES, checked_level, compress, compress_bound
from ...graph.images import check_window, decode_images
from ...graph.png_chunks import image_chunks
from ...graph.rows import Rows, Status
from ...graph.substr import cut
from ..base import Container, Cost, encoder_only
from ..containers.images import check_form, check_image_sides, varied_images
from ..containers.png import best_filter

#: Bits of a sample of each dtype, those that ``encode`` writes first.
DEPTHS = {"uint8": (8, 4, 2, 1), "uint16": (16,), "bool": (1,)}
COLORS = {0: "grey", 2: "RGB", 3: "with a palette", 4: "grey with alpha", 6: "RGBA"}
#: Bytes that a file may have besides its image: profiles, text, previews.
MAX_BESIDE = 2**18


@dataclass(frozen=True)
class PngImage(Container):
    r"""A PNG image as Pillow, OpenCV, ImageMagick and other programs write it.

    The array is what the file stores. ``[height, width]`` or ``[height, width, 1]`` is a grey
    image; 2, 3 and 4 channels are grey with alpha, RGB and RGBA. uint8 is an image of 8 bits per
    channel, uint16 one of 16 bits, bool a grey one of 1 bit. Interlaced images are read too. If
    height or width are ``None``, the header of each image says them.

    Parameters
    ----------
    labels : bool, default False
        For label maps, which are uint8 of one channel: take images with a palette too, as the
        indices of their colors, and grey ones of 1, 2 or 4 bits, as these small numbers.
    level : int, default 2
        Compression level of what ``encode`` writes, 0 to 12.

    Notes
    -----
    Everything besides the image is skipped: color profiles, gamma, transparent colors, text, 256
    KiB in all. The graph gives ``decode_png`` a header of its own and the IDAT chunks of the file:
    nothing else in it can take time or memory, or change a value.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> payload = tfd.ArraySpec((4, 5), "uint16", "png_image").encode(np.zeros((4, 5), np.uint16))
    >>> payload[:4]
    b'\x89PNG'
    """

    name = "png_image"
    decode_cost = Cost(1.0, 5.1)
    encode_cost = Cost(0.8, 4.0)
    compresses = True
    suffixes = (".png",)
    magics = (SIGNATURE,)
    contents = png_image.contents
    labels: bool = False
    level: int = encoder_only(2)

    def __post_init__(self) -> None:
        checked_flag("codec png_image: labels", self.labels)
        checked_level(self.name, self.level)

    @classmethod
    def file_configurations(cls, key: str, data: bytes) -> Iterable[dict[str, Any]]:
        header = png_chunks.read_head(data)
        labels = header.color == PALETTE or header.depth < 8
        return [{"name": cls.name, **({"labels": True} if labels else {})}]

    def resolve(self, form: ArrayForm) -> BytesForm:
        packed = compress_bound(max(header.data_bytes for header in self.headers(form)))
        most = HEAD_NBYTES + packed + packed // CHUNK_NBYTES * 12 + MAX_BESIDE
        least = HEAD_NBYTES + 12 + MIN_NBYTES + len(END)
        return BytesForm(least, most, lambda: self.filler(form), lambda y: self.found(y))

    def inflates(self, form: ArrayForm) -> int:
        # All rows are one string once, and each gets its new header.
        return self.headers(form)[0].data_bytes + 2 * self.resolve(form).max_nbytes

    def headers(self, form: ArrayForm) -> list[Header]:
        """The headers of files of ``form``; that of files that ``encode`` writes is the first."""
        sides = form.max_shape
        channels = sides[2] if len(sides) == 3 else 1
        most = 1 if self.labels or form.dtype == "bool" else 4
        if len(sides) not in (2, 3) or not 0 < channels <= most or form.dtype not in DEPTHS:
            raise SpecError(
                f"codec png_image: {form} is not an image: it needs uint8 or uint16 and [height, "
                "width] or [height, width, channels] with 1 to 4 channels, or 1 of bool or of "
                "labels; png packs any array"
            )
        if self.labels and form.dtype != "uint8":
            raise SpecError(f"codec png_image: labels needs uint8, not {form.dtype}")
        if self.labels:
            form.require_fixed("png_image with labels")
        check_form(self.name, form, MAX_SIDE, MAX_PIXELS)
        height, width = sides[:2]
        depths = DEPTHS[form.dtype] if self.labels else DEPTHS[form.dtype][:1]
        kinds = [(depth, COLOR_TYPES[channels]) for depth in depths]
        kinds += [(depth, PALETTE) for depth in depths if self.labels]
        return [Header(width, height, *kind, later) for kind in kinds for later in (False, True)]

    def found(self, y: bytes) -> str:
        """What a file is, for the message."""
        try:
            header = png_chunks.read_head(y)
        except FileError as error:
            return f": it {error}"
        size = f"{header.width} x {header.height} pixels of {header.depth} bits"
        advice = (
            "; labels=true reads indices" if header.color == PALETTE and not self.labels else ""
        )
        return f": it has {size}, {COLORS[header.color]}{advice}"

    # -- numpy --------------------------------------------------------------------------------

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        if form.none_axes and not x.size:
            raise EncodeError(f"array of shape {list(x.shape)} has no elements, a PNG needs one")
        header = self.headers(form)[0]._replace(height=x.shape[0], width=x.shape[1])
        ((_, _, image),) = header.passes()
        lines = image.blank(image.height)
        if form.dtype == "bool":
            lines[:, 1:] = np.packbits(checked_bool(x).reshape(x.shape[:2]), axis=1)
        else:  # big-endian in a PNG
            rows = np.ascontiguousarray(x, x.dtype.newbyteorder(">"))
            lines[:, 1:] = rows.reshape(image.height, -1).view(np.uint8)
        deflated = compress(image.filtered(lines, best_filter(image, lines)).data, self.level)
        return file_head(header) + chunk(b"IDAT", deflated) + END

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        wrong = f"payload ({len(y)} bytes) is not a PNG image of {form}"
        try:
            header = png_chunks.read_head(y)
            shape = (header.height, header.width, *form.max_shape[2:])
            height, width = form.max_shape[:2]
            if not form.takes(shape) or header._replace(
                height=height, width=width
            ) not in self.headers(form):
                raise DecodeError(wrong + self.found(y))
            samples = png_chunks.image_samples(header, png_chunks.image_chunks(y))
        except FileError as error:
            raise DecodeError(f"{wrong}: it {error}") from None
        return samples.astype(form.dtype).reshape(shape)

    def filler(self, form: ArrayForm) -> bytes:
        shape = form.shape_with([1] * len(form.none_axes))
        return self.encode(np.zeros(shape, numpy_dtype(form.dtype)), form)

    def domain(self, form: ArrayForm) -> str:
        return "images with pixels" if form.none_axes else ""

    # -- graph --------------------------------------------------------------------------------

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        headers, length = self.headers(form), tf.strings.length(rows.data)
        message = f"({{}} bytes) is not a PNG image of {form}"
        if form.none_axes:
            known, sizes = self.read_heads(rows, headers)
            known &= tf.reduce_all(tf.stack(sizes) > 0, 0)[:, tf.newaxis]
            for got, side in zip(sizes, form.shape, strict=False):
                if side is not None:
                    known &= tf.equal(got, side)[:, tf.newaxis]
        else:
            heads = [file_head(header) for header in headers]
            known = tf.equal(tf.strings.substr(rows.data, 0, HEAD_NBYTES)[:, tf.newaxis], heads)
        rows = rows.check(tf.reduce_any(known, 1), length, Status.HEADER, message)
        kind = tf.argmax(tf.cast(known, tf.int32), 1)
        if form.none_axes:
            rows, sides = check_image_sides(rows, sizes, form)
            nbytes = tf.stack([data_bytes(header, *sizes) for header in headers], 1)
            nbytes = tf.gather(nbytes, kind, batch_dims=1)
        else:
            nbytes = tf.gather([header.data_bytes for header in headers], kind)
        rows = rows.guard(self.filler(form))
        start, end, first, whole = image_chunks(rows.data, HEAD_NBYTES, END, png_chunks.most_chunks)
        message = "has {} bytes that are not the chunks of a PNG image"
        rows = rows.check(whole, length, Status.HEADER, message)
        rows = check_window(rows, first, nbytes)
        body = cut(rows.data, start, tf.where(whole, end - start, 0))
        if form.none_axes:
            head = tf.strings.substr(rows.data, 0, HEAD_NBYTES)
        else:  # the indices of a palette image are the pixels of a grey one
            grey = [h._replace(color=GREY) if h.color == PALETTE else h for h in headers]
            head = tf.gather([file_head(header) for header in grey], kind)
        images = tf.strings.join([head, body, tf.constant(END)])
        # decode_png makes 8 bits of fewer: 15, the highest number of 4 bits, becomes 255.
        scaled = tf.gather(tf.constant([8 - min(h.depth, 8) for h in headers], tf.uint8), kind)
        channels = form.max_shape[2] if len(form.shape) == 3 else 1
        dtype = "uint16" if form.dtype == "uint16" else "uint8"

        def one(row: Any, shift: Any) -> Any:
            # It does not take 2 for an answer; 0 is as many as there are.
            asked = 0 if channels == 2 else channels
            pixels = tf.io.decode_png(row, channels=asked, dtype=dtype)
            pixels = tf.ensure_shape(pixels, [*form.shape[:2], channels])
            if form.dtype == "bool":
                return tf.cast(tf.not_equal(pixels, 0), tf.uint8)
            return tf.bitwise.right_shift(pixels, shift) if self.labels else pixels

        def array(row: Any, shift: Any) -> Any:
            return tf.cast(tf.reshape(one(row, shift), form.max_shape), form.dtype)

        nbytes = headers[0].data_bytes
        if form.none_axes:
            return varied_images(one, rows, sides, form, nbytes, images, scaled)
        row = tf.TensorSpec(form.max_shape, form.dtype)
        decoded = decode_images(array, rows, nbytes, images, scaled, row=row)
        return replace(decoded, unguarded=False)

    def read_heads(self, rows: Rows, headers: list[Header]) -> tuple[Any, list[Any]]:
        """Which of ``headers`` each row has but for its sizes, bool ``[B, n]``; height, width."""
        data = tf.io.decode_raw(rows.data, tf.uint8, fixed_length=HEAD_NBYTES)
        data = tf.cast(tf.reshape(data, tf.stack([rows.size, HEAD_NBYTES])), tf.int64)
        heads = np.array([list(file_head(header)) for header in headers])
        same = tf.equal(data[:, tf.newaxis], heads)
        known = tf.reduce_all(same[..., :16], 2) & tf.reduce_all(same[..., 24:29], 2)
        weights = [1 << 24, 1 << 16, 1 << 8, 1]
        return known, [tf.reduce_sum(data[:, at : at + 4] * weights, 1) for at in (20, 16)]


def data_bytes(header: Header, height: Any, width: Any) -> Any:
    """What the images of those sizes inflate to, int64 ``[B]``, as `Header.data_bytes`."""
    bits, total = header.depth * SAMPLES[header.color], tf.zeros_like(height)
    for row, column, down, right in ADAM7 if header.interlaced else [(0, 0, 1, 1)]:
        lines, pixels = (height - row + down - 1) // down, (width - column + right - 1) // right
        total += tf.where(pixels > 0, lines * (1 + (pixels * bits + 7) // 8), 0)
    return total
