"""The inputs of an export: their rows, names, structures and dtypes."""

from __future__ import annotations

import warnings
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tfdecode.client import InProcess
from tfdecode.saved_models.declared import widens
from tfdecode.saved_models.session import ServingSession, reason

SPEC = tfd.ArraySpec((3,), "float32")
OTHER = tfd.ArraySpec((3,), "float32", label="other")
ROWS = np.arange(9, dtype=np.float32).reshape(3, 3)


def answered(session: ServingSession, signature: str, feeds: dict[str, Any]) -> Any:
    """The outputs, or the sentence of the refusal."""
    try:
        return session.run(signature, feeds)
    except tf.errors.InvalidArgumentError as error:
        return reason(error)


def payloads(spec: tfd.ArraySpec, count: int) -> list[bytes]:
    return [spec.encode(row) for row in ROWS[:count]]


def test_requests_whose_inputs_differ_in_rows_are_refused(tmp_path: Path) -> None:
    """Else TensorFlow broadcasts: one payload and three numbers gave three answers."""
    inputs = {
        "pose": SPEC,
        "other": OTHER,
        "weight": tf.TensorSpec([None], tf.float32),
        "word": tf.TensorSpec([None], tf.string),
        "scale": tf.TensorSpec([], tf.float32),
    }

    def model(pose: Any, other: Any, weight: Any, word: Any, scale: Any) -> Any:
        size = tf.cast(tf.strings.length(word), tf.float32)
        return (pose + other) * (weight * size * scale)[:, None]

    sample = {"word": b"ab", "scale": 2}
    with pytest.warns(UserWarning, match="scale has no batch dimension"):
        version = tfd.export(model, tmp_path, inputs, sample=sample)
    with ServingSession(version) as session:
        for a, b, weights, words in product((1, 2), repeat=4):
            packed = {"pose_bytes": payloads(SPEC, a), "other_bytes": payloads(OTHER, b)}
            arrays = {"pose": ROWS[:a], "other": ROWS[:b]}
            passed = {"weight": [3.0] * weights, "word": [b"ab"] * words, "scale": 0.5}
            for signature, given in (("serving_default", packed), ("arrays", arrays)):
                answer = answered(session, signature, given | passed)
                if a == b == weights == words:
                    assert np.array_equal(answer["output_0"], ROWS[:a] * 6)
                    continue
                first, other = given
                named = {other: b, "weight": weights, "word": words}
                wrong = {name: size for name, size in named.items() if size != a}
                assert answer in [
                    f"{n}: batch has {s} rows, {first} has {a}" for n, s in wrong.items()
                ]


def test_rows_need_not_correspond_if_they_are_not_independent(tmp_path: Path) -> None:
    inputs = {"query": SPEC, "gallery": OTHER, "weight": tf.TensorSpec([None], tf.float32)}

    def nearest(query: Any, gallery: Any, weight: Any) -> Any:
        return tf.matmul(query, gallery, transpose_b=True) * weight

    version = tfd.export(nearest, tmp_path, inputs, independent_rows=False)
    feeds = {"query_bytes": payloads(SPEC, 2), "gallery_bytes": payloads(OTHER, 3)}
    with ServingSession(version) as session:
        answer = session.run("serving_default", {**feeds, "weight": [1.0]})["output_0"]
    assert answer.shape == (2, 3)


def test_a_dtype_that_loses_no_value_is_cast_and_others_are_if_asked(tmp_path: Path) -> None:
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 3], tf.float32),
            tf.TensorSpec([None, 3], tf.int32),
            tf.TensorSpec([None], tf.int64),
        ]
    )
    def model(signal: Any, token: Any, kind: Any) -> Any:
        return {"signal": signal, "token": token, "kind": kind}

    inputs = {
        "signal": tfd.ArraySpec((3,), "float64"),
        "token": tfd.ArraySpec((3,), "uint8"),
        "kind": tf.TensorSpec([None], tf.float32),
    }
    for cast, message in (
        (
            {},
            r"signal has dtype float64, but the model takes float32: .* cast={'signal': 'float32'}",
        ),
        ({"signal": "float16"}, "cast of signal is float16, but the model takes float32"),
        ({"signals": "float32"}, r"no input 'signals' \(did you mean 'signal'\?\)"),
        ({"signal": "float23"}, "cast of signal: dtype 'float23' is not one of"),
        ({"signal": "float32"}, "kind has dtype float32, but the model takes int64"),
        ([], "cast is list"),
    ):
        with pytest.raises(tfd.ExportError, match=message):
            tfd.export(model, tmp_path, inputs, cast=cast)
    version = tfd.export(model, tmp_path, inputs, cast={"signal": np.float32, "kind": "int64"})
    rows = np.array([[0.1, -2.5, 1e300]])
    packed = {"signal_bytes": [inputs["signal"].encode(rows[0])], "token_bytes": [b"\1\2\377"]}
    with ServingSession(version) as session:
        got = session.run("serving_default", {**packed, "kind": [1.75]})
        arrays = {"signal": rows, "token": np.uint8([[1, 2, 255]]), "kind": [1.75]}
        same = session.run("arrays", arrays)
    with np.errstate(over="ignore"):
        assert got["signal"].tobytes() == same["signal"].tobytes() == rows.astype("f4").tobytes()
    assert got["token"].tolist() == same["token"].tolist() == [[1, 2, 255]]
    assert got["kind"].tolist() == same["kind"].tolist() == [1]


@pytest.mark.parametrize(
    ("source", "wider", "expected"),
    [
        ("uint8", "float32", True),
        ("int32", "float32", False),
        ("int64", "float64", False),  # NumPy calls it safe
        ("bool", "bfloat16", True),
        ("float16", "bfloat16", False),
        ("bfloat16", "float16", False),
        ("bfloat16", "float32", True),
        ("float32", "complex64", True),
        ("float64", "complex64", False),
        ("complex64", "float64", False),
        ("float32", "int32", False),
    ],
)
def test_which_casts_lose_no_value(source: str, wider: str, expected: bool) -> None:
    assert widens(source, wider) is expected


def test_a_shape_that_a_model_does_not_declare_is_refused(tmp_path: Path) -> None:
    given = keras.Input((4,), name="pose")
    model = keras.Model(given, given * 2)
    wrong = r"input pose has shape \[None, 2, 2\], but the model takes \[None, 4\]"
    with pytest.raises(tfd.ExportError, match=wrong):
        tfd.export(model, tmp_path, {"pose": tfd.ArraySpec((2, 2), "float32")})
    one = keras.Input((1,))
    column = keras.Model(one, one * 2)  # Keras adds the dimension of 1
    version = tfd.export(column, tmp_path, {"x": tfd.ArraySpec((), "uint8")})
    with ServingSession(version) as session:
        assert session.run("serving_default", {"x_bytes": [b"\3"]})["output_0"].tolist() == [[6]]


class Pair(NamedTuple):
    left: Any
    right: Any


class OfPair(keras.Model):
    def call(self, inputs: Any) -> Any:
        return inputs.left - inputs.right


class OfList(keras.Model):
    def call(self, inputs: Any) -> Any:
        left, right = inputs
        return left + right  # of a dict, its names


class OfNested(keras.Model):
    def call(self, inputs: Any) -> Any:
        return inputs["pair"]["left"] - inputs["pair"]["right"]


@pytest.mark.parametrize("model", [OfPair(), OfList(), OfNested(), lambda pair: pair[0]])
def test_another_structure_is_refused_with_what_to_pass(model: Any, tmp_path: Path) -> None:
    advice = r"pass a function of .*: lambda left, right: model\(\[left, right\]\)"
    with pytest.raises(tfd.ExportError, match=advice):
        tfd.export(model, tmp_path, {"left": SPEC, "right": OTHER})


TABLE = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1, 2], [10.0, 20.0]), -1.0)


def test_tables_are_found_wherever_a_function_has_them(tmp_path: Path) -> None:
    kinds = keras.layers.StringLookup(vocabulary=["a", "b"])
    initializer = tf.lookup.KeyValueTensorInitializer([1], [0.5])
    scale = {"held": [tf.lookup.StaticHashTable(initializer, 2.0)]}
    inner, weight = OfPair(), tf.Variable(3.0)

    def model(inputs: Any) -> Any:
        number = kinds(inputs["kind"])
        looked = tf.function(lambda key: TABLE.lookup(key) * scale["held"][0].lookup(key))
        offset = looked(tf.cast(number, tf.int32))
        return inner(Pair(inputs["pose"], tf.zeros_like(inputs["pose"]))) * weight + offset[:, None]

    inputs = {"pose": SPEC, "kind": tf.TensorSpec([None], tf.string)}
    version = tfd.export(model, tmp_path, inputs)
    with ServingSession(version) as session:
        feeds = {"pose_bytes": payloads(SPEC, 3), "kind": [b"a", b"b", b"z"]}
        got = session.run("serving_default", feeds)["output_0"]
    assert np.array_equal(got, ROWS * 3 + np.float32([5, 40, -2])[:, None])


def test_a_path_is_not_a_model(tmp_path: Path) -> None:
    for path in (str(tmp_path), tmp_path):
        with pytest.raises(tfd.ExportError, match=r"tfdecode\.wrap adds byte inputs"):
            tfd.export(path, tmp_path, {"pose": SPEC})


NAMES = {"image:0": "image_0", "customer id": "customer_id", "a/b": "a_b", "größe": "gr__e"}


def test_any_name_reaches_the_model_by_its_key(tmp_path: Path) -> None:
    def model(**arrays: Any) -> Any:
        *given, last = [arrays[name] for name in NAMES]
        return {"weighed: all": given[0] + given[1] * 10 + given[2] * 100 + last[:, None]}

    specs = {name: tfd.ArraySpec((3,), "float32", label=name) for name in list(NAMES)[:3]}
    inputs = {**specs, "größe": tf.TensorSpec([None], tf.float32)}
    outputs = {"weighed: all": SPEC}
    with pytest.warns(UserWarning) as told:
        version = tfd.export(model, tmp_path, inputs, outputs, on_invalid="mask")
    texts = [str(warning.message) for warning in told]
    assert "input 'image:0' has the signature key image_0_bytes and image_0" in texts
    assert "input 'größe' has the signature key gr__e" in texts
    with ServingSession(version) as session:
        feeds = {f"{NAMES[n]}_bytes": payloads(spec, 2) for n, spec in specs.items()}
        got = session.run("serving_default", {**feeds, "gr__e": [0.5, 0.25]})
        arrays = {NAMES[name]: ROWS[:2] for name in specs}
        same = session.run("arrays", {**arrays, "gr__e": [0.5, 0.25]})["weighed: all"]
    expected = ROWS[:2] * 111 + np.float32([[0.5], [0.25]])
    assert [SPEC.decode(row).tolist() for row in got["weighed__all_bytes"]] == expected.tolist()
    assert same.tolist() == expected.tolist()
    with InProcess(version) as client:
        by_name = {name: list(ROWS[:2]) for name in specs}
        answer = client.predict({**by_name, "gr__e": np.float32([0.5, 0.25])})
    assert answer["weighed: all"].tolist() == expected.tolist()
    with InProcess(version, "arrays") as client:
        answer = client.predict({**by_name, "gr__e": np.float32([0.5, 0.25])})
    assert answer["weighed: all"].tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["ö", "日本", "1st", "pose", "batch", "name", "function"])
def test_a_function_of_any_keywords_gets_one_input_by_its_name(name: str, tmp_path: Path) -> None:
    def model(**arrays: Any) -> Any:
        return {"y": arrays[name]}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the key
        version = tfd.export(model, tmp_path, {name: SPEC})
    for signature in ("serving_default", "arrays"):
        with InProcess(version, signature) as client:
            assert client.predict({name: ROWS[0]})["y"].tolist() == ROWS[:1].tolist()


@pytest.mark.parametrize("name", ["_x", "self", "lambda"])
def test_a_key_that_cannot_be_saved_is_named(name: str, tmp_path: Path) -> None:
    inputs = {"pose": SPEC, name: tf.TensorSpec([None, 3], tf.float32)}
    with pytest.raises(tfd.ExportError, match=f"no signature key '{name}'.*; rename it"):
        tfd.export(lambda given: given["pose"], tmp_path, inputs)


def test_one_row_at_a_time_still_takes_a_batch(tmp_path: Path) -> None:
    version = tfd.export(lambda pose: {"y": pose}, tmp_path, {"pose": SPEC}, max_rows=1)
    assert tfd.Schema.load(version).max_batch_size == 2**12
    with InProcess(version) as client:
        assert client.predict({"pose": list(ROWS)})["y"].tolist() == ROWS.tolist()


def test_an_array_under_the_name_of_a_payload_is_an_array(tmp_path: Path) -> None:
    version = tfd.export(
        lambda pose: {"y_bytes": pose}, tmp_path, {"pose": SPEC}, {"y_bytes": SPEC}
    )
    for signature in ("serving_default", "arrays"):
        with InProcess(version, signature) as client:
            assert client.predict({"pose": list(ROWS)})["y_bytes"].tolist() == ROWS.tolist()


def test_the_schema_of_a_huge_batch_is_refused(tmp_path: Path) -> None:
    """Each row takes a copy of the text: a body of 100 MB would have taken 16 GB."""
    version = tfd.export(lambda pose: pose, tmp_path / "a", {"pose": SPEC})
    wrapped = tfd.wrap(version, tmp_path / "b", {"pose": SPEC}, source="arrays")
    for path in (version, wrapped):
        with ServingSession(path) as session:
            rows = session.run("tfdecode_schema", {"batch": [b""] * 1000})["schema"]
            assert len({*rows}) == 1 and tfd.Schema.from_json(rows[0])["pose"] == SPEC
            batch = np.full(2**23, b"", object)
            words = answered(session, "tfdecode_schema", {"batch": batch})
            assert "batch has 8388608 rows, the model takes at most" in words


class Doubled(keras.Model):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dense = keras.layers.Dense(3)

    def call(self, signal: Any) -> Any:
        return self.dense(signal)


def test_what_keras_would_round_is_refused_unless_asked_for(tmp_path: Path) -> None:
    inputs = {"signal": tfd.ArraySpec((3,), "float64")}
    for model in (Doubled(), keras.Sequential([keras.layers.Dense(3)])):
        with pytest.raises(tfd.ExportError, match=r"signal has dtype float64, .* takes float32"):
            tfd.export(model, tmp_path, inputs)
    tfd.export(Doubled(), tmp_path, inputs, cast={"signal": "float32"})
    tfd.export(Doubled(dtype="float64"), tmp_path, inputs)
    tfd.export(Doubled(dtype="mixed_bfloat16"), tmp_path, {"signal": SPEC})
    tfd.export(Doubled(), tmp_path, {"signal": tfd.ArraySpec((3,), "float16")})


@pytest.mark.parametrize("mask", ["error", "mask"])
def test_an_output_that_its_spec_does_not_fit_is_named(mask: Any, tmp_path: Path) -> None:
    wrong = {"y": tfd.ArraySpec((4,), "float32")}
    with pytest.raises(tfd.SpecError, match=r"^output y: tensor has shape \(None, 3\), needs"):
        tfd.export(lambda pose: {"y": pose}, tmp_path, {"pose": SPEC}, wrong, on_invalid=mask)


def test_a_model_that_mixes_rows_by_an_input_that_is_passed_through(tmp_path: Path) -> None:
    spec = tfd.ArraySpec((2,), "float32")

    def mixed(x: Any, w: Any) -> Any:
        return x * (1 + w / (1 + tf.reduce_sum(w)))[:, None]

    inputs = {"x": spec, "w": tf.TensorSpec([None], tf.float32)}
    with pytest.raises(tfd.ExportError, match="otherwise than alone"):
        tfd.export(mixed, tmp_path, inputs)
