"""Sparse arrays in an ``.npz``: the five formats that `scipy.sparse.save_npz` writes."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import numpy as np

from ..errors import FileError
from .contents import Array, Contents, Entry, Sparse, checked_shape, failures
from .sparse import expanded, scattered

#: The members of each format besides ``data``, ``shape`` and ``format``.
_PARTS = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "dia": ("offsets",),
    "coo": ("row", "col"),
}
# More dimensions than two, which SciPy knows from 1.15 on.
_COORDINATES = ("coords",)
_RANK = {"csr": 1, "csc": 1, "bsr": 3, "dia": 2, "coo": 1}
# Indices may need more bytes than the dense array: up to these for each element, and in all.
_EACH, _SLACK = 32, 2**22


def with_dense(found: Contents, archive: zipfile.ZipFile) -> Contents:
    """``found``, with the dense array if its members are the parts of a sparse one.

    Its key is ``""``. Members that are no parts of it stay.
    """
    entries = {entry.key: entry for entry in found.entries}
    if not {"data", "shape"} <= entries.keys() or "format.npy" not in archive.namelist():
        return found
    with failures("member format is damaged"), archive.open("format.npy") as stream:
        text = stream.read(2**12)[-12:].replace(b"\0", b"")[-3:]  # of NumPy's dtype S3 or U3
    kind = text.decode("latin-1")
    names = _PARTS.get(kind, ())
    if kind == "coo" and "coords" in entries:
        names = _COORDINATES
    parts = {name: entries[name] for name in ("data", "shape", *names) if name in entries}
    if not names or len(parts) < 2 + len(names):
        return found
    matrix = None
    with suppress(FileError):
        matrix = _matrix(kind, parts)
    if matrix is None:
        return found
    rest = [one for one in found.entries if one.key not in (*parts, "_is_array")]
    others = {key: what for key, what in found.others.items() if key != "format"}
    dense = Contents([matrix.entry, *rest], others)
    others = {**others, "format": f"{kind}: the other members are the parts of a {matrix}"}
    return replace(found, others=others, note=f" (parts of a {matrix})", dense=dense)


def _matrix(kind: str, parts: Mapping[str, Entry]) -> Sparse | None:
    data, sides = parts["data"], parts["shape"]
    if sides.nbytes > 256 or sides.dtype.kind not in "iu" or len(sides.shape) != 1:
        return None
    shape = checked_shape(sides.read().tolist(), data.dtype.itemsize)
    indices = [entry for name, entry in parts.items() if name not in ("data", "shape")]
    many = _EACH * math.prod(shape) + _SLACK
    two = len(shape) == 2 or kind == "coo" or (kind == "csr" and len(shape) == 1)
    if (
        not two
        or len(data.shape) != _RANK[kind]
        or any(one.dtype.kind not in "iu" for one in indices)
        or sum(one.nbytes for one in (data, *indices)) > many
    ):
        return None

    def read() -> Array:
        with failures("is a damaged sparse array"):
            arrays = {name: entry.read() for name, entry in parts.items()}
            return _dense(kind, shape, arrays)

    count = math.prod(data.shape)
    if kind == "dia":
        count = int(_diagonals(shape, parts["offsets"].read(), data.shape[1])[1].sum())
    return Sparse(Entry("", data.dtype, shape, read), count)


def _dense(kind: str, shape: tuple[int, ...], parts: Mapping[str, Array]) -> Array:
    data = parts["data"]
    if kind == "coo":
        places = parts["coords"] if "coords" in parts else np.stack([parts["row"], parts["col"]])
        if places.ndim != 2 or len(places) != len(shape):
            raise FileError(f"has {len(places)} coordinates for {len(shape)} dimensions")
        return scattered(shape, list(places), data)
    if kind == "dia":
        starts, lengths = _diagonals(shape, parts["offsets"], data.shape[1])
        if len(lengths) != len(data) or len(np.unique(parts["offsets"])) != len(lengths):
            raise FileError(f"has {len(data)} diagonals but other offsets")
        number = np.repeat(np.arange(len(lengths)), lengths)
        step = np.arange(len(number)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        column = starts[number] + step
        rows = column - parts["offsets"].astype(np.int64)[number]
        return scattered(shape, (rows, column), data[number, column])
    indices, pointers = parts["indices"], parts["indptr"]
    rows_and_columns = shape if len(shape) == 2 else (1, *shape)
    block = data.shape[1:] if kind == "bsr" else (1, 1)
    if 0 in block or any(side % step for side, step in zip(rows_and_columns, block, strict=True)):
        raise FileError(f"has blocks of {list(block)} in a shape of {list(shape)}")
    major = rows_and_columns[kind == "csc"] // block[0]
    first = expanded(pointers, major, min(len(indices), len(data)))
    second, values = indices[: len(first)], data[: len(first)]
    if kind == "bsr":
        inner = np.ix_(range(len(first)), range(block[0]), range(block[1]))
        of_row = first.astype(np.int64)[inner[0]] * block[0] + inner[1] + 0 * inner[2]
        of_column = second.astype(np.int64)[inner[0]] * block[1] + inner[2] + 0 * inner[1]
        first, second, values = of_row.ravel(), of_column.ravel(), values.ravel()
    both = [second, first] if kind == "csc" else [first, second]
    return scattered(rows_and_columns, both, values).reshape(shape)


def _diagonals(shape: tuple[int, ...], offsets: Array, width: int) -> tuple[Array, Array]:
    """The first column of each diagonal, and its number of elements; ``width`` are stored."""
    rows, columns = shape
    places = offsets.astype(np.int64).reshape(-1)
    first = np.maximum(places, 0)
    # Python's integers: the sums of a hostile offset would wrap around.
    last = [max(min(rows + k, columns, width), 0) for k in places.tolist()]
    return first, np.maximum(np.array(last, dtype=object) - first, 0).astype(np.int64)
