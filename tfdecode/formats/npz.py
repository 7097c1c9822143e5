"""NumPy's ``.npz``: a zip archive of ``.npy`` members (PKWARE APPNOTE 6.3.10, `numpy.savez`)."""

from __future__ import annotations

import io
import posixpath
import zipfile

from ..errors import RAISE_LIMIT, FileError
from ..reading import Slices
from . import npy, pkl
from .contents import MAX_BYTES, Array, Contents, Entry, failures, shown
from .sparse_npz import with_dense

# savez writes no other; bz2 and lzma members could not be inflated in bounded steps.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1


def contents(data: bytes | Slices, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The arrays of an ``.npz``, by member name without ``.npy``.

    Of arrays only headers are inflated. An object array is inflated to list what its pickle holds,
    under the member's name (``positions_3d/S1/Walking``); all of them have ``max_bytes`` at most.
    """
    with failures("is not a whole .npz (zip) archive"):
        file = data.stream() if isinstance(data, Slices) else io.BytesIO(data)
        archive = zipfile.ZipFile(file)
    reader = pkl.Reader(len(data), max_bytes)
    for member in archive.infolist():
        key = member.filename.removesuffix(".npy")
        refusal = _refusal(archive, member)
        if refusal:
            reader.listing.add(member.filename if key.startswith("__MACOSX/") else key, refusal)
            continue
        with failures(f"member {shown(key)} is damaged"), archive.open(member) as stream:
            prefix = stream.read(npy.START)
            prefix += stream.read(npy.header_end(prefix) - npy.START)
            header, start = npy.read_header(prefix)
        if header.pickled:
            max_bytes -= member.file_size
            if max_bytes < 0:
                size = f"a pickle of {member.file_size} bytes, more than the limit"
                reader.listing.add(key, f"object array, {size}; {RAISE_LIMIT}")
                continue
            with failures(f"member {shown(key)} is damaged"):
                pickled = _inflated(archive, member)
            reader.try_walk(pickled, start, key)
        elif header.refusal:
            reader.listing.add(key, header.refusal)
        else:
            reader.listing.add(key, _entry(archive, member, key, header, start))
    return with_dense(reader.listing.contents(), archive)


def _refusal(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str | None:
    """Why a member is not an array, if its directory entry or its first bytes tell."""
    name = member.filename
    if name.endswith("/"):  # is_dir fails on a name that is empty
        return "a directory"
    if name.startswith("__MACOSX/") or posixpath.basename(name).startswith(("._", ".DS_Store")):
        return "a file that macOS added, not an array"
    if not name.endswith(".npy"):
        return "a file that is not an .npy"
    if member.flag_bits & _ENCRYPTED:
        return "an encrypted member; save it without a password"
    if member.compress_type not in _METHODS:
        return f"compressed by zip method {member.compress_type}; save it by numpy.savez"
    with failures(f"member {shown(name)} is damaged"), archive.open(member) as stream:
        if stream.read(len(npy.MAGIC)) != npy.MAGIC:
            return "a file that is not an .npy, although its name says so"
    return None


def _inflated(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as stream:
        # One byte more than there is: zipfile compares the CRC only at the very end.
        return stream.read(member.file_size + 1)


def _entry(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, key: str, header: npy.Header, start: int
) -> Entry:
    def read() -> Array:
        # In pieces: ZipExtFile.read of all makes up to three copies. To the end, where it compares
        # the CRC.
        raw = bytearray()
        with failures(f"member {shown(key)} is damaged"), archive.open(member) as stream:
            stream.read(start)
            while piece := stream.read(2**20):
                raw += piece
            return npy.entry(key, header, memoryview(raw)).read()

    entry = Entry(key, header.dtype, header.shape, read)
    if start + header.nbytes != member.file_size:
        raise FileError(
            f"member {entry} needs {start + header.nbytes} bytes but has {member.file_size}"
        )
    return entry
