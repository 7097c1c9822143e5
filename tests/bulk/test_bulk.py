"""Shards: the same bytes whoever writes them, whole or not at all, every file once or named."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode import bulk
from tfdecode.bulk.manifest import manifest_path

SPEC = tfd.ArraySpec((8, 6), "uint8", "zlib")
#: What is wrong with some files, and a part of the reason that is reported.
BROKEN = {
    "empty.npy": (b"", "is empty"),
    "half.npy": (None, "half.npy"),
    "shape.npy": (np.zeros((5, 6), "uint8"), "shape"),
    "dtype.npy": (np.full((8, 6), 0.5), "not exact in uint8"),
    "page.npy": (b"<html>404</html>", "page.npy"),
    "gone.npy": ("", "No such file"),
}


def array(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 3, (8, 6), "uint8")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("good")
    arrays = {f"{folder}/{index % 3}/{index:04d}.npy": array(index) for index in range(40)}
    for path, one in arrays.items():
        Path(path).parent.mkdir(exist_ok=True)
        np.save(path, one)
    return arrays


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder, reasons = tmp_path_factory.mktemp("broken"), {}
    for name, (content, reason) in BROKEN.items():
        path = folder / name
        if isinstance(content, np.ndarray):
            np.save(path, content)
        elif content is None:
            np.save(path, array(0))
            path.write_bytes(path.read_bytes()[:-9])
        elif isinstance(content, bytes):
            path.write_bytes(content)
        reasons[str(path)] = reason
    return reasons


def written(folder: Path) -> dict[str, bytes]:
    """The files of a data set; without the processes' numbers there is nothing that may differ."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def packed(files: object, folder: Path, **options: object) -> dict[str, bytes]:
    folder.mkdir()
    bulk.run(
        bulk.plan(files, folder / "train.tfrecord", SPEC, **{"shards": 4, "seed": 1, **options})
    )
    return written(folder)


def read(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """What a trainer reads: file -> its features; each file must be there once."""
    pytest.importorskip("tensorflow")
    found: dict[str, dict[str, np.ndarray]] = {}
    (path,) = (p for p in folder.glob("train.tfrecord*.json") if "manifest" not in p.name)
    for batch in tfd.Schema.load(path).dataset(folder / "train-*.tfrecord*", 16):
        for index, file in enumerate(batch.pop("file").numpy()):
            assert os.fsdecode(file) not in found
            found[os.fsdecode(file)] = {key: batch[key][index].numpy() for key in batch}
    return found


def test_every_good_file_is_there_once_and_every_broken_one_is_named(
    good: dict[str, np.ndarray], broken: dict[str, str], tmp_path: Path
) -> None:
    files = packed([*broken, *good, *good], tmp_path / "out")
    manifest = json.loads(files["train.tfrecord.manifest.json"])
    assert {f["file"] for f in manifest["failures"]} == set(broken)
    assert all(broken[f["file"]] in f["error"] for f in manifest["failures"])
    assert manifest["examples"] == len(good)
    assert [shard["shard"] for shard in manifest["shards"]] == [
        f"train-0000{index}-of-00004.tfrecord" for index in range(4)
    ]
    for shard in manifest["shards"]:
        assert hashlib.sha256(files[shard["shard"]]).hexdigest() == shard["sha256"]
    assert len(files) == 4 + 2
    rows = read(tmp_path / "out")
    assert rows.keys() == good.keys()
    assert all(np.array_equal(rows[file]["array"], one) for file, one in good.items())


def test_the_bytes_follow_from_the_plan_alone(good: dict[str, np.ndarray], tmp_path: Path) -> None:
    first = packed(sorted(good), tmp_path / "first")
    assert packed(reversed(list(good)), tmp_path / "reversed") == first
    for name, workers in (("processes", 2), ("threads", ThreadPoolExecutor(3))):
        (tmp_path / name).mkdir()
        plan = bulk.plan(good, tmp_path / name / "train.tfrecord", SPEC, shards=4, seed=1)
        bulk.run(plan, workers)
        assert written(tmp_path / name) == first
    others = [
        packed(good, tmp_path / f"{n}", **o) for n, o in enumerate([{"seed": 2}, {"seed": None}])
    ]
    assert all(other["train-00000-of-00004.tfrecord"] not in first.values() for other in others)


def test_without_a_seed_the_examples_are_in_the_order_of_their_names(
    good: dict[str, np.ndarray], tmp_path: Path
) -> None:
    plan = bulk.plan(reversed(sorted(good)), tmp_path / "train.tfrecord", SPEC, shards=3)
    assert [one.name for shard in plan for one in shard.examples] == sorted(good)
    sizes = [len(shard.examples) for shard in plan]
    assert sum(sizes) == len(good) and max(sizes) - min(sizes) <= 1


def test_a_killed_run_goes_on_with_the_shards_that_are_done(
    good: dict[str, np.ndarray], tmp_path: Path
) -> None:
    whole = packed(good, tmp_path / "whole")
    out = tmp_path / "killed"
    out.mkdir()
    plan = bulk.plan(good, out / "train.tfrecord", SPEC, shards=4, seed=1)
    facts = [plan[index].write() for index in (0, 2, 3)]
    with pytest.raises(tfd.FileError, match="1 of 4 shards are not written, the first is number 1"):
        bulk.finish(plan, facts)
    assert not manifest_path(plan.out).exists()
    plan[2].path.write_bytes(b"cut")  # what a crash of the machine can leave
    (out / ".train-00001-of-00004.tfrecord.0123456789abcdef.tmp").write_bytes(b"half")
    (out / ".train-00001-of-00004.tfrecord.json.0123456789abcdef.tmp").write_bytes(b"half")
    for name in ("-00007-of-00008.tfrecord.json", ".tfrecord.manifest.json.0123456789abcdef.tmp"):
        (out / f".train{name}").write_bytes(b"of an earlier plan")
    (out / ".other.tfrecord.json").write_bytes(b"somebody else's")
    kept = []
    bulk.run(plan, progress=lambda one: kept.append(one["kept"]))
    assert kept == [True, False, False, True]
    assert written(out) == {**whole, ".other.tfrecord.json": b"somebody else's"}
    plan[0].note.write_bytes(b"of a run that was killed after it wrote the manifest")
    bulk.run(plan)
    assert written(out) == {**whole, ".other.tfrecord.json": b"somebody else's"}


@pytest.mark.parametrize("single", [False, True])
def test_a_run_that_finishes_leaves_another_one_in_peace(
    good: dict[str, np.ndarray], tmp_path: Path, single: bool
) -> None:
    out, shards = tmp_path / "train.tfrecord", None if single else 3
    plans = [bulk.plan(good, out, SPEC, shards=shards, single=single) for _ in range(2)]
    seen = 0

    def each(_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == len(good) // 2:  # this run is in the middle of a shard
            bulk.run(plans[1])

    first = bulk.run(plans[0], each=each)
    assert first["examples"] == len(good) and bulk.verify(out)["problems"] == []
    assert not list(tmp_path.glob(".*"))


def test_a_plan_that_fits_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def small(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA max_page_count = 8")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(
        tfd.FileError, match=r"cannot be sorted on disk: .* is full; set SQLITE_TMP"
    ):
        bulk.plan((f"{n}.npy" for n in range(9999)), "train.tfrecord", SPEC, shards=1)


def test_a_worker_that_is_killed_is_named_and_no_half_shard_is_seen(
    good: dict[str, np.ndarray], tmp_path: Path
) -> None:
    program = f"""
import os
from pathlib import Path
from tfdecode import bulk, ArraySpec, FileError
from tfdecode.bulk.output import Output

write = Output.write
def killed(self, data):
    if "00002" in str(self._path) and self.size:
        self._file.flush()
        os.kill(os.getpid(), 9)
    write(self, data)
Output.write = killed

if __name__ == "__main__":
    files = sorted(map(str, Path({str(Path(next(iter(good))).parents[1])!r}).glob("*/*.npy")))
    out = {str(tmp_path / "train.tfrecord")!r}
    plan = bulk.plan(files, out, ArraySpec((8, 6), "uint8"), shards=4)
    try:
        bulk.run(plan, 2)
    except FileError as error:
        print("a worker process ended" in str(error))
"""
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "True\n", done.stderr
    shards = [path.name for path in tmp_path.glob("train-*")]
    assert "train-00002-of-00004.tfrecord" not in shards and shards
    assert not manifest_path(tmp_path / "train.tfrecord").exists()


def test_shards_of_another_plan_are_not_kept(good: dict[str, np.ndarray], tmp_path: Path) -> None:
    out = tmp_path / "train.tfrecord"
    for spec in (SPEC, tfd.ArraySpec((8, 6), "uint8")):
        plan = bulk.plan(good, out, spec, shards=2)
        facts = [shard.write() for shard in plan]
        assert not any(one["kept"] for one in facts)
    other = bulk.plan(good, out, spec, shards=2, seed=3)
    with pytest.raises(tfd.FileError, match="2 of 2 shards are not written"):
        bulk.finish(other, facts)


def test_several_inputs_features_and_gzip(good: dict[str, np.ndarray], tmp_path: Path) -> None:
    files = sorted(good)[:6]
    np.savez(tmp_path / "both.npz", a=np.float32(2.5), b=np.zeros(3))
    schema = tfd.Schema({"label": SPEC, "weight": tfd.ArraySpec((), "float32")})
    both = tmp_path / "both.npz"
    sources = [{"label": file, "weight": (both, "a")} for file in files]
    features = {
        file: {"person": f"p{index}é", "box": [index, -index], "score": index / 4, "raw": b"\xff\0"}
        for index, file in enumerate(files)
    }
    plan = bulk.plan(sources, tmp_path / "train.tfrecord.gz", schema, shards=2, features=features)
    assert plan.features == {
        "box": {"dtype": "int64", "length": 2, "missing": 0},
        "person": {"dtype": "string", "length": None, "missing": 0},
        "raw": {"dtype": "string", "length": None, "missing": 0},
        "score": {"dtype": "float32", "length": None, "missing": 0},
    }
    bulk.run(plan)
    rows = read(tmp_path)
    assert rows.keys() == set(files)
    for index, file in enumerate(files):
        row = rows[file]
        assert np.array_equal(row["label"], good[file]) and row["weight"] == 2.5
        assert row["person"] == f"p{index}é".encode() and row["box"].tolist() == [index, -index]
        assert row["score"] == index / 4 and row["raw"] == b"\xff\0"


def test_shards_are_reckoned_from_the_size_of_the_examples(
    good: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tfd.ArraySpec((8, 6), "uint8")
    assert len(bulk.plan(good, tmp_path / "train.tfrecord", spec)) == 1
    monkeypatch.setattr("tfdecode.bulk.plans.SHARD_BYTES", 1000)
    plan = bulk.plan(good, tmp_path / "train.tfrecord", spec)
    assert 3 <= len(plan) <= 10  # 40 examples of 48 bytes, and their names


def test_values_are_converted_as_casting_allows(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((8, 6)))
    np.save(tmp_path / "b.npy", np.full((8, 6), 1.5))
    files, out = [tmp_path / "a.npy", tmp_path / "b.npy"], tmp_path / "train.tfrecord"
    exact = bulk.run(bulk.plan(files, out, SPEC))
    assert [Path(f["file"]).name for f in exact["failures"]] == ["b.npy"]
    assert 'casting="unsafe", truncates' in exact["failures"][0]["error"]
    assert bulk.run(bulk.plan(files, out, SPEC, casting="unsafe"))["failures"] == []


def test_a_run_of_which_nothing_can_be_packed_is_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((8, 5)))
    plan = bulk.plan([tmp_path / "a.npy", "gone.npy"], tmp_path / "train.tfrecord", SPEC)
    with pytest.raises(tfd.FileError, match="none of the 2 files could be packed; the first"):
        bulk.run(plan)
    assert not manifest_path(plan.out).exists()


def test_a_shard_can_be_pickled(good: dict[str, np.ndarray], tmp_path: Path) -> None:
    shard = bulk.plan(good, tmp_path / "train.tfrecord", SPEC, shards=2)[1]
    assert pickle.loads(pickle.dumps(shard)) == shard


WRONG = {
    "there are no files": dict(files=[]),
    "needs a name with .tfrecord": dict(out="train.npz"),
    "5 shards are more than the 2 examples": dict(shards=5),
    "shards is 0": dict(shards=0),
    "has the name of the feature": dict(name="file"),
    "an example has files for": dict(files=[{"other": "a.npy"}]),
    "feature x is int64 for a.npy, but string for b.npy": dict(
        features={"a.npy": {"x": 1}, "b.npy": {"x": "1"}}
    ),
    "feature x holds NoneType": dict(features={"a.npy": {"x": None}}),
    "feature x: a whole number does not fit int64": dict(features={"a.npy": {"x": 2**63}}),
    "feature x: a number does not fit float32": dict(features={"a.npy": {"x": 1e300}}),
    "no examples; an example is named 'a.npy'": dict(features={"./a.npy": {"x": 1}}),
    "files is 'a.npy', needs a list": dict(files="a.npy"),
    "has the name of an input": dict(features={"a.npy": {"array_bytes": 1}}),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_plans_are_refused(message: str) -> None:
    given = {"files": ["a.npy", "b.npy"], "out": "train.tfrecord", "schema": SPEC, **WRONG[message]}
    with pytest.raises(tfd.TfdecodeError, match=message):
        bulk.plan(**given)


def test_a_name_with_two_sets_of_files_is_refused(tmp_path: Path) -> None:
    schema = tfd.Schema({"a": SPEC, "b": SPEC})
    files = [{"a": "1.npy", "b": "2.npy"}, {"a": "1.npy", "b": "3.npy"}]
    with pytest.raises(tfd.SpecError, match=r"1\.npy is given twice"):
        bulk.plan(files, tmp_path / "train.tfrecord", schema)


def test_files_that_cannot_be_packed_are_not_held_in_memory(tmp_path: Path) -> None:
    large = np.full((2**18,), 0.5)
    np.save(tmp_path / "00.npy", large)
    for index in range(1, 20):
        os.link(tmp_path / "00.npy", tmp_path / f"{index:02d}.npy")
    np.save(tmp_path / "good.npy", np.zeros(2**18, "uint8"))
    files, spec = sorted(tmp_path.glob("*.npy")), tfd.ArraySpec((2**18,), "uint8")
    plan = bulk.plan(files, tmp_path / "train.tfrecord", spec, shards=1)
    tracemalloc.start()
    try:
        assert len(plan[0].write()["failures"]) == 20
        assert tracemalloc.get_traced_memory()[1] < 8 * large.nbytes
    finally:
        tracemalloc.stop()


def test_a_file_that_changes_while_its_shard_is_written_is_packed_again(tmp_path: Path) -> None:
    files = [tmp_path / f"{index}.npy" for index in range(2)]
    for index, path in enumerate(files):
        np.save(path, np.full((8, 6), index, "uint8"))
    spec = tfd.ArraySpec((8, 6), "uint8", "raw")
    plan = bulk.plan(files, tmp_path / "train.tfrecord", spec, shards=1)

    def change(_: object) -> None:
        time.sleep(0.05)  # the clock of a file system is coarse
        np.save(files[0], np.full((8, 6), 9, "uint8"))

    bulk.run(plan, each=change)
    bulk.run(plan)
    data = (tmp_path / "train-00000-of-00001.tfrecord").read_bytes()
    assert bytes([9] * 48) in data and bytes(48) not in data


def test_two_plans_at_once_make_no_mixture(tmp_path: Path) -> None:
    """Their shards have the same names, and here the same sizes."""
    files = [tmp_path / f"{index}.npy" for index in range(8)]
    for index, path in enumerate(files):
        np.save(path, np.full((8, 6), index, "uint8"))
    spec, out = tfd.ArraySpec((8, 6), "uint8", "raw"), tmp_path / "train.tfrecord"
    plan, other = (bulk.plan(files, out, spec, shards=2, seed=seed) for seed in (1, 2))

    def write_other(facts: bulk.Facts) -> None:
        time.sleep(0.05)  # the clock of a file system is coarse
        other[facts["index"]].write()

    with pytest.raises(tfd.FileError, match="was changed after it was written, perhaps by another"):
        bulk.run(plan, progress=write_other)
    assert not manifest_path(out).exists()
    with ThreadPoolExecutor(2) as threads:  # two runs of one plan do no harm
        facts = [*threads.map(bulk.Shard.write, [*plan, *plan])]
    assert bulk.finish(plan, facts[:2])["examples"] == 8
    assert not bulk.verify(out)["problems"]
