"""A server by the rules of TensorFlow Serving's REST interface, over the session loader.

What the rules are was seen on a running TensorFlow Serving 2.20.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from tfdecode.saved_models.session import ServingSession


class Refused(Exception):
    """A request that the server itself refuses: HTTP 400."""


class Server(ThreadingHTTPServer):
    """Serves one model as ``/v1/models/m``, and ``/invocations`` as a managed endpoint does."""

    daemon_threads = True

    def __init__(self, model: Path, port: int = 0) -> None:
        self.session = ServingSession(model)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        #: Statuses to answer with before the model is asked.
        self.busy: list[int] = []
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/models/m"

    def metadata(self) -> dict[str, Any]:
        return {
            "model_spec": {"name": "m", "signature_name": "", "version": "1"},
            "metadata": {
                "signature_def": {
                    "signature_def": {
                        name: {
                            "inputs": {key: form(info) for key, info in inputs.items()},
                            "outputs": {key: form(info) for key, info in outputs.items()},
                            "method_name": "tensorflow/serving/predict",
                        }
                        for name, (inputs, outputs) in self.session.signatures.items()
                    }
                }
            },
        }

    def predict(self, request: Any) -> dict[str, Any]:
        if not isinstance(request, dict) or ("instances" in request) == ("inputs" in request):
            raise Refused("JSON Value: Missing 'inputs' or 'instances' key")
        name = request.get("signature_name", "serving_default")
        if name not in self.session.signatures:
            raise Refused(f'Serving signature name: "{name}" not found in signature def')
        inputs, _ = self.session.signatures[name]
        rows = "instances" in request
        columns = by_column(request["instances"], inputs) if rows else request["inputs"]
        if not isinstance(columns, dict) or not set(inputs) <= set(columns):
            if len(inputs) != 1:
                raise Refused("Missing named input")
            columns = {next(iter(inputs)): columns}
        feeds = {key: tensor(columns[key], info.dtype) for key, info in inputs.items()}
        results = self.session.run(name, feeds)
        values = {key: listed(key, np.asarray(value)) for key, value in results.items()}
        if not rows:
            return {"outputs": values if len(values) > 1 else next(iter(values.values()))}
        if len(values) == 1:
            return {"predictions": next(iter(values.values()))}
        each = zip(*values.values(), strict=True)
        return {"predictions": [dict(zip(values, row, strict=True)) for row in each]}


def form(info: Any) -> dict[str, Any]:
    sides = [{"size": str(side.size), "name": ""} for side in info.tensor_shape.dim]
    shape = {"dim": sides, "unknown_rank": info.tensor_shape.unknown_rank}
    return {"dtype": types_pb2.DataType.Name(info.dtype), "tensor_shape": shape, "name": info.name}


def by_column(instances: Any, inputs: Any) -> Any:
    if not isinstance(instances, list) or not instances:
        raise Refused("JSON Value: [] Type: Array is not a non-empty array")
    if not isinstance(instances[0], dict) or "b64" in instances[0]:
        if len(inputs) != 1:
            raise Refused("instances is a plain list, but expecting list of objects")
        return {next(iter(inputs)): instances}
    for row in instances:
        if set(row) != set(inputs):
            raise Refused("Failed to process element: JSON object: does not have named input")
    return {key: [row[key] for row in instances] for key in inputs}


def tensor(value: Any, dtype: int) -> Any:
    kind = tf.as_dtype(dtype)
    if kind == tf.uint16:
        raise Refused("JSON Value: 4472 Type: Number is not of expected type: uint16")
    if kind != tf.string:
        return np.array(value, kind.as_numpy_dtype)
    plain = np.array(value, object)

    def decoded(item: Any) -> bytes:
        if isinstance(item, str):
            return item.encode()
        if set(item) != {"b64"}:
            raise Refused("JSON Value: is not a base64 string")
        return base64.b64decode(item["b64"], validate=True)

    flat = [decoded(item) for item in plain.ravel()]
    out = np.empty(len(flat), object)
    out[:] = flat
    return out.reshape(plain.shape)


def listed(key: str, value: np.ndarray) -> Any:
    if value.dtype.name in ("float16", "bfloat16", "complex64", "complex128"):
        raise Refused("Failed to write JSON value for tensor type: half")
    if value.dtype != object:
        return value.tolist()
    if value.ndim:
        return [listed(key, np.array(item, object)) for item in value]
    item = value.item()
    return {"b64": base64.b64encode(item).decode()} if key.endswith("_bytes") else item.decode()


class Handler(BaseHTTPRequestHandler):
    """HTTP in front of a `Server`."""

    server: Server
    protocol_version = "HTTP/1.1"
    model = re.compile(r"/v1/models/m(/versions/1|/labels/stable)?(:predict|/metadata)?")

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers), b""))
        found = self.model.fullmatch(self.path)
        if found and self.server.busy:
            self.answer(self.server.busy.pop(), {"error": "busy"})
        elif found and found[2] == "/metadata":
            self.answer(200, self.server.metadata())
        else:
            self.answer(404, {"error": "Malformed request: GET"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        if self.server.busy:
            self.answer(self.server.busy.pop(), {"error": "busy"})
            return
        found = self.model.fullmatch(self.path)
        if not (found and found[2] == ":predict") and self.path != "/invocations":
            self.answer(404, {"error": "Malformed request: POST"})
            return
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            self.answer(200, self.server.predict(json.loads(body)))
        except (Refused, ValueError, KeyError, TypeError) as error:
            self.answer(400, {"error": str(error)})
        except tf.errors.OpError as error:
            status = 500 if isinstance(error, tf.errors.DataLossError) else 400
            self.answer(status, {"error": str(error.message)})

    def answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(model: Path, port: int = 0) -> Iterator[Server]:
    server = Server(model, port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        server.session.close()
