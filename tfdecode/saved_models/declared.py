"""What a model declares of its inputs, and how the specs of an export fit it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..casts import always_exact, integral
from ..dtypes import ITEM_SIZES, dtype_name
from ..errors import ExportError, SpecError, meant, said
from ..extras import tensorflow as tf
from ..spec import ArraySpec
from .model import is_keras, parameters
from .structure import leaves, places, structure_of


def declared(model: Any, names: list[str]) -> dict[str, Any]:
    """A tf.TensorSpec of each input that the model declares, by the names that export has."""
    if is_keras(model):
        return inputs_of_keras(model, names)
    found = inputs_of_function(model)
    if len(found) == len(names) == 1:  # a single input may have any name
        found = dict(zip(names, found.values(), strict=True))
    return {name: found[name] for name in names if name in found}


def inputs_of_keras(model: Any, names: list[str]) -> dict[str, Any]:
    """The inputs of a functional or sequential Keras model by name; of others none."""
    if not getattr(model, "inputs", None):
        return {}
    structure = structure_of(model)
    found = dict(leaves(structure))
    alone = len(found) == len(names) == 1
    at = dict.fromkeys(found, names[0]) if alone else places(structure, names) or {}
    return {name: tf.TensorSpec(found[path].shape, found[path].dtype) for path, name in at.items()}


def inputs_of_function(model: Any) -> dict[str, Any]:
    """The input_signature of a tf.function, of a module's call, or of a signature, by name."""
    structured = getattr(model, "structured_input_signature", None)  # a signature
    if structured is not None:
        found = dict(structured[1])
    else:
        call = model if hasattr(model, "input_signature") else model.__call__
        signature = getattr(call, "input_signature", None) or ()
        found = dict(zip(parameters(call)[0], signature, strict=False))
        (alone,) = found.values() if len(found) == 1 else (None,)
        found = dict(alone) if isinstance(alone, Mapping) else found  # it takes a dict
    return {name: x for name, x in found.items() if isinstance(x, tf.TensorSpec)}


def casts(
    model: Any, specs: Mapping[str, Any], wanted: Mapping[str, Any], shapes: Mapping[str, Any]
) -> dict[str, str]:
    """The dtypes to cast inputs to, by name; ExportError for a dtype or shape that does not fit.

    Parameters
    ----------
    model : object
        The model.
    specs : mapping
        An ArraySpec or a tf.TensorSpec for each input.
    wanted : mapping of str to dtype
        The casts that the user asked for.
    shapes : mapping
        The shapes of the inputs, with the batch.
    """
    unknown = sorted(set(wanted) - set(specs))
    if unknown:
        close = meant(unknown[0], specs)
        known = ", ".join(specs)
        raise ExportError(f"cast has no input {unknown[0]!r}{close}; the inputs are {known}")
    found = {name: target(name, specs[name], dtype) for name, dtype in wanted.items()}
    for name, own in (declared(model, list(specs)) | autocasts(model, specs)).items():
        check_shape(name, shapes[name], own.shape, is_keras(model))
        has, takes = name_of(specs[name]), tf.as_dtype(own.dtype).name
        if name in found and found[name] != takes:
            raise ExportError(f"cast of {name} is {found[name]}, but the model takes {takes}")
        if name in found or has == takes:
            continue
        if not {has, takes} <= ITEM_SIZES.keys():
            raise ExportError(f"input {name} is {has}, but the model takes {takes}")
        if not widens(has, takes):
            cast = said(f"cast={{{name!r}: {takes!r}}}", f"--cast {name}")
            way = f"{cast} for a cast in the graph, which changes values"
            raise ExportError(
                f"input {name} has dtype {has}, but the model takes {takes}: pass a spec of "
                f"{takes}, or {way}"
            )
        found[name] = takes
    return {name: dtype for name, dtype in found.items() if dtype != name_of(specs[name])}


def autocasts(model: Any, specs: Mapping[str, Any]) -> dict[str, Any]:
    """A tf.TensorSpec of each input that a Keras model without `inputs` would round, by name.

    Keras casts floats to the dtype of the layer, float64 to float32 too, and says nothing.
    """
    declares = not is_keras(model) or getattr(model, "inputs", None)
    if declares or not getattr(model, "autocast", False):
        return {}
    dtype = tf.as_dtype(model.variable_dtype)  # mixed precision is rounding that is meant
    floats = [n for n, x in specs.items() if "float" in name_of(x) and dtype.is_floating]
    return {name: tf.TensorSpec(None, dtype) for name in floats}


def target(name: str, spec: Any, dtype: Any) -> str:
    """The dtype of a cast by name; ExportError if there is none."""
    if name_of(spec) not in ITEM_SIZES:
        raise ExportError(f"cast of {name}: the input is {name_of(spec)}, which cannot be cast")
    try:
        return dtype_name(dtype)
    except SpecError as error:
        raise ExportError(f"cast of {name}: {error}") from None


def name_of(spec: Any) -> str:
    """The name of the dtype of a spec."""
    return spec.dtype if isinstance(spec, ArraySpec) else str(spec.dtype.name)


def widens(source: str, wider: str) -> bool:
    """Whether a cast loses no value, as of uint8 or float16 to float32.

    A signalling NaN becomes a quiet one.
    """
    if always_exact(source, wider):
        return True
    floats = not integral(source) and not integral(wider)
    return floats and ITEM_SIZES[source] < ITEM_SIZES[wider]


def check_shape(name: str, shape: Any, own: Any, keras: bool) -> None:
    """ExportError unless tensors of ``shape`` are what the model takes."""
    shape, own = tf.TensorShape(shape), tf.TensorShape(own)
    fits = shape.is_compatible_with(own)
    if keras and not fits and None not in (shape.rank, own.rank):  # it adds and removes a last 1
        for longer, shorter in ((shape, own), (own, shape)):
            ends = longer.rank == shorter.rank + 1 and longer[-1] == 1
            fits = fits or bool(ends and longer[:-1].is_compatible_with(shorter))
    if not fits:
        has, takes = (", ".join("None" if s is None else str(s) for s in x) for x in (shape, own))
        raise ExportError(f"input {name} has shape [{has}], but the model takes [{takes}]")
