"""NIfTI volumes, ``.nii`` and ``.nii.gz`` (https://nifti.nimh.nih.gov, versions 1 and 2)."""

from __future__ import annotations

import gzip
import io
import math
import struct
from typing import NamedTuple

import numpy as np

from ..errors import FileError
from .contents import MAX_BYTES, Array, Contents, Entry, checked_shape, failures, view
from .sniff import GZIP_MAGIC as GZIP

#: Code of a dtype -> NumPy's, and how many numbers a voxel has.
DTYPES = {
    2: ("u1", 1),
    4: ("i2", 1),
    8: ("i4", 1),
    16: ("f4", 1),
    32: ("c8", 1),
    64: ("f8", 1),
    128: ("u1", 3),
    256: ("i1", 1),
    512: ("u2", 1),
    768: ("u4", 1),
    1024: ("i8", 1),
    1280: ("u8", 1),
    1792: ("c16", 1),
    2304: ("u1", 4),
}
#: Bytes that extensions may have between the header and the voxels.
MOST_BEFORE = 2**26


class Header(NamedTuple):
    """Where the voxels are and what they mean."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    channels: int
    offset: int
    slope: float
    inter: float

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape in the file, in Fortran order: the colours of a voxel come first."""
        return (self.channels, *self.shape) if self.channels > 1 else self.shape

    @property
    def nbytes(self) -> int:
        """Bytes of all voxels."""
        return math.prod(self.stored_shape) * self.dtype.itemsize


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The voxels, in the axis order of the header; colours are the last dimension.

    A volume with a scale has two arrays, because both are wanted: ``stored``, the numbers of the
    file, and ``scaled``, ``stored * scl_slope + scl_inter`` in float64.
    """
    packed = data.startswith(GZIP)
    with failures("is a damaged NIfTI volume"):
        header = header_of(inflated(data, 540) if packed else data[:540])
        if not packed and len(data) < header.offset + header.nbytes:
            size = len(data) - header.offset
            raise FileError(f"it has {size} bytes of voxels, its header says {header.nbytes}")
    shape = header.shape + ((header.channels,) if header.channels > 1 else ())

    def stored() -> Array:
        with failures("is a damaged NIfTI volume"):
            end = header.offset + header.nbytes
            raw = memoryview(inflated(data, end, True) if packed else data)[header.offset : end]
            array = view(raw, header.dtype, header.stored_shape, "F")
            return np.moveaxis(array, 0, -1) if header.channels > 1 else array

    def scaled() -> Array:
        complex_ = header.dtype.kind == "c"
        array = stored().astype(np.complex128 if complex_ else np.float64, order="F")
        with np.errstate(all="ignore"):  # what is out of range is infinite
            array *= header.slope
            array += header.inter
        return array

    if header.channels > 1 or (header.slope, header.inter) == (1, 0):
        return Contents([Entry("", header.dtype, shape, stored)])
    wide = np.dtype(np.complex128 if header.dtype.kind == "c" else np.float64)
    both = [Entry("stored", header.dtype, shape, stored), Entry("scaled", wide, shape, scaled)]
    return Contents(both, note=f" (its scale is {header.slope:g} * stored + {header.inter:g})")


def header_of(data: bytes) -> Header:
    """The header of either version, in either byte order."""
    for order in "<>":
        size = struct.unpack_from(f"{order}i", data)[0] if len(data) >= 348 else 0
        if size == 348:
            dims = struct.unpack_from(f"{order}8h", data, 40)
            code = struct.unpack_from(f"{order}h", data, 70)[0]
            offset, slope, inter = struct.unpack_from(f"{order}3f", data, 108)
            magic = data[344:348]
        elif size == 540 and len(data) >= 540:
            code = struct.unpack_from(f"{order}h", data, 12)[0]
            dims = struct.unpack_from(f"{order}8q", data, 16)
            offset, slope, inter = struct.unpack_from(f"{order}q2d", data, 168)
            magic = data[4:8]
        else:
            continue
        if magic[1:2] == b"+" and offset < size:
            raise FileError(f"its voxels begin at byte {offset:g}, within its header")
        return checked(dims, code, offset, slope, inter, magic, order)
    raise FileError("it has no header of 348 or 540 bytes")


def checked(
    dims: tuple[int, ...],
    code: int,
    offset: float,
    slope: float,
    inter: float,
    magic: bytes,
    order: str,
) -> Header:
    """What a header says, if that can be."""
    if magic in (b"ni1\0", b"ni2\0"):
        raise FileError("its voxels are in another file, .img; save both as one .nii")
    if magic not in (b"n+1\0", b"n+2\0"):
        raise FileError("its header has no magic of NIfTI; it may be of Analyze 7.5")
    if not 0 <= dims[0] <= 7:
        raise FileError(f"its header says {dims[0]} dimensions")
    if code not in DTYPES:
        raise FileError(f"its voxels are of datatype {code}, which NumPy does not have everywhere")
    text, channels = DTYPES[code]
    dtype = np.dtype(f"{order}{text}")
    shape = checked_shape(dims[1 : dims[0] + 1], dtype.itemsize * channels)
    if not 0 <= offset <= MOST_BEFORE or offset != int(offset):
        raise FileError(f"its voxels begin at byte {offset:g}")
    if not math.isfinite(slope) or not slope:
        slope, inter = 1.0, 0.0  # as the standard says
    if not math.isfinite(inter):
        raise FileError(f"its scl_inter is {inter}")
    return Header(shape, dtype, channels, int(offset), slope, inter)


def inflated(data: bytes, count: int, whole: bool = False) -> bytes:
    """The first ``count`` bytes of gzip data; if ``whole``, there have to be so many."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        found = file.read(count)
        if whole and len(found) < count:
            raise FileError(f"it inflates to {len(found)} bytes, its header says {count}")
        if whole:
            file.read(1)  # past the end of the voxels, where the CRC is compared
    return found
