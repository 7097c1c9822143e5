"""export: a model as a SavedModel with byte inputs, proven to load and run before it appears."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ..errors import ExportError, SpecError
from ..extras import tensorflow as tf
from ..graph.rows import same_size
from ..saved_model import quiet
from ..schema import ASSET, SIGNATURE, Schema, bytes_key
from ..spec import REQUEST_BUDGET, ArraySpec
from .model import caller, holder, output_tensors
from .verify import verify

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
        ``inputs`` as keyword arguments, a functional Keras model by the names of its inputs (one
        input alone reaches a model of one input under any name)
    directory : the model's base path, as TensorFlow Serving's ``--model_base_path``
    inputs : input name -> an ArraySpec, which becomes the byte input ``<name>_bytes`` ``[B]``, or
        a tf.TensorSpec with its batch dimension, which is passed through as it is
    outputs : output name -> an ArraySpec whose chain encodes that output to ``<name>_bytes`` in
        the signature with the byte inputs; a single output without a
        name takes the one that is given here
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
    renamed. A failed export leaves nothing behind. Raises ExportError saying why, and
    SpecError for an output whose chain cannot encode in a graph.

    >>> import tempfile, tensorflow as tf, tfdecode as tfd
    >>> spec = tfd.ArraySpec((2, 3), "float32", codecs="zlib")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     path = tfd.export(lambda pose: pose * 2, models, inputs={"pose": spec})
    ...     path.name, sorted(tfd.Schema.load(path))
    ('1', ['pose'])
    """
    if on_invalid not in ("error", "mask"):
        raise ExportError(f"on_invalid is {on_invalid!r}, needs 'error' or 'mask'")
    for what, number in (("version", version), ("max_rows", max_rows)):
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            raise ExportError(f"{what} is {number!r}, needs a whole number")
        if number is not None and number < 1:
            raise ExportError(f"{what} is {number}, needs 1 or more")
    for what, mapping in (("inputs", inputs), ("outputs", outputs or {}), ("sample", sample or {})):
        if not isinstance(mapping, Mapping):
            raise ExportError(f"{what} is {type(mapping).__name__}, needs a dict")
    plan = Plan(model, inputs, outputs or {}, on_invalid == "mask", max_rows)
    functions = {signature: plan.bytes_function(), SIGNATURE: plan.schema_function()}
    if arrays_signature is not None:
        functions[arrays_signature] = plan.arrays_function()
    if len(functions) < 2 + (arrays_signature is not None):
        raise ExportError(f"signatures share a name among {signature}, {arrays_signature}")

    base = Path(directory)
    if (base / "saved_model.pb").exists():
        raise ExportError(f"{base} is a SavedModel itself, needs the directory of its versions")
    existed = base.exists()
    try:
        base.mkdir(parents=True, exist_ok=True)
        # Servers look at directories with a number for a name only.
        temporary = Path(tempfile.mkdtemp(prefix=".tfdecode-", dir=base))
    except OSError as error:
        raise ExportError(f"{base}: cannot be written: {error.strerror}") from None
    try:
        built = temporary / "model"
        with quiet():
            save(plan, functions, built)
        (built / ASSET).parent.mkdir(parents=True)
        plan.schema.save(built / ASSET)
        verify(plan, built, signature, arrays_signature, sample or {})
        return publish(built, base, version)
    except OSError as error:
        raise ExportError(f"{base}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # not empty: a version is in it
                base.rmdir()


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
        if mask:
            self.refuse_unsealed()
        self.warn_of_twins()
        row = sum(spec.row_nbytes for spec in self.specs.values())
        self.max_rows = max_rows or max(1, REQUEST_BUDGET // max(1, row))  # from 1 on if given
        self.call = caller(model, inputs)

    def refuse_unsealed(self) -> None:
        """Masks need a seal in front of what throws for the whole batch."""
        for name, spec in self.specs.items():
            unsealed = [chain.codecs for chain in spec.chains if not chain.sealed]
            if any(codec.throws for codecs in unsealed for codec in codecs):
                raise ExportError(
                    f"input {name} is compressed without a seal, so a bad row cannot be masked: "
                    "seal=True adds one"
                )

    def warn_of_twins(self) -> None:
        """Sealed inputs with one fingerprint take each other's payloads."""
        known: dict[str, str] = {}
        for name, spec in self.specs.items():
            twin = known.setdefault(spec.fingerprint, name)
            if spec.seal and twin != name:
                warnings.warn(
                    f"inputs {twin} and {name} have the same spec, so a seal cannot notice that "
                    "their payloads were swapped; give them labels",
                    stacklevel=4,
                )

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
        packed = same_size({key: payloads[key] for key in self.keys.values()})
        statuses = []
        for name, spec in self.specs.items():
            key = self.keys[name]
            if self.mask:
                arrays[name], status = spec.decode_checked(
                    packed[key], name=key, max_rows=self.max_rows
                )
                statuses.append(status)
            else:
                arrays[name] = spec.decode_tensor(packed[key], name=key, max_rows=self.max_rows)
        results = self.results(arrays)
        for name, spec in self.outputs.items():
            tensor = results.pop(name)
            if bytes_key(name) in results:
                raise ExportError(f"the model has another output {bytes_key(name)}")
            results[bytes_key(name)] = spec.encode_tensor(tensor)
        if self.mask:
            if STATUS in results:
                raise ExportError(f"the model has an output {STATUS}, which on_invalid='mask' adds")
            results[STATUS] = tf.reduce_max(tf.stack(statuses), axis=0)
        return results

    def results(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The model on arrays, its outputs by name."""
        returned = self.call(arrays)
        results = output_tensors(returned, self.model)
        if len(results) == len(self.outputs) == 1 and tf.is_tensor(returned):  # without a name
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
        plain = re.sub(r"\x1b\[\d+m", "", str(error)).strip()  # Keras prints in bold
        plain = plain.split("Arguments received by")[0] or type(error).__name__
        if "in user code:" in plain:  # AutoGraph: frames, then the reason
            plain = plain.strip().splitlines()[-1]
        raise ExportError(
            f"the model could not be traced: {' '.join(plain.split())[:500]}"
        ) from error


def save(plan: Plan, functions: Mapping[str, Any], path: Path) -> None:
    """tf.saved_model.save, its failure as an ExportError."""
    module = holder(plan.model, functions.values())
    try:
        tf.saved_model.save(module, str(path), signatures=dict(functions))
    except Exception as error:  # whatever the model's own objects raise
        raise ExportError(
            f"the model could not be saved: {' '.join(str(error).split())[:300]} (a table is found "
            "where the model is the tf.Module or Keras model that holds it, not a function of it)"
        ) from error


def publish(built: Path, base: Path, version: int | None) -> Path:
    """Rename to a version directory; atomic, as it is on the same file system."""
    while True:
        numbers = [int(p.name) for p in base.iterdir() if p.name.isdecimal()]
        number = version if version is not None else max(numbers, default=0) + 1
        target = base / str(number)
        try:
            if target.exists():  # an empty directory would be replaced
                raise FileExistsError
            os.rename(built, target)
            return target
        except OSError as error:
            if error.errno not in (None, errno.EEXIST, errno.ENOTEMPTY):
                raise
            if version is not None:
                raise ExportError(f"{target} exists: versions are never overwritten") from None
            # Another export took the number: the next one.
