"""The v7.3 reader gives what MATLAB shows, as the reader of earlier versions does."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.common import file_by
from tests.formats.test_hdf5 import check_mutants, quick
from tfdecode.errors import FileError
from tfdecode.files import load_all
from tfdecode.formats import mat

h5py = pytest.importorskip("h5py")
scipy_sparse = pytest.importorskip("scipy.sparse")
__all__ = ["quick"]  # a fixture of all tests here

HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\0\2IM"
CLASSES = {
    "float64": "double", "float32": "single", "bool": "logical", "complex128": "double",
    "complex64": "single", "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16",
    "int32": "int32", "uint32": "uint32", "int64": "int64", "uint64": "uint64",
}  # fmt: skip


class Writer:
    """Lays variables out as MATLAB does; `bytes` gives the file."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()
        self.file = h5py.File(self.stream, "w", userblock_size=512)

    def array(self, name: str, array: np.ndarray, **options: Any) -> Any:
        """A full numeric variable, in reverse as HDF5 has it."""
        stored = array.T
        if array.dtype.kind == "c":
            part = array.real.dtype
            stored = np.ascontiguousarray(stored).view([("real", part), ("imag", part)])
        logical = array.dtype.kind == "b"
        if not array.size:
            stored = np.array(array.shape, "u8")
        made = self.named(
            name, stored.astype("u1") if logical and array.size else stored, **options
        )
        self.matlab_class(made, CLASSES[array.dtype.name])
        if logical:
            made.attrs["MATLAB_int_decode"] = np.int32(1)
        if not array.size:
            made.attrs["MATLAB_empty"] = np.uint8(1)
        return made

    def value(self, name: str, value: Any) -> None:
        """An array, a struct (dict), a cell array (object array) or an array of structs (list)."""
        if isinstance(value, np.ndarray) and value.dtype.kind != "O":
            self.array(name, value)
        elif isinstance(value, np.ndarray):
            self.matlab_class(self.references(name, value), "cell")
        else:
            self.matlab_class(self.file.create_group(name), "struct")
            for field, inner in (value if isinstance(value, dict) else {}).items():
                self.value(f"{name}/{field}", inner)
            for field in value[0] if isinstance(value, list) else []:
                cells = np.empty((1, len(value)), object)
                cells[0] = [element[field] for element in value]
                self.references(f"{name}/{field}", cells)

    def references(self, name: str, cells: np.ndarray) -> Any:
        """A dataset of references; what they refer to is in a group of MATLAB's own."""
        made = self.file.create_dataset(name, cells.T.shape, h5py.ref_dtype)
        for place, cell in np.ndenumerate(cells.T):
            where = f"#refs#/{len(self.file.require_group('#refs#'))}"
            self.value(where, cell)
            made[place] = self.file[where].ref
        return made

    def sparse(self, name: str, matrix: Any, logical: bool = False) -> Any:
        """A sparse matrix; one without non-zeros has neither values nor rows."""
        group = self.file.create_group(name)
        group.attrs["MATLAB_sparse"] = np.uint64(matrix.shape[0])
        self.matlab_class(group, "logical" if logical else "double")
        group["jc"] = matrix.indptr.astype("u8")
        if matrix.nnz:
            values = matrix.data
            if values.dtype.kind == "c":
                values = values.view([("real", "f8"), ("imag", "f8")])
            group["ir"] = matrix.indices.astype("u8")
            group["data"] = values.astype("u1") if logical else values
        return group

    def named(self, name: str, stored: Any, **options: Any) -> Any:
        return self.file.create_dataset(name, data=stored, **options)

    def matlab_class(self, member: Any, name: str) -> None:
        member.attrs["MATLAB_class"] = np.bytes_(name)

    def bytes(self) -> bytes:
        self.file.close()
        return HEADER + self.stream.getvalue()[len(HEADER) :]


def saved(**arrays: np.ndarray) -> bytes:
    writer = Writer()
    for name, array in arrays.items():
        writer.array(name, array)
    return writer.bytes()


NUMBERS = st.sampled_from([np.dtype(name) for name in CLASSES])
ARRAYS = npst.arrays(NUMBERS, npst.array_shapes(min_dims=2, max_side=4, min_side=0))


@given(ARRAYS, st.sampled_from([{}, {"chunks": True, "compression": 3}]))
def test_any_variable_comes_back_bit_for_bit(array: np.ndarray, options: dict) -> None:
    writer = Writer()
    writer.array("x", array, **(options if array.size else {}))
    got = mat.contents(writer.bytes()).read("x")
    # Of an empty variable only dimensions and class are stored: nothing says that it was complex.
    dtype = array.dtype if array.size else array.real.dtype
    assert (got.dtype, got.shape) == (dtype, array.shape)
    assert got.tobytes() == array.tobytes()
    assert got.flags.f_contiguous


def test_the_same_variables_read_the_same_from_version_5() -> None:
    scipy_io = pytest.importorskip("scipy.io")
    source = np.random.default_rng(0)
    variables = {
        "x": source.normal(size=(2, 3, 4)),
        "c": source.normal(size=(2, 2)) + 1j,
        "l": np.array([[True, False]]),
        "e": np.zeros((0, 3), "f4"),
        "i": np.array([[2**63 - 1], [-1]]),
    }
    before = mat.contents(file_by(scipy_io.savemat, variables)).read_all()
    for name, array in mat.contents(saved(**variables)).read_all().items():
        assert (array.dtype, array.shape) == (before[name].dtype, before[name].shape)
        assert array.tobytes() == before[name].tobytes()
        assert array.flags.f_contiguous == before[name].flags.f_contiguous


def test_a_real_file_of_matlab() -> None:
    scipy_io = pytest.importorskip("scipy.io")
    name = "testhdf5_7.4_GLNX86.mat"
    path = Path(scipy_io.matlab.__file__).parent / "tests" / "data" / name
    if not path.exists():
        pytest.skip("this scipy comes without its test data")
    (array,) = load_all(path).values()
    np.testing.assert_array_equal(array, np.arange(9)[None] * np.pi / 4)


def test_a_logical_of_any_byte_is_true_or_false() -> None:
    writer = Writer()
    writer.matlab_class(writer.named("x", np.array([[0, 1, 2, 255]], "u1")), "logical")
    assert mat.contents(writer.bytes()).read("x").tobytes() == b"\0\1\1\1"


def others() -> Writer:
    """One variable of each class that is no full numeric matrix."""
    writer = Writer()
    file = writer.file
    writer.array("x", np.eye(2))
    text = writer.named("text", np.array([[104], [105]], "u2"))
    text.attrs["MATLAB_int_decode"] = np.int32(2)
    writer.matlab_class(text, "char")
    file["#refs#/a"] = 1.0
    cell = file.create_dataset("cell", (1, 2), h5py.ref_dtype)
    cell[0, 0] = file["#refs#/a"].ref
    writer.matlab_class(cell, "cell")
    file["struct/field"] = 1.0
    writer.matlab_class(file["struct"], "struct")
    writer.sparse("sparse", scipy_sparse.eye(3, 4, format="csc"))
    writer.matlab_class(file.create_group("function"), "function_handle")
    map_ = writer.named("map", np.zeros((1, 6), "u4"))
    map_.attrs["MATLAB_object_decode"] = np.int32(3)
    writer.matlab_class(map_, "containers.Map")
    for name in ("table", "mine"):
        writer.matlab_class(writer.named(name, np.zeros((1, 6), "u4")), name)
    file["#subsystem#/MCOS"] = 1.0
    empty = writer.named("empty", np.array([0, 0], "u8"))
    empty.attrs["MATLAB_empty"] = np.uint8(1)
    writer.matlab_class(empty, "struct")
    integers = np.zeros((1, 1), [("real", "i4"), ("imag", "i4")])
    writer.matlab_class(writer.named("integers", integers), "int32")
    file["foreign"] = 1.0
    file["link"] = h5py.SoftLink("/x")
    return writer


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("text", "text; save its numbers by double(...)"),
        ("cell[0]", "HDF5 that MATLAB did not write; rename the file to .h5 to read it"),
        ("cell[1]", "reference to nothing"),
        ("struct.field", "HDF5 that MATLAB did not write; rename the file to .h5 to read it"),
        ("empty", "struct without elements"),
        ("sparse", "sparse float64 [3,4] with 3 non-zeros, 96 bytes when dense; in Python "),
        ("function", "function; save its results"),
        ("map", "map; save its keys(...) and values(...)"),
        ("table", "table; save table2array(...), or a struct by table2struct"),
        ("mine", "object of class mine; save struct(...) of it"),
        ("integers", "complex integers; save it as double"),
        ("foreign", "HDF5 that MATLAB did not write; rename the file to .h5 to read it"),
        ("link", "link that is not followed; save the array itself"),
    ],
)
def test_other_classes_are_named_with_advice(name: str, advice: str) -> None:
    listing = mat.contents(others().bytes())
    assert [entry.key for entry in listing.entries] == ["x"]
    with pytest.raises(FileError) as caught:
        listing.read(name)
    assert f"({name}: {advice}" in str(caught.value)


def test_what_matlab_keeps_for_itself_is_not_listed() -> None:
    assert not any("#" in name for name in mat.contents(others().bytes()).others)


def test_a_file_of_another_program_says_to_rename_it() -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["depth"] = np.eye(2)
    with pytest.raises(FileError, match=r"depth: HDF5 that MATLAB did not write; rename .* \.h5"):
        mat.contents(stream.getvalue()).read()


def damaged(name: str) -> Writer:
    writer = Writer()
    member = writer.array("x", np.zeros((0, 3)))
    if name == "stored as another type":
        writer.matlab_class(member, "single")
        del member.attrs["MATLAB_empty"]
    elif name == "a class that is no text":
        member.attrs["MATLAB_class"] = 6
    elif name == "a class of 10,000 letters":
        member.attrs["MATLAB_class"] = np.bytes_("d" * 10**4)
    elif name == "a class of many texts":
        member.attrs["MATLAB_class"] = np.zeros(1000, "S8")
    elif name == "empty without a zero":
        member[...] = [2, 3]
    elif name == "empty but huge":
        del writer.file["x"]
        member = writer.named("x", np.array([0, 2**62, 2**62], "u8"))
        writer.matlab_class(member, "double")
        member.attrs["MATLAB_empty"] = np.uint8(1)
    else:
        del writer.file["x"]
        member = writer.file.create_dataset("x", (2**40,), "u8")
        writer.matlab_class(member, "double")
        member.attrs["MATLAB_empty"] = np.uint8(1)
    return writer


@pytest.mark.parametrize(
    "name",
    [
        "stored as another type",
        "a class that is no text",
        "a class of 10,000 letters",
        "a class of many texts",
        "empty without a zero",
        "empty but huge",
        "empty with 2**40 dimensions",
    ],
)
def test_a_variable_that_lies_is_refused(name: str) -> None:
    with pytest.raises(FileError, match=r"variable x|address space"):
        mat.contents(damaged(name).bytes())


def test_a_declared_size_is_refused_before_anything_is_allocated() -> None:
    writer = Writer()
    member = writer.file.create_dataset("x", (2**20, 2**20), "f8", chunks=(2**16, 2**10))
    writer.matlab_class(member, "double")
    with pytest.raises(FileError, match="x decodes to 8796093022208 bytes, more than the limit"):
        mat.contents(writer.bytes()).read()


def test_every_truncation_is_refused() -> None:
    data = saved(x=np.eye(2))
    for end in range(128, len(data), 7):
        with pytest.raises(FileError):
            mat.contents(data[:end])


def test_mutants_give_arrays_or_a_file_error(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(others().bytes())
    check_mutants(tmp_path / "a.mat", 600)
