"""MATLAB's ``.mat`` of version 7.3: HDF5 after 512 bytes of text, read through h5py.

MathWorks publishes no specification: the facts are those of files that MATLAB wrote. A variable is
a dataset or group of the root with its class in the attribute ``MATLAB_class``; dimensions stand in
reverse; an empty array holds its dimensions instead of numbers and has ``MATLAB_empty`` set; a
complex one is a compound of ``real`` and ``imag``. A struct is a group of its fields, a cell array
a dataset of references to its cells; the fields of a structure array are such datasets without a
class. A sparse matrix is a group of ``data``, ``ir`` and ``jc``. As safe as `hdf5` is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import FileError
from ..contents import MAX_BYTES, Array, Contents, Entry, checked_shape, shown
from ..hdf5 import HDF5, LINK
from .advice import advice
from .numbers import by_columns
from .tree import MEMBERS, Leaf, Members, Tree, parts

_CLASSES = {
    "double": "f8", "single": "f4", "logical": "u1", "int8": "i1", "uint8": "u1", "int16": "i2",
    "uint16": "u2", "int32": "i4", "uint32": "u4", "int64": "i8", "uint64": "u8",
}  # fmt: skip
_FOREIGN = "HDF5 that MATLAB did not write; rename the file to .h5 to read it"
# Indices of a sparse matrix may be larger than it is when dense: up to this.
_SLACK = 2**22


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The numeric arrays by path, in MATLAB's shape and order (Fortran) and in native bytes."""
    return Contents.of(_found(HDF5(data, matlab=True)))


def _found(file: HDF5) -> Iterator[tuple[str, Leaf]]:
    tree = Tree(_Reader(file).expand)
    for name, address in file.links(file.root):
        if name == "#subsystem#":
            yield "", "MATLAB's own data of functions and objects, which is no variable"
        elif name != "#refs#":  # the parts of cells
            yield from tree.leaves(name, address)


class _Reader:
    """Knows what each object of a file is in MATLAB."""

    def __init__(self, file: HDF5) -> None:
        self.file = file
        self.lists: dict[int, list[int]] = {}
        self.references = 0

    def expand(self, path: str, address: int | None) -> Leaf | Members:
        """The array at an address, what it is instead, or what is in it."""
        if address is None:
            return LINK
        member = self.file.objects.get(address)
        if member is None:
            return "reference to nothing"
        if "damaged" in member:
            raise FileError(f"variable {shown(path)} is damaged{member['damaged']}")
        attributes = member["attributes"]
        kind = attributes.get("MATLAB_class")
        if kind is None:
            return _FOREIGN
        dataset = "dataset" in member
        if "MATLAB_sparse" in attributes and not dataset:
            return self.sparse(path, member, kind, attributes["MATLAB_sparse"])
        empty = attributes.get("MATLAB_empty")
        if kind == "cell" and dataset:
            if empty:
                return "cell array without cells"
            return ((f"[{i}]", one) for i, one in enumerate(self.addresses(path, address)))
        if kind in _CLASSES and dataset:
            return _variable(path, kind, bool(empty), self.file.stored(path, member))
        # Objects of old classes are structs with another name.
        if kind == "function_handle" or dataset or "MATLAB_object_decode" in attributes:
            return "struct without elements" if kind == "struct" else advice(kind)
        return self.fields(path, member)

    def fields(self, path: str, member: dict[str, Any]) -> str | Members:
        """The fields of a struct or, if they are lists of references, of a structure array."""
        fields = list(member.get("links", []))
        if not fields:
            return "struct without fields"
        names = [name for name, _ in fields]
        if not any(self.is_list(child) for _, child in fields):
            return zip(parts(names, 1), (child for _, child in fields), strict=True)
        if not all(self.is_list(child) for _, child in fields):
            raise FileError(f"variable {shown(path)} is damaged: neither a struct nor an array")
        lists = [self.addresses(path, child) for _, child in fields]
        count = len(lists[0])
        if any(len(one) != count for one in lists):
            raise FileError(f"variable {shown(path)} is damaged: fields of different length")
        by_element = (one for element in zip(*lists, strict=True) for one in element)
        return zip(parts(names, count), by_element, strict=True)

    def is_list(self, address: int | None) -> bool:
        """Whether an object is a field of a structure array."""
        member = self.file.objects.get(address, {}) if address is not None else {}
        return self.file.is_reference(member) and "MATLAB_class" not in member.get("attributes", {})

    def addresses(self, path: str, address: int) -> list[int]:
        """What a cell array refers to, in column order."""
        if address in self.lists:  # cells can refer to cells that hold them
            return self.lists[address]
        member = self.file.objects[address]
        found = self.file.stored(path, member)
        if isinstance(found, str) or not self.file.is_reference(member):
            raise FileError(f"variable {shown(path)} is damaged: its cells are no references")
        self.references += math.prod(found.shape)
        if self.references > MEMBERS:
            raise FileError(f"holds more than {MEMBERS} cells and fields; split it")
        self.lists[address] = found.read().ravel().tolist()
        return self.lists[address]

    def sparse(self, path: str, member: dict[str, Any], kind: str, rows: int) -> Leaf:
        """A sparse matrix; without non-zeros it has neither ``data`` nor ``ir``."""
        found: dict[str, Entry] = {}
        for name, child in member["links"]:
            part = self.file.objects.get(child, {})
            if name in ("data", "ir", "jc") and "dataset" in part:
                entry = self.file.stored(f"{path}.{name}", part)
                if isinstance(entry, str) or len(entry.shape) != 1:
                    raise FileError(f"variable {shown(path)} is damaged: {name} is no list")
                found[name] = entry
        if "jc" not in found or ("ir" in found) != ("data" in found) or kind not in _CLASSES:
            raise FileError(f"variable {shown(path)} is damaged: a sparse matrix of another form")
        result = np.dtype(bool if kind == "logical" else _CLASSES[kind])
        if "data" in found and found["data"].dtype.kind == "c":
            result = np.dtype("c16")
        indices = (found["jc"], found["ir"]) if "ir" in found else (found["jc"],)
        if any(one.dtype.kind not in "iu" for one in indices):
            raise FileError(f"variable {shown(path)} is damaged: indices that are no integers")
        shape = checked_shape((rows, found["jc"].shape[0] - 1), result.itemsize)
        if sum(one.nbytes for one in found.values()) > 32 * math.prod(shape) + _SLACK:
            return "sparse matrix that is larger than when dense; save full(...)"
        count = found["ir"].shape[0] if "ir" in found else 0

        def read() -> tuple[Array, Array, list[Array]]:
            none = np.zeros(0, result)
            values = found["data"].read() if "data" in found else none
            values = values.astype(result)
            lines = found["ir"].read() if "ir" in found else none.astype("i8")
            return lines, found["jc"].read(), [values]

        return by_columns(path, shape, result, count, read)


def _variable(name: str, kind: str, empty: bool, found: Entry | str) -> Entry | str:
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
