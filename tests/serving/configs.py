"""models.config and batching.config as the protobufs that TensorFlow Serving reads."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

FIELD = descriptor_pb2.FieldDescriptorProto


#: servables/tensorflow/session_bundle_config.proto, which tensorflow-serving-api does not have, as
#: far as it is written here.
BATCHING = {
    "max_batch_size": (1, "Value"),
    "batch_timeout_micros": (2, "Value"),
    "max_enqueued_batches": (3, "Value"),
    "num_batch_threads": (4, "Value"),
    "allowed_batch_sizes": (6, "int64"),
}


def batching(text: str) -> Any:
    """The BatchingParameters of a batching.config; an unknown field or a wrong type raises."""
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", package="t", syntax="proto3")
    value = file.message_type.add(name="Value")
    value.field.add(name="value", number=1, label=FIELD.LABEL_OPTIONAL, type=FIELD.TYPE_INT64)
    described = file.message_type.add(name="BatchingParameters")
    for name, (number, kind) in BATCHING.items():
        if kind == "Value":
            one = described.field.add(type=FIELD.TYPE_MESSAGE, type_name=".t.Value")
            one.label = FIELD.LABEL_OPTIONAL
        else:
            one = described.field.add(type=FIELD.TYPE_INT64, label=FIELD.LABEL_REPEATED)
        one.name, one.number = name, number
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.BatchingParameters"))
    return text_format.Parse(text, kind())


def configs(text: str) -> list[Any]:
    """The models of a models.config."""
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return list(config.model_config_list.config)
