"""A gRPC server with TensorFlow Serving's own service classes, over the session loader."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfdecode.saved_models.session import ServingSession


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Serves one model as ``m``, version 1, label ``stable``."""

    def __init__(self, model: Path) -> None:
        self.session = ServingSession(model)
        self.requests: list[tuple[Any, dict[str, str]]] = []
        #: Codes to answer with before the model is asked.
        self.busy: list[grpc.StatusCode] = []

    def known(self, request: Any, context: grpc.ServicerContext) -> None:
        self.requests.append((request, dict(context.invocation_metadata())))
        if self.busy:
            context.abort(self.busy.pop(), "busy")
        spec = request.model_spec
        if (spec.name, spec.version.value or 1, spec.version_label or "stable") != (
            "m",
            1,
            "stable",
        ):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {spec.name}")

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.known(request, context)
        signatures = metadata_pb2.SignatureDefMap()
        for name, (inputs, outputs) in self.session.signatures.items():
            one = signatures.signature_def[name]
            for key, info in inputs.items():
                one.inputs[key].CopyFrom(info)
            for key, info in outputs.items():
                one.outputs[key].CopyFrom(info)
        answer = metadata_pb2.GetModelMetadataResponse()
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.known(request, context)
        name = request.model_spec.signature_name or "serving_default"
        if name not in self.session.signatures:
            text = f'Serving signature name: "{name}" not found in signature def'
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        inputs, _ = self.session.signatures[name]
        if set(inputs) != set(request.inputs):
            text = f"input size does not match signature: {len(request.inputs)}!={len(inputs)}"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        feeds = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
        try:
            results = self.session.run(name, feeds)
        except tf.errors.OpError as error:
            code = next(one for one in grpc.StatusCode if one.value[0] == error.error_code)
            context.abort(code, str(error.message))
        answer = predict_pb2.PredictResponse(model_spec=request.model_spec)
        for key, value in results.items():
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(np.asarray(value)))
        return answer


@contextmanager
def serving(model: Path, port: int = 0) -> Iterator[tuple[Service, int]]:
    """A running server and its port."""
    service = Service(model)
    options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield service, port
    finally:
        server.stop(None).wait()
        service.session.close()
