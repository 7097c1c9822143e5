"""export: write a model as a SavedModel with byte inputs, tried before it is published."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

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
    inputs: Mapping[str, ArraySpec | tf.TensorSpec],
    outputs: Mapping[str, ArraySpec] | None = None,
    *,
    signature: str = "serving_default",
    arrays_signature: str | None = "arrays",
    on_invalid: Literal["error", "mask"] = "error",
    max_rows: int | None = None,
    sample: Mapping[str, npt.ArrayLike | bytes] | None = None,
    version: int | None = None,
) -> Path:
    """Write a model as a SavedModel with byte inputs.

    The model is written under a name that servers ignore, checked with `check`, loaded and run as a
    server does, and only then renamed. If the export fails, nothing is left.

    Parameters
    ----------
    model : tf.Module, Keras 3 model or callable
        Called with a tensor for each name in ``inputs`` as keyword arguments. A functional Keras
        model is called by the names of its inputs. If there is only one input, any name does.
    directory : str or os.PathLike
        The directory of the model's versions: ``--model_base_path`` of TensorFlow Serving.
    inputs : mapping of str to ArraySpec or tf.TensorSpec
        An ArraySpec becomes the byte input ``<name>_bytes`` ``[B]``. A tf.TensorSpec, with its
        batch dimension, becomes an input of its own name.
    outputs : mapping of str to ArraySpec, optional
        Outputs to encode as ``<name>_bytes``. A single output without a name takes this name.
    signature : str, default "serving_default"
        The signature with byte inputs.
    arrays_signature : str or None, default "arrays"
        The signature that takes arrays ``[B, *shape]``; None leaves it out.
    on_invalid : {"error", "mask"}
        "error" fails a request that has a bad row. "mask" uses zeros for a bad row and adds the
        output ``status``, int32 ``[B]``: 0, or the `Status` of the bad row.
    max_rows : int, optional
        The largest batch; by default as many rows as decode to 1 GiB over all inputs.
    sample : mapping of str to array_like or bytes, optional
        One example of each input, to run the export on; by default zeros.
    version : int, optional
        The number of the version directory; by default the newest plus one.

    Returns
    -------
    pathlib.Path
        The version directory.

    Raises
    ------
    ExportError
        If the model cannot be traced, saved, loaded or run.
    SpecError
        If the chain of an output cannot encode in a graph.

    Examples
    --------
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
        names = "signature and arrays_signature"
        raise ExportError(f"{names} must differ, and neither may be {SIGNATURE!r}")

    base = Path(directory)
    if (base / "saved_model.pb").exists():
        raise ExportError(f"{base} is a SavedModel; pass the directory of its versions")
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
    """Call tf.saved_model.save; ExportError if it fails."""
    module = holder(plan.model, functions.values())
    try:
        tf.saved_model.save(module, str(path), signatures=dict(functions))
    except Exception as error:  # whatever the model's own objects raise
        raise ExportError(
            f"the model could not be saved: {' '.join(str(error).split())[:300]} (if the model "
            "uses lookup tables, pass the tf.Module or Keras model that owns them, not a function)"
        ) from error


def publish(built: Path, base: Path, version: int | None) -> Path:
    """Rename to a version directory, atomically: both are on the same file system."""
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
