"""export: write a model as a SavedModel with byte inputs, tried before it is published."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

from ..errors import ExportError
from ..extras import tensorflow as tf
from ..layouts import Layout
from ..schema import ASSET
from ..spec import ArraySpec
from .backport import rewrite, target
from .declared import declared
from .endpoints import endpoints, functions, schema_of
from .media_types import is_media_type, resolved
from .plan import Plan, check_options
from .publish import publish
from .resources import holder
from .session import quiet
from .verify import verify
from .warmup import ASSET as WARMUP
from .warmup import write_warmup

Input: TypeAlias = "ArraySpec | tf.TensorSpec | str"
Value: TypeAlias = "npt.ArrayLike | bytes"
Example: TypeAlias = Mapping[str, Value]


def export(
    model: Any,
    directory: str | os.PathLike[str],
    inputs: Mapping[str, Input | Mapping[str, Input]],
    outputs: Mapping[str, ArraySpec | Mapping[str, ArraySpec]] | None = None,
    *,
    signature: str = "serving_default",
    arrays_signature: str | None = "arrays",
    on_invalid: Literal["error", "mask"] = "error",
    cast: Mapping[str, npt.DTypeLike | Mapping[str, npt.DTypeLike]] | None = None,
    ragged: Mapping[str, Layout | Mapping[str, Layout]] | None = None,
    max_rows: int | None = None,
    max_batch_size: int | None = None,
    sample: Mapping[str, Value | Mapping[str, Value]] | None = None,
    warmup: bool | Sequence[Example] | Mapping[str, Sequence[Example]] = True,
    independent_rows: bool = True,
    version: int | None = None,
    min_tensorflow: str | None = None,
) -> Path:
    """Write a model as a SavedModel with byte inputs.

    The model is written under a name that servers ignore, checked with `check`, loaded and run as a
    server does, and only then renamed. If the export fails, nothing is left.

    Parameters
    ----------
    model : tf.Module, Keras 3 model or callable, or mapping of str to these
        Called with a tensor for each name in ``inputs`` as keyword arguments. A Keras model is
        called in its own structure: an input is named by its key, its path (``pair_left``) or its
        tensor. If there is only one input, any name does that is not nearly the model's own.
        A mapping has a model for each signature: then ``inputs``, ``outputs``, ``cast``,
        ``ragged``, ``sample`` and ``warmup`` are mappings of signature names, too.
        Variables that they share are saved once.
    directory : str or os.PathLike
        The directory of the model's versions: ``--model_base_path`` of TensorFlow Serving.
    inputs : mapping of str to ArraySpec, tf.TensorSpec or str
        An ArraySpec becomes the byte input ``<name>_bytes`` ``[B]``. A tf.TensorSpec, with its
        batch dimension, becomes an input of its own name. A name can be any text; its signature
        key has ``_`` in place of all but ASCII letters and digits, and begins with a letter, an
        added ``x`` if need be. The text ``"image/png"``, ``"image/jpeg"`` or ``"image/*"`` (either)
        stands for the ArraySpec of such files, ``png_image`` or ``jpeg``, with the shape that the
        model declares. Sizes that it leaves open are bounded in the text:
        ``"image/png;max_shape=1024,1024,3"``. A model of floats needs ``cast``.
    outputs : mapping of str to ArraySpec, optional
        Outputs to encode as ``<name>_bytes``. A single output without a name takes this name.
    signature : str, default "serving_default"
        The signature with byte inputs.
    arrays_signature : str or None, default "arrays"
        The signature that takes arrays ``[B, *shape]``; None leaves it out. Of several models, that
        of ``serving_default`` has this name, that of ``decode`` is ``decode_arrays``.
    on_invalid : {"error", "mask"}
        "error" fails a batch that has a bad row. A server with batching merges requests into one
        batch, so a bad row then fails the requests of other clients too: use "mask" there. "mask"
        uses zeros for a bad row and adds the output ``status``, int32 ``[B]``: 0, or the `Status`
        of the bad row.
    cast : mapping of str to dtype, optional
        Inputs to cast in the graph, before the model, to a dtype that does not hold all their
        values: floats are rounded, and cut to integers, as by ``tf.cast``. Without it, a spec must
        have the dtype that the model declares, or one whose values that dtype holds, as uint8 for
        a float32 input.
    ragged : mapping of str to {"ragged", "padded"}, optional
        What the model gets for an input with ``None`` dimensions, whose rows may differ in length.
        "ragged": a ``tf.RaggedTensor``. "padded": the array, padded with zeros to ``max_shape`` so
        that no row depends on another, and the argument ``<name>_lengths``, int32 ``[B]`` (``[B,
        k]`` for k ``None`` dimensions). A bad row has length 0. An input that is not named here
        needs ``max_batch_size=1``.
    max_rows : int, optional
        Rows that are decoded at a time, a larger batch in several steps; by default as many as
        decode within 1 GiB over all inputs.
    max_batch_size : int, optional
        The largest batch, of however many requests; more rows fail. At least that of the server.
        By default as many rows as arrays of 4 GiB have, but at most 4,096, and at least
        ``max_rows``.
    sample : mapping of str to array_like or bytes, optional
        One example of each input, to run the export on; by default zeros, or if a chain does not
        carry them, an array that it does.
    warmup : bool or sequence of mappings, default True
        TensorFlow Serving runs a request with the sample, or with each of these examples, before
        it serves the model, so that the first client does not wait. False writes none.
    independent_rows : bool, default True
        Try that each row is answered as it would be alone, and refuse requests whose inputs differ
        in their number of rows. Pass False if the model takes one row at a time, answers a row by
        the others, or takes inputs whose rows do not correspond; serve it without batching.
    version : int, optional
        The number of the version directory, below 2^63; by default the newest plus one.
    min_tensorflow : str, optional
        The oldest TensorFlow whose server must run the model, "2.3" or later. What newer ones add
        and this one lacks is taken out where no answer depends on it, and the rest is refused. By
        default nothing is taken out: for servers of the TensorFlow that runs now, or of newer ones.

    Returns
    -------
    pathlib.Path
        The version directory.

    Raises
    ------
    ExportError
        If a spec does not have the dtype or shape that the model declares, or the model cannot be
        traced, saved, loaded or run, or needs a newer TensorFlow than ``min_tensorflow``.
    SpecError
        If the chain of an output cannot encode in a graph, or ``min_tensorflow`` is not known.

    Examples
    --------
    >>> import tempfile, tensorflow as tf, tfdecode as tfd
    >>> spec = tfd.ArraySpec((2, 3), "float32", codecs="zlib")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     path = tfd.export(lambda pose: pose * 2, models, inputs={"pose": spec})
    ...     path.name, sorted(tfd.Schema.load(path))
    ('1', ['pose'])
    """
    oldest = target(min_tensorflow)
    options = {"inputs": inputs, "outputs": outputs, "cast": cast, "sample": sample}
    options |= {"ragged": ragged}
    options = {what: {} if given is None else given for what, given in options.items()}
    found = endpoints(model, signature, arrays_signature, warmup, options)
    plans = {}
    for one in found:
        mappings = dict(one.options)
        mappings |= {f"example {number} of warmup": x for number, x in enumerate(one.examples)}
        check_options(on_invalid, max_rows, max_batch_size, version, mappings)
        limits = (on_invalid == "mask", max_rows, max_batch_size, independent_rows)
        taken, encoded, *rest = (
            one.options[what] for what in ("inputs", "outputs", "cast", "ragged")
        )
        if any(map(is_media_type, taken.values())):
            taken = resolved(taken, declared(one.model, list(taken)), rest[0])
        plans[one.name] = plan = Plan(one.model, taken, encoded, *limits, *rest)
        plan.warn_of_keys()
    schema = schema_of(plans)
    traced = functions(plans, found, schema)

    def build(path: Path) -> None:
        with quiet():
            save(traced, path, [one.model for one in found])
        rewrite(path, oldest)
        (path / ASSET).parent.mkdir(parents=True)
        schema.save(path / ASSET)
        ran = verify(plans, path, found, independent_rows, oldest)
        if warmup and ran:
            write_warmup(path / WARMUP, ran)

    return publish(build, Path(directory), version)


def save(functions: Mapping[str, Any], path: Path, models: Iterable[Any]) -> None:
    """Call tf.saved_model.save; ExportError if it fails."""
    module = holder(functions.values(), models)
    try:
        tf.saved_model.save(module, str(path), signatures=dict(functions))
    except Exception as error:  # whatever the model's own objects raise
        text = " ".join(str(error).split())
        if "'untracked' resource" in text:  # a queue or another one that is not known here
            raise ExportError(
                "the model could not be saved: it uses a resource, such as a table, that it does "
                "not hold; pass a tf.Module that has it as an attribute"
            ) from error
        raise ExportError(f"the model could not be saved: {text[:500]}") from error
