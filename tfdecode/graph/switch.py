"""Branches of a graph that cost nothing unless taken, neither at run time nor at the first run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from ..extras import tensorflow as tf

#: The graph optimizer leaves functions with this attribute as they are: it is for those of tf.data,
#: which has an optimizer of its own. For any other function in the graph it takes 10 ms of CPU.
UNOPTIMIZED = {"_tf_data_function": True}
#: Whether the function that is being traced has it.
tracing = ContextVar("tracing", default=False)


def unoptimized(function: Callable[..., Any], signature: Sequence[Any] = ()) -> Any:
    """``function`` of tensors as ``signature``, traced; its inputs end with what it captures."""

    def inside(*inputs: Any) -> Any:
        token = tracing.set(True)
        try:
            return function(*inputs)
        finally:
            tracing.reset(token)

    options: Any = {"input_signature": signature, "autograph": False}
    try:
        traced = tf.function(inside, **options, experimental_attributes=UNOPTIMIZED)
    except ValueError:  # TensorFlow 2.12 refuses the attribute: its first run takes longer
        traced = tf.function(inside, **options)
    return traced.get_concrete_function()


def switch(branch: Any, *functions: Callable[[], Sequence[Any]]) -> list[Any]:
    """The tensors that ``functions[branch]`` returns, the last if out of range."""
    # A Case that is not lowered: large branches of tf.cond that are not taken cost up to 13 times
    # the decoding, and are optimized at the first run.
    if tf.executing_eagerly():
        return list(functions[min(int(branch), len(functions) - 1)]())
    captured: list[Any] = []

    def traced(function: Callable[[], Sequence[Any]]) -> Any:
        def branch() -> Any:
            for tensor in captured:
                tf.compat.v1.get_default_graph().capture(tensor)
            return [tf.convert_to_tensor(output) for output in function()]

        return unoptimized(branch)

    # All branches have the same inputs: what any of them captures. A branch that lacks some is
    # traced again, so the largest should come last.
    branches: list[Any] = []
    for function in functions:
        branches.append(traced(function))
        captured = branches[-1].captured_inputs
    for index, function in enumerate(functions):
        if len(branches[index].captured_inputs) < len(captured):
            branches[index] = traced(function)
    return case(branch, branches, captured)


def case(branch: Any, branches: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """What the traced function ``branches[branch]`` makes of ``inputs``."""
    kinds = [[tf.TensorSpec.from_tensor(output) for output in one.outputs] for one in branches]
    shapes = [first.shape for first in kinds[0]]
    for other in kinds[1:]:
        pairs = zip(shapes, other, strict=True)
        shapes = [shape.most_specific_compatible_shape(kind.shape) for shape, kind in pairs]
    # The shapes are part of the graph: without them one of static sizes is refused when loaded.
    outputs: list[Any] = tf.raw_ops.Case(
        branch_index=branch,
        input=inputs,
        Tout=[kind.dtype for kind in kinds[0]],
        branches=branches,
        output_shapes=shapes,
    )
    for output, shape in zip(outputs, shapes, strict=True):
        output.set_shape(shape)
    return outputs


def shared(
    function: Callable[..., Sequence[Any]], signature: Sequence[Any]
) -> Callable[..., Sequence[Any]]:
    """``function`` of tensors as ``signature``, as one function of the graph for all its calls."""
    if tf.executing_eagerly():
        return function
    traced = unoptimized(function, signature)
    return lambda *inputs: case(0, [traced], [*inputs, *traced.captured_inputs])


def cond(predicate: Any, yes: Callable[[], Sequence[Any]], no: Callable[[], Sequence[Any]]) -> Any:
    """As ``tf.cond``, of functions that return lists of tensors; see ``outlined``."""
    if tf.executing_eagerly():
        return list(yes() if predicate else no())
    if tracing.get():
        return switch(tf.where(predicate, 0, 1), yes, no)
    return list(tf.cond(predicate, yes, no))


def outlined(function: Callable[[], Sequence[Any]]) -> Callable[[], Sequence[Any]]:
    """``function`` as a single node of the graph: for a branch of `cond` that is seldom taken."""
    return lambda: function() if tracing.get() else switch(0, function)
