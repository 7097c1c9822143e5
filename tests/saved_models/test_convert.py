"""convert: the answers of the graph that trained, bit for bit, from whatever it was kept in."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import variable_pb2

import tfdecode as tfd
from tfdecode.cli import main
from tfdecode.client import InProcess
from tfdecode.saved_models.protobuf import read_protobuf

v1 = tf.compat.v1
RNG = np.random.default_rng(11)
X = RNG.standard_normal((3, 6, 3)).astype("float32")
SPEC = tfd.ArraySpec((6, 3), "float32", "zlib")
OUTPUTS = {"probs": "probs:0", "ids": "encode_ids:0", "label": "label:0"}
CONSTANTS = {"keep_prob:0": 1.0}


def build(vocabulary: Path, pipeline: str = "placeholder") -> Any:
    """What training leaves: loops, conditions, variables of all kinds, tables, Adam, Python."""
    shape = [None, 6, 3]
    if pipeline == "placeholder":
        x = v1.placeholder(tf.float32, shape, name="pose")
    elif pipeline == "queue":
        x = v1.train.batch([tf.constant(X[0])], 2, name="batch")
    elif pipeline == "iterator":
        data = tf.data.Dataset.from_tensor_slices(X).batch(2)
        x = v1.data.make_initializable_iterator(data).get_next()
    else:
        raw = v1.placeholder(tf.float32, shape, name="pose")
        x = v1.py_func(lambda a: a * 2, [raw], tf.float32, name="augment")
        x.set_shape(shape)
    keep = v1.placeholder(tf.float32, [], name="keep_prob")
    training = v1.placeholder_with_default(False, [], name="is_training")
    parts = v1.fixed_size_partitioner(2)
    with v1.variable_scope("m", partitioner=parts, use_resource=False):
        split = v1.get_variable("W", [4, 3], initializer=v1.random_normal_initializer(seed=3))
    bias = v1.get_variable("r", initializer=X[0, 0], use_resource=True)
    weight = tf.convert_to_tensor(split)[:3]
    _, h = tf.while_loop(
        lambda i, h: i < 6,
        lambda i, h: (i + 1, tf.tanh(tf.matmul(h + x[:, i], weight))),
        [0, tf.zeros_like(x[:, 0])],
    )
    h = tf.cond(training, lambda: h / keep, lambda: h * 1.0)
    h = tf.nn.dropout(h, rate=1 - keep)
    ids = tf.argmax(h + bias, 1, name="encode_ids")
    tf.nn.softmax(h + bias, name="probs")
    words = tf.lookup.TextFileInitializer(
        str(vocabulary),
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
    )
    tf.identity(tf.lookup.StaticHashTable(words, "?").lookup(ids), name="label")
    loss = tf.reduce_mean(h)
    v1.train.AdamOptimizer().minimize(loss, v1.train.get_or_create_global_step())
    v1.py_func(lambda a: a, [loss], tf.float32, name="log")
    return x


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Checkpoints, a frozen graph and a session of one model, and its answers."""
    folder = tmp_path_factory.mktemp("trained")
    words = folder / "words.txt"
    words.write_text("a\nb\nc\n")
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            build(words)
            session = v1.Session()
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            v1.train.Saver().save(session, str(folder / "model"), global_step=7)
            v1.train.Saver(sharded=True).save(session, str(folder / "sharded"))
        for pipeline in ("queue", "iterator", "python"):
            with tf.Graph().as_default(), v1.Session() as other:
                build(words, pipeline)
                other.run(v1.global_variables_initializer())
                v1.train.Saver().save(other, str(folder / pipeline))
    finally:
        v1.enable_control_flow_v2()
    meta = tf.compat.v1.MetaGraphDef.FromString((folder / "model-7.meta").read_bytes())
    for node in meta.graph_def.node:
        node.device = "/job:worker/task:3/device:GPU:1"
    (folder / "model-7.meta").write_bytes(meta.SerializeToString())
    frozen = v1.graph_util.convert_variables_to_constants(
        session, graph.as_graph_def(), ["probs", "encode_ids"]
    )
    (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
    (folder / "frozen.pbtxt").write_text(str(frozen))
    graph.finalize()
    answers = session.run(OUTPUTS, {"pose:0": X, "keep_prob:0": 1.0})
    yield SimpleNamespace(folder=folder, session=session, answers=answers)
    session.close()


def nodes(path: Path) -> list[Any]:
    (meta,) = read_protobuf(path).meta_graphs
    return list(meta.graph_def.node)


@pytest.mark.parametrize(
    "source", ["model-7", "model-7.meta", "sharded", "session", "frozen.pb", "frozen.pbtxt"]
)
def test_the_answers_are_those_of_the_graph(
    trained: SimpleNamespace, source: str, tmp_path: Path
) -> None:
    given = trained.session if source == "session" else trained.folder / source
    frozen = source.startswith("frozen")
    outputs = {n: o for n, o in OUTPUTS.items() if not (frozen and n == "label")}
    packed = frozen or source == "session"
    pose = ("pose:0", SPEC) if packed else "pose:0"
    path = tfd.convert(given, tmp_path, {"pose": pose}, outputs, constants=CONSTANTS)
    assert tfd.check(path).ok and not any("GPU" in node.device for node in nodes(path))
    with InProcess(path) as model:
        got = model.predict({"pose": list(X) if packed else X})
    assert got.keys() == outputs.keys()
    for name, value in got.items():
        expected = trained.answers[name]
        assert value.tolist() == expected.tolist() and value.dtype == expected.dtype, name


def test_only_what_serves_is_taken(trained: SimpleNamespace, tmp_path: Path) -> None:
    before = len(trained.session.graph.get_operations())
    path = tfd.convert(trained.session, tmp_path, {"pose": "pose:0"}, OUTPUTS, constants=CONSTANTS)
    ops = {node.op for node in nodes(path)}
    assert not ops & {"ApplyAdam", "ResourceApplyAdam", "PyFunc", "PyFuncStateless"}
    names = {name for name, _ in tf.train.list_variables(str(path / "variables" / "variables"))}
    assert names == {"m/W", "r"}
    assert [one.name for one in (path / "assets").iterdir()] == ["words.txt"]
    assert len(trained.session.graph.get_operations()) == before


@pytest.mark.parametrize(
    ("source", "at"),
    [("queue", "batch:0"), ("iterator", "IteratorGetNext:0"), ("python", "augment:0")],
)
def test_a_pipeline_is_cut_off(
    trained: SimpleNamespace, source: str, at: str, tmp_path: Path
) -> None:
    given = trained.folder / source
    with pytest.raises(tfd.ExportError, match=at):
        tfd.convert(given, tmp_path, {}, OUTPUTS, constants=CONSTANTS)
    inputs = {"pose": (at, tf.TensorSpec([None, 6, 3], tf.float32))}
    path = tfd.convert(given, tmp_path, inputs, {"probs": "probs:0"}, constants=CONSTANTS)
    with InProcess(path) as model:
        assert model.predict({"pose": X[:2]})["probs"].shape == (2, 3)


WRONG: dict[str, tuple[type, dict[str, Any]]] = {
    "encode_idz:0.*did you mean 'encode_ids:0'": (
        tfd.ExportError,
        {"outputs": {"ids": "encode_idz:0"}},
    ),
    "poes:0.*did you mean 'pose:0'": (tfd.ExportError, {"inputs": {"pose": "poes:0"}}),
    "also need keep_prob:0.*constants=": (tfd.ExportError, {"constants": {}}),
    "has dtype float64, but pose:0 has float32": (
        tfd.ExportError,
        {"inputs": {"pose": ("pose:0", tfd.ArraySpec((6, 3), "float64"))}},
    ),
    "IteratorGetNext:0.*does not say its shape": (
        tfd.ExportError,
        {"source": "iterator", "inputs": {"pose": "IteratorGetNext:0"}},
    ),
    "outputs is empty": (tfd.ExportError, {"outputs": {}}),
    "inputs is empty": (
        tfd.ExportError,
        {"inputs": {}, "constants": {**CONSTANTS, "pose:0": X}},
    ),
    "nothing.meta": (tfd.FileError, {"source": "nothing"}),
    "alone.index: no such file": (tfd.FileError, {"source": "alone"}),
    "words.pb: is not a GraphDef": (tfd.FileError, {"source": "words.pb"}),
    "is a directory: .*a checkpoint by its prefix": (tfd.ExportError, {"source": "."}),
    "it is not frozen": (tfd.ExportError, {"source": "live.pb"}),
    "is bytes, needs the name of a tensor": (tfd.ExportError, {"inputs": {"pose": b"pose:0"}}),
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_mistake_is_told_in_a_sentence(
    trained: SimpleNamespace, reason: str, tmp_path: Path
) -> None:
    folder = trained.folder
    (folder / "alone.meta").write_bytes((folder / "model-7.meta").read_bytes())
    (folder / "words.pb").write_text("words")
    live = trained.session.graph.as_graph_def().SerializeToString()
    (folder / "live.pb").write_bytes(live)
    kind, changed = WRONG[reason]
    given: dict[str, Any] = {
        "inputs": {"pose": "pose:0"},
        "outputs": OUTPUTS,
        "constants": CONSTANTS,
    }
    given |= changed
    source = folder / given.pop("source", "model-7")
    with pytest.raises(kind, match=reason) as error:
        tfd.convert(source, tmp_path / "models", **given)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def small() -> Any:
    """y = x * w * rate."""
    x = v1.placeholder(tf.float32, [None, 2], name="x")
    weight = v1.get_variable("w", initializer=2.0)
    rate = v1.placeholder_with_default(0.5, [], name="rate")
    return tf.multiply(tf.identity(x, name="same") * weight, rate, name="y")


GIVEN: dict[str, Any] = {"inputs": {"x": "x:0"}, "outputs": {"y": "y:0"}}


def test_a_constant_gets_the_dtype_of_its_tensor(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        small()
        session.run(v1.global_variables_initializer())
        path = tfd.convert(session, tmp_path, **GIVEN, constants={"rate:0": 3})
        with pytest.raises(tfd.ExportError, match="the constant for rate does not fit"):
            tfd.convert(session, tmp_path, **GIVEN, constants={"rate:0": "a"})
    with InProcess(path) as model:
        assert model.predict({"x": np.ones((1, 2), "float32")})["y"].tolist() == [[6, 6]]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"sample": {"x": np.zeros((7, 7))}}, r"sample of x has shape \[7, 7\], needs \[2\]"),
        ({"sample": {"z": np.zeros(2)}}, "sample has no input 'z'; the inputs are x"),
        (
            {"inputs": {"x": ("same:0", tf.TensorSpec([None, 2], tf.float64))}},
            "has dtype float64, but same:0 has float32",
        ),
        (
            {"inputs": {"x": ("x:0", tf.TensorSpec([None, 5, 7], tf.float32))}},
            r"has shape \(None, 5, 7\), but x:0 has \(None, 2\)",
        ),
        ({"inputs": {"x": "x:q"}}, "no tensor 'x:q'"),
    ],
)
def test_what_does_not_fit_the_graph(changed: Any, reason: str, tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        small()
        session.run(v1.global_variables_initializer())
        with pytest.raises(tfd.ExportError, match=reason):
            tfd.convert(session, tmp_path, **{**GIVEN, **changed})


def test_a_session_without_values(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        small()
        with pytest.raises(tfd.ExportError, match="no values for its variables"):
            tfd.convert(session, tmp_path, **GIVEN)


def test_a_placeholder_may_not_say_its_shape(tmp_path: Path) -> None:
    """The default of the attribute is an unknown rank, not a scalar."""
    with tf.Graph().as_default() as graph:
        tf.identity(v1.placeholder(tf.float32, [None, 2], name="x"), name="y")
    frozen = graph.as_graph_def()
    del frozen.node[0].attr["shape"]
    (tmp_path / "frozen.pb").write_bytes(frozen.SerializeToString())
    with pytest.raises(tfd.ExportError, match="x:0 does not say its shape"):
        tfd.convert(tmp_path / "frozen.pb", tmp_path / "models", **GIVEN)
    inputs = {"x": ("x:0", tf.TensorSpec([None, 2], tf.float32))}
    assert tfd.convert(tmp_path / "frozen.pb", tmp_path / "models", inputs, {"y": "y:0"}).exists()


def test_it_builds_beside_the_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of temporary files may be full, and a rename stays within one file system."""
    places = []
    make = tempfile.mkdtemp
    monkeypatch.setattr(
        tempfile, "mkdtemp", lambda **given: (places.append(given.get("dir")), make(**given))[1]
    )
    with tf.Graph().as_default(), v1.Session() as session:
        tf.identity(v1.placeholder(tf.float32, [None, 2], name="x"), name="y")
        inputs = {"x": ("x:0", tfd.ArraySpec((2,), "float32"))}
        made = tfd.convert(session, tmp_path / "models", inputs, {"y": "y:0"})
    assert set(places) == {tmp_path / "models"} and list(made.parent.iterdir()) == [made]


def test_the_two_signatures_have_two_names(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        tf.identity(v1.placeholder(tf.float32, [None, 2], name="x"), name="y")
        inputs = {"x": ("x:0", tfd.ArraySpec((2,), "float32"))}
        with pytest.raises(tfd.ExportError, match=r"^'arrays' is the signature of arrays"):
            tfd.convert(session, tmp_path / "m", inputs, {"y": "y:0"}, signature="arrays")
    assert not (tmp_path / "m").exists()


def test_an_array_file_takes_the_dtype_of_the_model(tmp_path: Path) -> None:
    """Also if the graph does not say the shape, and of a Keras file."""
    import keras

    with tf.Graph().as_default() as graph:
        tf.identity(v1.placeholder(tf.float32, name="x"), name="y")
    frozen = str(tmp_path / "frozen.pb")
    Path(frozen).write_bytes(graph.as_graph_def().SerializeToString())
    keras.Sequential([keras.Input((2,), name="x"), keras.layers.ReLU()]).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", np.array([0.5, 0.25]))
    file, out = tmp_path / "x.npy", str(tmp_path / "out")
    assert main(["convert", frozen, out, "--input", f"x=x:0={file}", "--output", "y=y:0"]) == 0
    for given in (file, "raw"):
        assert main(["convert", str(tmp_path / "m.keras"), out, "--input", f"x={given}"]) == 0
    for version in "123":
        assert tfd.Schema.load(tmp_path / "out" / version)["x"].dtype == "float32"


def test_a_vocabulary_of_another_machine(tmp_path: Path, capsys: Any) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a\n")
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.string, [None], name="x")
        line, whole = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE
        file = tf.lookup.TextFileInitializer(str(words), tf.string, whole, tf.int64, line)
        tf.identity(tf.lookup.StaticHashTable(file, -1).lookup(x), name="y")
        words.rename(tmp_path / "here.txt")
        with pytest.raises(
            tfd.ExportError, match=r"words\.txt, which is not on this machine: .*'asset_path:0'"
        ):
            tfd.convert(session, tmp_path / "models", **GIVEN)
        moved = {"asset_path:0": str(tmp_path / "here.txt")}
        path = tfd.convert(session, tmp_path / "models", **GIVEN, constants=moved)
        assert [file.name for file in (path / "assets").iterdir()] == ["here.txt"]
        frozen = tmp_path / "frozen.pb"
        frozen.write_bytes(session.graph.as_graph_def().SerializeToString())
    for name, reason in (("gs://nobody/x", "x, which is not in"), (tmp_path, "not on this mach")):
        given = {**GIVEN, "constants": {"asset_path:0": str(name)}}
        with pytest.raises(tfd.ExportError, match=reason):
            tfd.convert(frozen, tmp_path / "m", **given)
    command = ["convert", str(frozen), str(tmp_path / "m"), "--input", "x=x:0", "--output", "y=y:0"]
    assert main(command) == 1
    assert "pass --constant asset_path:0=... with it" in capsys.readouterr().err
    assert main([*command, "--constant", f"asset_path:0={tmp_path / 'here.txt'}"]) == 0


def test_a_vocabulary_whose_name_is_computed(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.string, [None], name="x")
        line, whole = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE
        file = tf.lookup.TextFileInitializer("words.txt", tf.string, whole, tf.int64, line)
        tf.identity(tf.lookup.StaticHashTable(file, -1).lookup(x), name="y")
        graph = session.graph.as_graph_def()
    joined = graph.node.add(name="joined", op="StringJoin", input=["asset_path"])
    joined.attr["N"].i = 1
    starts = next(one for one in graph.node if one.op.startswith("InitializeTableFromTextFile"))
    starts.input[1] = "joined"
    (tmp_path / "frozen.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(tfd.ExportError, match=r"the graph computes: .*'joined:0'"):
        tfd.convert(tmp_path / "frozen.pb", tmp_path / "models", **GIVEN)


def test_a_checkpoint_without_a_variable_names_it(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        tf.multiply(small(), v1.get_local_variable("local", initializer=3.0), name="z")
        session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
        v1.train.Saver().save(session, str(tmp_path / "model"))
    with pytest.raises(tfd.ExportError, match="it has no value of local"):
        tfd.convert(tmp_path / "model", tmp_path / "models", {"x": "x:0"}, {"z": "z:0"})


def node(meta: Any, name: str) -> Any:
    return next(one for one in meta.graph_def.node if one.name == name)


def of_variable(**changes: str) -> Any:
    """Change what the collection says of the variable."""

    def change(meta: Any) -> None:
        known = meta.collection_def["variables"].bytes_list.value
        variable = variable_pb2.VariableDef.FromString(known[0])
        for field, value in changes.items():
            setattr(variable, field, value)
        known[0] = variable.SerializeToString()

    return change


DAMAGED = {
    "it lacks nowhere, which y takes": lambda m: node(m, "y").input.append("nowhere"),
    "it lacks a:b, which y takes": lambda m: node(m, "y").input.append("a:b"),
    "its collection variables cannot be read": (
        lambda m: m.collection_def["variables"].bytes_list.value.append(b"\xff")
    ),
    "x:0 has no dtype of TensorFlow": (lambda m: setattr(node(m, "x").attr["dtype"], "type", 9999)),
    "it lacks no/where of the variable": of_variable(snapshot_name="no/where:0"),
    "it lacks Assign:0 of the variable": of_variable(initializer_name="Assign:0"),
    "nothing in it gives the variable w:0": of_variable(initializer_name=""),
    "gives the variable w:0 its first value": of_variable(initializer_name="x"),
    "cannot be taken apart": of_variable(snapshot_name="x:0"),
    "3 nodes in a cycle": lambda m: node(m, "same").input.__setitem__(0, "y"),
}


@pytest.mark.parametrize("reason", DAMAGED)
def test_a_graph_that_is_damaged(reason: str, tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        small()
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model"))
    path = tmp_path / "model.meta"
    meta = v1.MetaGraphDef.FromString(path.read_bytes())
    DAMAGED[reason](meta)
    path.write_bytes(meta.SerializeToString())
    with pytest.raises(tfd.ExportError, match=reason):
        tfd.convert(path, tmp_path / "models", **GIVEN)


def test_a_source_without_a_graph_is_told(tmp_path: Path) -> None:
    prefix = tf.train.Checkpoint(v=tf.Variable(1.0)).save(str(tmp_path / "ckpt"))
    for source in (prefix, f"{prefix}.index"):
        with pytest.raises(tfd.ExportError, match=r"without a graph, ckpt-1\.meta, .* restore it"):
            tfd.convert(source, tmp_path / "no", **GIVEN)
    other = tmp_path / "model.tflite"
    other.write_bytes(b"TFL3")
    with pytest.raises(tfd.ExportError, match=r"model\.tflite is not a checkpoint"):
        tfd.convert(other, tmp_path / "no", **GIVEN)
    with pytest.raises(tfd.FileError, match=r"nothing: no such file, and no nothing\.meta"):
        tfd.convert(tmp_path / "nothing", tmp_path / "no", **GIVEN)


def test_the_command(trained: SimpleNamespace, tmp_path: Path, capsys: Any) -> None:
    source = str(trained.folder / "model-7")
    assert main(["convert", source, "--suggest", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tensors"]["pose:0"] == {"dtype": "float32", "shape": "(None, 6, 3)"}
    assert found["tensors"]["label:0"]["dtype"] == "string"
    assert {"pose:0", "keep_prob:0"} <= set(found["inputs"])
    assert {"probs:0", "label:0"} <= set(found["outputs"]) and len(found["outputs"]) < 10
    np.save(tmp_path / "pose.npy", X[0])
    out = str(tmp_path / "models")
    command = [
        "convert",
        source,
        out,
        "--output",
        "ids=encode_ids:0",
        "--constant",
        "keep_prob:0=1",
    ]
    assert main([*command, "--input", f"pose=pose:0={tmp_path / 'pose.npy'}", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bytes"] == ["pose"]
    with InProcess(report["model"]) as model:
        assert model.predict({"pose": list(X)})["ids"].tolist() == trained.answers["ids"].tolist()
    capsys.readouterr()
    assert main([*command, "--input", "pose=pose:0=raw|zlib"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == [
        "pose_bytes", "input", "float32", "[6,3]", "raw|zlib|seal"
    ]  # fmt: skip
    assert main([*command, "--input", "pose"]) == 2
    assert main([*command[:2], *command[3:]]) == 2
    assert main([*command, "--input", "pose=poes:0"]) == 1
    assert "did you mean" in capsys.readouterr().err
