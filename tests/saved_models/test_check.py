"""check: planted faults are named, and what is sound is not accused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tfdecode.cli import main
from tfdecode.client import InProcess
from tfdecode.saved_models import op_history
from tfdecode.saved_models.protobuf import read_protobuf
from tfdecode.schema import ASSET

SPEC = tfd.ArraySpec((4, 3), "float32", "zlib")


@pytest.fixture(scope="module")
def dense() -> Any:
    return keras.Sequential([keras.Input((4, 3), name="pose"), keras.layers.Dense(2)])


@pytest.fixture(scope="module")
def good(dense: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with variables."""
    return tfd.export(dense, tmp_path_factory.mktemp("good"), inputs={"pose": SPEC})


def edited(good: Path, to: Path, edit: Callable[[Any], object]) -> Path:
    """A copy of a model whose graph is changed."""
    shutil.copytree(good, to / "model")
    model = read_protobuf(good)
    edit(model.meta_graphs[0])
    (to / "model" / "saved_model.pb").write_bytes(model.SerializeToString())
    return to / "model"


def add(op: str, function: bool = False, **types: int) -> Callable[[Any], object]:
    """An edit that adds a node."""

    def edit(meta: Any) -> None:
        graph = meta.graph_def
        nodes = graph.library.function[0].node_def if function else graph.node
        node = nodes.add(name="planted", op=op)
        for name, number in types.items():
            node.attr[name].type = number

    return edit


def on_a_gpu(meta: Any) -> None:
    meta.graph_def.node[0].device = "/device:GPU:0"


PLANTED: dict[str, tuple[Callable[[Any], object], str | None]] = {
    "SimpleMLInferenceOp, which is not a stock TensorFlow op": (
        add("SimpleMLInferenceOp", True),
        None,
    ),
    "EagerPyFunc, which needs a Python process": (add("EagerPyFunc", True), None),
    "CudnnRNNV3, which has no CPU kernel": (add("CudnnRNNV3"), None),
    "Cumsum, which has no CPU kernel for T=qint8": (add("Cumsum", T=11), None),
    "MatMul, which takes string for T never": (add("MatMul", T=7), None),
    "comes with TensorFlow 2.10": (lambda meta: None, "2.8"),
    "Transpose, which has no CPU kernel for T=uint32": (add("Transpose", T=22), "2.3"),
    "no graph has the one tag 'serve'": (lambda m: m.meta_info_def.ClearField("tags"), None),
    "'serve' that servers load, but [['gpu', 'serve']]": (
        lambda m: m.meta_info_def.tags.append("gpu"),
        None,
    ),
    "Const, which takes float8_e5m2 for dtype only from TensorFlow 2.12": (
        add("Const", dtype=24),
        "2.11",
    ),
    "TensorListGetItem, which has the attribute Tshape, which comes with TensorFlow 2.21: an": (
        add("TensorListGetItem", element_dtype=1, Tshape=9),
        "2.15",
    ),
    "Cumsum, which takes dtype 9999 for T never": (add("Cumsum", T=9999), None),
    "stands on a GPU": (on_a_gpu, None),
}


@pytest.mark.parametrize("reason", PLANTED)
def test_a_planted_fault_is_named(good: Path, reason: str, tmp_path: Path) -> None:
    edit, version = PLANTED[reason]
    report = tfd.check(edited(good, tmp_path, edit), version)
    assert not report.ok and any(reason in problem for problem in report.problems), report.problems


def test_faults_of_one_kind_share_a_sentence(good: Path, tmp_path: Path) -> None:
    def edit(meta: Any) -> None:
        for index in range(50):
            meta.graph_def.node.add(name=f"n{index}", op="Mine")

    (problem,) = tfd.check(edited(good, tmp_path, edit)).problems
    assert problem == "node n0 (and 49 more) is Mine, which is not a stock TensorFlow op"


@pytest.mark.parametrize("version", [None, "2.12", "2.15.1", "2.21"])
def test_an_export_is_sound(good: Path, version: str | None) -> None:
    assert tfd.check(good, version).problems == ()


def test_an_attribute_that_came_later_may_have_its_default(good: Path, tmp_path: Path) -> None:
    path = edited(good, tmp_path, add("TensorListGetItem", element_dtype=1, Tshape=3))
    assert tfd.check(path, "2.15").problems == ()


def test_variables_that_no_server_restores(dense: Any, tmp_path: Path) -> None:
    tf.saved_model.save(dense, str(tmp_path))
    problems = tfd.check(tmp_path).problems
    assert any("VarHandleOp, which is a variable that is never restored" in one for one in problems)


def test_a_model_whose_variables_were_left_behind(good: Path, tmp_path: Path) -> None:
    path = edited(good, tmp_path, lambda meta: None)
    shutil.rmtree(path / "variables")
    problems = tfd.check(path).problems
    assert any("is a variable but there is no variables/variables.index" in p for p in problems)


def built(path: Path, model: Callable[[], tuple[Any, Any]], train: bool = False) -> Path:
    """A SavedModel of TensorFlow 1."""
    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(path))
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.predict_signature_def(*model())
        session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
        given = {"serving_default": signature}
        builder.add_meta_graph_and_variables(session, ["serve"], given)
    if train:
        with tf.Graph().as_default():
            inputs, outputs = model()
            with tf.device("/gpu:0"):
                logged = v1.py_func(lambda y: y, [outputs["y"]], tf.float32)
            signature = v1.saved_model.predict_signature_def(inputs, {"y": logged})
            builder.add_meta_graph(["train"], {"serving_default": signature})
    builder.save()
    return path


def scaled() -> tuple[Any, Any]:
    x = tf.compat.v1.placeholder(tf.float32, [None, 2])
    return {"x": x}, {"y": x * tf.compat.v1.get_variable("w", initializer=2.0)}


def shared() -> tuple[Any, Any]:
    """Another node has the same resource as the variable."""
    inputs, outputs = scaled()
    other = tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], shared_name="w", name="other")
    read = tf.raw_ops.ReadVariableOp(resource=other, dtype=tf.float32)
    return inputs, {"y": outputs["y"] * read}


def assigned() -> tuple[Any, Any]:
    """A variable that no checkpoint has gets its value in the signature."""
    inputs, outputs = scaled()
    local = tf.compat.v1.get_local_variable("local", initializer=3.0)
    return inputs, {"y": outputs["y"] * tf.compat.v1.assign(local, 5.0)}


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("model", [scaled, shared, assigned])
def test_what_a_server_runs_is_not_accused(
    model: Callable[[], tuple[Any, Any]], train: bool, tmp_path: Path
) -> None:
    path = built(tmp_path / "model", model, train)
    assert tfd.check(path).problems == ()
    with InProcess(path) as served:
        assert served.predict({"x": np.ones((1, 2), "float32")})["y"].all()


def test_a_vocabulary_that_was_left_behind(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\n")
    line, whole = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE
    words = str(tmp_path / "words.txt")
    file = tf.lookup.TextFileInitializer(words, tf.string, whole, tf.int64, line)
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(file, -1)
    module.look = tf.function(
        lambda x: {"y": module.table.lookup(x)},
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    model = tmp_path / "model"
    tf.saved_model.save(module, str(model), signatures=module.look)
    assert tfd.check(model).problems == ()
    shutil.rmtree(model / "assets")
    assert tfd.check(model).problems == ("assets/words.txt is missing, which a server reads",)


def test_names_that_no_tensor_has(good: Path, tmp_path: Path) -> None:
    def edit(meta: Any) -> None:
        meta.graph_def.node[-1].input.append("a:b")
        meta.saver_def.restore_op_name = "x:y"
        meta.signature_def["serving_default"].outputs["z"].name = "a:b:c"

    assert not tfd.check(edited(good, tmp_path, edit)).ok  # nothing restores its variables


def test_what_a_signature_does(tmp_path: Path) -> None:
    module = tf.Module()
    module.zstd = tf.function(
        lambda x: {"y_bytes": tf.io.decode_compressed(x, "ZSTD")},
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    module.read = tf.function(
        lambda x: {"label": tf.map_fn(tf.io.read_file, x)},
        input_signature=[tf.TensorSpec([4], tf.string)],
    )
    signatures = {"serving_default": module.zstd, "read": module.read}
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    report = tfd.check(tmp_path)
    (problem,) = report.problems
    assert "ReadFile, which reads or writes a file of the server" in problem
    assert any(
        "ZSTD from TensorFlow 2.20 on" in one for one in tfd.check(tmp_path, "2.16").problems
    )
    limits = " ".join(report.limits)
    assert "string output label as text" in limits and "no batch dimension" in limits
    assert "y_bytes" not in limits


def test_a_schema_that_is_not_the_graphs(good: Path, tmp_path: Path) -> None:
    path = edited(good, tmp_path, lambda meta: None)
    tfd.Schema({"pose": tfd.ArraySpec((4, 3), "float32", "png")}).save(path / ASSET)
    (problem,) = tfd.check(path).problems
    assert "tfdecode.json is another schema than the graph's" in problem
    (path / ASSET).write_text("{}")
    (problem,) = tfd.check(path).problems
    assert "tfdecode.json is no schema" in problem


def test_a_protobuf_in_text(good: Path, tmp_path: Path) -> None:
    path = edited(good, tmp_path, lambda meta: None)
    (path / "saved_model.pb").unlink()
    (path / "saved_model.pbtxt").write_text(str(read_protobuf(good)))
    assert tfd.check(path).ops == tfd.check(good).ops
    (path / "saved_model.pbtxt").write_text("nonsense {")
    with pytest.raises(tfd.FileError, match="damaged"):
        tfd.check(path)


@pytest.mark.parametrize("version", ["3.0", "2.2", "new"])
def test_a_version_that_is_not_known(good: Path, version: str) -> None:
    with pytest.raises(tfd.SpecError, match=r"is not known; known are 2\.3 to 2\.21"):
        tfd.check(good, version)


def test_the_table_has_this_tensorflow() -> None:
    """The ops of this release are those of its column, if the table has one."""
    from tensorflow.python.framework import op_def_registry

    version = ".".join(tf.__version__.split(".")[:2])
    table = op_history.history()
    if version not in table["versions"]:
        pytest.skip(f"the table ends with {table['versions'][-1]}")
    at = table["versions"].index(version)
    listed = {op for op, entry in table["ops"].items() if op_history.within(entry["in"], at)}
    assert len(listed) > 1000 and all(op_def_registry.get(op) for op in listed)


def test_the_command(good: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["check", str(good)]) == 0
    out = capsys.readouterr().out
    assert (
        "all stock" in out and "; --mask of wrap and convert, in Python on_invalid='mask'," in out
    )
    assert main(["check", str(good), "--tensorflow", "2.21"]) == 0
    assert "all stock in TensorFlow 2.21\n" in capsys.readouterr().out
    path = edited(good, tmp_path, add("EagerPyFunc", True))
    assert main(["check", str(path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"] and "EagerPyFunc" in report["problems"][0]
    assert main(["check", str(good), "--tensorflow", "2.8"]) == 1
    assert "comes with TensorFlow 2.10" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "gone")]) == 1
