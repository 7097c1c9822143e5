"""Outputs as payloads: what a server sends decodes to the answer, whatever its values are."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tfdecode.client import InProcess, response
from tfdecode.saved_models.session import ServingSession

SPEC = tfd.ArraySpec((40, 30), "float32", "zlib")
OUTPUTS = {
    "mask": tfd.ArraySpec((40, 30), "bool", "packbits|png or raw"),
    "label": tfd.ArraySpec((40, 30), "float32", "astype:uint8|zlib_bounded or raw"),
    "heat": tfd.ArraySpec((40, 30), "float16", "shuffle|zlib_bounded or raw"),
}
ONE = np.arange(1200, dtype="f4").reshape(40, 30) // 300
ROWS = np.stack([ONE, -ONE, np.where(ONE > 1, np.nan, -0.0).astype("f4"), ONE + 0.5])


def model(x: Any) -> dict[str, Any]:
    return {"mask": x > 1, "label": x, "heat": tf.cast(tf.math.log(x), tf.float16)}


def check(found: dict[str, np.ndarray]) -> None:
    for name, expected in model(tf.constant(ROWS)).items():
        got, wanted = found[name], expected.numpy()
        assert (got.dtype, got.shape, got.tobytes()) == (
            wanted.dtype,
            wanted.shape,
            wanted.tobytes(),
        )


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    return tfd.export(model, models, inputs={"x": SPEC}, outputs=OUTPUTS, arrays_signature=None)


def test_clients_decode_every_answer_bit_for_bit(version: Path) -> None:
    schema = tfd.Schema.load(version)
    assert schema.outputs == OUTPUTS
    with InProcess(version) as served:
        check(served.predict({"x": list(ROWS)}))
    with ServingSession(version) as session:
        answer = session.run("serving_default", {"x_bytes": [SPEC.encode(row) for row in ROWS]})
    columns = {key: [b64(payload) for payload in rows] for key, rows in answer.items()}
    check(response(schema, json.dumps({"outputs": columns}).encode()))
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    check(response(schema, json.dumps({"predictions": rows}).encode()))


def b64(payload: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(payload).decode()}


SINGLE = tfd.ArraySpec((3,), "float32", "astype:uint8|seal")
VALUES = np.float32([[1, 2, 3], [4, 5, 6.5], [7, 8, 9]])
INPUT = tfd.ArraySpec((3,), "float32")


def export(directory: Path, on_invalid: Any) -> Path:
    with pytest.warns(UserWarning, match=r"output y: 'astype:uint8.* carries only .* or raw' carr"):
        return tfd.export(
            lambda x: {"y": x},
            directory,
            inputs={"x": INPUT},
            outputs={"y": SINGLE},
            on_invalid=on_invalid,
        )


def test_an_answer_that_its_chain_cannot_carry_is_named(tmp_path: Path) -> None:
    expected = pytest.raises(
        tfd.TfdecodeError, match=r"y_bytes: row 1 has 1 values .* or raw carries all"
    )
    with InProcess(export(tmp_path, "error")) as served, expected:
        served.predict({"x": list(VALUES)})


def check_masked(served: InProcess, signature: str) -> None:
    payloads = [INPUT.encode(row) for row in VALUES]
    with ServingSession(served.directory) as session:
        answer = session.run(signature, {"x_bytes": [*payloads, b"short"]})
    status = [0, int(tfd.Status.VALUE), 0, int(tfd.Status.LENGTH)]
    assert answer["status"].tolist() == status
    arrays = [SINGLE.decode(payload) for payload in answer["y_bytes"]]
    assert [arrays[0].tolist(), arrays[2].tolist()] == [[1, 2, 3], [7, 8, 9]]


def test_with_mask_the_other_rows_are_answered(tmp_path: Path) -> None:
    with InProcess(export(tmp_path, "mask")) as served:
        check_masked(served, "serving_default")


def test_a_wrapped_model_answers_in_the_same_way(tmp_path: Path) -> None:
    module = tf.Module()
    batch = tf.TensorSpec([None, 3], tf.float32, name="x")
    module.serve = tf.function(lambda x: {"y": x}, input_signature=[batch])
    tf.saved_model.save(module, str(tmp_path / "theirs"), module.serve)
    for on_invalid in ("error", "mask"):
        with pytest.warns(UserWarning, match="output y: 'astype:uint8"):
            version = tfd.wrap(
                tmp_path / "theirs",
                tmp_path / on_invalid,
                inputs={"x": INPUT},
                outputs={"y": SINGLE},
                on_invalid=on_invalid,
            )
        with InProcess(version, "bytes") as served:
            if on_invalid == "mask":
                check_masked(served, "bytes")
            else:
                with pytest.raises(tfd.TfdecodeError, match="y_bytes: row 1 has 1 values"):
                    served.predict({"x": list(VALUES)})
