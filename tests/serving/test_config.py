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

text_format = pytest.importorskip("google.protobuf.text_format")
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: E402

SPEC = tfd.ArraySpec((2, 3), "float32")
FIELD = descriptor_pb2.FieldDescriptorProto


#: tensorflow_serving/config/model_server_config.proto, file_system_storage_path_source.proto and
#: servables/tensorflow/session_bundle_config.proto, as far as they are written here.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Value": {"value": (1, "int64")},
    "BatchingParameters": {
        "max_batch_size": (1, "Value"),
        "batch_timeout_micros": (2, "Value"),
        "max_enqueued_batches": (3, "Value"),
        "num_batch_threads": (4, "Value"),
        "allowed_batch_sizes": (6, "int64*"),
    },
    "Specific": {"versions": (1, "int64*")},
    "Policy": {"specific": (102, "Specific")},
    "Label": {"key": (1, "string"), "value": (2, "int64")},
    "ModelConfig": {
        "name": (1, "string"),
        "base_path": (2, "string"),
        "model_platform": (4, "string"),
        "model_version_policy": (7, "Policy"),
        "version_labels": (8, "Label*"),
    },
    "ModelConfigList": {"config": (1, "ModelConfig*")},
    "ModelServerConfig": {"model_config_list": (1, "ModelConfigList")},
}


def parsed(name: str, text: str) -> Any:
    """The protobuf of a text; an unknown field or a wrong type raises."""
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", package="t", syntax="proto3")
    for kind, fields in MESSAGES.items():
        described = file.message_type.add(name=kind)
        for field, (number, of) in fields.items():
            label = FIELD.LABEL_REPEATED if of.endswith("*") else FIELD.LABEL_OPTIONAL
            of = of.rstrip("*")
            one = described.field.add(name=field, number=number, label=label)
            if of in MESSAGES:
                one.type, one.type_name = FIELD.TYPE_MESSAGE, f".t.{of}"
            else:
                one.type = FIELD.TYPE_INT64 if of == "int64" else FIELD.TYPE_STRING
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"t.{name}"))
    return text_format.Parse(text, kind())


def configs(text: str) -> list[Any]:
    """The models of a models.config."""
    return list(parsed("ModelServerConfig", text).model_config_list.config)


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
    assert {label.key: label.value for label in first.version_labels} == {"stable": 3, "canary": 12}
    assert (second.name, second.base_path) == ("odd-1.2_x", str(odd))
    assert not second.HasField("model_version_policy") and models[1].served() == (7,)
    with pytest.raises(tfd.SpecError, match="two models are named pose"):
        serving.models_config([models[0], serving.Model(odd, "pose")])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100, 1000])
def test_batching(size: int) -> None:
    got = parsed("BatchingParameters", serving.batching_config(size, threads=2))
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
    batching = Path(options["batching_parameters_file"]).read_text()
    assert parsed("BatchingParameters", batching).max_batch_size.value == 20
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
        (["--max-batch-size", "0"], 1),
        (["--rest-port", "99999"], 1),
        (["--label", "pose=stable:1"], 2),
        (["--label", "mine=stable"], 2),
        (["--versions", "mine=new"], 2),
    ):
        assert main([*command, *wrong]) == status
        assert capsys.readouterr().err.count("\n") >= 1
