"""HDF5 files of any program (h5py, Keras weights, netCDF-4), read through h5py and libhdf5.

libhdf5 parses the file's structure in C, so on files of strangers this reader is only as safe as
it; the other readers check everything in Python. Here libhdf5 runs no filter, reads only numbers of
compact datasets, follows only hard links, and opens no other file (see `hdf5.dataset`).
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from ...errors import FileError
from ..contents import MAX_BYTES, Array, Contents, Entry, failures, shown
from ..sniff import HDF5_MAGIC
from .dataset import h5py, stored

_OBJECTS = 2**16
# Longer paths would let a small file ask for quadratic memory.
_PATH = 512


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The numeric datasets by path (``group/name``), in the shape and dtype that h5py gives."""
    file = HDF5(data)
    found: list[tuple[str, Entry | str]] = []
    pending, entered = [("", file.root)], set()
    while pending:
        path, group = pending.pop()
        with failures("is a damaged HDF5 file"):
            address = h5py.h5o.get_info(group).addr
        if address in entered:  # hard links can make cycles
            continue
        entered.add(address)
        groups: list[tuple[str, Any]] = []
        for name, member in file.members(group):
            key = f"{path}/{name}" if path else name
            if isinstance(member, str):
                found.append((key, member))
            elif isinstance(member, h5py.h5g.GroupID):
                if len(key) > _PATH:
                    found.append((key[:_PATH], "nested too deep to be named; save it flat"))
                else:
                    groups.append((key, member))
            elif isinstance(member, h5py.h5d.DatasetID):
                found.append((key, file.stored(key, member)))
        pending += reversed(groups)
    return Contents.of(found)


class HDF5:
    """An HDF5 file in memory: its groups and datasets, and a bound on how many are looked at."""

    def __init__(self, data: bytes) -> None:
        # Without the text before it: versions of libhdf5 disagree on whether offsets count it.
        start = 512 if data[512:520] == HDF5_MAGIC else 0
        self.data, self.seen = memoryview(data)[start:], 0
        with failures("is not a whole HDF5 file"):
            self.file = h5py.File(_Bytes(self.data), "r")
            self.root = h5py.h5g.open(self.file.id, b"/")

    def members(self, group: Any) -> list[tuple[str, Any]]:
        """Name and object of each hard link; in place of other links, what to do about them."""
        links: list[tuple[bytes, int]] = []

        def add(name: bytes, info: Any) -> bool | None:
            self.seen += 1
            links.append((name, info.type))
            return True if self.seen > _OBJECTS else None  # True ends the iteration

        found: list[tuple[str, Any]] = []
        with failures("is a damaged HDF5 file"):
            # In native order: to sort many links, libhdf5 1.14 frees what it never allocated where
            # the file lies about their number.
            group.links.iterate(add, order=h5py.h5.ITER_NATIVE, info=True)
        links.sort()
        if self.seen > _OBJECTS:
            raise FileError(f"holds more than {_OBJECTS} HDF5 objects; split it")
        with failures("is a damaged HDF5 file"):
            for raw, kind in links:
                name = raw.decode("utf-8", "surrogateescape")
                if kind == h5py.h5l.TYPE_HARD:
                    found.append((name, h5py.h5o.open(group, raw)))
                else:
                    found.append((name, "link that is not followed; save the array itself"))
        return found

    def stored(self, key: str, dataset: Any) -> Entry | str:
        """The numbers of a dataset, named in every error; or why they are refused."""
        with failures(f"dataset {shown(key)} is damaged"):
            found = stored(key, dataset, self.data)
        if isinstance(found, str):
            return found

        def read() -> Array:
            with failures(f"dataset {shown(key)} is damaged"):
                assert self.file  # and it stays open as long as this can be called
                return found.read()

        return replace(found, read=read)


class _Bytes(io.RawIOBase):
    """Bytes as a file, of which no read is short: h5py would leave the rest of its buffer as is."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.position = data, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: len(self.data)}[whence]
        self.position = origin + offset
        return self.position

    def readinto(self, buffer: Any) -> int:
        end = self.position + len(buffer)
        if end > len(self.data):
            raise FileError("is truncated")
        buffer[:] = self.data[self.position : end]
        self.position = end
        return len(buffer)
