"""What convert takes of a source besides its graph: tables, files, variables of any collection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.cli import main

tf = pytest.importorskip("tensorflow")
from tfdecode.saved_models.session import ServingSession  # noqa: E402
from tfdecode.saved_models.sources import read_source  # noqa: E402
from tfdecode.saved_models.suggest import suggest  # noqa: E402

v1 = tf.compat.v1
GIVEN: dict[str, Any] = {"inputs": {"x": "x:0"}, "outputs": {"y": "y:0"}}


def answer(path: Path, x: Any) -> list[Any]:
    with ServingSession(path) as session:
        answers: list[Any] = session.run("serving_default", {"x": x})["y"].tolist()
    return answers


def test_a_table_that_training_filled_is_served_with_its_contents(tmp_path: Path) -> None:
    kinds = tf.lookup.experimental
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.int64, [None], name="x")
        plain = kinds.MutableHashTable(tf.int64, tf.float32, -1.0, name="plain")
        dense = kinds.DenseHashTable(tf.int64, tf.float32, 0.0, -5, -6, name="dense")
        tf.add(plain.lookup(x), dense.lookup(x), name="y")
        for table in (plain, dense):
            session.run(table.insert(tf.constant([1, 2], tf.int64), tf.constant([10.0, 20.0])))
        v1.train.Saver().save(session, str(tmp_path / "model"))
        for source in (session, tmp_path / "model"):
            path = tfd.convert(source, tmp_path / "models", **GIVEN)
            assert answer(path, [2, 3]) == [40.0, -1.0]
        frozen = session.graph.as_graph_def()
    (tmp_path / "frozen.pb").write_bytes(frozen.SerializeToString())
    with pytest.raises(tfd.ExportError, match="table plain, whose contents are not in a frozen"):
        tfd.convert(tmp_path / "frozen.pb", tmp_path / "models", **GIVEN)


def test_a_table_that_the_checkpoint_lacks(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.int64, [None], name="x")
        w = v1.get_variable("w", initializer=1.0)
        table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, -1.0, name="table")
        tf.add(table.lookup(x), w, name="y")
        session.run(v1.global_variables_initializer())
        v1.train.Saver([w]).save(session, str(tmp_path / "model"))
    with pytest.raises(tfd.ExportError, match="no contents of the table table: look"):
        tfd.convert(tmp_path / "model", tmp_path / "models", **GIVEN)


def test_files_from_elsewhere_are_not_published(tmp_path: Path, capsys: Any) -> None:
    """A graph of somebody else could name /etc/passwd."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "words").mkdir()
    words = tmp_path / "words" / "words.txt"
    words.write_text("a\nb\n")
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.string, [None], name="x")
        line, whole = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE
        file = tf.lookup.TextFileInitializer(str(words), tf.string, whole, tf.int64, line)
        tf.identity(tf.lookup.StaticHashTable(file, -1).lookup(x), name="y")
        model = tmp_path / "theirs" / "frozen.pb"
        model.write_bytes(session.graph.as_graph_def().SerializeToString())
        assert answer(tfd.convert(session, tmp_path / "ours", **GIVEN), [b"b"]) == [1]
    command = ["convert", str(model), str(tmp_path / "m"), "--input", "x=x:0", "--output", "y=y:0"]
    assert main(command) == 1
    assert f"which is not in {tmp_path / 'theirs'}" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
    (tmp_path / "theirs" / "link").symlink_to(words.parent)  # a link leads out as well
    assert main([*command, "--assets", str(tmp_path / "theirs")]) == 1
    assert main([*command, "--assets", str(words.parent)]) == 0
    assert answer(tmp_path / "m" / "1", [b"b"]) == [1]


@pytest.mark.parametrize("resource", [True, False])
def test_a_variable_in_a_collection_of_its_own(tmp_path: Path, resource: bool) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        w = v1.get_variable("w", initializer=3.0, collections=["mine"], use_resource=resource)
        v1.add_to_collection("mine", "a note")
        tf.multiply(x, w, name="y")
        session.run(w.initializer)
        v1.train.Saver([w]).save(session, str(tmp_path / "model"))
        for source in (session, tmp_path / "model"):
            path = tfd.convert(source, tmp_path / "models", **GIVEN)
            assert answer(path, np.float32([2])) == [6.0]


def test_what_a_loss_takes_is_suggested(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        labels = v1.placeholder(tf.int32, [None], name="labels")
        keep = v1.placeholder(tf.float32, [], name="keep")
        h = tf.matmul(x, v1.get_variable("w", [4, 3])) * keep
        logits = tf.identity(h + v1.get_variable("b", [3]), name="logits")
        tf.argmax(logits, 1, name="class")
        with tf.name_scope("train"):
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(loss, name="loss")
            v1.train.AdamOptimizer().minimize(loss)
        inputs, outputs = suggest(read_source(session).graph)
    assert inputs == ["x:0", "labels:0", "keep:0"]
    assert outputs == ["logits:0", "class:0", "train/loss:0"]
