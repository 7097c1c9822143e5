"""convert: a SavedModel of a checkpoint, a frozen graph, a Keras file or a live session."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import ExportError, said
from ..extras import tensorflow as tf
from ..spec import ArraySpec
from .backport import checked, rewrite, target
from .examples import check_known, passed_row, sampled
from .export import export
from .keras_file import SUFFIXES, keras_model
from .media_types import resolved
from .plan import batched, check_options
from .publish import publish, workspace
from .session import ServingSession, quiet, reason
from .sources import Source, check_assets, read_source
from .splice import PLACEHOLDERS
from .training_graph import TrainingGraph, constant_of, dtype_named, dtype_of
from .wrap import wrap

#: The tensor of an input, what it takes, or both.
Input = str | ArraySpec | tuple[str, "ArraySpec | tf.TensorSpec | str"]


def convert(
    source: str | os.PathLike[str] | tf.compat.v1.Session,
    directory: str | os.PathLike[str],
    inputs: Mapping[str, Input],
    outputs: Mapping[str, str | ArraySpec | tuple[str, ArraySpec]] | None = None,
    *,
    constants: Mapping[str, npt.ArrayLike] | None = None,
    assets: str | os.PathLike[str] | None = None,
    signature: str = "serving_default",
    arrays_signature: str = "arrays",
    on_invalid: Literal["error", "mask"] = "error",
    cast: Mapping[str, npt.DTypeLike] | None = None,
    ragged: Mapping[str, Any] | None = None,
    max_rows: int | None = None,
    max_batch_size: int | None = None,
    sample: Mapping[str, npt.ArrayLike | bytes] | None = None,
    version: int | None = None,
    min_tensorflow: str | None = None,
    safe_mode: bool = True,
) -> Path:
    """Make a SavedModel of a model that is not one, with byte inputs in the same step.

    Of a TensorFlow 1 graph only what the outputs need is taken: no optimizer, no input pipeline, no
    devices. The result is run as a server runs it before it gets its name.

    Parameters
    ----------
    source : str, os.PathLike or tf.compat.v1.Session
        A checkpoint with its ``.meta``, as ``model.ckpt-7``; a frozen graph, ``.pb`` or ``.pbtxt``;
        a Keras file, ``.keras`` or ``.h5``; or a live session, which stays as it is.
    directory : str or os.PathLike
        The directory of the versions of the result: ``--model_base_path`` of TensorFlow Serving.
    inputs : mapping
        Of a graph: input name to the tensor to feed, ``"pose:0"`` if that is a placeholder that
        knows its shape, else ``("pose:0", tf.TensorSpec)``. With ``("pose:0", ArraySpec)`` it
        becomes a byte input, and so with a media type as `tfdecode.export` takes it, ``("image:0",
        "image/png")``. Of a Keras file: what `tfdecode.export` takes.
    outputs : mapping, optional
        Of a graph: output name to tensor name, or ``(tensor name, ArraySpec)`` to encode it. Of a
        Keras file: the ArraySpec of each output to encode.
    constants : mapping of str to array_like, optional
        Values of tensors that the outputs need and no client sends: ``{"keep_prob:0": 1.0}``.
    assets : str or os.PathLike, optional
        The directory with the vocabulary files that the graph names, which are copied; by default
        that of the source. Files elsewhere are refused: a graph of somebody else could name any.
    signature : str, default "serving_default"
        The signature with these inputs.
    arrays_signature : str, default "arrays"
        The signature that takes arrays, if ``signature`` takes bytes.
    on_invalid : {"error", "mask"}
        What a bad row does; see `tfdecode.export`.
    cast : mapping of str to dtype, optional
        Inputs to cast in the graph; see `tfdecode.wrap`.
    ragged : mapping of str to {"ragged", "padded"}, optional
        What inputs with ``None`` dimensions become: as in `tfdecode.export` of a Keras file, as in
        `tfdecode.wrap` of a graph.
    max_rows, max_batch_size : int, optional
        See `tfdecode.export`.
    sample : mapping of str to array_like or bytes, optional
        One example of each input to try, by default zeros.
    version : int, optional
        The number of the version directory; by default the newest plus one.
    min_tensorflow : str, optional
        See `tfdecode.export`.
    safe_mode : bool, default True
        Refuse Keras files with code in them (``Lambda`` layers); False runs it.

    Returns
    -------
    pathlib.Path
        The version directory.

    Raises
    ------
    FileError
        If the source cannot be read.
    ExportError
        If a tensor is not in the graph, a value is missing, or the result cannot be run.

    Examples
    --------
    >>> import tempfile, tensorflow as tf, tfdecode as tfd
    >>> with tf.Graph().as_default(), tempfile.TemporaryDirectory() as models:
    ...     pose = tf.compat.v1.placeholder(tf.float32, [None, 2, 3], name="pose")
    ...     weight = tf.compat.v1.get_variable("weight", initializer=2.0)
    ...     twice = tf.multiply(pose, weight, name="twice")
    ...     with tf.compat.v1.Session() as session:
    ...         session.run(tf.compat.v1.global_variables_initializer())
    ...         spec = tfd.ArraySpec((2, 3), "float32", codecs="zlib")
    ...         inputs = {"pose": ("pose:0", spec)}
    ...         path = tfd.convert(session, models, inputs, {"twice": "twice:0"})
    ...     sorted(tfd.Schema.load(path))
    ['pose']
    """
    sample = {} if sample is None else sample
    options: dict[str, Any] = {
        "signature": signature,
        "on_invalid": on_invalid,
        "cast": cast or {},
        "ragged": ragged or {},
        "max_rows": max_rows,
        "max_batch_size": max_batch_size,
        "sample": sample,
        "version": version,
        "min_tensorflow": min_tensorflow,
    }
    oldest = target(min_tensorflow)
    given: Mapping[str, Any] = {} if outputs is None else outputs
    mappings = {"inputs": inputs, "outputs": given, "constants": constants or {}, "sample": sample}
    check_options(on_invalid, max_rows, max_batch_size, version, mappings)
    if not hasattr(source, "graph") and str(source).endswith(SUFFIXES):
        if constants:
            raise ExportError(f"{source} is a Keras model, which has no tensors to give constants")
        model = keras_model(Path(source), safe_mode)
        return export(model, directory, inputs, given, arrays_signature=arrays_signature, **options)
    if not given:
        raise ExportError(
            f"{said('outputs is empty', 'there is no --output')}: name tensors of the graph; "
            "convert --suggest finds some"
        )
    origin = read_source(source)
    if assets is not None:
        origin.root = Path(assets)
    packed: dict[str, Any] = {
        n: i[1]
        for n, i in inputs.items()
        if isinstance(i, tuple) and isinstance(i[1], ArraySpec | str)
    }
    encoded = {n: o[1] for n, o in given.items() if isinstance(o, tuple)}
    casts = cast or {}
    fed = {n: placeholder_of(origin.graph, n, one, casts.get(n)) for n, one in inputs.items()}
    packed = resolved(packed, {name: spec for name, (_, spec) in fed.items()}, casts)
    tried = dict(sample)
    for n, spec in packed.items():
        if n in sample and isinstance(spec, ArraySpec):
            tried[n] = sampled(n, spec, sample)[0]
    fetched = {name: one if isinstance(one, str) else one[0] for name, one in given.items()}
    name = arrays_signature if packed or encoded else signature

    def build(path: Path) -> None:
        write(origin, fed, fetched, constants or {}, name, path)
        rewrite(path, oldest)
        try_out(path, name, fed, tried, oldest)

    if not packed and not encoded:
        return publish(build, Path(directory), version)
    if not packed:
        raise ExportError("outputs are encoded for byte inputs: give an input a spec")
    if name == signature:
        raise ExportError(f"{signature!r} is the signature of arrays: name another for bytes")
    with workspace(Path(directory)) as folder:
        plain = folder / "plain"
        build(plain)
        return wrap(plain, directory, packed, encoded, source=name, **options)


def placeholder_of(
    graph: TrainingGraph, name: str, given: Any, cast: Any = None
) -> tuple[str, Any]:
    """The tensor that an input feeds, after a ``cast``, and its tf.TensorSpec."""
    at, spec = given if isinstance(given, tuple) else (given, None)
    if not isinstance(at, str):
        kind = type(at).__name__
        raise ExportError(f"input {name} is {kind}, needs the name of a tensor, or (name, spec)")
    own = spec_in_graph(graph, f"input {name}", at)
    if isinstance(spec, ArraySpec):
        spec = tf.TensorSpec([None, *spec.shape], spec.dtype if cast is None else cast)
    if spec is None or isinstance(spec, str):  # a media type, for the shape that the graph has
        if own is None or own.shape.rank is None:
            raise ExportError(f"{at} does not say its shape: pass ({at!r}, tf.TensorSpec(...))")
        spec = own
    if own is not None and own.dtype != spec.dtype:
        dtypes = f"has dtype {spec.dtype.name}, but {at} has {own.dtype.name}"
        raise ExportError(f"input {name} {dtypes}")
    if own is not None and not spec.shape.is_compatible_with(own.shape):
        raise ExportError(f"input {name} has shape {spec.shape}, but {at} has {own.shape}")
    return at, spec


def spec_in_graph(graph: TrainingGraph, what: str, at: str) -> Any:
    """The tf.TensorSpec of a tensor, as far as the graph says it; None if it has no dtype."""
    place = graph.find(at, what)
    node = graph.nodes[place.node]
    dtype = dtype_of(node, place.output)
    if dtype is None:
        return None
    shape = None  # the default of the attribute
    if node.op in PLACEHOLDERS and "shape" in node.attr:
        shape = node.attr["shape"].shape
        # Before version 24 of graphs a scalar meant that the shape is unknown.
        old = graph.meta.graph_def.versions.producer < 24
        shape = None if old and not shape.dim else shape
    return tf.TensorSpec(tf.TensorShape(shape), dtype_named(at, dtype))


def write(
    source: Source,
    inputs: Mapping[str, tuple[str, Any]],
    outputs: Mapping[str, str],
    constants: Mapping[str, npt.ArrayLike],
    signature: str,
    path: Path,
) -> None:
    """Write the part of the graph that serves as a SavedModel."""
    v1, graph = tf.compat.v1, source.graph
    fed = {graph.find(at, f"input {name}"): name for name, (at, _) in inputs.items()}
    known = {graph.find(at, "a constant"): value for at, value in constants.items()}
    wanted = {name: graph.find(at, f"output {name}") for name, at in outputs.items()}
    serving = graph.cut([*fed, *known], wanted.values())
    if not inputs:
        raise ExportError(
            f"{said('inputs is empty', 'there is no --input')}: a signature needs one"
        )
    with tf.Graph().as_default() as made, v1.Session(graph=made) as session, quiet():
        given: dict[str, Any] = {}
        sent: dict[str, Any] = {}
        for at, name in fed.items():
            spec = inputs[name][1]
            sent[name] = v1.placeholder(spec.dtype, spec.shape, name=f"input_{len(sent)}")
            given[f"{at.node}:{at.output}"] = sent[name]
        for at, value in known.items():
            given[f"{at.node}:{at.output}"] = constant_of(graph, at, value)
        used = serving.consumed()
        try:
            v1.train.import_meta_graph(
                serving.meta, input_map={at: x for at, x in given.items() if at in used}
            )
            found = {
                name: given.get(f"{at.node}:{at.output}")
                if f"{at.node}:{at.output}" in given
                else made.get_tensor_by_name(f"{at.node}:{at.output}")
                for name, at in wanted.items()
            }
        except (LookupError, TypeError, ValueError, tf.errors.OpError) as error:
            text = " ".join(str(error).split())[:300]
            raise ExportError(f"the graph cannot be taken apart: {text}") from None
        names = serving.assets()
        assets = [given[n] if n in given else made.get_tensor_by_name(n) for n in names]
        check_assets(map(file_of, names, assets), names, source.root)
        tables = [made.get_operation_by_name(name) for name in serving.tables]
        for name in serving.filled:
            handle = made.get_tensor_by_name(f"{name}:0")
            # A dense table gives its buckets, in another shape than the op is declared for.
            keys, values = (v1.placeholder_with_default(x, None) for x in source.contents(name))
            put: Any = {"table_handle": handle, "keys": keys, "values": values}
            tables.append(tf.raw_ops.LookupTableImportV2(**put))
        variables = v1.get_collection("variables")
        source.fill(serving, variables, session)
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {signature: v1.saved_model.predict_signature_def(sent, found)},
            assets_collection=assets,
            main_op=tf.group(*tables),
            clear_devices=True,
            strip_default_attrs=True,
            saver=v1.train.Saver(variables) if variables else None,
        )
        builder.save()


def file_of(name: str, asset: Any) -> str:
    """The file that an asset's tensor names; ExportError if the graph does not say which."""
    if asset.op.type != "Const":
        raise ExportError(
            "the outputs need a file whose name the graph computes: pass its path, "
            + said(f"constants={{{name!r}: ...}}", f"--constant {name}=...")
        )
    return os.fsdecode(tf.get_static_value(asset).item())


def with_other(row: Any, spec: Any, sampled: bool) -> Any:
    """A batch of two rows, the second of ones; of a sample or of strings it is the same row."""
    other = row if sampled or spec.dtype == tf.string else np.ones_like(row)
    return np.concatenate([row, other]) if batched(spec) and row.ndim else row


def try_out(
    path: Path,
    signature: str,
    inputs: Mapping[str, tuple[str, Any]],
    sample: Mapping[str, Any],
    oldest: str | None,
) -> None:
    """Run the model as a server does, on the sample or on zeros."""
    checked(path, oldest, "result")
    check_known(sample, inputs, "sample")
    feeds = {name: passed_row(name, spec, sample) for name, (_, spec) in inputs.items()}
    # With another row, of ones, in the same batch.
    both = {
        name: with_other(feeds[name], spec, name in sample) for name, (_, spec) in inputs.items()
    }
    try:
        with ServingSession(path) as session:
            session.run(signature, feeds)
            try:
                session.run(signature, both)
            except tf.errors.OpError as error:
                warnings.warn(
                    f"the model answers one row, but not two in one batch ({reason(error)}): serve "
                    "it without batching",
                    stacklevel=5,
                )
    except (tf.errors.OpError, TypeError, ValueError) as error:  # a sample that does not fit
        given = "" if sample else f" on zeros{said(' (sample= takes an example)')}"
        why = (
            reason(error) if isinstance(error, tf.errors.OpError) else " ".join(str(error).split())
        )
        raise ExportError(f"a stock server could not run the result{given}: {why}") from None
