"""MATLAB's ``.mat`` of version 7.3: HDF5 after 512 bytes of text, read through h5py.

MathWorks publishes no specification: the facts are those of files that MATLAB wrote. A variable is
a dataset or group of the root with its class in the attribute ``MATLAB_class``; dimensions stand in
reverse; an empty array holds its dimensions instead of numbers and has ``MATLAB_empty`` set; a
complex one is a compound of ``real`` and ``imag``. As safe as libhdf5 is: see `hdf5`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import FileError
from ..contents import MAX_BYTES, Array, Contents, Entry, checked_shape, failures, shown
from ..hdf5 import HDF5
from ..hdf5.dataset import h5py

_CLASSES = {
    "double": "f8", "single": "f4", "logical": "u1", "int8": "i1", "uint8": "u1", "int16": "i2",
    "uint16": "u2", "int32": "i4", "uint32": "u4", "int64": "i8", "uint64": "u8",
}  # fmt: skip
_FOREIGN = "HDF5 that MATLAB did not write; rename the file to .h5 to read it"
_LONGEST = 256


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The full numeric variables, in MATLAB's shape and order (Fortran) and in native bytes."""
    file = HDF5(data)
    return Contents.of(
        (name, member if isinstance(member, str) else _variable(file, name, member))
        for name, member in file.members(file.root)
        if name not in ("#refs#", "#subsystem#")  # the parts of cells and objects
    )


def _variable(file: HDF5, name: str, member: Any) -> Entry | str:
    with failures(f"variable {shown(name)} is damaged"):
        matlab_class = _attribute(member, b"MATLAB_class", "S")
        if matlab_class is None:
            return _FOREIGN
        kind = matlab_class.decode("latin-1")
        if h5py.h5a.exists(member, b"MATLAB_sparse"):
            return "sparse"
        if kind not in _CLASSES or not isinstance(member, h5py.h5d.DatasetID):
            return kind
        empty = _attribute(member, b"MATLAB_empty", "iu")
    found = file.stored(name, member)
    if isinstance(found, str):
        return found
    if empty:
        return _empty(name, kind, found)
    result = np.dtype(_CLASSES[kind])
    if found.dtype.kind == "c" and result.kind == "f":
        result = np.dtype(f"c{2 * result.itemsize}")
    if found.dtype.newbyteorder("=") != result:
        raise FileError(
            f"variable {shown(name)} of class {shown(kind)} is stored as {found.dtype}, "
            "which MATLAB does not write"
        )
    result = np.dtype(bool) if kind == "logical" else result

    def read() -> Array:
        array: Array = found.read().T.astype(result, copy=False)
        return array

    return Entry(name, result, found.shape[::-1], read)


def _empty(name: str, kind: str, found: Entry) -> Entry:
    """An array without elements: the dataset lists its dimensions, in MATLAB's order."""
    result = np.dtype(bool if kind == "logical" else _CLASSES[kind])
    if len(found.shape) != 1 or found.shape[0] > 32 or found.dtype.kind not in "iu":
        raise FileError(f"variable {shown(name)} is empty but has no list of dimensions")
    shape = checked_shape(found.read().tolist(), result.itemsize)
    if 0 not in shape:
        raise FileError(f"variable {shown(name)} is empty but has dimensions without a zero")
    return Entry(name, result, shape, lambda: np.zeros(shape, result, "F"))


def _attribute(member: Any, name: bytes, kinds: str) -> Any:
    """A short scalar attribute of one of the dtype ``kinds``, None if there is none."""
    if not h5py.h5a.exists(member, name):
        return None
    attribute = h5py.h5a.open(member, name)
    # Attributes can be larger than the file: nothing is allocated before this.
    if attribute.shape not in ((), (1,)) or attribute.dtype.itemsize > _LONGEST:
        raise FileError(f"attribute {name.decode()} is not a short value")
    if attribute.dtype.kind not in kinds:
        raise FileError(f"attribute {name.decode()} is of dtype {attribute.dtype.kind}")
    value = np.zeros(attribute.shape, attribute.dtype)
    attribute.read(value)
    return value.item()
