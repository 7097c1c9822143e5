"""The examples of clients: each asks the test server as it would ask its own."""

from __future__ import annotations

import io
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


def test_vertex(running: server.Server, example: Any) -> None:
    vertex = example("vertex")
    url = vertex.endpoint_url("p", "europe-west4", "12")
    assert url.startswith("https://europe-west4-aiplatform.googleapis.com/v1/projects/p/")
    running.requests.clear()
    with vertex.client(running.url.replace("/v1/models/m", "/invocations"), "t", SCHEMA) as client:
        outputs = client.predict({"pose": ARRAYS})
    assert outputs["twice"].tolist() == [(x * 2).tolist() for x in ARRAYS]
    ((_, headers, body),) = running.requests
    assert headers["Authorization"] == "Bearer t" and b'{"instances":[{"pose_bytes"' in body


def test_sagemaker(running: server.Server, example: Any) -> None:
    def invoke_endpoint(*, EndpointName: str, ContentType: str, Body: bytes) -> dict[str, Any]:
        assert (EndpointName, ContentType) == ("e", "application/json")
        url = running.url.replace("/v1/models/m", "/invocations")
        with urllib.request.urlopen(urllib.request.Request(url, Body)) as answer:
            return {"Body": io.BytesIO(answer.read())}

    runtime = SimpleNamespace(invoke_endpoint=invoke_endpoint)
    outputs = example("sagemaker").ask(runtime, "e", SCHEMA, {"pose": ARRAYS})
    assert outputs["twice"].tolist() == [(x * 2).tolist() for x in ARRAYS]
