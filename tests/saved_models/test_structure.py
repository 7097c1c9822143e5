"""export: Keras models of nested inputs, and names that look like typos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tfdecode.client import InProcess
from tfdecode.saved_models.model import caller
from tfdecode.saved_models.plan import Plan
from tfdecode.saved_models.structure import output_name

SPECS = {name: tfd.ArraySpec((3,), "float32", label=name) for name in ("left", "right", "mask")}
ARRAYS = {name: np.full(3, index, "float32") for index, name in enumerate(SPECS, 1)}


class Pair(NamedTuple):
    left: Any
    right: Any


class Structured(keras.Model):
    """A subclass with weights, whose one argument ``taken`` takes apart."""

    def __init__(self, taken: Callable[[Any], list[Any]]) -> None:
        super().__init__()
        self.taken = taken
        self.dense = keras.layers.Dense(3, kernel_initializer="identity")

    def call(self, inputs: Any) -> Any:
        left, right, mask = self.taken(inputs)
        return self.dense(left * 100 + right * 10 + mask)


#: What puts the arrays into the structure, and what takes them out again.
STRUCTURES: dict[str, tuple[Callable[..., Any], Callable[[Any], list[Any]]]] = {
    "a dict": (
        lambda left, right, mask: {"mask": mask, "left": left, "right": right},
        lambda x: [x["left"], x["right"], x["mask"]],
    ),
    "a nested dict": (
        lambda left, right, mask: {"pair": {"right": right, "left": left}, "mask": mask},
        lambda x: [x["pair"]["left"], x["pair"]["right"], x["mask"]],
    ),
    "a namedtuple in a dict": (
        lambda left, right, mask: {"pair": Pair(left, right), "mask": mask},
        lambda x: [x["pair"].left, x["pair"].right, x["mask"]],
    ),
    "a dict in a tuple": (
        lambda left, right, mask: ({"left": left, "right": right}, {"mask": mask}),
        lambda x: [x[0]["left"], x[0]["right"], x[1]["mask"]],
    ),
}


def answer(model: Any, names: list[str]) -> list[float]:
    """What a model answers to arrays by name, called as an export calls it."""
    rows = {name: array[None] for name, array in zip(names, ARRAYS.values(), strict=True)}
    (row,) = caller(model, names)(rows).numpy().tolist()
    return row


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("of", ["subclass", "functional"])
@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_each_array_reaches_its_place(kind: str, of: str) -> None:
    put, taken = STRUCTURES[kind]
    model: Any = Structured(taken)
    if of == "subclass":
        model(put(*(tf.ones([2, 3]) for _ in SPECS)))
    else:
        given = put(*(keras.Input((3,)) for _ in SPECS))
        model = keras.Model(given, model(given))
    assert answer(model, list(SPECS)) == [123.0] * 3


def test_a_nested_model_is_exported(tmp_path: Path) -> None:
    put, taken = STRUCTURES["a namedtuple in a dict"]
    model = Structured(taken)
    model(put(*(tf.ones([2, 3]) for _ in SPECS)))
    with InProcess(tfd.export(model, tmp_path, SPECS)) as client:
        assert client.predict(ARRAYS)["output_0"].tolist() == [[123.0] * 3]


def test_two_places_of_one_key_are_named_by_their_paths() -> None:
    model = Structured(lambda x: [x["a"]["x"], x["b"]["x"], x["c"]])
    one = tf.ones([2, 3])
    model({"a": {"x": one}, "b": {"x": one}, "c": one})
    assert answer(model, ["a_x", "b_x", "c"]) == [123.0] * 3


def test_places_without_a_name_need_a_function() -> None:
    one = tf.ones([2, 3])
    model = Structured(lambda x: x)
    model([one, one, one])
    said = r"lambda left, right, mask: model\(\[left, right, mask\]\)"
    with pytest.raises(tfd.ExportError, match=said):
        caller(model, list(SPECS))
    mixed = Structured(lambda x: [*x["pair"], x["mask"]])
    mixed({"pair": (one, one), "mask": one})
    said = r"lambda left, right, mask: model\({'pair': \(left, right\), 'mask': mask}\)"
    with pytest.raises(tfd.ExportError, match=said):
        caller(mixed, list(SPECS))
    with pytest.raises(tfd.ExportError, match=r"takes {'pair': \(\[2, 3\], \[2, 3\]\), 'mask'"):
        caller(mixed, ["left"])

    def placed(left: Any, right: Any, mask: Any) -> Any:
        return mixed({"pair": (left, right), "mask": mask})

    assert answer(placed, list(SPECS)) == [123.0] * 3


def test_a_wrong_name_in_a_structure_is_told_with_the_nearest() -> None:
    model = Structured(lambda x: [x["left"], x["right"], x["mask"]])
    model({name: tf.ones([2, 3]) for name in SPECS})
    with pytest.raises(tfd.ExportError, match=r"takes: .*did you mean 'right'\?"):
        caller(model, ["left", "rigth", "mask"])


# -- names ----------------------------------------------------------------------------------------


def of_pose(name: str | None = "pose_map", out: str | None = "score") -> keras.Model:
    given = keras.Input((3,), name=name)
    return keras.Model(given, keras.layers.Dense(2, name=out)(given))


class Subclass(keras.Model):
    def call(self, pose_map: Any) -> Any:
        return pose_map * 2


POSE, SCORE = tfd.ArraySpec((3,), "float32"), tfd.ArraySpec((2,), "float32")


@pytest.mark.parametrize(
    "model",
    [
        of_pose(),
        keras.Sequential([keras.Input((3,), name="pose_map"), keras.layers.Dense(1)]),
        keras.Model(x := {"pose_map": keras.Input((3,))}, x["pose_map"] * 2),
        Subclass(),
        lambda pose_map: pose_map,
    ],
    ids=["functional", "sequential", "dict", "subclass", "function"],
)
def test_a_typo_in_the_name_of_the_only_input_is_refused(model: Any) -> None:
    said = r"did you mean 'pose_map'\?\); if the new name is meant, pass lambda psoe_map: model"
    with pytest.raises(tfd.ExportError, match=said):
        caller(model, ["psoe_map"])
    for name in ("pose_map", "skeleton"):
        assert caller(model, [name])({name: np.ones((1, 3), "float32")}) is not None
    if not isinstance(model, Subclass):
        caller(lambda psoe_map: model(psoe_map), ["psoe_map"])


@pytest.mark.parametrize("name", ["input", "inputs", "input_2", "keras_tensor_9"])
def test_names_that_nobody_chose_are_not_compared(name: str) -> None:
    model = of_pose(None, None)
    caller(model, [name])
    assert output_name(model) is None


def test_a_typo_in_the_name_of_an_output_is_refused() -> None:
    def outputs(model: Any, name: str, spec: tfd.ArraySpec) -> list[str]:
        plan = Plan(model, {"pose_map": POSE}, {name: spec}, False, None)
        return list(plan.results({"pose_map": tf.ones([1, 3])}))

    said = r"output is named 'scroe', .* calls it 'score' \(did you mean 'score'\?\)"
    with pytest.raises(tfd.ExportError, match=said):
        outputs(of_pose(), "scroe", SCORE)
    given = keras.Input((3,), name="pose_map")
    of_dict = keras.Model(given, {"score": given * 2})
    with pytest.raises(tfd.ExportError, match=r"it has: score \(did you mean 'score'\?\)"):
        outputs(of_dict, "scroe", POSE)
    for name in ("score", "logits"):
        assert outputs(of_pose(), name, SCORE) == [name]
