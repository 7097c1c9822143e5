"""verify: load and run an export as a server would, before it is published."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EncodeError, ExportError, TfdecodeError, said
from ..extras import tensorflow as tf
from ..layouts import lengths_key
from ..names import bytes_key
from ..schema import SIGNATURE
from . import any_length
from .backport import checked
from .endpoints import Endpoint
from .examples import batch_of_one, example, packed, passed, unlike
from .limits import mask_option
from .plan import Plan, batched
from .session import ServingSession, reason

#: Parts of the largest number by which an output may differ: kernels sum in another order.
TOLERANCE = 1e-2


def verify(
    plans: Mapping[str, Plan],
    path: Path,
    endpoints: Iterable[Endpoint],
    independent_rows: bool,
    oldest: str | None,
) -> list[tuple[str, dict[str, Any]]]:
    """Load the export as a server would, and run every signature.

    Returns
    -------
    list of (str, dict)
        The signatures with payloads that ran, each with what it ran on.
    """
    for limit in checked(path, oldest, "export").limits:
        # What the options chose is documented; what dtypes and shapes bring with them is not.
        if "on_invalid" not in limit:
            warnings.warn(limit, stacklevel=6)
    try:
        with ServingSession(path) as session:
            run(session, SIGNATURE, {"batch": [b""]}, "")
            ran = []
            for one in endpoints:
                for feed in run_endpoint(session, plans[one.name], one, independent_rows):
                    ran.append((one.name, feed))
            return ran
    except TfdecodeError:
        raise
    except tf.errors.OpError as error:
        raise ExportError(f"a stock server could not run the export: {reason(error)}") from error
    except (OSError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:300]
        raise ExportError(f"a stock server could not load the export: {text}") from error


def run(session: ServingSession, name: str, feed: Mapping[str, Any], given: str) -> dict[str, Any]:
    """The outputs of a signature; ExportError says on which inputs it could not run."""
    try:
        return session.run(name, feed)
    except tf.errors.OpError as error:
        text = f"a stock server could not run the export{given}: {reason(error)}"
        if "Table not initialized" in text:
            text += "; keep what tf.saved_model.load returned in a variable while it is exported"
        raise ExportError(text) from error


def run_endpoint(
    session: ServingSession, plan: Plan, one: Endpoint, independent_rows: bool
) -> list[dict[str, Any]]:
    """Run the signatures of payloads and of arrays; what ran of the first."""
    sample = one.options["sample"]
    row = example(plan, sample, "sample")
    # A model may not accept an empty string, for example if it decodes images.
    unsampled = [n for n, s in plan.others.items() if s.dtype == tf.string and n not in sample]
    feeds = {one.name: packed(plan, [row])}
    if one.arrays is not None:
        feeds[one.arrays] = batch_of_one(plan, row) | passed(plan, [row])
    given = "" if sample else " on zeros" + said(" (sample= takes an example)")
    for name, feed in feeds.items():
        try:
            run(session, name, feed, given)
        except ExportError as error:
            cause = error.__cause__
            if not unsampled or not isinstance(cause, tf.errors.InvalidArgumentError):
                raise
            warnings.warn(
                f"the export loads, but its signature {name} could not be run on an empty "
                f"{', '.join(unsampled)} ({reason(cause)})" + said("; pass sample= to prove it"),
                stacklevel=7,
            )
            return []
    examples = enumerate(one.examples)
    ran = [packed(plan, [example(plan, x, f"example {i} of warmup")]) for i, x in examples]
    for feed in ran:
        run(session, one.name, feed, " on an example of warmup=")
    if independent_rows and plan.max_batch_size > 1:
        other = another(plan, row, sample)
        compare_rows(plan, session, one.name, [row, other])
        if moved := moved_others(plan, row, sample):
            compare_rows(plan, session, one.name, [{**row, **moved}, {**other, **moved}])
        if plan.mask and plan.ragged:
            shortest = shortest_row(plan, row)
            if shortest is not None:
                compare_rows(plan, session, one.name, [row, shortest])
        warn_of_padding(plan, other)
    return ran or [feeds[one.name]]


def compare_rows(
    plan: Plan, session: ServingSession, signature: str, rows: list[Mapping[str, Any]]
) -> None:
    """ExportError unless two rows in one batch are answered as each of them alone."""
    advice = (
        "a server that merges requests would mix clients; if you serve it without batching, pass "
        + said("independent_rows=False", "--unequal-rows")
    )
    if plan.ragged:
        lengths = ", ".join(str(list(row[name].shape)) for name in plan.ragged for row in rows)
        advice = f"the rows had shapes {lengths}; {any_length.ADVICE}; {advice}"
    alone = [session.run(signature, packed(plan, rows[:1]))]
    try:
        alone.append(session.run(signature, packed(plan, rows[1:])))
    except tf.errors.OpError as error:
        if empty(plan, rows[1]):
            text = f"the model fails on an array of length 0 ({reason(error)}), as which a bad row "
            raise ExportError(f"{text}of {mask_option()} comes: it would fail all rows") from error
        rows, alone = rows[:1] * 2, alone * 2  # not an input that the model takes
    try:
        together = [session.run(signature, packed(plan, rows)) for _ in range(2)]
    except tf.errors.OpError as error:
        text = f"the model answers one row, but not two in one batch ({reason(error)})"
        raise ExportError(f"{text}: {advice}") from error
    for name in together[0]:
        batch, again, *ones = [values(plan, name, run[name]) for run in (*together, *alone)]
        if not same(batch, again, 0):
            continue  # a random output
        if batch.shape == ones[0].shape == ones[1].shape and batch.shape[:1] != (1,):
            continue  # no batch dimension, of which a limit tells
        if len(batch) != 2 or any(one.shape[:1] != (1,) for one in ones):
            rows_of = f"output {name} has shape {list(batch.shape)} for a batch of two rows"
            raise ExportError(f"{rows_of}, {list(ones[0].shape)} for one row: {advice}")
        if not all(same(batch[i : i + 1], ones[i], TOLERANCE) for i in range(2)):
            text = f"the model answers a row in a batch of two otherwise than alone (output {name})"
            raise ExportError(f"{text}: {advice}")


def warn_of_padding(plan: Plan, row: Mapping[str, Any]) -> None:
    """Warn if the answer to a row changes with the zeros after it, up to ``max_shape``."""
    if "padded" not in plan.ragged.values():
        return
    for one in (row, negative(plan, row)):
        if warned_of_padding(plan, one):
            return


def warned_of_padding(plan: Plan, row: Mapping[str, Any]) -> bool:
    """Whether there was something to warn of."""
    fed = {n: tf.constant(x) for n, x in (batch_of_one(plan, row) | passed(plan, [row])).items()}
    arrays = {name: fed[key] for name, key in plan.array_keys.items()}
    wide = dict(arrays)
    tight: dict[str, Any] = {}
    for name, layout in plan.ragged.items():
        lengths = fed[lengths_key(plan.array_keys[name])]
        wide |= any_length.of_arrays(name, plan.specs[name], layout, arrays[name], lengths)
        tight |= {name: arrays[name]} if layout == "padded" else {}
    try:
        got, expected = plan.results(wide | tight), plan.results(wide)
    except Exception:  # whatever a model raises that takes one length only
        return False
    found = False
    for name, value in got.items():
        one, other = np.asarray(value), np.asarray(expected[name])
        if one.ndim == other.ndim:  # a value for each step: of those that both have
            steps = tuple(map(slice, np.minimum(one.shape, other.shape)))
            one, other = one[steps], other[steps]
        if not same(one, other, TOLERANCE):
            lengths = " and ".join(map(lengths_key, plan.ragged))
            warnings.warn(
                f"output {name} depends on the zeros that pad a row to max_shape, so another "
                f"max_shape changes the answer; if that is not meant, use {lengths} in the model",
                stacklevel=8,
            )
            found = True
    return found


def another(plan: Plan, row: Mapping[str, Any], sample: Mapping[str, Any]) -> dict[str, Any]:
    """A row of other values, and of other lengths where rows of one batch may differ in them."""
    others = {}
    for name, spec in plan.specs.items():
        others[name] = unlike(spec, row[name], name in sample, name in plan.ragged)
    return {**row, **others}


def moved_others(
    plan: Plan, row: Mapping[str, Any], sample: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Ones for the numbers that are passed as they are, by name, where the sample has none."""
    names = [n for n, s in plan.others.items() if batched(s) and s.dtype != tf.string]
    return {name: np.ones_like(row[name]) for name in names if name not in sample}


def shortest_row(plan: Plan, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row with an array of length 0 for each input of any length; None if one has no payload.

    A PNG has at least one element.
    """
    arrays = {name: plan.specs[name].chain.form.zeros() for name in plan.ragged}
    try:
        for name, array in arrays.items():
            plan.specs[name].encode(array)
    except EncodeError:
        return None
    return {**row, **arrays}


def negative(plan: Plan, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with numbers below 0 in its padded inputs: zeros beside them can be the largest."""
    changed = dict(row)
    for name, layout in plan.ragged.items():
        if layout == "padded" and row[name].dtype.kind in "if":
            changed[name] = -np.abs(row[name]) - row[name].dtype.type(1)
    return changed


def empty(plan: Plan, row: Mapping[str, Any]) -> bool:
    """Whether the row has no elements in any input of any length."""
    return bool(plan.ragged) and not any(row[name].size for name in plan.ragged)


def values(plan: Plan, name: str, output: Any) -> np.ndarray:
    """An output as numbers, also if it comes as payloads, whose bytes change with any bit."""
    for array, spec in plan.outputs.items():
        if name == bytes_key(array) and len(output):
            return np.stack([spec.decode(payload) for payload in output])
    return np.asarray(output)


def same(got: Any, expected: Any, tolerance: float) -> bool:
    """Whether two outputs are equal; numbers may differ a little, other values at one in 100."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        return False
    if tolerance and got.dtype.kind not in "biuO":
        kind = np.complex128 if got.dtype.kind == "c" else np.float64
        got, expected = got.astype(kind), expected.astype(kind)
        finite = np.abs(expected[np.isfinite(expected)])
        largest = float(finite.max()) if finite.size else 0.0
        return np.allclose(got, expected, tolerance, tolerance * largest, equal_nan=True)
    wrong = (got != expected) & ((got == got) | (expected == expected))
    return bool(np.count_nonzero(wrong) <= tolerance * got.size)
