"""load and load_all read any supported file, and every failure is one line that says what to do."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode
from tests.common import file_by
from tfdecode import files, reading
from tfdecode.errors import FileError, MissingExtraError, SkippedWarning
from tfdecode.files import load, load_all

FIXTURES = Path(__file__).parent / "fixtures" / "files"
DOUBLES = np.array([1.0, 2.0], "<f8").tobytes()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


def npy(array: np.ndarray) -> bytes:
    return file_by(np.save, array)


def zipped(first: str) -> bytes:
    """An archive whose first member is of this name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(first, b"content")
    return file.getvalue()


# What torch.save wrote before version 1.6: a number by which it is known, then other pickles.
LEGACY_TORCH = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)


def npz(**arrays: np.ndarray) -> bytes:
    return file_by(np.savez, **arrays)


@pytest.mark.parametrize(
    ("name", "key", "dtype", "shape", "fortran"),
    [
        ("h36m_cameras.pkl", "S1,54138969/R", "float64", (3, 3), True),
        ("h36m_cameras.pkl", "S1,54138969/T", "float64", (3, 1), True),
        ("panoptic_training_pose.pkl", "2/vis", "bool", (17, 3), False),
        ("mel_fortran.npy", None, "float32", (80, 423), True),
        ("h36m_2d_detection.npy", None, "float64", (4, 17, 3), False),
        ("h36m_body3d.npz", "part", "float64", (4, 17, 3), False),
        ("color150.mat", "colors", "uint8", (150, 3), True),
        ("color150.mat", None, "uint8", (150, 3), True),
    ],
)
def test_real_files(
    name: str, key: str | None, dtype: str, shape: tuple[int, ...], fortran: bool
) -> None:
    array = load(FIXTURES / name, key)
    assert (array.dtype, array.shape, array.flags.f_contiguous) == (dtype, shape, fortran)
    assert not array.flags.writeable


@pytest.mark.parametrize("name", ["mel_fortran.npy", "h36m_2d_detection.npy"])
def test_real_npy_files_equal_numpy(name: str) -> None:
    assert load(FIXTURES / name).tobytes() == np.load(FIXTURES / name).tobytes()


def test_real_pickles_equal_the_standard_library() -> None:
    cameras = pickle.loads((FIXTURES / "h36m_cameras.pkl").read_bytes(), encoding="latin1")
    with pytest.warns(SkippedWarning):
        arrays = load_all(FIXTURES / "h36m_cameras.pkl")
    expected = {
        f"{subject},{camera}/{name}": value
        for (subject, camera), values in cameras.items()
        for name, value in values.items()
        if isinstance(value, np.ndarray)
    }
    assert arrays.keys() == expected.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, expected[key])


def test_load_all_says_what_it_leaves_out() -> None:
    with pytest.warns(SkippedWarning, match=r"body3d.npz: left out imgname: ") as caught:
        arrays = load_all(FIXTURES / "h36m_body3d.npz")
    assert list(arrays) == ["center", "scale", "part", "S"]
    assert caught[0].filename == __file__
    reason = "array of strings; save the numbers they stand for"
    assert caught[0].message.skipped == {"imgname": reason}


def test_what_is_left_out_for_one_reason_is_said_once() -> None:
    with pytest.warns(SkippedWarning) as caught:
        load_all(FIXTURES / "h36m_cameras.pkl")
    (text,) = [str(one.message) for one in caught]
    assert text.count("text, not an array") == 1
    assert "S1,54138969/name, S1,54138969/id" in text
    assert " more: text, not an array" in text
    assert len(caught[0].message.skipped) > 100


# Each file holds the array x of two numbers, and something else.
LEFT_OUT = {
    "a.npz": ("y", "array of strings"),
    "b.npz": ("note.txt", "a file that is not an .npy"),
    "a.mat": ("y", "text; save its numbers"),
    "b.mat": ("S.y", "text; save its numbers"),
    "a.h5": ("y", "text; save the numbers"),
    "b.h5": ("", "1 attributes, which are not read"),
    "a.pkl": ("y", "text, not an array"),
    "b.pkl": ("y", "a dict of 1 "),
}


def with_more(path: Path) -> None:
    x = np.arange(2.0)
    if path.suffix == ".npz":
        np.savez(path, x=x, **({"y": np.array(["text"])} if path.stem == "a" else {}))
        if path.stem == "b":
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr("note.txt", b"text")
    elif path.suffix == ".mat":
        more = {"y": "text"} if path.stem == "a" else {"S": {"y": "text"}}
        pytest.importorskip("scipy.io").savemat(path, {"x": x[None], **more})
    elif path.suffix == ".h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["x"] = x
            if path.stem == "a":
                file["y"] = "text"
            else:
                file["x"].attrs["unit"] = 3
    else:
        path.write_bytes(pickle.dumps({"x": x, "y": "text" if path.stem == "a" else {"z": "text"}}))


@pytest.mark.parametrize("name", LEFT_OUT)
def test_no_format_leaves_anything_out_silently(name: str, tmp_path: Path) -> None:
    with_more(tmp_path / name)
    with pytest.warns(SkippedWarning) as caught:
        assert list(load_all(tmp_path / name)) == ["x"]
    (key, reason), skipped = LEFT_OUT[name], caught[0].message.skipped
    assert list(skipped) == [key]
    assert skipped[key].startswith(reason)


def test_a_file_of_arrays_alone_gives_no_warning(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(npz(x=np.eye(1), y=np.eye(2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(load_all(tmp_path / "a.npz")) == ["x", "y"]


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".p", ".PKL", ".unknown", ""])
def test_pickles_have_many_suffixes(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(pickle.dumps(np.eye(2)))
    assert load(path).tolist() == load(str(path)).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("data", [npy(np.arange(2)), npz(x=np.arange(2))])
def test_an_unknown_suffix_leaves_it_to_the_first_bytes(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.dat"
    path.write_bytes(data)
    assert load(path).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.npy", PNG, "is named .npy but holds a PNG image"),
        ("a.npy", npz(x=np.eye(1)), "is named .npy but holds a zip archive"),
        ("a.mat", pickle.dumps(np.eye(1)), "is named .mat but holds a pickle of protocol"),
        ("a.pkl", b"\x1f\x8b\x08\x00", "is named .pkl but holds gzip data; decompress it first"),
        ("a.pkl", b"PK\x03\x04", r"is named .pkl but holds a zip archive; rename it to \.npz"),
        ("a.mat", b"\x89HDF\r\n\x1a\n" + bytes(99), "is not a whole HDF5 file"),
        ("a.npy", b"\x89HDF\r\n\x1a\n" + bytes(99), "is named .npy but holds HDF5 data"),
        ("a.h5", b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM", "but holds a MATLAB file"),
        ("a.csv", zipped("[Content_Types].xml"), "holds an Office document; .* or as .csv"),
        ("a.npz", zipped("archive/data.pkl"), "but holds a PyTorch file .*; save its tensors by"),
        ("a.pt", zipped("model/data.pkl"), "unknown suffix and holds a PyTorch file"),
        ("a.pkl", LEGACY_TORCH, "is named .pkl but holds a PyTorch file"),
        ("a.keras", zipped("metadata.json"), "holds a Keras model; save its weights by .*.h5"),
        ("a.parquet", b"PAR1\x15\x04", "holds a Parquet table; save its columns as numbers"),
        ("a.feather", b"ARROW1\0\0", "holds an Arrow table"),
        ("a.json", b' [1, 2, {"x": 3}]', "holds JSON text; save its numbers by numpy.save"),
        ("a.csv", b'{"x": [1, 2]}', "is named .csv but holds JSON text"),
        ("a.csv", npz(x=np.eye(1)), "is named .csv but holds a zip archive"),
        ("a.tif", b"II*\0" + bytes(9), "holds no array to read: it is empty"),
        (
            "a.png",
            PNG,
            "is a damaged PNG image",
        ),
        ("a.dat", b"1 2 3", "has an unknown suffix and holds plain text .*; the known ones are"),
        ("a.npy", b"", "is empty"),
        ("a.npy", b"\1\2\3", "is not an .npy file"),
        ("a.mat", b"1\2 3" * 50, "is not a .mat file"),
        (
            "a.npz",
            npz(x=np.eye(1), y=np.eye(2)),
            r"2 arrays, choose one by key: x: float64 \[1,1\]; y",
        ),
        ("a.npz", npz(x=np.array([None])), "holds no array to read: x: object array"),
    ],
)
def test_a_wrong_file_says_what_it_is(name: str, data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(FileError, match=rf"^{path}: .*{reason}") as caught:
        load(path)
    assert "\n" not in str(caught.value)


SAFETENSORS = b'{"x":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]}}'


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"x,y\n1,2\n"),
        ("a.tsv", b"1\t2\n"),
        ("a.txt", b"1 2\n"),
        ("a.safetensors", len(SAFETENSORS).to_bytes(8, "little") + SAFETENSORS + DOUBLES),
        ("a.bin", len(SAFETENSORS).to_bytes(8, "little") + SAFETENSORS + DOUBLES),
    ],
)
def test_each_suffix_is_read_by_its_reader(name: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert load(path).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("name", ["a.h5", "a.HDF5", "a.nc"])
def test_hdf5_is_read_by_suffix_or_magic(name: str, tmp_path: Path) -> None:
    with pytest.importorskip("h5py").File(tmp_path / name, "w") as file:
        file["dense/kernel"] = np.eye(2)
    assert list(load_all(tmp_path / name)) == ["dense/kernel"]


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    path = tmp_path / "a.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    with pytest.raises(MissingExtraError, match=r"h5py is not installed; .* its extra 'hdf5'"):
        load(path)


def test_an_unknown_key_lists_the_known_ones() -> None:
    with pytest.raises(
        FileError, match=r"holds no array named pose; it has center: float64 \[4,2\]"
    ):
        load(FIXTURES / "h36m_body3d.npz", "pose")


def test_a_key_of_no_array_says_what_it_is() -> None:
    with pytest.raises(FileError, match=r"no array named imgname \(imgname: array of strings"):
        load(FIXTURES / "h36m_body3d.npz", "imgname")


@pytest.mark.parametrize("read", [load, load_all])
def test_paths_that_cannot_be_read(read, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "broken.npy").symlink_to("gone\x1b.npy")
    for path, reason in [
        (tmp_path / "broken.npy", r"No such file: it is a link to 'gone\\x1b.npy'"),
        (tmp_path / ("n" * 256), "cannot be read: File name too long"),
        (tmp_path / "\udcff.npy", r"udcff.npy': cannot be read: No such file"),
        ("gs://bucket/x.npy", "gs://bucket/x.npy: is not on this machine; download it first"),
        ("/dev/zero", "is not a regular file but a device"),
        (tmp_path / "none.npy", "cannot be read: No such file"),
        (tmp_path, "is a directory"),
        (tmp_path / "pipe.npy", "is not a regular file"),
        (tmp_path / "a\0.npy", "cannot be read: .*embedded null"),
    ]:
        with pytest.raises(FileError, match=reason):
            read(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy(np.eye(1)))
    path.chmod(0)
    with pytest.raises(FileError, match="cannot be read: Permission denied"):
        load(path)


def large_files(folder: Path) -> list[Path]:
    """Files of the formats of which headers are read, with arrays of several dtypes and orders."""
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b/c": np.asfortranarray(np.eye(3, dtype=">i4"))}
    np.savez(folder / "stored.npz", **arrays, text=np.array("text"))
    np.savez_compressed(folder / "deflated.npz", **arrays, empty=np.zeros((0, 3)))
    np.save(folder / "f.npy", np.asfortranarray(np.eye(3)[:2]))
    np.save(folder / "scalar.npy", np.float32(1))
    np.save(folder / "text.npy", np.array("text"))
    with (folder / "two.npy").open("wb") as file:
        np.save(file, arrays["a"])
        np.save(file, arrays["b/c"])
    header = b'{"x":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]},'
    header += b'"y":{"dtype":"U8","shape":[3],"data_offsets":[16,19]}}'
    tensors = len(header).to_bytes(8, "little") + header + DOUBLES + b"\1\2\3"
    (folder / "t.safetensors").write_bytes(tensors)
    for path in list(folder.iterdir()):
        data = path.read_bytes()
        (folder / f"short-{path.name}").write_bytes(data[:-1])
        (folder / f"long-{path.name}").write_bytes(data + b"\0")
        (folder / f"cut-{path.name}").write_bytes(data[:20])
    return [*sorted(folder.iterdir()), *sorted(FIXTURES.glob("*.np[yz]"))]


@pytest.mark.filterwarnings("ignore::tfdecode.SkippedWarning")
def test_large_files_are_read_as_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome(path: Path) -> object:
        try:
            found = load_all(path)
        except FileError as error:
            return str(error)
        return [(key, x.dtype, x.shape, x.strides, x.tobytes()) for key, x in found.items()]

    paths = large_files(tmp_path)
    small = [outcome(path) for path in paths]
    monkeypatch.setattr(files, "LARGE", 0)
    assert [outcome(path) for path in paths] == small
    read = sum(files.by_headers(path) is not None for path in paths if "-" not in path.name)
    assert read >= 7  # but two.npy, which has several arrays


@pytest.mark.parametrize("name", ["x.npy", "x.safetensors"])
def test_the_header_of_a_huge_file_is_enough_to_refuse_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    part = reading.part
    monkeypatch.setattr(reading, "part", lambda file, n: asked.append(n) or part(file, n))
    header = io.BytesIO()
    fields = {"descr": "<f8", "fortran_order": False, "shape": (2**29,)}
    np.lib.format.write_array_header_1_0(header, fields)
    if name.endswith("s"):
        text = b'{"x":{"dtype":"F64","shape":[536870912],"data_offsets":[0,4294967296]}}'
        header = io.BytesIO(len(text).to_bytes(8, "little") + text)
    with (tmp_path / name).open("wb") as file:
        file.write(header.getvalue())
        file.truncate(len(header.getvalue()) + 2**32)  # sparse: takes no room
    (entry,) = files.listing(tmp_path / name).entries
    assert entry.shape == (2**29,)
    with pytest.raises(FileError, match="decodes to 4294967296 bytes, more than the limit"):
        load(tmp_path / name)
    with (tmp_path / name).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(FileError, match="4294967297 bytes of data"):
        load(tmp_path / name)
    assert sum(asked) < 100_000


def test_one_array_of_a_large_archive_is_read_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "x.npz", large=np.zeros(2**21, "u1"), small=np.arange(3))
    asked: list[int] = []
    part = reading.part
    monkeypatch.setattr(reading, "part", lambda file, n: asked.append(n) or part(file, n))
    assert load(tmp_path / "x.npz", "small").tolist() == [0, 1, 2]
    assert sum(asked) < 2**20


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "deflated.npz", "x.safetensors", "x.pkl"])
def test_an_array_is_read_without_a_second_copy(name: str, tmp_path: Path) -> None:
    array = np.arange(2**22, dtype="u1")
    match name:
        case "x.npy":
            np.save(tmp_path / name, array)
        case "x.npz":
            np.savez(tmp_path / name, x=array)
        case "deflated.npz":
            np.savez_compressed(tmp_path / name, x=array)
        case "x.pkl":
            (tmp_path / name).write_bytes(pickle.dumps(array, 4))
        case _:
            pytest.importorskip("safetensors.numpy").save_file({"x": array}, tmp_path / name)
    load(tmp_path / name)  # imports
    tracemalloc.start()
    try:
        found = load(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found == array).all()
    assert peak < 1.6 * array.nbytes


def test_a_file_that_changes_after_it_was_listed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(2**21, "u1"))
    (entry,) = files.listing(path).entries
    os.truncate(path, 1000)
    with pytest.raises(FileError, match="has changed since it was listed"):
        entry.read()
    path.unlink()
    with pytest.raises(FileError, match="No such file"):
        entry.read()


@pytest.mark.parametrize("path", [3, None, ["a.npy"]])
def test_a_path_of_another_type_is_a_sentence(path: Any) -> None:
    for read in (load, load_all, tfdecode.Schema.load):
        with pytest.raises(TypeError, match=f"path is {type(path).__name__}, needs a str or os."):
            read(path)


def test_max_bytes_bounds_one_array_or_the_sum(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(npz(x=np.zeros(4), y=np.zeros(4)))
    assert load(path, "x", max_bytes=32).shape == (4,)
    with pytest.raises(
        FileError, match="x decodes to 32 bytes, more than the limit of 31; raise the limit"
    ):
        load(path, "x", max_bytes=31)
    assert len(load_all(path, max_bytes=64)) == 2
    with pytest.raises(
        FileError, match="the sum of 2 arrays decodes to 64 bytes, more than the limit of 63"
    ):
        load_all(path, max_bytes=63)


def test_reading_imports_neither_tensorflow_nor_scipy() -> None:
    script = (
        "import sys; from tfdecode.files import load_all\n"
        "for path in sys.argv[1:]: load_all(path)\n"
        "sys.exit(bool({'tensorflow', 'scipy', 'ml_dtypes', 'h5py'} & set(sys.modules)))"
    )
    paths = [str(path) for path in sorted(FIXTURES.iterdir()) if path.suffix != ".md"]
    root = str(Path(next(iter(tfdecode.__path__))).parent)
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", script, *paths], env=environment)
    assert done.returncode == 0
