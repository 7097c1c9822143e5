"""NumPy's ``.npy``: a text header, then the numbers (specified in `numpy.lib.format`)."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from ..errors import FileError
from ..reading import Slices
from .contents import MAX_BYTES, Array, Contents, Entry, checked_shape, unreadable, view
from .pkl import Reader
from .pkl.unpickler import Pickled

MAGIC = np.lib.format.MAGIC_PREFIX
#: Bytes that tell how long a header of any version is.
START = 12
# numpy.load takes no longer ones.
_MOST = 10_000

# NumPy evaluates a header as Python, and one of 10,000 characters takes it 12 ms. Those of numbers
# need no more than these. Python 2 wrote an L after each dimension.
_SPACE = r"[ \t\r\n\f]*"
_INTEGER = r"(?:0|[1-9][0-9]{0,19})L?"
_DIMENSIONS = rf"\((?:{_SPACE}{_INTEGER}{_SPACE},)*(?:{_SPACE}{_INTEGER})?{_SPACE}\)"
_ITEM = re.compile(
    rf"""{_SPACE}u?(['"])(descr|fortran_order|shape)\1{_SPACE}:{_SPACE}"""
    rf"""(u?'[^'\\]*'|u?"[^"\\]*"|True|False|{_DIMENSIONS}|[\[(]){_SPACE}([,}}]?)"""
)
_BEGIN = re.compile(r"[ \t]*\{")
_END = re.compile(_SPACE)
_CODE = re.compile(r"[<>=|]?[A-Za-z]\w{0,12}(?:\[\w{1,8}\])?", re.ASCII)


class Header(NamedTuple):
    """What an ``.npy`` header says, checked, and why its array is refused if it is."""

    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[np.generic]
    refusal: str | None

    @property
    def nbytes(self) -> int:
        """Bytes of the array after the header."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def pickled(self) -> bool:
        """Whether a pickle comes after the header: that of an object array."""
        return self.dtype.kind == "O"


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The array of an ``.npy``, whose key is ``""``; of several, the keys are ``0``, ``1`` ...

    An object array is read as its pickle is (`pkl.contents`).
    """
    header, start = read_header(data)
    if start + header.nbytes == len(data) and not (header.pickled or header.refusal):
        return Contents([entry("", header, memoryview(data)[start:])])
    reader = Reader(len(data), max_bytes)
    found: list[tuple[Header, int]] = []
    pickles: dict[int, Pickled] = {}
    end = 0
    while not found or data.startswith(MAGIC, end):
        header, start = read_header(data, end)
        if header.pickled:
            pickles[len(found)] = reader.read(data, start)
            end = pickles[len(found)].end
        else:
            end = start + header.nbytes
        found.append((header, start))
    several = len(found) > 1
    for index, (header, start) in enumerate(found):
        key = str(index) if several else ""
        if header.pickled:
            reader.listing.walk(pickles[index], (None, "[", index) if several else None)
        elif header.refusal:
            reader.listing.add(key, header.refusal)
        else:
            # The length is checked here: a listing never promises what a read cannot give.
            last = index + 1 == len(found)
            raw = memoryview(data)[start : None if last else start + header.nbytes]
            reader.listing.add(key, entry(key, header, raw))
    if end != len(data) and found[-1][0].pickled:
        raise FileError(f"has {len(data) - end} more bytes after the array")
    return reader.listing.contents(" (one numpy.save after another)" if several else "")


def by_header(data: Slices) -> Contents | None:
    """The array of a file of which only the header is read; None if there may be more in it."""
    header, start = read_header(data[: START + _MOST])
    end = start + header.nbytes
    if header.pickled or data[end : end + len(MAGIC)] == MAGIC:
        return None
    if header.refusal:
        return Contents([], {"": header.refusal})

    def read() -> Array:
        return entry("", header, memoryview(data[start:end])).read()

    nbytes = header.nbytes // max((1, *header.shape[:1]))

    def read_row(index: int) -> Array:
        at = start + index * nbytes
        return view(data[at : at + nbytes], header.dtype, header.shape[1:])

    # In Fortran order, a row is scattered over the whole file.
    whole = not header.shape or (header.order == "F" and len(header.shape) > 1)
    found = Entry("", header.dtype, header.shape, read, None if whole else read_row, nbytes)
    if end != len(data):
        size = len(data) - start
        raise FileError(f"has {size} bytes of data where {found} needs {header.nbytes}")
    return Contents([found])


def entry(key: str, header: Header, raw: memoryview) -> Entry:
    """The array of a header, a view of ``raw``."""
    array = view(raw, header.dtype, header.shape, header.order)
    return Entry(key, header.dtype, header.shape, lambda: array)


def header_end(start: bytes) -> int:
    """Where the header ends that begins with these `START` bytes; `FileError` if it is none."""
    if not start.startswith(MAGIC) or len(start) < START:
        raise FileError("is not an .npy file with a header that NumPy can read")
    version, size = (start[6], start[7]), 2 if start[6] == 1 else 4
    if version not in {(1, 0), (2, 0), (3, 0)}:
        raise FileError(f"is an .npy of unknown version {version[0]}.{version[1]}")
    length = int.from_bytes(start[8 : 8 + size], "little")
    if length > _MOST:
        raise FileError(f"has a header of {length} characters, more than the limit of {_MOST}")
    return 8 + size + length


def read_header(data: bytes, at: int = 0) -> tuple[Header, int]:
    """The header of versions 1, 2 and 3 at byte ``at``, and where its numbers begin."""
    start = data[at : at + START]
    end = at + header_end(start)
    # Version 3 is version 2 in UTF-8, which tells field names apart, never numbers.
    text = data[at + (10 if start[6] == 1 else START) : end].decode("latin-1")
    try:
        if end > len(data):
            raise ValueError
        return _header(text), end
    except FileError:
        raise
    except Exception:  # NumPy raises several kinds on an unknown dtype
        raise FileError("is not an .npy file with a header that NumPy can read") from None


@lru_cache(64)  # the files of a folder often have one
def _header(text: str) -> Header:
    fields: dict[str, str] = {}
    begin = _BEGIN.match(text)
    if not begin:
        raise ValueError
    position, separator = begin.end(), ","
    while separator == "," and (item := _ITEM.match(text, position)):
        _, name, value, separator = item.groups()
        if value in ("[", "("):  # the fields of a record, or an array in each element
            return Header((), "C", np.dtype("V0"), unreadable("V"))
        if name in fields:
            raise ValueError
        fields[name], position = value, item.end()
    rest = re.sub(_END, "", text[position:])
    if len(fields) != 3 or rest != ("}" if separator == "," else ""):
        raise ValueError
    dims = re.findall(r"\d+", fields["shape"])
    if fields["shape"][0] != "(" or (len(dims) == 1 and "," not in fields["shape"]):
        raise ValueError
    code = fields["descr"].lstrip("u")[1:-1]
    if not _CODE.fullmatch(code) or fields["fortran_order"] not in ("True", "False"):
        raise ValueError
    # NumPy 2 warns of "a", an old name of "S".
    dtype = np.dtype(re.sub(r"^([<>=|]?)a(?=\d*$)", r"\1S", code))
    shape = checked_shape(map(int, dims), dtype.itemsize)
    order: Literal["C", "F"] = "F" if fields["fortran_order"] == "True" else "C"
    return Header(shape, order, dtype, unreadable(dtype.kind, dtype.itemsize))
