"""Decode: the model on payloads answers as the model on arrays, however it is saved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd

tf = pytest.importorskip("tensorflow")
import keras  # noqa: E402

from tfdecode.keras import Decode  # noqa: E402
from tfdecode.saved_models.session import ServingSession  # noqa: E402

SPEC = tfd.ArraySpec((4, 3), "float32", "zlib")
ARRAYS = np.random.default_rng(0).standard_normal((5, 4, 3)).astype("float32")
PAYLOADS = tf.constant([SPEC.encode(x) for x in ARRAYS])


@pytest.fixture(scope="module")
def body() -> keras.Model:
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])


@pytest.fixture(scope="module")
def model(body: keras.Model) -> keras.Model:
    payloads = keras.Input((), dtype="string", name="pose_bytes")
    return keras.Model(payloads, body(Decode(SPEC, name="pose")(payloads)))


def same(got: object, body: keras.Model) -> bool:
    return np.asarray(got).tobytes() == np.asarray(body(ARRAYS)).tobytes()


def test_called_and_predicted(model: keras.Model, body: keras.Model) -> None:
    assert same(model(PAYLOADS), body)
    assert same(model.predict(PAYLOADS, verbose=0), body)
    assert model.layers[1].output.shape == (None, 4, 3)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_saved_and_loaded(
    model: keras.Model, body: keras.Model, suffix: str, tmp_path: Path
) -> None:
    model.save(tmp_path / f"m.{suffix}")
    loaded = keras.models.load_model(tmp_path / f"m.{suffix}")
    assert same(loaded(PAYLOADS), body) and loaded.layers[1].spec == SPEC
    json.dumps(loaded.layers[1].get_config())


def test_served(model: keras.Model, body: keras.Model, tmp_path: Path) -> None:
    model.export(tmp_path / "export", verbose=False)
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec([None], tf.string, name="pose_bytes")]
    archive.add_endpoint("serve", model.call, input_signature=signature)
    archive.write_out(tmp_path / "archive", verbose=False)
    for name in ("export", "archive"):
        with ServingSession(tmp_path / name) as session:
            (key,) = session.signatures["serving_default"][0]
            (got,) = session.run("serving_default", {key: PAYLOADS.numpy()}).values()
        assert same(got, body)
        assert tfd.check(tmp_path / name).ok


def test_trained(body: keras.Model) -> None:
    payloads = keras.Input((), dtype="string")
    model = keras.Model(
        payloads, keras.layers.Dense(2)(keras.layers.Flatten()(Decode(SPEC)(payloads)))
    )
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(PAYLOADS, np.ones((5, 2), "float32"), verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_mixed_precision_rounds_nothing() -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        assert Decode(SPEC)(PAYLOADS).numpy().tobytes() == ARRAYS.tobytes()
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    "dtype", ["bool", "bfloat16", "int8", "uint16", "uint64", "float64", "complex64"]
)
def test_dtypes(dtype: str) -> None:
    spec = tfd.ArraySpec((2,), dtype)
    payload = bytes([1, 0] * 8)[: spec.chain.form.max_nbytes]
    payloads = keras.Input((), dtype="string")
    got = keras.Model(payloads, Decode(spec)(payloads))(tf.constant([payload]))
    assert got.numpy().tobytes() == payload


@pytest.mark.parametrize("ragged", ["ragged", "padded"])
def test_rows_of_any_length(ragged: str, tmp_path: Path) -> None:
    spec = tfd.ArraySpec((None, 3), "float32", "raw|seal", max_shape=(9, 3))
    decoded = Decode(spec, ragged=ragged)(payloads := keras.Input((), dtype="string"))
    outputs = keras.ops.sum(decoded, 2) if ragged == "ragged" else list(decoded)
    keras.Model(payloads, outputs).save(tmp_path / "m.keras")
    model = keras.models.load_model(tmp_path / "m.keras")
    got = model(tf.constant([spec.encode(ARRAYS[0]), spec.encode(ARRAYS[1][:1])]))
    if ragged == "ragged":
        assert got.row_lengths().numpy().tolist() == [4, 1]
        return
    padded = [np.pad(x, [(0, 9 - len(x)), (0, 0)]) for x in (ARRAYS[0], ARRAYS[1][:1])]
    assert model.outputs[0].shape == (None, 9, 3)
    assert got[0].numpy().tobytes() == np.stack(padded).tobytes()
    assert got[1].numpy().tolist() == [4, 1]


def test_a_layout_that_a_spec_has_not_is_refused() -> None:
    for ragged, words in {"dense": "needs 'ragged' or 'padded'", "ragged": "no None dim"}.items():
        with pytest.raises(tfd.SpecError, match=words):
            Decode(SPEC, ragged=ragged)


def test_bad_rows_are_refused(model: keras.Model) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="pose: row 0 has 3 bytes"):
        model(tf.constant([b"abc"]))


@pytest.mark.parametrize(
    "given", [dict(shape=()), dict(shape=(3,), dtype="string")], ids=["floats", "matrix"]
)
def test_an_input_of_another_kind_is_refused_when_the_model_is_built(given: dict) -> None:
    with pytest.raises(tfd.SpecError, match=r"takes strings \[B\]"):
        Decode(SPEC)(keras.Input(**given))
