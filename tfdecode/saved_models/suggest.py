"""Tensors of a training graph that are worth serving: what clients send, and what they want."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from ..extras import tensorflow as tf
from .check import PYTHON_OPS
from .serving_graph import VARIABLES
from .splice import PLACEHOLDERS, inputs_of
from .training_graph import TrainingGraph, dtype_of

#: Ops of training, saving and logging.
DULL = {"Assert", "Const", "IsVariableInitialized", "NoOp", "MergeSummary", "Shape", *VARIABLES}
GRADIENT = re.compile(r"(?:^|/)gradients[^/]*/(.+?)_grad/")
DULL_PREFIXES = ("Apply", "Assign", "Restore", "ResourceApply", "Save", "Scalar", "Summary")


def suggest(graph: TrainingGraph) -> tuple[list[str], list[str]]:
    """The tensors that look like inputs, and those that look like outputs.

    Outputs are those that nothing but training takes, and those that a loss compares with labels:
    what depends on variables and placeholders meets there what depends on placeholders alone.
    """
    nodes = {name: node for name, node in graph.nodes.items() if not dull(node)}
    sources = {
        name: [one.node for control, one in inputs_of(node) if not control]
        for name, node in graph.nodes.items()
    }
    takers: dict[str, list[str]] = defaultdict(list)
    for name in nodes:
        for source in sources[name]:
            takers[source].append(name)
    given = [n for n, x in nodes.items() if x.op in (*PLACEHOLDERS, "PlaceholderWithDefault")]
    fed = below(given, takers)
    trained = below([n for n, x in graph.nodes.items() if x.op in VARIABLES], takers)
    ends = [name for name in nodes if name not in takers and name not in given]
    ends = [name for name in ends if name in fed] or ends  # not what reads a slot of an optimizer
    # tf.gradients names its nodes gradients/NAME_grad/...: an end that has some is a loss.
    lost = {found[1] for name in graph.nodes if (found := GRADIENT.search(name))}
    wanted = below([end for end in ends if end not in lost], invert(takers))
    compared = {
        source
        for name in fed & trained - wanted
        for source in sources[name]
        if source in fed & trained
        and any(one in fed - trained and not scalar(graph, one) for one in sources[name])
    }
    outputs = [name for name in nodes if name in ends or name in compared]
    return [f"{name}:0" for name in given], [f"{name}:0" for name in outputs]


def dull(node: Any) -> bool:
    """Whether no client wants the output of a node, though nothing in the graph takes it."""
    gradients = any(part.startswith("gradients") for part in node.name.split("/"))
    return gradients or node.op.startswith(DULL_PREFIXES) or node.op in DULL | PYTHON_OPS


def below(names: list[str], takers: dict[str, list[str]]) -> set[str]:
    """The nodes ``names``, and all that take them, directly or not."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left.extend(takers.get(name, ()))
    return found


def invert(takers: dict[str, list[str]]) -> dict[str, list[str]]:
    """The arrows in the other direction."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, others in takers.items():
        for other in others:
            found[other].append(name)
    return found


def scalar(graph: TrainingGraph, name: str) -> bool:
    """Whether a placeholder is a number, as ``keep_prob`` and ``is_training`` are."""
    shape = graph.nodes[name].attr["shape"].shape
    return graph.nodes[name].op in PLACEHOLDERS and not shape.dim and not shape.unknown_rank


def about(graph: TrainingGraph, name: str) -> tuple[str, str]:
    """The dtype and the shape of a tensor, in words; "" if the graph does not say them."""
    at = graph.find(name, "a suggestion")
    node = graph.nodes[at.node]
    number = dtype_of(node, at.output)
    known = "shape" in node.attr and node.op in (*PLACEHOLDERS, "PlaceholderWithDefault")
    shape = str(tf.TensorShape(node.attr["shape"].shape)) if known else ""
    return tf.as_dtype(number).name if number else "", shape
