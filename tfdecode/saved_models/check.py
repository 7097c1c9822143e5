"""check: can a stock TensorFlow Serving run a SavedModel, without Python and custom ops?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import shown
from ..schema import version_directory
from .limits import limits
from .protobuf import read_protobuf

# They call a Python function, which a SavedModel does not contain.
PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
#: Sentences that a report shows as text; all are in its attributes.
MAX_SENTENCES = 20


@dataclass(frozen=True)
class Report:
    """The result of `check`; as text, one line for people.

    Attributes
    ----------
    path : pathlib.Path
        The version directory that was read.
    ops : frozenset of str
        All ops that the model uses.
    problems : tuple of str
        Why a stock server cannot run the model: a sentence for each node.
    notes : tuple of str
        What else to know, for example the oldest TensorFlow that can run it.
    limits : tuple of str
        What a stock server cannot do with a signature: dtypes that its JSON lacks, batching
        without a batch dimension, answering the others if a row is bad.
    """

    path: Path
    ops: frozenset[str]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether a stock server can run the model."""
        return not self.problems

    def __str__(self) -> str:
        found = (f"{len(self.ops)} kinds of ops, all stock", *self.notes, *self.limits)
        sentences = found if self.ok else self.problems
        more = len(sentences) - MAX_SENTENCES
        rest = [f"and {more} more"] if more > 0 else []
        path = shown(str(self.path), 1000)
        return f"{path}: " + "; ".join([*sentences[:MAX_SENTENCES], *rest])


def check(saved_model: str | os.PathLike[str]) -> Report:
    """Check that a stock TensorFlow Serving can run a SavedModel; FileError if it is unreadable.

    Every node is checked, those of all functions too. Problems are ops that call Python and ops
    that this TensorFlow does not know. A custom op that was loaded into this process is not found.

    Parameters
    ----------
    saved_model : str or os.PathLike
        The directory of a SavedModel, or of its versions; the newest version is checked.

    Examples
    --------
    >>> import tempfile, tfdecode as tfd
    >>> spec = tfd.ArraySpec((2, 3), "float32")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     check(tfd.export(lambda pose: pose * 2, models, inputs={"pose": spec})).ok
    True
    """
    path = version_directory(Path(saved_model))
    model = read_protobuf(path)
    from tensorflow.python.framework import op_def_registry

    ops: set[str] = set()
    problems: dict[str, None] = {}  # in order, each once
    notes: dict[str, None] = {}
    found: dict[str, None] = {}
    if not any("serve" in meta.meta_info_def.tags for meta in model.meta_graphs):
        problems["no graph is tagged 'serve', which is what servers load"] = None
    for meta in model.meta_graphs:
        found.update(dict.fromkeys(limits(meta.signature_def)))
        library = {function.signature.name for function in meta.graph_def.library.function}
        for where, node in nodes(meta.graph_def):
            if node.op in library:
                continue
            ops.add(node.op)
            what = f"node {shown(node.name)}{where} is {shown(node.op)}, which"
            if node.op in PYTHON_OPS:
                problems[f"{what} needs a Python process"] = None
            elif op_def_registry.get(node.op) is None:
                problems[f"{what} is not a stock TensorFlow op"] = None
            elif node.op == "DecodeCompressed" and node.attr["compression_type"].s == b"ZSTD":
                notes["runs from TensorFlow 2.20 on, which is the first to inflate zstd"] = None
    return Report(path, frozenset(ops), tuple(problems), tuple(notes), tuple(found))


def nodes(graph: Any) -> Iterator[tuple[str, Any]]:
    """Every NodeDef, and the function that it is in as text."""
    for node in graph.node:
        yield "", node
    for function in graph.library.function:
        for node in function.node_def:
            yield f" in function {shown(function.signature.name)}", node
