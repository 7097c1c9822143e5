"""export of several signatures over one set of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tfdecode.cli import main
from tfdecode.client import InProcess, request
from tfdecode.saved_models.session import ServingSession
from tfdecode.saved_models.warmup import ASSET as WARMUP

X = tfd.ArraySpec((8,), "float32", "zlib", label="x")
Z = tfd.ArraySpec((4,), "float32", label="z")
ROW = np.arange(8, dtype=np.float32)


class AutoEncoder(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(np.ones((8, 4), np.float32))

    def encode(self, x: Any) -> Any:
        return {"z": x @ self.weights}

    def decode(self, z: Any) -> Any:
        return {"x": z @ tf.transpose(self.weights)}


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = AutoEncoder()
    with pytest.warns(UserWarning, match="no signature is named serving_default, so every"):
        return tfd.export(
            {"encode": model.encode, "decode": model.decode},
            tmp_path_factory.mktemp("several"),
            {"encode": {"x": X}, "decode": {"z": Z}},
            {"encode": {"z": Z}},
            sample={"decode": {"z": np.ones(4, np.float32)}},
        )


def test_each_signature_has_its_inputs_and_the_variables_are_saved_once(version: Path) -> None:
    with ServingSession(version) as session:
        keys = {name: (list(i), list(o)) for name, (i, o) in session.signatures.items()}
        code = session.run("encode", {"x_bytes": [X.encode(ROW)]})["z_bytes"]
        assert session.run("encode_arrays", {"x": ROW[None]})["z"].tolist() == [[28.0] * 4]
        back = session.run("decode", {"z_bytes": code})["x"]
        assert session.run("decode_arrays", {"z": [[28.0] * 4]})["x"].tolist() == back.tolist()
    assert back.tolist() == [[112.0] * 8]
    assert keys == {
        "encode": (["x_bytes"], ["z_bytes"]),
        "encode_arrays": (["x"], ["z"]),
        "decode": (["z_bytes"], ["x"]),
        "decode_arrays": (["z"], ["x"]),
        "tfdecode_schema": (["batch"], ["schema"]),
    }
    saved = tf.train.list_variables(str(version / "variables" / "variables"))
    assert [shape for name, shape in saved if shape == [8, 4]] == [[8, 4]]


def test_clients_choose_by_the_name_of_a_signature(version: Path) -> None:
    with InProcess(version, "encode") as client:
        assert client.schema.outputs == {"z": Z}
        code = client.predict({"x": ROW})["z"]
    with InProcess(version, "decode") as client:
        assert dict(client.schema) == {"z": Z}
        assert client.predict({"z": code[0]})["x"].tolist() == [[112.0] * 8]
    with InProcess(version, "decode_arrays") as client:
        assert client.predict({"z": code})["x"].tolist() == [[112.0] * 8]
    schema = tfd.Schema.load(version)
    body = json.loads(request(schema, {"z": code[0]}, signature="decode"))
    assert body["signature_name"] == "decode" and list(body["inputs"]) == ["z_bytes"]
    with pytest.raises(tfd.SpecError, match="no signature 'serving_default'"):
        request(schema, {"z": code[0]})


def test_the_commands_choose_a_signature(
    version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "z.npy", np.ones(4, np.float32))
    z = f"z={tmp_path / 'z.npy'}"
    for words, said in (
        (["schema", version], "signature encode of several; see --signature decode"),
        (["schema", version, "--signature", "decode"], "z_bytes"),
        (["request", version, z, "--signature", "decode"], '"signature_name":"decode"'),
        (["predict", version, z, "--signature", "decode"], "float32"),
        (["inspect", version], "input z of decode"),
        (["pack", tmp_path / "z.npy", "--spec", f"{version}#z", "-o", tmp_path / "z.tfd"], ""),
    ):
        assert main([str(word) for word in words]) == 0
        assert said in capsys.readouterr().out
    assert main(["schema", str(version), "--signature", "decod"]) == 1
    assert "did you mean 'decode'?" in capsys.readouterr().err


def test_the_warm_up_has_a_record_of_each_signature(version: Path) -> None:
    records = [r.numpy() for r in tf.data.TFRecordDataset(str(version / WARMUP))]
    assert [b"encode" in r for r in records] == [True, False]
    assert np.ones(4, np.float32).tobytes() in records[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": {"encode": {"x": X}}}, "inputs is empty"),
        ({"inputs": {"encod": {"x": X}}}, r"inputs has no signature 'encod' \(did you mean"),
        ({"inputs": {"encode": {"x": X}, "decode": X}}, "inputs is ArraySpec, needs a dict"),
        ({"outputs": {"z": Z}}, "outputs has no signature 'z'"),
        ({"warmup": [{}]}, "so warmup needs a dict by signature"),
        ({"warmup": {"encode": None}}, "warmup is NoneType, needs True, False or a list"),
        ({"signature": "encode"}, "the names of several are their keys"),
        ({"cast": {"decode": {"z": "float23"}}}, "cast of z: dtype"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = AutoEncoder()
    given = {"inputs": {"encode": {"x": X}, "decode": {"z": Z}}, **options}
    models = {"encode": model.encode, "decode": model.decode}
    with pytest.raises(tfd.ExportError, match=message):
        tfd.export(models, tmp_path, **given)


def test_models_without_a_name_are_refused(tmp_path: Path) -> None:
    for models, message in (
        ({}, "model is an empty dict"),
        ({1: AutoEncoder().encode}, "signature 1 needs a name"),
    ):
        with pytest.raises(tfd.ExportError, match=message):
            tfd.export(models, tmp_path, {name: {"x": X} for name in models})
    with pytest.raises(tfd.ExportError, match="signature None needs a name"):
        tfd.export(AutoEncoder().encode, tmp_path, {"x": X}, signature=None)


def test_two_signatures_of_one_name_are_refused(tmp_path: Path) -> None:
    models = {"encode": AutoEncoder().encode, "encode_arrays": AutoEncoder().encode}
    inputs = {name: {"x": X} for name in models}
    with pytest.raises(tfd.ExportError, match="two signatures would be named 'encode_arrays'"):
        tfd.export(models, tmp_path, inputs)


def test_more_records_than_a_server_takes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(tfd.ExportError, match="1001 warm-up requests, a server takes at most 1000"):
        tfd.export(AutoEncoder().encode, tmp_path, {"x": X}, warmup=[{"x": ROW}] * 1001)
    assert not list(tmp_path.iterdir())
