"""pack --input: an example of several files, joined by what their patterns leave open."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import tfdecode as tfd
from tfdecode import bulk
from tfdecode.bulk.record import features_of
from tfdecode.cli import main

OUT = "train.tfrecord"
POSE, MAP = "pose=poses/{}.npy", "map=maps/{}.mat"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six poses and maps, and another of each without a partner."""
    monkeypatch.chdir(tmp_path)
    Path("poses").mkdir()
    Path("maps").mkdir()
    for index in range(7):
        np.save(f"poses/{index}.npy", np.full((4, 3), index, "float32"))
        savemat(f"maps/{index + 1}.mat", {"labels": np.full((5, 2), index + 1, "uint8")})
    return tmp_path


def pack(*arguments: str, status: int = 0) -> None:
    assert main(["pack", "--tfrecord", OUT, *arguments]) == status


def examples() -> dict[str, tuple[float, int]]:
    """The file of each example, a value of the pose and one of the map."""
    schema = tfd.Schema.load(f"{OUT}.json")
    assert list(schema) == ["pose", "map"]
    found, data = {}, Path(OUT).read_bytes()
    while data:
        end = 12 + int.from_bytes(data[:8], "little")
        row = features_of(data[12:end])
        values = (schema[name].decode(row[f"{name}_bytes"][0])[1, 1].item() for name in schema)
        found[row["file"][0].decode()], data = tuple(values), data[end + 4 :]
    return found


BOTH = {f"poses/{index}.npy": (index, index) for index in range(1, 7)}


@pytest.mark.parametrize("key", ["", "#labels"])
def test_files_are_joined_and_those_without_a_partner_are_named(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pack("--input", POSE, "--input", f"{MAP}{key}", status=1)
    assert examples() == BOTH
    out, err = capsys.readouterr()
    assert "6 examples of pose_bytes, float32 [4,3] by" in out and "map_bytes, uint8 [5,2]" in out
    assert err.splitlines()[:2] == [
        "note: 1 of 8 examples have no file for map, the first is maps/0.mat; they are left out",
        "note: 1 of 8 examples have no file for pose, the first is poses/7.npy; they are left out",
    ]
    failures = json.loads(Path(f"{OUT}.manifest.json").read_text())["failures"]
    assert [one["file"] for one in failures] == ["poses/0.npy", "poses/7.npy"]
    assert "maps/0.mat: cannot be read: No such file" in err
    assert bulk.verify(OUT, every=True)["problems"] == []


def test_a_wildcard_says_which_examples_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    Path("poses/0.npy").unlink()
    pack("--input", "pose=poses/*.npy", "--input", MAP)
    assert examples() == BOTH and not capsys.readouterr().err


@pytest.mark.parametrize("line", ["{}", "poses/{}.npy", "maps/{}.mat"])
@pytest.mark.parametrize("source", ["list", "-"])
def test_a_list_has_stems_or_files(line: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(line.replace("{}", str(index)) + "\n" for index in (2, 5))
    Path("list").write_text(text)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    pack("--input", POSE, "--input", MAP, "--files-from", source)
    assert examples() == {name: BOTH[name] for name in ("poses/2.npy", "poses/5.npy")}


def test_a_schema_of_all_inputs_is_given() -> None:
    specs = {"map": tfd.ArraySpec((5, 2), "int16"), "pose": tfd.ArraySpec((4, 3), "float64")}
    tfd.Schema({**specs, "other": specs["map"]}).save("schema.json")
    pack("--input", "pose=poses/[1-6].npy", "--input", MAP, "--spec", "schema.json")
    assert examples() == BOTH
    assert tfd.Schema.load(f"{OUT}.json") == specs
    Path("spec.json").write_text(specs["map"].to_json())
    pack("--input", MAP, "--spec", "spec.json", status=1)


def test_rows_features_and_shards() -> None:
    np.save("poses/all.npy", np.zeros((9, 4, 3), "float32"))
    np.save("maps/all.npy", np.arange(9))
    both = ["--input", "pose=poses/all.npy", "--input", "map=maps/{}.npy", "--files-from", "list"]
    Path("list").write_text("all\n")
    Path("meta.csv").write_text("file,x\n" + "".join(f"all.npy#{i},{i}\n" for i in range(9)))
    more = ["--split-axis", "0", "--features", "meta.csv", "--shards", "2"]
    assert main(["pack", "--tfrecord", OUT, *both, *more]) == 0
    found = bulk.verify(OUT, every=True)
    assert (found["decoded"], found["problems"]) == (9, [])


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["--input", "pose"], 2, "'pose' is not NAME=PATTERN"),
        (["--input", "a\nb=x/{}.npy"], 2, "input name"),
        (["--input", "file=poses/{}.npy"], 2, "is the feature of the file names"),
        (["--input", POSE, "--input", POSE], 2, "pose is given twice"),
        (["--input", "pose=s3://b/{}.npy"], 2, "is a URL, needs files of this machine"),
        (["--input", POSE, "poses/1.npy"], 2, "FILE: not allowed with argument --input"),
        (["--input", POSE, "--name", "x"], 2, "--name: not allowed with argument --input"),
        (["--input", "pose=poses/*.npy", "--files-from", "list"], 2, "each pattern needs {}"),
        (["--input", "pose=poses/{}.pkl"], 1, "poses/{}.pkl: no file of pose matches"),
        (["--input", "pose=poses/*.npy", "--input", "map=no/{}.mat"], 1, "no example has a file"),
        (["--input", POSE, "--spec", "schema.json"], 1, "schema.json: has no input pose; it has x"),
    ],
)
def test_what_is_refused(
    arguments: list[str], status: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tfd.Schema({"x": tfd.ArraySpec((4, 3), "float32")}).save("schema.json")
    Path("list").write_text("1\n")
    pack(*arguments, status=status)
    assert reason in capsys.readouterr().err
    assert not Path(OUT).exists()
