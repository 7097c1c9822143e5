"""A server by the rules of TensorFlow Serving's REST interface, over the session loader.

The rules are those of a running TensorFlow Serving 2.20, and of its sources, in
tensorflow_serving/model_servers/: http_rest_api_util.cc, http_rest_api_handler.cc, http_server.cc.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tensorflow.core.framework import types_pb2

from . import json_tensor
from .served import Model, Models, Refusal

STATUSES = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}  # and 500
PLACE = r"(?i)/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
PREDICT, ABOUT = re.compile(rf"{PLACE}:predict"), re.compile(rf"{PLACE}(/metadata)?")


class Server(ThreadingHTTPServer):
    """Serves models, and one ``m`` also as ``/invocations``, as a managed endpoint does."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, models: Models, port: int = 0) -> None:
        self.models = models
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        #: Statuses to answer with before the model is asked.
        self.busy: list[int] = []
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/models/m"

    def predict(self, model: Model, body: bytes) -> dict[str, Any]:
        def inputs_of(signature: str) -> Mapping[str, Any]:
            name = signature or "serving_default"
            if name not in model.signatures:
                text = f'Serving signature name: "{name}" not found in signature def'
                raise Refusal("INVALID_ARGUMENT", text)
            return model.signatures[name][0]

        signature, feeds, by_rows = json_tensor.read(body, inputs_of)
        return json_tensor.write(model.predict(signature or "serving_default", feeds), by_rows)


def metadata(model: Model) -> dict[str, Any]:
    definitions = {
        name: {
            "inputs": {key: form(info) for key, info in inputs.items()},
            "outputs": {key: form(info) for key, info in outputs.items()},
            "method_name": "tensorflow/serving/predict",
        }
        for name, (inputs, outputs) in model.signatures.items()
    }
    return {"metadata": {"signature_def": {"signature_def": definitions}}}


def form(info: Any) -> dict[str, Any]:
    sides = [{"size": str(side.size), "name": ""} for side in info.tensor_shape.dim]
    shape = {"dim": sides, "unknown_rank": info.tensor_shape.unknown_rank}
    return {"dtype": types_pb2.DataType.Name(info.dtype), "tensor_shape": shape, "name": info.name}


AVAILABLE = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


class Handler(BaseHTTPRequestHandler):
    """HTTP in front of a `Server`."""

    server: Server
    protocol_version = "HTTP/1.1"
    # Head and body are two packets: the second would wait 40 ms for the answer to the first.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.respond(b"", self.about)

    def do_POST(self) -> None:
        self.respond(self.rfile.read(int(self.headers["Content-Length"])), self.predict)

    def about(self, _: bytes) -> Any:
        found = self.matched(ABOUT)
        name, version, label, subject = found.groups()
        model = self.server.models.find(name, number(version), label)
        if subject:
            return metadata(model)
        return {"model_version_status": [{"version": version or "1", **AVAILABLE}]}

    def predict(self, body: bytes) -> Any:
        if self.path == "/invocations":
            return self.server.predict(self.server.models.find("m"), body)
        name, version, label = self.matched(PREDICT).groups()
        return self.server.predict(self.server.models.find(name, number(version), label), body)

    def matched(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.fullmatch(self.path)
        if found is None:
            raise Refusal("INVALID_ARGUMENT", f"Malformed request: {self.command} {self.path}")
        return found

    def respond(self, body: bytes, answer: Any) -> None:
        self.server.requests.append((self.path, dict(self.headers), body))
        if self.server.busy:
            self.send(self.server.busy.pop(), {"error": "busy"})
        elif not self.path.startswith("/v1/") and self.path != "/invocations":
            self.send_error(404)
        else:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            try:
                self.send(200, answer(body))
            except Refusal as error:
                self.send(STATUSES.get(error.code, 500), {"error": error.text})

    def send(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def number(version: str | None) -> int | None:
    return None if version is None else int(version)


@contextmanager
def serving(model: Path | Models, port: int = 0) -> Iterator[Server]:
    """A running server of a model ``m``, or of several."""
    models = model if isinstance(model, Models) else Models.single(model)
    server = Server(models, port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        models.close()
