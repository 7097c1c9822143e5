"""verify: a data set is what its manifest says, or the shard that is not is named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode import bulk
from tfdecode.bulk.record import example, record
from tfdecode.cli import main

SCHEMA = tfd.Schema({"array": tfd.ArraySpec((3,), "int32", "zlib")})


@pytest.fixture(params=["train.tfrecord", "train.tfrecord.gz"])
def out(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Ten examples in three shards."""
    for index in range(10):
        np.save(tmp_path / f"{index}.npy", np.full(3, index, "int32"))
    files = sorted(map(str, tmp_path.glob("*.npy")))
    labels = {file: {"label": index} for index, file in enumerate([*files, "gone.npy"])}
    path = tmp_path / request.param
    bulk.run(bulk.plan([*files, "gone.npy"], path, SCHEMA, shards=3, features=labels))
    return path


def shard(out: Path) -> Path:
    return sorted(out.parent.glob("train-*"))[1]


def replaced(out: Path, data: bytes, **facts: object) -> None:
    """Put other bytes into a shard, with a manifest that says so."""
    shard(out).write_bytes(data)
    path = Path(f"{out}.manifest.json")
    manifest = json.loads(path.read_text())
    sha256 = hashlib.sha256(data).hexdigest()
    manifest["shards"][1] |= {"bytes": len(data), "sha256": sha256, **facts}
    for key in ("examples", "bytes"):
        manifest[key] = sum(one[key] for one in manifest["shards"])
    path.write_text(json.dumps(manifest))


def test_a_whole_data_set(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = bulk.verify(f"{out}.manifest.json")
    assert (found["examples"], found["shards"], found["problems"]) == (10, 3, [])
    assert (found["decoded"], found["failures"]) == (6, 1)
    read: list[int] = []
    assert bulk.verify(out, every=True, progress=read.append)["decoded"] == 10
    assert sum(read) == found["bytes"]
    assert main(["verify", str(out)]) == 0
    said, err = capsys.readouterr()
    assert "10 examples in 3 shards" in said and "6 were decoded" in said
    assert err == "note: 1 files could not be packed; the manifest lists them\n"
    assert main(["verify", str(out), "--json", "--all"]) == 0
    assert json.loads(capsys.readouterr().out)["decoded"] == 10


def test_a_changed_a_cut_and_a_missing_shard(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = shard(out)
    data = path.read_bytes()
    reason = "has another SHA-256 than the manifest says, so it is damaged or changed"
    for place in (3, 20, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        (problem,) = bulk.verify(out)["problems"]
        assert problem == {"file": str(path), "problem": reason}
    path.write_bytes(data[:-1])
    assert main(["verify", str(out)]) == 1
    size = f"has {len(data) - 1} bytes, the manifest says {len(data)}"
    assert capsys.readouterr().err.splitlines()[-1] == f"tfdecode verify: {path}: {size}"
    path.unlink()
    assert "No such file" in bulk.verify(out)["problems"][0]["problem"]


def test_a_manifest_of_wrong_examples(out: Path) -> None:
    if out.suffix == ".gz":
        pytest.skip("the same")
    features = {
        "array_bytes": SCHEMA["array"].encode(np.zeros(3, "int32")),
        "file": "a",
        "label": 1,
    }
    good = record(example(features))
    payload = b"x" * len(features["array_bytes"])
    wrong = {
        "example 2, input array: payload": good
        + record(example({**features, "array_bytes": payload})),
        "example 1, input array: has no payload": record(example({"file": "a", "label": 1})),
        "example 1: has no feature label": record(
            example({key: features[key] for key in ("array_bytes", "file")})
        ),
        "example 1: is not a tf.train.Example": record(b"\xff\xff"),
        "is no TFRecord file, or cut": good + good[:-1],
        "has 2 examples, the manifest says 1": good + good,
    }
    for reason, data in wrong.items():
        replaced(out, data, examples=1)
        (problem,) = bulk.verify(out)["problems"]
        assert reason in problem["problem"]
    replaced(out, good, examples=1)
    assert bulk.verify(out)["problems"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"shards": []}, {"failures": 1}, {"features": [1]}, {"features": {"label": 1}},
        {"examples": 10.0}, {"bytes": -1}, {"shard": ""}, {"shard": "."}, {"shard": 3},
        {"shard": "train", "examples": "a", "bytes": "b"},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_that_says_no_numbers_or_names(change: dict[str, object], out: Path) -> None:
    path = Path(f"{out}.manifest.json")
    manifest = json.loads(path.read_text())
    (manifest["shards"][0] if "shard" in change else manifest).update(change)
    path.write_text(json.dumps(manifest))
    with pytest.raises(tfd.FileError, match="is not the manifest of a data set"):
        bulk.verify(out)


def test_the_sums_of_a_manifest(out: Path) -> None:
    path = Path(f"{out}.manifest.json")
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"bytes": 5, "examples": 11}))
    problems = [one["problem"] for one in bulk.verify(out)["problems"]]
    assert problems == [
        "says 11 examples, but its shards have 10",
        f"says 5 bytes, but its shards have {manifest['bytes']}",
    ]


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"shards": [{"shard": "../x", "sha256": ""}]}', "[" * 10**5]
)
def test_what_is_no_manifest(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.tfrecord.manifest.json").write_text(text)
    assert main(["verify", str(tmp_path / "x.tfrecord")]) == 1
    assert "is not the manifest of a data set" in capsys.readouterr().err


def test_shards_of_another_number_are_found(out: Path) -> None:
    number, suffix = "train-00000-of-00007", out.name.removeprefix("train")
    for name in (f"{number}{suffix}", out.name, f"x{number}{suffix}", f"{number}.png"):
        (out.parent / name).touch()
    found = [(Path(one["file"]).name, one["problem"]) for one in bulk.verify(out)["problems"]]
    assert [name for name, _ in found] == [f"{number}{suffix}", out.name]
    assert all("is not one of the shards" in problem for _, problem in found)


def test_a_shard_names_its_data_set_and_another_file_none(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bulk.verify(shard(out))["examples"] == 10
    assert main(["verify", str(out.parent / "1.npy")]) == 1
    _, err = capsys.readouterr()
    assert err.endswith("verify needs a data set that pack --tfrecord wrote\n")
