"""SavedModels: the specs of their byte inputs and, with TensorFlow, their signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import MissingExtraError, TfdecodeError
from ...extras import tensorflow as tf
from ...saved_models.protobuf import read_protobuf
from ...schema import ASSET, Schema, version_directory
from ..batch import Report
from ..failure import one_line
from ..quiet_import import import_quietly
from ..show import dimensions, fields, say, table
from . import specs


def report(path: Path) -> Report:
    """The SavedModel in a directory, or its newest version if the directory holds versions.

    The model is not loaded. Without TensorFlow, ``signatures`` is None.
    """
    directory = version_directory(path)
    found: dict[str, Any] = {
        "file": str(path),
        "kind": "model",
        "directory": str(directory),
        "inputs": None,
        "tags": None,
        "tensorflow": None,
        "signatures": None,
        "note": None,
    }
    if (directory / ASSET).exists():
        try:
            found["inputs"] = specs.inputs(Schema.load(directory))
        except TfdecodeError as error:
            found["error"] = one_line(str(error))
    try:
        import_quietly()
        found["tags"], found["tensorflow"], found["signatures"] = graph(read_protobuf(directory))
    except MissingExtraError as error:
        found["note"] = f"signatures are not read: {error}"
    except TfdecodeError as error:
        found.setdefault("error", one_line(str(error)))
    return found


def graph(model: Any) -> tuple[list[str], str, list[Report]]:
    """Tags, TensorFlow version and signatures of the graph that servers load, or the first one."""
    metas = list(model.meta_graphs)
    served = [meta for meta in metas if "serve" in meta.meta_info_def.tags] or metas
    if not served:
        return [], "", []
    meta = served[0]
    signatures: list[Report] = [
        {"name": name, "inputs": tensors(signature.inputs), "outputs": tensors(signature.outputs)}
        for name, signature in sorted(meta.signature_def.items())
        if not name.startswith("__saved_model")  # the loader's own
    ]
    info = meta.meta_info_def
    return sorted(info.tags), info.tensorflow_version, signatures


def tensors(infos: Any) -> list[Report]:
    """The name, dtype and shape of each input or output of a signature."""
    return [
        {"name": name, "dtype": dtype(info.dtype), "shape": shape(info.tensor_shape)}
        for name, info in sorted(infos.items())
    ]


def dtype(number: int) -> str:
    """The name of a DataType of the protobuf."""
    try:
        name: str = tf.dtypes.as_dtype(number).name
    except TypeError:
        return f"unknown dtype {number}"
    return name


def shape(proto: Any) -> list[int | None] | None:
    """The dimensions, None if unknown; None if the rank is unknown."""
    if proto.unknown_rank:
        return None
    return [None if dim.size < 0 else dim.size for dim in proto.dim]


def print_report(found: Report) -> None:
    """Print the signatures, then the specs of the byte inputs."""
    by = f", written by TensorFlow {found['tensorflow']}" if found["tensorflow"] else ""
    tagged = f" tagged {', '.join(found['tags'])}" if found["tags"] else ""
    version = "" if found["directory"] == found["file"] else f", {found['directory']}"
    fields([(found["file"], f"a SavedModel{version}{tagged}{by}")])
    if found["note"]:
        say(one_line(f"note: {found['note']}"))
    rows = [
        [signature["name"], kind, row["name"], row["dtype"], any_dimensions(row["shape"])]
        for signature in found["signatures"] or ()
        for kind, tensors in (("input", signature["inputs"]), ("output", signature["outputs"]))
        for row in tensors
    ]
    if rows:
        table(("signature", "", "name", "dtype", "shape"), rows)
    elif found["signatures"] is not None:
        say("no signatures")
    if found["inputs"] is None:
        say("no schema of byte inputs" if "error" not in found else "no readable schema")
    else:
        specs.print_inputs(found["inputs"])


def any_dimensions(shape: list[int | None] | None) -> str:
    """A shape whose rank may be unknown."""
    return "any" if shape is None else dimensions(shape)
