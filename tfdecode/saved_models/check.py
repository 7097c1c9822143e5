"""check: will a SavedModel load and run where there is no Python and no custom op?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..schema import version_directory
from .protobuf import read_protobuf

# They look for a Python function that is in no SavedModel.
PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


@dataclass(frozen=True)
class Report:
    """What `check` found: the ops that are used, and what a stock server cannot run."""

    path: Path
    ops: frozenset[str]
    problems: tuple[str, ...]
    #: What is good to know of a model that a stock server can run.
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found that stands in the way."""
        return not self.problems

    def __str__(self) -> str:
        if self.ok:
            return "; ".join([f"{self.path}: {len(self.ops)} kinds of ops, all stock", *self.notes])
        return f"{self.path}: " + "; ".join(self.problems)


def check(saved_model: str | os.PathLike[str]) -> Report:
    """Look through every node of a SavedModel, its function library included.

    ``saved_model`` is a SavedModel's directory, or the base path of its versions (the newest is
    looked at). Reported are ops that call Python, and ops that this TensorFlow does not register;
    a custom op that was loaded into this very process counts as registered.

    Raises FileError where there is no SavedModel to read.
    """
    path = version_directory(Path(saved_model))
    model = read_protobuf(path)
    from tensorflow.python.framework import op_def_registry

    ops: set[str] = set()
    problems: dict[str, None] = {}  # in order, each once
    notes: dict[str, None] = {}
    if not any("serve" in meta.meta_info_def.tags for meta in model.meta_graphs):
        problems["no graph is tagged 'serve', which is what servers load"] = None
    for meta in model.meta_graphs:
        library = {function.signature.name for function in meta.graph_def.library.function}
        for where, node in nodes(meta.graph_def):
            if node.op in library:
                continue
            ops.add(node.op)
            if node.op in PYTHON_OPS:
                problems[f"node {node.name}{where} is {node.op}: it needs Python"] = None
            elif op_def_registry.get(node.op) is None:
                problems[f"node {node.name}{where} is {node.op}: no stock op"] = None
            elif node.op == "DecodeCompressed" and node.attr["compression_type"].s == b"ZSTD":
                notes["runs from TensorFlow 2.20 on, which is the first to inflate zstd"] = None
    return Report(path, frozenset(ops), tuple(problems), tuple(notes))


def nodes(graph: Any) -> Iterator[tuple[str, Any]]:
    """Every NodeDef with where it stands."""
    for node in graph.node:
        yield "", node
    for function in graph.library.function:
        for node in function.node_def:
            yield f" in function {function.signature.name}", node
