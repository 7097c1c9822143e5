"""Inputs of any length in an export: what the model must take, and what the arrays become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from ..errors import ExportError, said
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
    if not unsaid:
        return max_batch_size
    size = 1 if max_batch_size is None and max_rows == 1 else max_batch_size
    if size != 1:
        name = unsaid[0]
        layouts = (
            f"ragged={{{name!r}: 'ragged'}} (the model gets a tf.RaggedTensor) or "
            f"{{{name!r}: 'padded'}}"
        )
        one = said("max_batch_size=1", "--max-rows 1")
        raise ExportError(
            f"input {name} has shape {list(specs[name].shape)}, and rows of different length do "
            f"not fit into one batch: pass {said(layouts, f'--padded {name}')} (the padded array, "
            f"and {lengths_key(name)}), or {one} for batches of one row"
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
    axes = form.none_axes
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
        along = "the None dimension" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
        text = [f"{name}: has ", got, f" along {along}, at most {', '.join(map(str, most))}"]
        return fail_with(tf.strings.join(text), lengths)

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
    size, sides = tf.shape(array)[0], tf.shape(array)[1:]
    known = tf.reshape(lengths, tf.stack([size, len(form.none_axes)]))
    # As [B, axes before, fixed axes, None axis]: ops broadcast over 9 dimensions at most.
    within, count, start = tf.fill(tf.stack([size, 1]), True), 1, 0
    for number, axis in enumerate(form.none_axes):
        fixed, side = prod(form.max_shape[start:axis]), sides[axis]
        inside = tf.sequence_mask(known[:, number], side)
        before = tf.reshape(within, tf.stack([size, count, 1, 1]))
        inside = (
            before & tf.reshape(inside, tf.stack([size, 1, 1, side])) & tf.fill([fixed, 1], True)
        )
        count, start = count * fixed * side, axis + 1
        within = tf.reshape(inside, tf.stack([size, count]))
    array = tf.reshape(array, tf.stack([size, count, prod(form.max_shape[start:])]))
    data = tf.reshape(tf.boolean_mask(array, within), [-1])
    return with_sides(Rows(data, size), tf.cast(known, tf.int64), form)
