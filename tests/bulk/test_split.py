"""Many examples in one file: each row is one, and only what is needed of the file is read."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfdecode as tfd
from tests.common import assert_same
from tfdecode import bulk, reading
from tfdecode.bulk.reader import Reader
from tfdecode.bulk.record import features_of
from tfdecode.bulk.shard import Part
from tfdecode.cli import main

ROWS = np.random.default_rng(3).integers(0, 1000, (23, 5, 4)).astype("uint16")
SPEC = tfd.ArraySpec((5, 4), "uint16")
LARGE = np.random.default_rng(4).integers(0, 2**16, (300, 64, 64)).astype("uint16")


def h5(path: Path, array: np.ndarray, **options: object) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=array, **options)


WRITERS: dict[str, Callable[[Path, np.ndarray], object]] = {
    "c.npy": np.save,
    "f.npy": lambda path, array: np.save(path, np.asfortranarray(array)),
    "z.npz": lambda path, array: np.savez_compressed(path, x=array),
    "whole.h5": h5,
    "chunks.h5": lambda path, array: h5(path, array, chunks=(4, *array.shape[1:]), compression=1),
    "blocks.h5": lambda path, array: h5(path, array, chunks=(7, 3, 3), shuffle=True),
}


def records(path: Path) -> Iterator[tuple[str, bytes]]:
    """The name and the payload of each example of a shard."""
    data = path.read_bytes()
    while data:
        end = 12 + int.from_bytes(data[:8], "little")
        found = features_of(data[12:end])
        yield os.fsdecode(found["file"][0]), found["array_bytes"][0]
        data = data[end + 4 :]


@pytest.mark.parametrize("name", WRITERS)
def test_each_row_is_an_example(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path, ROWS)
    out = tmp_path / "out"
    out.mkdir()
    features = {f"{path}#{row}": {"label": row} for row in range(len(ROWS))}
    plan = bulk.plan(
        [path], out / "train.tfrecord", SPEC, shards=3, split_axis=0, features=features
    )
    assert [one.name for shard in plan for one in shard.examples] == list(features)
    assert bulk.run(plan)["failures"] == []
    rows = {file: SPEC.decode(payload) for shard in plan for file, payload in records(shard.path)}
    assert list(rows) == list(features)
    for example, array in rows.items():
        assert_same(array, ROWS[int(example.rpartition("#")[2])])


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "blocks.h5"])
def test_only_some_of_a_large_file_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    WRITERS[name](path, LARGE)
    taken: list[int] = []
    part = reading.part
    monkeypatch.setattr(reading, "part", lambda f, n: taken.append(n) or part(f, n))
    rows = Reader(1, {})
    assert rows.rows(str(path)) == len(LARGE)
    spec = tfd.ArraySpec((64, 64), "uint16")
    for row in (0, 1, 150, 299):
        assert_same(rows.read(spec, str(path), None, row), LARGE[row])
    if name not in ("f.npy", "z.npz"):
        assert sum(taken) < LARGE.nbytes / 4
    elif name == "z.npz":
        assert sum(taken) < 2 * path.stat().st_size


@given(
    shape=st.lists(st.integers(0, 7), min_size=1, max_size=3),
    chunk=st.lists(st.integers(1, 8), min_size=3, max_size=3),
    fill=st.booleans(),
)
def test_rows_of_any_chunks_are_those_of_the_array(
    shape: list[int], chunk: list[int], fill: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tfdecode.formats.hdf5.dataset import stored

    rng = np.random.default_rng(0)
    array = rng.integers(0, 99, shape).astype("int32")
    chunk = chunk[: len(shape)]
    grid = [-(-side // step) for side, step in zip(shape, chunk, strict=True)]
    data, table = b"", []
    for index in np.ndindex(*grid):
        if fill and sum(index) % 2:
            continue  # never written: it has the fill value
        block = np.full(chunk, -1, "int32")
        place = tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, chunk, strict=True))
        part = array[place]
        block[tuple(map(slice, part.shape))] = part
        table.append((np.ravel_multi_index(index, grid), len(data), block.nbytes, 0))
        data += block.tobytes()
    for index in np.ndindex(*grid):
        if fill and sum(index) % 2:
            array[tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, chunk, strict=True))] = 5
    found = {
        "filters": [], "dtype": "<i4", "shape": shape, "chunk": chunk,
        "fill": np.int32(5).tobytes().hex(),
        "chunks": base64.b64encode(np.array(table, "<u8").tobytes()).decode(),
    }  # fmt: skip
    entry = stored("x", found, memoryview(data))
    assert_same(entry.read(), array)
    for row in range(shape[0]):
        assert_same(entry.read_row(row), array[row])


def test_inputs_are_split_together_and_failures_named(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    np.save(tmp_path / "y.npy", np.arange(23))
    (tmp_path / "bad.npy").write_bytes(b"x")
    schema = tfd.Schema({"x": SPEC, "y": tfd.ArraySpec((), "int64")})
    sources = [{"x": tmp_path / x, "y": tmp_path / "y.npy"} for x in ("x.npy", "bad.npy")]
    plan = bulk.plan(sources, tmp_path / "t.tfrecord", schema, shards=1, seed=1, split_axis=0)
    manifest = bulk.run(plan)
    assert manifest["examples"] == 23 and "bad.npy" in manifest["failures"][0]["error"]
    assert plan[0].examples[3].arrays["y"].row == plan[0].examples[3].arrays["x"].row
    with pytest.raises(tfd.SpecError, match="split_axis is 1"):
        bulk.plan(sources, tmp_path / "t.tfrecord", schema, split_axis=1)
    with pytest.raises(tfd.FileError, match="has no row 23"):
        Reader(1, {}).read(SPEC, *Part(str(tmp_path / "x.npy"), None, 23))


def test_the_chunks_of_a_row_are_bounded(tmp_path: Path) -> None:
    """Of 512 MiB without data: no chunk is in the file."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (2048, 2**16), "float32", chunks=(2048, 4096), fillvalue=1.0)
        file.create_dataset("much", data=np.zeros(2**18))
    rows = Reader(1, {"max_bytes": 2**20})
    with pytest.raises(tfd.FileError, match="more than the limit"):
        rows.read(tfd.ArraySpec((2**16,), "float32"), str(tmp_path / "x.h5"), "x", 0)


def test_what_has_no_rows_or_other_ones_is_a_failure(tmp_path: Path) -> None:
    arrays = {"x": ROWS, "y": np.arange(23), "fewer": np.arange(22), "none": ROWS[:0], "one": 1}
    paths = {name: str(tmp_path / f"{name}.npy") for name in arrays}
    for name, array in arrays.items():
        np.save(paths[name], array)
    labels = {f"{paths['x']}#{row}": {"label": row} for row in range(23)}
    files, out = [paths["x"], paths["none"], paths["one"]], tmp_path / "t.tfrecord"
    table = tmp_path / "meta.csv"
    table.write_text("file,label\n" + "".join(f"{name},1\n" for name in labels))
    for features in (labels, bulk.read_features(table)):
        manifest = bulk.run(bulk.plan(files, out, SPEC, split_axis=0, features=features))
        assert manifest["examples"] == len(ROWS)
        assert [one["error"].partition(": ")[2] for one in manifest["failures"]] == [
            "has 0 rows", "is one number, without rows to split"
        ]  # fmt: skip
        assert [one["file"] for one in manifest["failures"]] == files[1:]
    schema = tfd.Schema({"x": SPEC, "y": tfd.ArraySpec((), "int64")})
    sources = [{"x": paths[x], "y": paths[y]} for x, y in (("x", "y"), ("x", "fewer"))]
    sources.append({"x": paths["none"], "y": paths["one"]})
    manifest = bulk.run(bulk.plan(sources, out, schema, single=True, split_axis=0))
    # The same first file: its rows are examples, so only the other source is named.
    assert manifest["examples"] == 23
    assert [one["error"] for one in manifest["failures"]] == [
        "the inputs have different numbers of rows: x 0, y none",
        "the inputs have different numbers of rows: x 23, y 22",
    ]


def test_a_file_that_could_not_be_read_at_first_is_said_to_be_one(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    files, out = [tmp_path / "x.npy", tmp_path / "late.npy"], tmp_path / "t.tfrecord"
    plan = bulk.plan(files, out, SPEC, split_axis=0)
    np.save(files[1], ROWS)
    manifest = bulk.run(plan)
    assert manifest["examples"] == len(ROWS)
    why = "could not be read when the rows were counted; run again"
    assert manifest["failures"] == [{"file": str(files[1]), "error": f"{files[1]}: {why}"}]


def test_the_command_line_splits(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("both.npz", x=ROWS, y=np.arange(23))
    np.save("one.npy", ROWS)
    out = ["--split-axis", "0", "--tfrecord", "train.tfrecord", "--seed", "4"]
    assert main(["pack", "one.npy", *out, "--name", "maps"]) == 0
    assert "23 examples of maps_bytes, uint16 [5,4] by" in capsys.readouterr().out
    assert main(["pack", "both.npz", *out]) == 0
    schema = tfd.Schema.load("train.tfrecord.json")
    assert {name: spec.shape for name, spec in schema.items()} == {"x": (5, 4), "y": ()}
    assert bulk.verify("train.tfrecord", every=True)["decoded"] == 23
    assert main(["pack", "one.npy", "--split-axis", "0"]) == 2
    assert "argument --split-axis: needs argument --tfrecord" in capsys.readouterr().err


def test_what_the_command_line_cannot_split_is_named(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("one.npz", x=ROWS, y=3)
    np.savez("fewer.npz", x=ROWS, y=np.arange(22))
    out = ["--split-axis", "0", "--tfrecord", "train.tfrecord"]
    assert main(["pack", "one.npz", *out]) == 1
    assert "one.npz#y has no rows to split" in capsys.readouterr().err
    assert main(["pack", "fewer.npz", *out, "--shards", "3"]) == 1
    reason = "3 shards are more than the 1 example; the inputs have different numbers of rows: x 23"
    assert reason in capsys.readouterr().err


def test_inputs_that_are_one_file_each_are_split_together(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", ROWS)
    np.save("y.npy", np.arange(23))
    given = ["--input", "x=x.npy", "--input", "y=y.npy", "--split-axis", "0"]
    assert main(["pack", *given, "--tfrecord", "train.tfrecord", "--shards", "3"]) == 0
    assert bulk.verify("train.tfrecord", every=True)["decoded"] == 23
