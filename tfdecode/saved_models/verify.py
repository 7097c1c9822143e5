"""verify: load and run an export as a server would, before it is published."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import numpy_dtype
from ..errors import EncodeError, ExportError
from ..extras import tensorflow as tf
from ..schema import SIGNATURE
from ..spec import ArraySpec
from .check import check
from .session import ServingSession, reason

if TYPE_CHECKING:
    from .plan import Plan


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
        raise ExportError("a stock server cannot run the export: " + "; ".join(report.problems))
    unknown = set(sample) - set(plan.specs) - set(plan.others)
    if unknown:
        raise ExportError(f"sample has unknown inputs: {', '.join(sorted(unknown))}")
    arrays = {name: sample_of(name, spec, sample) for name, spec in plan.specs.items()}
    others = {name: passed_sample(name, spec, sample) for name, spec in plan.others.items()}
    payloads = {plan.keys[name]: [payload(name, plan.specs[name], x)] for name, x in arrays.items()}
    # A model may not accept an empty string, for example if it decodes images.
    unsampled = [n for n, s in plan.others.items() if s.dtype == tf.string and n not in sample]
    feeds = {SIGNATURE: {"batch": [b""]}, signature: {**payloads, **others}}
    if arrays_signature is not None:
        feeds[arrays_signature] = {**{name: x[None] for name, x in arrays.items()}, **others}
    try:
        with ServingSession(path) as session:
            for name, feed in feeds.items():
                try:
                    session.run(name, feed)
                except tf.errors.InvalidArgumentError as error:
                    if not unsampled:
                        raise
                    warnings.warn(
                        f"the export loads, but its signature {name} could not be run on an empty "
                        f"{', '.join(unsampled)} ({reason(error)}); pass sample= to prove it",
                        stacklevel=4,
                    )
    except tf.errors.OpError as error:
        given = "" if sample else " on zeros (sample= takes an example)"
        text = f"a stock server could not run the export{given}: {reason(error)}"
        raise ExportError(text) from error
    except (OSError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:300]
        raise ExportError(f"a stock server could not load the export: {text}") from error


def sample_of(name: str, spec: ArraySpec, sample: Mapping[str, Any]) -> np.ndarray:
    """The given example of an input, or zeros."""
    if name in sample:
        return np.asarray(sample[name])
    form = spec.chain.form
    sides = zip(form.shape, form.max_shape, strict=True)
    shape = [min(most, 64) if side is None else side for side, most in sides]
    return np.zeros(shape, numpy_dtype(spec.dtype))


def payload(name: str, spec: ArraySpec, array: np.ndarray) -> bytes:
    """The payload of a sample."""
    try:
        return spec.encode(array)
    except EncodeError as error:
        advice = "" if array.any() else "; pass sample= with an array that the spec carries"
        raise ExportError(f"sample of {name}: {error}{advice}") from None


def passed_sample(name: str, spec: Any, sample: Mapping[str, Any]) -> Any:
    """A batch of one for an input that is passed through; unknown dimensions are 1."""
    if name in sample:
        return [sample[name]] if isinstance(sample[name], bytes) else np.asarray(sample[name])[None]
    shape = [side or 1 for side in (spec.shape.as_list() if spec.shape.rank is not None else [1])]
    if spec.dtype == tf.string:
        return np.full(shape, b"", object)
    return np.zeros(shape, spec.dtype.as_numpy_dtype)
