"""export: a model as a SavedModel with byte inputs, proven to load and run before it appears."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..dtypes import numpy_dtype
from ..errors import EncodeError, ExportError, SpecError
from ..extras import tensorflow as tf
from ..graph.session import ServingSession, quiet, reason
from ..schema import ASSET, SIGNATURE, Schema, bytes_key
from ..spec import REQUEST_BUDGET, ArraySpec
from .check import check
from .model import caller, holder, output_tensors

#: The key of the status output under ``on_invalid="mask"``.
STATUS = "status"


def export(
    model: Any,
    directory: str | os.PathLike[str],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, ArraySpec] | None = None,
    *,
    signature: str = "serving_default",
    arrays_signature: str | None = "arrays",
    on_invalid: Literal["error", "mask"] = "error",
    max_rows: int | None = None,
    sample: Mapping[str, Any] | None = None,
    version: int | None = None,
) -> Path:
    """Write ``model`` as the next version below ``directory``, with byte inputs.

    Parameters
    ----------
    model : a tf.Module, a Keras 3 model or any callable of tensors; it is called with the names in
        ``inputs`` as keyword arguments (a functional Keras model by the names of its inputs)
    directory : the model's base path, as TensorFlow Serving's ``--model_base_path``
    inputs : input name -> an ArraySpec, which becomes the byte input ``<name>_bytes`` ``[B]``, or
        a tf.TensorSpec with its batch dimension, which is passed through as it is
    outputs : output name -> an ArraySpec whose chain encodes that output to ``<name>_bytes`` in
        the signature with the byte inputs; a single output takes the one name that is given here
    signature : the signature with the byte inputs
    arrays_signature : the signature with the arrays themselves, ``[B, *shape]``; None for none
    on_invalid : "error" fails a request that has a bad row; "mask" serves zeros in its place and
        adds the output ``status`` int32 ``[B]``: 0, or the tfdecode.Status of the bad row
    max_rows : the largest batch; by default as many rows as decode to 1 GiB over all inputs
    sample : input name -> one example (an array, or bytes for a string input) to try the export
        with; zeros where it is not given
    version : the number of the version directory; by default one above the newest

    Returns the path of the version directory.

    Everything is written under a temporary name that no server looks at, looked through by
    `check`, loaded by the session loader in a fresh graph and run on the sample, and only then
    renamed. A failed export leaves nothing behind. Raises ExportError saying why.

    >>> import tempfile, tensorflow as tf, tfdecode as tfd
    >>> spec = tfd.ArraySpec((2, 3), "float32", codecs="zlib")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     path = tfd.export(lambda pose: pose * 2, models, inputs={"pose": spec})
    ...     path.name, sorted(tfd.Schema.load(path))
    ('1', ['pose'])
    """
    if on_invalid not in ("error", "mask"):
        raise ExportError(f"on_invalid is {on_invalid!r}, needs 'error' or 'mask'")
    plan = Plan(model, inputs, outputs or {}, on_invalid == "mask", max_rows)
    functions = {signature: plan.bytes_function(), SIGNATURE: plan.schema_function()}
    if arrays_signature is not None:
        functions[arrays_signature] = plan.arrays_function()
    if len(functions) < 2 + (arrays_signature is not None):
        raise ExportError(f"signatures share a name among {signature}, {arrays_signature}")

    base = Path(directory)
    base.mkdir(parents=True, exist_ok=True)
    # Servers look at directories with a number for a name only.
    temporary = Path(tempfile.mkdtemp(prefix=".tfdecode-", dir=base))
    try:
        built = temporary / "model"
        with quiet():
            save(plan, functions, built)
        (built / ASSET).parent.mkdir(parents=True)
        plan.schema.save(built / ASSET)
        verify(plan, built, signature, arrays_signature, sample or {})
        return publish(built, base, version)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class Plan:
    """What is to be exported: the model, its inputs and outputs, and the functions they make."""

    def __init__(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, ArraySpec],
        mask: bool,
        max_rows: int | None,
    ) -> None:
        self.model = model
        self.mask = mask
        self.specs = {name: spec for name, spec in inputs.items() if isinstance(spec, ArraySpec)}
        self.others = {name: spec for name, spec in inputs.items() if name not in self.specs}
        for name, spec in self.others.items():
            if not isinstance(spec, tf.TensorSpec):
                kind = type(spec).__name__
                raise ExportError(f"input {name} is {kind}, needs an ArraySpec or a tf.TensorSpec")
        for name, spec in outputs.items():
            if not isinstance(spec, ArraySpec):
                raise ExportError(f"output {name} is {type(spec).__name__}, needs an ArraySpec")
        self.outputs = outputs
        try:
            self.schema = Schema(self.specs)
        except SpecError as error:
            raise ExportError(str(error)) from None
        self.keys = self.schema.feature_keys()
        clash = set(self.keys.values()) & set(self.others)
        if clash:
            raise ExportError(f"two inputs would have the signature key {', '.join(sorted(clash))}")
        if not self.specs:
            raise ExportError("inputs has no ArraySpec: there is nothing to decode")
        row = sum(spec.row_nbytes for spec in self.specs.values())
        self.max_rows = max_rows or max(1, REQUEST_BUDGET // max(1, row))
        self.call = caller(model, inputs)

    def bytes_function(self) -> Any:
        """Payloads in, the model's outputs out."""
        signature = {
            **{key: tf.TensorSpec([None], tf.string, name=key) for key in self.keys.values()},
            **self.passed(),
        }
        return concrete(self.serve_bytes, signature)

    def arrays_function(self) -> Any:
        """Arrays in, the model's outputs out."""
        signature = {
            **{
                name: tf.TensorSpec([None, *spec.shape], spec.dtype, name=name)
                for name, spec in self.specs.items()
            },
            **self.passed(),
        }
        return concrete(lambda **arrays: self.results(arrays), signature)

    def schema_function(self) -> Any:
        """The schema as JSON, once for each row of a dummy: server batching needs a [B] input."""
        text = self.schema.to_json()

        def schema(batch: Any) -> dict[str, Any]:
            return {"schema": tf.fill(tf.shape(batch), tf.constant(text))}

        return concrete(schema, {"batch": tf.TensorSpec([None], tf.string, name="batch")})

    def passed(self) -> dict[str, Any]:
        """The inputs that are no arrays of ours, under their own names."""
        return {
            name: tf.TensorSpec(spec.shape, spec.dtype, name=name)
            for name, spec in self.others.items()
        }

    def serve_bytes(self, **payloads: Any) -> dict[str, Any]:
        """The body of the bytes signature."""
        arrays = {name: payloads[name] for name in self.others}
        statuses = []
        for name, spec in self.specs.items():
            key = self.keys[name]
            if self.mask:
                arrays[name], status = spec.decode_checked(
                    payloads[key], name=key, max_rows=self.max_rows
                )
                statuses.append(status)
            else:
                arrays[name] = spec.decode_tensor(payloads[key], name=key, max_rows=self.max_rows)
        results = self.results(arrays)
        for name, spec in self.outputs.items():
            results[bytes_key(name)] = spec.encode_tensor(results.pop(name))
        if self.mask:
            if STATUS in results:
                raise ExportError(f"the model has an output {STATUS}, which on_invalid='mask' adds")
            results[STATUS] = tf.reduce_max(tf.stack(statuses), axis=0)
        return results

    def results(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The model on arrays, its outputs by name."""
        results = output_tensors(self.call(arrays), self.model)
        if len(results) == 1 and len(self.outputs) == 1:
            results = dict(zip(self.outputs, results.values(), strict=True))
        for name in self.outputs:
            if name not in results:
                known = ", ".join(results)
                raise ExportError(f"the model has no output {name!r}; it has: {known}")
        return results


def concrete(function: Any, signature: Mapping[str, Any]) -> Any:
    """One traced function; errors of ours stay as they are, others say that tracing failed."""
    try:
        traced = tf.function(function, autograph=False)
        return traced.get_concrete_function(**signature)
    except (ExportError, SpecError):
        raise
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ExportError(f"the model could not be traced: {reason[0]}") from error


def save(plan: Plan, functions: Mapping[str, Any], path: Path) -> None:
    """tf.saved_model.save, its failure as an ExportError."""
    module = holder(plan.model, functions.values())
    try:
        tf.saved_model.save(module, str(path), signatures=dict(functions))
    except (AssertionError, ValueError, TypeError) as error:
        raise ExportError(
            f"the model could not be saved: {' '.join(str(error).split())[:300]} (resources that "
            "a plain function captures are found only when the model is a tf.Module or Keras)"
        ) from error


def verify(
    plan: Plan,
    path: Path,
    signature: str,
    arrays_signature: str | None,
    sample: Mapping[str, Any],
) -> None:
    """Load the export as a server would and run every signature on one example."""
    report = check(path)
    if not report.ok:
        raise ExportError(
            "the export has ops that no stock server runs: " + "; ".join(report.problems)
        )
    unknown = set(sample) - set(plan.specs) - set(plan.others)
    if unknown:
        raise ExportError(f"sample names no input: {', '.join(sorted(unknown))}")
    arrays = {name: sample_of(name, spec, sample) for name, spec in plan.specs.items()}
    others = {name: passed_sample(name, spec, sample) for name, spec in plan.others.items()}
    payloads = {plan.keys[name]: [payload(plan.specs[name], x)] for name, x in arrays.items()}
    # Zeros and empty strings may be nothing that the model takes, as an image it is to decode.
    certain = all(name in sample for name in (*plan.specs, *plan.others))
    feeds = {SIGNATURE: {"batch": [b""]}, signature: {**payloads, **others}}
    if arrays_signature is not None:
        feeds[arrays_signature] = {**{name: x[None] for name, x in arrays.items()}, **others}
    try:
        with ServingSession(path) as session:
            for name, feed in feeds.items():
                try:
                    session.run(name, feed)
                except tf.errors.InvalidArgumentError as error:
                    if certain or not others:
                        raise
                    warnings.warn(
                        f"the export loads, but its signature {name} could not be run on zeros and "
                        f"empty strings ({reason(error)}); pass sample= to prove that it runs",
                        stacklevel=4,
                    )
    except tf.errors.OpError as error:
        raise ExportError(f"a stock server could not run the export: {reason(error)}") from error


def sample_of(name: str, spec: ArraySpec, sample: Mapping[str, Any]) -> np.ndarray:
    """The given example of an input, or zeros."""
    if name in sample:
        return np.asarray(sample[name])
    form = spec.chain.form
    sides = zip(form.shape, form.max_shape, strict=True)
    shape = [min(most, 64) if side is None else side for side, most in sides]
    return np.zeros(shape, numpy_dtype(spec.dtype))


def payload(spec: ArraySpec, array: np.ndarray) -> bytes:
    """The payload of ``array``; of some other good array where zeros are outside the domain."""
    try:
        return spec.encode(array)
    except EncodeError:
        if array.any():
            raise
        return spec.chain.payload.filler()


def passed_sample(name: str, spec: Any, sample: Mapping[str, Any]) -> Any:
    """A batch of one for an input that is passed through; unknown dimensions are 1."""
    if name in sample:
        return [sample[name]] if isinstance(sample[name], bytes) else np.asarray(sample[name])[None]
    shape = [side or 1 for side in (spec.shape.as_list() if spec.shape.rank is not None else [1])]
    if spec.dtype == tf.string:
        return np.full(shape, b"", object)
    return np.zeros(shape, spec.dtype.as_numpy_dtype)


def publish(built: Path, base: Path, version: int | None) -> Path:
    """Rename to a version directory; atomic, as it is on the same file system."""
    numbers = [int(p.name) for p in base.iterdir() if p.name.isdecimal()]
    number = version if version is not None else max(numbers, default=0) + 1
    target = base / str(number)
    if target.exists():
        raise ExportError(f"{target} exists: versions are never overwritten")
    os.rename(built, target)
    return target
