"""The protobuf of a SavedModel, read without loading the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import FileError
from ..extras import LazyModule
from ..reading import read

saved_model_pb2: Any = LazyModule("tensorflow.core.protobuf.saved_model_pb2", "tensorflow")

text_format: Any = LazyModule("google.protobuf.text_format", "tensorflow")

#: The protobuf as text, which old exporters can write.
TEXT = "saved_model.pbtxt"
#: Protocol buffers can have no more.
MAX_BYTES = 2**31 - 1


def read_protobuf(directory: Path) -> Any:
    """The SavedModel protobuf of a model's directory; FileError if it cannot be read."""
    model = saved_model_pb2.SavedModel()
    try:
        if not (directory / "saved_model.pb").exists() and (directory / TEXT).exists():
            text_format.Parse(read(directory / TEXT, MAX_BYTES).decode(), model)
        else:
            model.ParseFromString(read(directory / "saved_model.pb", MAX_BYTES))
    except FileError:
        raise
    except Exception as error:  # protobuf's DecodeError has moved between its releases
        raise FileError(f"{directory}: the protobuf is damaged: {error}") from None
    return model
