"""warm_up: the records are requests that the model answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd

tf = pytest.importorskip("tensorflow")
prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")

from tfdecode.saved_models.warmup import ASSET  # noqa: E402

SPEC = tfd.ArraySpec((3,), "float32", codecs="zlib")
ROWS = list(np.arange(12, dtype="float32").reshape(4, 3))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tfd.export(
        lambda pose, scale: pose * scale[:, None],
        tmp_path_factory.mktemp("models"),
        inputs={"pose": SPEC, "scale": tf.TensorSpec([None], tf.float32)},
        warmup=False,
    )


def records(path: Path) -> list[dict[str, np.ndarray]]:
    written = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    logs = map(prediction_log_pb2.PredictionLog.FromString, written)
    requests = [log.predict_log.request for log in logs]
    assert {request.model_spec.signature_name for request in requests} == {"serving_default"}
    return [
        {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        for request in requests
    ]


def test_each_request_is_a_record(model: Path) -> None:
    scale = np.ones(4, "float32")
    requests = [{"pose": ROWS[:n], "scale": scale[:n]} for n in (1, 4)]
    path = tfd.warm_up(model.parent, requests)
    assert path == model / ASSET
    one, four = records(path)
    assert one["pose_bytes"].tolist() == [SPEC.encode(ROWS[0])]
    assert four["pose_bytes"].tolist() == [SPEC.encode(row) for row in ROWS]
    assert four["scale"].tolist() == scale.tolist()
    assert tfd.check(model).ok
    tfd.warm_up(model, requests[0])
    assert len(records(path)) == 1
    tfd.warm_up(model, requests[1], keep=True)
    assert [len(one["pose_bytes"]) for one in records(path)] == [1, 4]


GOOD = {"pose": ROWS[0], "scale": np.ones(1, "float32")}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([], "0 warm-up requests"),
        ([GOOD, {"pose": ROWS[0]}], "request 1: .*scale"),
        ([{**GOOD, "pose": b"bad"}], "request 0: pose_bytes: row 0"),
        ([{}] * 1001, "1001 warm-up requests, needs 1 to 1000"),
    ],
)
def test_a_request_that_fails_is_not_written(model: Path, wrong: list, words: str) -> None:
    before = tfd.warm_up(model, GOOD).read_bytes()
    with pytest.raises(tfd.ExportError, match=words):
        tfd.warm_up(model, wrong)
    assert (model / ASSET).read_bytes() == before
