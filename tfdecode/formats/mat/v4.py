"""MAT-files of version 4: five integers, a name, the numbers ("MAT-File Format", chapter 2)."""

from __future__ import annotations

import struct
from functools import partial

import numpy as np

from ...errors import FileError
from ..contents import Array, Contents, Entry, Sparse, checked_shape, shown
from ..sparse import scattered
from .advice import advice
from .numbers import joined, numbers

_STORAGE = ["f8", "f4", "i4", "i2", "u2", "u1"]
_TEXT, _SPARSE = 1, 2
_MACHINES = {2: "VAX D-float", 3: "VAX G-float", 4: "Cray"}


def contents(data: bytes) -> Contents:
    """The matrices: MATLAB 4 knew doubles only, whatever type they are stored as."""
    found: list[tuple[str, Entry | Sparse | str]] = []
    position = 0
    while position < len(data):
        header = data[position : position + 20]
        if len(header) < 20:
            raise FileError(f"is a truncated .mat: the header at byte {position} is cut")
        order = "<" if 0 <= int.from_bytes(header[:4], "little", signed=True) <= 5000 else ">"
        mopt, rows, columns, imaginary, name_length = struct.unpack(f"{order}5i", header)
        machine, rest = divmod(mopt, 1000)
        storage, kind = divmod(rest, 10)
        if machine in _MACHINES and storage < len(_STORAGE) and kind <= 2:
            raise FileError(
                f"holds numbers of {_MACHINES[machine]} machines at byte {position}; "
                "save it again with a newer MATLAB"
            )
        if machine not in (0, 1) or storage >= len(_STORAGE) or kind > 2 or imaginary not in (0, 1):
            raise FileError(f"is no .mat of version 4: byte {position} holds no matrix header")
        # The digit for byte order is ignored: the order that makes sense of the header counts.
        dtype = np.dtype(order + _STORAGE[storage])
        shape = checked_shape((rows, columns), dtype.itemsize * 2)
        part = rows * columns * dtype.itemsize
        start = position + 20 + name_length
        position = start + part * (1 + imaginary)
        if name_length < 1 or position > len(data):
            raise FileError(
                f"is a truncated .mat: the matrix that ends at byte {position} is cut at byte "
                f"{len(data)}"
            )
        name = data[start - name_length : start].rstrip(b"\0").decode("latin-1")
        if kind == _TEXT:
            found.append((name, advice("char")))
            continue
        parts = [data[start : start + part], data[start + part : position]][: 1 + imaginary]
        result = np.dtype("c16" if imaginary else "f8")
        read = partial(numbers, parts, [dtype] * len(parts), shape, result)
        entry = Entry(name, result, shape, read)
        found.append((name, _sparse(entry) if kind == _SPARSE else entry))
    return Contents.of(found)


def _sparse(table: Entry) -> Sparse:
    """Lines of row, column, real and perhaps imaginary part, from 1; the last says the shape."""
    lines = table.read()
    if table.dtype.kind != "f" or lines.ndim != 2 or lines.shape[1] not in (3, 4) or not len(lines):
        raise FileError(f"is a damaged .mat: sparse matrix {shown(table.key)} of another form")
    places = lines[:, :2]
    if not (np.isfinite(places).all() and (places == np.floor(places)).all()):
        raise FileError(f"is a damaged .mat: sparse matrix {shown(table.key)} has no whole indices")
    *_, last = lines
    dtype = np.dtype("f8" if lines.shape[1] == 3 else "c16")
    shape = checked_shape(map(int, last[:2]), dtype.itemsize)

    def read() -> Array:
        body = lines[:-1]
        values = body[:, 2] if dtype.kind == "f" else joined(body[:, 2], body[:, 3], dtype)
        return scattered(shape, (body[:, 0] - 1, body[:, 1] - 1), values)

    return Sparse(Entry(table.key, dtype, shape, read), len(lines) - 1)
