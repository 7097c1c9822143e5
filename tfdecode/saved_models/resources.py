"""What a model uses and tf.saved_model.save does not find: tables, variables, files."""

from __future__ import annotations

import gc
import inspect
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from ..extras import LazyModule
from ..extras import tensorflow as tf

load_v1: Any = LazyModule("tensorflow.python.saved_model.load_v1_in_v2", "tensorflow")


def holder(functions: Iterable[Any], models: Iterable[Any]) -> Any:
    """A tf.Module with the raw variables and the tables that ``functions`` use.

    ``functions`` were traced from ``models``, which lead to the tables.
    """
    module = tf.Module()  # with a Keras 3 model in it, the session loader finds no variables
    graphs = [function.graph for function in functions]
    module.held_variables = list({id(v): v for graph in graphs for v in graph.variables}.values())
    captured = {id(x) for graph in graphs for x, _ in graph.captures if x.dtype == tf.resource}
    handles = captured - {id(variable.handle) for variable in module.held_variables}
    module.held_resources = list(owners(handles, models))
    module.held_initializers = list(initializers(graphs, models))
    # The paths of the files that initializers read.
    module.held_assets = [x for one in module.held_initializers for x in one._asset_paths]
    return module


def owners(handles: set[int], models: Iterable[Any]) -> Iterator[Any]:
    """The lookup tables and other resources that have handles of these ids.

    A table can be held by a closure, a global variable or an attribute that TensorFlow does not
    track; the handle that was captured does not lead back to it.
    """
    kind = tf.saved_model.experimental.TrackableResource
    wanted = set(handles)
    for item in reachable(models) if wanted else ():
        if issubclass(type(item), kind) and id(getattr(item, "_resource_handle", None)) in wanted:
            wanted.remove(id(item._resource_handle))
            yield item
            if not wanted:
                return


def initializers(graphs: Iterable[Any], models: Iterable[Any]) -> Iterator[Any]:
    """What fills the tables of loaded models of TensorFlow 1 that graphs use.

    Such a table is a node in a function, not a resource that was captured: its shared name tells.
    """
    used = {name for graph in graphs for name in table_names(graph)}
    for item in reachable(models) if used else ():
        kind = type(item)
        if issubclass(kind, load_v1._Initializer) and used & {*table_names(item._init_fn.graph)}:
            yield item


def table_names(graph: Any) -> Iterator[bytes]:
    """The shared names of the tables of a graph and its functions."""
    definition = graph.as_graph_def()
    library = definition.library.function
    for nodes in (definition.node, *(function.node_def for function in library)):
        yield from (
            node.attr["shared_name"].s or node.name.encode()
            for node in nodes
            if "HashTable" in node.op
        )


def reachable(models: Iterable[Any]) -> Iterator[Any]:
    """Each object that models, or the callers of this function, lead to: the nearest first.

    gc.get_objects would list them in less code. It also lists the tuples that other threads are
    just making, and CPython cannot finish a tuple that somebody else holds: those threads fail
    with a SystemError.
    """
    line: deque[Any] = deque(models)
    frame = inspect.currentframe()
    while frame is not None:  # a loaded model can be a local variable of whoever calls export
        line.extend(frame.f_locals.values())
        frame = frame.f_back
    seen = {id(item): item for item in line}  # holds what it saw, so that no id is used twice
    while line:
        yield (item := line.popleft())
        for found in gc.get_referents(item):
            if id(found) not in seen and gc.is_tracked(found):
                seen[id(found)] = found
                line.append(found)
