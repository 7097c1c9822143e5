"""convert: Keras files of Keras 3 and of Keras 2; the code in a file runs only if asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.client import InProcess
from tfdecode.saved_models.keras_file import about, class_names, keras_model

SPEC = tfd.ArraySpec((6, 3), "float32", "zlib")
X = np.random.default_rng(0).standard_normal((3, 6, 3)).astype("float32")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_keras_files(suffix: str, tmp_path: Path) -> None:
    source = tmp_path / f"m.{suffix}"
    layers = [keras.Input((6, 3), name="pose"), keras.layers.LSTM(4), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    model.save(source)
    path = tfd.convert(source, tmp_path / "models", inputs={"pose": SPEC})
    with InProcess(path) as served:
        (got,) = served.predict({"pose": list(X)}).values()
    np.testing.assert_allclose(got, model(X), rtol=1e-5, atol=1e-6)
    code = [keras.Input((6, 3), name="pose"), keras.layers.Lambda(lambda a: a * 2)]
    keras.Sequential(code).save(source)
    with pytest.raises(tfd.ExportError, match=r"Lambda.*safe_mode=False"):
        tfd.convert(source, tmp_path / "no", inputs={"pose": SPEC})
    assert not (tmp_path / "no").exists()


def test_keras_files_of_keras_2(tmp_path: Path) -> None:
    old = pytest.importorskip("tf_keras")
    layers = [old.Input((6, 3), name="pose"), old.layers.LSTM(4), old.layers.Dense(2)]
    model = old.Sequential(layers)
    where = str(tmp_path / "ran")

    def ran(array: Any, where: str = where) -> Any:
        with open(where, "a"):
            return array

    inner = old.Sequential([old.layers.Lambda(ran)])
    code = old.Sequential([old.Input((2, 6, 3)), old.layers.TimeDistributed(inner)])
    for suffix in ("keras", "h5"):
        model.save(tmp_path / f"m.{suffix}")
        assert np.array_equal(keras_model(tmp_path / f"m.{suffix}", True)(X), model(X))
        code.save(tmp_path / f"code.{suffix}")
        Path(where).unlink(missing_ok=True)
        with pytest.raises(tfd.ExportError, match=r"Lambda.*safe_mode=False"):
            keras_model(tmp_path / f"code.{suffix}", True)
        assert not Path(where).exists()
    keras_model(tmp_path / "code.h5", False)
    assert Path(where).exists()
    path = tfd.convert(tmp_path / "m.h5", tmp_path / "models", {"pose": SPEC})
    with InProcess(path) as served:
        (got,) = served.predict({"pose": list(X)}).values()
    np.testing.assert_allclose(got, model(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", ["2.15.0", np.bytes_(b"2.15.0")])
def test_a_file_of_keras_2_needs_tf_keras(tmp_path: Path, monkeypatch: Any, version: Any) -> None:
    import h5py

    source = tmp_path / "m.h5"
    keras.Sequential([keras.Input((6, 3)), keras.layers.LSTM(4)]).save(source)
    with h5py.File(source, "a") as file:
        config = file.attrs["model_config"].replace(
            '"LSTM", "config": {', '"LSTM", "config": {"old": 1, '
        )
        file.attrs.update(keras_version=version, model_config=config)
    monkeypatch.setattr("tfdecode.saved_models.keras_file.find_spec", lambda name: None)
    with pytest.raises(tfd.ExportError, match=r"a file of Keras 2.15.0.*pip install tf_keras"):
        tfd.convert(source, tmp_path / "no", {"pose": SPEC})


def test_code_is_found_in_a_file_whose_version_cannot_be_read(tmp_path: Path) -> None:
    import h5py

    source = tmp_path / "m.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda a: a * 2)]).save(source)
    with h5py.File(source, "a") as file:
        del file.attrs["keras_version"]
        scalar = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(file.id, b"keras_version", h5py.h5t.UNIX_D32LE, scalar)
    assert "Lambda" in class_names(about(source)[1])


def test_code_is_found_however_deep_it_is() -> None:
    config: Any = {"class_name": "Lambda"}
    for _ in range(5_000):
        config = {"class_name": "Sequential", "layers": [config]}
    assert "Lambda" in class_names(config)
