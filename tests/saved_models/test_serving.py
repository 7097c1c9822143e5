"""Exports on a busy server: merged batches, inputs of any shape, warm-up, what it cannot do."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tfdecode.saved_models.session import ServingSession
from tfdecode.saved_models.warmup import ASSET as WARMUP
from tfdecode.saved_models.warmup import prediction_log

SPEC = tfd.ArraySpec((2, 3), "float32", codecs="zlib")
ARRAYS = np.arange(48, dtype=np.float32).reshape(8, 2, 3)
PAYLOADS = [SPEC.encode(x) for x in ARRAYS]
NEEDS_BATCH = "independent_rows=False"


def double(pose: Any) -> dict[str, Any]:
    return {"y": pose * 2}


def as_a_server_feeds(session: ServingSession, signature: str, feeds: dict[str, Any]) -> Any:
    """The first output. Unlike ``Session.run``, servers compare no shape with the signature."""
    inputs, outputs = session.signatures[signature]
    from tensorflow.core.protobuf.config_pb2 import CallableOptions

    call = CallableOptions(
        feed=[inputs[key].name for key in feeds], fetch=[next(iter(outputs.values())).name]
    )
    return session.session._make_callable_from_options(call)(*feeds.values())[0]


@pytest.fixture(scope="module", params=["error", "mask"])
def merged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A session of a model that decodes four rows at a time and takes twelve."""
    on_invalid = request.param
    path = tfd.export(
        double,
        tmp_path_factory.mktemp(on_invalid),
        inputs={"pose": SPEC},
        on_invalid=on_invalid,
        max_rows=4,
        max_batch_size=12,
    )
    with ServingSession(path) as session:
        yield on_invalid, session


def test_requests_that_a_server_merged_are_all_answered(merged: Any) -> None:
    on_invalid, session = merged
    for count in (1, 4, 5, 8):
        answer = session.run("serving_default", {"pose_bytes": PAYLOADS[:count]})
        assert answer["y"].tobytes() == (ARRAYS[:count] * 2).tobytes()
        assert on_invalid == "error" or answer["status"].tolist() == [0] * count


def test_a_bad_row_of_a_merged_batch_is_named_or_masked(merged: Any) -> None:
    on_invalid, session = merged
    rows = {"pose_bytes": [*PAYLOADS[:6], b"abc", PAYLOADS[7]]}
    if on_invalid == "error":
        message = r"pose_bytes: row 6 has 3 bytes, .* \(in a batch of 8 rows, which may be of sev"
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            session.run("serving_default", rows)
        return
    answer = session.run("serving_default", rows)
    assert answer["status"].tolist() == [0, 0, 0, 0, 0, 0, 1, 0]
    expected = ARRAYS * 2
    expected[6] = 0
    assert answer["y"].tobytes() == expected.tobytes()


def test_a_batch_above_its_limit_is_refused_before_it_is_decoded(merged: Any) -> None:
    _, session = merged
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"batch has 13 rows, .* at most 12"):
        session.run("serving_default", {"pose_bytes": [b""] * 13})


@pytest.mark.parametrize(
    ("signature", "key", "value", "message"),
    [
        ("serving_default", "pose_bytes", np.array(b"abc", object), r"has shape \[\], needs"),
        ("serving_default", "pose_bytes", np.array([[b"a"]], object), r"has shape \[1, 1\], needs"),
        ("arrays", "pose", np.ones((1, 3, 2), "f4"), r"shape \[1, 3, 2\], needs \[B, 2, 3\]"),
        ("arrays", "pose", np.ones((2, 3), "f4"), r"shape \[2, 3\], needs \[B, 2, 3\]"),
        ("arrays", "pose", np.ones((2, 3, 1, 2), "f4"), r"needs \[B, 2, 3\]"),
    ],
)
def test_an_input_of_another_shape_is_named(
    signature: str, key: str, value: Any, message: str, merged: Any
) -> None:
    _, session = merged
    good = np.array(PAYLOADS[:1], object) if signature == "serving_default" else ARRAYS[:1]
    assert as_a_server_feeds(session, signature, {key: good}).shape[0] == 1
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{key}: .*{message}"):
        as_a_server_feeds(session, signature, {key: value})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda pose: pose - tf.reduce_mean(pose, 0), "otherwise than alone"),
        (lambda pose: tf.reduce_sum(pose, 0, keepdims=True), r"has shape \[1, 2, 3\] for a batch"),
        (lambda pose: tf.reshape(pose, [1, 6]), "answers one row, but not two"),
        (lambda pose: tf.argsort(tf.argsort(pose, 0), 0), "otherwise than alone"),
    ],
    ids=["mean of the batch", "sum of the batch", "one row", "order in the batch"],
)
def test_a_model_that_mixes_rows_is_refused_unless_asked_for(
    model: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(tfd.ExportError, match=f"{message}.*{NEEDS_BATCH}"):
        tfd.export(model, tmp_path, inputs={"pose": SPEC})
    assert not list(tmp_path.iterdir())
    assert tfd.export(model, tmp_path, inputs={"pose": SPEC}, independent_rows=False).name == "1"


def test_a_random_output_is_not_compared(tmp_path: Path) -> None:
    tfd.export(lambda pose: pose + tf.random.uniform([]), tmp_path, inputs={"pose": SPEC})


@pytest.mark.parametrize(
    ("chain", "dtype"),
    [("sparse:-1", "float32"), ("onehot|raw", "float16")],
)
def test_a_chain_that_carries_no_zeros_needs_no_sample(
    chain: str, dtype: str, tmp_path: Path
) -> None:
    spec = tfd.ArraySpec((40, 4), dtype, chain)
    model = lambda pose: pose - tf.reduce_max(pose, 0)  # noqa: E731
    with pytest.raises(tfd.ExportError, match="otherwise than alone"):
        tfd.export(model, tmp_path, inputs={"pose": spec})
    tfd.export(double, tmp_path, inputs={"pose": spec})


def records(version: Path) -> list[bytes]:
    return [record.numpy() for record in tf.data.TFRecordDataset(str(version / WARMUP))]


def test_a_server_warms_up_on_the_sample_or_on_examples(tmp_path: Path) -> None:
    version = tfd.export(double, tmp_path, inputs={"pose": SPEC}, sample={"pose": ARRAYS[1]})
    feed = {"pose_bytes": [PAYLOADS[1]]}
    assert records(version) == [prediction_log("serving_default", feed)]
    version = tfd.export(
        double, tmp_path, inputs={"pose": SPEC}, signature="s", warmup=[{"pose": x} for x in ARRAYS]
    )
    assert records(version) == [prediction_log("s", {"pose_bytes": [p]}) for p in PAYLOADS]
    version = tfd.export(double, tmp_path, inputs={"pose": SPEC}, warmup=False)
    assert not (version / WARMUP).exists()


def test_a_warmup_record_is_the_message_of_the_server() -> None:
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    batch = np.zeros((1, 300), "f4")
    record = prediction_log("s", {"a_bytes": [b"x" * 200], "b": batch})
    log = prediction_log_pb2.PredictionLog.FromString(record)
    request = log.predict_log.request
    assert request.model_spec.signature_name == "s"
    assert tf.make_ndarray(request.inputs["a_bytes"]).tolist() == [b"x" * 200]
    assert (tf.make_ndarray(request.inputs["b"]) == batch).all()


def test_an_example_that_the_model_refuses_is_no_warmup_record(tmp_path: Path) -> None:
    def model(pose: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_less(pose, 40.0)]):
            return tf.identity(pose)

    with pytest.raises(tfd.ExportError, match=r"example of warmup=: .*x < y"):
        tfd.export(model, tmp_path, inputs={"pose": SPEC}, warmup=[{"pose": x} for x in ARRAYS])
    for wrong in ([{"other": ARRAYS[0]}], [ARRAYS[0]], [{"pose": ARRAYS}]):
        with pytest.raises(tfd.ExportError, match="warmup"):
            tfd.export(model, tmp_path, inputs={"pose": SPEC}, warmup=wrong)
    assert not list(tmp_path.iterdir())


def test_a_signature_of_serialized_examples_is_exported_too(tmp_path: Path) -> None:
    schema = tfd.Schema({"pose": SPEC})

    def model(examples: Any) -> Any:
        features = tf.io.parse_example(examples, schema.feature_spec())
        return schema.decode_tensors(features)["pose"] * 2

    value = tf.train.BytesList(value=PAYLOADS[1:2])
    features = tf.train.Features(feature={"pose_bytes": tf.train.Feature(bytes_list=value)})
    example = tf.train.Example(features=features).SerializeToString()
    inputs = {"examples": tf.TensorSpec([None], tf.string)}
    version = tfd.export(model, tmp_path, inputs=inputs, sample={"examples": example})
    with ServingSession(version) as session:
        answer = session.run("serving_default", {"examples": [example] * 2})["output_0"]
    assert answer.tobytes() == np.stack([ARRAYS[1] * 2] * 2).tobytes()


def test_what_the_json_of_the_server_lacks_is_told(tmp_path: Path) -> None:
    depth = tfd.ArraySpec((4,), "uint16")
    model = lambda depth: {"half": tf.cast(depth, tf.float16)}  # noqa: E731
    with pytest.warns(UserWarning) as told:
        version = tfd.export(model, tmp_path, inputs={"depth": depth})
    said = [str(one.message) for one in told]
    depth_in, half_out = said  # a line each, with all signatures
    assert depth_in.startswith("signature arrays: REST cannot carry input depth, as JSON has no ui")
    assert half_out.startswith("signatures arrays and serving_default: REST cannot carry output h")
    assert half_out.endswith("give it an ArraySpec in outputs=")
    assert "input depth" in str(tfd.check(version))


def test_an_input_without_a_batch_dimension_is_told(tmp_path: Path) -> None:
    def model(pose: Any, training: Any) -> Any:
        return tf.cond(training, lambda: pose * 2, lambda: pose)

    inputs = {"pose": SPEC, "training": tf.TensorSpec([], tf.bool)}
    with pytest.warns(UserWarning, match="input training has no batch dimension .*; make it a c"):
        tfd.export(model, tmp_path, inputs=inputs)


def test_check_tells_how_a_bad_row_ends(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for on_invalid in ("error", "mask"):
            version = tfd.export(double, tmp_path, inputs={"pose": SPEC}, on_invalid=on_invalid)
            told = "a bad row fails its whole batch" in str(tfd.check(version))
            assert told == (on_invalid == "error")


def test_a_report_of_a_strange_model_is_short_and_printable(tmp_path: Path) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel()
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    for index in range(100):
        graph.graph_def.node.add(name=f"{index}\x1b[2J\n" + "x" * 10_000, op="PyFunc\x1b")
    graph.signature_def["s\x1b"].inputs["i\x1b"].dtype = 17
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    report = tfd.check(tmp_path)
    assert not report.ok and len(report.problems) == 1  # of one kind
    assert str(report).isprintable() and len(str(report)) < 10_000
    assert "(and 99 more)" in str(report)


def test_a_model_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "saved_model.pb")
    with pytest.raises(tfd.FileError, match="regular file"):
        tfd.check(tmp_path)


KILLED = """
import os, pathlib, sys, time
from tfdecode.saved_models.publish import workspace
with workspace(pathlib.Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


def test_the_next_export_sweeps_what_killed_ones_left(tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(tmp_path)]
    others = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    made = [Path((one.stdout or sys.stdin).readline().strip()) for one in others]
    (made[0] / "model").mkdir()
    others[0].kill()
    others[0].wait()
    tfd.export(double, tmp_path, inputs={"pose": SPEC})
    assert {path.name for path in tmp_path.iterdir()} == {"1", made[1].name}
    others[1].kill()
    others[1].wait()


def test_versions_are_those_that_servers_read(tmp_path: Path) -> None:
    last = 2**63 - 1
    with pytest.raises(tfd.ExportError, match="version is 9223372036854775808, needs"):
        tfd.export(double, tmp_path, inputs={"pose": SPEC}, version=2**63)
    assert tfd.export(double, tmp_path, inputs={"pose": SPEC}, version=last).name == str(last)
    with pytest.raises(tfd.ExportError, match="the last that servers read"):
        tfd.export(double, tmp_path, inputs={"pose": SPEC})
