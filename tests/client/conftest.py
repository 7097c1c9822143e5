"""The model that the tests of clients ask, and its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tfdecode as tfd

from .common import INPUTS, POSE, SIZE


def answer(pose: Any, size: Any, word: Any, weight: Any) -> dict[str, Any]:
    import tensorflow as tf

    return {
        "sum": tf.reduce_sum(pose, [1, 2]) * weight,
        "size": tf.cast(size, tf.int32),
        "word_bytes": word,
        "pose": pose,
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tf = pytest.importorskip("tensorflow")
    inputs = {
        "pose": POSE,
        "size": SIZE,
        "word": tf.TensorSpec([None], tf.string),
        "weight": tf.TensorSpec([None], tf.float32),
    }
    return tfd.export(
        answer, tmp_path_factory.mktemp("models"), inputs=inputs, arrays_signature=None
    )


@pytest.fixture(scope="module")
def expected(model: Path) -> dict[str, Any]:
    from tfdecode.client import InProcess

    with InProcess(model) as process:
        return process.predict(INPUTS)
