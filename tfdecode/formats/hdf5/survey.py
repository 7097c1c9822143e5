"""What libhdf5 says about a file: which datasets it has, and where their numbers are.

This program runs in a process of its own, with limits: libhdf5 is C, and a hostile file can make it
take memory without end, run for ever or crash. It gets pieces of the file on standard input,
writes the structure as JSON on standard output, and reads no number. It imports nothing of
tfdecode, so that it starts fast. The other side is `process`.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, BinaryIO

import h5py
import numpy as np

#: The head of each message to the parent: its kind, and two numbers.
HEAD = struct.Struct("<cQQ")
READ, DONE, FAILED = b"R", b"D", b"F"

_BLOCK = 2**16
_OBJECTS = 2**17
_LONGEST = 256
_COMPLEX = {("real", "imag"), ("r", "i")}
_DIMENSION = b"This is a netCDF dimension but not a netCDF variable"
_TABLE = "table; save each column as a dataset of its own"
_MATLAB = ("MATLAB_class", "MATLAB_empty", "MATLAB_sparse", "MATLAB_object_decode")


class Refused(Exception):
    """The file cannot be read; the message is for the user."""


def survey(file: Any, matlab: bool, chunks: int) -> dict[str, Any]:
    """The objects of a file by their addresses, and the address of the root group.

    Of ``matlab`` files the attributes are read that say what a variable is. At most so many
    ``chunks`` are looked at.
    """
    try:
        opened = h5py.File(file, "r")
        root = h5py.h5g.open(opened.id, b"/")
        first = h5py.h5o.get_info(root).addr
    except Exception as error:
        raise Refused(f"is not a whole HDF5 file ({_why(error)})") from None
    found = _Survey(matlab, chunks)
    # Only the groups on the way to an object stay open: libhdf5 keeps some 5 kB for each.
    stack = [found.record(first, root)]
    while stack:
        try:
            address, member = next(stack[-1], (None, None))
        except Refused:
            raise
        except Exception as error:
            raise Refused(f"is a damaged HDF5 file ({_why(error)})") from None
        if address is None:
            stack.pop()
        elif address not in found.objects:  # hard links can make cycles
            stack.append(found.record(address, member))
    return {"root": first, "objects": list(found.objects.items())}


class _Survey:
    """What was found so far, and how many links and chunks may still be looked at."""

    def __init__(self, matlab: bool, chunks: int) -> None:
        self.matlab, self.links, self.chunks = matlab, _OBJECTS, [chunks]
        self.objects: dict[int, dict[str, Any]] = {}

    def record(self, address: int, member: Any) -> Iterator[tuple[int, Any]]:
        """Write down what an object is; its members, if it is a group, with their addresses."""
        found: dict[str, Any] = {}
        self.objects[address] = found
        try:
            if isinstance(member, h5py.h5d.DatasetID):
                found["dataset"] = _dataset(member, self.chunks)
            if isinstance(member, h5py.h5d.DatasetID) and _only_a_dimension(member):
                found["dataset"] = {"refused": "dimension of NetCDF, which has no numbers"}
            if self.matlab:
                found["attributes"] = _attributes(member)
            elif isinstance(member, (h5py.h5d.DatasetID, h5py.h5g.GroupID)):
                found["attributes"] = h5py.h5a.get_num_attrs(member)
        except Refused as error:
            found["damaged"] = f": {error}"
        except Exception as error:  # h5py raises a dozen kinds
            found["damaged"] = f" ({_why(error)})"
        if not isinstance(member, h5py.h5g.GroupID):
            return iter(())
        found["links"] = []
        return self.members(member, found["links"])

    def members(self, group: Any, links: list[Any]) -> Iterator[tuple[int, Any]]:
        """Address and object of each hard link; fills ``links`` with names and addresses."""
        names: list[tuple[bytes, int]] = []

        def add(name: bytes, info: Any) -> bool | None:
            self.links -= 1
            names.append((name, info.type))
            return True if self.links < 0 else None  # True ends the iteration

        # In native order: to sort many links, libhdf5 1.14 frees what it never allocated if the
        # file lies about their number.
        group.links.iterate(add, order=h5py.h5.ITER_NATIVE, info=True)
        if self.links < 0:
            raise Refused(f"holds more than {_OBJECTS} HDF5 objects; split it")
        for raw, kind in sorted(names):
            name = raw.decode("utf-8", "surrogateescape")
            if kind != h5py.h5l.TYPE_HARD:
                links.append((name, None))
                continue
            member = h5py.h5o.open(group, raw)
            address = h5py.h5o.get_info(member).addr
            links.append((name, address))
            yield address, member


def _why(error: Exception) -> str:
    text = "".join(filter(str.isprintable, str(error)))[:100]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _only_a_dimension(dataset: Any) -> bool:
    """Whether the zeros of a dataset only say how long a dimension is (NetCDF-4 format, HDF5)."""
    if not h5py.h5a.exists(dataset, b"NAME"):
        return False
    attribute = h5py.h5a.open(dataset, b"NAME")
    # One of variable length has no size of its own, so it is not of the NetCDF library.
    if attribute.shape != () or attribute.dtype.kind != "S" or attribute.dtype.itemsize > _LONGEST:
        return False
    value = np.zeros((), attribute.dtype)
    attribute.read(value)
    return bool(value.item().startswith(_DIMENSION))


def _attributes(member: Any) -> dict[str, Any]:
    found = {}
    for name in _MATLAB:
        if not h5py.h5a.exists(member, name.encode()):
            continue
        attribute = h5py.h5a.open(member, name.encode())
        # Attributes can be larger than the file: nothing is allocated before this.
        if attribute.shape not in ((), (1,)) or attribute.dtype.itemsize > _LONGEST:
            raise Refused(f"attribute {name} is not a short value")
        if attribute.dtype.kind not in ("S" if name == "MATLAB_class" else "iu"):
            raise Refused(f"attribute {name} is of dtype {attribute.dtype.kind}")
        value = np.zeros(attribute.shape, attribute.dtype)
        attribute.read(value)
        found[name] = value.item().decode("latin-1") if value.dtype.kind == "S" else value.item()
    return found


def _dataset(dataset: Any, left: list[int]) -> dict[str, Any]:
    """Where the numbers of a dataset are and what they mean, or why they are ``refused``."""
    options = dataset.get_create_plist()
    layout = options.get_layout()
    # First of all: even the shape of a virtual dataset can depend on other files.
    if layout == h5py.h5d.VIRTUAL:
        return {"refused": "virtual dataset; save the numbers themselves"}
    if options.get_external_count():
        return {"refused": "dataset whose numbers are in another file; save them in this one"}
    raw = _raw_dtype(dataset.get_type())
    if isinstance(raw, str):
        return {"refused": raw}
    reference = raw is None
    if raw is None:  # a reference to an object is its address
        raw = np.dtype("<u8")
    dtype = np.dtype(raw.str)  # without the names of an enumeration
    if raw.names is not None:
        dtype = np.dtype(f"{raw[0].byteorder}c{raw.itemsize}")
    space = dataset.get_space()
    if space.get_simple_extent_type() == h5py.h5s.NULL:
        return {"refused": "dataset without any shape"}
    shape = space.get_simple_extent_dims()
    fill = np.zeros((), raw)
    if not reference and options.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
        options.get_fill_value(fill)
    filters = [options.get_filter(index) for index in range(options.get_nfilters())]
    found = {
        "dtype": dtype.str,
        "reference": reference,
        "shape": shape,
        "fill": fill.tobytes().hex(),
        "filters": [[code, name.decode("ascii", "replace")] for code, _, _, name in filters],
    }
    if layout == h5py.h5d.COMPACT:
        size = dataset.get_storage_size()
        if size != math.prod(shape) * dtype.itemsize or reference:
            raise Refused(f"has {size} bytes, its shape needs {math.prod(shape) * dtype.itemsize}")
        numbers = np.empty(shape, raw)
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, numbers)
        found["compact"] = base64.b64encode(numbers.tobytes()).decode()
    elif layout == h5py.h5d.CHUNKED:
        found["chunk"] = chunk = options.get_chunk()
        if not hasattr(dataset, "chunk_iter"):
            return {
                "refused": "chunked dataset; reading it needs h5py 3.10 or later with HDF5 1.14"
            }
        if all(shape):
            found["chunks"] = _chunks(dataset, shape, chunk, left)
    # Without storage there is no offset, or after a user block a wrong one.
    elif dataset.get_space_status() != h5py.h5d.SPACE_STATUS_NOT_ALLOCATED and all(shape):
        found["offset"] = dataset.get_offset()
    return found


def _chunks(dataset: Any, shape: Any, chunk: Any, left: list[int]) -> str:
    """Of each chunk: its number in the grid, its place in the file, its size, skipped filters."""
    table = array("Q")
    grid = [-(-side // step) for side, step in zip(shape, chunk, strict=True)]

    def add(info: Any) -> None:
        left[0] -= 1
        start = info.chunk_offset
        if left[0] < 0 or any(i % step for i, step in zip(start, chunk, strict=True)):
            raise Refused("has chunks that are not in its grid")
        number = 0
        for i, step, count in zip(start, chunk, grid, strict=True):
            if i // step >= count:  # outside of a dataset that became smaller
                return
            number = number * count + i // step
        if number >= 2**63 or info.byte_offset is None or info.byte_offset >= 2**63:
            raise Refused("has chunks that are not in the file")
        table.extend((number, info.byte_offset, info.size, info.filter_mask))

    # Not by get_chunk_info_by_coord: it goes through all chunks to find one of them.
    dataset.chunk_iter(add)
    return base64.b64encode(np.array(table, "<u8").tobytes()).decode()


def _raw_dtype(kind: Any) -> Any:
    """The dtype as h5py has it, why it is refused, or None for references to objects."""
    code = kind.get_class()
    if code == h5py.h5t.COMPOUND and kind.get_nmembers() != 2:
        return _TABLE
    if code == h5py.h5t.REFERENCE and kind.equal(h5py.h5t.STD_REF_OBJ):
        return None
    others = {
        h5py.h5t.STRING: "text; save the numbers it stands for",
        h5py.h5t.VLEN: "ragged rows; save each one as a dataset of its own",
        h5py.h5t.REFERENCE: "references to parts of datasets; save the numbers themselves",
    }
    if code not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.COMPOUND):
        return others.get(code, "not of a numeric type; save it as plain numbers")
    try:
        raw: np.dtype[Any] = kind.dtype
        # A type of odd bits reads as the nearest NumPy has, but its bytes are not those.
        plain = h5py.h5t.py_create(raw, logical=True).equal(kind)
    except (TypeError, ValueError):
        plain = False
    if not plain:
        return "numbers in a layout that NumPy does not have; save them as plain numbers"
    if raw.names is not None:
        if raw.names not in _COMPLEX or raw[0] != raw[1]:
            return _TABLE
        if raw[0].kind != "f":
            return "complex integers; save it as double"
    return raw


class Pieces(io.RawIOBase):
    """A file of which ``piece(offset, length)`` gives the bytes; no read is short."""

    def __init__(self, size: int, piece: Callable[[int, int], bytes]) -> None:
        self.size, self.position = size, 0
        # h5py asks for a few bytes at a time.
        self.block = lru_cache(128)(lambda at: piece(at, min(_BLOCK, size - at)))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = origin + offset
        return self.position

    def readinto(self, buffer: Any) -> int:
        end, done = self.position + len(buffer), 0
        if end > self.size:  # h5py would leave the rest of its buffer as it is
            raise OSError("is truncated")
        while self.position < end:
            start = self.position - self.position % _BLOCK
            part = self.block(start)[self.position - start : end - start]
            buffer[done : done + len(part)] = part
            done += len(part)
            self.position += len(part)
        return done


def limit(seconds: int, nbytes: int) -> None:
    """Allow this process so much CPU time and memory from now on, as far as the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = math.ceil(usage.ru_utime + usage.ru_stime) + seconds
    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, cpu)]
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[0])
        limits += [(resource.RLIMIT_AS, pages * resource.getpagesize() + nbytes)]
    for kind, value in limits:
        hard = resource.getrlimit(kind)[1]
        # The hard limit a second later: at that one it is no SIGXCPU, by which the parent knows it.
        highest = value + 1 if hard == resource.RLIM_INFINITY else min(value + 1, hard)
        resource.setrlimit(kind, (min(value, highest), highest))


def main(arguments: list[str], source: BinaryIO, target: BinaryIO) -> None:
    """Serve one parent: ask it for pieces of a file, and give it the structure."""
    size, matlab, chunks, seconds, nbytes = map(int, arguments)
    limit(seconds, nbytes)

    def piece(offset: int, length: int) -> bytes:
        target.write(HEAD.pack(READ, offset, length))
        target.flush()
        got = source.read(length)
        if len(got) < length:  # the parent is gone
            os._exit(1)
        return got

    try:
        text = json.dumps(survey(Pieces(size, piece), bool(matlab), chunks))
        answer, kind = text.encode("ascii"), DONE
    except Refused as error:
        answer, kind = str(error).encode("ascii", "replace"), FAILED
    target.write(HEAD.pack(kind, len(answer), 0) + answer)
    target.flush()
    os._exit(0)  # without libhdf5's own cleaning up, which can hang or crash


if __name__ == "__main__":
    _source, _target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what libraries print is no message
    main(sys.argv[1:6], _source, _target)
