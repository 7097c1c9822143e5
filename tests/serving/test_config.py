"""The configuration of a server is what its protobufs take, and fits the models."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import tfdecode as tfd
from tfdecode import serving
from tfdecode.cli import main
from tfdecode.schema import ASSET

pytest.importorskip("tensorflow_serving.config")

from tests.serving.configs import batching, configs

SPEC = tfd.ArraySpec((2, 3), "float32")


def put(path: Path, *versions: int, limit: int | None = None) -> Path:
    """Directories as export makes them."""
    for version in versions:
        extra = path / str(version) / ASSET.parent
        extra.mkdir(parents=True)
        (path / str(version) / "saved_model.pb").touch()
        tfd.Schema({"pose": SPEC}, max_batch_size=limit).save(path / str(version) / ASSET)
    return path


def test_models(tmp_path: Path) -> None:
    pose = put(tmp_path / "pose", 1, 3, 12)
    odd = put(tmp_path / 'a "quoted"\\ größe', 7)
    models = [
        serving.Model(pose, versions=(3, 12), labels={"stable": 3, "canary": 12}),
        serving.Model(odd, "odd-1.2_x"),
    ]
    first, second = configs(serving.models_config(models))
    assert (first.name, first.base_path) == ("pose", str(pose))
    assert list(first.model_version_policy.specific.versions) == [3, 12]
    assert dict(first.version_labels) == {"stable": 3, "canary": 12}
    assert (second.name, second.base_path) == ("odd-1.2_x", str(odd))
    assert not second.HasField("model_version_policy") and models[1].served() == (7,)
    with pytest.raises(tfd.SpecError, match="two models are named pose"):
        serving.models_config([models[0], serving.Model(odd, "pose")])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100, 1000])
def test_batching(size: int) -> None:
    got = batching(serving.batching_config(size, threads=2))
    sizes = list(got.allowed_batch_sizes)
    assert got.max_batch_size.value == size == sizes[-1] and sizes == sorted(set(sizes))
    assert got.num_batch_threads.value == 2


def test_the_largest_batch_is_one_that_every_model_takes(tmp_path: Path) -> None:
    small, large = put(tmp_path / "small", 1, limit=8), put(tmp_path / "large", 1, 2, limit=500)
    other = tmp_path / "other"
    (other / "1").mkdir(parents=True)
    models = [serving.Model(path) for path in (large, other)]
    assert serving.largest_batch(models) == 64 and serving.largest_batch(models, 400) == 400
    assert serving.largest_batch([*models, serving.Model(small)]) == 8
    with pytest.raises(tfd.SpecError, match="a batch of 9 is more than small version 1 takes: 8"):
        serving.largest_batch([*models, serving.Model(small)], 9)
    (small / "1").rename(small / "001")  # as older exporters wrote it
    assert serving.largest_batch([serving.Model(small)]) == 8


@pytest.mark.parametrize(
    "option", ({"max_batch_size": 0}, {"timeout_micros": -1}, {"threads": 0}, {"queue": 0})
)
def test_numbers_out_of_range(option: dict[str, int]) -> None:
    with pytest.raises(tfd.SpecError, match=f"{next(iter(option))} is "):
        serving.batching_config(**{"max_batch_size": 8, **option})


WRONG: dict[str, tuple[type, dict[str, Any]]] = {
    "has no version 2; it has 1": (tfd.FileError, dict(versions=(2,))),
    "model name 'a/b'": (tfd.SpecError, dict(name="a/b")),
    "label x is for version 9": (tfd.SpecError, dict(labels={"x": 9})),
    "label 'a b'": (tfd.SpecError, dict(labels={"a b": 1})),
    "cannot be read": (tfd.FileError, dict(path="gone")),
    "pass the directory of its versions": (tfd.FileError, dict(path="model/1")),
}


@pytest.mark.parametrize("reason", WRONG)
def test_mistakes(tmp_path: Path, monkeypatch, reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "model", 1)
    kind, options = WRONG[reason][0], dict(WRONG[reason][1])
    with pytest.raises(kind, match=reason):
        serving.Model(**{"path": Path(options.pop("path", "model")), **options})


def test_a_path_with_a_colon_is_mounted(tmp_path: Path) -> None:
    model = serving.Model(put(tmp_path / "a:b", 1), name="m")
    text = serving.compose_file([model], batching=False, rest_port=1, grpc_port=2)
    assert json.loads(text.splitlines()[-1].removeprefix("      - ")) == {
        "type": "bind",
        "source": str(tmp_path / "a:b"),
        "target": "/models/m",
        "read_only": True,
    }


def test_the_command(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "models" / "pose", 1, 2, limit=20)
    command = ["serve-config", "mine=models/pose", "-o", "out", "--versions", "mine=1,2"]
    assert main([*command, "--label", "mine=stable:1", "--rest-port", "9000"]) == 0
    printed = capsys.readouterr().out
    start = shlex.split(printed.replace("\\\n", ""), comments=True)
    assert start[0] == "tensorflow_model_server" and "--rest_api_port=9000" in start
    options = dict(option[2:].split("=", 1) for option in start[1:])
    config = Path(options["model_config_file"])
    assert config.is_absolute() and Path(options["batching_parameters_file"]).is_absolute()
    (model,) = configs(config.read_text())
    assert (model.name, model.base_path) == ("mine", str(tmp_path / "models" / "pose"))
    parameters = batching(Path(options["batching_parameters_file"]).read_text())
    assert parameters.max_batch_size.value == 20
    docker = Path("out/docker")
    (model,) = configs((docker / "models.config").read_text())
    assert model.base_path == "/models/mine"
    compose = (docker / "docker-compose.yml").read_text()
    assert f'"{tmp_path}/models/pose:/models/mine:ro"' in compose and '"9000:8501"' in compose
    assert main([*command, "--no-batching", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["max_batch_size"] is None and not any("batching" in a for a in report["command"])
    for wrong, status in (
        (["--max-batch-size", "21"], 1),
        (["--max-batch-size", "0"], 2),
        (["--rest-port", "99999"], 2),
        (["--label", "pose=stable:1"], 2),
        (["--label", "mine=stable"], 2),
        (["--versions", "mine=new"], 2),
    ):
        assert main([*command, *wrong]) == status
        assert capsys.readouterr().err.count("\n") >= 1
