"""Whatever suffix a file has, the message says what its first bytes are and what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tests.common import file_by
from tfdecode.formats.sniff import sniff


def npy() -> bytes:
    return file_by(np.save, np.arange(3))


def zipped(name: str, data: bytes = b"x") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pose.npy"))
    return file.getvalue()


def gzipped(times: int) -> bytes:
    data = b"x"
    for _ in range(times):
        data = gzip.compress(data)
    return data


def database(folder: Path) -> bytes:
    connection = sqlite3.connect(folder / "x.sqlite")
    connection.execute("create table t (x real)")
    connection.commit()
    connection.close()
    return (folder / "x.sqlite").read_bytes()


NIFTI = struct.pack("<i", 348).ljust(344, b"\0") + b"n+1\0" + bytes(8)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 19020\n"
OCTAVE = b"# Created by Octave 8.4.0\n# name: x\n# type: matrix\n# rows: 1\n# columns: 2\n 1 2\n"

#: A file, what it is, and what to do about it.
FILES = {
    "lfs": (LFS, "a Git LFS pointer", "git lfs pull"),
    "annex": (b"/annex/objects/MD5-s12--900150983cd24fb0\n", "a git-annex", "git annex get"),
    "dvc": (b"outs:\n- md5: 900150983cd24fb0\n  path: x.npy\n", "a DVC pointer", "dvc pull"),
    "html": (b"\n<!DOCTYPE html>\n<html><title>404</title>", "an HTML page", "download it again"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied', "XML text", "download it again"),
    "json": (json.dumps({"x": [1, 2]}).encode(), "JSON text", "numpy.save"),
    "list": (json.dumps([[1, 2]], indent=1).encode(), "JSON text", "numpy.save"),
    "utf16": ("x,y\n1,2\n3,4\n".encode("utf-16"), "UTF-16 text", "UTF-8"),
    "utf16le": ("x,y\n1,2\n3,4\n".encode("utf-16-le"), "UTF-16 text", "UTF-8"),
    "octave": (OCTAVE, "an Octave file", "save -v7"),
    "torch": (zipped("archive/data.pkl"), "a PyTorch file", "numpy.savez"),
    "keras": (zipped("metadata.json"), "a Keras model", "save_weights"),
    "xlsx": (zipped("[Content_Types].xml"), "an Office document", ".csv"),
    "gzip": (gzip.compress(npy()), "gzip data of an .npy array", "decompress"),
    "nii.gz": (gzip.compress(NIFTI), "gzip data of a NIfTI volume", "decompress"),
    "text.gz": (gzip.compress(b"x,y\n1,2\n"), "gzip data of plain text", "decompress"),
    "gz.gz": (gzipped(200), "gzip data; decompress it first", ""),
    "cut.gz": (gzip.compress(npy())[:30], "gzip data", "decompress"),
    "bzip2": (bz2.compress(pickle.dumps([1])), "bzip2 data of a pickle", "decompress"),
    "xz": (lzma.compress(npy()), "xz data of an .npy array", "decompress"),
    "zlib": (zlib.compress(npy()), "zlib data of an .npy array", "decompress"),
    "zstd": (b"\x28\xb5\x2f\xfd\x20\x05", "Zstandard data", "decompress"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive", "extract"),
    "tar": (tarred(), "a tar archive", "extract"),
    "parquet": (b"PAR1\x15\x04", "a Parquet table", ".csv"),
    "pfm": (b"PF\n640 480\n-1.0\n", "a PNM or PFM image", "numpy.save"),
    "exr": (b"v/1\1\2\0\0\0", "an OpenEXR image", "numpy.save"),
    "dicom": (bytes(128) + b"DICM\2\0", "a DICOM image", "numpy.save"),
    "wav": (b"RIFF\x24\0\0\0WAVEfmt ", "a sound", "numpy.save"),
    "mp4": (b"\0\0\0\x18ftypmp42", "a video", "numpy.save"),
    "analyze": (b"\\\1\0\0" + bytes(34) + b"r" + bytes(309), "a header of Analyze", ".nii"),
    "netcdf3": (b"CDF\1\0\0\0\0", "a NetCDF 3 file", "NetCDF 4"),
    "saved_model": (b"\x08\x01\x12\xd4\x03\x0a\x10serve", "a SavedModel", "name its folder"),
    "tflite": (b"\x1c\0\0\0TFL3", "a TensorFlow Lite file", "a model"),
    "zeros": (bytes(5000), "5000 zero bytes", "again"),
    "pdf": (b"%PDF-1.7\n", "a PDF document", ""),
    "program": (b"\x7fELF\2\1\1" + bytes(20), "a program", ""),
}
#: Each format that is read, and text that none of these is.
SUFFIXES = (".npy", ".npz", ".mat", ".pkl", ".h5", ".safetensors", ".csv", ".pt", ".dat")


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_named_under_every_suffix(name: str, tmp_path: Path) -> None:
    data, what, advice = FILES[name]
    for suffix in SUFFIXES:
        path = tmp_path / f"x{suffix}"
        path.write_bytes(data)
        with pytest.raises(tfd.FileError) as failure:
            tfd.load(path)
        message = str(failure.value)
        assert f"holds {what}" in message and advice in message, message
        assert "\n" not in message and len(message) < 400


def test_a_database_is_named(tmp_path: Path) -> None:
    kind = sniff(database(tmp_path))
    assert kind is not None and kind.name.startswith("an SQLite database")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".pkl", ".h5", ".safetensors", ".dat"])
def test_text_is_named_under_a_suffix_of_no_text(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"x y z\n1 2 3\n")
    with pytest.raises(tfd.FileError, match="holds plain text that begins with 'x y z'"):
        tfd.load(path)


def test_a_file_of_another_format_that_is_read_is_to_be_renamed(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(npy())
    with pytest.raises(tfd.FileError, match=r"named \.pkl but holds an \.npy array; rename it to "):
        tfd.load(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_any_protocol_is_no_other_kind(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"x": np.arange(3.0)}, protocol))
    assert tfd.load(path).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "MZ,intensity\n1,2\n",
        "GRIB;x\n1;2\n",
        "P1 P2\n1 2\n",
        "[m] [s]\n1 2\n",
        "PAR1,PAR2\n1,2\n",
        "{x},{y}\n1,2\n",
        "x1,y1\n1,2\n",
        "version,outs\n1,2\n",
        "ply\tCDF\n1\t2\n",
    ],
    ids=repr,
)
def test_a_table_whose_names_look_like_another_kind_is_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert tfd.load(path).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("data", "what"),
    [(pickle.dumps([1]), "a pickle of protocol 4"), (npy(), "an .npy array"), (LFS, "a Git LFS")],
)
def test_what_is_given_for_a_spec_or_schema_is_named(
    data: bytes, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "schema.json"
    path.write_bytes(data)
    for read in (tfd.Schema.load, lambda path: tfd.ArraySpec.from_json(path.read_bytes())):
        with pytest.raises(tfd.SpecError, match=f"no JSON but {what}"):
            read(path)


def test_a_spec_and_a_schema_are_told_apart(tmp_path: Path) -> None:
    spec = tfd.ArraySpec((2,), "float32")
    (tmp_path / "spec.json").write_text(spec.to_json())
    with pytest.raises(tfd.SpecError, match="this is the spec of one array; make one of it"):
        tfd.Schema.load(tmp_path / "spec.json")
    with pytest.raises(tfd.SpecError, match="this is a schema of pose, depth; choose one of its"):
        tfd.ArraySpec.from_json(tfd.Schema({"pose": spec, "depth": spec}).to_json())


def test_a_file_that_is_given_for_a_payload_is_named() -> None:
    spec = tfd.ArraySpec((2,), "float32")
    files = [
        (npy(), "an .npy array"),
        (LFS, "a Git LFS pointer"),
        (b'{"b64": "AAAA"}', "JSON text"),
    ]
    for data, what in [*files, (zipped("secret.txt"), "a zip archive$")]:
        with pytest.raises(tfd.DecodeError, match=f"needs 8; it looks like {what}"):
            spec.decode(data)


def test_dtypes_are_told_in_words(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(2, ">f4"), b=np.zeros(2, ">c16"))
    with pytest.raises(tfd.FileError, match=r"a: float32, big-endian \[2\]; b: complex128, big-e"):
        tfd.load(tmp_path / "x.npz")
    with pytest.raises(tfd.EncodeError, match="array is text, spec needs float32"):
        tfd.ArraySpec((2,), "float32").encode(np.array(["a", "b"]))
    with pytest.raises(tfd.SpecError, match=r"dtype 'str32' \(text\) is not one of"):
        tfd.infer(np.array(["a"]))
