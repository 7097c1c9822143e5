"""check: can a stock TensorFlow Serving run a SavedModel, without Python and custom ops?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import reading
from ..errors import FileError, SpecError, shown
from ..schema import ASSET, MAX_BYTES, SIGNATURE, Schema, version_directory
from . import op_history
from .limits import limits
from .protobuf import read_protobuf
from .serving_graph import called, file_ops, unrestored

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


def check(saved_model: str | os.PathLike[str], tensorflow: str | None = None) -> Report:
    """Check that a stock TensorFlow Serving can run a SavedModel; FileError if it is unreadable.

    The protobuf is read, nothing is loaded. Every node is compared with the ops, attributes, dtypes
    and CPU kernels of that TensorFlow. Problems are also variables that a server does not restore,
    files that are read while serving, and a schema that is not the graph's. What is not known: the
    shapes and values that the model takes, and what the answers are.

    Parameters
    ----------
    saved_model : str or os.PathLike
        The directory of a SavedModel, or of its versions; the newest version is checked.
    tensorflow : str, optional
        The version of the server, "2.3" to "2.21"; by default the newest.

    Raises
    ------
    SpecError
        If the version is not known.

    Examples
    --------
    >>> import tempfile, tfdecode as tfd
    >>> spec = tfd.ArraySpec((2, 3), "float32")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     path = tfd.export(lambda pose: pose * 2, models, inputs={"pose": spec})
    ...     check(path).ok, check(path, "2.12").ok
    (True, True)
    """
    version = op_history.known_version(tensorflow or op_history.newest())
    path = version_directory(Path(saved_model))
    model = read_protobuf(path)
    ops: set[str] = set()
    problems: dict[str, None] = {}  # in order, each once
    notes: dict[str, None] = {}
    found: dict[str, None] = {}
    graphs = [meta for meta in model.meta_graphs if set(meta.meta_info_def.tags) == {"serve"}]
    if not graphs:
        tags = shown(str([sorted(meta.meta_info_def.tags) for meta in model.meta_graphs]), 200)
        problems[f"no graph has the one tag 'serve' that servers load, but {tags}"] = None
    checkpoint = (path / "variables" / "variables.index").exists()
    value = "that is never restored" if checkpoint else "but there is no variables/variables.index"
    for meta in graphs or model.meta_graphs:  # a server reads no other graph
        found.update(dict.fromkeys(limits(meta.signature_def)))
        faults = Faults()
        library = {function.signature.name for function in meta.graph_def.library.function}
        runs = called(meta.graph_def)
        for function, node in nodes(meta.graph_def):
            if node.op in library:
                continue
            ops.add(node.op)
            if node.op in PYTHON_OPS:
                faults.add(function, node, "needs a Python process")
            elif not is_stock(node.op):
                faults.add(function, node, "is not a stock TensorFlow op")
            elif function is None or function in runs:
                for reason in op_history.missing(node, version):
                    faults.add(function, node, reason)
            if node.op == "DecodeCompressed" and node.attr["compression_type"].s == b"ZSTD":
                notes["runs from TensorFlow 2.20 on, which is the first to inflate zstd"] = None
            if "GPU" in node.device.upper() and function is None:
                faults.add(function, node, "stands on a GPU, without which a server refuses it")
        for function, node in file_ops(meta):
            faults.add(function, node, "reads or writes a file of the server while it serves")
        for node in unrestored(meta, checkpoint):
            faults.add(None, node, f"is a variable {value}: a server finds no value")
        problems.update(dict.fromkeys(faults.sentences()))
        for asset in meta.asset_file_def:
            if not (path / "assets" / asset.filename).is_file():
                problems[f"assets/{shown(asset.filename)} is missing, which a server reads"] = None
        problems.update(dict.fromkeys(stale_schema(path, meta)))
    return Report(path, frozenset(ops), tuple(problems), tuple(notes), tuple(found))


class Faults:
    """Reasons against nodes; nodes of one op with the same reason share a sentence."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[str]] = {}

    def add(self, function: str | None, node: Any, reason: str) -> None:
        """Note a reason against a node, and the function that it is in."""
        where = f" in function {shown(function)}" if function else ""
        self._found.setdefault((node.op, reason), []).append(f"node {shown(node.name)}{where}")

    def sentences(self) -> Iterator[str]:
        """A sentence for each op and reason."""
        for (op, reason), places in self._found.items():
            more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
            yield f"{places[0]}{more} is {shown(op)}, which {reason}"


def is_stock(op: str) -> bool:
    """Whether a TensorFlow without extensions has the op."""
    if op_history.knows(op):
        return True
    import tensorflow
    from tensorflow.python.framework import op_def_registry

    # A newer TensorFlow may have ops that the table lacks, an older one only if they were loaded.
    newer = tuple(map(int, tensorflow.__version__.split(".")[:2])) > tuple(
        map(int, op_history.newest().split("."))
    )
    return newer and op_def_registry.get(op) is not None


def nodes(graph: Any) -> Iterator[tuple[str | None, Any]]:
    """Every NodeDef, and the name of the function that it is in."""
    for node in graph.node:
        yield None, node
    for function in graph.library.function:
        for node in function.node_def:
            yield function.signature.name, node


def stale_schema(path: Path, meta: Any) -> Iterator[str]:
    """A sentence if the schema beside the model is not the one in its graph."""
    if SIGNATURE not in meta.signature_def or not (path / ASSET).exists():
        return
    try:
        text = Schema.from_json(reading.read(path / ASSET, MAX_BYTES)).to_json().encode()
    except (FileError, SpecError) as error:
        yield f"{ASSET} is no schema: {error}"
        return
    if not any(
        text in node.attr["value"].tensor.string_val
        for _, node in nodes(meta.graph_def)
        if node.op == "Const"
    ):
        yield f"{ASSET} is another schema than the graph's, which refuses what its readers send"
