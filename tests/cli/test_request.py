"""schema, request and predict on a server: from files and a URL to an answer."""

from __future__ import annotations

import json
import shlex
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.cli import main

tf = pytest.importorskip("tensorflow")
pytest.importorskip("httpx2")

from tests.client.server import Server, serving  # noqa: E402

POSE = tfd.ArraySpec((2, 3), "float32", "zlib")
ARRAY = np.arange(6, dtype="float32").reshape(2, 3)


def answer(pose: Any, weight: Any, word: Any) -> dict[str, Any]:
    return {"sum": tf.reduce_sum(pose, [1, 2]) * weight, "word_bytes": word}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = {
        "pose": POSE,
        "weight": tf.TensorSpec([None], tf.float32),
        "word": tf.TensorSpec([None], tf.string),
    }
    folder = tmp_path_factory.mktemp("models")
    return tfd.export(answer, folder, inputs, arrays_signature=None)


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    with serving(model) as running:
        yield running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez("maps.npz", a=ARRAY, b=ARRAY + 1)
    np.save("weight.npy", np.float32(0.1))
    Path("word.bin").write_bytes(b"\xff\1")
    return tmp_path


FILES = ["pose=maps.npz#a", "weight=weight.npy", "word=word.bin"]


def test_the_schema_of_a_directory_and_of_a_server(model: Path, server: Server, capsys) -> None:
    assert main(["schema", str(model), "--json"]) == 0
    Path("schema.json").write_text(capsys.readouterr().out)
    assert tfd.Schema.load("schema.json") == tfd.Schema.load(model)
    assert main(["schema", server.url, "--json"]) == 0
    assert tfd.Schema.from_json(capsys.readouterr().out) == tfd.Schema.load(model)
    assert main(["schema", server.url]) == 0
    printed = capsys.readouterr().out
    for words in (("pose_bytes", "float32", "[2,3]", "zlib"), ("weight", "float32"), ("sum",)):
        assert any(all(word in line for word in words) for line in printed.splitlines())
    assert main(["schema", "schema.json"]) == 0
    assert "pose_bytes" in capsys.readouterr().out


def test_a_report_of_a_request(model: Path, capsys) -> None:
    assert main(["request", str(model), *FILES, "--json", "--url", "http://h/v1/models/m"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["url"] == "http://h/v1/models/m:predict" and report["saved"] is None
    assert set(report["body"]["inputs"]) == {"pose_bytes", "weight", "word"}


@pytest.mark.parametrize("rows", [False, True])
def test_a_body_that_any_program_can_post(
    model: Path, server: Server, capfdbinary, rows: bool
) -> None:
    command = ["request", str(model), *FILES, *(["--rows"] if rows else [])]
    assert main(command) == 0
    body = capfdbinary.readouterr().out
    post = urllib.request.Request(f"{server.url}:predict", body, method="POST")
    with urllib.request.urlopen(post) as response:
        outputs = tfd.client.response(tfd.Schema.load(model), response.read())
    assert outputs["sum"].tolist() == pytest.approx([1.5]) and outputs["word_bytes"][0] == b"\xff\1"
    assert main([*command, "-o", "body.json", "--url", server.url]) == 0
    printed = capfdbinary.readouterr().out.decode()
    assert Path("body.json").read_bytes() == body.rstrip(b"\n")
    kind = ["-H", "Content-Type: application/json"]
    posted = ["--data-binary", "@body.json", f"{server.url}:predict"]
    assert shlex.split(printed) == ["curl", *kind, *posted]
    assert main([*command, "-o", "-"]) == 2


def test_predict_on_a_server(server: Server, capsys) -> None:
    command = ["predict", server.url, *FILES, "pose=maps.npz#b", *FILES[1:], "-o", "out.npz"]
    assert main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == server.url and report["inputs"][0]["how"] == "packed"
    assert np.load("out.npz")["sum"].tolist() == pytest.approx([1.5, 2.1])
    assert main(command) == 0
    assert "sum" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("poze=maps.npz#a", "no input is named 'poze'"),
        ("pose=weight.npy", "weight.npy"),
        ("pose=gone.npy", "gone.npy"),
    ],
)
def test_mistakes(model: Path, server: Server, capsys, change: str, reason: str) -> None:
    for command in (["request", str(model)], ["predict", server.url]):
        if command[0] == "request" and "poze" in change:
            reason = "pose"  # without a server, other inputs are as they are given
        assert main([*command, change, *FILES[1:]]) == 1
        error = capsys.readouterr().err
        assert reason in error and error.count("\n") == 1


@pytest.mark.parametrize("kind", ["REST", "gRPC"])
def test_a_server_that_is_not_there(kind: str, capsys) -> None:
    scheme = "http" if kind == "REST" else "grpc"
    for command in ("schema", "predict"):
        assert main([command, f"{scheme}://127.0.0.1:9/v1/models/m"]) == 1
        error = capsys.readouterr().err
        assert "no answer" in error and error.count("\n") == 1
        assert error.endswith(f"; is a server running there, and is this its {kind} port?\n")


def test_a_rest_port_is_not_one_of_grpc(server: Server, capsys) -> None:
    assert main(["schema", server.url.replace("http", "grpc", 1)]) == 1
    assert capsys.readouterr().err.endswith(
        "; is this its REST port? gRPC has another one, often 8500\n"
    )


def test_curl_takes_a_url_of_http(model: Path, capsys) -> None:
    assert main(["request", str(model), *FILES, "--url", "localhost:8501"]) == 2
    assert "'localhost:8501' does not begin with http:// or https://" in capsys.readouterr().err


def test_the_schema_of_another_signature_is_not_shown(model: Path, capsys) -> None:
    assert main(["schema", str(model), "--signature", "serving_default"]) == 0
    assert main(["schema", str(model), "--signature", "arrays"]) == 1
    assert "is that of serving_default, not of 'arrays'" in capsys.readouterr().err


def test_request_of_a_url_is_told_to_save_its_schema(capsys) -> None:
    url = "http://localhost:8501/v1/models/m"
    assert main(["request", url, "pose=weight.npy"]) == 2
    assert f"save the schema by tfdecode schema {url} --json" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["schema", "predict"])
def test_an_address_without_http_is_told_what_to_write(command: str, capsys) -> None:
    for text in ("localhost:8501", "10.0.0.1:8501/v1/models/m", "gateway/v1/models/m"):
        assert main([command, text]) == 1
        assert f"if it is a server, write http://{text} (REST)" in capsys.readouterr().err


def test_the_url_of_a_server_is_told_that_of_a_model(server: Server, capsys) -> None:
    address = server.url.rpartition("/v1/")[0]
    assert main(["schema", address]) == 1
    assert f"the URL of a model is {address}/v1/models/NAME" in capsys.readouterr().err
    assert main(["predict", f"{address}/v1/none", "x=word.bin"]) == 1
    assert "; pass --schema FILE, or, if this is TensorFlow Serving" in capsys.readouterr().err


def test_an_endpoint_that_tells_no_schema_is_given_one(model: Path, server: Server, capsys) -> None:
    url = f"{server.url.rpartition('/v1/')[0]}/invocations"
    server.requests.clear()
    files = [*FILES, "pose=maps.npz#b", *FILES[1:]]
    options = ["--schema", str(model), "--max-body-bytes", "180", "--header", "X-Key: a b"]
    assert main(["predict", url, *files, *options, "-o", "out.npz"]) == 0
    assert np.load("out.npz")["sum"].tolist() == pytest.approx([1.5, 2.1])
    assert [headers["X-Key"] for _, headers, _ in server.requests] == ["a b"] * 2
    assert all(len(body) <= 180 for _, _, body in server.requests)
