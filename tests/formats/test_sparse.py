"""Sparse arrays of MATLAB and SciPy: named with shape and count, read densely when asked."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.common import assert_same, file_by
from tests.formats.test_hdf5 import quick
from tests.formats.test_mat73 import Writer
from tfdecode.errors import FileError
from tfdecode.files import load, load_all
from tfdecode.formats import mat, npz

sparse = pytest.importorskip("scipy.sparse")
scipy_io = pytest.importorskip("scipy.io")
__all__ = ["quick"]  # a fixture of all tests here

FORMATS = ["csr", "csc", "coo", "bsr", "dia"]
DTYPES = ["float64", "float32", "int16", "bool", "complex128"]


def matrix(shape: tuple[int, ...], dtype: str = "float64", form: str = "csc") -> Any:
    """A matrix of which two fifths are no zeros."""
    full = np.random.default_rng(0).integers(-3, 3, shape)
    full = full * (1 - 2j) if dtype == "complex128" else full.astype(dtype)
    return getattr(sparse, f"{form}_array")(full)


def as_npz(matrix: Any, **options: Any) -> bytes:
    return file_by(sparse.save_npz, matrix, **options)


def as_mat(matrix: Any, **options: Any) -> bytes:
    return file_by(scipy_io.savemat, {"W": matrix}, **options)


def deflated(matrix: Any) -> bytes:
    return as_mat(matrix, do_compression=True)


def as_mat73(matrix: Any) -> bytes:
    writer = Writer()
    writer.sparse("W", matrix, logical=matrix.dtype == bool)
    return writer.bytes()


def dense(contents: Any) -> np.ndarray:
    assert contents.dense is not None
    return contents.dense.read()


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (1, 1), (3, 0)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMATS)
def test_npz_files_of_scipy(form: str, dtype: str, shape: tuple[int, int]) -> None:
    if form == "bsr" and 0 in shape:
        pytest.skip("SciPy cannot make it")
    made = matrix(shape, dtype, form)
    for compressed in [False, True]:
        contents = npz.contents(as_npz(made, compressed=compressed))
        assert_same(dense(contents), made.toarray())
    what = f"sparse {dtype} [{shape[0]},{shape[1]}] with "
    assert what in contents.note
    assert what in contents.others["format"]


def test_arrays_of_one_and_of_three_dimensions() -> None:
    for full in [np.array([0, 1.5, 0]), np.arange(8.0).reshape(2, 2, 2)]:
        try:
            data = as_npz(sparse.coo_array(full))
        except (ValueError, AttributeError):
            pytest.skip("this SciPy has matrices only")
        assert_same(dense(npz.contents(data)), full)


def test_values_at_the_same_place_are_added_as_by_scipy() -> None:
    made = sparse.coo_array(([1.0, 2.0, 3.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert dense(npz.contents(as_npz(made))).tolist() == [[0, 3], [3, 0]]


# Of one without non-zeros version 7.3 does not say that it is complex.
@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("float64", (4, 6)), ("bool", (6, 4)), ("complex128", (6, 4)), ("bool", (3, 0))],
)
@pytest.mark.parametrize(
    "write",
    [as_mat, lambda made: as_mat(made, do_compression=True), as_mat73],
    ids=["5", "7", "73"],
)
def test_matrices_of_matlab(write: Any, dtype: str, shape: tuple[int, int]) -> None:
    made = matrix(shape, dtype)
    contents = mat.contents(write(made))
    assert_same(dense(contents), made.toarray())
    expected = f"sparse {dtype} [{shape[0]},{shape[1]}] with {made.nnz} non-zeros, "
    assert contents.others["W"].startswith(expected)


@pytest.mark.parametrize("write", [as_npz, as_mat, as_mat73])
def test_stored_values_keep_their_bits(write: Any) -> None:
    values = np.array([-0.0, np.inf, np.nan, 5e-324])
    values.view("u8")[2] |= 0xBEEF
    made = sparse.csc_array((values, [0, 1, 2, 0], [0, 3, 4]), shape=(3, 2))
    got = dense((npz if write is as_npz else mat).contents(write(made)))
    assert got.T.reshape(-1)[[0, 1, 2, 3]].tobytes() == values.tobytes()


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_load_reads_them_only_when_asked(suffix: str, tmp_path: Path) -> None:
    made, path = matrix((4, 6)), tmp_path / f"a{suffix}"
    path.write_bytes((as_npz if suffix == ".npz" else as_mat)(made))
    with pytest.raises(FileError, match=r"sparse float64 \[4,6\] with \d+ .* reads it so"):
        load(path)
    assert_same(load(path, sparse="dense"), made.toarray())
    (array,) = load_all(path, sparse="dense").values()
    assert_same(array, made.toarray())
    with pytest.raises(FileError, match="sparse is 'full', needs None or \"dense\""):
        load(path, sparse="full")  # type: ignore[arg-type]


@pytest.mark.parametrize("write", [as_npz, as_mat, as_mat73])
def test_the_dense_size_is_compared_with_the_limit_first(write: Any) -> None:
    made = sparse.csc_array(([1.0], [0], [0, 1, *[1] * 999]), shape=(10**6, 1000))
    contents = (npz if write is as_npz else mat).contents(write(made))
    with pytest.raises(FileError, match="decodes to 8000000000 bytes, more than the limit"):
        contents.dense.read()


BAD = {
    "a row outside": ([9], [0, 1, 1], "indices outside of its shape"),
    "a negative row": ([-1], [0, 1, 1], "indices outside of its shape"),
    "falling pointers": ([0], [0, 1, 0], "no 3 rising pointers"),
    "too few pointers": ([0], [0, 1], "no 3 rising pointers"),
    "pointers from 1": ([0], [1, 1, 1], "no 3 rising pointers"),
    "more values than there are": ([0], [0, 1, 7], "points to 7 values but stores 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_matrix_is_refused(name: str) -> None:
    indices, pointers, reason = BAD[name]
    file = io.BytesIO()
    parts = {"indices": indices, "indptr": pointers, "data": [1.0], "shape": [3, 2]}
    np.savez(file, **parts, format=b"csc")
    with pytest.raises(FileError, match=reason):
        dense(npz.contents(file.getvalue()))


def test_hostile_diagonals_end() -> None:
    file = io.BytesIO()
    parts = {"offsets": [2**62, -(2**62)], "data": np.ones((2, 3)), "shape": [3, 3]}
    np.savez(file, **parts, format=b"dia")
    assert not dense(npz.contents(file.getvalue())).any()
