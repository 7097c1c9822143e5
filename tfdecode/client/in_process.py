"""A model in this process, asked as a server would be: payloads in, through the byte signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DecodeError, FileError, SpecError, TfdecodeError
from ..extras import tensorflow as tf
from ..saved_models.session import ServingSession, reason
from ..schema import ASSET, SIGNATURE, Schema, version_directory
from .inputs import Fed, Input, Value, stacked


class InProcess:
    """A SavedModel, loaded by the session loader into a fresh graph.

    Parameters
    ----------
    saved_model : a SavedModel's directory, or the base path with its versions: the newest
    signature : the signature to run

    Raises FileError where there is no model or it does not load, SpecError for another signature.

    >>> import tempfile, tfdecode as tfd
    >>> spec = tfd.ArraySpec((3,), "int32", codecs="zlib")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     path = tfd.export(lambda pose: {"twice": pose * 2}, models, inputs={"pose": spec})
    ...     with InProcess(path) as model:
    ...         model.predict({"pose": np.arange(3, dtype="int32")})["twice"].tolist()
    [[0, 2, 4]]
    """

    def __init__(self, saved_model: Path, signature: str = "serving_default") -> None:
        self.directory = version_directory(Path(saved_model))
        try:
            self._session = ServingSession(self.directory)
        except tf.errors.OpError as error:
            raise FileError(f"{self.directory}: cannot be loaded: {reason(error)}") from None
        except (OSError, RuntimeError, ValueError) as error:
            text = " ".join(str(error).split())[:300]
            raise FileError(f"{self.directory}: cannot be loaded: {text}") from None
        try:
            self._signatures = self._session.signatures
            if signature not in self._signatures:
                known = ", ".join(self._signatures)
                raise SpecError(f"the model has no signature {signature!r}; it has {known}")
            self.signature = signature
            self.schema = self._read_schema()
            inputs, _ = self._signatures[signature]
            self.inputs = Input.of_signature(inputs, self.schema)
        except BaseException:
            self.close()
            raise

    def predict(self, inputs: Mapping[str, Value | Sequence[Value]]) -> dict[str, np.ndarray]:
        """The outputs of the signature, each ``[B, ...]``, for one example or a list of them.

        Parameters
        ----------
        inputs : input name -> one example, or a list of B of them:

            - of the schema: an array, or a file of one (its dtype converted where every value
              stays the same), which the spec packs; a file that a native container of the spec
              reads is sent as it is; or the payload itself, bytes or a ``.tfd`` file
            - other strings: bytes, or a file, whose bytes are passed on as they are
            - other numbers: an array or a file of one; the batch dimension is added if it lacks it

        Files are a pathlib.Path or, to choose one array of several, an `ArrayFile`.

        Raises SpecError for names that the signature does not take or that are missing,
        EncodeError and FileError where an input cannot be packed, DecodeError where the model
        refuses a payload, TfdecodeError where it fails otherwise.
        """
        return self.run(self.prepare(inputs))

    def prepare(self, inputs: Mapping[str, Value | Sequence[Value]]) -> dict[str, Fed]:
        """Signature key -> what ``predict`` feeds of ``inputs``, in their order; raises as it."""
        return {
            key: stacked(self.inputs[key], value) for key, value in self._by_key(inputs).items()
        }

    def run(self, prepared: Mapping[str, Fed]) -> dict[str, np.ndarray]:
        """The outputs for what ``prepare`` made; raises as ``predict``."""
        feeds = {key: fed.array for key, fed in prepared.items()}
        sizes = {key: len(feed) for key, feed in feeds.items() if self.inputs[key].batched}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{self.inputs[key].name} {size}" for key, size in sizes.items())
            raise SpecError(f"inputs differ in their number of rows: {listed}")
        try:
            results = self._session.run(self.signature, feeds)
        except tf.errors.OpError as error:
            raise self._refused(error) from None
        return {name: np.asarray(result) for name, result in results.items()}

    def close(self) -> None:
        """Free the model's memory."""
        self._session.close()

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read_schema(self) -> Schema:
        """The schema as the graph tells it, else its copy, else an empty one."""
        if SIGNATURE in self._signatures:
            inputs, outputs = self._signatures[SIGNATURE]
            if set(inputs) == {"batch"} and "schema" in outputs:
                text = self._session.run(SIGNATURE, {"batch": [b""]})["schema"]
                return Schema.from_json(np.ravel(text)[0])
        if (self.directory / ASSET).exists():
            return Schema.load(self.directory)
        return Schema({})

    def _by_key(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """``inputs`` by signature key; an input answers to its name and to its key."""
        by_name = {**{key: key for key in self.inputs}, **{i.name: k for k, i in self._items()}}
        found: dict[str, Any] = {}
        for name, value in inputs.items():
            key = by_name.get(name)
            if key is None:
                raise SpecError(f"no input is named {name!r}; {self._takes()}")
            if key in found:
                raise SpecError(f"input {self.inputs[key].name} is given twice, also as {key}")
            found[key] = value
        missing = [given.name for key, given in self._items() if key not in found]
        if missing:
            raise SpecError(f"inputs are missing: {', '.join(missing)}; {self._takes()}")
        return found

    def _items(self) -> Sequence[tuple[str, Input]]:
        return list(self.inputs.items())

    def _takes(self) -> str:
        listed = ", ".join(str(given) for given in self.inputs.values())
        return f"signature {self.signature} takes {listed or 'nothing'}"

    def _refused(self, error: Any) -> TfdecodeError:
        """What the model says of a payload as a DecodeError, anything else as a failure of it."""
        text = reason(error)
        specced = [key for key, given in self._items() if given.spec is not None]
        if any(text.startswith(f"{key}: ") for key in specced):
            return DecodeError(text)
        if specced and isinstance(error, tf.errors.DataLossError):
            return DecodeError(f"a payload is damaged: {text}")
        return TfdecodeError(f"the model failed: {text}")
