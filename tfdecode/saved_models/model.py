"""A model as export needs it: called by the names of its inputs, with its variables."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..errors import ExportError
from ..extras import tensorflow as tf


def caller(model: Any, names: Iterable[str]) -> Callable[[Mapping[str, Any]], Any]:
    """A function of a dict of inputs that runs ``model`` for inference; ExportError if unfit."""
    names = list(names)
    if not callable(model):
        advice = ""
        if hasattr(model, "signatures"):  # what tf.saved_model.load returns
            advice = "; tfdecode.wrap takes the directory of a SavedModel"
        kind = type(model).__name__
        raise ExportError(f"model is {kind}, needs a callable, tf.Module or Keras{advice}")
    keras = is_keras(model)
    if keras and getattr(model, "inputs", None):
        return with_structure(model, names)
    call = model.call if keras and hasattr(model, "call") else model
    wanted, required = parameters(call)
    mode = {"training": False} if keras and "training" in wanted else {}
    if not keras:  # AutoGraph for what users write; Keras brings its own
        model = tf.function(model)
    named = all(name in wanted for name in names)
    if not named and len(names) == 1:
        return lambda arrays: model(arrays[names[0]], **mode)
    if not named and keras and len(required) == 1:  # a subclass that takes a dict
        return lambda arrays: model(dict(arrays), **mode)
    if named or "**" in wanted:
        return lambda arrays: model(**arrays, **mode)
    raise not_named(names, wanted)


def with_structure(model: Any, names: list[str]) -> Callable[[Mapping[str, Any]], Any]:
    """The call of a Keras model in its own structure, as a dict is flattened in another order."""
    structure = model.inputs if len(model.inputs) == 1 else model.input
    flat = tf.nest.flatten(structure)
    if isinstance(structure, Mapping) and set(structure) == set(names):
        return lambda arrays: model({key: arrays[key] for key in structure}, training=False)
    if len(flat) == len(names) == 1:
        return lambda arrays: model(arrays[names[0]], training=False)
    declared = [tensor.name for tensor in flat]
    if sorted(declared) != sorted(names):
        raise not_named(names, declared)

    def call(arrays: Mapping[str, Any]) -> Any:
        ordered = [arrays[name] for name in declared]
        return model(tf.nest.pack_sequence_as(structure, ordered), training=False)

    return call


def declared_dtypes(model: Any, names: list[str]) -> dict[str, str]:
    """The dtypes of the inputs that a Keras model declares, by the names that export has."""
    inputs = tf.nest.flatten(getattr(model, "inputs", None) or []) if is_keras(model) else []
    if len(inputs) == len(names) == 1:
        return {names[0]: inputs[0].dtype}
    structure = model.input if len(inputs) > 1 else None
    named = structure if isinstance(structure, Mapping) else {x.name: x for x in inputs}
    return {name: named[name].dtype for name in names if name in named}


def not_named(names: list[str], wanted: list[str]) -> ExportError:
    """The error for names that the model does not have."""
    takes = ", ".join(wanted) or "none"
    return ExportError(f"inputs are named {', '.join(names)}, but the model takes: {takes}")


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


def holder(model: Any, functions: Iterable[Any]) -> Any:
    """A tf.Module with the raw variables of ``functions`` and the tables of ``model``."""
    module = tf.Module()  # with a Keras 3 model in it, the session loader finds no variables
    variables = {id(v): v for function in functions for v in function.graph.variables}
    module.held_variables = list(variables.values())
    module.held_resources = list(resources(getattr(model, "__self__", model)))
    return module


def resources(model: Any) -> Iterator[Any]:
    """Lookup tables and other resources that are tracked anywhere below ``model``."""
    seen: set[int] = set()
    left = [model]
    while left:
        item = left.pop()
        if id(item) in seen or not hasattr(item, "_trackable_children"):
            continue
        seen.add(id(item))
        if isinstance(item, tf.saved_model.experimental.TrackableResource):
            yield item
        else:
            left.extend(item._trackable_children().values())
