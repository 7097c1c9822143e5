"""NumPy's ``.npz``: a zip archive of ``.npy`` members (PKWARE APPNOTE 6.3.10, `numpy.savez`)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import FileError
from . import npy
from .contents import MAX_BYTES, Array, Contents, Entry, shown, view

# savez writes no other; bz2 and lzma members could not be inflated in bounded steps.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1
# numpy takes headers of up to 10,000 characters.
_HEADER = 2**16
# What scipy.sparse.save_npz writes, in every format but dia and coo.
_PARTS = {"indices", "indptr", "data", "shape"}
_SPARSE = " (parts of a SciPy sparse matrix; save its .toarray() to have it as one)"


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The arrays of an ``.npz``, by member name without ``.npy``; only headers are inflated.

    >>> import io, numpy as np
    >>> file = io.BytesIO(); np.savez(file, depth=np.eye(2))
    >>> [str(entry) for entry in contents(file.getvalue()).entries]
    ['depth: float64 [2,2]']
    """
    with _failures("is not a whole .npz (zip) archive"):
        archive = zipfile.ZipFile(io.BytesIO(data))
    entries: list[Entry] = []
    others: dict[str, str] = {}
    for member in archive.infolist():
        key = member.filename.removesuffix(".npy")
        if key == member.filename:
            others[key] = "a file that is no .npy"
            continue
        entry = _entry(archive, member, key)
        if isinstance(entry, str):
            others[key] = entry
        else:
            entries.append(entry)
    sparse = _PARTS.issubset(entry.key for entry in entries)
    return Contents(entries, others, _SPARSE if sparse else "")


def _entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo, key: str) -> Entry | str:
    if member.flag_bits & _ENCRYPTED:
        return "an encrypted member; save it without a password"
    if member.compress_type not in _METHODS:
        return f"compressed by zip method {member.compress_type}; save it by numpy.savez"
    with _failures(f"member {shown(key)} is damaged"), archive.open(member) as stream:
        # numpy reads as much as a header claims to have before it compares that with its limit.
        beginning = io.BytesIO(stream.read(_HEADER))
        header = npy.read_header(beginning)
        start = beginning.tell()
    if header.refusal:
        return header.refusal

    def read() -> Array:
        with _failures(f"member {shown(key)} is damaged"), archive.open(member) as stream:
            # One byte more than there is: zipfile compares the CRC only at the very end.
            raw = stream.read(member.file_size + 1)
        return view(memoryview(raw)[start:], header.dtype, header.shape, header.order)

    entry = Entry(key, header.dtype, header.shape, read)
    if start + entry.nbytes != member.file_size:
        raise FileError(
            f"member {entry} needs {start + entry.nbytes} bytes but has {member.file_size}"
        )
    return entry


@contextmanager
def _failures(what: str) -> Iterator[None]:
    try:
        yield
    except FileError as error:
        raise FileError(f"{what}: {error}") from None
    except Exception as error:  # zipfile and zlib raise a dozen kinds on hostile bytes
        raise FileError(f"{what} ({type(error).__name__})") from None
