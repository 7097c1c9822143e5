"""Schema: the specs of a model's inputs by name, as client and graph share them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import FileError, SpecError
from .extras import tensorflow as tf
from .spec import ArraySpec
from .spec_json import VERSION, check_version, parse_json

#: Where a copy lies inside a version directory of a SavedModel.
ASSET = Path("assets.extra", "tfdecode.json")
#: The signature that tells the schema, and its output.
SIGNATURE = "tfdecode_schema"
#: A schema comes from a server, so its size is not trusted.
MAX_BYTES = 2**20


def bytes_key(name: str) -> str:
    """The signature key of an input: ``pose_map`` is ``pose_map_bytes``."""
    return name if name.endswith("_bytes") else f"{name}_bytes"


def check_name(name: Any) -> None:
    """SpecError unless ``name`` can be that of an input."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name):
        raise SpecError(f"input name {name!r} needs letters, digits and _, at most 128")


class Schema(Mapping[str, ArraySpec]):
    """Input name -> ArraySpec.

    >>> schema = Schema({"pose_map": ArraySpec((2, 3), "float32")})
    >>> schema["pose_map"].dtype, list(schema.feature_keys().values())
    ('float32', ['pose_map_bytes'])
    >>> Schema.from_json(schema.to_json()) == schema
    True
    """

    def __init__(self, inputs: Mapping[str, ArraySpec]) -> None:
        for name, spec in inputs.items():
            check_name(name)
            if not isinstance(spec, ArraySpec):
                raise SpecError(f"input {name} is {type(spec).__name__}, needs an ArraySpec")
        keys = [bytes_key(name) for name in inputs]
        if len(set(keys)) != len(keys):
            raise SpecError(f"two inputs share a signature key among {', '.join(keys)}")
        self._inputs = dict(inputs)

    def __getitem__(self, name: str) -> ArraySpec:
        return self._inputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)

    def __hash__(self) -> int:
        return hash(frozenset(self._inputs.items()))

    def __repr__(self) -> str:
        return f"Schema({self._inputs!r})"

    def feature_keys(self) -> dict[str, str]:
        """Input name -> signature key, as ``pose_map`` -> ``pose_map_bytes``."""
        return {name: bytes_key(name) for name in self}

    def feature_spec(self) -> dict[str, Any]:
        """What ``tf.io.parse_example`` needs to read the payloads from tf.train.Example."""
        keys = self.feature_keys().values()
        return {key: tf.io.FixedLenFeature([], tf.string) for key in keys}

    def decode_tensors(self, payloads: Mapping[str, Any]) -> dict[str, Any]:
        """Decode a dict with a string tensor for each input's key; other entries are passed on.

        Takes what a signature or ``tf.io.parse_example`` gives, in a graph or in tf.data, and
        returns the arrays under the inputs' names. SpecError where a key is missing.

        Rows of a batch that differ along a ``None`` dimension fail: take ``decode_ragged`` of that
        input's spec, or in tf.data decode before batching, and batch by ``padded_batch``.
        """
        if not isinstance(payloads, Mapping):
            kind = type(payloads).__name__
            raise SpecError(f"payloads is {kind}, needs a dict of string tensors")
        keys = self.feature_keys()
        missing = [key for key in keys.values() if key not in payloads]
        if missing:
            got = ", ".join(payloads) or "none"
            raise SpecError(f"no payloads for {', '.join(missing)}; got {got}")
        others = {k: v for k, v in payloads.items() if k not in keys.values()}
        clash = sorted(set(others) & set(self))
        if clash:
            raise SpecError(
                f"{', '.join(clash)} would be replaced by the decoded array of that name"
            )
        decoded = {
            name: spec.decode_tensor(payloads[keys[name]], input_name=keys[name])
            for name, spec in self.items()
        }
        return {**others, **decoded}

    def to_json(self) -> str:
        """The schema as JSON: ``{"version": 1, "inputs": {name: spec}}``."""
        inputs = {name: json.loads(spec.to_json()) for name, spec in self.items()}
        return json.dumps({"version": VERSION, "inputs": inputs}, indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> Schema:
        """The schema of a JSON text; SpecError for anything unknown in it."""
        if len(text) > MAX_BYTES:
            raise SpecError(f"schema has {len(text)} bytes, at most {MAX_BYTES} are read")
        schema = parse_json(text, "schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("inputs"), dict):
            raise SpecError("schema needs a JSON object with 'inputs'")
        check_version(schema, "schema")
        unknown = set(schema) - {"version", "inputs"}
        if unknown:
            raise SpecError(f"schema has unknown keys {sorted(unknown)}; known: version, inputs")
        inputs = {}
        for name, spec in schema["inputs"].items():
            try:
                inputs[name] = ArraySpec.from_dict(spec)
            except SpecError as error:
                raise SpecError(f"input {name[:128]!r}: {error}") from None
        return cls(inputs)

    def save(self, path: Path | str) -> None:
        """Write the JSON to ``path``; FileError where that cannot be."""
        try:
            Path(path).write_text(self.to_json() + "\n", encoding="utf-8")
        except OSError as error:
            raise FileError(f"{path}: cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, path: Path | str) -> Schema:
        """Read a JSON file, or the copy that lies in a SavedModel's version directory.

        A directory without a SavedModel is taken for a model's base path: its newest version.
        Raises FileError where there is no schema, SpecError where it cannot be read.
        """
        file = Path(path)
        if file.is_dir():
            file = version_directory(file) / ASSET
        try:
            with file.open("rb") as stream:
                return cls.from_json(stream.read(MAX_BYTES + 1))
        except FileNotFoundError:
            model = ": the model was not exported by tfdecode" if file != Path(path) else ""
            raise FileError(f"{file}: no schema could be read, no such file{model}") from None
        except OSError as error:
            raise FileError(f"{file}: no schema could be read: {error.strerror}") from None
        except SpecError as error:
            raise SpecError(f"{file}: {error}") from None


def version_directory(model: Path) -> Path:
    """``model`` if it is a SavedModel, else its newest version, as TensorFlow Serving picks it."""
    if (model / "saved_model.pb").exists():
        return model
    try:
        versions = [p for p in model.iterdir() if p.name.isdecimal() and p.is_dir()]
    except OSError as error:
        raise FileError(f"{model}: cannot be read: {error.strerror}") from None
    if not versions:
        raise FileError(f"{model}: holds neither a SavedModel nor versions of one")
    return max(versions, key=lambda p: int(p.name))
