"""Inputs of any length: what a model gets of rows that differ along their ``None`` dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ..errors import ExportError
from ..extras import tensorflow as tf
from ..form import ArrayForm
from ..graph import ragged as layouts
from ..graph.rows import Rows, checked_shape, fail_with, same_size
from ..spec import ArraySpec
from .model import caller as model_caller

#: What a model can get: a tf.RaggedTensor, or the padded array and its lengths.
KINDS = ("ragged", "padded")
#: What to do with a model whose answer to a row depends on the length of another one.
ADVICE = (
    "ragged ops, or a mask of the lengths, leave the padding out, and an output with a value for "
    "each step needs one length in all batches"
)


def lengths_key(name: str) -> str:
    """The name of the lengths of an input: ``points_lengths`` for ``points``."""
    return f"{name}_lengths"


def check_ragged(specs: Mapping[str, ArraySpec], ragged: Mapping[str, str], taken: Any) -> None:
    """ExportError unless ``ragged`` says "ragged" or "padded" of inputs of any length."""
    for name, kind in ragged.items():
        if name not in specs:
            known = ", ".join(n for n, spec in specs.items() if None in spec.shape) or "none"
            raise ExportError(f"ragged names {name!r}; inputs with a None dimension: {known}")
        if kind not in KINDS:
            raise ExportError(f"ragged of {name} is {kind!r}, needs 'ragged' or 'padded'")
        if None not in specs[name].shape:
            shape = list(specs[name].shape)
            raise ExportError(
                f"input {name} has shape {shape}, no None dimension: it is not ragged"
            )
        if lengths_key(name) in taken:
            raise ExportError(
                f"input {lengths_key(name)} has the name of the lengths of {name}, which ragged "
                "adds: leave it out"
            )


def one_row(
    specs: Mapping[str, ArraySpec],
    ragged: Mapping[str, str],
    max_rows: int | None,
    max_batch_size: int | None,
) -> int | None:
    """``max_batch_size``, 1 if rows of any length may not share a batch; ExportError if more."""
    unsaid = [name for name, spec in specs.items() if None in spec.shape and name not in ragged]
    size = 1 if max_batch_size is None and max_rows == 1 else max_batch_size
    if unsaid and size != 1:
        name = unsaid[0]
        raise ExportError(
            f"input {name} has shape {list(specs[name].shape)}, and rows of different length do "
            f"not fit into one batch: pass ragged={{{name!r}: 'ragged'}} (the model gets a "
            f"tf.RaggedTensor) or {{{name!r}: 'padded'}} (the padded array, and "
            f"{lengths_key(name)}), or max_batch_size=1 for batches of one row"
        )
    return size


def lengths_of_padded(specs: Mapping[str, ArraySpec], ragged: Mapping[str, str]) -> dict[str, Any]:
    """A tf.TensorSpec for the lengths of each padded input, which the model takes too."""
    names = [name for name, kind in ragged.items() if kind == "padded"]
    return {key: x for name in names for key, x in lengths_spec(name, specs[name]).items()}


def caller(model: Any, names: list[str], given: list[str]) -> Callable[[Mapping[str, Any]], Any]:
    """The call of a model that is ``given`` lengths besides ``names``; ExportError if it cannot."""
    try:
        return model_caller(model, given)
    except ExportError:
        model_caller(model, names)  # it does not take these either: this says so
        keys = " and ".join(name for name in given if name not in names)
        raise ExportError(
            f"the model does not take {keys}, without which its answers depend on padding; let it "
            f"take them, or leave them out: lambda {', '.join(given)}: model({', '.join(names)})"
        ) from None


def of_payloads(
    name: str, spec: ArraySpec, kind: str | None, payloads: Any, **options: Any
) -> tuple[dict[str, Any], Any]:
    """What the model gets of a batch of payloads, by name, and the status of its rows."""
    decoded = spec.decode_batch(payloads, kind or "dense", **options)  # type: ignore[arg-type]
    return given(name, spec, kind, decoded.tensor, decoded.lengths), decoded.status


def given(
    name: str, spec: ArraySpec, kind: str | None, tensor: Any, lengths: Any
) -> dict[str, Any]:
    """What the model gets, by name, of rows in the layout ``kind``."""
    if kind != "padded":
        return {name: tensor}
    # Padded to the longest row, a row's answer could depend on its neighbours.
    return {name: layouts.padded(tensor, spec.chain.form), lengths_key(name): lengths}


def lengths_shape(form: ArrayForm) -> list[int | None]:
    """``[B]`` for one ``None`` dimension, ``[B, k]`` for several."""
    count = form.shape.count(None)
    return [None] if count == 1 else [None, count]


def lengths_of(spec: ArraySpec, array: Any) -> Any:
    """int32, a scalar or ``[k]``: the lengths of an array along its ``None`` dimensions."""
    sides = [got for got, side in zip(array.shape, spec.shape, strict=True) if side is None]
    return np.array(sides[0] if len(sides) == 1 else sides, np.int32)


def padded(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The array, padded with zeros to ``shape``."""
    return np.pad(array, [(0, side - got) for side, got in zip(shape, array.shape, strict=True)])


def lengths_spec(name: str, spec: ArraySpec) -> dict[str, Any]:
    """The input for lengths of the signature that takes arrays."""
    key = lengths_key(name)
    return {key: tf.TensorSpec(lengths_shape(spec.chain.form), tf.int32, name=key)}


def of_arrays(name: str, spec: ArraySpec, kind: str, array: Any, lengths: Any) -> dict[str, Any]:
    """What `of_payloads` makes of payloads, made of a padded array, whose padding is not used."""
    form = spec.chain.form
    lengths = checked_lengths(name, form, array, lengths)
    rows = rows_of(array, lengths, form)
    ragged = kind == "ragged"
    tensor = layouts.to_ragged(rows, form) if ragged else layouts.to_padded(rows, form)
    return given(name, spec, kind, tensor, lengths)


def checked_lengths(name: str, form: ArrayForm, array: Any, lengths: Any) -> Any:
    """``lengths``; fails when it runs unless the array is not too large and holds them."""
    axes = [axis for axis, side in enumerate(form.shape) if side is None]
    key, shape = lengths_key(name), lengths_shape(form)
    words = "[B]" if len(axes) == 1 else f"[B, {len(axes)}]"
    lengths = checked_shape(lengths, shape, key, words)
    lengths = same_size({name: array, key: lengths})[key]
    matrix = tf.reshape(lengths, [-1, len(axes)])
    sides = tf.gather(tf.shape(array), [axis + 1 for axis in axes])
    most = [form.max_shape[axis] for axis in axes]
    wrong = tf.reduce_any((matrix < 0) | (matrix > sides), axis=1)

    def too_large() -> Any:
        got = tf.strings.reduce_join(tf.strings.as_string(sides), separator=", ")
        text = tf.strings.join(
            [f"{name}: has ", got, f" along the None dimension, at most {str(most)[1:-1]}"]
        )
        return fail_with(text, lengths)

    def misfit() -> Any:
        row = tf.argmax(tf.cast(wrong, tf.int32))
        got, held = (
            tf.strings.reduce_join(tf.strings.as_string(numbers), separator=", ")
            for numbers in (matrix[row], sides)
        )
        number = tf.strings.as_string(row)
        text = [f"{key}: row ", number, " is ", got, ", needs 0 to ", held, f", as {name} has"]
        return fail_with(tf.strings.join(text), lengths)

    fits = tf.cond(tf.reduce_any(wrong), misfit, lambda: lengths)
    return tf.cond(tf.reduce_any(sides > most), too_large, lambda: fits)


def rows_of(array: Any, lengths: Any, form: ArrayForm) -> Rows:
    """The flat rows of a padded array ``[B, *shape]``."""
    axes = [axis for axis, side in enumerate(form.shape) if side is None]
    size, sides = tf.shape(array)[0], tf.shape(array)[1:]
    columns = tf.unstack(tf.reshape(lengths, [-1, len(axes)]), axis=1)
    # Sides next to each other that are known count as one: ops broadcast over 9 dimensions.
    shape, masks, start = [size], [], 0
    for axis, column in zip(axes, columns, strict=True):
        shape += [prod(form.max_shape[start:axis]), sides[axis]]
        mask = tf.sequence_mask(column, sides[axis])
        masks.append((len(shape) - 1, mask))
        start = axis + 1
    within = tf.fill(tf.stack(shape), True)
    for place, mask in masks:
        wide = [size, *[1] * (len(shape) - 1)]
        wide[place] = shape[place]
        within &= tf.reshape(mask, tf.stack(wide))
    after = prod(form.max_shape[start:])
    data = tf.boolean_mask(tf.reshape(array, tf.stack([*shape, after])), within)
    counts = tf.reduce_prod(tf.cast(tf.stack(columns, 1), tf.int64), axis=1) * form.stride
    return Rows(tf.reshape(data, [-1]), size, counts)
