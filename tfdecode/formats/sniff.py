"""What a file is by its first bytes: a format that is read here, or one mistaken for it."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A recognised kind of file; ``format`` is "" where no reader of `tfdecode` takes it."""

    format: str
    name: str


HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"

_TORCH = Kind("", "a PyTorch file (torch.save); save its tensors by safetensors or numpy.savez")
# The number and the end of the first of the pickles that torch.save wrote before version 1.6.
_TORCH_LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
_TABLE = "save its columns as numbers, by numpy.save or as .csv"
_MAGICS = [
    (b"\x93NUMPY", Kind("npy", "an .npy array")),
    (b"PK\x03\x04", Kind("npz", "a zip archive (.npz, or what torch.save writes)")),
    (b"PK\x05\x06", Kind("npz", "an empty zip archive")),
    (_TORCH_LEGACY, _TORCH),
    *((b"\x80" + bytes([p]), Kind("pkl", f"a pickle of protocol {p}")) for p in range(2, 6)),
    (HDF5_MAGIC, Kind("hdf5", "HDF5 data")),
    (b"PAR1\x15", Kind("", f"a Parquet table; {_TABLE}")),
    (b"ARROW1\0\0", Kind("", f"an Arrow table; {_TABLE}")),
    (b"FEA1\0\0\0\0", Kind("", f"a Feather table; {_TABLE}")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("", f"an Office document; {_TABLE}")),
    (b"\x1f\x8b", Kind("", "gzip data; decompress it first")),
    (b"BZh", Kind("", "bzip2 data; decompress it first")),
    (b"\xfd7zXZ\x00", Kind("", "xz data; decompress it first")),
    (b"\x28\xb5\x2f\xfd", Kind("", "Zstandard data; decompress it first")),
    (b"\x89PNG\r\n\x1a\n", Kind("", "a PNG image")),
    (b"\xff\xd8\xff", Kind("", "a JPEG image")),
    (b"GIF8", Kind("", "a GIF image")),
    (b"II*\0", Kind("", "a TIFF image; save its pixels by numpy.save")),
    (b"MM\0*", Kind("", "a TIFF image; save its pixels by numpy.save")),
    (b"%PDF-", Kind("", "a PDF document")),
]
# The first member of an archive tells who wrote it; its name begins at byte 30 (APPNOTE 4.3.7).
_MEMBERS = [
    (b"/data.pkl", _TORCH),
    (b"[Content_Types].xml", Kind("", f"an Office document; {_TABLE}")),
    (b"metadata.json", Kind("", "a Keras model; save its weights by save_weights to .weights.h5")),
]
# Version and byte order mark at 124; the text before them is free (MAT-File Format, table 1-1).
_MAT = {b"\x00\x01IM", b"\x01\x00MI", b"\x00\x02IM", b"\x02\x00MI"}


def sniff(data: bytes) -> Kind | None:
    """The kind that the first 520 bytes tell, None if they tell none (as with protocol 0)."""
    # Before the others: its length may begin as a pickle does.
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8:
        return Kind("safetensors", "safetensors")
    for magic, kind in _MAGICS:
        if data.startswith(magic):
            return _archive(data) or kind if kind.format == "npz" else kind
    if data[124:128] in _MAT:
        return Kind("mat", "a MATLAB file")
    if data[512:520] == HDF5_MAGIC:
        return Kind("hdf5", "HDF5 data")
    if data[:128].lstrip()[:1] in (b"{", b"[") and b"\0" not in data[:128]:
        return Kind("", "JSON text; save its numbers by numpy.save")
    return None


def _archive(data: bytes) -> Kind | None:
    name = data[30 : 30 + int.from_bytes(data[26:28], "little")][:98]
    return next((kind for ending, kind in _MEMBERS if name.endswith(ending)), None)
