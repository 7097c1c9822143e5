"""MATLAB's ``.mat``, versions 4 to 7.3 (MathWorks, "MAT-File Format").

Version 7.3 is HDF5, read through h5py. The others are read here: `scipy.io.loadmat` is not safe on
bytes of strangers. A data tag of type 8 made scipy 1.17 read a null pointer and die, a version 4
header with negative rows made ``whosmat`` run forever, ``mat_dtype=True`` drops imaginary parts.
"""

from __future__ import annotations

from ...errors import FileError
from ..contents import MAX_BYTES, Contents
from ..sniff import HDF5_MAGIC
from . import v4, v5, v73


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The numeric arrays of a ``.mat``, in the type and native byte order of MATLAB's class.

    Shapes and order (Fortran) are MATLAB's. Arrays in structs and cells have paths: see `tree`.
    Text, functions and objects are among the others, and so are sparse matrices unless ``dense``.
    """
    if HDF5_MAGIC in (data[:8], data[512:520]) or data.startswith(b"MATLAB 7.3"):
        return v73.contents(data)
    if len(data) < 20:
        raise FileError("is too short for a .mat file")
    # MathWorks: a zero among the first four bytes tells version 4, for they are text in version 5.
    return v4.contents(data) if 0 in data[:4] else v5.contents(data, max_bytes=max_bytes)
