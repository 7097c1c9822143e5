"""Run one of several functions, chosen at run time, at no cost for the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..extras import tensorflow as tf


def switch(
    branch: Any, functions: list[Callable[..., Any]], inputs: list[Any], signature: list[Any]
) -> Any:
    """``functions[branch](*inputs)``, the last if out of range: tensors as ``signature``."""
    # A Case that is not lowered: large branches of tf.cond that are not taken cost up to 13 times
    # the decoding. Functions must not capture tensors.
    if tf.executing_eagerly():
        return functions[min(int(branch), len(functions) - 1)](*inputs)
    types = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in inputs]
    traced = [
        tf.function(function, input_signature=types, autograph=False).get_concrete_function()
        for function in functions
    ]
    outputs = tf.raw_ops.Case(
        branch_index=branch,
        input=inputs,
        Tout=[spec.dtype for spec in signature],
        branches=traced,
        output_shapes=[spec.shape for spec in signature],
    )
    for output, spec in zip(outputs, signature, strict=True):
        output.set_shape(spec.shape)
    return outputs
