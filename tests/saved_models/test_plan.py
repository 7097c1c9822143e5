"""The inputs of an export: their rows, names, structures and dtypes."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
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
