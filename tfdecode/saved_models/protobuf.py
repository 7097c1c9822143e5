"""The protobuf of a SavedModel, read without loading the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import FileError
from ..extras import LazyModule
from ..reading import read

saved_model_pb2: Any = LazyModule("tensorflow.core.protobuf.saved_model_pb2", "tensorflow")

#: Protocol buffers can have no more.
MAX_BYTES = 2**31 - 1


def read_protobuf(directory: Path) -> Any:
    """The SavedModel protobuf of a model's directory; FileError if it cannot be read."""
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(read(directory / "saved_model.pb", MAX_BYTES))
    except FileError:
        raise
    except Exception as error:  # protobuf's DecodeError has moved between its releases
        raise FileError(f"{directory}: saved_model.pb is damaged: {error}") from None
    return model
