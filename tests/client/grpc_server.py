"""A gRPC server with TensorFlow Serving's own service classes, over the session loader."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import grpc
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from .served import Model, Models, Refusal


class Service(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """Serves models."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.requests: list[tuple[Any, dict[str, str]]] = []
        #: Codes to answer with before the model is asked.
        self.busy: list[grpc.StatusCode] = []

    def find(self, request: Any, context: grpc.ServicerContext) -> Model:
        self.requests.append((request, dict(context.invocation_metadata())))
        if self.busy:
            context.abort(self.busy.pop(), "busy")
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        try:
            return self.models.find(spec.name, version, spec.version_label)
        except Refusal as error:
            refuse(error, context)

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.find(request, context)
        answer = get_model_status_pb2.GetModelStatusResponse()
        available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        answer.model_version_status.add(version=1, state=available)
        return answer

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        signatures = metadata_pb2.SignatureDefMap()
        for name, (inputs, outputs) in self.find(request, context).signatures.items():
            one = signatures.signature_def[name]
            for key, info in inputs.items():
                one.inputs[key].CopyFrom(info)
            for key, info in outputs.items():
                one.outputs[key].CopyFrom(info)
        answer = metadata_pb2.GetModelMetadataResponse()
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        model = self.find(request, context)
        signature = request.model_spec.signature_name or "serving_default"
        feeds = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
        answer = predict_pb2.PredictResponse(model_spec=request.model_spec)
        try:
            for key, value in model.predict(signature, feeds).items():
                answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        except Refusal as error:
            refuse(error, context)
        return answer


def refuse(error: Refusal, context: grpc.ServicerContext) -> NoReturn:
    context.abort(grpc.StatusCode[error.code], error.text)
    raise AssertionError("abort raises")


@contextmanager
def serving(model: Path | Models, port: int = 0) -> Iterator[tuple[Service, int]]:
    """A running server of a model ``m``, or of several, and its port."""
    models = model if isinstance(model, Models) else Models.single(model)
    service = Service(models)
    options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(16), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield service, port
    finally:
        server.stop(None).wait()
        models.close()
