"""Grpc: ask a server over gRPC, with arrays and files in and arrays out."""

from __future__ import annotations

import json
import os
import re
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ServerError, SpecError, said, shown
from ..extras import LazyModule
from ..schema import MAX_BYTES, SIGNATURE, Schema
from .answer import Forms, Sent, decoded, joined, refusal, signature_of
from .body import cuts
from .each import IN_FLIGHT, EachInput
from .inputs import Inputs, Outputs, PreparedInput, prepare
from .options import check_headers, check_port, check_timeout, check_whole
from .signature import Tensor, check_rows, chosen, of_signature, tensors
from .tensor import from_message, messages, to_message

grpc: Any = LazyModule("grpc", "grpc")

#: The largest message of a protobuf.
MOST = 2**31 - 1
SERVICE = "/tensorflow.serving.PredictionService/"
#: What to do about a connection that cannot be used, by a part of gRPC's message.
ADVICE = {
    "CERTIFICATE_VERIFY_FAILED": "; in Python credentials= takes the certificates to trust",
    "Tls handshake": "; a port without TLS needs grpc:// in place of grpcs://",
    "Handshake read": "; a port without TLS needs grpc:// in place of grpcs://",
    "Failed parsing HTTP/2": "; is this its REST port? gRPC has another one, often 8500",
    "recvmsg:Connection reset": "; if the port speaks TLS, it needs grpcs://",
    "Connection refused": "; is a server running there, and is this its gRPC port?",
    "Deadline": "; raise the timeout to wait longer",
}
TARGET = re.compile(
    r"(?:(grpcs?)://)?([^/]+)(?:/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?(?::predict)?)?/?"
)


class Grpc(EachInput):
    """Ask TensorFlow Serving over gRPC.

    Payloads and tensors are sent as they are, without base64 and JSON. An instance can be used by
    several threads. TensorFlow is not needed.

    Parameters
    ----------
    target : str
        The server and its model: ``localhost:8500/v1/models/pose``, also with ``/versions/3`` or
        ``/labels/stable``, and with ``grpc://`` or, for TLS, ``grpcs://`` before it.
    model : str, optional
        The name of the model, if ``target`` does not say it.
    schema : Schema, optional
        By default the server is asked for it.
    signature : str, optional
        The signature to run, by default that of the schema, else ``serving_default``. The signature
        ``arrays`` of an export takes plain tensors.
    headers : mapping of str to str, optional
        For example ``{"authorization": "Bearer ..."}``.
    credentials : grpc.ChannelCredentials, optional
        How the connection is encrypted; by default it is not, or by the system's certificates for
        ``grpcs://``.
    timeout : float, default 60
        Seconds to wait for an answer.
    max_message_bytes : int, optional
        The largest message to send and to receive; by default 2 GiB. gRPC itself receives 4 MiB by
        default. A larger batch is sent in several requests at once.
    retries : int, default 0
        How often to try again if there is no connection, or the server is busy: 0 to 4.

    Raises
    ------
    SpecError
        If the target is not one, or no model is named.

    Examples
    --------
    >>> import pathlib
    >>> def ask() -> None:
    ...     with Grpc("localhost:8500/v1/models/pose") as model:
    ...         outputs = model.predict({"pose_map": pathlib.Path("pose.pkl")})
    """

    def __init__(
        self,
        target: str,
        model: str | None = None,
        schema: Schema | None = None,
        *,
        signature: str | None = None,
        headers: Mapping[str, str] | None = None,
        credentials: Any = None,
        timeout: float = 60.0,
        max_message_bytes: int = MOST,
        retries: int = 0,
    ) -> None:
        found = TARGET.fullmatch(target) if isinstance(target, str) else None
        if found is None or not target.isprintable():
            rest = isinstance(target, str) and target.startswith(("http://", "https://"))
            advice = "; Rest takes a URL of HTTP" if rest else ""
            raise SpecError(f"{target!r} is no target, needs HOST:PORT/v1/models/NAME{advice}")
        scheme, host, named, version, label = found.groups()
        port = re.fullmatch(r"(?:\[.*\]|[^:]*):([0-9]{1,9})", host)
        if port is None and scheme != "grpcs":  # whose port is 443, if none is given
            raise SpecError(f"{target!r} has no port, needs HOST:PORT/v1/models/NAME")
        check_port(target, int(port[1]) if port else None)
        if (model or named) is None:
            raise SpecError(f"{target!r} names no model, needs HOST:PORT/v1/models/NAME")
        if model and named:
            raise SpecError(f"{target!r} names the model already: leave out model={model!r}")
        if version and int(version[:20]) >= 2**63:
            raise SpecError(f"{shown(target)!r} is no target: versions are below 2**63")
        check_headers({} if headers is None else headers)
        check_timeout(timeout)
        check_whole("retries", retries, 0, 4)
        limit = said("max_message_bytes", "--max-body-bytes")
        check_whole(limit, max_message_bytes, 1, MOST)
        if credentials is not None and not isinstance(credentials, grpc.ChannelCredentials):
            kind = type(credentials).__name__
            raise SpecError(f"credentials is {kind}, needs grpc.ChannelCredentials")
        self.target, self.signature, self.schema = target, chosen(schema, signature), schema
        self._signature = signature  # as given: else the schema says it
        self._spec = messages.ModelSpec(name=model or named, version_label=label or "")
        if version:
            self._spec.version.value = int(version)
        self._timeout, self._most = timeout, max_message_bytes
        self._metadata = [(name.lower(), value) for name, value in (headers or {}).items()]
        options = [
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.max_receive_message_length", max_message_bytes),
            # A server that restarts is found again at once, not after up to two minutes. (With
            # min_reconnect_backoff_ms, a connection that takes longer than that would be given up.)
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.use_local_subchannel_pool", 1),
            *retry_options(retries),
        ]
        if credentials is None and scheme == "grpcs":
            credentials = grpc.ssl_channel_credentials()
        if credentials is None:
            self._channel = grpc.insecure_channel(host, options)
        else:
            self._channel = grpc.secure_channel(host, credentials, options)
        self._process = os.getpid()
        self._predict = self._method("Predict", messages.PredictResponse)
        self._describing = threading.Lock()
        self._inputs: dict[str, Tensor] | None = None
        self._outputs: dict[str, Tensor] | None = None

    def prepare(self, inputs: Inputs) -> dict[str, PreparedInput]:
        """Encode inputs without asking for an answer: the first half of ``predict``."""
        known = self.describe()[1]
        return prepare(inputs, known, self.signature)

    def run(self, prepared: Mapping[str, PreparedInput]) -> Outputs:
        """Ask for the answer to prepared inputs: the second half of ``predict``."""
        schema, known, outputs = self.describe()
        arrays = {key: one.array for key, one in prepared.items()}
        parts = list(self._parts(known, arrays))
        single = [key for key, one in outputs.items() if not one.batched]
        if len(parts) > 1 and single:
            raise SpecError(
                f"output {single[0]} has no batch dimension, so a batch cannot be sent in parts; "
                f"send fewer rows, or raise {said('max_message_bytes', '--max-body-bytes')}"
            )
        results, sizes = [], []
        waiting: deque[tuple[Sent, Any]] = deque()
        try:
            for first, part in parts:
                if len(waiting) == IN_FLIGHT:
                    results.append(self._arrays(*waiting.popleft(), outputs))
                sent = Sent(first, known, part)
                sizes.append(sent.rows)
                waiting.append((sent, self._call(self.signature, known, part)))
            results += [self._arrays(sent, call, outputs) for sent, call in waiting]
        finally:  # one has failed, or the caller was interrupted: the others are of no use
            for _, call in waiting:
                call.cancel()
        return decoded(joined(results, sizes), schema)

    def describe(self) -> tuple[Schema, dict[str, Tensor], dict[str, Tensor]]:
        """The schema, and the inputs and outputs of the signature; the server is asked once."""
        if self._inputs is None:
            self._check_process()  # before the lock, which a thread of the other one may hold
            with self._describing:
                if self._inputs is None:
                    self._describe()
        assert self.schema is not None and self._outputs is not None
        assert self._inputs is not None
        return self.schema, self._inputs, self._outputs

    def _describe(self) -> None:
        signatures = self._signatures()
        if self.schema is None:
            self.schema = self._ask_schema() if SIGNATURE in signatures else Schema({})
        self.signature = chosen(self.schema, self._signature)
        self.schema = of_signature(self.schema, self.signature)
        inputs, outputs = signature_of(self.signature, signatures)
        self._outputs = tensors(outputs, Schema({}))
        self._inputs = tensors(inputs, self.schema)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _method(self, name: str, answer: Any) -> Any:
        return self._channel.unary_unary(
            f"{SERVICE}{name}",
            request_serializer=lambda message: message.SerializeToString(deterministic=True),
            response_deserializer=answer.FromString,
        )

    def _signatures(self) -> dict[str, tuple[Forms, Forms]]:
        """The inputs and outputs of each signature."""
        ask = self._method("GetModelMetadata", messages.GetModelMetadataResponse)
        request = messages.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        answer = self._wait(self._send(ask, request))
        found = messages.SignatureDefMap()
        try:
            found.ParseFromString(answer.metadata["signature_def"].value)
        except Exception as error:  # protobuf's DecodeError has moved between its releases
            raise ServerError(f"{self.target}: the metadata cannot be read: {error}") from None
        return {
            name: (forms(one.inputs), forms(one.outputs))
            for name, one in found.signature_def.items()
        }

    def _ask_schema(self) -> Schema:
        batch = np.array([b"-"], object)
        known = {"batch": Tensor("batch", "batch", "string", (None,))}
        answer = self._arrays(None, self._call(SIGNATURE, known, {"batch": batch}), None)
        texts = [item for array in answer.values() for item in np.ravel(array)]
        if not texts or not isinstance(texts[0], bytes) or len(texts[0]) > MAX_BYTES:
            raise ServerError(f"{self.target}: the answer to {SIGNATURE} is no schema")
        return Schema.from_json(texts[0])

    def _parts(self, known: Mapping[str, Tensor], arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
        """The first row and the inputs of each request."""
        batched = {key: array for key, array in arrays.items() if known[key].batched}
        check_rows({known[key].name: len(array) for key, array in batched.items()})
        if not batched:
            yield 0, arrays
            return
        costs = [
            sum(nbytes(row) + 20 for row in rows) for rows in zip(*batched.values(), strict=True)
        ]
        others = sum(nbytes(array) for key, array in arrays.items() if key not in batched)
        first = 0
        budget = self._most - others - 200 * (len(arrays) + 1)
        for last in cuts(costs, budget, "a message", said("max_message_bytes", "--max-body-bytes")):
            yield first, {**arrays, **{key: rows[first:last] for key, rows in batched.items()}}
            first = last

    def _call(
        self, signature: str, known: Mapping[str, Tensor], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> Any:
        """A request that is on its way."""
        request = messages.PredictRequest(model_spec=self._spec)
        request.model_spec.signature_name = signature
        for key, array in arrays.items():
            to_message(array, known[key].dtype, request.inputs[key])
        return self._send(self._predict, request)

    def _check_process(self) -> None:
        if os.getpid() != self._process:  # gRPC's threads are in the other one
            raise ServerError(f"{self.target}: the client is of another process: make one in each")

    def _send(self, method: Any, request: Any) -> Any:
        self._check_process()
        try:
            return method.future(request, self._timeout, self._metadata)
        except grpc.RpcError as error:  # it is too large
            raise self._failure(error) from None
        except ValueError as error:
            raise ServerError(f"{self.target}: {error}") from None

    def _arrays(
        self, sent: Sent | None, call: Any, expected: Mapping[str, Tensor] | None
    ) -> Outputs:
        """The outputs of an answer, of all at most as many bytes as a message can have."""
        answer = self._wait(call, sent)
        names = sorted(answer.outputs)  # a map of a message has no order
        if expected is not None and names != sorted(expected):
            raise ServerError(f"the answer has outputs {names}, expected {sorted(expected)}")
        found: Outputs = {}
        left = MOST
        for name in names:
            found[name] = from_message(name, answer.outputs[name], left)
            left -= found[name].nbytes
        return found

    def _wait(self, call: Any, sent: Sent | None = None) -> Any:
        try:
            return call.result()
        except grpc.RpcError as error:
            raise self._failure(error, sent) from None
        except grpc.FutureCancelledError:
            raise ServerError(f"{self.target}: the client was closed") from None

    def _failure(self, error: Any, sent: Sent | None = None) -> ServerError:
        code = error.code()
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            text = shown(" ".join(str(error.details()).split()), 1000)
            text += next((advice for part, advice in ADVICE.items() if part in text), "")
            return ServerError(f"{self.target}: no answer: {text}", code.value[0])
        return refusal(str(error.details()), code.value[0], f"gRPC {code.name}", sent)


def retry_options(retries: int) -> list[tuple[str, Any]]:
    """The channel options that let gRPC itself try again."""
    if not retries:
        return [("grpc.enable_retries", 0)]
    policy = {
        "maxAttempts": retries + 1,
        "initialBackoff": "0.1s",
        "maxBackoff": "10s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    }
    config = {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}
    # gRPC does not send a message again that is larger than its buffer, by default 256 KiB.
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.per_rpc_retry_buffer_size", MOST),
    ]


def forms(infos: Mapping[str, Any]) -> Forms:
    """The DT_ name and shape of each TensorInfo."""
    found: Forms = {}
    for key, info in infos.items():
        sides = tuple(None if side.size < 0 else side.size for side in info.tensor_shape.dim)
        try:
            kind = messages.DataType.Name(info.dtype)
        except ValueError:
            kind = f"number {info.dtype}"
        found[key] = (kind, None if info.tensor_shape.unknown_rank else sides)
    return found


def nbytes(value: Any) -> int:
    """Bytes that an array or one row of it needs in a message."""
    if isinstance(value, bytes):
        return len(value)
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        return sum(len(item) * (4 if isinstance(item, str) else 1) + 6 for item in array.ravel())
    return int(array.nbytes)
