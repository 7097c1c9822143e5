"""HDF5 files of any program (h5py, Keras weights, netCDF-4), read through h5py and libhdf5.

libhdf5 parses the file's structure in C. It does so in a child process with limits, and says only
where the numbers are: see `process` and `survey`. The numbers are read here, by Python.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...errors import FileError
from ...reading import Slices
from ..contents import MAX_BYTES, Contents, Entry, failures, shown
from ..sniff import HDF5_MAGIC
from .dataset import stored
from .process import surveyed

# Longer paths would let a small file ask for quadratic memory.
_PATH = 512
_REFERENCES = "references to other datasets; save the numbers themselves"


def contents(data: bytes | Slices, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The numeric datasets by path (``group/name``), in the shape and dtype that h5py gives."""
    return Contents.of(_found(HDF5(data)))


def _found(file: HDF5) -> Any:
    attributes = 0
    pending: list[tuple[str, int]] = [("", file.root)]
    entered: dict[int, str] = {}
    while pending:
        path, address = pending.pop()
        if address in entered:  # hard links can make cycles
            yield path, f"another name of {shown(entered[address]) or 'the whole file'}"
            continue
        entered[address] = path
        groups: list[tuple[str, int]] = []
        attributes += file.objects[address].get("attributes", 0)
        for name, child in file.links(address):
            key = f"{path}/{name}" if path else name
            member = file.objects[child] if child is not None else {}
            if child is None:
                yield key, LINK
            elif "links" in member and len(key) > _PATH:
                yield key[:_PATH], "nested too deep to be named; save it flat"
            elif "links" in member:
                groups.append((key, child))
            elif "dataset" in member:
                attributes += 0 if child in entered else member.get("attributes", 0)
                entered.setdefault(child, key)
                yield key, _REFERENCES if file.is_reference(member) else file.stored(key, member)
            else:
                yield key, "named type, which holds no array"
        pending += reversed(groups)
    if attributes:
        yield "", f"{attributes} attributes, which are not read; h5py reads them"


LINK = "link that is not followed; save the array itself"


class HDF5:
    """The structure of an HDF5 file, and its bytes."""

    def __init__(self, data: bytes | Slices, *, matlab: bool = False) -> None:
        # Without the text before it: versions of libhdf5 disagree on whether offsets count it.
        start = 512 if data[512:520] == HDF5_MAGIC else 0
        self.data: memoryview | Slices
        self.data = data.after(start) if isinstance(data, Slices) else memoryview(data)[start:]
        check_whole(self.data)
        found = surveyed(self.data, matlab)
        with failures("is a damaged HDF5 file"):
            self.root: int = found["root"]
            self.objects: dict[int, Any] = dict(found["objects"])

    def links(self, address: int) -> list[tuple[str, int | None]]:
        """Name and address of each object in a group; None in place of what is no hard link."""
        group = self.objects[address]
        if "damaged" in group:
            raise FileError(f"is a damaged HDF5 file{group['damaged']}")
        return [(name, child) for name, child in group["links"]]

    @staticmethod
    def is_reference(member: dict[str, Any]) -> bool:
        """Whether an object is a dataset of references to others."""
        return bool(member.get("dataset", {}).get("reference"))

    def stored(self, key: str, member: dict[str, Any]) -> Entry | str:
        """The numbers of a dataset, named in every error; or why they are refused."""
        what = f"dataset {shown(key)} is damaged"
        if "damaged" in member:
            raise FileError(f"{what}{member['damaged']}")
        with failures(what):
            found = stored(key, member["dataset"], self.data)
        if isinstance(found, str):
            return found

        def read() -> Any:
            with failures(what):
                return found.read()

        def read_row(index: int) -> Any:
            assert found.read_row is not None
            with failures(what):
                return found.read_row(index)

        return replace(found, read=read, read_row=read_row if found.read_row else None)


def check_whole(found: memoryview | Slices) -> None:
    """FileError if a file ends before the end that its superblock names (specification, II.A)."""
    data = found[:64]
    version = data[8] if len(data) > 8 else 0
    # Where the size of offsets is, the address of the first byte, and that after the last.
    places = {0: (13, 24, 40), 1: (13, 28, 44), 2: (9, 12, 28), 3: (9, 12, 28)}
    if len(data) < 64 or version not in places or data[places[version][0]] != 8:
        return
    first, last = (int.from_bytes(data[at : at + 8], "little") for at in places[version][1:])
    end = last - first
    if len(found) < end < 2**63:
        raise FileError(f"is a truncated HDF5 file: it has {len(found)} of its {end} bytes")
