"""wrap: the new signature answers as the old one does, and nothing that was there is changed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.cli import main
from tfdecode.client import InProcess

tf = pytest.importorskip("tensorflow")
from tensorflow.python.framework.meta_graph import (  # noqa: E402
    strip_graph_default_valued_attrs,
)

from tfdecode.saved_models.check import nodes  # noqa: E402
from tfdecode.saved_models.protobuf import read_protobuf  # noqa: E402
from tfdecode.saved_models.session import ServingSession  # noqa: E402
from tfdecode.saved_models.warmup import ASSET  # noqa: E402

v1 = tf.compat.v1
POSE = tfd.ArraySpec((4, 3), "float32", "zlib")
RNG = np.random.default_rng(3)
ARRAYS = RNG.standard_normal((3, 4, 3)).astype("float32")
PAYLOADS = np.array([POSE.encode(x) for x in ARRAYS], object)
WORDS = np.array([b"b", b"z", b"a"], object)


def records(path: Path) -> list[bytes]:
    """The signatures of the warm-up records."""
    data = tf.data.TFRecordDataset(str(path / ASSET))
    return [re.findall(rb"\x1a.(bytes|again)", one)[0] for one in data.as_numpy_iterator()]


def run(path: Path, signature: str, **feeds: Any) -> dict[str, Any]:
    with ServingSession(path) as session:
        found = session.run(signature, feeds)
    return {
        name: (x.dtype, x.shape, x.tolist() if x.dtype == object else x.tobytes())
        for name, x in ((name, np.asarray(x)) for name, x in found.items())
    }


def files(path: Path) -> dict[str, str]:
    """Weights, assets and what else a model has, by hash."""
    skipped = {"saved_model.pb", "fingerprint.pb", "tfdecode.json", ASSET.name}
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name not in skipped
    }


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.txt"
    path.write_text("a\nb\nc\n")
    return str(path)


def table_of(vocabulary: str) -> Any:
    lines = tf.lookup.TextFileIndex
    keys = (tf.string, lines.WHOLE_LINE, tf.int64, lines.LINE_NUMBER)
    return tf.lookup.StaticVocabularyTable(tf.lookup.TextFileInitializer(vocabulary, *keys), 1)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory, vocabulary: str) -> Path:
    """A model of TensorFlow 2, with functions, a table, an asset and two signatures."""

    class Model(tf.Module):
        def __init__(self) -> None:
            self.w = tf.Variable(RNG.standard_normal((12, 4)).astype("float32"))
            self.table = table_of(vocabulary)

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 4, 3], name="pose"),
                tf.TensorSpec([None], tf.string, name="word"),
            ]
        )
        def __call__(self, pose: Any, word: Any) -> Any:
            h = tf.matmul(tf.reshape(pose, [-1, 12]), self.w)
            for _ in tf.range(3):
                h = tf.tanh(h) if tf.reduce_sum(h) > 0 else h * 2.0
            return {"h": h, "id": self.table.lookup(word)}

        @tf.function(input_signature=[tf.TensorSpec([None, 4, 3], name="pose")])
        def norm(self, pose: Any) -> Any:
            return {"n": tf.reduce_sum(pose * pose, [1, 2])}

    path, model = tmp_path_factory.mktemp("module") / "model", Model()
    tf.saved_model.save(
        model, str(path), signatures={"serving_default": model.__call__, "norm": model.norm}
    )
    extra = path / "assets.extra"
    extra.mkdir()
    (extra / "tf_serving_warmup_requests").write_bytes(b"")
    return path


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, vocabulary: str) -> Path:
    """A model of TensorFlow 1: while frames, reference variables, a table, odd signatures."""
    path = tmp_path_factory.mktemp("old") / "model"
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None, 4, 3], name="x")
            words = v1.placeholder(tf.string, [None], name="words")
            single = v1.placeholder(tf.uint8, [2, 5], name="single")
            fixed = v1.placeholder(tf.int32, [2, 3], name="fixed")
            w = v1.get_variable("w", initializer=np.eye(3, dtype="float32") / 3, use_resource=False)
            table = table_of(vocabulary)

            def body(i: Any, h: Any) -> Any:
                _, h = tf.while_loop(
                    lambda j, _: j < 2, lambda j, a: (j + 1, a + tf.matmul(a, w)), [0, h]
                )
                return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: h * 1.5, lambda: h - 1.0)

            _, h = tf.while_loop(lambda i, _: i < 3, body, [0, x[:, 0]])
            with tf.control_dependencies([v1.assert_greater(tf.size(x), -1)]):
                y = h * tf.cast(table.lookup(words)[:, None] + 1, tf.float32)
            constant = tf.reduce_sum(w)  # does not need the input
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            assert any(op.type == "Enter" for op in session.graph.get_operations())
            builder, define = (
                v1.saved_model.Builder(str(path)),
                v1.saved_model.predict_signature_def,
            )
            builder.add_meta_graph_and_variables(
                session,
                ["serve"],
                {
                    "serving_default": define({"x": x, "words": words}, {"y": y, "c": constant}),
                    "same": define({"x": x}, {"x": x}),
                    "single": define({"s": single}, {"t": tf.cast(single, tf.float32) + w[0, 0]}),
                    "fixed": define({"f": fixed}, {"g": fixed * 2}),
                },
                assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                main_op=v1.tables_initializer(),
            )
            builder.save()
    finally:
        v1.enable_control_flow_v2()
    return path


@pytest.mark.parametrize(
    ("source", "codecs"), [("serving_default", "png"), ("norm", "shuffle|zlib_bounded")]
)
def test_a_model_of_tensorflow_2(module: Path, tmp_path: Path, source: str, codecs: str) -> None:
    spec = tfd.ArraySpec((4, 3), "float32", codecs)
    path = tfd.wrap(module, tmp_path / "models", {"pose": spec}, source=source)
    assert path == tmp_path / "models" / "1"
    words = {"word": WORDS} if source == "serving_default" else {}
    payloads = np.array([spec.encode(x) for x in ARRAYS], object)
    got = run(path, "bytes", pose_bytes=payloads, **words)
    assert got == run(module, source, pose=ARRAYS, **words)
    for signature, feeds in (("serving_default", {"word": WORDS}), ("norm", {})):
        expected = run(module, signature, pose=ARRAYS, **feeds)
        assert run(path, signature, pose=ARRAYS, **feeds) == expected
    assert files(path) == files(module)
    assert dict(tfd.Schema.load(path)) == {"pose": spec}
    assert tfd.check(path).ok
    assert set(tf.saved_model.load(str(path)).signatures) == {"serving_default", "norm"}
    assert records(path) == [b"bytes"]


def test_added_nodes_have_no_attribute_at_its_default(module: Path, tmp_path: Path) -> None:
    """Older releases do not load a graph with an attribute that they do not know."""
    path = tfd.wrap(module, tmp_path, {"pose": tfd.ArraySpec((4, 3), "float32", "npz:a")})
    (meta,) = read_protobuf(path).meta_graphs
    found = [(where or "", node) for where, node in nodes(meta.graph_def)]
    added = [node for where, node in found if "tfdecode/" in where + node.name]
    added += [node for where, node in found if "__tfdecode_" in where]
    assert any(node.op == "MapDataset" for node in added)
    before = [set(node.attr) for node in added]
    strip_graph_default_valued_attrs(meta)
    assert [set(node.attr) for node in added] == before


def test_a_model_of_tensorflow_1(old: Path, tmp_path: Path) -> None:
    path = tfd.wrap(old, tmp_path, {"x": POSE})
    expected = run(old, "serving_default", x=ARRAYS, words=WORDS)
    assert run(path, "bytes", x_bytes=PAYLOADS, words=WORDS) == expected
    assert run(path, "serving_default", x=ARRAYS, words=WORDS) == expected
    assert files(path) == files(old)
    with ServingSession(path) as session, pytest.raises(tf.errors.InvalidArgumentError) as error:
        # An output that does not need the input must not answer a bad one either.
        inputs, outputs = session.signatures["bytes"]
        feeds = {inputs["x_bytes"].name: [b"bad"], inputs["words"].name: [b"a"]}
        session.session.run(outputs["c"].name, feeds)
    assert "x_bytes" in str(error.value)


def test_inputs_without_and_with_a_fixed_batch(old: Path, tmp_path: Path) -> None:
    single = np.arange(10, dtype="uint8").reshape(2, 5)
    spec = tfd.ArraySpec((2, 5), "uint8", "zlib")
    path = tfd.wrap(old, tmp_path / "single", {"s": spec}, source="single")
    assert run(path, "bytes", s_bytes=spec.encode(single)) == run(old, "single", s=single)
    fixed = np.arange(6, dtype="int32").reshape(2, 3)
    spec = tfd.ArraySpec((3,), "int32")
    path = tfd.wrap(old, tmp_path / "fixed", {"f": spec}, source="fixed")
    payloads = np.array([spec.encode(row) for row in fixed], object)
    assert run(path, "bytes", f_bytes=payloads) == run(old, "fixed", f=fixed)
    with pytest.raises(tfd.ExportError, match="f takes batches of 2 rows, and max_batch_size is 1"):
        tfd.wrap(old, tmp_path / "fixed", {"f": spec}, source="fixed", max_batch_size=1)
    path = tfd.wrap(old, tmp_path / "same", {"x": POSE}, source="same")
    assert run(path, "bytes", x_bytes=PAYLOADS) == run(old, "same", x=ARRAYS)


def test_wrapped_twice_and_after_an_export(module: Path, tmp_path: Path) -> None:
    first = tfd.wrap(module, tmp_path / "first", {"pose": POSE})
    second = tfd.wrap(first, tmp_path / "second", {"pose": POSE}, source="norm", signature="more")
    given = {"pose_bytes": PAYLOADS, "word": WORDS}
    assert run(second, "bytes", **given) == run(first, "bytes", **given)
    assert run(second, "more", pose_bytes=PAYLOADS) == run(module, "norm", pose=ARRAYS)
    other = tfd.ArraySpec((4, 3), "float32", "png")
    third = tfd.wrap(first, tmp_path / "third", {"pose": other}, source="norm", signature="more")
    known = tfd.Schema.load(third).signatures
    assert {name: dict(one) for name, one in known.items()} == {
        "bytes": {"pose": POSE},
        "more": {"pose": other},
    }
    payloads = np.array([other.encode(x) for x in ARRAYS], object)
    assert run(third, "more", pose_bytes=payloads) == run(module, "norm", pose=ARRAYS)
    export = tfd.export(
        lambda pose, depth: {"sum": pose + depth[:, None, None]},
        tmp_path / "export",
        {"pose": POSE, "depth": tf.TensorSpec([None])},
    )
    depth = tfd.ArraySpec((), "float32")
    path = tfd.wrap(export, tmp_path / "both", {"depth": depth})
    assert dict(tfd.Schema.load(path)) == {"pose": POSE}
    assert dict(tfd.Schema.load(path, "bytes")) == {"pose": POSE, "depth": depth}
    one = np.ones(3, "float32")
    payloads = np.array([depth.encode(x) for x in one], object)
    got = run(path, "bytes", pose_bytes=PAYLOADS, depth_bytes=payloads)
    assert got == run(export, "serving_default", pose_bytes=PAYLOADS, depth=one)


def test_warm_up_records_are_added_and_a_little_noise_is_told(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tfd.wrap(module, tmp_path / "first", {"pose": POSE}, source="norm")
    options: dict[str, Any] = dict(source="norm", signature="again")
    assert records(tfd.wrap(first, tmp_path, {"pose": POSE}, **options)) == [b"bytes", b"again"]
    assert records(tfd.wrap(first, tmp_path, {"pose": POSE}, warmup=False, **options)) == [b"bytes"]
    honest = ServingSession.run

    def noisy(session: Any, signature: str, feeds: Any) -> dict[str, Any]:
        results = honest(session, signature, feeds)
        return {key: value + noise for key, value in results.items()} if noise else results

    monkeypatch.setattr(
        ServingSession, "run", lambda s, name, f: (noisy if name == "again" else honest)(s, name, f)
    )
    noise, sample = np.float32(1e-3), {"pose": np.ones((4, 3), "f4")}
    with pytest.warns(UserWarning, match="output n of again differs .* a little"):
        tfd.wrap(module, tmp_path, {"pose": POSE}, sample=sample, **options)
    noise = np.float32(1)
    with pytest.raises(tfd.ExportError, match=r"output n of again differs from that of norm$"):
        tfd.wrap(module, tmp_path, {"pose": POSE}, sample=sample, **options)


def test_mask_outputs_and_the_default(module: Path, tmp_path: Path) -> None:
    sealed = tfd.ArraySpec((4, 3), "float32", "zlib", seal=True)
    path = tfd.wrap(
        module, tmp_path, {"pose": sealed}, {"h": tfd.ArraySpec((4,), "float32")},
        on_invalid="mask", replace_default=True,
    )  # fmt: skip
    payloads = [sealed.encode(x) for x in ARRAYS]
    good = run(path, "serving_default", pose_bytes=payloads, word=WORDS)
    assert good == run(path, "bytes", pose_bytes=payloads, word=WORDS)
    expected = run(module, "serving_default", pose=ARRAYS, word=WORDS)
    assert run(path, "arrays", pose=ARRAYS, word=WORDS) == expected
    assert b"".join(good["h_bytes"][2]) == expected["h"][2] and "h" not in good
    with ServingSession(path) as session:
        bad = session.run("bytes", {"pose_bytes": [payloads[0], b"bad"], "word": WORDS[:2]})
    assert bad["status"][0] == 0 != bad["status"][1]
    assert bad["h_bytes"][0] == good["h_bytes"][2][0]
    with pytest.warns(UserWarning, match="warm-up records are left out"):
        tfd.wrap(module, tmp_path, {"pose": POSE}, replace_default=True)
    with pytest.raises(tfd.ExportError, match="'arrays' already"):
        tfd.wrap(
            path, tmp_path, {"pose": sealed}, source="norm", signature="n", replace_default=True
        )


WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "input": (dict(inputs={"poze": POSE}), ("poze", "pose, word")),
    "signature": (dict(source="serve"), ("'serve'", "norm, serving_default")),
    "dtype": (dict(inputs={"pose": tfd.ArraySpec((4, 3), "float64")}), ("float32", "float64")),
    "shape": (dict(inputs={"pose": tfd.ArraySpec((4, 2), "float32")}), ("(None, 4, 3)", "(B, 4")),
    "string": (dict(inputs={"word": tfd.ArraySpec((4,), "float32")}), ("word", "string")),
    "spec": (dict(inputs={"pose": "zlib"}), ("pose", "str", "ArraySpec")),
    "output": (dict(outputs={"g": POSE}), ("'g'", "h, id")),
    "name": (dict(signature="norm"), ("'norm'", "already")),
    "sample": (dict(sample={"pos": 1}), ("sample has no input 'pos'", "'pose'")),
    "nothing": (dict(inputs={}), ("inputs is empty",)),
    "list": (dict(inputs=["pose"]), ("inputs is list", "needs a dict")),
    "schema": (dict(signature="tfdecode_schema"), ("'tfdecode_schema' is that of the schema",)),
    "mode": (dict(on_invalid="drop"), ("'drop'", "'error' or 'mask'")),
    "rows": (dict(max_rows=0), ("max_rows is 0",)),
    "version": (dict(version=0), ("version is 0",)),
}


@pytest.mark.parametrize("what", WRONG)
def test_mistakes_are_named_and_leave_nothing(module: Path, tmp_path: Path, what: str) -> None:
    options, words = WRONG[what]
    before = {path: path.stat().st_mtime_ns for path in module.rglob("*")}
    with pytest.raises(tfd.TfdecodeError) as error:
        tfd.wrap(
            **{
                "saved_model": module,
                "directory": tmp_path / "m",
                "inputs": {"pose": POSE},
                **options,
            }
        )
    assert all(word in str(error.value) for word in words), error.value
    assert not list(tmp_path.iterdir())
    assert {path: path.stat().st_mtime_ns for path in module.rglob("*")} == before


def test_outputs_that_cannot_be_added_are_named(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4, 3])
        signatures = {"sparse": tf.sparse.from_dense(x), "status": x}
        for name, output in signatures.items():
            signatures[name] = v1.saved_model.predict_signature_def({"pose": x}, {name: output})
        builder = v1.saved_model.Builder(str(tmp_path / "theirs"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    for name, words in {
        "sparse": "source signature of dense tensors",
        "status": "'status' already",
    }.items():
        with pytest.raises(tfd.ExportError, match=words):
            tfd.wrap(
                tmp_path / "theirs",
                tmp_path / "ours",
                {"pose": POSE},
                source=name,
                on_invalid="mask",
            )


def test_a_model_that_cannot_take_the_sample_is_not_published(tmp_path: Path) -> None:
    class Picky(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4, 3], name="pose")])
        def __call__(self, pose: Any) -> Any:
            tf.debugging.assert_positive(pose, "poses are positive")
            return {"y": pose}

    tf.saved_model.save(Picky(), str(tmp_path / "theirs"))
    with pytest.raises(tfd.ExportError, match="poses are positive"):
        tfd.wrap(tmp_path / "theirs", tmp_path / "ours", {"pose": POSE})
    assert not (tmp_path / "ours").exists()
    tfd.wrap(
        tmp_path / "theirs", tmp_path / "ours", {"pose": POSE}, sample={"pose": ARRAYS[0] ** 2 + 1}
    )


def test_the_command(module: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("pose.npy", np.zeros((4, 3)))  # float64, as files often are
    Path("spec.json").write_text(POSE.to_json())
    for text in ("pose.npy", "shuffle|zlib"):
        command = ["wrap", str(module), "models", "--input", f"pose={text}", "--output", "h=raw"]
        assert main(command) == 0
        out = capsys.readouterr().out
        assert "compared with serving_default" in out and "pose_bytes" in out and "h_bytes" in out
    assert main([*command[:4], "pose=spec.json", "--json", "--signature", "packed"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == "models/3" and report["signature"] == "packed"
    assert [one["name"] for one in report["bytes"]] == ["pose_bytes"]
    assert report["bytes"][0]["spec"] == tfd.Schema.load("models/3")["pose"].to_dict()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pose=zlip", "'zlip' is neither a file nor a chain for pose"),
        ("poze=raw", "has no 'poze'; it has: pose, word"),
        ("pose=half.npy", "half.npy: the model takes float32 for pose: "),
        ("word=raw", "word"),
    ],
)
def test_mistakes_on_the_command_line(
    module: Path, tmp_path: Path, capsys, monkeypatch, text: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("half.npy", np.full((4, 3), 0.1))
    assert main(["wrap", str(module), "models", "--input", text]) == 1
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1
    assert not Path("models").exists()


def test_any_name_of_a_signature_is_wrapped(tmp_path: Path) -> None:
    """As in exports of TensorFlow 1 and of other programs: names are not those of Python."""
    spec = tfd.ArraySpec((2,), "float32")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        given = tf.compat.v1.placeholder(tf.float32, [None, 2])
        build = tf.compat.v1.saved_model.build_tensor_info
        signature = tf.compat.v1.saved_model.build_signature_def(
            {"a/b: größe": build(given)},
            {"c d": build(given * 2)},
            "tensorflow/serving/predict",
        )
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "theirs"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    names = {"a/b: größe": spec}, {"c d": spec}
    version = tfd.wrap(tmp_path / "theirs", tmp_path / "ours", *names)
    with InProcess(version, "bytes") as client:
        assert list(client.inputs) == ["a_b__gr__e_bytes"]
        answer = client.predict({"a/b: größe": np.float32([1, 2])})
    assert answer["c d"].tolist() == [[2.0, 4.0]]


def test_a_record_is_not_added_to_as_many_as_a_server_takes(module: Path, tmp_path: Path) -> None:
    first = tfd.wrap(module, tmp_path / "first", {"pose": POSE}, source="norm")
    file = first / "assets.extra" / "tf_serving_warmup_requests"
    file.write_bytes(file.read_bytes() * 1000)
    options: dict[str, Any] = dict(source="norm", signature="again")
    assert len(records(tfd.wrap(first, tmp_path, {"pose": POSE}, **options))) == 1000


class Weighed(tf.Module):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 4, 3], name="pose"),
            tf.TensorSpec([None], name="weight"),
            tf.TensorSpec([], name="scale"),
        ]
    )
    def __call__(self, pose: Any, weight: Any, scale: Any) -> Any:
        return {"y": pose * weight[:, None, None] * scale}


@pytest.mark.parametrize("mask", ["error", "mask"])
def test_inputs_that_differ_in_rows_are_refused(mask: Any, tmp_path: Path) -> None:
    """Else TensorFlow broadcasts: one payload and three numbers gave three answers."""
    tf.saved_model.save(Weighed(), str(tmp_path / "theirs"))
    options: dict[str, Any] = dict(inputs={"pose": POSE}, on_invalid=mask)
    version = tfd.wrap(tmp_path / "theirs", tmp_path / "ours", **options)
    free = tfd.wrap(tmp_path / "theirs", tmp_path / "ours", independent_rows=False, **options)
    payload = POSE.encode(np.ones((4, 3), "f4"))
    with ServingSession(version) as session, ServingSession(free) as any_rows:
        for rows, weights in ((1, 1), (3, 3), (1, 3), (3, 1), (0, 1)):
            feeds = {"pose_bytes": [payload] * rows, "weight": [2.0] * weights, "scale": 0.5}
            if rows == weights:
                answer = session.run("bytes", feeds)["y"]
                assert answer.tolist() == np.ones((rows, 4, 3)).tolist()
            else:
                words = f"weight: batch has {weights} rows, pose_bytes has {rows}"
                with pytest.raises(tf.errors.InvalidArgumentError, match=words):
                    session.run("bytes", feeds)
                assert len(any_rows.run("bytes", feeds)["y"]) == (3 if rows else 0)


def test_a_batch_in_a_file_is_not_an_array(module: Path, tmp_path: Path) -> None:
    with pytest.raises(tfd.ExportError, match=r"has shape \(None, 4, 3\), the spec makes"):
        tfd.wrap(module, tmp_path, {"pose": tfd.ArraySpec((50, 4, 3), "float32")})
