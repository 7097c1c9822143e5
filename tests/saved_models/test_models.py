"""export: every way to hold a model, called with the right array in the right place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tfdecode.saved_models.session import ServingSession

POSE = tfd.ArraySpec((2, 3), "float32", codecs="zlib", label="pose")
SEG = tfd.ArraySpec((2, 3), "float32", codecs="zlib", label="seg")
ONES, TWOS = np.ones((2, 3), np.float32), np.full((2, 3), 2, np.float32)


def pose_input() -> Any:
    return keras.Input((2, 3), name="pose")


def seg_input() -> Any:
    return keras.Input((2, 3), name="seg")


def weighed(pose: Any, seg: Any) -> Any:
    return pose * 10.0 + seg


def functional(structure: Any) -> keras.Model:
    pose, seg = pose_input(), seg_input()
    return keras.Model(structure(pose, seg), weighed(pose, seg))


class TwoArguments(keras.Model):
    def call(self, pose: Any, seg: Any) -> Any:
        return weighed(pose, seg)


class OneDict(keras.Model):
    def call(self, inputs: Any, training: bool = True) -> Any:
        return weighed(inputs["pose"], inputs["seg"]) + (100.0 if training else 0.0)


class Module(tf.Module):
    def __call__(self, pose: Any, seg: Any) -> Any:
        return weighed(pose, seg)


class WithUnrelated(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.debug = tf.function(lambda x: tf.py_function(lambda y: y, [x], tf.float32))
        self.debug(1.0)

    def __call__(self, pose: Any, seg: Any) -> Any:
        return weighed(pose, seg)


MODELS = {
    "a function": lambda: weighed,
    "a tf.function": lambda: tf.function(weighed),
    "any keywords": lambda: lambda **arrays: weighed(arrays["pose"], arrays["seg"]),
    "a tf.Module": Module,
    "a tf.Module with an unrelated function": WithUnrelated,
    "a functional model of a list": lambda: functional(lambda pose, seg: [seg, pose]),
    "of a dict": lambda: functional(lambda pose, seg: {"seg": seg, "pose": pose}),
    "of a nested dict": lambda: functional(lambda pose, seg: {"x": {"pose": pose}, "seg": seg}),
    "of a dict in another order": lambda: functional(lambda p, s: {"a": {"b": s}, "pose": p}),
    "of a nested list": lambda: functional(lambda pose, seg: [pose, [seg]]),
    "a subclass of two arguments": TwoArguments,
    "a subclass of a dict": OneDict,
}


@pytest.mark.parametrize("kind", MODELS)
def test_each_array_reaches_its_own_argument(kind: str, tmp_path: Path) -> None:
    version = tfd.export(MODELS[kind](), tmp_path, inputs={"pose": POSE, "seg": SEG})
    with ServingSession(version) as session:
        payloads = {"pose_bytes": [POSE.encode(ONES)], "seg_bytes": [SEG.encode(TWOS)]}
        packed = session.run("serving_default", payloads)["output_0"]
        arrays = session.run("arrays", {"pose": ONES[None], "seg": TWOS[None]})["output_0"]
    assert packed.tolist() == arrays.tolist() == np.full((1, 2, 3), 12.0).tolist()


def dense() -> keras.layers.Dense:
    return keras.layers.Dense(1, kernel_initializer="ones")


SINGLE = {
    "a built Sequential": lambda: keras.Sequential([keras.Input((2, 3), name="x"), dense()]),
    "an unbuilt Sequential": lambda: keras.Sequential([dense()]),
    "a functional model": lambda: (lambda x: keras.Model(x, dense()(x)))(keras.Input((2, 3))),
    "a layer": dense,
    "a function": lambda: lambda x: tf.reduce_sum(x, axis=-1, keepdims=True),
}


@pytest.mark.parametrize("kind", SINGLE)
def test_a_model_of_one_input_takes_it_under_any_name(kind: str, tmp_path: Path) -> None:
    version = tfd.export(SINGLE[kind](), tmp_path, inputs={"pose": POSE})
    with ServingSession(version) as session:
        answer = session.run("serving_default", {"pose_bytes": [POSE.encode(TWOS)]})
    assert answer["output_0"].ravel().tolist() == [6.0, 6.0]


def test_wrong_names_are_told_with_those_of_the_model(tmp_path: Path) -> None:
    model = functional(lambda pose, seg: [pose, seg])
    for wrong in (model, weighed, Module()):
        with pytest.raises(tfd.ExportError, match="named a, seg, but the model takes: pose, seg"):
            tfd.export(wrong, tmp_path, inputs={"a": POSE, "seg": SEG})


def test_the_reason_of_a_failed_trace_is_told(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Conv2D(1, 3)])
    with pytest.raises(tfd.ExportError, match=r"could not be traced: .*ndim=4, found ndim=3"):
        tfd.export(model, tmp_path, inputs={"pose": POSE})

    def broken(pose: Any) -> Any:
        if tf.reduce_sum(pose) > 0:
            raise ValueError("this model never works")
        return pose

    with pytest.raises(tfd.ExportError, match="could not be traced: "):
        tfd.export(tf.function(broken, autograph=False), tmp_path, inputs={"pose": POSE})


def test_control_flow_of_python_is_converted_as_users_expect(tmp_path: Path) -> None:
    def model(pose: Any) -> Any:
        if tf.reduce_sum(pose) > 6.0:
            pose = pose * 0.0
        return pose

    version = tfd.export(model, tmp_path, inputs={"pose": POSE})
    with ServingSession(version) as session:
        for array, total in ((ONES, 6.0), (TWOS, 0.0)):
            answer = session.run("serving_default", {"pose_bytes": [POSE.encode(array)]})
            assert answer["output_0"].sum() == total
