"""Inputs of any length in an export: what the model must take, and what the arrays become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from ..errors import ExportError
from ..extras import tensorflow as tf
from ..form import ArrayForm
from ..graph.by_row import with_sides
from ..graph.ragged import to_padded, to_ragged
from ..graph.rows import Rows, checked_shape, fail_with, same_size
from ..layouts import Layout, laid_out, lengths_key, lengths_shape
from ..spec import ArraySpec
from .model import caller as model_caller

#: What to do with a model whose answer to a row depends on the length of another one.
ADVICE = (
    "ragged ops, or a mask of the lengths, leave the padding out, and an output with a value for "
    "each step needs one length in all batches"
)


def one_row(
    specs: Mapping[str, ArraySpec],
    ragged: Mapping[str, Layout],
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


def lengths_of_padded(
    specs: Mapping[str, ArraySpec], ragged: Mapping[str, Layout]
) -> dict[str, Any]:
    """A tf.TensorSpec for the lengths of each padded input, which the model takes too."""
    names = [name for name, layout in ragged.items() if layout == "padded"]
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


def lengths_spec(name: str, spec: ArraySpec) -> dict[str, Any]:
    """The input for lengths of the signature that takes arrays."""
    key = lengths_key(name)
    return {key: tf.TensorSpec(lengths_shape(spec.chain.form), tf.int32, name=key)}


def of_arrays(
    name: str, spec: ArraySpec, layout: Layout, array: Any, lengths: Any
) -> dict[str, Any]:
    """What `decoded` makes of payloads, made of a padded array, whose padding is not used."""
    form = spec.chain.form
    lengths = checked_lengths(name, form, array, lengths)
    rows = rows_of(array, lengths, form)
    tensor = to_ragged(rows, form) if layout == "ragged" else to_padded(rows, form)
    return laid_out(name, spec, layout, tensor, lengths)


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
    known = tf.cast(tf.stack(columns, 1), tf.int64)
    return with_sides(Rows(tf.reshape(data, [-1]), size), known, form)
