"""Schema: the specs of a model's inputs by name, shared by client and graph."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from operator import index
from pathlib import Path
from typing import Any

from . import reading
from .dataset import Files, dataset
from .errors import FileError, SpecError, meant
from .extras import tensorflow as tf
from .layouts import Layout, check_ragged, decoded
from .names import bytes_key, check_name
from .schema_json import DEFAULT_SIGNATURE, Parts, from_dict, main_of, to_dict
from .spec import ArraySpec
from .spec_json import MAX_CHAINS_IN_ALL as MAX_CHAINS
from .spec_json import parse_json

#: The copy of the schema inside a version directory of a SavedModel.
ASSET = Path("assets.extra", "tfdecode.json")
#: The signature that returns the schema, and its output.
SIGNATURE = "tfdecode_schema"
#: Why a SavedModel has no copy of a schema.
NOT_EXPORTED = (
    "the model has no schema, because tfdecode did not export it; tfdecode inspect shows its "
    "signatures, and tfdecode wrap adds byte inputs"
)
#: A schema comes from a server, so its size is not trusted.
MAX_BYTES = 2**20
#: Suffixes of models that are files.
TO_CONVERT = (".keras", ".h5", ".hdf5", ".pb", ".pbtxt", ".meta")


class Schema(Mapping[str, ArraySpec]):
    """The specs of a model's byte inputs, by name.

    Parameters
    ----------
    inputs : mapping of str to ArraySpec
        Input name to spec. A name has at most 128 printable characters. Its signature key has ``_``
        in place of all but ASCII letters and digits, and begins with a letter, an added ``x`` if
        need be.
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
    signatures : dict of str to Schema
        The schema of each signature with payloads, if the model has several; else empty.
    name : str or None
        The signature that this is the schema of; None if it is of several, or of
        ``serving_default``, or does not say.

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
        self.signatures: dict[str, Schema] = {}
        self.name: str | None = None

    @classmethod
    def of_signatures(cls, signatures: Mapping[str, Schema]) -> Schema:
        """The schema of a model by its signatures, one or several.

        It is that of ``serving_default``, else of the first signature, and knows all of them.

        Parameters
        ----------
        signatures : mapping of str to Schema
            Signature name to its schema; SpecError if there is none.

        Examples
        --------
        >>> code = Schema({"code": ArraySpec((4,), "float32")})
        >>> schema = Schema.of_signatures({"encode": Schema({}), "decode": code})
        >>> schema.signature("decode") == code
        True
        """
        if not signatures:
            raise SpecError("signatures is empty: a schema needs one")
        for name in signatures:
            check_name(name, "signature")
        schemas = {name: cls(*one._parts()) for name, one in signatures.items()}
        for name, one in schemas.items():
            one.name = name
        name = main_of(schemas)
        if len(schemas) == 1:
            schemas[name].name = None if name == DEFAULT_SIGNATURE else name
            return schemas[name]
        schema = cls(*schemas[name]._parts())
        schema.signatures = schemas
        return schema

    def signature(self, name: str | None = None) -> Schema:
        """The schema of a signature, by default this one.

        Parameters
        ----------
        name : str, optional
            The signature; SpecError if it is known that this is the schema of others.
        """
        if name is None or (not self.signatures and self.name in (None, name)):
            return self
        if not self.signatures:
            raise SpecError(f"the schema is that of signature {self.name!r}, not of {name!r}")
        if name not in self.signatures:
            known = ", ".join(self.signatures)
            close = meant(name, self.signatures)
            raise SpecError(f"no signature {name!r}{close}; those with a schema are {known}")
        return self.signatures[name]

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

    def _parts(self) -> Parts:
        return self._inputs, self.outputs, self.max_batch_size

    def _all(self) -> tuple[Any, ...]:
        return *self._parts(), self.signatures

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Schema):
            return self._all() == other._all()
        # As every mapping equals a dict of the same items.
        return (
            self._all() == (dict(other), {}, None, {})
            if isinstance(other, Mapping)
            else NotImplemented
        )

    def __hash__(self) -> int:
        return hash(frozenset(self._inputs.items()))

    def __repr__(self) -> str:
        known = [repr(self._inputs)]
        known += [f"outputs={self.outputs!r}"] if self.outputs else []
        known += [f"max_batch_size={self.max_batch_size}"] if self.max_batch_size else []
        if self.signatures:
            return f"Schema.of_signatures({self.signatures!r})"
        return f"Schema({', '.join(known)})"

    def feature_keys(self) -> dict[str, str]:
        """The signature key of each input: ``{"pose_map": "pose_map_bytes"}``."""
        return {name: bytes_key(name) for name in self}

    def feature_spec(self) -> dict[str, Any]:
        """A string scalar for each signature key, for ``tf.io.parse_example`` to read payloads."""
        return {key: tf.io.FixedLenFeature([], tf.string) for key in self.feature_keys().values()}

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
        return self._decoded(payloads, ragged)

    def _decoded(
        self, payloads: Mapping[str, Any], ragged: Mapping[str, Layout] | None, **options: Any
    ) -> dict[str, Any]:
        """``decode_tensors``, with options of ``decode_batch``."""
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
            others |= decoded(name, spec, layout, payloads[key], input_name=key, **options)[0]
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
            A pattern, ``"data/train-*.tfrecord"``, or a list of files. They can be URLs that
            TensorFlow itself reads, as ``gs://``. Files whose names end in ``.gz`` are compressed.
            If there is a manifest next to them, they must be all the files that it lists, or a list
            of some of them, each of the right length.
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
            If no file matches, TensorFlow reads no such URLs, or the files are not those of the
            manifest.
        """
        # The size of a batch is known, so that small ones are decoded without a loop.
        decode = partial(self._decoded, ragged=ragged, max_batch_size=index(batch_size))
        return dataset(
            files, decode, self.feature_spec(), features or {}, batch_size, shuffle,
            seed, shard, drop_remainder,
        )  # fmt: skip

    def to_json(self) -> str:
        """The schema as JSON text: ``{"version": 1, "inputs": {name: spec}}``.

        ``outputs`` and ``max_batch_size`` are added if they are known, ``keys`` for names that
        differ from their signature keys, ``signature`` for another one than ``serving_default``,
        ``signatures`` if there are several.
        """
        parts = {name: one._parts() for name, one in self.signatures.items()}
        return json.dumps(to_dict(self._parts(), self.name, parts), indent=2)

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
        main, parts = from_dict(parse_json(text, "schema"))
        if not parts:
            return cls(*main)
        return cls.of_signatures({name: cls(*one) for name, one in parts.items()})

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
    def load(cls, path: str | os.PathLike[str], signature: str | None = None) -> Schema:
        """Read a schema without TensorFlow; FileError if there is none, SpecError if it is invalid.

        Parameters
        ----------
        path : str or os.PathLike
            A JSON file, or the directory of a SavedModel or of its versions (the newest is read).
        signature : str, optional
            One signature of several, by default ``serving_default`` or the first.
        """
        file = Path(reading.check_type(path))
        if file.is_dir():
            file = version_directory(file) / ASSET
        try:
            found = cls.from_json(reading.read(file, MAX_BYTES, "it is not a schema"))
            return found.signature(signature)
        except FileError:
            if file == Path(path) or file.exists():
                raise
            raise FileError(f"{reading.name(file.parents[1])}: {NOT_EXPORTED}") from None
        except SpecError as error:
            raise SpecError(f"{reading.name(file)}: {error}") from None


def _check_specs(what: str, specs: Mapping[str, ArraySpec]) -> None:
    """SpecError unless these are the specs of inputs or outputs by name."""
    keys: dict[str, str] = {}
    for name, spec in specs.items():
        check_name(name)
        if not isinstance(spec, ArraySpec):
            raise SpecError(f"{what} {name} is {type(spec).__name__}, needs an ArraySpec")
        key = bytes_key(name)
        twin = keys.setdefault(key, name)
        if twin != name:
            raise SpecError(f"{what}s {twin!r} and {name!r} have the same signature key {key!r}")
    chains = sum(len(spec.alternatives) for spec in specs.values())
    if chains > MAX_CHAINS:
        raise SpecError(f"schema has {chains} chains in all, at most {MAX_CHAINS} can be")


def version_directory(model: Path) -> Path:
    """``model`` if it is a SavedModel, else its newest version, as TensorFlow Serving picks it."""
    if any((model / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
        return model
    if model.is_file():
        convert = "; make one of it with tfdecode convert" if model.suffix in TO_CONVERT else ""
        if model.name == "saved_model.pb":
            convert = f": {model.parent}"
        raise FileError(f"{model}: is a file, needs the directory of a SavedModel{convert}")
    if (model.parent / f"{model.name}.index").exists():
        raise FileError(f"{model}: is a checkpoint; make a SavedModel of it with tfdecode convert")
    try:
        versions = [p for p in model.iterdir() if p.name.isdecimal() and p.is_dir()]
    except OSError as error:
        raise FileError(f"{model}: cannot be read: {error.strerror}") from None
    if not versions:
        inside = sorted(path.parent for path in model.glob("*/saved_model.pb"))
        meant = f"; did you mean {inside[0]}?" if inside else ""
        raise FileError(f"{model}: holds neither a SavedModel nor versions of one{meant}")
    return max(versions, key=lambda p: int(p.name))
