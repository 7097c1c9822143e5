"""export: a model as a SavedModel with byte inputs, proven to load and run before it appears."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ..errors import ExportError
from ..extras import tensorflow as tf
from ..schema import ASSET, SIGNATURE
from ..spec import ArraySpec
from .model import holder
from .plan import Plan
from .session import quiet
from .verify import verify


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
