"""Arrays inside MATLAB's structs and cells are read by path, alike from versions 5 and 7.3."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common import assert_same
from tests.formats.test_hdf5 import quick
from tests.formats.test_mat import saved
from tests.formats.test_mat73 import Writer
from tfdecode.errors import FileError
from tfdecode.formats import mat
from tfdecode.formats.mat import tree, v73

__all__ = ["quick"]  # a fixture of all tests here


def cells(*values: Any, columns: int = 0) -> np.ndarray:
    """A cell array of one row, or of so many ``columns`` filled one after the other."""
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(-1, columns or len(values), order="F")


def flattened(path: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Path and array of all that is in a value."""
    if isinstance(value, dict):
        for field, inner in value.items():
            yield from flattened(f"{path}.{field}", inner)
    elif isinstance(value, list) or value.dtype.kind == "O":
        elements = value if isinstance(value, list) else value.ravel("F")
        for index, inner in enumerate(elements):
            yield from flattened(f"{path}[{index}]", inner)
    else:
        yield path, value


def for_scipy(value: Any) -> Any:
    """The same for `savemat`: a list of structs is a structured array."""
    if isinstance(value, dict):
        return {field: for_scipy(inner) for field, inner in value.items()}
    if isinstance(value, list):
        array = np.empty((1, len(value)), [(field, object) for field in value[0]])
        for index, element in enumerate(value):
            array[0, index] = tuple(for_scipy(inner) for inner in element.values())
        return array
    if value.dtype.kind == "O":
        array = np.empty(value.shape, object)
        for place, inner in np.ndenumerate(value):
            array[place] = for_scipy(inner)
        return array
    return value


def files(**variables: Any) -> dict[str, bytes]:
    """The variables as files of each version."""
    writer = Writer()
    for name, value in variables.items():
        writer.value(name, value)
    plain = {name: for_scipy(value) for name, value in variables.items()}
    deflated = saved(plain, do_compression=True)
    return {"7.3": writer.bytes(), "5": saved(plain), "7": deflated}


ARRAYS = st.sampled_from(
    [
        np.arange(6.0).reshape(2, 3),
        np.array([[-0.0, np.nan]]),
        np.array([[1 + 2j]]),
        np.array([[True], [False]]),
        np.arange(24, dtype="u2").reshape(2, 3, 4),
        np.zeros((0, 3), "f4"),
    ]
)
FIELDS = st.sampled_from(["a", "seg", "x_1", "longer_name"])
VALUES = st.recursive(
    ARRAYS,
    lambda inner: (
        st.dictionaries(FIELDS, inner, min_size=1, max_size=3)
        | st.lists(inner, min_size=1, max_size=3).map(lambda values: cells(*values))
        | st.lists(inner, min_size=2, max_size=3).map(
            lambda values: [{"one": value, "two": np.eye(2)} for value in values]
        )
    ),
    max_leaves=5,
)


@settings(max_examples=40)
@given(VALUES)
def test_any_nested_value_is_read_by_its_paths(value: Any) -> None:
    expected = dict(flattened("v", value))
    for data in files(v=value).values():
        arrays = mat.contents(data).read_all()
        assert arrays.keys() == expected.keys()
        for path, array in expected.items():
            assert_same(arrays[path], array)


@pytest.mark.parametrize("version", ["5", "7", "7.3"])
def test_indices_count_in_column_order_from_0(version: str) -> None:
    value = cells(*(np.full((1, 1), float(i)) for i in range(6)), columns=3)
    contents = mat.contents(files(C=value)[version])
    assert contents.read("C[1]") == value[1, 0] == 1
    assert contents.read("C[2]") == value[0, 1] == 2


@pytest.mark.parametrize("version", ["5", "7", "7.3"])
def test_a_struct_as_key_lists_what_is_in_it(version: str) -> None:
    data = files(S={"seg": np.eye(2), "inner": {"pose": np.eye(1)}}, Sx=np.eye(3))[version]
    with pytest.raises(FileError) as caught:
        mat.contents(data).read("S")
    text = str(caught.value)
    assert "holds no array named S, but 2 inside of it, choose one by key: " in text
    assert "S.seg: float64 [2,2]" in text
    assert "Sx" not in text


@pytest.mark.parametrize("version", ["5", "7", "7.3"])
def test_the_only_array_needs_no_key(version: str) -> None:
    data = files(groundTruth=cells({"Segmentation": np.eye(3)}))[version]
    assert mat.contents(data).read().tolist() == np.eye(3).tolist()
    assert mat.contents(data).entries[0].key == "groundTruth[0].Segmentation"


def test_what_is_no_array_inside_is_named_by_its_path() -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    data = saved({"S": {"x": np.eye(2), "t": "text", "w": scipy_sparse.eye(3).tocsc(), "e": {}}})
    assert {key: what.split(";")[0] for key, what in mat.contents(data).others.items()} == {
        "S.t": "text",
        "S.w": "sparse float64 [3,3] with 3 non-zeros, 72 bytes when dense",
        "S.e": "struct without fields",
    }


def opaque(matlab_class: str) -> bytes:
    """A file of an object of a new class, as MATLAB writes it, and of an array after it."""
    parts = [struct.pack("<4I", 6, 8, 17, 0)]
    for text in ("x", "MCOS", matlab_class):
        parts.append(struct.pack("<2I", 1, len(text)) + text.encode() + bytes(-len(text) % 8))
    whole = saved({"y": np.eye(2)})
    body = b"".join(parts) + whole[128:]
    return whole[:128] + struct.pack("<2I", 14, len(body)) + body + whole[128:]


@pytest.mark.parametrize(
    ("matlab_class", "advice"),
    [
        ("string", "string array; save its numbers by double(...)"),
        ("table", "table; save table2array(...)"),
        ("datetime", "dates; save posixtime(...)"),
        ("containers.Map", "map; save its keys(...) and values(...)"),
        ("my.Class", "object of class my.Class; save struct(...) of it"),
    ],
)
def test_objects_of_new_classes_are_named(matlab_class: str, advice: str) -> None:
    contents = mat.contents(opaque(matlab_class))
    assert contents.others["x"].startswith(advice)
    assert list(contents.read_all()) == ["y"]


def test_fields_that_are_no_names_are_quoted() -> None:
    data = saved({"S": {"abc": np.eye(2)}}).replace(b"abc\0", b"a.c\0")
    assert mat.contents(data).entries[0].key == 'S["a.c"]'


def test_a_field_that_was_never_set_is_an_empty_double() -> None:
    data = saved({"C": cells(np.eye(1), np.eye(1))})
    cut = data[:128] + struct.pack("<2I", 14, len(data) - 136 - 56) + data[136:-64]
    contents = mat.contents(cut + struct.pack("<2I", 14, 0))
    assert [entry.shape for entry in contents.entries] == [(1, 1), (0, 0)]
    assert_same(contents.read("C[1]"), np.zeros((0, 0)))


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_what_is_nested_too_deep_is_named(version: str) -> None:
    value: Any = np.eye(2)
    for _ in range(tree._DEPTH + 1):
        value = cells(value)
    contents = mat.contents(files(C=value, x=np.eye(1))[version])
    assert list(contents.read_all()) == ["x"]
    assert "nested too deep" in contents.left_out


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_too_many_members_are_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tree, v73):
        monkeypatch.setattr(module, "MEMBERS", 9)
    assert len(mat.contents(files(C=cells(*[np.eye(1)] * 8))[version]).entries) == 8
    with pytest.raises(FileError, match="holds more than 9 cells and fields; split it"):
        mat.contents(files(C=cells(*[np.eye(1)] * 9))[version])


def test_cells_that_refer_to_themselves_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MEMBERS", 1000)
    writer = Writer()
    made = writer.references("C", cells(np.eye(1), np.eye(1)))
    writer.matlab_class(made, "cell")
    made[0, 0] = made[1, 0] = made.ref
    with pytest.raises(FileError, match="holds more than 1000 cells and fields"):
        mat.contents(writer.bytes())


def test_a_structure_array_that_lies_is_refused() -> None:
    writer = Writer()
    writer.value("S", [{"a": np.eye(1)}, {"a": np.eye(1)}])
    writer.references("S/b", cells(np.eye(1)))
    with pytest.raises(FileError, match="variable S is damaged: fields of different length"):
        mat.contents(writer.bytes())


def test_a_struct_is_inflated_up_to_the_limit() -> None:
    data = saved({"S": {"big": np.zeros(2**20), "x": np.eye(1)}, "y": np.eye(2)}, **DEFLATED)
    assert len(data) < 2**16
    contents = mat.contents(data, max_bytes=1000)
    assert list(contents.read_all(max_bytes=1000)) == ["y"]
    assert contents.others["S"].startswith("struct of 8388800 bytes when inflated; raise the limit")
    assert mat.contents(data).read("S.x") == 1


DEFLATED = {"do_compression": True}


@pytest.mark.parametrize("options", [{}, DEFLATED], ids=str)
def test_mutants_give_arrays_or_a_file_error(options: dict) -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    inner = {"a": np.arange(3, dtype="i2"), "t": "text", "w": scipy_sparse.eye(3).tocsc()}
    data = saved({"C": cells(inner, np.array([[1 + 2j]]), np.zeros((0, 0)))}, **options)
    source, read = random.Random(2), 0
    for _ in range(1500):
        mutant = bytearray(data)
        for _ in range(source.randint(1, 3)):
            start, wide = source.randrange(128, len(mutant) - 4), source.choice([1, 4])
            mutant[start : start + wide] = source.choice([source.randbytes(wide), bytes(wide)])
        with contextlib.suppress(FileError):
            contents = mat.contents(bytes(mutant), max_bytes=10**6)
            read += len((contents.dense or contents).read_all(max_bytes=10**6))
    assert read


@pytest.mark.parametrize("key", ["C{2}", "C(2)", "C{2}.x", "C{2}.x(1)"])
def test_a_key_as_matlab_writes_it_is_explained(key: str) -> None:
    data = saved({"C": np.array([np.zeros(2), {"x": np.ones(3)}], object)})
    with pytest.raises(FileError, match=r"indices are counted from 0, in .*: C\[1\]"):
        mat.contents(data).read(key)
    with pytest.raises(FileError, match=r"no array named C\{9\}; it has"):
        mat.contents(data).read("C{9}")
