"""Models to decode in: many specs in one SavedModel, which holds stock ops only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

import tfdecode as tfd

#: They run Python, which no server has.
PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "NumpyFunction"}


class Decoders(tf.Module):
    """For each spec the functions ``tensor``, ``checked`` and, with a None, ``ragged``."""

    def __init__(self, specs: Mapping[str, tfd.ArraySpec]) -> None:
        super().__init__()
        self.tensor = {key: traced(spec.decode_tensor, key) for key, spec in specs.items()}
        self.checked = {key: traced(spec.decode_checked, key) for key, spec in specs.items()}
        unknown = {key: spec for key, spec in specs.items() if None in spec.shape}
        self.ragged = {key: traced(spec.decode_ragged, key) for key, spec in unknown.items()}


def traced(decode: Any, name: str) -> Any:
    """``decode`` as a tf.function of a batch of any size, whose messages call the input ``name``"""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def function(payloads: tf.Tensor) -> Any:
        return decode(payloads, name=name)

    return function


def save(module: tf.Module, directory: Path, signatures: Any = None) -> Any:
    """Save ``module``, see that a server can run it, and load it again."""
    tf.saved_model.save(module, str(directory), signatures=signatures)
    assert_stock_ops(directory)
    return tf.saved_model.load(str(directory))


def assert_stock_ops(directory: Path) -> None:
    """Every op of the graph and of its function library is TensorFlow's own and none is Python."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((directory / "saved_model.pb").read_bytes())
    for meta_graph in saved.meta_graphs:
        functions = {function.signature.name for function in meta_graph.graph_def.library.function}
        for op in ops(meta_graph.graph_def):
            assert op not in PYTHON_OPS
            assert op in functions or op_def_registry.get(op) is not None, op


def ops(graph: tf.compat.v1.GraphDef) -> Iterator[str]:
    """The ops of ``graph`` and of all its functions."""
    yield from {node.op for node in graph.node}
    for function in graph.library.function:
        yield from {node.op for node in function.node_def}
