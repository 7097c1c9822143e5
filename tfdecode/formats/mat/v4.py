"""MAT-files of version 4: five integers, a name, the numbers ("MAT-File Format", chapter 2)."""

from __future__ import annotations

import struct
from functools import partial

import numpy as np

from ...errors import FileError
from ..contents import Contents, Entry, checked_shape
from .numbers import ADVICE, numbers

_STORAGE = ["f8", "f4", "i4", "i2", "u2", "u1"]
_OTHERS = {1: ADVICE["char"], 2: ADVICE["sparse"]}


def contents(data: bytes) -> Contents:
    """The full matrices: MATLAB 4 knew doubles only, whatever type they are stored as."""
    entries: list[Entry] = []
    others: dict[str, str] = {}
    position = 0
    while position < len(data):
        header = data[position : position + 20]
        if len(header) < 20:
            raise FileError(f"is a truncated .mat: the header at byte {position} is cut")
        order = "<" if 0 <= int.from_bytes(header[:4], "little", signed=True) <= 5000 else ">"
        mopt, rows, columns, imaginary, name_length = struct.unpack(f"{order}5i", header)
        machine, rest = divmod(mopt, 1000)
        storage, kind = divmod(rest, 10)
        if machine not in (0, 1) or storage >= len(_STORAGE) or kind > 2 or imaginary not in (0, 1):
            raise FileError(f"is no .mat of version 4: byte {position} holds no matrix header")
        # The digit for byte order is ignored: the order that makes sense of the header counts.
        dtype = np.dtype(order + _STORAGE[storage])
        shape = checked_shape((rows, columns), dtype.itemsize * 2)
        part = rows * columns * dtype.itemsize
        start = position + 20 + name_length
        position = start + part * (1 + imaginary)
        if name_length < 1 or position > len(data):
            raise FileError(f"is a truncated .mat: the matrix before byte {position} is cut")
        name = data[start - name_length : start].rstrip(b"\0").decode("latin-1")
        if kind:
            others[name] = _OTHERS[kind]
            continue
        parts = [data[start : start + part], data[start + part : position]][: 1 + imaginary]
        result = np.dtype("c16" if imaginary else "f8")
        read = partial(numbers, parts, [dtype] * len(parts), shape, result)
        entries.append(Entry(name, result, shape, read))
    return Contents(entries, others)
