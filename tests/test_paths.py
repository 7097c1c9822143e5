"""A ``str`` names a file to a programmer, and is never a path to data that a client sends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.client import ArrayFile, InProcess

ARRAY = np.arange(6, dtype="float32").reshape(2, 3)
SPEC = tfd.ArraySpec((2, 3), "float32")


class OtherPath:
    """An os.PathLike that is not a pathlib.Path."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return self.path


def test_every_path_is_a_str_or_an_os_pathlike(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ARRAY)
    kinds: list[Callable[[str], Any]] = [str, Path, OtherPath]
    for kind in kinds:
        models, array = kind(str(tmp_path / "models")), kind(str(tmp_path / "a.npy"))
        schema, version = kind(str(tmp_path / "s.json")), tfd.Schema({"x": SPEC})
        tfd.export(lambda x: x, models, {"x": SPEC})
        assert tfd.check(models).ok
        version.save(schema)
        assert tfd.Schema.load(schema) == version and dict(tfd.Schema.load(models)) == {"x": SPEC}
        assert (tfd.load(array) == ARRAY).all()
        assert list(tfd.load_all(array))
        with InProcess(models) as model:
            assert (model.predict({"x": ArrayFile(array)})["output_0"] == ARRAY).all()


def test_a_str_is_not_a_path_where_arrays_are_expected(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ARRAY)
    tfd.export(lambda x: x, tmp_path / "models", {"x": SPEC})
    with InProcess(tmp_path / "models") as model:
        for kind in (Path, OtherPath):
            path = kind(str(tmp_path / "a.npy"))
            assert (model.predict({"x": path})["output_0"] == ARRAY).all()
            assert tfd.infer(path).shape == (2, 3)
        for call in (lambda text: model.predict({"x": text}), tfd.infer):
            with pytest.raises(tfd.TfdecodeError, match=r"text|str"):
                call(str(tmp_path / "a.npy"))
    with pytest.raises(tfd.EncodeError):
        SPEC.encode(str(tmp_path / "a.npy"))
