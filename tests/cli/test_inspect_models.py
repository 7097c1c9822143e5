"""inspect on SavedModels: signatures with TensorFlow, byte inputs without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tfdecode as tfd
from tfdecode.cli import main

tf = pytest.importorskip("tensorflow")

SPEC = tfd.ArraySpec((2, 3), "float32", "astype:uint8|zlib")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The base path of a model with one version."""
    path = tmp_path_factory.mktemp("models") / "model"
    inputs = {"pose": SPEC, "image_bytes": tf.TensorSpec([None], tf.string)}

    def sums(pose, image_bytes):
        return {"sum": tf.reduce_sum(pose, [1, 2]), "file": image_bytes}

    tfd.export(sums, path, inputs=inputs)
    return path


@pytest.fixture
def model(made: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy of it in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, "model")
    return Path("model")


def facts(capsys, path: str, status: int = 0) -> dict[str, Any]:
    assert main(["inspect", path, "--json"]) == status
    [found] = json.loads(capsys.readouterr().out)
    return dict(found)


@pytest.mark.parametrize("path", ["model", "model/1", "model/1/saved_model.pb"])
def test_signatures_and_byte_inputs(path: str, model: Path, capsys) -> None:
    found = facts(capsys, path)
    assert (found["kind"], found["directory"], found["tags"]) == ("model", "model/1", ["serve"])
    signatures = {signature["name"]: signature for signature in found["signatures"]}
    assert set(signatures) == {"serving_default", "arrays", "tfdecode_schema"}
    assert signatures["serving_default"]["inputs"] == [
        {"name": "image_bytes", "dtype": "string", "shape": [None]},
        {"name": "pose_bytes", "dtype": "string", "shape": [None]},
    ]
    assert signatures["arrays"]["outputs"] == [
        {"name": "file", "dtype": "string", "shape": [None]},
        {"name": "sum", "dtype": "float32", "shape": [None]},
    ]
    assert [(spec["name"], spec["fingerprint"]) for spec in found["inputs"]] == [
        ("pose", SPEC.fingerprint)
    ]


def test_a_model_is_told_in_lines(model: Path, capsys) -> None:
    assert main(["inspect", "model"]) == 0
    out, err = capsys.readouterr()
    told = out.splitlines()
    assert not err and told[0] == (
        f"model  a SavedModel, model/1 tagged serve, written by TensorFlow {tf.__version__}"
    )
    assert ["serving_default", "input", "pose_bytes", "string", "[None]"] in [
        line.split() for line in told
    ]
    assert "input pose  float32 [2,3], payload key pose_bytes" in told


def test_a_model_without_a_schema(model: Path, capsys) -> None:
    shutil.rmtree("model/1/assets.extra")
    assert facts(capsys, "model")["inputs"] is None
    assert main(["inspect", "model"]) == 0
    assert "no schema of byte inputs" in capsys.readouterr().out


def test_a_damaged_schema_does_not_hide_the_signatures(model: Path, capsys) -> None:
    Path("model/1/assets.extra/tfdecode.json").write_text("{")
    found = facts(capsys, "model", status=1)
    assert len(found["signatures"]) == 3
    assert found["error"].startswith("model/1/assets.extra/tfdecode.json: schema is no JSON")


@pytest.mark.parametrize("data", [b"", b"\xff" * 100, b"\x12\x03abc"])
def test_a_damaged_protobuf_does_not_hide_the_byte_inputs(data, model: Path, capsys) -> None:
    Path("model/1/saved_model.pb").write_bytes(data)
    found = facts(capsys, "model", status=1 if data else 0)
    assert [spec["name"] for spec in found["inputs"]] == ["pose"]
    assert ("is damaged" in found["error"]) if data else found["signatures"] == []


def test_names_in_a_model_never_steer_the_terminal(model: Path, capsys) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    path = Path("model/1/saved_model.pb")
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    meta = proto.meta_graphs[0]
    meta.meta_info_def.tensorflow_version = "\x1b[31m"
    meta.signature_def["\x1b[2J\n"].inputs["\x1b[m"].dtype = 999
    meta.signature_def["\x1b[2J\n"].inputs["\x1b[m"].tensor_shape.unknown_rank = True
    path.write_bytes(proto.SerializeToString())
    assert main(["inspect", "model"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "unknown dtype 999  any" in out


def test_without_tensorflow_the_byte_inputs_are_told(model: Path) -> None:
    script = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from tfdecode.cli import main; sys.exit(main(['inspect', 'model']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(tfd.__file__).parents[1])}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert not done.stderr
    assert "note: signatures are not read: tensorflow is not installed; install" in done.stdout
    assert "input pose  float32 [2,3], payload key pose_bytes" in done.stdout
