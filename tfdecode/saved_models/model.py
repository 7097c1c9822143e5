"""A model as export needs it: called by the names of its inputs, with its variables."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import ExportError
from ..extras import tensorflow as tf
from .structure import (
    check_typo,
    leaves,
    mapped,
    misplaced,
    not_named,
    places,
    structure_of,
)


def caller(model: Any, names: Iterable[str]) -> Callable[[Mapping[str, Any]], Any]:
    """A function of a dict of inputs that runs ``model`` for inference; ExportError if unfit."""
    names = list(names)
    if not callable(model):
        advice = ""
        if isinstance(model, str | os.PathLike):
            advice = "; tfdecode.wrap adds byte inputs to a SavedModel, of which it takes the path"
        elif signatures := list(getattr(model, "signatures", ())):  # of tf.saved_model.load
            advice = (
                f"; pass model.signatures[{signatures[0]!r}], or the path of the SavedModel to "
                "tfdecode.wrap, which keeps all that is in it"
            )
        kind = type(model).__name__
        raise ExportError(f"model is {kind}, needs a callable, tf.Module or Keras{advice}")
    keras = is_keras(model)
    structure = structure_of(model) if keras else None
    if structure is not None and getattr(model, "inputs", None):
        return with_structure(model, structure, names, {"training": False})
    call = model.call if keras and hasattr(model, "call") else model
    wanted, required = parameters(call)
    mode = {"training": False} if keras and "training" in wanted else {}
    if not keras:  # AutoGraph for what users write; Keras brings its own
        plain, model = model, tf.function(model)
    named = all(name in wanted for name in names)
    if not named and structure is not None and len(required) == 1:
        return with_structure(model, structure, names, mode)
    if not named and len(names) == 1 and not only_keywords(call):
        if len(required) == 1:
            check_new_name(names[0], required)
        return lambda arrays: model(arrays[names[0]], **mode)
    if not named and len(required) == 1 and (keras or not {*names, "**"} & {*wanted}):
        return with_dict(model, names, mode)
    if not keras and "**" in wanted and not all(name.isidentifier() for name in names):
        return by_keyword(plain)
    if named or "**" in wanted:
        return lambda arrays: model(**arrays, **mode)
    raise not_named(names, wanted)


def by_keyword(model: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Any]:
    """The call of a function of any keywords; a tf.function of it would change names as ``a/b``."""

    def call(arrays: dict[str, Any]) -> Any:
        return model(**arrays)

    converted = tf.function(call)
    return lambda arrays: converted(dict(arrays))


def with_structure(
    model: Any, structure: Any, names: list[str], mode: Mapping[str, Any]
) -> Callable[[Mapping[str, Any]], Any]:
    """The call of a Keras model in its own structure."""
    found = leaves(structure)
    at = places(structure, names)
    if at is None and len(found) == len(names) == 1:
        ((path, leaf),) = found
        check_new_name(names[0], [*path[-1:], getattr(leaf, "name", "")])
        at = {path: names[0]}
    if at is None:
        raise misplaced(structure, names)
    named = at
    return lambda arrays: model(mapped(structure, lambda path, _: arrays[named[path]]), **mode)


def check_new_name(name: str, known: list[str]) -> None:
    """ExportError if the name of the only input looks like a typo of one that is ``known``."""
    if name not in known:
        for own in known:
            check_typo("the input", name, own, f"lambda {name}: model({name})")


def with_dict(
    model: Any, names: list[str], mode: Mapping[str, Any]
) -> Callable[[Mapping[str, Any]], Any]:
    """The call of a model that takes a dict of its inputs; if it takes another structure, say so.

    A list is not tried: its order would be a guess.
    """

    def call(arrays: Mapping[str, Any]) -> Any:
        try:
            returned = model(dict(arrays), **mode)
            if any(isinstance(item, str) for item in tf.nest.flatten(returned)):
                raise ValueError("it returned text")  # a + b, of the names that it unpacked
            return returned
        except Exception as error:
            words = names if all(name.isidentifier() for name in names) else ["a", "b"]
            one = ", ".join(words)
            raise ExportError(
                f"the model could not be traced with a dict of its inputs: {told(error)}; if it "
                "takes a list, a tuple or another structure, pass a function of one argument for "
                f"each input: lambda {one}: model([{one}])"
            ) from error

    return call


def told(error: Exception) -> str:
    """What an error of a model says, in one line."""
    plain = re.sub(r"\x1b\[\d+m", "", str(error)).strip()  # Keras prints in bold
    plain = plain.split("Arguments received by")[0] or type(error).__name__
    if "in user code:" in plain:  # AutoGraph: frames, then the reason
        plain = plain.strip().splitlines()[-1]
    return " ".join(plain.split())[:500]


def only_keywords(function: Any) -> bool:
    """Whether a callable takes nothing by position, as ``lambda **arrays: ...``."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    named = all(one.kind in (one.KEYWORD_ONLY, one.VAR_KEYWORD) for one in found)
    return named and any(one.kind is one.VAR_KEYWORD for one in found)


def parameters(function: Any) -> tuple[list[str], list[str]]:
    """The names that a callable takes as keywords (``**`` for any), and those without a default."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ["**"], []
    wanted, required = [], []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            wanted.append("**")
        elif parameter.kind not in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            wanted.append(parameter.name)
            if parameter.default is parameter.empty:
                required.append(parameter.name)
    return wanted, required


def is_keras(model: Any) -> bool:
    """Whether ``model`` is a Keras layer or model, without importing Keras."""
    roots = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    return bool(roots & {"keras", "tf_keras"})


def output_tensors(result: Any, model: Any) -> dict[str, Any]:
    """What a model returned, by name: a dict's own keys, or ``output_0``, ``output_1``, ..."""
    if hasattr(result, "_asdict"):
        result = result._asdict()
    if isinstance(result, Mapping):
        named = {str(key): value for key, value in result.items()}
    elif isinstance(result, list | tuple):
        named = {f"output_{index}": value for index, value in enumerate(result)}
    else:
        named = {"output_0": result}
    for key, value in named.items():
        if isinstance(value, tf.RaggedTensor | tf.SparseTensor):
            raise ExportError(f"output {key} is a {type(value).__name__}: signatures hold tensors")
        named[key] = tf.convert_to_tensor(value)
    if not named:
        raise ExportError(f"model {type(model).__name__} returned no output")
    return named
