"""Schema: the specs of a model's inputs by name, shared by client and graph."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from . import reading
from .dataset import Files, dataset
from .errors import FileError, SpecError, meant
from .extras import tensorflow as tf
from .layouts import Layout, check_ragged, decoded
from .spec import ArraySpec
from .spec_json import MAX_CHAINS_IN_ALL as MAX_CHAINS
from .spec_json import VERSION, check_version, check_work, parse_json

#: The copy of the schema inside a version directory of a SavedModel.
ASSET = Path("assets.extra", "tfdecode.json")
#: The signature that returns the schema, and its output.
SIGNATURE = "tfdecode_schema"
#: Why a SavedModel has no copy of a schema.
NOT_EXPORTED = "; there is no schema, because the model was not exported by tfdecode"
#: The keys of its JSON object.
_KEYS = ("version", "inputs", "outputs", "max_batch_size")
#: A schema comes from a server, so its size is not trusted.
MAX_BYTES = 2**20


def bytes_key(name: str) -> str:
    """The signature key of an input: ``pose_map_bytes`` for ``pose_map``."""
    return name if name.endswith("_bytes") else f"{name}_bytes"


def check_name(name: Any) -> None:
    """SpecError unless ``name`` is valid for an input."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name):
        raise SpecError(f"input name {name!r} needs letters, digits and _, at most 128")


class Schema(Mapping[str, ArraySpec]):
    """The specs of a model's byte inputs, by name.

    Parameters
    ----------
    inputs : mapping of str to ArraySpec
        Input name to spec. Names have letters, digits and ``_``, at most 128.
    outputs : mapping of str to ArraySpec, optional
        The same of the outputs that the model encodes.
    max_batch_size : int, optional
        The largest batch that the model takes.

    Attributes
    ----------
    outputs : dict of str to ArraySpec
        The outputs that the model encodes.
    max_batch_size : int or None
        The largest batch that the model takes, if that is known.

    Raises
    ------
    SpecError
        If a name is invalid, or two inputs have the same signature key.

    Examples
    --------
    >>> schema = Schema({"pose_map": ArraySpec((2, 3), "float32")})
    >>> schema["pose_map"].dtype, list(schema.feature_keys().values())
    ('float32', ['pose_map_bytes'])
    >>> Schema.from_json(schema.to_json()) == schema
    True
    """

    def __init__(
        self,
        inputs: Mapping[str, ArraySpec],
        outputs: Mapping[str, ArraySpec] | None = None,
        max_batch_size: int | None = None,
    ) -> None:
        for what, specs in (("input", inputs), ("output", outputs or {})):
            _check_specs(what, specs)
        if max_batch_size is not None and (type(max_batch_size) is not int or max_batch_size < 1):
            raise SpecError(f"max_batch_size is {max_batch_size!r}, needs a whole number from 1 on")
        self._inputs = dict(inputs)
        self.outputs = dict(outputs or {})
        self.max_batch_size = max_batch_size

    def __getitem__(self, name: str) -> ArraySpec:
        try:
            return self._inputs[name]
        except KeyError:
            known = ", ".join(self._inputs) or "none"
            close = meant(name, self._inputs)
            raise KeyError(f"no input {name!r}{close}; the inputs are {known}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)

    def _all(self) -> tuple[Any, ...]:
        return self._inputs, self.outputs, self.max_batch_size

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Schema):
            return self._all() == other._all()
        # As every mapping equals a dict of the same items.
        return (
            self._all() == (dict(other), {}, None) if isinstance(other, Mapping) else NotImplemented
        )

    def __hash__(self) -> int:
        return hash(frozenset(self._inputs.items()))

    def __repr__(self) -> str:
        known = [repr(self._inputs)]
        known += [f"outputs={self.outputs!r}"] if self.outputs else []
        known += [f"max_batch_size={self.max_batch_size}"] if self.max_batch_size else []
        return f"Schema({', '.join(known)})"

    def feature_keys(self) -> dict[str, str]:
        """The signature key of each input: ``{"pose_map": "pose_map_bytes"}``."""
        return {name: bytes_key(name) for name in self}

    def feature_spec(self) -> dict[str, Any]:
        """A string scalar for each signature key, for ``tf.io.parse_example`` to read payloads."""
        return {bytes_key(name): tf.io.FixedLenFeature([], tf.string) for name in self}

    def decode_tensors(
        self, payloads: Mapping[str, Any], *, ragged: Mapping[str, Layout] | None = None
    ) -> dict[str, Any]:
        """Decode the payloads of all inputs, in a graph or in tf.data, to a dict by input name.

        Parameters
        ----------
        payloads : mapping of str to tf.Tensor
            A string tensor for each signature key; SpecError if one is missing. Other entries are
            returned unchanged; SpecError if one has the name of an input.
        ragged : mapping of str to {"ragged", "padded"}, optional
            What becomes of inputs with ``None`` dimensions, as in `tfdecode.export`: "ragged", a
            ``tf.RaggedTensor``; "padded", an array padded with zeros to ``max_shape``, and a tensor
            ``<name>_lengths``, int32 ``[B]``. Of inputs that are not named here, rows of different
            length fail.
        """
        if not isinstance(payloads, Mapping):
            kind = type(payloads).__name__
            raise SpecError(f"payloads is {kind}, needs a dict of string tensors")
        keys = self.feature_keys()
        missing = [key for key in keys.values() if key not in payloads]
        if missing:
            listed = ", ".join(missing)
            raise SpecError(f"no payloads for {listed}; got {', '.join(payloads) or 'none'}")
        others = {k: v for k, v in payloads.items() if k not in keys.values()}
        clash = sorted(set(others) & set(self))
        if clash:
            raise SpecError(f"{clash[0]!r} is both a feature and the name of a decoded array")
        ragged = {} if ragged is None else ragged
        check_ragged(self, ragged, {*self, *others})
        for name, spec in self.items():
            key, layout = keys[name], ragged.get(name)
            others |= decoded(name, spec, layout, payloads[key], input_name=key)[0]
        return others

    def dataset(
        self,
        files: Files,
        batch_size: int,
        *,
        shuffle: int = 0,
        seed: int | None = None,
        features: Mapping[str, Any] | None = None,
        ragged: Mapping[str, Layout] | None = None,
        shard: tuple[int, int] = (0, 1),
        drop_remainder: bool = False,
    ) -> Any:
        """Read the TFRecord files of a data set, as batches of decoded arrays.

        Parameters
        ----------
        files : str, os.PathLike or iterable of them
            A pattern, ``"data/train-*.tfrecord"``, or a list of files. Files whose names end in
            ``.gz`` are compressed. If there is a manifest next to them, they must be all the files
            that it lists, or a list of some of them, each of the right length.
        batch_size : int
            Examples of a batch.
        shuffle : int, default 0
            How many examples to mix, from several files at once; 0 keeps their order.
        seed : int, optional
            The same seed gives the same order.
        features : mapping of str to tf.io feature, optional
            More features to parse, or other parsers for those that the manifest lists.
        ragged : mapping of str to {"ragged", "padded"}, optional
            What becomes of inputs with ``None`` dimensions; see ``decode_tensors``.
        shard : (int, int), default (0, 1)
            The index of this reader and the number of all readers: each takes some of the files.
        drop_remainder : bool, default False
            Leave out a last batch that is smaller.

        Returns
        -------
        tf.data.Dataset
            Dicts of ``decode_tensors``: an array of shape ``[batch, *shape]`` by input name, and
            the other features. A feature that some examples lack, or whose length differs, is a
            ``tf.RaggedTensor``.

        Raises
        ------
        FileError
            If no file matches, or the files are not those of the manifest.
        """
        decode = partial(self.decode_tensors, ragged=ragged)
        return dataset(
            files, decode, self.feature_spec(), features or {}, batch_size, shuffle,
            seed, shard, drop_remainder,
        )  # fmt: skip

    def to_json(self) -> str:
        """The schema as JSON text: ``{"version": 1, "inputs": {name: spec}}``.

        ``outputs`` and ``max_batch_size`` are added if they are known.
        """
        inputs, outputs = (
            {name: json.loads(spec.to_json()) for name, spec in specs.items()}
            for specs in (self._inputs, self.outputs)
        )
        value: dict[str, Any] = {"version": VERSION, "inputs": inputs}
        if outputs:
            value["outputs"] = outputs
        if self.max_batch_size is not None:
            value["max_batch_size"] = self.max_batch_size
        return json.dumps(value, indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> Schema:
        """Create the schema of a JSON text; SpecError if it is not a valid one.

        Parameters
        ----------
        text : str or bytes
            What ``to_json`` returned, at most 1 MiB.
        """
        if len(text) > MAX_BYTES:
            raise SpecError(f"schema has {len(text)} bytes, at most {MAX_BYTES} are read")
        schema = parse_json(text, "schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("inputs"), dict):
            if isinstance(schema, dict) and "shape" in schema:
                raise SpecError(
                    "schema is needed, and this is the spec of one array; "
                    "make one of it: tfdecode.Schema({NAME: spec})"
                )
            raise SpecError("schema needs a JSON object with 'inputs'")
        check_version(schema, "schema")
        unknown = set(schema) - set(_KEYS)
        if unknown:
            listed = ", ".join(_KEYS)
            raise SpecError(f"schema has unknown keys {sorted(unknown)}; known: {listed}")
        outputs = schema.get("outputs", {})
        if not isinstance(outputs, dict):
            raise SpecError("schema needs a JSON object as 'outputs'")
        check_work([*schema["inputs"].values(), *outputs.values()])
        inputs = _specs_of("input", schema["inputs"])
        return cls(inputs, _specs_of("output", outputs), schema.get("max_batch_size"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the schema as a JSON file; FileError if it cannot be written.

        Parameters
        ----------
        path : str or os.PathLike
            The file to write; it is replaced if it exists.
        """
        try:
            Path(path).write_text(self.to_json() + "\n", encoding="utf-8")
        except OSError as error:
            raise FileError(f"{path}: cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Schema:
        """Read a schema without TensorFlow; FileError if there is none, SpecError if it is invalid.

        Parameters
        ----------
        path : str or os.PathLike
            A JSON file, or the directory of a SavedModel or of its versions (the newest is read).
        """
        file = Path(reading.check_type(path))
        if file.is_dir():
            file = version_directory(file) / ASSET
        try:
            return cls.from_json(reading.read(file, MAX_BYTES, "it is not a schema"))
        except FileError as error:
            missing = file != Path(path) and not file.exists()
            raise FileError(f"{error}{NOT_EXPORTED if missing else ''}") from None
        except SpecError as error:
            raise SpecError(f"{reading.name(file)}: {error}") from None


def _check_specs(what: str, specs: Mapping[str, ArraySpec]) -> None:
    """SpecError unless these are the specs of inputs or outputs by name."""
    for name, spec in specs.items():
        check_name(name)
        if not isinstance(spec, ArraySpec):
            raise SpecError(f"{what} {name} is {type(spec).__name__}, needs an ArraySpec")
        key = bytes_key(name)
        if key != name and key in specs:
            raise SpecError(f"{what}s {name!r} and {key!r} have the same signature key {key!r}")
    chains = sum(len(spec.alternatives) for spec in specs.values())
    if chains > MAX_CHAINS:
        raise SpecError(f"schema has {chains} chains in all, at most {MAX_CHAINS} can be")


def _specs_of(what: str, values: Mapping[str, Any]) -> dict[str, ArraySpec]:
    """The specs of a JSON object by name."""
    specs = {}
    for name, value in values.items():
        try:
            specs[name] = ArraySpec.from_dict(value)
        except SpecError as error:
            raise SpecError(f"{what} {name[:128]!r}: {error}") from None
    return specs


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
