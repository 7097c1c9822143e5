"""The part of a TensorFlow 1 graph that serves, cut out of the graph that trained."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy.typing as npt

from ..errors import ExportError, said, shown
from ..extras import LazyModule
from ..extras import tensorflow as tf
from .check import PYTHON_OPS
from .serving_graph import VARIABLES, called
from .splice import PLACEHOLDERS, Tensor, inputs_of, tensor, upstream

meta_graph_pb2: Any = LazyModule("tensorflow.core.protobuf.meta_graph_pb2", "tensorflow")
op_def_registry: Any = LazyModule("tensorflow.python.framework.op_def_registry", "tensorflow")
variable_pb2: Any = LazyModule("tensorflow.core.framework.variable_pb2", "tensorflow")

#: Ops that read examples: in front of the tensors that a client sends.
PIPELINES = ("QueueDequeue", "IteratorGetNext", "ReaderRead", "IteratorFromStringHandle")
TABLES = ("InitializeTable", "LookupTableImport")
#: Tables that training fills: the checkpoint or the session has what is in them.
FILLED = ("MutableHashTableV2", "MutableHashTableOfTensorsV2", "MutableDenseHashTableV2")
#: Those of which nothing tells what is in them: they have no name, or are not resources.
LOST = ("MutableHashTable", "MutableDenseHashTable", "AnonymousMutable")
#: Names of collections of variables; each is a list of VariableDef.
COLLECTIONS = ("variables", "local_variables", "model_variables", "moving_average_variables")


class TrainingGraph:
    """A MetaGraphDef, and questions about it."""

    def __init__(self, meta: Any) -> None:
        self.meta = meta
        self.nodes = {node.name: node for node in meta.graph_def.node}
        for node in meta.graph_def.node:
            for _, source in inputs_of(node):
                if source.node not in self.nodes:
                    raise damaged(f"it lacks {shown(source.node)}, which {shown(node.name)} takes")

    def find(self, name: str, what: str) -> Tensor:
        """The tensor of that name; ExportError names near ones."""
        found = tensor(name)
        if found.node in self.nodes:
            return found
        last = found.node.rpartition("/")[2]
        near = difflib.get_close_matches(found.node, self.nodes, 3, 0.6)
        near += [one for one in self.nodes if one.rpartition("/")[2] == last and one not in near]
        words = " or ".join(f"'{one}:0'" for one in near[:3])
        raise ExportError(
            f"no tensor '{name}' for {what}"
            + (f"; did you mean {words}?" if near else "; convert --suggest lists candidates")
        )

    def cut(self, given: Iterable[Tensor], outputs: Iterable[Tensor]) -> Serving:
        """The nodes that the outputs need if the tensors ``given`` are; ExportError if too many."""
        given, known = set(given), {one.node for one in given}

        def stops(control: bool, source: Tensor) -> bool:
            return source.node in known if control else source in given

        keep = upstream(self.nodes, outputs, stops)
        self._refuse(keep)
        tables = [
            node.name
            for node in self.nodes.values()
            if node.op.startswith(TABLES) and node.input
            for name in [tensor(node.input[0]).node]
            if name in keep and op(self, name) not in FILLED  # that of a saver reads a checkpoint
        ]
        keep |= upstream(self.nodes, [tensor(name) for name in tables], stops)
        self._refuse(keep)
        return Serving(self, keep, tables)

    def _refuse(self, keep: set[str]) -> None:
        """ExportError for nodes that a server cannot run."""
        used = [node for name, node in self.nodes.items() if name in keep]
        python = [node for node in used if node.op in PYTHON_OPS]
        if python:
            name = python[0].name
            raise ExportError(
                f"the outputs need {name} ({python[0].op}), which calls Python: cut the graph "
                f"behind it, with the input '{name}:0'"
            )
        lost = [node for node in used if node.op.startswith(LOST) and node.op not in FILLED]
        if lost:
            raise ExportError(
                f"the outputs need the table {lost[0].name} ({lost[0].op}), whose contents "
                "convert does not copy: look up in a StaticHashTable with these contents instead"
            )
        pipes = [node for node in used if node.op.startswith(PIPELINES)]
        if pipes:
            name = pipes[0].name
            raise ExportError(
                f"the outputs read examples from {name} ({pipes[0].op}): take its tensor as an "
                f"input, '{name}:0'"
            )
        left = [f"{node.name}:0" for node in used if node.op in PLACEHOLDERS]
        if left:
            raise ExportError(
                f"the outputs also need {', '.join(left)}: name them as inputs, or give them a "
                f"value, {said(f'constants={{{left[0]!r}: 1.0}}', f'--constant {left[0]}=1.0')}"
            )


class Serving:
    """The nodes that serve, as a MetaGraphDef to import, and what has to be filled in it."""

    def __init__(self, graph: TrainingGraph, keep: set[str], tables: list[str]) -> None:
        self.graph, self.keep, self.tables = graph, keep, tables
        #: The tables whose contents are in no node.
        self.filled = [name for name in graph.nodes if name in keep and op(graph, name) in FILLED]
        self.variables = list(self._variables())
        named = {tensor(one.variable_name).node for one in self.variables}
        lost = [n for n in keep if graph.nodes[n].op in VARIABLES and n not in named]
        if lost:
            raise ExportError(
                f"the graph has the variable {min(lost)}, whose value is not in it: it is not "
                "frozen, so convert its checkpoint, or freeze it"
            )
        self.meta = self._built()

    def assets(self) -> list[str]:
        """The tensors with the paths of vocabulary files."""
        nodes = (self.graph.nodes[name] for name in self.tables)
        files = (node for node in nodes if node.op.startswith("InitializeTableFromTextFile"))
        return list(dict.fromkeys(f"{tensor(node.input[1]).node}:0" for node in files))

    def consumed(self) -> set[str]:
        """The tensors that the nodes take, with their index."""
        sources = (source for node in self.meta.graph_def.node for _, source in inputs_of(node))
        return {f"{source.node}:{source.output}" for source in sources}

    def _variables(self) -> Iterator[Any]:
        """A VariableDef for each variable that serves."""
        seen: set[str] = set()
        # The collections of TensorFlow first, then those of the model's own.
        for key in [*COLLECTIONS, *sorted({*self.graph.meta.collection_def} - {*COLLECTIONS})]:
            for raw in self.graph.meta.collection_def[key].bytes_list.value:
                variable = variable_pb2.VariableDef()
                try:
                    variable.ParseFromString(raw)
                except Exception:  # protobuf's DecodeError has moved between its releases
                    if key not in COLLECTIONS:
                        continue
                    raise damaged(f"its collection {key} cannot be read") from None
                name = tensor(variable.variable_name).node
                if name in self.keep - seen and op(self.graph, name) in VARIABLES:
                    seen.add(name)
                    self._check(variable)
                    yield variable

    def _check(self, variable: Any) -> None:
        """ExportError unless the graph has what a variable names: it is taken by name."""
        nodes, name = self.graph.nodes, shown(variable.variable_name)
        start = variable.initializer_name.lstrip("^")
        for part in (start, tensor(variable.snapshot_name).node):
            if part and part not in nodes:
                raise damaged(f"it lacks {shown(part)} of the variable {name}")
        if not start or not nodes[start].input:
            raise damaged(f"nothing in it gives the variable {name} its first value")

    def _built(self) -> Any:
        nodes = self.graph.nodes
        meta = meta_graph_pb2.MetaGraphDef()
        meta.meta_info_def.CopyFrom(self.graph.meta.meta_info_def)
        graph = meta.graph_def
        graph.versions.CopyFrom(self.graph.meta.graph_def.versions)
        snapshots = [tensor(v.snapshot_name) for v in self.variables if v.snapshot_name]
        keep = self.keep | upstream(nodes, snapshots, lambda control, source: False)
        for original in self.graph.meta.graph_def.node:  # in their order
            if original.name in keep:
                self._add(graph, original, keep)
        for index, variable in enumerate(self.variables):
            self._add_initializer(graph, index, variable, keep)
            known = meta.collection_def["variables"].bytes_list
            known.value.append(variable.SerializeToString())
        _copy_functions(self.graph.meta.graph_def.library, graph)
        return meta

    def _add(self, graph: Any, original: Any, keep: set[str]) -> None:
        node = graph.node.add()
        node.CopyFrom(original)
        node.device = ""  # of the machines that trained
        # What is fed instead is not waited for.
        kept = [n for n in node.input if not n.startswith("^") or n[1:] in keep]
        node.ClearField("input")
        node.input.extend(kept)
        if "_class" in node.attr:
            places = node.attr["_class"].list.s
            near = [
                one
                for one in places
                if one[5:].decode(errors="replace") in keep or one[:5] != b"loc:@"
            ]
            node.attr["_class"].list.s[:] = near

    def _add_initializer(self, graph: Any, index: int, variable: Any, keep: set[str]) -> None:
        """Let a placeholder give the value: what gave it belongs to the training."""
        name = variable.initializer_name.lstrip("^")
        owner = self.graph.nodes[tensor(variable.variable_name).node]
        value = graph.node.add(name=f"tfdecode_initial/{index}", op="Placeholder")
        value.attr["dtype"].type = owner.attr["dtype"].type
        value.attr["shape"].shape.unknown_rank = True
        if name not in keep:
            self._add(graph, self.graph.nodes[name], keep)
        assign = next(node for node in reversed(graph.node) if node.name == name)
        assign.input[:] = [assign.input[0], value.name]
        variable.initial_value_name = f"{value.name}:0"


def _copy_functions(library: Any, graph: Any) -> None:
    """Copy the functions that the nodes of a graph call, and those that these call."""
    graph.library.CopyFrom(library)
    found = called(graph)
    del graph.library.gradient[:]  # of the training
    kept = [function for function in library.function if function.signature.name in found]
    del graph.library.function[:]
    graph.library.function.extend(kept)


def op(graph: TrainingGraph, name: str) -> str:
    """The op of a node."""
    found: str = graph.nodes[name].op
    return found


def damaged(what: str) -> ExportError:
    """The error for a graph that is not whole."""
    return ExportError(f"the graph is damaged: {what}")


def dtype_of(node: Any, output: int) -> int | None:
    """The DataType of an output of a node; None if its op is unknown, or leaves it open."""
    op = op_def_registry.get(node.op)
    for one in op.output_arg if op else ():
        if one.type_list_attr:
            types = (
                node.attr[one.type_list_attr].list.type if one.type_list_attr in node.attr else []
            )
            if output < len(types):
                return int(types[output])
            output -= len(types)
            continue
        count = node.attr[one.number_attr].i if one.number_attr in node.attr else 1
        if output < count:
            dtype = node.attr[one.type_attr].type if one.type_attr in node.attr else one.type
            return dtype or None
        output -= count
    return None


def dtype_named(at: str, number: int | None) -> Any:
    """The tf.DType of a tensor; ExportError if the graph says no dtype that there is."""
    try:
        return tf.as_dtype(number)
    except TypeError:
        raise ExportError(f"{at} has no dtype of TensorFlow ({number})") from None


def constant_of(graph: TrainingGraph, at: Tensor, value: npt.ArrayLike) -> Any:
    """The value that a tensor gets, in the dtype that it has in the graph."""
    try:
        return tf.constant(value, dtype_of(graph.nodes[at.node], at.output), name="constant")
    except (TypeError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise ExportError(f"the constant for {at} does not fit: {text}") from None
