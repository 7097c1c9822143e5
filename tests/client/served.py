"""Models as TensorFlow Serving holds them: by name, version and label, with batching if asked.

Rules and sentences are those of its sources, in tensorflow_serving/: core/basic_manager.cc,
model_servers/server_core.cc, servables/tensorflow/predict_util.cc, batching/batching_session.cc.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.config_pb2 import CallableOptions

from tfdecode.saved_models.session import ServingSession

Arrays = dict[str, np.ndarray]


class Refusal(Exception):
    """An error of the server: the name of a gRPC code, and a sentence."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Batching(NamedTuple):
    """What a batching.config says, as far as it changes answers."""

    sizes: tuple[int, ...]
    seconds: float


class Batch:
    """Requests that are run together."""

    def __init__(self) -> None:
        self.feeds: list[Arrays] = []
        self.rows = 0
        self.full, self.done = threading.Event(), threading.Event()
        self.results: Arrays = {}
        self.error: Refusal | None = None


class Model:
    """One version of a model."""

    def __init__(self, path: Path, batching: Batching | None = None) -> None:
        self.session = ServingSession(path)
        self.signatures = self.session.signatures
        self.batching = batching
        self.call = cache(self._call)
        self.lock = threading.Lock()
        self.open: dict[Any, Batch] = {}

    def _call(self, signature: str) -> Any:
        """The signature as a function. Servers compare no shape with it, ``Session.run`` does."""
        inputs, outputs = self.signatures[signature]
        options = CallableOptions(
            feed=[info.name for info in inputs.values()],
            fetch=[info.name for info in outputs.values()],
        )
        return self.session.session._make_callable_from_options(options)

    def predict(self, signature: str, feeds: Arrays) -> Arrays:
        """The outputs of a signature; Refusal for what the server or the model refuses."""
        if signature not in self.signatures:
            raise Refusal("FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.')
        inputs, _ = self.signatures[signature]
        if len(feeds) != len(inputs):
            lengths = f"{len(feeds)}!={len(inputs)} len({joined(feeds)}) != len({joined(inputs)})"
            extra, missing = joined(set(feeds) - set(inputs)), joined(set(inputs) - set(feeds))
            text = f"input size does not match signature: {lengths}. Sent extra: {extra}. "
            raise Refusal("INVALID_ARGUMENT", f"{text}Missing but required: {missing}.")
        for key in feeds:
            if key not in inputs:
                text = f"input tensor alias not found in signature: {key}. "
                text += f"Inputs expected to be in the set {joined(inputs)}."
                raise Refusal("INVALID_ARGUMENT", text)
        for place, (key, info) in enumerate(inputs.items()):
            needs, got = tf.as_dtype(info.dtype).name, tf.as_dtype(feeds[key].dtype).name
            if needs != got:
                text = f"Expects arg[{place}] to be {needs} but {got} is provided"
                raise Refusal("INVALID_ARGUMENT", text)
        feeds = {key: feeds[key] for key in inputs}
        return self.merged(signature, feeds) if self.batching else self.run(signature, feeds)

    def run(self, signature: str, feeds: Arrays) -> Arrays:
        try:
            results = self.call(signature)(*feeds.values())
        except tf.errors.OpError as error:
            raise Refusal(CODES[error.error_code], str(error.message)) from None
        return dict(zip(self.signatures[signature][1], map(np.asarray, results), strict=True))

    def merged(self, signature: str, feeds: Arrays) -> Arrays:
        """As ``run``, in a batch with the requests that come in the next moment."""
        assert self.batching is not None
        if not all(array.ndim for array in feeds.values()):
            text = "Batching Run() input tensors must have at least one dimension"
            raise Refusal("INVALID_ARGUMENT", text)
        if len({len(array) for array in feeds.values()}) > 1:
            text = "Batching Run() input tensors must have equal 0th-dimension size"
            raise Refusal("INVALID_ARGUMENT", text)
        most, rows = self.batching.sizes[-1], len(next(iter(feeds.values())))
        if rows > most:
            text = f"Task size {rows} is larger than maximum input batch size {most}"
            raise Refusal("INVALID_ARGUMENT", text)
        kind = (signature, *(array.shape[1:] for array in feeds.values()))
        with self.lock:
            batch = self.open.get(kind)
            first = batch is None or batch.rows + rows > most
            if batch is None or first:
                if batch is not None:
                    batch.full.set()
                batch = self.open[kind] = Batch()
            start = batch.rows
            batch.rows += rows
            batch.feeds.append(feeds)
            if batch.rows == most:
                batch.full.set()
        if first:
            batch.full.wait(self.batching.seconds)
            self.run_batch(signature, kind, batch)
        batch.done.wait()
        if batch.error is not None:
            raise Refusal(batch.error.code, batch.error.text)
        return {key: array[start : start + rows] for key, array in batch.results.items()}

    def run_batch(self, signature: str, kind: Any, batch: Batch) -> None:
        assert self.batching is not None
        with self.lock:
            if self.open.get(kind) is batch:
                del self.open[kind]
        try:
            size = next(size for size in self.batching.sizes if size >= batch.rows)
            padding = batch.feeds[:1] and [
                {key: array[:1] for key, array in batch.feeds[0].items()}
            ] * (size - batch.rows)
            parts = [*batch.feeds, *padding]
            feeds = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
            batch.results = self.run(signature, feeds)
            if any(len(array) != size for array in batch.results.values()):
                text = "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                raise Refusal("INVALID_ARGUMENT", f"{text}dimension sizes of the input tensors")
        except Refusal as error:
            batch.error = error
        finally:
            batch.done.set()


#: The name of each code.
CODES = {
    value: name
    for name, value in vars(tf.errors).items()
    if name.isupper() and isinstance(value, int)
}


def joined(names: Any) -> str:
    return "{" + ",".join(sorted(names)) + "}"


class Models:
    """The models of a server by name and version; labels are names of versions."""

    def __init__(
        self,
        paths: Mapping[str, Mapping[int, Path]],
        labels: Mapping[str, Mapping[str, int]] | None = None,
        batching: Batching | None = None,
    ) -> None:
        self.models = {
            name: {version: Model(path, batching) for version, path in versions.items()}
            for name, versions in paths.items()
        }
        self.labels = labels or {}

    @classmethod
    def single(cls, path: Path) -> Models:
        """A model ``m`` of version 1, which has the label ``stable``."""
        return cls({"m": {1: path}}, {"m": {"stable": 1}})

    def find(self, name: str, version: int | None = None, label: str | None = None) -> Model:
        """The model of a request; Refusal if there is none."""
        if label:
            if label not in self.labels.get(name, {}):
                text = f"Unrecognized servable version label: {label}"
                raise Refusal("INVALID_ARGUMENT", text)
            version = self.labels[name][label]
        versions = self.models.get(name, {})
        if not versions or (version is not None and version not in versions):
            request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refusal("NOT_FOUND", f"Servable not found for request: {request}")
        return versions[max(versions) if version is None else version]

    def close(self) -> None:
        for versions in self.models.values():
            for model in versions.values():
                model.session.close()
