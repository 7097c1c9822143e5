"""The protobuf of a SavedModel, read without loading the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import FileError
from ..extras import LazyModule

saved_model_pb2: Any = LazyModule("tensorflow.core.protobuf.saved_model_pb2", "tensorflow")


def read_protobuf(directory: Path) -> Any:
    """The SavedModel protobuf of a model's directory; FileError if it cannot be read."""
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((directory / "saved_model.pb").read_bytes())
    except OSError as error:
        raise FileError(f"{directory}: no saved_model.pb could be read: {error.strerror}") from None
    except Exception as error:  # protobuf's DecodeError has moved between its releases
        raise FileError(f"{directory}: saved_model.pb is damaged: {error}") from None
    return model
