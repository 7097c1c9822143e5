"""NumPy's ``.npz``: a zip archive of ``.npy`` members (PKWARE APPNOTE 6.3.10, `numpy.savez`)."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

from ..errors import FileError
from . import npy
from .contents import MAX_BYTES, Array, Contents, Entry, failures, shown, view

# savez writes no other; bz2 and lzma members could not be inflated in bounded steps.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1
# numpy takes headers of up to 10,000 characters.
_HEADER = 2**16
# What scipy.sparse.save_npz writes, in every format but dia and coo.
_PARTS = {"indices", "indptr", "data", "shape"}
_SPARSE = " (parts of a SciPy sparse matrix; save matrix.toarray() instead)"


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The arrays of an ``.npz``, by member name without ``.npy``; only headers are inflated."""
    with failures("is not a whole .npz (zip) archive"):
        archive = zipfile.ZipFile(io.BytesIO(data))
    members = [(one.filename.removesuffix(".npy"), one) for one in archive.infolist()]
    found = Contents.of((key, _entry(archive, member, key)) for key, member in members)
    sparse = _PARTS.issubset(entry.key for entry in found.entries)
    return replace(found, note=_SPARSE if sparse else "")


def _entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo, key: str) -> Entry | str:
    if key == member.filename:
        return "a file that is not an .npy"
    if member.flag_bits & _ENCRYPTED:
        return "an encrypted member; save it without a password"
    if member.compress_type not in _METHODS:
        return f"compressed by zip method {member.compress_type}; save it by numpy.savez"
    with failures(f"member {shown(key)} is damaged"), archive.open(member) as stream:
        # numpy reads as much as a header claims to have before it compares that with its limit.
        prefix = io.BytesIO(stream.read(_HEADER))
        header, start = npy.read_header(prefix), prefix.tell()
    if header.refusal:
        return header.refusal

    def read() -> Array:
        with failures(f"member {shown(key)} is damaged"), archive.open(member) as stream:
            # One byte more than there is: zipfile compares the CRC only at the very end.
            raw = stream.read(member.file_size + 1)
        return view(memoryview(raw)[start:], header.dtype, header.shape, header.order)

    entry = Entry(key, header.dtype, header.shape, read)
    if start + entry.nbytes != member.file_size:
        raise FileError(
            f"member {entry} needs {start + entry.nbytes} bytes but has {member.file_size}"
        )
    return entry
