"""JPEG images (ITU-T T.81, JFIF), read and written by Pillow."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from ..errors import FileError
from ..extras import LazyModule
from .contents import MAX_BYTES, Array, Contents, Entry, failures

pillow: Any = LazyModule("PIL.Image", "jpeg")
plugin: Any = LazyModule("PIL.JpegImagePlugin", "jpeg")

MAGIC = b"\xff\xd8\xff"
#: What libjpeg takes, and what a file of this package's payloads may have.
MAX_SIDE, MAX_PIXELS = 65_500, 2**26
#: Modes of Pillow: grey and RGB. Four colours (CMYK) are converted by each library in its own way.
CHANNELS = {"L": 1, "RGB": 3}
#: A progressive image is decoded anew for each scan, of a few bytes: programs write about ten.
MAX_SCANS = 64
SCAN = b"\xff\xda"


def opened(data: bytes) -> Any:
    """The image of a file by Pillow, not decoded yet; FileError if it is not one that is read."""
    with failures("is a damaged JPEG image"):
        # Image.open would warn of images above a limit of its own, or refuse them in its words.
        image = plugin.JpegImageFile(BytesIO(data))
    if image.mode not in CHANNELS:
        raise FileError(f"has the colours {image.mode}, needs grey or RGB")
    if max(image.size) > MAX_SIDE or image.width * image.height > MAX_PIXELS:
        most = f"sides of at most {MAX_SIDE} and at most {MAX_PIXELS} pixels"
        raise FileError(f"has {image.width} x {image.height} pixels, needs {most}")
    if data.count(SCAN) > MAX_SCANS:
        raise FileError(f"has {data.count(SCAN)} scans, needs at most {MAX_SCANS}: save it anew")
    return image


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The pixels, uint8 ``[height, width]`` or ``[height, width, 3]``, as libjpeg decodes them.

    The orientation of EXIF and colour profiles are not applied: TensorFlow does not either.
    """
    image = opened(data)
    color = () if image.mode == "L" else (CHANNELS[image.mode],)

    def read() -> Array:
        again = opened(data)
        with failures("is a damaged JPEG image"):
            return np.array(again)

    return Contents([Entry("", np.dtype(np.uint8), (image.height, image.width, *color), read)])


def written(array: Array) -> bytes:
    """A file of the best quality, without subsampled colours: an array of one grey is exact."""
    file = BytesIO()
    pillow.fromarray(array).save(file, "jpeg", quality=100, subsampling=0)
    return file.getvalue()
