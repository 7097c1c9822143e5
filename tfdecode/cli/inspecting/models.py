"""SavedModels: the specs of their byte inputs, and their signatures where TensorFlow is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import MissingExtraError, TfdecodeError
from ...extras import tensorflow as tf
from ...saved_models.protobuf import read_protobuf
from ...schema import ASSET, Schema, version_directory
from ..batch import Facts
from ..failure import one_line
from ..quiet_import import import_quietly
from ..show import dimensions, fields, say, table
from . import specs


def facts(path: Path) -> Facts:
    """What lies in a SavedModel's directory, or in the newest version below a base path.

    Nothing of the model is loaded. Without TensorFlow, ``signatures`` is None.
    """
    directory = version_directory(path)
    found: Facts = {"file": str(path), "kind": "model", "directory": str(directory)}
    found |= {"inputs": None, "tags": None, "tensorflow": None, "signatures": None, "note": None}
    if (directory / ASSET).exists():
        try:
            found["inputs"] = specs.inputs(Schema.load(directory))
        except TfdecodeError as error:
            found["error"] = one_line(str(error))
    try:
        import_quietly()
        found |= graph(read_protobuf(directory))
    except MissingExtraError as error:
        found["note"] = f"signatures are not read: {error}"
    except TfdecodeError as error:
        found.setdefault("error", one_line(str(error)))
    return found


def graph(model: Any) -> Facts:
    """What the protobuf says of the graph that servers load, or of the first one."""
    metas = list(model.meta_graphs)
    served = [meta for meta in metas if "serve" in meta.meta_info_def.tags] or metas
    if not served:
        return {"tags": [], "tensorflow": "", "signatures": []}
    meta = served[0]
    signatures = [
        {"name": name, "inputs": tensors(signature.inputs), "outputs": tensors(signature.outputs)}
        for name, signature in sorted(meta.signature_def.items())
        if not name.startswith("__saved_model")  # what the loader itself runs
    ]
    return {
        "tags": sorted(meta.meta_info_def.tags),
        "tensorflow": meta.meta_info_def.tensorflow_version,
        "signatures": signatures,
    }


def tensors(infos: Any) -> list[Facts]:
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
    """Sides, None where any size goes; None for any rank."""
    if proto.unknown_rank:
        return None
    return [None if dim.size < 0 else dim.size for dim in proto.dim]


def show(found: Facts) -> None:
    """Signatures, then the specs of the byte inputs."""
    by = f", written by TensorFlow {found['tensorflow']}" if found["tensorflow"] else ""
    tagged = f" tagged {', '.join(found['tags'])}" if found["tags"] else ""
    where = "" if found["directory"] == found["file"] else f", {found['directory']}"
    fields([(found["file"], f"a SavedModel{where}{tagged}{by}")])
    if found["note"]:
        fields([("note:", found["note"])])
    rows = [
        [signature["name"], way.removesuffix("s"), row["name"], row["dtype"], sides(row["shape"])]
        for signature in found["signatures"] or ()
        for way in ("inputs", "outputs")
        for row in signature[way]
    ]
    if rows:
        table(("signature", "", "name", "dtype", "shape"), rows)
    elif found["signatures"] is not None:
        say("no signatures")
    if found["inputs"] is None:
        say("no schema of byte inputs" if "error" not in found else "no schema that can be read")
    else:
        specs.show_inputs(found["inputs"])


def sides(shape: list[int | None] | None) -> str:
    """A shape in which anything may be unknown."""
    return "any" if shape is None else dimensions(shape)
