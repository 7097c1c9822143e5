"""The formats that only `load` reads, because stock ops read them otherwise or not at all."""

from __future__ import annotations

import os
from importlib import import_module
from typing import NamedTuple

from ..reading import Slices
from .contents import Contents


class Reader(NamedTuple):
    """A format: its suffixes, its module here, and why no spec reads the file as it is."""

    suffixes: tuple[str, ...]
    module: str
    advice: str

    def contents(self, data: bytes | Slices, *, max_bytes: int) -> Contents:
        """What a file holds."""
        found: Contents = import_module(f".{self.module}", __package__).contents(
            data, max_bytes=max_bytes
        )
        return found


_NUMPY = "save the array with numpy.save"
READERS = {
    "hdf5": Reader(
        (".h5", ".hdf5", ".nc", ".nc4"),
        "hdf5",  # it imports subprocess, for a child with limits
        "stock ops cannot read HDF5, which a .mat of version 7.3 is too; save the array with "
        "numpy.save, or in MATLAB with -v7",
    ),
    "tiff": Reader((".tif", ".tiff"), "tiff", f"stock ops cannot read TIFF; {_NUMPY}"),
    "nifti": Reader((".nii", ".nii.gz"), "nifti", f"stock ops cannot read NIfTI; {_NUMPY}"),
}
_BY_SUFFIX = {suffix: name for name, reader in READERS.items() for suffix in reader.suffixes}


def by_suffix(suffix: str) -> str | None:
    """The name of the format whose files have that suffix."""
    return _BY_SUFFIX.get(suffix)


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix of a file, in lower case: ``.nii.gz`` is one."""
    name = os.path.basename(path).lower()
    if name.endswith(".nii.gz"):
        return ".nii.gz"
    dot = name.rfind(".")  # as pathlib does, in a fifth of its time
    return name[dot:] if 0 < dot < len(name) - 1 else ""
