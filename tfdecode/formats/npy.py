"""NumPy's ``.npy``: a text header, then the numbers (specified in `numpy.lib.format`)."""

from __future__ import annotations

import io
from typing import IO, Any, Literal, NamedTuple

import numpy as np

from ..errors import FileError
from .contents import MAX_BYTES, Contents, Entry, checked_shape, unreadable, view

MAGIC = np.lib.format.MAGIC_PREFIX


class Header(NamedTuple):
    """What an ``.npy`` header says, checked, and why its array is refused if it is."""

    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]
    refusal: str | None


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The one array of an ``.npy``; its key is ``""``."""
    stream = io.BytesIO(data)
    header = read_header(stream)
    if header.refusal:
        return Contents([], {"": header.refusal})
    # The length is checked here, so that a listing never promises what a read cannot give.
    array = view(memoryview(data)[stream.tell() :], header.dtype, header.shape, header.order)
    return Contents([Entry("", header.dtype, header.shape, lambda: array)])


def read_header(stream: IO[bytes]) -> Header:
    """Read the header of versions 1, 2 and 3; ``stream`` is left at the first number."""
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version in {(2, 0), (3, 0)}:
            # Version 3 is version 2 in UTF-8, which tells field names apart, never numbers.
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise FileError(f"is an .npy of unknown version {version[0]}.{version[1]}")
    except FileError:
        raise
    except Exception:  # the header is Python text: hostile ones raise nearly anything
        raise FileError("is not an .npy file with a header that NumPy can read") from None
    refusal = unreadable(dtype.kind, dtype.itemsize) if dtype.subdtype is None else "subarray"
    checked = checked_shape(shape, dtype.itemsize)
    return Header(checked, "F" if fortran else "C", dtype, refusal)
