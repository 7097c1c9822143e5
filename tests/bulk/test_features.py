"""Tables of features: which row is for which file, and which types columns have."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tfdecode as tfd
from tfdecode import bulk
from tfdecode.bulk import read_features


def table(folder: Path, text: str) -> Path:
    path = folder / "meta.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2", "+3"], [1, -2, 3]),
        (["1", "", "3"], [1, None, 3]),
        (["1", "NA", "3"], [1, None, 3]),
        (["n/a", "0.5", "<NA>"], [None, 0.5, None]),
        (["a", "NA", "3"], ["a", "NA", "3"]),
        (["9223372036854775807", "0", "1"], [2**63 - 1, 0, 1]),
        (["1", "2.5", "3e2"], [1.0, 2.5, 300.0]),
        (["0", "nan", "-inf"], [0.0, pytest.approx(float("nan"), nan_ok=True), -float("inf")]),
        (["007", "8", "9"], ["007", "8", "9"]),
        (["1_000", "2", "3"], ["1_000", "2", "3"]),
        ([" 1", "2", "3"], [" 1", "2", "3"]),
        (["a", "", "é"], ["a", "", "é"]),
        (["", "", ""], ["", "", ""]),
    ],
)
def test_a_column_has_the_type_of_all_its_cells(
    cells: list[str], values: list[object], tmp_path: Path
) -> None:
    rows = "".join(f"{index}.npy,{cell}\n" for index, cell in enumerate(cells))
    found = read_features(table(tmp_path, f"name,x\n{rows}"))
    assert [found.get(f"{index}.npy").get("x") for index in range(3)] == values
    assert [type(found.get(f"{index}.npy").get("x")) for index in range(3)] == [
        float
        if isinstance(value, float) or "approx" in type(value).__name__.lower()
        else type(value)
        for value in values
    ]


@pytest.mark.parametrize(
    "cell", ["1e400", "-1e400", "9223372036854775808", "1" * 5000, "0." + "1" * 5000]
)
def test_a_number_that_fits_no_type_is_refused(cell: str, tmp_path: Path) -> None:
    with pytest.raises(tfd.FileError, match="fits neither int64 nor float32"):
        read_features(table(tmp_path, f"name,x\n1.npy,{cell}\n"))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("maps/a/1.npy", "maps/a/1.npy"),
        ("a/1.npy", "maps/a/1.npy"),
        ("1.npy", "maps/a/1.npy"),
        ("1", "maps/a/1.npy"),
        ("/data/1.npy", "/data/1.npy"),
        ("1.npz", "1.npz#pose"),
        ("1.npz#pose", "x/1.npz#pose"),
        ("a#b.npy", "x/a#b.npy"),
        ("big.npy#3", "big.npy#3"),
    ],
)
def test_a_row_is_found_by_the_path_of_a_file_or_the_end_of_it(
    name: str, file: str, tmp_path: Path
) -> None:
    assert read_features(table(tmp_path, f"x,file\n1,{name}\n")).get(file) == {"x": 1}


def test_a_row_is_for_one_file(tmp_path: Path) -> None:
    found = read_features(table(tmp_path, "file,x\n1.npy,1\nb/1.npy,2\n"))
    assert found.get("a/1.npy") == {"x": 1} == found.get("a/1.npy")
    assert found.get("b/1.npy") == {"x": 2}
    with pytest.raises(tfd.FileError, match=r"the row '1.npy' is for a/1.npy and for c/1.npy"):
        found.get("c/1.npy")
    with pytest.raises(tfd.FileError, match=r"has no row for 2.npy; column 'file' has file names"):
        found.get("2.npy")


def test_examples_without_a_row_are_counted(tmp_path: Path) -> None:
    found = read_features(table(tmp_path, "file,x\n1.npy,1\n2.npy,2\n"))
    spec = tfd.ArraySpec((3,), "int32")
    for count, more in ((3, "names$"), (5, "names; 2 more have none$")):
        names = [f"{index}.npy" for index in range(1, count + 1)]
        with pytest.raises(tfd.FileError, match=f"has no row for 3.npy; column 'file' .*{more}"):
            bulk.plan(names, tmp_path / "t.tfrecord", spec, features=found)


def test_parquet_keeps_the_types_of_its_columns(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    columns = {
        "label": pyarrow.array([3, None], "int16"),
        "file": ["a.npy", "b.npy"],
        "weight": pyarrow.array([0.5, 2.0], "float64"),
        "good": [True, False],
        "id": [b"\xff", b""],
        "boxes": pyarrow.array([[1, 2], []], pyarrow.list_(pyarrow.int64())),
    }
    path = tmp_path / "meta.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    found = read_features(path)
    first = {"label": 3, "weight": 0.5, "good": True, "id": b"\xff", "boxes": [1, 2]}
    assert found.get("x/a.npy") == first
    assert found.get("x/b.npy") == {"weight": 2.0, "good": False, "id": b""}
    days = pyarrow.array([1, 2], pyarrow.date32())
    parquet.write_table(pyarrow.table({**columns, "day": days}), path)
    with pytest.raises(tfd.FileError, match=r"column day is date32\[day\]; needs numbers"):
        read_features(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(tfd.FileError, match="is not a Parquet file"):
        read_features(path)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(tfd.MissingExtraError, match="with its extra 'parquet'"):
        read_features(tmp_path / "meta.parquet")


def test_one_file_may_have_several_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for written in ("a.npy", "./a.npy", str(tmp_path / "a.npy")):
        found = read_features(table(tmp_path, f"file,label\n{written},3\n"))
        for name in ("a.npy", "./a.npy", str(tmp_path / "a.npy")):
            assert found.get(name) == {"label": 3}
    found = read_features(table(tmp_path, "file,label\na.npy,3\n"))
    assert found.get("./a.npy") and found.get("a.npy")
    with pytest.raises(tfd.FileError, match=r"the row 'a\.npy' is for \./a\.npy and for b/a\.npy"):
        found.get("b/a.npy")
    with pytest.raises(tfd.FileError, match=r"has two rows for a\.npy"):
        read_features(table(tmp_path, "file,label\na.npy,3\n./a.npy,4\n"))


@pytest.mark.parametrize("comma", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_tables_of_several_programs(comma: str, end: str, start: str, tmp_path: Path) -> None:
    lines = ["file,label,text", '"a,;.npy",3,"x, ""y""; z"', "b.npy,4,"]
    text = end.join([lines[0].replace(",", comma), lines[1].replace(",3,", f"{comma}3{comma}")])
    text += end + lines[2].replace(",", comma) + end
    path = tmp_path / "meta.csv"
    path.write_bytes((start + text).encode())
    found = read_features(path)
    assert found.get("in/a,;.npy") == {"label": 3, "text": 'x, "y"; z'}
    assert found.get("in/b.npy") == {"label": 4, "text": ""}


@pytest.mark.parametrize("text", [",file,label\n0,a.npy,3\n", "file,label,\na.npy,3,\n"])
def test_each_column_needs_a_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(tfd.FileError, match="has a column without a name"):
        read_features(table(tmp_path, text))
