"""Keras files: by the Keras that is installed, those of Keras 2 by tf_keras if it is there."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import reading
from ..errors import ExportError, said

SUFFIXES = (".keras", ".h5", ".hdf5")


def keras_model(path: Path, safe_mode: bool) -> Any:
    """A Keras model of a file; ExportError if it cannot be read, or would run code of its own."""
    with reading.opened(path):  # a regular file; weights may have more than a protobuf
        pass
    import keras

    version, config = about(path)
    # Not left to Keras: tf_keras runs the code of an .h5 whatever safe_mode is.
    if safe_mode and any("lambda" in name.lower() for name in class_names(config)):
        raise ExportError(
            f"{path}: Keras cannot load it: it has a Lambda layer, which is code that the file "
            f"brings; if you trust it, pass {said('safe_mode=False', '--no-safe-mode')}"
        )
    old = version.startswith("2") and not keras.__version__.startswith("2")
    library: Any = import_module("tf_keras") if old and find_spec("tf_keras") else keras
    try:
        return library.models.load_model(path, compile=False, safe_mode=safe_mode)
    except Exception as error:  # whatever the layers raise
        text = " ".join(str(error).split())[:300]
        if old and library is keras:
            text += f"; it is a file of Keras {version}, which tf_keras reads: pip install tf_keras"
        raise ExportError(f"{path}: Keras cannot load it: {text}") from None


def about(path: Path) -> tuple[str, Any]:
    """The version of the Keras that wrote a file, and the model's configuration; "" if unknown."""
    version: Any = ""
    config = None
    with contextlib.suppress(Exception):  # Keras says what is wrong with it
        # The configuration first: what code is in a file is asked of it, whatever the version is.
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                config = json.loads(archive.read("config.json"))
                version = json.loads(archive.read("metadata.json"))["keras_version"]
        else:
            import h5py

            with h5py.File(path) as file:
                config = json.loads(file.attrs["model_config"])
                version = file.attrs["keras_version"]
    # Keras wrote bytes before it was part of TensorFlow.
    return version.decode(errors="replace") if isinstance(version, bytes) else str(version), config


def class_names(config: Any) -> Iterator[str]:
    """The names of all classes in a configuration, however deep they are."""
    left = [config]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield str(one.get("class_name", ""))
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
