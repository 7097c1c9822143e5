"""Run a model in this process as a server would: payloads in, through the byte signature."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import reading
from ..errors import DecodeError, FileError, SpecError, TfdecodeError
from ..extras import LazyModule
from ..extras import tensorflow as tf
from ..saved_models.session import ServingSession, reason
from ..schema import ASSET, SIGNATURE, Schema, version_directory
from .answer import decoded
from .each import EachInput
from .inputs import Inputs, Outputs, PreparedInput, prepare
from .signature import Tensor, check_rows, chosen, of_signature, tensors

types_pb2: Any = LazyModule("tensorflow.core.framework.types_pb2", "tensorflow")


class InProcess(EachInput):
    """Run a SavedModel in this process, loaded as TensorFlow Serving loads it.

    Parameters
    ----------
    saved_model : str or os.PathLike
        The directory of a SavedModel, or of its versions; the newest version is loaded.
    signature : str, optional
        The signature to run, by default that of the schema, else ``serving_default``.

    Raises
    ------
    FileError
        If there is no model, or it cannot be loaded.
    SpecError
        If the model does not have the signature.

    Examples
    --------
    >>> import tempfile, tfdecode as tfd
    >>> spec = tfd.ArraySpec((3,), "int32", codecs="zlib")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     path = tfd.export(lambda pose: {"twice": pose * 2}, models, inputs={"pose": spec})
    ...     with InProcess(path) as model:
    ...         model.predict({"pose": np.arange(3, dtype="int32")})["twice"].tolist()
    [[0, 2, 4]]
    """

    def __init__(self, saved_model: str | os.PathLike[str], signature: str | None = None) -> None:
        self.directory = version_directory(Path(saved_model))
        reading.check_tree(self.directory)
        self._process = os.getpid()
        try:
            self._session = ServingSession(self.directory)
        except tf.errors.OpError as error:
            raise FileError(f"{self.directory}: cannot be loaded: {reason(error)}") from None
        except (OSError, RuntimeError, ValueError) as error:
            text = " ".join(str(error).split())[:300]
            raise FileError(f"{self.directory}: cannot be loaded: {text}") from None
        try:
            self._signatures = self._session.signatures
            schema = self._read_schema()
            self.signature = chosen(schema, signature)
            if self.signature not in self._signatures:
                known = ", ".join(self._signatures)
                raise SpecError(f"the model has no signature {self.signature!r}; it has {known}")
            self.schema = of_signature(schema, self.signature)
            inputs, outputs = (
                {key: form(info) for key, info in infos.items()}
                for infos in self._signatures[self.signature]
            )
            self.inputs, self.outputs = tensors(inputs, self.schema), tensors(outputs, Schema({}))
        except BaseException:
            self.close()
            raise

    def predict(self, inputs: Inputs) -> Outputs:
        """Run the signature on one example or on a list of them.

        Parameters
        ----------
        inputs : mapping of str to array_like, bytes, os.PathLike, ArrayFile, or a list of B of them
            Input name (or signature key) to one example or several:

            - An input of the schema takes an array, an array file, or a payload (bytes, or a file
              ``.tfd``). A file is sent unchanged if the spec reads it; else its array is cast to
              the spec's dtype, if no value changes, and encoded. An array with one dimension more
              than the spec is a batch, of a file too.
            - Another string input takes bytes, or a file whose bytes are sent.
            - Another numeric input takes an array or array file, with or without the batch. If the
              signature takes ``<name>_lengths`` too, arrays may differ in length.

            A file is an os.PathLike or, to choose one array of several, an `ArrayFile`. A ``str``
            is never a path here.

        Returns
        -------
        dict of str to numpy.ndarray
            The outputs by name, each ``[B, ...]``.

        Raises
        ------
        SpecError
            If a name is unknown or missing, or the inputs differ in their number of rows.
        EncodeError, FileError
            If an input cannot be encoded or read.
        DecodeError, TfdecodeError
            If the model refuses a payload, or fails otherwise.
        """
        return self.run(self.prepare(inputs))

    def prepare(self, inputs: Inputs) -> dict[str, PreparedInput]:
        """Encode inputs without running the model: the first half of ``predict``.

        Parameters
        ----------
        inputs : mapping
            As ``predict`` takes it. The result is by signature key, in the same order.
        """
        return prepare(inputs, self.inputs, self.signature)

    def run(self, prepared: Mapping[str, PreparedInput]) -> Outputs:
        """Run the model on prepared inputs: the second half of ``predict``.

        Parameters
        ----------
        prepared : mapping of str to PreparedInput
            The result of ``prepare``.
        """
        feeds = {key: one.array for key, one in prepared.items()}
        batched = {key: feed for key, feed in feeds.items() if self.inputs[key].batched}
        check_rows({self.inputs[key].name: len(feed) for key, feed in batched.items()})
        if os.getpid() != self._process:  # TensorFlow's threads are in the other one: it would wait
            raise TfdecodeError("the model was loaded in another process: load it in each")
        if self._session.closed:
            raise TfdecodeError("the model is closed: use it before close() or inside its with")
        try:
            results = self._session.run(self.signature, feeds)
        except tf.errors.OpError as error:
            raise self._refused(error) from None
        outputs = {name: np.asarray(result) for name, result in results.items()}
        return decoded(outputs, self.schema)

    def describe(self) -> tuple[Schema, dict[str, Tensor], dict[str, Tensor]]:
        """The schema, and the inputs and outputs of the signature."""
        return self.schema, self.inputs, self.outputs

    def close(self) -> None:
        """Free the model's memory."""
        self._session.close()

    def _read_schema(self) -> Schema:
        """The schema in the graph, else its copy in assets.extra, else an empty one."""
        if SIGNATURE in self._signatures:
            inputs, outputs = self._signatures[SIGNATURE]
            if set(inputs) == {"batch"} and "schema" in outputs:
                text = self._session.run(SIGNATURE, {"batch": [b""]})["schema"]
                return Schema.from_json(np.ravel(text)[0])
        if (self.directory / ASSET).exists():
            return Schema.load(self.directory)
        return Schema({})

    def _refused(self, error: Any) -> TfdecodeError:
        """A DecodeError if the model refused a payload, else a TfdecodeError."""
        text = reason(error)
        specced = [key for key, given in self.inputs.items() if given.spec is not None]
        if any(text.startswith(f"{key}: ") for key in specced):
            return DecodeError(text)
        if specced and isinstance(error, tf.errors.DataLossError):
            return DecodeError(f"a payload is damaged: {text}")
        return TfdecodeError(f"the model failed: {text}")


def form(info: Any) -> tuple[str, tuple[int | None, ...] | None]:
    """The DT_ name and the shape of a TensorInfo protobuf."""
    shape = info.tensor_shape
    sides = tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return types_pb2.DataType.Name(info.dtype), None if shape.unknown_rank else sides
