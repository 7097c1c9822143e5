"""What a server does with the graph of a SavedModel: which functions run, what is restored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .splice import Tensor, tensor, upstream

VARIABLES = ("VarHandleOp", "Variable", "VariableV2")
#: Ops that give a variable its value.
ASSIGN = ("Assign", "AssignVariableOp")
#: Ops that read or write files by a name.
FILES = {
    "FixedLengthRecordDataset",
    "FixedLengthRecordDatasetV2",
    "MatchingFiles",
    "ReadFile",
    "TFRecordDataset",
    "TFRecordDatasetV2",
    "TextLineDataset",
    "WriteFile",
}
#: Where TensorFlow 1 names the op that fills tables.
INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")


def called(graph: Any, nodes: Iterable[Any] | None = None) -> set[str]:
    """The functions that nodes run, all of a graph by default, through any number of others."""
    library = {function.signature.name: function for function in graph.library.function}
    found: set[str] = set()
    left = list(graph.node if nodes is None else nodes)
    while left:
        node = left.pop()
        for name in (node.op, *functions_of(node.attr)):
            if name in library and name not in found:
                found.add(name)
                left.extend(library[name].node_def)
    return found


def functions_of(attributes: Mapping[str, Any]) -> Iterator[str]:
    """The functions that attributes of a node name."""
    for value in attributes.values():
        if value.WhichOneof("value") == "func":
            yield value.func.name
            yield from functions_of(value.func.attr)
        for function in value.list.func:
            yield function.name
            yield from functions_of(function.attr)


def file_ops(meta: Any) -> Iterator[tuple[str | None, Any]]:
    """Nodes that read or write files when a signature runs, and the function that they are in."""
    graph = meta.graph_def
    needed = needed_for(graph, signature_outputs(meta))
    nodes = [node for node in graph.node if node.name in needed]
    yield from ((None, node) for node in nodes if node.op in FILES)
    runs = called(graph, nodes)
    for function in graph.library.function:
        if function.signature.name in runs:
            for node in function.node_def:
                if node.op in FILES:
                    yield function.signature.name, node


def unrestored(meta: Any, has_checkpoint: bool = True) -> Iterator[Any]:
    """The variables that a signature needs and that nothing gives a value when a server loads.

    Without a checkpoint beside it, a server restores nothing. Nodes with the same shared name are
    the same variable. A variable that the signatures assign to is not told of.
    """
    graph = meta.graph_def
    needed = needed_for(graph, signature_outputs(meta))
    filled = needed_for(graph, initializers(meta, has_checkpoint))
    given: set[str] = set()
    variables = [node for node in graph.node if node.op in VARIABLES]
    for node in graph.node:
        if node.name in filled or (node.name in needed and node.op in ASSIGN):
            given.update(tensor(name.lstrip("^")).node for name in (node.name, *node.input))
    restored = {resource(node) for node in variables if node.name in given}
    for node in variables:
        if node.name in needed and resource(node) not in restored:
            yield node


def resource(node: Any) -> tuple[bytes, bytes]:
    """What a session calls the variable of a node."""
    return node.attr["container"].s, node.attr["shared_name"].s or node.name.encode()


def signature_outputs(meta: Any) -> list[Tensor]:
    """The outputs of all signatures that clients can ask."""
    return [
        tensor(info.name)
        for name, signature in meta.signature_def.items()
        if not name.startswith("__saved_model")
        for info in signature.outputs.values()
    ]


def initializers(meta: Any, has_checkpoint: bool) -> list[Tensor]:
    """What a server runs when it loads the model."""
    restore = meta.saver_def.restore_op_name
    names = [restore] if restore and has_checkpoint else []
    for name, signature in meta.signature_def.items():
        if name.startswith("__saved_model"):
            names += [info.name for info in signature.outputs.values()]
    for key in INIT_COLLECTIONS:
        if key in meta.collection_def:
            names += meta.collection_def[key].node_list.value
    return [tensor(name) for name in names]


def needed_for(graph: Any, outputs: Iterable[Tensor]) -> set[str]:
    """The nodes that run for the outputs."""
    nodes = {node.name: node for node in graph.node}
    known = [output for output in outputs if output.node in nodes]
    return upstream(nodes, known, lambda control, source: source.node not in nodes)
