"""TIFF and BigTIFF images: every channel and bit of depth maps, label maps and stacks of them.

Compressions without loss are read: Deflate, LZW, PackBits, LZMA and Zstandard, with predictors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...errors import FileError
from ..contents import MAX_BYTES, Array, Contents, Entry, checked_shape, failures
from . import directory as tags
from .directory import Directory, directories
from .segments import NONE, OTHERS, READ, inflated, unpredicted

DAMAGED = "is a damaged TIFF image"
#: Bytes of a part, and of all parts, besides those of the image: a tile may be larger than it.
PART_PADDING, PADDING = 2**26, 2**28
FORMATS = {1: "u", 2: "i", 3: "f", 4: "u", 6: "c"}  # 4: untyped
THUMBNAIL = "a smaller copy of an image"
STACK = "several images under one directory; save each with its own, or all by numpy.save"
SUB_IMAGES = "images inside of an image, such as smaller copies"


@dataclass(frozen=True)
class Image:
    """One image: where its parts are in the file, and where in the array."""

    directory: Directory
    dtype: np.dtype[Any]
    bits: int
    height: int
    width: int
    samples: int
    planar: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """``[height, width]``, and ``[height, width, samples]`` if there are several."""
        several = (self.samples,) if self.samples > 1 else ()
        return (self.height, self.width, *several)

    def parts(self) -> Iterator[tuple[int, slice, slice, slice, tuple[int, int]]]:
        """Each strip or tile: its number, its place, and its own rows and columns."""
        tiled = tags.TILE_WIDTH in self.directory
        if tiled:
            rows = self.directory.one(tags.TILE_LENGTH)
            columns = self.directory.one(tags.TILE_WIDTH)
        else:
            rows = min(self.directory.one(tags.ROWS_PER_STRIP, self.height), self.height)
            columns = self.width
        if not rows or not columns:
            raise FileError(f"an image has parts of {columns} x {rows} pixels")
        self.check_parts(rows, columns)
        # Not itertools.product, which would list as many numbers as a header asks for.
        index = 0
        for plane in range(self.samples) if self.planar else [None]:
            channels = slice(None) if plane is None else slice(plane, plane + 1)
            for top in range(0, self.height, rows):
                bottom = min(top + rows, self.height)
                size = (rows if tiled else bottom - top, columns)
                for left in range(0, self.width, columns):
                    right = min(left + columns, self.width)
                    yield index, slice(top, bottom), slice(left, right), channels, size
                    index += 1

    def check_parts(self, rows: int, columns: int) -> None:
        """FileError if parts of that size are much larger than the image that they cover."""
        image = math.prod(self.shape) * self.dtype.itemsize
        planes = self.samples if self.planar else 1
        part = rows * columns * (self.samples // planes) * self.dtype.itemsize
        count = planes * -(-self.height // rows) * -(-self.width // columns)
        if part > image + PART_PADDING or count * part > 4 * image + PADDING:
            raise FileError(
                f"an image of {self.width} x {self.height} has parts of {columns} x {rows} pixels"
            )

    def read(self) -> Array:
        """The pixels."""
        tiled = tags.TILE_WIDTH in self.directory
        offsets = self.directory.all(tags.TILE_OFFSETS if tiled else tags.STRIP_OFFSETS)
        counts = self.directory.all(tags.TILE_COUNTS if tiled else tags.STRIP_COUNTS)
        compression = self.directory.one(tags.COMPRESSION, NONE)
        predictor = self.directory.one(tags.PREDICTOR, 1)
        pixels: Array = np.zeros(
            (self.height, self.width, self.samples), self.dtype.newbyteorder("=")
        )
        for index, rows, columns, channels, (height, width) in self.parts():
            if index >= min(len(offsets), len(counts)):
                raise FileError(f"an image has {len(offsets)} parts, needs more")
            start, count = int(offsets[index]), int(counts[index])
            if not count:  # a part that was never written: zeros (GDAL)
                if tags.NODATA in self.directory:
                    raise FileError(
                        "parts of an image were never written, and GDAL reads them as its nodata "
                        "value; save it without SPARSE_OK"
                    )
                continue
            data = memoryview(self.directory.data)[start : start + count]
            samples = 1 if self.planar else self.samples
            found = self.samples_of(data, compression, height, width, samples)
            if predictor != 1:
                found = unpredicted(found, predictor, self.dtype)
            part = pixels[rows, columns, channels]
            part[...] = found[: part.shape[0], : part.shape[1]]
        return pixels.reshape(self.shape)

    def samples_of(
        self, data: memoryview, compression: int, height: int, width: int, samples: int
    ) -> np.ndarray:
        """A part, ``[height, width, samples]``, before its predictor."""
        if self.bits >= 8:
            size = height * width * samples * self.dtype.itemsize
            raw = inflated(data, compression, size)
            return np.frombuffer(raw, self.dtype).reshape(height, width, samples)
        line = (width * samples * self.bits + 7) // 8
        raw = inflated(data, compression, height * line)
        lines = np.frombuffer(raw, np.uint8).reshape(height, line)
        shifts = np.arange(8 - self.bits, -1, -self.bits, dtype=np.uint8)
        apart = (lines[..., np.newaxis] >> shifts) & np.uint8(2**self.bits - 1)
        used: Array = apart.reshape(height, -1)[:, : width * samples]
        return used.reshape(height, width, samples)


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The only image, all as ``[images, height, width]`` if they are alike, or each by its number.

    Samples are as stored: no palette, gamma or white that is 0 changes them.
    """
    found: list[tuple[str, Image | str]] = []
    others: dict[str, str] = {}
    with failures(DAMAGED):
        for index, directory in enumerate(directories(data)):
            if directory.one(tags.NEW_SUBFILE, 0) & 1:
                others[str(index)] = THUMBNAIL
            else:
                found.append((str(index), image_of(directory)))
            if tags.SUB_IMAGES in directory:
                others[f"{index} SubIFDs"] = SUB_IMAGES
        images = [image for _, image in found if isinstance(image, Image)]
        if len(images) == 1 and is_cut(images[0]):  # never the first of them as if it were all
            why = {key: one if isinstance(one, str) else STACK for key, one in found}
            return Contents([], others | why)
    forms = {(image.shape, image.dtype) for image in images}
    if len(images) == len(found) and len(forms) == 1:
        several = (len(images),) if len(images) > 1 else ()
        shape = (*several, *images[0].shape)
        entry = Entry("", images[0].dtype.newbyteorder("="), shape, partial(stacked, images, shape))
        return Contents([entry], others)
    entries = []
    for key, image in found:
        if isinstance(image, str):
            others[key] = image
        else:
            dtype = image.dtype.newbyteorder("=")
            entries.append(Entry(key, dtype, image.shape, partial(stacked, [image], image.shape)))
    return Contents(entries, others)


def is_cut(image: Image) -> bool:
    """Whether ImageJ or tifffile wrote one directory for several images, and says so in a text."""
    text = b""
    if tags.TEXT in image.directory:
        text = image.directory.all(tags.TEXT)[:4096].tobytes()
    several = re.search(rb"\nimages=0*([2-9]|1\d)", text)
    shape = re.match(rb'\{"shape": \[(\d+(?:, \d+)*)\]', text)
    sides = [int(side) for side in shape[1].split(b",")] if shape else [0]
    return bool(several) or math.prod(sides) > math.prod(image.shape)


def stacked(images: list[Image], shape: tuple[int, ...]) -> Array:
    """The pixels of images that are alike."""
    with failures(DAMAGED):
        if len(images) == 1:
            return images[0].read()
        array = np.empty(shape, images[0].dtype.newbyteorder("="))
        for index, image in enumerate(images):
            array[index] = image.read()
        return array


def image_of(directory: Directory) -> Image | str:
    """An image by its tags, or why it is not read."""
    compression = directory.one(tags.COMPRESSION, NONE)
    if compression not in READ:
        name = OTHERS.get(compression, f"compression {compression}")
        return f"an image in {name}; save it with Deflate"
    bits, code = directory.one(tags.BITS, 1), directory.one(tags.FORMAT, 1)
    kind = FORMATS.get(code, "")
    known = bits in (1, 2, 4) and kind == "u"
    integers = (8, 16, 32, 64)
    sizes = {"u": integers, "i": integers, "f": (16, 32, 64), "c": (64, 128)}
    if not known and bits not in sizes.get(kind, ()):
        return f"an image of {bits} bits of sample format {code}, which NumPy does not have"
    if directory.one(tags.FILL_ORDER, 1) != 1 or directory.one(tags.DEPTH, 1) != 1:
        return "an image in reversed bits, or a volume in one image; save it anew"
    predictor = directory.one(tags.PREDICTOR, 1)
    if predictor not in (1, 2, 3) or (predictor == 3 and kind != "f") or (predictor > 1 and known):
        return f"an image with predictor {predictor}; save it without"
    if predictor == 2 and kind == "c":
        return "a complex image with a predictor; save it without"
    dtype = np.dtype(f"{directory.order}{kind}{max(bits // 8, 1)}")
    height, width = directory.one(tags.LENGTH), directory.one(tags.WIDTH)
    samples = directory.one(tags.SAMPLES, 1)
    checked_shape((height, width, samples), dtype.itemsize)
    if not math.prod((height, width, samples)):
        raise FileError(f"an image has the size {width} x {height} with {samples} samples")
    planar = directory.one(tags.PLANAR, 1) == 2 and samples > 1
    return Image(directory, dtype, bits, height, width, samples, planar)
