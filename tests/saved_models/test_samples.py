"""export, wrap, convert: a sample that does not fit is told by its input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tfdecode.saved_models.examples import example, passed_row
from tfdecode.saved_models.plan import Plan

POSE = tfd.ArraySpec((3,), "float32", "zlib")
INPUTS = {
    "pose": POSE,
    "scale": tf.TensorSpec([None, 2], tf.float32),
    "kind": tf.TensorSpec([None], tf.string),
    "steps": tf.TensorSpec([], tf.int32),
}
WRONG: dict[str, tuple[str, Any, str]] = {
    "another shape": ("pose", np.zeros((1, 3), "float32"), "of pose: array has shape"),
    "rows of different length": ("pose", [[1.0], [1.0, 2.0]], "of pose is not an array: "),
    "text": ("pose", "pose.npy", "of pose: "),
    "with its batch": (
        "scale",
        np.zeros((1, 2), "float32"),
        r"of scale has shape \[1, 2\], needs \[2\] \(one example, without the batch\)",
    ),
    "numbers for strings": ("kind", 1.5, "of kind is float, the input takes string"),
    "strings for numbers": ("scale", ["a", "b"], "of scale is str.*, the input takes float32"),
    "a fraction": ("steps", 1.5, "of steps is float64, the input takes int32"),
    "a batch for a scalar": ("steps", [1, 2], r"of steps has shape \[2\], needs \[\]"),
    "another name": ("poes", 1, r"has no input 'poes' \(did you mean 'pose'\?\); the inputs are"),
}


def model(pose: Any, scale: Any, kind: Any, steps: Any) -> Any:
    length = tf.cast(tf.strings.length(kind) + steps, tf.float32)
    return {"y": pose * scale[:, :1] + length[:, tf.newaxis]}


@pytest.mark.parametrize("kind", WRONG)
def test_a_sample_that_does_not_fit_is_named(kind: str) -> None:
    name, value, said = WRONG[kind]
    plan = Plan(model, INPUTS, {}, False, None)
    for what in ("sample", "example 1 of warmup"):
        with pytest.raises(tfd.ExportError, match=f"^{what} {said}"):
            example(plan, {"kind": b"a", name: value}, what)


def test_a_handle_is_no_input() -> None:
    with pytest.raises(tfd.ExportError, match="input table is a resource, which no client can"):
        passed_row("table", tf.TensorSpec([], tf.resource), {})


@pytest.mark.filterwarnings("ignore")
def test_numbers_of_python_fit_if_their_values_do(tmp_path: Path) -> None:
    sample = {"pose": np.ones(3, "float32"), "scale": [1, 0.5], "kind": "a", "steps": 2}
    tfd.export(model, tmp_path, INPUTS, sample=sample)
    with pytest.raises(tfd.ExportError, match=r"^example 1 of warmup of steps is float64"):
        warmup = [sample, {**sample, "steps": 1.5}]
        tfd.export(model, tmp_path, INPUTS, sample=sample, warmup=warmup)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize(
    "sample",
    [[0.1, 0.5, 2], POSE.encode(np.ones(3, "float32"))],
    ids=["of float64", "a payload"],
)
def test_one_rule_for_samples(sample: Any, tmp_path: Path) -> None:
    """Numbers are cast, and rounded, to what the client will send."""
    module = tf.Module()
    spec = tf.TensorSpec([None, 3], tf.float32, "pose")
    module.f = tf.function(lambda pose: {"y": pose * 2}, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.f)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.multiply(tf.compat.v1.placeholder(tf.float32, [None, 3], "pose"), 2, "y")
        makers = [
            lambda given: tfd.export(module.f, tmp_path, {"pose": POSE}, sample=given),
            lambda given: tfd.wrap(tmp_path / "m", tmp_path, {"pose": POSE}, sample=given),
            lambda given: tfd.convert(
                session, tmp_path, {"pose": ("pose:0", POSE)}, {"y": "y:0"}, sample=given
            ),
        ]
        for number, make in enumerate(makers):
            assert make({"pose": sample}).name == str(number + 1)
            with pytest.raises(tfd.ExportError, match=r"^sample of pose: .*float64.*float32"):
                make({"pose": [1e300, 0, 0]})


@pytest.mark.parametrize("kind", ["another shape", "with its batch", "another name"])
def test_of_a_wrapped_model_too(kind: str, tmp_path: Path) -> None:
    name, value, said = WRONG[kind]
    module = tf.Module()
    specs = [tf.TensorSpec([None, n], tf.float32, name) for name, n in (("pose", 3), ("scale", 2))]
    module.f = tf.function(lambda pose, scale: {"y": pose * scale[:, :1]}, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.f)
    with pytest.raises(tfd.ExportError, match=f"^sample {said}"):
        tfd.wrap(tmp_path / "m", tmp_path / "w", {"pose": POSE}, sample={name: value})
