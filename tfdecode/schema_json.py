"""The JSON form of a Schema, as clients and the graph share it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from .errors import SpecError
from .names import array_key, bytes_key
from .spec import ArraySpec
from .spec_json import VERSION, check_version, check_work

#: The keys of the JSON object of one signature, and those of its name and of the others.
KEYS = ("version", "inputs", "outputs", "keys", "max_batch_size")
NAMES = ("signature", "signatures")
#: The signature that a server runs if a request names none.
DEFAULT_SIGNATURE = "serving_default"

#: Inputs, outputs and max_batch_size of a signature.
Parts: TypeAlias = "tuple[dict[str, ArraySpec], dict[str, ArraySpec], int | None]"


def main_of(signatures: Iterable[str]) -> str:
    """The signature whose schema is that of the model: ``serving_default``, else the first."""
    names = list(signatures)
    return DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in names else names[0]


def to_dict(main: Parts, name: str | None, signatures: Mapping[str, Parts]) -> dict[str, Any]:
    """The JSON object; older clients read that of the main signature in it."""
    value = one_to_dict(main)
    name = main_of(signatures) if signatures else name
    others = {other: parts for other, parts in signatures.items() if other != name}
    if others or name not in (None, DEFAULT_SIGNATURE):
        value["signature"] = name
    if others:
        value["signatures"] = {other: one_to_dict(parts) for other, parts in others.items()}
    return value


def one_to_dict(parts: Parts) -> dict[str, Any]:
    """The JSON object of one signature."""
    inputs, outputs, max_batch_size = parts
    value: dict[str, Any] = {"version": VERSION, "inputs": specs_to_dict(inputs)}
    if outputs:
        value["outputs"] = specs_to_dict(outputs)
    if odd := {name: bytes_key(name) for name in (*inputs, *outputs) if array_key(name) != name}:
        value["keys"] = odd
    if max_batch_size is not None:
        value["max_batch_size"] = max_batch_size
    return value


def specs_to_dict(specs: Mapping[str, ArraySpec]) -> dict[str, Any]:
    """The JSON object of specs by name."""
    return {name: json.loads(spec.to_json()) for name, spec in specs.items()}


def from_dict(value: Any) -> tuple[Parts, dict[str, Parts]]:
    """The main signature of a JSON object, and all by name if it names them; or SpecError."""
    named = isinstance(value, dict) and not set(NAMES).isdisjoint(value)
    others = value.get("signatures", {}) if named else {}
    if not isinstance(others, dict):
        raise SpecError("schema needs a JSON object as 'signatures'")
    groups = [
        group
        for one in (value, *others.values())
        for key in ("inputs", "outputs")
        if isinstance(one, dict) and isinstance(group := one.get(key), dict)
    ]
    check_work(spec for group in groups for spec in group.values())
    main = one_from_dict(value, KEYS + NAMES)
    if not named:
        return main, {}
    name = value.get("signature")
    if not isinstance(name, str) or name in others or main_of([name, *others]) != name:
        raise SpecError(f"schema has signature {name!r}, needs the name of the main one")
    found = {name: main}
    for other, one in others.items():
        try:
            found[other] = one_from_dict(one, KEYS)
        except SpecError as error:
            raise SpecError(f"signature {other[:128]!r}: {error}") from None
    return main, found


def one_from_dict(value: Any, known: tuple[str, ...]) -> Parts:
    """The parts of the JSON object of one signature; SpecError for anything unknown in it."""
    if not isinstance(value, dict) or not isinstance(value.get("inputs"), dict):
        if isinstance(value, dict) and "shape" in value:
            raise SpecError(
                "schema is needed, and this is the spec of one array; "
                "make one of it in Python: tfdecode.Schema({NAME: spec})"
            )
        raise SpecError("schema needs a JSON object with 'inputs'")
    check_version(value, "schema")
    unknown = set(value) - set(known)
    if unknown:
        raise SpecError(f"schema has unknown keys {sorted(unknown)}; known: {', '.join(known)}")
    outputs, keys = value.get("outputs", {}), value.get("keys", {})
    if not isinstance(outputs, dict):
        raise SpecError("schema needs a JSON object as 'outputs'")
    if not isinstance(keys, dict) or any(key != bytes_key(name) for name, key in keys.items()):
        raise SpecError("schema has 'keys' that are not the signature keys of the names")
    inputs = specs_from_dict("input", value["inputs"])
    return inputs, specs_from_dict("output", outputs), value.get("max_batch_size")


def specs_from_dict(what: str, values: Mapping[str, Any]) -> dict[str, ArraySpec]:
    """The specs of a JSON object by name."""
    specs = {}
    for name, value in values.items():
        try:
            specs[name] = ArraySpec.from_dict(value)
        except SpecError as error:
            raise SpecError(f"{what} {name[:128]!r}: {error}") from None
    return specs
