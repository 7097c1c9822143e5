"""pack --tfrecord --shards: from a directory of files to a data set, on several cores."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from rich.filesize import decimal
from rich.progress import Progress

import tfdecode as tfd
from tests.bulk.test_spark import Session
from tfdecode import bulk
from tfdecode.cli import main
from tfdecode.cli.tfrecord import bars

OUT = "out/train.tfrecord"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Twenty maps, of which one is damaged and one has another shape, and a table of labels."""
    monkeypatch.chdir(tmp_path)
    Path("maps/b").mkdir(parents=True)
    Path("out").mkdir()
    rows = ["file,label,weight,person"]
    for index in range(20):
        path = f"maps/{'b/' * (index % 2)}{index:02d}.npy"
        np.save(path, np.full((6, 4) if index != 7 else (5, 4), index, "uint8"))
        rows.append(f"{index:02d}.npy,{index % 3},{index / 4},p{index}é")
    Path("maps/12.npy").write_bytes(b"<html>")
    Path("labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


COMMAND = ["pack", "maps", "--tfrecord", OUT, "--name", "depth"]


def test_shards_with_labels(capsys) -> None:
    options = ["--shards", "3", "--workers", "2", "--seed", "1", "--features", "labels.csv"]
    assert main([*COMMAND, *options]) == 1
    out, err = capsys.readouterr()
    assert "18 examples in 3 shards, of depth_bytes, uint8 [6,4]" in out
    assert "maps/12.npy" in err and "maps/b/07.npy" in err and "Traceback" not in err
    assert sorted(path.name for path in Path("out").iterdir()) == [
        *(f"train-0000{index}-of-00003.tfrecord" for index in range(3)),
        "train.tfrecord.json",
        "train.tfrecord.manifest.json",
    ]
    tf = pytest.importorskip("tensorflow")
    seen = set()
    for batch in tfd.Schema.load(f"{OUT}.json").dataset("out/train-*.tfrecord", 5):
        assert batch["label"].dtype == tf.int64 and batch["weight"].dtype == tf.float32
        for depth, label, weight, person in zip(
            *(batch[key].numpy() for key in ("depth", "label", "weight", "person")), strict=True
        ):
            index = int(depth[0, 0])
            assert (label, weight) == (index % 3, index / 4)
            assert person == f"p{index}é".encode()
            seen.add(index)
    assert seen == set(range(20)) - {7, 12}


def test_a_second_run_keeps_what_is_there(capsys) -> None:
    assert main([*COMMAND, "--shards", "2", "--json"]) == 1
    manifest = json.loads(capsys.readouterr().out)
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    assert [shard["examples"] for shard in manifest["shards"]] == [9, 9]
    assert len(manifest["failures"]) == 2
    times = {path: path.stat().st_mtime_ns for path in before}
    assert main([*COMMAND, "--shards", "2"]) == 1
    out, err = capsys.readouterr()
    assert "18 were there already" in out and "maps/12.npy" in err
    assert "not tried again; to try them, remove out/train.tfrecord.manifest.json" in err
    assert {path: path.stat().st_mtime_ns for path in Path("out").iterdir()} == times
    Path("out/train-00001-of-00002.tfrecord").write_bytes(b"cut")
    assert main([*COMMAND, "--shards", "2"]) == 1
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.mark.parametrize("finished", [True, False])
def test_what_was_made_of_a_changed_file_is_made_again(finished: bool, capsys) -> None:
    Path("in").mkdir()
    for index in range(4):
        np.save(f"in/{index}.npy", np.full((2, 3), index, "uint8"))
    command = ["pack", "in", "--tfrecord", OUT, "--shards", "2"]
    plan = bulk.plan(
        [f"in/{n}.npy" for n in range(4)], OUT, tfd.ArraySpec((2, 3), "uint8"), shards=2
    )
    assert main(command) == 0 if finished else [shard.write() for shard in plan]
    capsys.readouterr()
    np.save("in/3.npy", np.full((2, 3), 9, "uint8"))
    later = time.time_ns() + 10**9
    os.utime("in/3.npy", ns=(later, later))
    bulk.run(plan) if not finished else main(command)
    assert "were there already" not in capsys.readouterr().out
    data = Path("out/train-00001-of-00002.tfrecord").read_bytes()
    assert bytes([9] * 6) in data and bytes([3] * 6) not in data


def test_shards_of_another_number_are_named(capsys) -> None:
    assert main([*COMMAND, "--shards", "2"]) == 1
    capsys.readouterr()
    assert main([*COMMAND, "--shards", "3"]) == 1
    said = "note: 2 shards of an earlier run with another --shards are next to it, the first is "
    assert f"{said}train-00000-of-00002.tfrecord" in capsys.readouterr().err


def test_all_arrays_of_a_file_are_in_its_example() -> None:
    for index in range(6):
        np.savez(f"out/{index}.npz", a=np.full((2, 3), index, "uint8"), b=np.float32(index / 4))
    Path("meta.csv").write_text("file,label\n" + "".join(f"{i}.npz,{i}\n" for i in range(6)))
    options = ["--tfrecord", OUT, "--shards", "2", "--features", "meta.csv"]
    assert main(["pack", *(f"out/{index}.npz" for index in range(6)), *options]) == 0
    pytest.importorskip("tensorflow")
    (batch,) = tfd.Schema.load(f"{OUT}.json").dataset("out/train-*.tfrecord", 6)
    order = np.argsort(batch["label"].numpy())
    assert batch["file"].numpy()[order].tolist() == [b"out/%d.npz" % i for i in range(6)]
    np.testing.assert_array_equal(batch["a"].numpy()[order, 1, 2], range(6))
    np.testing.assert_array_equal(batch["b"].numpy()[order] * 4, range(6))


def test_the_number_of_shards_is_reckoned(capsys) -> None:
    assert main([*COMMAND, "--workers", "1"]) == 1
    assert "in 1 shard, of" in capsys.readouterr().out
    assert Path("out/train-00000-of-00001.tfrecord").exists()


def test_values_are_converted() -> None:
    np.save("one.npy", np.ones((6, 4)))
    command = ["pack", "one.npy", "--tfrecord", OUT, "--shards", "1"]
    assert main([*command, "--dtype", "uint8"]) == 0
    assert tfd.Schema.load(f"{OUT}.json")["array"].dtype == "uint8"


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("file,label\n00.npy,1\n", "has no row for maps/02.npy; column 'file' has file names; "),
        ("file,label\n00.npy,1\n00.npy,2\n", "has two rows for 00.npy"),
        ("file,label\n00.npy\n", "line 2 has another number of cells"),
        ("file,label,label\n00.npy,1,1\n", "two columns of one name"),
        ("file\n", "needs a header"),
        ("", "needs a header"),
    ],
)
def test_tables_that_do_not_fit(capsys, table: str, reason: str) -> None:
    Path("meta.csv").write_text(table)
    assert main([*COMMAND, "--shards", "2", "--features", "meta.csv"]) == 1
    assert reason in capsys.readouterr().err
    assert not list(Path("out").iterdir())


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        (["pack", "maps", "--shards", "2"], "--shards"),
        ([*COMMAND, "--shards", "0"], "--shards"),
        ([*COMMAND, "--shards", "2", "--explain"], "--explain"),
    ],
)
def test_wrong_options(capsys, wrong: list[str], option: str) -> None:
    assert main(wrong) == 2
    assert f"argument {option}: " in capsys.readouterr().err


def test_spark_writes_shards(monkeypatch, capsys) -> None:
    stub = Session()
    monkeypatch.setattr("tfdecode.cli.tfrecord.session", lambda master: nullcontext(stub))
    assert main([*COMMAND, "--shards", "3", "--spark", "local[2,4]"]) == 1
    out, err = capsys.readouterr()
    assert "18 examples in 3 shards" in out and "maps/12.npy" in err and stub.jobs
    assert bulk.verify(OUT)["problems"] == []


def test_spark_alone_asks_for_shards_and_its_absence_is_told(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    assert main([*COMMAND, "--spark", "local[2]"]) == 1
    assert "install tfdecode with its extra 'spark'" in capsys.readouterr().err
    assert main([*COMMAND, "--spark", "local[2]", "--workers", "2"]) == 2
    assert "--workers: not allowed with argument --spark" in capsys.readouterr().err


def test_progress_counts_files_bytes_and_failures() -> None:
    files = sorted(str(path) for path in Path("maps").rglob("*.npy"))
    plan = bulk.plan(files, OUT, tfd.ArraySpec((6, 4), "uint8"), shards=2)
    shown, done, seen = Progress(disable=True), [], []
    progress, each = bars(shown, plan, done)

    def both(failure) -> None:
        each(failure)
        seen.append((shown.tasks[0].completed, shown.tasks[0].description))

    bulk.run(plan, 1, progress, both)
    assert [completed for completed, _ in seen] == list(range(1, 21)) and len(done) == 2
    assert seen[0][1] == "tfdecode pack: shard 0 of 2, 0 bytes, 0 failed"
    assert "shard 1 of 2, " in seen[-1][1] and seen[-1][1].endswith(" 2 failed")
    size = decimal(sum(one["bytes"] for one in done))
    text = f"tfdecode pack: shard 2 of 2, {size}, 2 failed"
    assert (shown.tasks[0].completed, shown.tasks[0].description) == (20, text)
