"""What export needs of a model: to call it by the names of its inputs, and what it holds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..errors import ExportError
from ..extras import tensorflow as tf


def caller(model: Any, names: Iterable[str]) -> Callable[[Mapping[str, Any]], Any]:
    """A function that calls ``model`` with a dict of its inputs, in inference mode.

    A functional Keras model takes the dict itself; anything else takes keyword arguments, or, if
    it has one input under another name, that input alone. ExportError where the names do not fit.
    """
    names = list(names)
    if not callable(model):
        raise ExportError(f"model is {type(model).__name__}, needs a callable, tf.Module or Keras")
    keras = is_keras(model)
    call = model.call if keras and hasattr(model, "call") else model
    mode: dict[str, Any] = {}
    if keras:
        # Through __call__, so that the model's own casts and masks happen.
        mode = {"training": False} if "training" in parameters(call) else {}
        declared = [tensor.name for tensor in getattr(model, "inputs", None) or []]
        if declared and sorted(declared) == sorted(names):
            return lambda arrays: model(dict(arrays), **mode)
    wanted = parameters(call)
    if all(name in wanted for name in names) or "**" in wanted:
        return lambda arrays: model(**arrays, **mode)
    if len(names) == 1:
        return lambda arrays: model(arrays[names[0]], **mode)
    takes = ", ".join(declared if keras and declared else wanted) or "none"
    raise ExportError(f"inputs are named {', '.join(names)}, but the model takes: {takes}")


def parameters(function: Any) -> list[str]:
    """The names that a callable takes as keywords; ``**`` where it takes any."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ["**"]
    kinds = inspect.Parameter
    return [
        "**" if parameter.kind is kinds.VAR_KEYWORD else parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind not in (kinds.VAR_POSITIONAL, kinds.POSITIONAL_ONLY)
    ]


def is_keras(model: Any) -> bool:
    """Whether ``model`` is a Keras layer or model, without importing Keras."""
    return any(kind.__module__.split(".")[0] == "keras" for kind in type(model).__mro__)


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
    """A tf.Module with the raw variables of ``functions`` and the tables of ``model``.

    The model itself is left out: a module that holds a Keras 3 model saves its variables twice,
    and the session loader does not find them.
    """
    module = tf.Module()
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
        if isinstance(item, tf.saved_model.experimental.TrackableResource) or hasattr(
            item, "_initialize"
        ):
            yield item
        else:
            left.extend(item._trackable_children().values())
