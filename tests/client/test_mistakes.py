"""Requests that people get wrong, and the sentence that comes back: what is wrong, what to send.

Each goes to a server without batching, so that the graph sees it. The client's own classes make
none of these mistakes.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import pickle
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tfdecode as tfd

tf = pytest.importorskip("tensorflow")
grpc = pytest.importorskip("grpc")
pytest.importorskip("tensorflow_serving.apis")

from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc  # noqa: E402

from . import grpc_server, server  # noqa: E402

POSE = tfd.ArraySpec((8, 8), "float32")
MASK = tfd.ArraySpec((16, 16), "uint8", "zlib")
RANGE = tfd.ArraySpec((8, 8), "float32", "raw|seal")
EDGE = tfd.ArraySpec((16, 16), "uint8", "zlib", label="edge")
RNG = np.random.default_rng(6)
X = RNG.random((8, 8), "float32")
LABELS = np.kron(RNG.integers(0, 4, (4, 4)), np.ones((4, 4))).astype("uint8")
GOOD = {
    "pose_bytes": POSE.encode(X),
    "mask_bytes": MASK.encode(LABELS),
    "range_bytes": RANGE.encode(X),
}
SEND_POSE = "send float32 [8, 8] packed by raw"
SEND_MASK = "send uint8 [16, 16] packed by raw|zlib|seal"
SEAL = "do not match their seal: damaged, of another input, or packed with another spec"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tfd.export(
        lambda **arrays: {key: tf.reduce_max(x, [1, 2]) for key, x in arrays.items()},
        tmp_path_factory.mktemp("models"),
        inputs={"pose": POSE, "mask": MASK, "range": RANGE},
        warmup=False,
    )


def text(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


class Payload(NamedTuple):
    """Bytes in the place of a payload of row 1, and words of the sentence."""

    key: str
    sent: bytes
    words: tuple[str, ...]


#: Both interfaces bring these bytes to the graph.
PAYLOADS = {
    "base64 text": Payload(
        "pose_bytes",
        text(GOOD["pose_bytes"]).encode(),
        ("has 344 bytes, needs 256", "looks like base64 text", '{"b64": "..."}', SEND_POSE),
    ),
    "base64 text for URLs": Payload(
        "mask_bytes",
        base64.urlsafe_b64encode(GOOD["mask_bytes"]),
        (SEAL, "looks like base64 text", SEND_MASK),
    ),
    "base64 text in lines": Payload(
        "pose_bytes", base64.encodebytes(GOOD["pose_bytes"]), ("looks like base64 text", SEND_POSE)
    ),
    "str() of base64": Payload(
        "mask_bytes",
        str(base64.b64encode(GOOD["mask_bytes"])).encode(),
        ("looks like Python's str() of bytes", "base64.b64encode(payload).decode()"),
    ),
    "data URL": Payload(
        "pose_bytes",
        b"data:application/octet-stream;base64," + base64.b64encode(GOOD["pose_bytes"]),
        ("looks like a data URL: send the base64 after its comma alone", SEND_POSE),
    ),
    "hex text": Payload(
        "pose_bytes", GOOD["pose_bytes"].hex().encode(), ("looks like hex text", SEND_POSE)
    ),
    "text of a JSON list": Payload(
        "pose_bytes", json.dumps(X.tolist()).encode(), ("looks like a JSON list", SEND_POSE)
    ),
    "text of a b64 object": Payload(
        "mask_bytes",
        json.dumps({"b64": text(GOOD["mask_bytes"])}).encode(),
        ("looks like text of a b64 object: send the object", SEND_MASK),
    ),
    "empty": Payload("pose_bytes", b"", ("has 0 bytes, needs 256", SEND_POSE)),
    "empty, sealed": Payload("mask_bytes", b"", ("has 0 bytes, needs 16 to", SEND_MASK)),
    "truncated": Payload("pose_bytes", GOOD["pose_bytes"][:-8], ("has 248 bytes, needs 256",)),
    "truncated, sealed": Payload("mask_bytes", GOOD["mask_bytes"][:-3], (SEAL, SEND_MASK)),
    "of another input": Payload("mask_bytes", EDGE.encode(LABELS), (SEAL, SEND_MASK)),
    "of an input of other size": Payload(
        "pose_bytes", GOOD["mask_bytes"], ("bytes, needs 256", SEND_POSE)
    ),
    "of another spec": Payload(
        "mask_bytes",
        tfd.ArraySpec((8, 32), "uint8", "zlib").encode(LABELS.reshape(8, 32)),
        (SEAL, SEND_MASK),
    ),
    "without its seal": Payload("mask_bytes", GOOD["mask_bytes"][:-8], (SEAL, SEND_MASK)),
    "of another dtype": Payload(
        "pose_bytes", X.astype("float64").tobytes(), ("has 512 bytes, needs 256", SEND_POSE)
    ),
    "the bare array": Payload(
        "mask_bytes", LABELS.tobytes(), (SEAL, "as many bytes as the array itself", SEND_MASK)
    ),
    "gzip": Payload("mask_bytes", gzip.compress(GOOD["mask_bytes"]), ("looks like gzip data",)),
    "a pickle": Payload(
        "mask_bytes",
        pickle.dumps(LABELS),
        ("looks like a pickle: read it by tfdecode.load, and encode the array", SEND_MASK),
    ),
    "an .npy file": Payload("pose_bytes", npy(X), ("looks like an .npy file: read it", SEND_POSE)),
    "a PNG image": Payload(
        "mask_bytes",
        tfd.ArraySpec((16, 16), "uint8", "png").encode(LABELS),
        ("looks like a PNG image", SEND_MASK),
    ),
    "big-endian, sealed": Payload(
        "range_bytes",
        X.astype(">f4").tobytes() + GOOD["range_bytes"][-8:],
        (SEAL, "send float32 [8, 8] packed by raw|seal"),
    ),
}


@pytest.fixture(scope="module")
def url(model: Path) -> Iterator[str]:
    with server.serving(model) as running:
        yield running.url


@pytest.fixture(scope="module")
def stub(model: Path) -> Iterator[Any]:
    with (
        grpc_server.serving(model) as (_, port),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def refused(url: str, body: Any, **headers: str) -> tuple[int, str]:
    """The status and the sentence of an answer that is an error."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(f"{url}:predict", data, headers)).read()
    sentence = json.loads(error.value.read())["error"]
    return error.value.code, sentence.replace('\\"', '"').replace("\\'", "'")


def of_payload(key: str, sent: bytes) -> dict[str, list[bytes]]:
    """The columns of three rows, of which row 1 is wrong."""
    columns = {name: [payload] * 3 for name, payload in GOOD.items()}
    columns[key] = [GOOD[key], sent, GOOD[key]]
    return columns


@pytest.mark.parametrize("mistake", PAYLOADS.values(), ids=PAYLOADS)
def test_a_payload_over_rest(url: str, mistake: Payload) -> None:
    columns = of_payload(mistake.key, mistake.sent)
    inputs = {key: [{"b64": text(row)} for row in rows] for key, rows in columns.items()}
    status, sentence = refused(url, {"inputs": inputs})
    assert status == 400 and f"[{mistake.key}: row 1 " in sentence
    assert all(words in sentence for words in mistake.words), sentence
    if mistake.sent.isascii():  # as people send it who do not know of b64
        inputs[mistake.key][1] = mistake.sent.decode()  # type: ignore[call-overload]
        assert refused(url, {"inputs": inputs}) == (status, sentence)


@pytest.mark.parametrize("mistake", PAYLOADS.values(), ids=PAYLOADS)
def test_a_payload_over_grpc(stub: Any, mistake: Payload) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    for key, rows in of_payload(mistake.key, mistake.sent).items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(rows))
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(request)
    sentence = error.value.details().replace('\\"', '"').replace("\\'", "'")
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert f"[{mistake.key}: row 1 " in sentence
    assert all(words in sentence for words in mistake.words), sentence


def test_what_no_check_can_see(url: str) -> None:
    """Only a seal tells bytes of the right length in another byte order."""
    inputs = {key: [{"b64": text(payload)}] for key, payload in GOOD.items()}
    inputs["pose_bytes"] = [{"b64": text(X.astype(">f4").tobytes())}]
    body = json.dumps({"inputs": inputs}).encode()
    with urllib.request.urlopen(f"{url}:predict", body) as answer:
        assert answer.status == 200


OTHERS = ("mask_bytes", "range_bytes")
B64 = {key: {"b64": text(payload)} for key, payload in GOOD.items()}


def columns(**changed: Any) -> dict[str, Any]:
    return {"inputs": {**{key: [value] for key, value in B64.items()}, **changed}}


def rows(**changed: Any) -> dict[str, Any]:
    return {"instances": [{**B64, **changed}]}


#: Bodies of other mistakes: the status, and words of the sentence.
BODIES: dict[str, tuple[Any, int, tuple[str, ...]]] = {
    "a list of numbers for bytes": (
        columns(pose_bytes=[X.tolist()]),
        400,
        ("Type: Number is not of expected type: string",),
    ),
    "a list of numbers for bytes, in rows": (
        rows(pose_bytes=X.tolist()),
        400,
        ("element: 0 key: pose_bytes", "is not of expected type: string"),
    ),
    "no batch dimension": (
        {"inputs": B64},
        400,
        ("pose_bytes: has shape [], needs payloads as a list of strings [B]",),
    ),
    "no batch dimension, in rows": (
        {"instances": B64},
        400,
        ("'instances' to be an list/array",),
    ),
    "a dimension too many": (
        columns(pose_bytes=[[B64["pose_bytes"]]]),
        400,
        ("pose_bytes: has shape [1, 1], needs payloads as a list of strings [B]",),
    ),
    "a dimension too many, in rows": (
        rows(pose_bytes=[B64["pose_bytes"]]),
        400,
        ("pose_bytes: has shape [1, 1], needs payloads as a list of strings [B]",),
    ),
    "more rows of one input": (
        columns(pose_bytes=[B64["pose_bytes"]] * 2),
        400,
        ("mask_bytes: batch has 1 rows, pose_bytes has 2",),
    ),
    "a name without _bytes": (
        {"inputs": {"pose": [B64["pose_bytes"]], **{key: [B64[key]] for key in OTHERS}}},
        400,
        ("Missing named input: pose_bytes in 'inputs' object",),
    ),
    "a name without _bytes, in rows": (
        {"instances": [{"pose": B64["pose_bytes"], **{key: B64[key] for key in OTHERS}}]},
        400,
        ("element: 0 key: pose", "does not have named input: pose"),
    ),
    "a name too few, in rows": (
        {"instances": [{"pose_bytes": B64["pose_bytes"]}]},
        400,
        ("keys must be equal to: mask_bytes,pose_bytes,range_bytes",),
    ),
    "a b64 object with another key": (
        columns(pose_bytes=[{**B64["pose_bytes"], "dtype": "float32"}]),
        400,
        ("not formatted correctly for base64 data",),
    ),
    "b64 of the alphabet for URLs": (
        columns(pose_bytes=[{"b64": base64.urlsafe_b64encode(b"\xff" * 256).decode()}]),
        400,
        ("Unable to base64 decode",),
    ),
    "b64 of a data URL": (
        columns(pose_bytes=[{"b64": f"data:;base64,{B64['pose_bytes']['b64']}"}]),
        400,
        ("Unable to base64 decode",),
    ),
    "an unknown signature": (
        {"signature_name": "bytes", **columns()},
        400,
        ('Serving signature name: "bytes" not found in signature def',),
    ),
    "both formats": ({**columns(), **rows()}, 400, ("only one of 'inputs' or 'instances'",)),
    "no format": (B64, 400, ("Missing 'inputs' or 'instances' key",)),
    "no rows": ({"instances": []}, 400, ("No values in 'instances' array",)),
    "the payload as body": (GOOD["pose_bytes"], 400, ("JSON Parse error",)),
    "a gzip body that does not say so": (
        gzip.compress(json.dumps(columns()).encode()),
        400,
        ("JSON Parse error", "at offset: 0"),
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body(url: str, name: str) -> None:
    body, status, words = BODIES[name]
    got, sentence = refused(url, body)
    assert got == status and all(word in sentence for word in words), sentence


def test_white_space_and_gzip_are_no_mistakes(url: str) -> None:
    lines = base64.encodebytes(GOOD["pose_bytes"]).decode()
    body = gzip.compress(json.dumps(columns(pose_bytes=[{"b64": lines}])).encode())
    headers = {"Content-Encoding": "gzip"}
    request = urllib.request.Request(f"{url}:predict", body, headers)
    with urllib.request.urlopen(request) as answer:
        assert np.float32(json.load(answer)["outputs"]["pose"]) == X.max()


def test_another_model_version_or_label(url: str) -> None:
    base = url.removesuffix("/m")
    for place, status, words in (
        ("n", 404, "Servable not found for request: Latest(n)"),
        ("m/versions/2", 404, "Servable not found for request: Specific(m, 2)"),
        ("m/labels/new", 400, "Unrecognized servable version label: new"),
        ("m/version/1", 400, "Malformed request: POST /v1/models/m/version/1:predict"),
    ):
        assert refused(f"{base}/{place}", columns()) == (status, words)


Change = Callable[[Any], object]
#: Requests over gRPC: what is changed in a good one, the code, and words of the sentence.
MESSAGES: dict[str, tuple[Change, str, str]] = {
    "the array itself": (
        lambda r: r.inputs["pose_bytes"].CopyFrom(tf.make_tensor_proto(X[None])),
        "INVALID_ARGUMENT",
        "to be string but float32 is provided",
    ),
    "no batch dimension": (
        lambda r: r.inputs["pose_bytes"].CopyFrom(tf.make_tensor_proto(GOOD["pose_bytes"])),
        "INVALID_ARGUMENT",
        "pose_bytes: has shape [], needs payloads as a list of strings [B]",
    ),
    "a name without _bytes": (
        lambda r: (r.inputs["pose"].CopyFrom(r.inputs["pose_bytes"]), r.inputs.pop("pose_bytes")),
        "INVALID_ARGUMENT",
        "input tensor alias not found in signature: pose. Inputs expected to be in the set "
        "{mask_bytes,pose_bytes,range_bytes}",
    ),
    "an input too few": (
        lambda r: r.inputs.pop("pose_bytes"),
        "INVALID_ARGUMENT",
        "Missing but required: {pose_bytes}",
    ),
    "an unknown signature": (
        lambda r: setattr(r.model_spec, "signature_name", "bytes"),
        "FAILED_PRECONDITION",
        'Serving signature key "bytes" not found',
    ),
    "another model": (
        lambda r: setattr(r.model_spec, "name", "n"),
        "NOT_FOUND",
        "Servable not found for request: Latest(n)",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message(stub: Any, name: str) -> None:
    change, code, words = MESSAGES[name]
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    for key, payload in GOOD.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto([payload]))
    change(request)
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(request)
    assert error.value.code().name == code and words in error.value.details()
