"""The JSON form of an ArraySpec, as client and graph share it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from .codecs.base import AnyCodec
from .codecs.chain import MAX_STEPS, parse
from .codecs.one_of import MAX_CHAINS
from .dtypes import ITEM_SIZES
from .errors import SpecError

if TYPE_CHECKING:
    from .spec import ArraySpec

#: The version of the JSON form.
VERSION = 1
KEYS = ("version", "shape", "dtype", "codecs", "one_of", "max_shape", "label", "fingerprint")


def to_dict(spec: ArraySpec, wire: bool) -> dict[str, Any]:
    """A JSON object without fingerprints; ``wire`` leaves out what only encoders use."""
    chains = [
        {"codecs": [codec.to_dict(wire=wire) for codec in codecs]}
        for codecs in (cast("tuple[AnyCodec, ...]", one.codecs) for one in spec.alternatives)
    ]
    value: dict[str, Any] = {
        "version": VERSION,
        "shape": list(spec.shape),
        "dtype": spec.dtype,
        **(chains[0] if len(chains) == 1 else {"one_of": chains}),
    }
    if spec.max_shape is not None:
        value["max_shape"] = list(spec.max_shape)
    if spec.label:
        value["label"] = spec.label
    return value


def with_fingerprints(spec: ArraySpec) -> dict[str, Any]:
    """A JSON object with the fingerprint, and those of the chains, which key their seals."""
    value = to_dict(spec, wire=False)
    for chain, one in zip(value.get("one_of", []), spec.alternatives, strict=False):
        chain["fingerprint"] = one.fingerprint
    return {**value, "fingerprint": spec.fingerprint}


def from_dict(cls: type[ArraySpec], value: Any) -> ArraySpec:
    """The spec of a JSON object; SpecError for anything unknown in it."""
    if not isinstance(value, dict):
        raise SpecError(f"spec is {type(value).__name__}, needs a JSON object")
    check_version(value, "spec")
    check_keys(value, KEYS, "spec")
    for key in ("shape", "dtype"):
        if key not in value:
            raise SpecError(f"spec has no {key!r}")
    if ("codecs" in value) == ("one_of" in value):
        raise SpecError("spec needs either 'codecs' or 'one_of'")
    if not isinstance(value["dtype"], str) or value["dtype"] not in ITEM_SIZES:
        raise SpecError(f"spec has dtype {value['dtype']!r}, known: {', '.join(ITEM_SIZES)}")
    chains = value["one_of"] if "one_of" in value else [{"codecs": value["codecs"]}]
    if not isinstance(chains, list) or not all(isinstance(chain, dict) for chain in chains):
        raise SpecError(f"spec has one_of {chains!r}, needs a list of objects")
    if len(chains) > MAX_CHAINS:
        raise SpecError(f"spec has one_of of {len(chains)} chains, at most {MAX_CHAINS} can be")
    specs = []
    for chain in chains:
        codecs = steps_of(chain)
        specs.append(
            cls(
                value["shape"],
                value["dtype"],
                codecs,
                max_shape=value.get("max_shape"),
                label=value.get("label", ""),
                seal=any(codec.name == "seal" for codec in codecs),
            )
        )
    made = cls.joined(specs) if "one_of" in value else specs[0]
    stated = [(value, made), *zip(chains, made.alternatives, strict=True)]
    if any(one.get("fingerprint", spec.fingerprint) != spec.fingerprint for one, spec in stated):
        raise SpecError("spec does not have the fingerprint that it states: it was edited")
    return made


def steps_of(chain: dict[str, Any]) -> tuple[AnyCodec, ...]:
    """The codecs of one chain of a JSON object."""
    check_keys(chain, ("codecs", "fingerprint"), "chain of one_of")
    steps = chain.get("codecs")
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise SpecError(f"spec has codecs {steps!r}, needs a list of objects")
    if len(steps) > MAX_STEPS:
        raise SpecError(f"chain has {len(steps)} steps, at most {MAX_STEPS} can be")
    return parse(steps)


def check_keys(value: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    """SpecError for a key of ``value`` that is not ``known``."""
    for key in value:
        if key not in known:
            raise SpecError(f"{what} has an unknown key {key!r}; known: {', '.join(known)}")


def parse_json(text: str | bytes, what: str) -> Any:
    """The value of a JSON text; SpecError where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{what} is no JSON: {error}") from None


def check_version(value: dict[str, Any], what: str) -> None:
    """SpecError unless ``value`` states the version that is read here."""
    version = value.get("version")
    if type(version) is not int or version != VERSION:  # True == 1, and so does 1.0
        raise SpecError(f"{what} has version {version!r}, known: {VERSION}")
