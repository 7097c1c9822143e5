"""The examples of clients: each asks the test server as it would ask its own."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd

tf = pytest.importorskip("tensorflow")

from tests.client import grpc_server, server  # noqa: E402
from tfdecode.cli import main  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "examples"
SPEC = tfd.ArraySpec((2, 3), "float32", "zlib")
SCHEMA = tfd.Schema({"pose": SPEC})
ARRAYS = list(np.arange(18, dtype="float32").reshape(3, 2, 3))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tfd.export(
        lambda pose: {"sum": tf.reduce_sum(pose, [1, 2]), "twice": pose * 2},
        tmp_path_factory.mktemp("models"),
        inputs={"pose": SPEC},
        arrays_signature=None,
    )


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[server.Server]:
    with server.serving(model) as one:
        yield one


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    for index, array in enumerate(ARRAYS):
        np.save(folder / f"{index}.npy", array)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("script", ["client.py", "client_async.py", "client.py over gRPC"])
def test_many_files(model: Path, running: server.Server, files: list[Path], script: str) -> None:
    def ask(url: str) -> None:
        program = [sys.executable, EXAMPLES / script.split()[0], url, "pose", *files]
        done = subprocess.run(program, capture_output=True, text=True, timeout=120)
        line = "{'sum': (1,), 'twice': (1, 2, 3)}"
        assert done.stdout == "".join(f"{i}.npy {line}\n" for i in range(3)), done.stderr

    if script.endswith("gRPC"):
        with grpc_server.serving(model) as (_, port):
            ask(f"grpc://127.0.0.1:{port}/v1/models/m")
    else:
        ask(running.url)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module


@pytest.mark.parametrize("limit", [1_500_000, 150])
def test_vertex(
    running: server.Server, example: Any, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    vertex = example("vertex")
    assert vertex.MAX_BODY_BYTES == 1_500_000
    monkeypatch.setattr(vertex, "MAX_BODY_BYTES", limit)
    url = vertex.endpoint_url("p", "europe-west4", "12")
    assert url == (
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4/"
        "endpoints/12:predict"
    )
    running.requests.clear()
    with vertex.client(running.url.replace("/v1/models/m", "/invocations"), "t", SCHEMA) as client:
        outputs = client.predict({"pose": ARRAYS})
    assert outputs["twice"].tolist() == [(x * 2).tolist() for x in ARRAYS]
    assert len(running.requests) == (1 if limit > 150 else 3)
    for _, headers, body in running.requests:
        assert headers["Authorization"] == "Bearer t" and len(body) <= limit
        # Vertex takes no other members than these and "parameters".
        assert set(json.loads(body)) == {"instances"}
        assert all(set(row["pose_bytes"]) == {"b64"} for row in json.loads(body)["instances"])


@pytest.mark.parametrize("limit", [6_000_000, 150])
def test_sagemaker(
    running: server.Server, example: Any, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    sizes = []

    def invoke_endpoint(*, EndpointName: str, ContentType: str, Body: bytes) -> dict[str, Any]:
        assert (EndpointName, ContentType) == ("e", "application/json")
        sizes.append(len(Body))
        url = running.url.replace("/v1/models/m", "/invocations")
        with urllib.request.urlopen(urllib.request.Request(url, Body)) as answer:
            return {"Body": io.BytesIO(answer.read())}

    sagemaker = example("sagemaker")
    assert sagemaker.MAX_BODY_BYTES == 6_000_000
    monkeypatch.setattr(sagemaker, "MAX_BODY_BYTES", limit)
    runtime = SimpleNamespace(invoke_endpoint=invoke_endpoint)
    outputs = sagemaker.ask(runtime, "e", SCHEMA, {"pose": ARRAYS})
    assert outputs["twice"].tolist() == [(x * 2).tolist() for x in ARRAYS]
    assert len(sizes) == (1 if limit > 150 else 3) and max(sizes) <= limit


def test_kserve(running: server.Server, files: list[Path], capsys: Any) -> None:
    """Its fields are those of an InferenceService, and its command asks as it says."""
    text = (EXAMPLES / "kserve.yaml").read_text()
    fields: dict[tuple[str, ...], str] = {}
    place: list[tuple[int, str]] = []
    for indent, key, value in re.findall(r"^( *)(\w+):(.*)$", text, re.MULTILINE):
        place = [*(outer for outer in place if outer[0] < len(indent)), (len(indent), key)]
        fields[tuple(name for _, name in place)] = value.strip()
    assert {key: value for key, value in fields.items() if value} == {
        ("apiVersion",): "serving.kserve.io/v1beta1",
        ("kind",): "InferenceService",
        ("metadata", "name"): "pose",
        ("spec", "predictor", "model", "modelFormat", "name"): "tensorflow",
        ("spec", "predictor", "model", "storageUri"): "gs://bucket/models/pose",
    }
    (command,) = re.findall(r"^#\s+tfdecode (.*)$", text, re.MULTILINE)
    own = {"http://HOST/v1/models/pose": running.url, "pose_map=pose.pkl": f"pose={files[0]}"}
    running.requests.clear()
    assert main([own.get(word, word) for word in shlex.split(command)]) == 0
    assert "twice" in capsys.readouterr().out
    assert {headers["Host"] for _, headers, _ in running.requests} == {"pose.default.example.com"}
