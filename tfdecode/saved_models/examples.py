"""The examples that an export is run on: a sample, zeros, and rows that differ from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from ..conversion import converted
from ..dtypes import numpy_dtype
from ..errors import DecodeError, EncodeError, ExportError, SpecError, meant
from ..extras import tensorflow as tf
from ..layouts import lengths_key, lengths_of
from ..spec import ArraySpec
from .plan import Plan, batched


def example(plan: Plan, given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """One row of every input, by name: an array, and what is passed as it is with its batch."""
    check_known(given, [*plan.specs, *plan.others], what)
    arrays = {name: sampled(name, spec, given, what)[0] for name, spec in plan.specs.items()}
    return arrays | {n: passed_row(n, s, given, what) for n, s in plan.others.items()}


def check_known(given: Mapping[str, Any], names: Collection[str], what: str) -> None:
    """ExportError if an example has an input that the model has not."""
    for name in given:
        if name not in names:
            close = meant(name, names)
            known = ", ".join(names)
            raise ExportError(f"{what} has no input {name!r}{close}; the inputs are {known}")


def as_array(value: Any, what: str) -> np.ndarray:
    """An array of an example; ExportError if it is none."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:  # rows of different length
        text = " ".join(str(error).split())[:200]
        raise ExportError(f"{what} is not an array: {text}") from None


def in_dtype(array: np.ndarray, dtype: str) -> np.ndarray:
    """An array of an example in the dtype that is sent, rounded if need be, or else as it is."""
    if array.dtype.kind in "OSU":
        return array
    try:
        return converted(array, dtype, "same_kind")
    except (EncodeError, SpecError):
        return array


def sampled(
    name: str, spec: ArraySpec, given: Mapping[str, Any], what: str = "sample"
) -> tuple[np.ndarray, bytes]:
    """The array of an input to try, and its payload; of an example, either may be given."""
    try:
        if name not in given:
            array = filler(spec)
        elif isinstance(given[name], bytes):
            return spec.decode(given[name]), given[name]
        else:
            array = in_dtype(as_array(given[name], f"{what} of {name}"), spec.dtype)
        return array, spec.encode(array)
    except (DecodeError, EncodeError) as error:
        raise ExportError(f"{what} of {name}: {error}") from None


def filler(spec: ArraySpec) -> np.ndarray:
    """Zeros if the spec carries them, else the array that its chain puts in place of bad rows."""
    form = spec.chain.form
    sides = zip(form.shape, form.max_shape, strict=True)
    shape = [min(most, 64) if side is None else side for side, most in sides]
    zeros = np.zeros(shape, numpy_dtype(spec.dtype))
    try:
        spec.encode(zeros)
        return zeros
    except EncodeError:
        return spec.decode(spec.chain.payload.filler())


def unlike(spec: ArraySpec, array: np.ndarray, sampled: bool, resize: bool = False) -> np.ndarray:
    """Another array of the spec; ``array`` if none is found. Of a sample only values are moved.

    With ``resize`` it is of another length along the ``None`` dimensions, if one is found.
    """
    arrays = [resized(spec, array), array] if resize else [array]
    for other in (other for one in arrays for other in (*variants(one, sampled), one)):
        try:
            spec.encode(other)
        except EncodeError:
            continue
        if other.shape != array.shape or other.tobytes() != array.tobytes():
            return other
    return array


def resized(spec: ArraySpec, array: np.ndarray) -> np.ndarray:
    """The array, half as long along its ``None`` dimensions; longer if it has 0 or 1 there."""
    for axis, side in enumerate(spec.shape):
        if side is None:
            length, most = array.shape[axis], spec.chain.form.max_shape[axis]
            wanted = length // 2 if length > 1 else min(most, length + 3)
            if not length:
                shape = [wanted if at == axis else side for at, side in enumerate(array.shape)]
                array = np.zeros(shape, array.dtype)
            array = np.take(array, range(wanted), axis, mode="wrap")
    return array


def variants(array: np.ndarray, sampled: bool) -> Iterator[np.ndarray]:
    """Arrays of the same shape and dtype."""
    if not sampled:
        flat = np.arange(array.size) % 2
        yield flat.reshape(array.shape).astype(array.dtype)
    for axis in range(array.ndim):
        yield np.roll(array, 1, axis)
    if not sampled and array.size:
        for value in (1, 0):
            changed = array.copy()
            changed.reshape(-1)[-1] = value
            yield changed
        yield np.ones_like(array)  # all that a JPEG image of one grey can be


def packed(plan: Plan, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What to feed to the signature with byte inputs."""
    keys = plan.keys.items()
    payloads = {key: [plan.specs[name].encode(row[name]) for row in rows] for name, key in keys}
    return payloads | passed(plan, rows)


def batch_of_one(plan: Plan, row: Mapping[str, Any]) -> dict[str, Any]:
    """What to feed to the arrays of the signature that takes them."""
    arrays = {plan.array_keys[name]: np.stack([row[name]]) for name in plan.specs}
    for name in plan.ragged:
        lengths = lengths_of(plan.specs[name].shape, row[name].shape)
        arrays[lengths_key(plan.array_keys[name])] = lengths[None]
    return arrays


def passed(plan: Plan, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What to feed to inputs that are passed as they are."""
    return {
        plan.array_keys[name]: (
            np.concatenate([row[name] for row in rows]) if batched(spec) else rows[0][name]
        )
        for name, spec in plan.others.items()
    }


def passed_row(name: str, spec: Any, given: Mapping[str, Any], what: str = "sample") -> Any:
    """A batch of one for an input that is passed through; unknown dimensions are 1."""
    if name in given:
        array = passed_array(given[name], spec, f"{what} of {name}")
        return array[None] if batched(spec) else array
    shape = [side or 1 for side in (spec.shape.as_list() if spec.shape.rank is not None else [1])]
    if spec.dtype == tf.string:
        return np.full(shape, b"", object)
    if spec.dtype in (tf.resource, tf.variant):
        raise ExportError(
            f"input {name} is a {spec.dtype.name}, which no client can send: take a signature, or "
            "a tensor, of numbers or strings"
        )
    return np.zeros(shape, spec.dtype.as_numpy_dtype)


def passed_array(value: Any, spec: Any, what: str) -> np.ndarray:
    """The value of an example as the input takes it; ExportError if it does not fit."""
    if spec.dtype == tf.string:
        array = np.array(value, object)
        fits = all(isinstance(item, bytes | str) for item in array.ravel().tolist())
    else:
        array = in_dtype(as_array(value, what), spec.dtype.name)
        fits = array.dtype == spec.dtype.as_numpy_dtype
    if not fits:
        has = type(value).__name__ if array.dtype == object else array.dtype.name
        raise ExportError(f"{what} is {has}, the input takes {spec.dtype.name}")
    own = spec.shape[1:] if batched(spec) else spec.shape
    if not own.is_compatible_with(array.shape):
        sides = [side if side is not None else "any" for side in own.as_list()]
        needs = f"[{', '.join(map(str, sides))}]"
        advice = " (one example, without the batch)" if batched(spec) else ""
        raise ExportError(f"{what} has shape {list(array.shape)}, needs {needs}{advice}")
    return array
