"""What a file is by its first bytes: a format that is read here, or one mistaken for it."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, NamedTuple

from ..errors import shown
from . import npy, png


class Kind(NamedTuple):
    """A recognised kind of file; ``format`` is "" if no reader of `tfdecode` takes it."""

    format: str
    #: A noun; after a semicolon, what to do with a file that is not read.
    name: str


HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
#: Of the protocols that say which they are.
PICKLE_MAGICS = tuple(b"\x80" + bytes([protocol]) for protocol in (2, 3, 4, 5))
#: Formats that are never text; a pickle of protocol 0 is.
_BINARY = ("npy", "npz", "mat", "safetensors", "hdf5", "png_image", "jpeg", "tiff", "nifti")
#: Bytes that are looked at, and inflated of compressed data.
_BEGINNING = 4096

_AGAIN = "download it again, perhaps with a login, and look at it in an editor"
_COLUMNS = "save its columns as numbers, by numpy.save or as .csv"
_PIXELS = "save its pixels by numpy.save"
_NUMBERS = "save its numbers by numpy.save"
_NETCDF = (
    "a NetCDF 3 file; nccopy -k nc4 OLD.nc NEW.nc makes it NetCDF 4, and scipy.io.netcdf_file "
    "reads it"
)
_MODEL = "it is a model, not an array"
_UTF_16 = "UTF-16 text; save it as UTF-8"
_JSON = "JSON text; save its numbers by numpy.save"
_TORCH = "a PyTorch file (torch.save); save its tensors by safetensors or numpy.savez"
_R = "an R data file; save its numbers in R by write.table"

#: How files begin, what they are, and the format by which they are read. The first match counts.
_KINDS: list[tuple[bytes, str, str]] = [
    # Read here.
    (re.escape(npy.MAGIC), "an .npy array", "npy"),
    (re.escape(ZIP_MAGIC), "a zip archive", "npz"),
    (rb"PK\x05\x06", "an empty zip archive", "npz"),
    # The number and the end of the first of the pickles that torch.save wrote before version 1.6.
    (rb"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", _TORCH, ""),
    *((re.escape(magic), f"a pickle of protocol {magic[1]}", "pkl") for magic in PICKLE_MAGICS),
    # Versions 5 and 7.3; the text before the version is free (MAT-File Format, table 1-1).
    (rb".{124}(?:\x00[\x01\x02]IM|[\x01\x02]\x00MI)", "a MATLAB file", "mat"),
    (rb"(?:|.{512}|.{1024}|.{2048})" + re.escape(HDF5_MAGIC), "HDF5 data", "hdf5"),
    (re.escape(png.SIGNATURE), "a PNG image", "png_image"),
    (rb"\xff\xd8\xff", "a JPEG image", "jpeg"),
    (rb"II[*+]\0|MM\0[*+]", "a TIFF image", "tiff"),
    (rb".{344}(?:n\+1|ni1)\0|.{4}n[+i]2\0\r\n\x1a\n", "a NIfTI volume", "nifti"),
    # In the place of a file.
    (rb"version https://git-lfs", "a Git LFS pointer, not the file; fetch it: git lfs pull", ""),
    (rb"(?:\.\./)*(?:\.git/annex|/annex)/objects/", "a git-annex pointer; git annex get FILE", ""),
    (rb"(?:md5: \w+\n)?outs:\n- ", "a DVC pointer, not the file; fetch it: dvc pull", ""),
    (rb"\s*<(?i:!doctype html|html|head|body)", f"an HTML page, not the file; {_AGAIN}", ""),
    (rb"\s*<(?:\?xml|!--|!DOCTYPE|Error>)", f"XML text; if it is an error message, {_AGAIN}", ""),
    (rb"HTTP/[12]", f"the answer of a web server with its headers; {_AGAIN}", ""),
    # Archives and tables.
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive; extract it first", ""),
    (rb"Rar!\x1a\x07", "a RAR archive; extract it first", ""),
    (rb".{257}ustar[\0 ]", "a tar archive; extract it first", ""),
    (rb"PAR1\x15", f"a Parquet table; {_COLUMNS}", ""),
    (rb"ARROW1\0\0", f"an Arrow table; {_COLUMNS}", ""),
    (rb"FEA1\0\0\0\0", f"a Feather table; {_COLUMNS}", ""),
    (rb"Obj\x01", f"an Avro file; {_COLUMNS}", ""),
    (rb"SQLite format 3\0", f"an SQLite database; {_COLUMNS}", ""),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an Office document; {_COLUMNS}", ""),
    (rb"\$FL[23]@\(#\)", f"an SPSS table; {_COLUMNS}", ""),
    (rb"<stata_dta>", f"a Stata table; {_COLUMNS}", ""),
    (rb"RD[XAB][23]\n|X\n\0\0\0[\x02\x03]", _R, ""),
    # Volumes, signals and pictures.
    (rb".{128}DICM", f"a DICOM image; {_PIXELS}", ""),
    (rb"(?:\\\x01\0\0|\0\0\x01\\).{34}r", "a header of Analyze, voxels in .img; save one .nii", ""),
    (rb"NRRD000", f"an NRRD volume; {_NUMBERS}", ""),
    (rb"SIMPLE  =", f"a FITS file; {_NUMBERS}", ""),
    (rb"CDF[\x01\x02\x05]", _NETCDF, ""),
    (rb"GRIB.{3}[\x01\x02]", f"a GRIB file; {_NUMBERS}", ""),
    (rb"SR\0[\x04\x06]", f"an IDL file; {_NUMBERS}", ""),
    (rb"Octave-1-[LB]|# Created by Octave|# name: \w", "an Octave file; save it by save -v7", ""),
    (rb"GIF8[79]a", f"a GIF image; {_PIXELS}", ""),
    (rb"BM.{4}\0\0\0\0", f"a BMP image; {_PIXELS}", ""),
    (rb"RIFF.{4}WEBP", f"a WebP image; {_PIXELS}", ""),
    (rb"v/1\x01", f"an OpenEXR image; {_PIXELS}", ""),
    (rb"#\?RADIANCE", f"a Radiance image; {_PIXELS}", ""),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", f"a JPEG 2000 image; {_PIXELS}", ""),
    (rb"P[1-6Ff]\n(?:#.*?\n)?\d+ \d+\n", f"a PNM or PFM image; {_PIXELS}", ""),
    (rb"\0\0..ftyp", "a video or HEIF image; save its frames by numpy.save", ""),
    (rb"RIFF.{4}WAVE|fLaC\0|OggS\0|ID3[\x02-\x04]", "a sound; save its samples by numpy.save", ""),
    (rb"ply\r?\n(?:format|comment)|# \.PCD", "a point cloud; save its points by numpy.save", ""),
    (rb"%PDF-", "a PDF document", ""),
    # Models and programs.
    (rb"\x08\x01\x12.{1,5}\x0a", f"a SavedModel's saved_model.pb; {_MODEL}: name its folder", ""),
    (rb"\x08[\x03-\x20]\x12.[ -~]{3}", f"an ONNX file; {_MODEL}", ""),
    (rb"\x0a.{1,5}\x0a.[ -~]+\x12.[A-Z]\w+", f"a frozen TensorFlow graph; {_MODEL}", ""),
    (rb".{4}TFL3", f"a TensorFlow Lite file; {_MODEL}", ""),
    (rb"GGUF.\0\0\0", f"a GGUF file; {_MODEL}", ""),
    (rb"\x7fELF|MZ.{60}\0\0", "a program", ""),
    # Text.
    (rb"\xff\xfe|\xfe\xff|(?:[\t\r\n -~]\0){8}|(?:\0[\t\r\n -~]){8}", _UTF_16, ""),
    (rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*[\"}]|\[\s*(?:[]\[{\"\d-]|null|true|false))", _JSON, ""),
]
#: What the name of the first member of a zip archive says.
_MEMBERS = [
    (r"[^/]+/(data\.pkl|byteorder|version|\.data/.*|code/.*|constants\.pkl)", _TORCH),
    (r"\[Content_Types\]\.xml|_rels/.*|mimetype", f"an Office document; {_COLUMNS}"),
    (r"metadata\.json", "a Keras model; save its weights by save_weights to .weights.h5"),
]
_COMPRESSIONS: list[tuple[Any, ...]] = [
    (rb"\x1f\x8b", "gzip", "zlib", "decompressobj", 31),
    (rb"x[\x01\x5e\x9c\xda]", "zlib", "zlib", "decompressobj"),
    (rb"BZh[1-9]", "bzip2", "bz2", "BZ2Decompressor"),
    (rb"\xfd7zXZ\0", "xz", "lzma", "LZMADecompressor"),
    (rb"\x04\x22\x4d\x18", "LZ4", "", ""),
    (re.escape(ZSTD_MAGIC), "Zstandard", "", ""),
]


def sniff(data: bytes, named: str | None = "", *, inflate: bool = True) -> Kind | None:
    """The kind that the first bytes tell; None if they tell none, or if text is as it must be.

    ``named`` is the format by the file's suffix, or None for an unknown suffix: it decides whether
    a file may be plain text. ``inflate`` looks into compressed data, once.
    """
    # Before the others: its length may begin as a pickle does.
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8:
        return Kind("safetensors", "safetensors")
    beginning = data[:_BEGINNING]
    for pattern, name, read in _KINDS:
        if re.match(pattern, beginning, re.DOTALL):
            return _archive(beginning, name) if read == "npz" else Kind(read, name)
    compressed = _compressed(data) if inflate else None
    return compressed or _zeros(data) or _text(data, named)


def _archive(data: bytes, name: str) -> Kind:
    """A zip archive, by its first member (APPNOTE 4.3.7)."""
    first = data[30 : 30 + int.from_bytes(data[26:28], "little")].decode("utf-8", "replace")
    for pattern, program in _MEMBERS:
        if re.fullmatch(pattern, first):
            return Kind("", program)
    if first and not first.endswith(".npy"):
        name += f" that begins with {shown(first, 40)}; unzip it first"
    return Kind("npz", name)


def _compressed(data: bytes) -> Kind | None:
    """Data of a compressor, and what is in it; two bytes of zlib alone prove nothing."""
    for magic, name, module, make, *options in _COMPRESSIONS:
        if not re.match(magic, data):
            continue
        inside = b""
        if module:
            try:
                decompressor = getattr(import_module(module), make)(*options)
                inside = decompressor.decompress(data[: 4 * _BEGINNING], _BEGINNING)
            except Exception:  # each has errors of its own, and some builds of Python lack bz2
                if name == "zlib":
                    return None
        kind = sniff(inside, None, inflate=False) if inside else None  # some inflate to themselves
        of = f" of {kind.name.partition(';')[0]}" if kind else ""
        return Kind("", f"{name} data{of}; decompress it first")
    return None


def _zeros(data: bytes) -> Kind | None:
    if len(data) < 8 or data.strip(b"\0"):
        return None
    return Kind("", f"{len(data)} zero bytes and nothing else; copy or download it again")


def _text(data: bytes, named: str | None) -> Kind | None:
    """Plain text, unless the format is one that is text."""
    # Pickles of protocol 0 begin with one of these opcodes and end with a stop.
    pickled = named in (None, "pkl") and data[:1] in b"(cILFSVN" and data.endswith(b".")
    if pickled or not (named is None or named in _BINARY or named == "pkl"):
        return None
    beginning = data[:_BEGINNING]
    try:
        text = beginning.decode()
    except UnicodeDecodeError as error:
        if error.start < len(beginning) - 3:  # not merely cut within a character
            return None
        text = beginning[: error.start].decode()
    text = text.removeprefix("\ufeff")
    if not text or not all(sign.isprintable() or sign in "\t\n\r\f\v\x1b" for sign in text):
        return None
    line = next(iter(text.strip().splitlines()), "")
    return Kind("", f"plain text that begins with {shown(line, 20)!r}")
