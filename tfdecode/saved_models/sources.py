"""Where a graph to convert comes from: what its variables, tables and files hold."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import reading
from ..errors import ExportError, FileError, TfdecodeError, said, shown
from ..extras import LazyModule
from ..extras import tensorflow as tf
from .keras_file import SUFFIXES
from .protobuf import MAX_BYTES
from .session import reason
from .splice import tensor
from .training_graph import Serving, TrainingGraph

meta_graph_pb2: Any = LazyModule("tensorflow.core.protobuf.meta_graph_pb2", "tensorflow")
text_format: Any = LazyModule("google.protobuf.text_format", "tensorflow")

FROZEN = (".pb", ".pbtxt")
#: The ends of the names of the files of a checkpoint.
PARTS = re.compile(r"\.(meta|index|data-\d+-of-\d+)$")


class Source:
    """A frozen graph, whose values are in it."""

    def __init__(self, graph: TrainingGraph, root: Path | None) -> None:
        self.graph = graph
        #: The directory that files which the graph names are copied from; None for any.
        self.root = root

    def fill(self, serving: Serving, variables: list[Any], session: Any) -> None:
        """Give the variables in ``session`` their values."""

    def contents(self, table: str) -> tuple[Any, Any]:
        """The keys and the values of a table that training filled."""
        raise ExportError(
            f"the outputs need the table {table}, whose contents are not in a frozen graph: "
            "convert the checkpoint, or look up in a StaticHashTable"
        )


class Checkpoint(Source):
    """A checkpoint with its ``.meta``."""

    def __init__(self, prefix: Path) -> None:
        meta = meta_graph_pb2.MetaGraphDef()
        parse(meta, prefix.with_name(f"{prefix.name}.meta"))
        super().__init__(TrainingGraph(meta), prefix.parent)
        self.prefix = prefix

    def fill(self, serving: Serving, variables: list[Any], session: Any) -> None:
        self._require_index()
        if not variables:
            return
        try:
            tf.compat.v1.train.Saver(variables).restore(session, str(self.prefix))
        except (tf.errors.OpError, ValueError) as error:
            message = str(getattr(error, "message", error))
            key = re.search(r"Key (\S+) not found in checkpoint", message)
            text = " ".join(message.split("\n")[0].split())[:300]
            text = f"it has no value of {shown(key[1])}" if key else text
            raise ExportError(f"{self.prefix}: the checkpoint cannot be restored: {text}") from None

    def contents(self, table: str) -> tuple[Any, Any]:
        self._require_index()
        reader = tf.train.load_checkpoint(str(self.prefix))
        names = [f"{table}-keys", f"{table}-values"]  # as tf.compat.v1.train.Saver calls them
        if not all(map(reader.has_tensor, names)):
            raise ExportError(
                f"{self.prefix}: the checkpoint has no contents of the table {table}: look up in a "
                "StaticHashTable instead"
            )
        keys, values = map(reader.get_tensor, names)
        return keys, values

    def _require_index(self) -> None:
        if not self.prefix.with_name(f"{self.prefix.name}.index").is_file():
            raise FileError(f"{self.prefix}.index: no such file, so the checkpoint has no values")


class LiveSession(Source):
    """A session, which stays as it is."""

    def __init__(self, session: Any) -> None:
        meta = meta_graph_pb2.MetaGraphDef()
        meta.graph_def.CopyFrom(session.graph.as_graph_def(add_shapes=False))
        with session.graph.as_default():
            for key in session.graph.get_all_collection_keys():
                for variable in session.graph.get_collection(key):
                    if isinstance(variable, tf.Variable):
                        raw = variable.to_proto().SerializeToString()
                        meta.collection_def[str(key)].bytes_list.value.append(raw)
        super().__init__(TrainingGraph(meta), None)
        self.session = session

    def fill(self, serving: Serving, variables: list[Any], session: Any) -> None:
        try:
            values = self.session.run([one.snapshot_name for one in serving.variables])
        except tf.errors.FailedPreconditionError as error:
            raise ExportError(
                f"the session has no values for its variables ({reason(error)}): run their "
                "initializers, or restore a checkpoint"
            ) from None
        for variable, value in zip(serving.variables, values, strict=True):
            name = variable.initializer_name.lstrip("^")
            session.run(name, {variable.initial_value_name: value})

    def contents(self, table: str) -> tuple[Any, Any]:
        for node in self.graph.nodes.values():  # that of its saver: the graph may be finalized
            if node.op.startswith("LookupTableExport") and tensor(node.input[0]).node == table:
                keys, values = self.session.run([f"{node.name}:0", f"{node.name}:1"])
                return keys, values
        raise ExportError(
            f"the outputs need the table {table}, and the graph has no op that reads it: look up "
            "in a StaticHashTable, or make the table with checkpoint=True"
        )


def read_source(source: Any) -> Source:
    """A path or a session as a Source; FileError or ExportError if it is none."""
    if hasattr(source, "graph"):
        return LiveSession(source)
    path = Path(source)
    folder = path.parent if path.name.startswith("saved_model.pb") else path
    if any((folder / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise ExportError(f"{folder} is a SavedModel: tfdecode wrap takes it as it is")
    if path.is_dir():
        raise ExportError(
            f"{path} is a directory: convert takes a checkpoint by its prefix, as "
            f"{path / checkpoints(path, 'model.ckpt-7')[-1]}"
        )
    if path.suffix in FROZEN:
        return Source(TrainingGraph(frozen(path)), path.parent)
    prefix = path.with_name(PARTS.sub("", path.name))
    if not prefix.with_name(f"{prefix.name}.meta").exists():
        raise no_graph(path, prefix)
    return Checkpoint(prefix)


def no_graph(path: Path, prefix: Path) -> TfdecodeError:
    """The error for a source that is not a graph."""
    if prefix.with_name(f"{prefix.name}.index").exists():
        return ExportError(
            f"{prefix} is a checkpoint without a graph, {prefix.name}.meta, as TensorFlow 2 writes "
            "it: build the model in Python, restore it, and pass it to tfdecode.export"
        )
    if path.is_file() and path.name != "checkpoint":
        return ExportError(
            f"{path} is not a checkpoint with its .meta, and not one of "
            f"{', '.join((*FROZEN, *SUFFIXES))}, which convert takes"
        )
    known = checkpoints(prefix.parent) if prefix.parent.is_dir() else []
    there = f"; {prefix.parent} has: {', '.join(known[-5:])}" if known else ""
    return FileError(f"{path}: no such file, and no {prefix.name}.meta{there}")


def checkpoints(folder: Path, *others: str) -> list[str]:
    """The names of the checkpoints with a graph in a directory, the newest last; else others."""
    found = sorted(folder.glob("*.meta"), key=lambda file: (file.stat().st_mtime, file.name))
    return [file.stem for file in found] or list(others)


def frozen(path: Path) -> Any:
    """A MetaGraphDef with the graph of a ``.pb`` or ``.pbtxt``."""
    meta = meta_graph_pb2.MetaGraphDef()
    parse(meta.graph_def, path)
    if not meta.graph_def.node:
        raise FileError(f"{path}: has no nodes, so it is not a frozen graph")
    return meta


def parse(message: Any, path: Path) -> None:
    """Read a protobuf, in text or binary; FileError if it is another file."""
    data = reading.read(path, MAX_BYTES)
    try:
        if path.suffix == ".pbtxt":
            text_format.Parse(data.decode(), message)
        else:
            message.ParseFromString(data)
    except Exception as error:  # protobuf's errors have moved between its releases
        text = " ".join(str(error).split())[:200]
        raise FileError(f"{path}: is not a {type(message).__name__}: {text}") from None


def check_assets(files: Iterable[str], tensors: Iterable[str], root: Path | None) -> None:
    """ExportError unless the files that the graph names exist, in ``root``: they are published."""
    for name, tensor_name in zip(files, tensors, strict=True):
        text = shown(name, 200)
        remote = "://" in name  # not asked for: the graph of a stranger would say whom to call
        if not remote and not Path(name).is_file():
            python = f"constants={{{tensor_name!r}: ...}}"
            constant = said(python, f"--constant {tensor_name}=...")
            raise ExportError(
                f"the outputs need the file {text}, which is not on this machine: if it has "
                f"another path here, pass {constant} with it"
            )
        if root is None:
            continue
        if remote or not Path(os.path.realpath(name)).is_relative_to(os.path.realpath(root)):
            raise ExportError(
                f"the graph names the file {text}, which is not in {root}: if it belongs to the "
                f"model, pass {said('assets=', '--assets')} with its directory, from which it is "
                "copied"
            )
