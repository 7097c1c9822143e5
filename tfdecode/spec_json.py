"""The JSON form of an ArraySpec, as client and graph share it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, NamedTuple

from .codecs.base import AnyCodec
from .codecs.chain_text import MAX_STEPS, parse
from .codecs.one_of import MAX_CHAINS
from .dtypes import ITEM_SIZES
from .errors import SpecError, shown
from .form import Shape

#: The version of the JSON form.
VERSION = 1
KEYS = ("version", "shape", "dtype", "codecs", "one_of", "max_shape", "label", "fingerprint")


#: Chains of all inputs of a schema, as each takes up to a millisecond, and bytes of the files that
#: are read to prove samples (`head`), as 64 MiB take 50 ms: a schema can come from a stranger.
MAX_CHAINS_IN_ALL, MAX_SAMPLED_NBYTES = 1024, 2**29


class Fields(NamedTuple):
    """The fields of a spec; ``chains`` has one item for each chain of ``one_of``."""

    shape: Shape
    dtype: str
    max_shape: Shape | None
    label: str
    chains: Sequence[tuple[AnyCodec, ...]]


class StatedFields(NamedTuple):
    """The fields of a JSON object, and the fingerprints in it (or None)."""

    fields: Fields
    one_of: bool
    fingerprint: str | None
    chain_fingerprints: Sequence[str | None]


def to_dict(fields: Fields, *, canonical: bool) -> dict[str, Any]:
    """A JSON object without fingerprints; ``canonical`` leaves out what only encoders use."""
    chains = [
        {"codecs": [codec.to_dict(canonical=canonical) for codec in codecs]}
        for codecs in fields.chains
    ]
    value: dict[str, Any] = {
        "version": VERSION,
        "shape": list(fields.shape),
        "dtype": fields.dtype,
        **(chains[0] if len(chains) == 1 else {"one_of": chains}),
    }
    if fields.max_shape is not None:
        value["max_shape"] = list(fields.max_shape)
    if fields.label:
        value["label"] = fields.label
    return value


def from_dict(value: Any) -> StatedFields:
    """The fields of a JSON object; SpecError for anything unknown in it."""
    if not isinstance(value, dict):
        raise SpecError(f"spec is {type(value).__name__}, needs a JSON object")
    if isinstance(value.get("inputs"), dict):
        names = shown(", ".join(value["inputs"]))
        raise SpecError(
            f"spec of one array is needed, and this is a schema of {names}; "
            "choose one of its specs: tfdecode.Schema.from_json(text)[NAME]"
        )
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
        raise SpecError(f"spec has one_of of {len(chains)} chains, at most {MAX_CHAINS} are read")
    max_shape, label = value.get("max_shape"), value.get("label", "")
    steps = [steps_of(chain) for chain in chains]
    return StatedFields(
        Fields(value["shape"], value["dtype"], max_shape, label, steps),
        "one_of" in value,
        stated_fingerprint(value),
        [stated_fingerprint(chain) for chain in chains],
    )


def check_work(values: Iterable[Any]) -> None:
    """SpecError if the specs of these JSON objects would take much longer than a second to make."""
    chains, sampled = 0, 0
    for value in values:
        try:
            every = value.get("one_of", [value])
            heads = sum(bool(step.get("head")) for chain in every for step in chain["codecs"])
            sides = value["shape"] if value.get("max_shape") is None else value["max_shape"]
            nbytes = prod(max(1, side) for side in sides) * ITEM_SIZES[value["dtype"]]
        except (AttributeError, KeyError, TypeError):  # no spec, as it will be said
            continue
        chains, sampled = chains + len(every), sampled + heads * nbytes
    if chains > MAX_CHAINS_IN_ALL:
        raise SpecError(f"schema has {chains} chains in all, at most {MAX_CHAINS_IN_ALL} can be")
    if sampled > MAX_SAMPLED_NBYTES:
        raise SpecError(
            f"schema has samples (head) of arrays of {sampled} bytes in all, at most "
            f"{MAX_SAMPLED_NBYTES} are read"
        )


def steps_of(chain: dict[str, Any]) -> tuple[AnyCodec, ...]:
    """The codecs of one chain of a JSON object."""
    check_keys(chain, ("codecs", "fingerprint"), "chain of one_of")
    steps = chain.get("codecs")
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise SpecError(f"spec has codecs {steps!r}, needs a list of objects")
    if len(steps) > MAX_STEPS:
        raise SpecError(f"chain has {len(steps)} steps, at most {MAX_STEPS} are supported")
    return parse(steps)


def stated_fingerprint(value: dict[str, Any]) -> str | None:
    """The fingerprint in a JSON object, or None."""
    fingerprint = value.get("fingerprint", "")
    if not isinstance(fingerprint, str):
        raise SpecError(f"fingerprint is {fingerprint!r}, needs text")
    return fingerprint if "fingerprint" in value else None


def check_keys(value: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    """SpecError for a key of ``value`` that is not ``known``."""
    for key in value:
        if key not in known:
            raise SpecError(f"{what} has an unknown key {key!r}; known: {', '.join(known)}")


def parse_json(text: str | bytes, what: str) -> Any:
    """The value of a JSON text; SpecError if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        from .formats.sniff import sniff  # only for this message: it takes a tenth of the import

        kind = sniff(text) if isinstance(text, bytes) and text else None
        if kind and "JSON" not in kind.name:
            raise SpecError(f"{what} is no JSON but {kind.name.partition(';')[0]}") from None
        raise SpecError(f"{what} is no JSON: {error}") from None


def check_version(value: dict[str, Any], what: str) -> None:
    """SpecError unless ``value`` has the version of this module."""
    version = value.get("version")
    if type(version) is not int or version != VERSION:  # True == 1, and so does 1.0
        raise SpecError(f"{what} has version {version!r}, known: {VERSION}")
