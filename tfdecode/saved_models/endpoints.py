"""The signatures of an export: one, or several over the same variables."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ExportError, meant
from ..schema import SIGNATURE, Schema
from ..schema_json import DEFAULT_SIGNATURE
from .plan import Plan, schema_function


@dataclass(frozen=True)
class Endpoint:
    """A signature with payloads, and what `export` was given for it."""

    name: str
    arrays: str | None  #: the name of its signature of arrays
    model: Any
    #: Options by name of ``export``: inputs, outputs, cast, sample.
    options: dict[str, Any] = field(default_factory=dict)
    examples: Sequence[Mapping[str, Any]] = ()  #: of warmup


def endpoints(
    model: Any, signature: str, arrays: str | None, warmup: Any, options: Mapping[str, Any]
) -> list[Endpoint]:
    """One endpoint, or one for each item of a mapping of models; ExportError if options differ."""
    if not isinstance(model, Mapping):
        found = [Endpoint(signature, arrays, model, dict(options), examples_of(warmup))]
    else:
        if signature != DEFAULT_SIGNATURE:
            raise ExportError("signature is for one model; the names of several are their keys")
        if not model:
            raise ExportError("model is an empty dict, needs a model for each signature")
        for what, of_each in (*options.items(), ("warmup", warmup)):
            check_names(what, of_each, model)
        found = [
            Endpoint(
                name,
                None if arrays is None else arrays_name(name, arrays),
                one,
                {what: of_each.get(name, {}) for what, of_each in options.items()},
                examples_of(warmup if isinstance(warmup, bool) else warmup.get(name, True)),
            )
            for name, one in model.items()
        ]
        if DEFAULT_SIGNATURE not in model:
            warnings.warn(
                f"no signature is named {DEFAULT_SIGNATURE}, so every request has to name one of "
                f"{', '.join(map(str, model))}",
                stacklevel=3,
            )
    names = [one.name for one in found] + [x.arrays for x in found if x.arrays is not None]
    for name in [SIGNATURE, *names]:
        if not isinstance(name, str) or not name.isprintable() or not name.strip():
            raise ExportError(f"signature {name!r} needs a name of printable characters")
        if [SIGNATURE, *names].count(name) > 1:
            raise ExportError(f"two signatures would be named {name!r} (arrays_signature, too)")
    return found


def arrays_name(name: str, suffix: str) -> str:
    """The signature of arrays: ``arrays`` of the default one, ``decode_arrays`` of ``decode``."""
    return suffix if name == DEFAULT_SIGNATURE else f"{name}_{suffix}"


def examples_of(warmup: Any) -> list[Any]:
    """The examples that warmup gives; ExportError if it is no list."""
    if isinstance(warmup, bool):
        return []
    if not isinstance(warmup, Iterable) or isinstance(warmup, str | Mapping):
        raise ExportError(
            f"warmup is {type(warmup).__name__}, needs True, False or a list of examples, each a "
            "dict by input"
        )
    return list(warmup)


def check_names(what: str, of_each: Any, model: Mapping[str, Any]) -> None:
    """ExportError unless an option of several signatures is a dict by signature."""
    if isinstance(of_each, bool):
        return
    if not isinstance(of_each, Mapping):
        raise ExportError(f"model has several signatures, so {what} needs a dict by signature")
    for name in of_each:
        if name not in model:
            raise ExportError(f"{what} has no signature {name!r}{meant(name, model)}")


def functions(
    plans: Mapping[str, Plan], found: Sequence[Endpoint], schema: Schema
) -> dict[str, Any]:
    """The concrete function of each signature by name."""
    traced = {SIGNATURE: schema_function(schema)}
    for one in found:
        traced[one.name] = plans[one.name].bytes_function()
        if one.arrays is not None:
            traced[one.arrays] = plans[one.name].arrays_function()
    return traced


def schema_of(plans: Mapping[str, Plan]) -> Schema:
    """The schema of the model."""
    return Schema.of_signatures({name: plan.schema for name, plan in plans.items()})
