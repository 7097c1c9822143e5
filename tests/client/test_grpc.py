"""Grpc: the answers of the model in this process, from a server with the official classes."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.client.signature import DTYPES
from tfdecode.dtypes import numpy_dtype

tf = pytest.importorskip("tensorflow")
grpc = pytest.importorskip("grpc")
pytest.importorskip("tensorflow_serving.apis")

from tensorflow_serving.apis import (  # noqa: E402
    get_model_metadata_pb2 as metadata_pb2,
)
from tensorflow_serving.apis import (  # noqa: E402
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfdecode.cli import main  # noqa: E402
from tfdecode.client import Grpc, InProcess  # noqa: E402
from tfdecode.client import grpc as client_grpc  # noqa: E402
from tfdecode.client.tensor import from_message, messages, to_message  # noqa: E402

from .common import ARRAYS, INPUTS, SIZES, WORDS, check, one  # noqa: E402
from .grpc_server import Service, serving  # noqa: E402

RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[tuple[Service, int]]:
    with serving(model) as pair:
        yield pair


@pytest.fixture
def target(running: tuple[Service, int]) -> str:
    running[0].requests.clear()
    return f"127.0.0.1:{running[1]}/v1/models/m"


@pytest.mark.parametrize("suffix", ["", "/versions/1", "/labels/stable", ":predict"])
def test_the_target_is_enough(
    running: tuple[Service, int],
    target: str,
    expected: dict[str, Any],
    suffix: str,
) -> None:
    headers = {"Authorization": "Bearer secret"}
    with Grpc(f"grpc://{target}{suffix}", headers=headers) as client:
        check(client.predict(INPUTS), expected)
        check(client.predict(one(1)), {name: value[1:2] for name, value in expected.items()})
    assert [sent["authorization"] for _, sent in running[0].requests] == ["Bearer secret"] * 4


def test_the_model_is_named_apart_and_other_models_are_not_found(
    running: tuple[Service, int],
    expected: dict[str, Any],
) -> None:
    host = f"127.0.0.1:{running[1]}"
    with Grpc(host, "m") as client:
        check(client.predict(INPUTS), expected)
    with Grpc(host, "n") as client, pytest.raises(tfd.errors.ServerError, match="NOT_FOUND"):
        client.predict(INPUTS)
    with Grpc(host, "m", signature="x") as client, pytest.raises(tfd.SpecError, match="'x'"):
        client.predict(INPUTS)


@pytest.mark.parametrize(
    ("target", "model", "retries", "words"),
    [
        ("localhost:8500", None, 0, "names no model, needs HOST:PORT"),
        ("localhost:8500/v1/models/m", "m", 0, "names the model already: leave out"),
        ("http://localhost:8500/v1/models/m", None, 0, "is no target.*; Rest takes a URL of HTTP"),
        ("localhost/v1/models/m", None, 0, "has no port"),
        ("[::1]:99999/v1/models/m", None, 0, "has port 99999, needs 1 to 65535"),
        (8500, "m", 0, "8500 is no target"),
        ("localhost:8500/v1/models/\udcff", None, 0, r"'localhost:8500/v1/models/\\udcff' is no"),
        ("localhost:8500", "m", "1", "retries is '1', needs 0 to 4"),
        ("localhost:8500/v1/models/m/versions/x", None, 0, "is no target"),
        ("localhost:8500", "m", 5, "retries is 5"),
        (f"localhost:8500/v1/models/m/versions/{'9' * 5000}", None, 0, "versions are below"),
    ],
)
def test_targets_that_are_none(target: str, model: str | None, retries: int, words: str) -> None:
    with pytest.raises(tfd.SpecError, match=words):
        Grpc(target, model, retries=retries)


def test_a_large_batch_is_sent_in_parts(
    running: tuple[Service, int],
    target: str,
    expected: dict[str, Any],
) -> None:
    most = 1250
    with Grpc(target, max_message_bytes=1 << 20) as client:
        schema, _, _ = client.describe()
    with Grpc(target, schema=schema, max_message_bytes=most) as client:
        check(client.predict(INPUTS), expected)
        sent = [one for one, _ in running[0].requests if "pose_bytes" in str(one)]
        assert len(sent) > 1 and all(one.ByteSize() <= most for one in sent)
        with pytest.raises(tfd.DecodeError) as error:
            client.predict({**INPUTS, "pose": [*ARRAYS[:4], b"bad"]})
        assert isinstance(error.value, tfd.errors.RefusedError) and error.value.row == 4
        with pytest.raises(tfd.EncodeError, match=r"row 2 needs .* bytes of a message"):
            client.predict({**INPUTS, "word": [*WORDS[:2], b"x" * most, *WORDS[3:]]})


def test_few_parts_are_sent_at_a_time(
    target: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_grpc, "IN_FLIGHT", 2)
    with Grpc(target) as client:
        schema, _, _ = client.describe()
    with Grpc(target, schema=schema, max_message_bytes=1250) as client:
        check(client.predict(INPUTS), expected)


@pytest.mark.parametrize("error", [KeyboardInterrupt, grpc.FutureCancelledError])
def test_a_part_that_fails_cancels_the_others(
    target: str, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    class Call:
        cancelled = False

        def result(self) -> None:
            raise error

        def cancel(self) -> None:
            self.cancelled = True

    calls: list[Call] = []
    with Grpc(target) as client:
        client.describe()
        client._most = 1250
        monkeypatch.setattr(client, "_call", lambda *_: calls.append(Call()) or calls[-1])
        with pytest.raises((KeyboardInterrupt, tfd.errors.ServerError)):
            client.predict(INPUTS)
    assert len(calls) > 1 and all(call.cancelled for call in calls)


def test_a_port_of_http_is_told_as_such() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        threading.Thread(target=http.handle_request, daemon=True).start()
        with (
            Grpc(f"127.0.0.1:{http.server_port}/v1/models/m") as client,
            pytest.raises(tfd.errors.ServerError, match="is this its REST port"),
        ):
            client.describe()


def test_in_another_process_it_says_so(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Grpc(target) as client:
        client.describe()
        monkeypatch.setattr("os.getpid", lambda: 1)
        with pytest.raises(tfd.errors.ServerError, match="make one in each"):
            client.predict(INPUTS)


def test_a_process_that_is_forked_does_not_wait_for_threads_of_the_other(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Grpc(target) as client:
        monkeypatch.setattr(client, "_describing", None)  # its lock, which one of them may hold
        monkeypatch.setattr("os.getpid", lambda: 1)
        with pytest.raises(tfd.errors.ServerError, match="make one in each"):
            client.predict(INPUTS)


def test_a_process_that_is_forked_can_encode(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Grpc(target) as client:
        client.describe()
        monkeypatch.setattr("os.getpid", lambda: 1)
        assert "pose_bytes" in client.prepare(INPUTS)


def test_a_slow_connection_is_not_given_up(running: tuple[Service, int]) -> None:
    def copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                sink.sendall(data)

    def forward() -> None:
        near, _ = link.accept()
        with near, socket.create_connection(("127.0.0.1", running[1])) as far:
            time.sleep(0.5)
            threading.Thread(target=copy, args=[far, near], daemon=True).start()
            copy(near, far)

    with socket.create_server(("127.0.0.1", 0)) as link:
        threading.Thread(target=forward, daemon=True).start()
        with Grpc(f"127.0.0.1:{link.getsockname()[1]}/v1/models/m") as client:
            assert client.describe()[0]


def test_after_close_it_says_so(target: str) -> None:
    with Grpc(target) as client:
        client.describe()
    with pytest.raises(tfd.errors.ServerError, match="closed"):
        client.predict(INPUTS)


def test_headers_that_cannot_be_sent(target: str) -> None:
    with pytest.raises(tfd.SpecError, match="ASCII"):
        Grpc(target, headers={"authorization": "a\nb"})


RED = "\x1b[31m"


class Lying(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Describes an input ``x`` and an output ``y``, and answers what a test sets."""

    def __init__(self) -> None:
        signatures = metadata_pb2.SignatureDefMap()
        signatures.signature_def["serving_default"].inputs["x"].dtype = 1
        signatures.signature_def["serving_default"].outputs["y"].dtype = 1
        self.signatures = signatures.SerializeToString()
        self.code = None
        self.outputs: dict[str, Any] = {}

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        answer = metadata_pb2.GetModelMetadataResponse()
        answer.metadata["signature_def"].value = self.signatures
        return answer

    def Predict(self, request: Any, context: Any) -> Any:
        if self.code is not None:
            context.abort(self.code, RED)
        return predict_pb2.PredictResponse(outputs=self.outputs)


@pytest.fixture
def lying() -> Iterator[tuple[Lying, str]]:
    server, service = grpc.server(ThreadPoolExecutor(2)), Lying()
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield service, f"127.0.0.1:{port}/v1/models/m"
    server.stop(None).wait()


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
def test_a_sentence_of_a_server_is_printable(lying: tuple[Lying, str], code: Any) -> None:
    lying[0].code = code
    with Grpc(lying[1]) as client, pytest.raises(tfd.errors.ServerError) as error:
        client.predict({"x": np.float32(1)})
    assert str(error.value).isprintable()


@pytest.mark.parametrize("names", [[], [RED], ["y", "z"]])
def test_outputs_that_the_server_did_not_announce(
    lying: tuple[Lying, str], names: list[str]
) -> None:
    lying[0].outputs = {name: tf.make_tensor_proto([1.0]) for name in names}
    with Grpc(lying[1]) as client, pytest.raises(tfd.errors.ServerError, match="expected") as error:
        client.predict({"x": np.float32(1)})
    assert str(error.value).isprintable()


def test_threads_describe_the_model_once(running: tuple[Service, int], target: str) -> None:
    with Grpc(target) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.describe(), range(8)))
    assert len(running[0].requests) == 2  # the metadata and the schema


@pytest.mark.parametrize("name", ["../../y", "/y"])
def test_names_of_a_server_are_no_paths(
    lying: tuple[Lying, str], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signatures = metadata_pb2.SignatureDefMap.FromString(lying[0].signatures)
    signatures.signature_def["serving_default"].outputs.pop("y")
    signatures.signature_def["serving_default"].outputs[name].dtype = 1
    lying[0].signatures = signatures.SerializeToString()
    lying[0].outputs = {name: tf.make_tensor_proto([1.0])}
    np.save(tmp_path / "x.npy", np.float32(1))
    out = tmp_path / "out.npz"
    command = ["predict", f"grpc://{lying[1]}", f"x={tmp_path / 'x.npy'}", "-o", str(out)]
    assert main(command) == 1 and not out.exists()
    assert "is no name of an array" in capsys.readouterr().err


def test_metadata_that_is_none(lying: tuple[Lying, str]) -> None:
    lying[0].signatures = b"\xff"
    with Grpc(lying[1]) as client, pytest.raises(tfd.errors.ServerError, match="cannot be read"):
        client.describe()
    signatures = metadata_pb2.SignatureDefMap()
    signatures.signature_def["serving_default"].inputs[RED].dtype = 1
    lying[0].signatures = signatures.SerializeToString()
    with Grpc(lying[1]) as client, pytest.raises(tfd.SpecError, match="not printable") as error:
        client.describe()
    assert str(error.value).isprintable()


def test_inputs_that_differ_in_their_rows_are_not_sent(target: str) -> None:
    with Grpc(target) as client, pytest.raises(tfd.SpecError, match="pose 5, size 2"):
        client.predict({**INPUTS, "size": SIZES[:2]})


def test_a_busy_server_is_asked_again_only_if_wanted(
    running: tuple[Service, int],
    target: str,
    expected: dict[str, Any],
) -> None:
    with Grpc(target) as client:
        client.describe()
        running[0].busy = [grpc.StatusCode.RESOURCE_EXHAUSTED]
        with pytest.raises(tfd.errors.ServerError, match="gRPC RESOURCE_EXHAUSTED: busy") as error:
            client.predict(INPUTS)
        assert error.value.status == 8
    with Grpc(target, retries=2) as client:
        client.describe()
        running[0].busy = [grpc.StatusCode.UNAVAILABLE] * 2
        check(client.predict(INPUTS), expected)
        running[0].busy = [grpc.StatusCode.UNAVAILABLE]  # gRPC's own buffer has 256 KiB
        client.predict({**INPUTS, "word": [b"x" * 400_000] * 5})
    assert not running[0].busy


NUMBERS = sorted(set(DTYPES.values()) - {"string"})


def values(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Every bit pattern is as likely as another."""
    kind = numpy_dtype(dtype)
    if dtype == "bool":
        return RNG.integers(0, 2, shape).astype(bool)
    size = int(np.prod(shape))
    return np.frombuffer(RNG.bytes(size * kind.itemsize), kind).reshape(shape)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 3)])
def test_tensors_are_those_of_tensorflow(dtype: str, shape: tuple[int, ...]) -> None:
    array = values(dtype, shape)
    official = tf.make_tensor_proto(array) if array.size else tf.make_tensor_proto(array, dtype)
    for sent in (official, type(official).FromString(to_message(array, dtype).SerializeToString())):
        assert tf.make_ndarray(sent).tobytes() == array.tobytes()
        received = messages.Tensor.FromString(sent.SerializeToString())
        got = from_message("x", received, 1 << 20)
        assert got.dtype == array.dtype and got.shape == shape
        assert got.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", NUMBERS)
def test_the_last_value_stands_for_all_that_follow(dtype: str) -> None:
    array = np.ones((2, 3), numpy_dtype(dtype))
    official = tf.make_tensor_proto(array.ravel()[0], shape=[2, 3])
    assert not official.tensor_content
    received = messages.Tensor.FromString(official.SerializeToString())
    assert from_message("x", received, 1 << 20).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dtype": 1, "float_val": [1.0], "shape": [2**40]}, "more than 1000 bytes"),
        ({"dtype": 1, "float_val": [1.0, 2.0], "shape": []}, "2 values"),
        ({"dtype": 1, "tensor_content": b"abc", "shape": [1]}, "3 bytes"),
        ({"dtype": 1, "shape": [-1]}, "shape"),
        ({"dtype": 20, "shape": []}, "dtype 20"),
        ({"dtype": 999, "shape": []}, "dtype 999"),
        ({"dtype": 7, "string_val": [b"a"], "shape": [2**40]}, "1 texts"),
        ({"dtype": 9, "shape": [3]}, "0 values"),
        ({"dtype": 1, "shape": [0, 2**62, 2**62]}, "has shape"),
        ({"dtype": 1, "float_val": [1.0], "shape": [1] * 70}, "has 70 dimensions"),
    ],
)
def test_strange_tensors(fields: dict[str, Any], words: str) -> None:
    shape = fields.pop("shape")
    message = messages.Tensor(**fields)
    for side in shape:
        message.tensor_shape.dim.add(size=side)
    with pytest.raises(tfd.errors.ServerError, match=words):
        from_message("x", message, 1000)


def test_arrays_go_as_plain_tensors(tmp_path: Path) -> None:
    inputs = {f"x_{dtype}": tfd.ArraySpec((2,), dtype) for dtype in ("int8", "float64", "uint16")}
    path = tfd.export(lambda **arrays: arrays, tmp_path, inputs, warmup=False)
    arrays = {name: values(spec.dtype, (3, 2)) for name, spec in inputs.items()}
    with serving(path) as (service, port):
        for signature in ("arrays", "serving_default"):
            with Grpc(f"127.0.0.1:{port}", "m", signature=signature) as client:
                given = arrays if signature == "arrays" else {k: list(v) for k, v in arrays.items()}
                check(client.predict(given), arrays)
            sent = service.requests[-1][0].inputs
            assert all(bool(one.tensor_content) == (signature == "arrays") for one in sent.values())
        with InProcess(path) as process:
            assert [out["x_int8"].tolist() for out in process.predict_each([given] * 3)] == [
                arrays["x_int8"].tolist()
            ] * 3


def test_a_missing_library_names_its_extra() -> None:
    program = """
import sys
sys.modules["grpc"] = None
from tfdecode.client import Grpc, Rest
Grpc("localhost:1", "m")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert "grpc is not installed; install tfdecode with its extra 'grpc'" in done.stderr


def test_the_command_line_asks_over_grpc(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in one(1).items():
        if name == "word":
            (tmp_path / "word").write_bytes(value)
        else:
            np.save(tmp_path / f"{name}.npy", value)
    files = [f"{name}={tmp_path / name}.npy" for name in ("pose", "size", "weight")]
    model = f"grpc://{target}"
    assert main(["predict", model, *files, f"word={tmp_path / 'word'}", "--json"]) == 0
    outputs = {one["name"]: one for one in json.loads(capsys.readouterr().out)["outputs"]}
    assert outputs["size"]["mean"] == 1 and outputs["pose"]["shape"] == [1, 2, 3]
    assert main(["schema", model, "--json"]) == 0
    assert set(tfd.Schema.from_json(capsys.readouterr().out)) == {"pose", "size"}
    assert main(["schema", f"{model}/versions/2"]) == 1
    assert "gRPC NOT_FOUND" in capsys.readouterr().err
