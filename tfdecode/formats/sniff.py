"""What a file is by its first bytes: a format that is read here, or one mistaken for it."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A recognised kind of file; ``format`` is "" where no reader of `tfdecode` takes it."""

    format: str
    name: str


_MAGICS = [
    (b"\x93NUMPY", Kind("npy", "an .npy array")),
    (b"PK\x03\x04", Kind("npz", "a zip archive (.npz, or what torch.save writes)")),
    (b"PK\x05\x06", Kind("npz", "an empty zip archive")),
    *((b"\x80" + bytes([p]), Kind("pkl", f"a pickle of protocol {p}")) for p in range(2, 6)),
    (b"\x89HDF\r\n\x1a\n", Kind("", "HDF5 data (h5py, MATLAB v7.3)")),
    (b"\x1f\x8b", Kind("", "gzip data; decompress it first")),
    (b"BZh", Kind("", "bzip2 data; decompress it first")),
    (b"\xfd7zXZ\x00", Kind("", "xz data; decompress it first")),
    (b"\x28\xb5\x2f\xfd", Kind("", "Zstandard data; decompress it first")),
    (b"\x89PNG\r\n\x1a\n", Kind("", "a PNG image")),
    (b"\xff\xd8\xff", Kind("", "a JPEG image")),
    (b"GIF8", Kind("", "a GIF image")),
    (b"%PDF-", Kind("", "a PDF document")),
]
# Version and byte order mark at 124; the text before them is free (MAT-File Format, table 1-1).
_MAT = {b"\x00\x01IM", b"\x01\x00MI", b"\x00\x02IM", b"\x02\x00MI"}


def sniff(data: bytes) -> Kind | None:
    r"""The kind that the first 128 bytes tell, None if they tell none (as with protocol 0).

    >>> sniff(b"\x93NUMPY\x01\x00")
    Kind(format='npy', name='an .npy array')
    """
    for magic, kind in _MAGICS:
        if data.startswith(magic):
            return kind
    return Kind("mat", "a MATLAB file") if data[124:128] in _MAT else None
