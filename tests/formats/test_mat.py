"""The .mat reader gives what MATLAB shows; on honest files scipy is the oracle."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.common import assert_same, file_by
from tfdecode.errors import FileError
from tfdecode.formats import mat

scipy_io = pytest.importorskip("scipy.io")
scipy_sparse = pytest.importorskip("scipy.sparse")
FILES = sorted((Path(scipy_io.matlab.__file__).parent / "tests" / "data").glob("*.mat"))


def saved(variables: dict, **options: object) -> bytes:
    return file_by(scipy_io.savemat, variables, **options)


def by_scipy(data: bytes) -> dict[str, np.ndarray]:
    """Numeric arrays by path, as in MATLAB; ``mat_dtype`` alone would drop imaginary parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        typed, plain = (
            {
                path: array
                for name, value in scipy_io.loadmat(io.BytesIO(data), mat_dtype=mat_dtype).items()
                if not name.startswith("__")
                for path, array in below(name, value)
            }
            for mat_dtype in (True, False)
        )
    return {path: plain[path] if np.iscomplexobj(plain[path]) else typed[path] for path in typed}


def below(path: str, value: object) -> Iterator[tuple[str, np.ndarray]]:
    """The numeric arrays in what scipy reads, by MATLAB's paths with indices from 0."""
    if scipy_sparse.issparse(value):
        dense = value.toarray()  # of the type that it is stored in: MATLAB has two only
        yield path, dense if dense.dtype.kind in "bc" else dense.astype("f8")
    elif isinstance(value, scipy_io.matlab.MatlabFunction) or not isinstance(value, np.ndarray):
        return
    elif value.dtype.names is not None:
        for index, element in enumerate(value.ravel("F")):
            for field in value.dtype.names:
                where = f"{path}.{field}" if value.size == 1 else f"{path}[{index}].{field}"
                yield from below(where, element[field])
    elif value.dtype.kind == "O":
        for index, element in enumerate(value.ravel("F")):
            yield from below(f"{path}[{index}]", element)
    elif value.dtype.kind in "biufc":
        yield path, value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_real_files_read_as_by_scipy_or_are_refused(path: Path) -> None:
    data = path.read_bytes()
    try:
        expected = by_scipy(data)
    except NotImplementedError:  # HDF5
        import h5py

        expected = {"testdouble": h5py.File(path)["testdouble"][()].T}
    except Exception:  # corrupt
        with pytest.raises(FileError):
            mat.contents(data).read_all()
        return
    found = mat.contents(data)
    try:
        arrays = (found.dense or found).read_all()
    except FileError:
        assert not expected or path.stem == "nasty_duplicate_fieldnames"
        return
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name])
        assert array.dtype == expected[name].dtype.newbyteorder("=")


def test_a_real_file_of_octave() -> None:
    found = mat.contents(
        (Path(__file__).parents[1] / "fixtures/files/octave7.mat").read_bytes()
    ).dense
    assert found is not None
    x = np.array([[16.0, 2, 3, 13], [5, 11, 10, 8], [9, 7, 6, 12], [4, 14, 15, 1]])
    expected = {
        **{"x": x, "b": x > 8, "l": np.array([[True]]), "e": np.zeros((0, 3))},
        **{"n4": np.arange(1.0, 25).reshape(2, 3, 4, order="F"), "r": np.arange(1.0, 6)[None]},
        **{"z": np.array([[1 + 2j, 3]]), "u": np.array([[2**63]], "u8"), "sp": np.diag([1.0, 2])},
        **{"s.a": np.int16([[1, 2], [3, 4]]), "s.c[0]": np.eye(1), "s.c[1]": np.float32([[2]])},
        **{f"st[{i}].p": np.array([[i + 1.0]]) for i in range(3)},
        **{f"cs[0][{i}]": np.array([[i + 1.0]]) for i in range(2)},
        "cm": np.array([[1j, 0], [0, 1]]),
    }
    arrays = found.read_all()
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        assert_same(array, expected[name])
    reasons = {"s.b": "text", "s.c[2]": "text", "bb": "if it is sparse, save it by full(...)"}
    assert all(reason in found.others[name] for name, reason in reasons.items())


@pytest.mark.skipif(not FILES, reason="this scipy comes without its test data")
def test_most_real_files_of_numbers_are_read() -> None:
    read = 0
    for path in FILES:
        with contextlib.suppress(FileError):
            read += bool(mat.contents(path.read_bytes()).read_all())
    assert read >= 50


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.array([[-0.0, np.inf, np.nan]]),
        np.array([[1 - 0.0j, complex(-0.0, np.inf)]]),
        np.array([[1 + 2j]], "c8"),
        np.array([[True, False]]),
        np.arange(24, dtype="i2").reshape(2, 3, 4),
        np.array([[2**64 - 1]], "u8"),
        np.zeros((0, 3), "f4"),
        *(np.array([[1, 2]], code) for code in ["i1", "u1", "u2", "i4", "u4", "i8", "f4"]),
    ],
    ids=str,
)
def test_arrays_come_back_bit_for_bit(array: np.ndarray, compressed: bool) -> None:
    read = mat.contents(saved({"x": array}, do_compression=compressed)).read("x")
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    assert read.tobytes() == array.tobytes()


def test_doubles_stored_as_narrow_integers_are_doubles() -> None:
    data = saved({"x": np.arange(8.0).reshape(2, 4)})
    at = data.index(struct.pack("<II", 9, 64))
    narrow = struct.pack("<II", 2, 8) + bytes([0, 4, 1, 5, 2, 6, 3, 7])
    element = data[136:at] + narrow
    read = mat.contents(data[:128] + struct.pack("<II", 14, len(element)) + element).read()
    assert read.dtype == np.float64
    assert read.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_version_4_files_hold_doubles() -> None:
    data = struct.pack(">5i", 1050, 2, 1, 0, 2) + b"x\0" + bytes([3, 4])
    assert mat.contents(data).read("x").tolist() == [[3.0], [4.0]]
    assert mat.contents(data).read("x").dtype == np.float64


def test_other_classes_are_named_with_advice() -> None:
    sparse = pytest.importorskip("scipy.sparse").eye(3).tocsc()
    data = saved({"S": sparse, "t": "text"})
    with pytest.raises(FileError) as caught:
        mat.contents(data).read()
    for words in ("S: sparse float64 [3,3] with 3 non-zeros, 72 bytes when dense", "t: text"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"\x89HDF\r\n\x1a\n" + bytes(600), b"MATLAB 7.3 MAT-file".ljust(600)]
)
def test_version_7_3_is_read_as_hdf5(data: bytes) -> None:
    with pytest.raises(FileError, match=r"^is not a whole HDF5 file"):
        mat.contents(data)


def test_a_bomb_is_refused_by_its_dimensions() -> None:
    data = saved({"x": np.zeros((1, 10**6))}, do_compression=True)
    with pytest.raises(FileError, match="x decodes to 8000000 bytes, more than the limit of 1000"):
        mat.contents(data).read(max_bytes=1000)


def test_a_tag_type_that_crashes_scipy_is_refused() -> None:
    data = saved({"x": np.arange(12.0)})
    mutant = data.replace(struct.pack("<II", 9, 96), struct.pack("<II", 8, 96))
    with pytest.raises(FileError, match="x of class float64 is stored as type 8"):
        mat.contents(mutant).read()


def test_a_variable_that_no_program_reads_leaves_the_others() -> None:
    """Octave writes sparse logical matrices as uint8, with the indices of a sparse matrix."""
    data = saved({"x": np.eye(2), "y": np.ones((2, 3), bool)})
    mutant = data.replace(struct.pack("<II", 2, 6), struct.pack("<II", 5, 6))
    found = mat.contents(mutant)
    assert [entry.key for entry in found.entries] == ["x"]
    assert "y of class uint8 is stored as type 5" in found.others["y"]
    assert found.others["y"].endswith("if it is sparse, save it by full(...)")


def test_negative_rows_that_hang_scipy_are_refused() -> None:
    with pytest.raises(FileError, match="non-negative"):
        mat.contents(struct.pack("<5i", 50, -22, 1, 0, 2) + b"a\0")


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}], ids=str)
def test_mutants_give_an_array_or_a_file_error(options: dict) -> None:
    data = saved({"x": np.arange(6.0).reshape(2, 3), "y": np.array([[1 + 2j]])}, **options)
    source, read = random.Random(2), 0
    for _ in range(3000):
        mutant = bytearray(data)
        for _ in range(source.randint(1, 3)):
            mutant[source.randrange(0 if options else 120, len(mutant))] = source.randrange(256)
        with contextlib.suppress(FileError):
            mat.contents(bytes(mutant)).read_all(max_bytes=10**6)
            read += 1
    assert 0 < read < 3000


@pytest.mark.parametrize("options", [{}, {"do_compression": True}], ids=str)
def test_a_cut_or_damaged_file_says_where(options: dict) -> None:
    first = saved({"x": np.arange(100.0)}, **options)
    data = first + saved({"y": np.arange(100.0)}, **options)[128:]
    with pytest.raises(FileError) as caught:
        mat.contents(data[:-9])
    start, end = len(first), len(data)
    reason = f"the variable at byte {start} ends at byte {end}, the file at byte {end - 9}"
    assert str(caught.value) == f"is a truncated .mat: {reason}"
    with pytest.raises(FileError, match=rf"\(in the variable at byte {start}\)$"):
        mat.contents(data[: start + 8] + bytes(8) + data[start + 16 :])


def test_numbers_of_old_machines_are_named() -> None:
    with pytest.raises(FileError, match="holds numbers of VAX D-float machines at byte 0"):
        mat.contents(struct.pack("<5i", 2000, 1, 1, 0, 2) + b"a\0" + bytes(8))


def test_every_truncation_is_refused_or_ends_between_variables() -> None:
    data = saved({"x": np.arange(6.0), "y": np.arange(3)})
    whole = 0
    for end in range(len(data)):
        with contextlib.suppress(FileError):
            whole += len(mat.contents(data[:end]).read_all())
    assert whole == 1
