"""The inputs and outputs of a signature, as a SavedModel or a server describes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..codecs.chain_text import brief
from ..errors import SpecError, shown
from ..layouts import any_length, lengths_key
from ..names import array_key, bytes_key
from ..schema import Schema
from ..schema_json import DEFAULT_SIGNATURE
from ..spec import ArraySpec
from .array_file import ArrayFile

#: The dtype of an input that nobody described, before its file is read.
ANY = "any"
#: TensorFlow's names of dtypes in protobufs, and NumPy's.
DTYPES = {
    "DT_STRING": "string",
    "DT_BOOL": "bool",
    "DT_HALF": "float16",
    "DT_BFLOAT16": "bfloat16",
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_COMPLEX64": "complex64",
    "DT_COMPLEX128": "complex128",
    **{
        f"DT_{kind}{bits}": f"{kind.lower()}{bits}"
        for kind in ("INT", "UINT")
        for bits in (8, 16, 32, 64)
    },
}


@dataclass(frozen=True)
class Tensor:
    """An input or output of a signature.

    Attributes
    ----------
    name : str
        What a user calls it: for a byte input, the name that the schema has.
    key : str
        What the signature calls it.
    dtype : str
        NumPy's name, or ``"string"``.
    shape : tuple of int or None, or None
        With the batch dimension; None if the rank is unknown.
    spec : ArraySpec or None
        How it is packed, if it is.
    """

    name: str
    key: str
    dtype: str
    shape: tuple[int | None, ...] | None
    spec: ArraySpec | None = None

    @property
    def batched(self) -> bool:
        """Whether the first dimension may be any number of rows."""
        return self.shape is None or (len(self.shape) > 0 and self.shape[0] is None)

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether it can have that shape."""
        return self.shape is None or (
            len(shape) == len(self.shape)
            and all(side in (None, got) for side, got in zip(self.shape, shape, strict=True))
        )

    def __str__(self) -> str:
        if self.spec is not None:
            form, words = self.spec.chain.form, any_length(self.spec.shape, self.spec.max_shape)
            of = f"{form}, {words}," if words else f"{form}"
            return f"{self.name} ({of} by {brief(self.spec.chain.text)})"
        if self.shape is None:
            return f"{self.name} ({'array' if self.dtype == ANY else self.dtype} of any shape)"
        return f"{self.name} ({self.dtype} [{', '.join(map(str, self.shape))}])"


def tensors(
    infos: Mapping[str, tuple[str, tuple[int | None, ...] | None]], schema: Schema
) -> dict[str, Tensor]:
    """Signature key -> tensor, from the DT_ name and shape of each and the schema."""
    specs = {bytes_key(name): (name, spec) for name, spec in schema.items()}
    names = {array_key(name): name for name in schema}
    found = {}
    for key, (kind, shape) in sorted(infos.items()):
        dtype = DTYPES.get(kind)
        if not key.isprintable():  # a server may say anything
            raise SpecError(f"{shown(key)} is no name of an input or output: it is not printable")
        if dtype is None:
            raise SpecError(f"{key} has dtype {shown(kind)}, which no client can send")
        named = names.get(key, key), None  # in the signature of arrays
        name, spec = specs.get(key, (key, None)) if dtype == "string" else named
        found[key] = Tensor(name, key, dtype, shape, spec)
    return found


def chosen(schema: Schema | None, signature: str | None) -> str:
    """The signature to run: as given, else that of the schema, else ``serving_default``."""
    if schema is not None and not isinstance(schema, Schema):
        raise SpecError(f"schema is {type(schema).__name__}, needs a tfdecode.Schema")
    return signature or (schema is not None and schema.name) or DEFAULT_SIGNATURE


def of_signature(schema: Schema, signature: str) -> Schema:
    """The schema of one signature; of one that takes arrays only their names are known."""
    if schema.signatures:
        return schema.signatures.get(signature, Schema({}))
    return schema if schema.name in (None, signature) else Schema(dict(schema))


def schema_inputs(schema: Schema) -> dict[str, Tensor]:
    """The inputs that a schema knows: batches of payloads."""
    keys = schema.feature_keys().values()
    return tensors(dict.fromkeys(keys, ("DT_STRING", (None,))), schema)


def with_given(known: Mapping[str, Tensor], inputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """The known inputs, and as they are given those that nobody described."""
    names = {given.name for given in known.values()} | set(known)
    others = {n: _given(n, value) for n, value in inputs.items() if n not in names}
    return {**known, **others}


def _given(name: str, value: Any) -> Tensor:
    """An input that nobody described, as the value that is given for it."""
    first = value[0] if isinstance(value, list | tuple) and value else value
    if isinstance(first, ArrayFile):
        return Tensor(name, name, ANY if first.listed else "string", None)
    if isinstance(first, bytes | os.PathLike):
        return Tensor(name, name, "string", None)
    array = np.asarray(first)
    return Tensor(name, name, "string" if array.dtype.kind in "OSU" else array.dtype.name, None)


def check_rows(sizes: Mapping[str, int]) -> None:
    """SpecError unless all inputs have as many rows: TensorFlow would repeat a single one."""
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise SpecError(
            f"inputs differ in their number of rows: {listed}; clients send as many rows of each. "
            "If the model takes fewer of one (independent_rows=False), pack them by spec.encode "
            "and send the request yourself"
        )


def lengths_in(known: Mapping[str, Tensor]) -> dict[str, str]:
    """The key of lengths -> the key of the arrays that they are of, which may differ in length."""
    found = {}
    for key, given in known.items():
        count, lengths = (given.shape or ())[1:].count(None), known.get(lengths_key(key))
        if count and lengths is not None and given.dtype != "string":
            shape = (None,) if count == 1 else (None, count)
            if lengths.dtype in ("int32", "int64") and lengths.shape == shape:
                found[lengths.key] = key
    return found


def by_key(
    inputs: Mapping[str, Any], known: Mapping[str, Tensor], signature: str
) -> dict[str, Any]:
    """``inputs`` by signature key; each may be given by its name or by its key."""
    takes = f"signature {signature} takes {', '.join(map(str, known.values())) or 'no inputs'}"
    names = {**{key: key for key in known}, **{given.name: key for key, given in known.items()}}
    found: dict[str, Any] = {}
    for name, value in inputs.items():
        key = names.get(name)
        if key is None:
            raise SpecError(f"no input is named {name!r}; {takes}")
        if key in found:
            raise SpecError(f"input {known[key].name} is given twice, also as {key}")
        found[key] = value
    missing = [given.name for key, given in known.items() if key not in found]
    if missing:
        raise SpecError(f"inputs are missing: {', '.join(missing)}; {takes}")
    return found
