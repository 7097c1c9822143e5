"""The directories of a TIFF file, one for each image (TIFF 6.0, part 1; BigTIFF)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import FileError

#: Images of a file, tags of an image, and all tags, that are looked at: directories can overlap.
MOST_IMAGES, MOST_TAGS, ALL_TAGS = 2**16, 512, 2**21
#: Values of a tag that has one for each channel.
MOST_VALUES = 2**16
#: Code of a type -> NumPy's, bytes for texts; no tag needs signed numbers or fractions.
TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}

NEW_SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION = 254, 256, 257, 258, 259
FILL_ORDER, TEXT, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = (
    266,
    270,
    273,
    277,
    278,
    279,
)
PLANAR, PREDICTOR, TILE_WIDTH, TILE_LENGTH = 284, 317, 322, 323
TILE_OFFSETS, TILE_COUNTS, SUB_IMAGES, FORMAT, DEPTH = 324, 325, 330, 339, 32997
NODATA = 42113  # of GDAL
#: The tags that are read.
WANTED = {
    *(NEW_SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, FILL_ORDER, TEXT, STRIP_OFFSETS, SAMPLES),
    *(ROWS_PER_STRIP, STRIP_COUNTS, PLANAR, PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS),
    *(TILE_COUNTS, SUB_IMAGES, FORMAT, DEPTH, NODATA),
}


class Directory:
    """The tags of one image, read when they are asked for; values are views of the file."""

    def __init__(self, data: bytes, order: str, entries: dict[int, tuple[str, int, int]]) -> None:
        self.data, self.order, self.entries = data, order, entries

    def __contains__(self, tag: int) -> bool:
        return tag in self.entries

    def all(self, tag: int) -> np.ndarray:
        """All values of a tag, unsigned integers; FileError if there are none."""
        if tag not in self.entries:
            raise FileError(f"an image has no tag {tag}")
        code, count, at = self.entries[tag]
        dtype = np.dtype(f"{self.order}{code}")
        if at + count * dtype.itemsize > len(self.data):
            raise FileError(f"tag {tag} is not in the file")
        return np.frombuffer(self.data, dtype, count, at)

    def one(self, tag: int, default: int | None = None) -> int:
        """The only value of a tag, or the first of several that are equal."""
        if tag not in self.entries and default is not None:
            return default
        values = self.all(tag)
        if not 0 < len(values) <= MOST_VALUES or (values != values[0]).any():
            raise FileError(f"tag {tag} has {len(values)} different values, needs one")
        return int(values[0])


def directories(data: bytes) -> Iterator[Directory]:
    """The directory of each image of the file, in order."""
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    big = number(data, order, 2, 2) == 43
    # Bytes of a number of tags, of a tag, of an offset.
    counts, size, width = (8, 20, 8) if big else (2, 12, 4)
    at = number(data, order, 8 if big else 4, width)
    seen: set[int] = set()
    total = 0
    while at:
        if at in seen or len(seen) >= MOST_IMAGES:
            raise FileError(f"it has a circle of images, or more than {MOST_IMAGES}")
        seen.add(at)
        tags = number(data, order, at, counts)
        total += tags
        if tags > MOST_TAGS or total > ALL_TAGS:
            raise FileError(f"an image has {tags} tags, all images {total} or more; too many")
        start = at + counts
        entries: dict[int, Any] = {}
        for place in range(start, start + tags * size, size):
            tag, kind = number(data, order, place, 2), number(data, order, place + 2, 2)
            count = number(data, order, place + 4, width)
            if tag in WANTED and kind in TYPES:
                value = place + 4 + width
                if count * int(TYPES[kind][1]) > width:
                    value = number(data, order, value, width)
                entries[tag] = TYPES[kind], count, value
        yield Directory(data, order, entries)
        at = number(data, order, start + tags * size, width)


def number(data: bytes, order: str, at: int, width: int) -> int:
    """An unsigned integer of the file; FileError if the file ends before it."""
    if at + width > len(data):
        raise FileError(f"it has {len(data)} bytes and ends within its directories")
    return int.from_bytes(data[at : at + width], "little" if order == "<" else "big")
