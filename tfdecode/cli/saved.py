"""The answers of many examples as files: stacked in one ``.npz``, or a ``.npz`` for each."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import EncodeError, shown
from .npy import savable, save_npz
from .write import write_files

#: The array of a stacked ``.npz`` that holds the name of the file of each row.
FILES = "files"
#: Bytes of strings to pad at once.
BLOCK = 2**24


class OneEach:
    """A file ``STEM.npz`` in a directory for each example."""

    kept = "the answers so far are saved"
    most = None

    def __init__(self, out: Path) -> None:
        self.out = out

    def path(self, stem: str) -> Path:
        """The file of an example."""
        return self.out / f"{stem or '_'}.npz"

    def add(self, stem: str, file: str, outputs: Mapping[str, np.ndarray], rows: int) -> Path:
        """Save the answer for one file."""
        path = self.path(stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_files({path: partial(save_npz, arrays={n: named(n, a) for n, a in outputs.items()})})
        return path

    def finish(self) -> None:
        """Everything is written."""


class Stacked:
    """One ``.npz``: each output ``[N, ...]``, and the names of the files.

    The rows wait in temporary files, for there may be more than fit into memory.
    """

    kept = "nothing was saved; -o DIR/ saves each answer as it comes"
    most = 1

    def __init__(self, out: Path) -> None:
        self.out = out
        self._columns: dict[str, Column] = {}
        self._files: list[str] = []

    def path(self, stem: str) -> Path:
        """The file of all examples."""
        return self.out

    def add(self, stem: str, file: str, outputs: Mapping[str, np.ndarray], rows: int) -> Path:
        """Take the answer for one file: ``rows`` of each output, or 0: one that is not stacked."""
        if FILES in outputs:
            raise EncodeError(f"output {FILES}: has the name of the list of files; pass -o DIR/")
        arrays = {name: named(name, a if rows else a[None]) for name, a in outputs.items()}
        columns = self._columns or {
            name: Column(self.out.parent, array) for name, array in arrays.items()
        }
        for name, array in arrays.items():
            if not columns[name].takes(array):
                here, there = (
                    f"{x.dtype.name} {list(x.shape[1:])}" for x in (array, columns[name])
                )
                raise EncodeError(
                    f"output {shown(name)} is {here}, of the files so far {there}: they cannot be "
                    "stacked; pass -o DIR/"
                )
        self._columns = columns
        for name, array in arrays.items():
            columns[name].add(array)
        self._files += [file] * max(rows, 1)
        return self.out

    def finish(self) -> None:
        """Write the file."""
        write_files({self.out: self._write})

    def _write(self, file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            files = np.array(self._files, np.str_)
            names = Column(self.out.parent, files)
            names.add(files)
            for name, column in {FILES: names, **self._columns}.items():
                member = zipfile.ZipInfo(f"{name}.npy")
                member.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(member, "w", force_zip64=True) as stream:
                    column.write(stream)


class Column:
    """The rows of one output so far."""

    def __init__(self, directory: Path, first: np.ndarray) -> None:
        self.dtype, self.shape = first.dtype, first.shape
        self._count = 0
        self._lengths: list[int] = []
        try:
            self._file: Any = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115
        except FileNotFoundError as error:
            raise OSError(error.errno, "the directory does not exist", str(directory)) from None

    def takes(self, array: np.ndarray) -> bool:
        """Whether these are rows of the same kind; byte strings may differ in length."""
        same = array.dtype == self.dtype or array.dtype.kind == self.dtype.kind == "S"
        return same and array.shape[1:] == self.shape[1:]

    def add(self, array: np.ndarray) -> None:
        """Append rows."""
        self._count += len(array)
        if self.dtype.kind == "S":
            items = array.ravel().tolist()
            self._lengths += map(len, items)
            self._file.write(b"".join(items))
        else:
            self._file.write(np.ascontiguousarray(array).data)

    def write(self, stream: Any) -> None:
        """Write all rows as a ``.npy``."""
        width = max(self._lengths, default=1) or 1
        dtype = np.dtype(f"S{width}") if self.dtype.kind == "S" else self.dtype
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
        shape = (self._count, *self.shape[1:])
        np.lib.format.write_array_header_2_0(stream, {**header, "shape": shape})
        self._file.seek(0)
        if self.dtype.kind == "S":
            for length in self._lengths:
                stream.write(self._file.read(length).ljust(width, b"\0"))
        else:
            while block := self._file.read(BLOCK):
                stream.write(block)


def named(name: str, array: np.ndarray) -> np.ndarray:
    """An output as it is saved; EncodeError names one that cannot be saved."""
    if name.startswith("/") or ".." in name.split("/"):  # a server may say anything
        raise EncodeError(f"output {shown(name)}: is no name of an array in a .npz")
    try:
        return savable(array)
    except EncodeError as error:
        raise EncodeError(f"output {name}: {error}") from None
