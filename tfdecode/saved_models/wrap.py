"""wrap: byte inputs for a SavedModel of any origin, without its source."""

from __future__ import annotations

import os
import shutil
import stat
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..dtypes import numpy_dtype
from ..errors import ExportError, FileError, said
from ..extras import LazyModule
from ..extras import tensorflow as tf
from ..layouts import lengths_key, lengths_of, stacked
from ..names import bytes_key
from ..schema import ASSET, SIGNATURE, Schema, version_directory
from ..spec import ArraySpec
from . import backport
from .byte_signature import ByteSignature, batch_of, signature_in, tensor_specs
from .examples import check_known, filler, passed_row, sampled, unlike
from .plan import batched, check_options
from .protobuf import read_protobuf
from .publish import publish
from .serving_graph import VARIABLES
from .session import ServingSession, reason
from .verify import TOLERANCE, same
from .warmup import ASSET as WARMUP
from .warmup import add_warmup

meta_graph_pb2: Any = LazyModule("tensorflow.core.protobuf.meta_graph_pb2", "tensorflow")

#: Files that describe the protobuf of the source, which is another one than that of the result.
NOT_COPIED = ("saved_model.pb", "saved_model.pbtxt", "fingerprint.pb")
DEFAULT, OLD_DEFAULT = "serving_default", "arrays"


def wrap(
    saved_model: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    inputs: Mapping[str, ArraySpec | str],
    outputs: Mapping[str, ArraySpec] | None = None,
    *,
    source: str = "serving_default",
    signature: str = "bytes",
    replace_default: bool = False,
    on_invalid: Literal["error", "mask"] = "error",
    cast: Mapping[str, npt.DTypeLike] | None = None,
    ragged: Mapping[str, Literal["padded"]] | None = None,
    max_rows: int | None = None,
    max_batch_size: int | None = None,
    sample: Mapping[str, npt.ArrayLike | bytes] | None = None,
    warmup: bool = True,
    independent_rows: bool = True,
    version: int | None = None,
    min_tensorflow: str | None = None,
) -> Path:
    """Add a signature with byte inputs to a SavedModel that somebody else made.

    Nodes are added to the protobuf, and nothing of the model is loaded to make them: all old
    signatures, weights, assets and warm-up records stay as they are. The result is run as a server
    runs it, and its answers are compared with those of the old signature, before it gets its name.
    It warns of numbers that differ a little.

    Parameters
    ----------
    saved_model : str or os.PathLike
        The directory of a SavedModel, or of its versions (the newest is taken), of any release of
        TensorFlow from 1 on. It is not changed.
    directory : str or os.PathLike
        The directory of the versions of the result: ``--model_base_path`` of TensorFlow Serving.
    inputs : mapping of str to ArraySpec or str
        The inputs of the source signature that become the byte inputs ``<name>_bytes`` ``[B]``, or
        a scalar if the input has no batch dimension. The others stay as they are. The text
        ``"image/png"``, ``"image/jpeg"`` or ``"image/*"`` stands for the spec of such files, with
        the shape that the signature has; see `tfdecode.export`.
    outputs : mapping of str to ArraySpec, optional
        Outputs to encode as ``<name>_bytes``.
    source : str, default "serving_default"
        The signature to take inputs and outputs from.
    signature : str, default "bytes"
        The name of the new signature.
    replace_default : bool, default False
        Make the new signature ``serving_default`` too; the old one is then called ``arrays``.
    on_invalid : {"error", "mask"}
        What a bad row does; see `tfdecode.export`.
    cast : mapping of str to dtype, optional
        Inputs to cast in the graph, from the dtype of the spec to that of the signature:
        ``{"image": "float32"}`` of pixels.
    ragged : mapping of str to "padded", optional
        Inputs with ``None`` dimensions whose rows may differ in length. Their arrays are padded
        with zeros to ``max_shape``, and the source's input ``<name>_lengths``, int32 or int64
        ``[B]``, is decoded too. Without it such an input needs ``max_batch_size=1``.
    max_rows, max_batch_size : int, optional
        See `tfdecode.export`.
    sample : mapping of str to array_like or bytes, optional
        One example of each input to try, an array or its payload; by default zeros.
    warmup : bool, default True
        Add what was tried to the records that TensorFlow Serving runs before it serves the model.
    independent_rows : bool, default True
        Refuse requests whose inputs differ in their number of rows. Pass False if the model takes
        inputs whose rows do not correspond.
    version : int, optional
        The number of the version directory; by default the newest plus one.
    min_tensorflow : str, optional
        See `tfdecode.export`. The nodes of the source are changed too, and all of them must run.

    Returns
    -------
    pathlib.Path
        The version directory.

    Raises
    ------
    FileError
        If the source cannot be read.
    ExportError
        If the source has no such signature, input or output, dtypes or shapes differ, or the result
        cannot be written or run.

    Examples
    --------
    >>> import tempfile, tensorflow as tf, tfdecode as tfd
    >>> class Model(tf.Module):
    ...     @tf.function(input_signature=[tf.TensorSpec([None, 2, 3], name="pose")])
    ...     def __call__(self, pose):
    ...         return {"twice": pose * 2}
    >>> spec = tfd.ArraySpec((2, 3), "float32", codecs="zlib")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tf.saved_model.save(Model(), f"{folder}/theirs")
    ...     path = tfd.wrap(f"{folder}/theirs", f"{folder}/ours", inputs={"pose": spec})
    ...     sorted(tfd.Schema.load(path))
    ['pose']
    """
    sample = {} if sample is None else sample
    ragged, cast = ragged or {}, cast or {}
    mappings: dict[str, Any] = {"inputs": inputs, "outputs": outputs or {}, "sample": sample}
    mappings |= {"ragged": ragged, "cast": cast}
    check_options(on_invalid, max_rows, max_batch_size, version, mappings)
    if not inputs:
        raise ExportError("inputs is empty: name those that become bytes")
    oldest = backport.target(min_tensorflow)
    path = version_directory(Path(saved_model))
    model = read_protobuf(path)
    meta = _serving_graph(path, model)
    _check_variables(path, meta)
    options = (on_invalid == "mask", max_rows, max_batch_size, ragged, independent_rows)
    added = ByteSignature(meta, source, inputs, outputs or {}, cast, *options)
    if signature == SIGNATURE:
        raise ExportError(f"signature {SIGNATURE!r} is that of the schema; pass another one")
    if signature in meta.signature_def:
        other = said("signature=", "--signature")
        raise ExportError(f"{path} has a signature {signature!r} already; pass another {other}")
    names = [signature, *([DEFAULT] if replace_default else [])]
    schema = _with_earlier(path, meta, added, names)
    meta.signature_def[signature].CopyFrom(added.signature())
    if replace_default:
        added.source = _replace_default(path, meta, signature, source)
    meta.signature_def[SIGNATURE].CopyFrom(added.schema_signature(schema))
    _name_ops(meta)
    backport.backport(model, oldest)

    if path.resolve() in Path(directory).resolve().parents:
        raise ExportError(
            f"{directory} is inside the SavedModel {path}, all of which is copied: pass a "
            "directory outside of it"
        )

    def build(target: Path) -> None:
        _copy(path, target)
        (target / "saved_model.pb").write_bytes(model.SerializeToString(deterministic=True))
        (target / ASSET).parent.mkdir(exist_ok=True)
        schema.save(target / ASSET)
        if replace_default and (target / WARMUP).exists():
            # One record that fails keeps a server from loading the model.
            (target / WARMUP).unlink()
            warnings.warn(
                "the warm-up records are left out: they may call the old serving_default",
                stacklevel=4,
            )
        if oldest is not None:
            backport.checked(target, oldest, "result")
        ran = _compare(added, schema, target, signature, sample)
        if warmup:
            add_warmup(target / WARMUP, [(signature, ran)])

    return publish(build, Path(directory), version)


def _copy(path: Path, target: Path) -> None:
    """Copy the files beside the protobuf, to be changed: those of the source may be read-only."""
    try:
        shutil.copytree(path, target, ignore=shutil.ignore_patterns(*NOT_COPIED))
    except shutil.Error as error:  # all that failed, each with its reason
        file, _, why = error.args[0][0]
        raise FileError(f"{file}: cannot be copied: {why}") from None
    finally:  # to be removed if it fails, too
        for one in target.parent.rglob("*"):
            one.chmod(one.stat().st_mode | stat.S_IWUSR)


def _replace_default(path: Path, meta: Any, signature: str, source: str) -> str:
    """Make a signature serving_default; return where the source signature is now."""
    kept = DEFAULT in meta.signature_def
    if kept and OLD_DEFAULT in meta.signature_def:
        raise ExportError(
            f"{path} has a signature {OLD_DEFAULT!r} already, which is the new name of the old "
            f"{DEFAULT!r}; wrap without {said('replace_default', '--replace-default')}"
        )
    if kept:
        meta.signature_def[OLD_DEFAULT].CopyFrom(meta.signature_def[DEFAULT])
    meta.signature_def[DEFAULT].CopyFrom(meta.signature_def[signature])
    return OLD_DEFAULT if source == DEFAULT else source


def signature_of(
    saved_model: str | os.PathLike[str], name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inputs and outputs of a signature, each a tf.TensorSpec; ExportError if there is none."""
    path = version_directory(Path(saved_model))
    signature = signature_in(_serving_graph(path, read_protobuf(path)), name)
    return tensor_specs(signature.inputs), tensor_specs(signature.outputs)


def _compare(
    added: ByteSignature,
    schema: Schema,
    target: Path,
    signature: str,
    sample: Mapping[str, npt.ArrayLike | bytes],
) -> dict[str, Any]:
    """Run the result as a server does: the new signature must answer as the old one does.

    What it ran on is returned.
    """
    check_known(sample, added.given.inputs, "sample")
    # The source may have byte inputs, of an export or of another wrap.
    schema = schema.signature(signature)
    packed = {key: schema[name] for name, key in schema.feature_keys().items()}
    count = max((side for info in added.batched() if (side := batch_of(info)[0])), default=2)
    count = min(count, schema.max_batch_size or count)
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    for name, info in added.given.inputs.items():
        spec = added.schema.get(name)
        if name in added.lengths:
            continue
        if spec is None and name in packed:
            old[name] = new[name] = [packed[name].encode(filler(packed[name]))] * count
        elif spec is None:
            tensor = tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype))
            row = passed_row(name, tensor, sample)
            old[name] = new[name] = np.concatenate([row] * count) if batched(tensor) else row
        else:
            first, payload = sampled(name, spec, sample)
            ragged = name in added.lengths.values()
            other = unlike(spec, first, name in sample, ragged)
            arrays = [first, *[other] * (count - 1)]
            payloads = [payload, *[payload if other is first else spec.encode(other)] * (count - 1)]
            single = name in added.single
            if ragged:
                key = lengths_key(name)
                dtype = tf.as_dtype(added.given.inputs[key].dtype).as_numpy_dtype
                lengths = [lengths_of(spec.shape, array.shape) for array in arrays]
                old[key] = np.stack(lengths).astype(dtype)
                old[name] = stacked(arrays, spec.chain.form.max_shape)
            else:
                old[name] = first if single else np.stack(arrays)
            if name in added.cast:
                old[name] = old[name].astype(numpy_dtype(added.cast[name]))
            new[added.keys[name]] = payloads[0] if single else payloads
    try:
        with ServingSession(target) as session:
            session.run(SIGNATURE, {"batch": [b""]})
            expected, again = (session.run(added.source, old) for _ in range(2))
            results = session.run(signature, new)
    except tf.errors.OpError as error:
        raise ExportError(f"a stock server could not run the result: {reason(error)}") from error
    except (OSError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:300]
        raise ExportError(f"a stock server could not load the result: {text}") from error
    for name, value in expected.items():
        if name in added.outputs:
            spec = added.outputs[name]
            got: Any = np.stack([spec.decode(row) for row in results[bytes_key(name)]])
        else:
            got = results[name]
        # A model that draws random numbers differs from itself.
        if not _bits(value) == _bits(again[name]) != _bits(got):
            continue
        differs = f"output {name} of {signature} differs from that of {added.source}"
        if np.asarray(got).dtype != np.asarray(value).dtype or not same(got, value, TOLERANCE):
            raise ExportError(differs)
        warnings.warn(f"{differs} a little: kernels may round in another way", stacklevel=5)
    return new


def _bits(array: Any) -> Any:
    array = np.asarray(array)
    content = array.ravel().tolist() if array.dtype == object else array.tobytes()
    return array.dtype, array.shape, content


def _serving_graph(path: Path, model: Any) -> Any:
    """The MetaGraphDef that servers load."""
    found = [meta for meta in model.meta_graphs if set(meta.meta_info_def.tags) == {"serve"}]
    if len(found) != 1:
        tags = ", ".join(str(sorted(meta.meta_info_def.tags)) for meta in model.meta_graphs)
        raise ExportError(
            f"{path} has no graph with the one tag 'serve', which servers load; its tags are: "
            f"{tags}: save the model again with ['serve']"
        )
    return found[0]


def _check_variables(path: Path, meta: Any) -> None:
    """FileError if the weights of a model were not copied with its graph."""
    restored = meta.saver_def.restore_op_name and any(
        node.op in VARIABLES for node in meta.graph_def.node
    )
    if restored and not (path / "variables" / "variables.index").exists():
        raise FileError(
            f"{path}: has variables in its graph, but no variables/variables.index: copy the whole "
            "directory of the model"
        )


def _with_earlier(path: Path, meta: Any, added: ByteSignature, names: list[str]) -> Schema:
    """The schema of the new signatures, and of those that an earlier export or wrap made."""
    known: Mapping[str, Schema] = {}
    schema = added.schema
    if SIGNATURE in meta.signature_def:
        earlier = Schema.load(path)
        known = earlier.signatures or _by_signature(earlier, meta)
    if source := known.get(added.source):  # its payloads are those of the new signature too
        sizes = [one.max_batch_size for one in (source, schema)]
        outputs = {**source.outputs, **schema.outputs}
        schema = Schema({**source, **schema}, outputs, min(filter(None, sizes), default=None))
    if DEFAULT in names and DEFAULT in known:
        known = {OLD_DEFAULT if name == DEFAULT else name: one for name, one in known.items()}
    elif DEFAULT in names and not known:  # a request without a name gets it
        names = [DEFAULT]
    return Schema.of_signatures({**known, **dict.fromkeys(names, schema)})


def _by_signature(schema: Schema, meta: Any) -> dict[str, Schema]:
    """The schema of each signature that takes payloads: older schemas do not name theirs."""
    found = {}
    for name, signature in meta.signature_def.items():
        inputs, outputs = (
            {
                each: spec
                for each, spec in specs.items()
                if (info := infos.get(bytes_key(each))) and tf.as_dtype(info.dtype) == tf.string
            }
            for specs, infos in ((schema, signature.inputs), (schema.outputs, signature.outputs))
        )
        if inputs:
            found[name] = Schema(inputs, outputs, schema.max_batch_size)
    return found


def _name_ops(meta: Any) -> None:
    """List the ops that were added, if the model lists its ops: importers look there."""
    from tensorflow.python.framework import op_def_registry

    listed = meta.meta_info_def.stripped_op_list.op
    if not listed:
        return
    library = meta.graph_def.library.function
    used = {
        node.op for nodes in (meta.graph_def.node, *(f.node_def for f in library)) for node in nodes
    }
    for name in sorted(used - {op.name for op in listed}):
        if op := op_def_registry.get(name):
            listed.add().CopyFrom(op)
