"""export: byte inputs that a stock server loads and runs, or nothing at all."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tfdecode.saved_models.session import ServingSession

SPEC = tfd.ArraySpec((2, 3), "float32", codecs="zlib")
ARRAYS = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
PAYLOADS = [SPEC.encode(x) for x in ARRAYS]


def run(version: Path, signature: str = "serving_default", **feeds: Any) -> dict[str, Any]:
    with ServingSession(version) as session:
        return session.run(signature, feeds)


def bits(x: Any) -> tuple[Any, Any, bytes]:
    x = np.asarray(x)
    return x.shape, x.dtype, x.tobytes()


def keras_model() -> keras.Model:
    keras.utils.set_random_seed(3)
    pose = keras.Input((2, 3), name="pose")
    word = keras.Input((), dtype="string", name="word")
    index = keras.layers.StringLookup(vocabulary=["a", "b"])(word)
    x = keras.layers.BatchNormalization()(keras.layers.Dense(4)(keras.layers.Flatten()(pose)))
    x = keras.layers.Dropout(0.5)(x)
    return keras.Model(
        [pose, word], {"score": keras.layers.Add()([x, keras.layers.Embedding(4, 4)(index)])}
    )


class Scaled(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = tf.Variable(3.0)
        initializer = tf.lookup.KeyValueTensorInitializer([1, 2], [10.0, 20.0])
        self.table = tf.lookup.StaticHashTable(initializer, -1.0)
        self.dense = keras.layers.Dense(3)

    def __call__(self, pose: Any, kind: Any) -> dict[str, Any]:
        offset = self.table.lookup(kind)[:, None, None]
        return {"scaled": pose * self.scale + offset, "dense": self.dense(pose)}


def test_a_callable_is_exported_with_its_three_signatures(tmp_path: Path) -> None:
    version = tfd.export(lambda pose: pose * 2, tmp_path, inputs={"pose": SPEC})
    assert version == tmp_path / "1"
    with ServingSession(version) as session:
        taken = {name: sorted(inputs) for name, (inputs, _) in session.signatures.items()}
    assert taken == {
        "serving_default": ["pose_bytes"],
        "arrays": ["pose"],
        "tfdecode_schema": ["batch"],
    }


def test_payloads_and_arrays_give_the_same_bits(tmp_path: Path) -> None:
    version = tfd.export(lambda pose: tf.sin(pose), tmp_path, inputs={"pose": SPEC})
    packed = run(version, pose_bytes=PAYLOADS)["output_0"]
    assert bits(packed) == bits(run(version, "arrays", pose=ARRAYS)["output_0"])


def test_a_keras_model_with_a_table_runs_in_the_session_loader(tmp_path: Path) -> None:
    model = keras_model()
    inputs = {"pose": SPEC, "word": tf.TensorSpec([None], tf.string)}
    version = tfd.export(model, tmp_path, inputs=inputs)
    words = tf.constant([b"a", b"z"])
    direct = model({"pose": tf.constant(ARRAYS), "word": words}, training=False)["score"]
    packed = run(version, pose_bytes=PAYLOADS, word=words.numpy())["score"]
    np.testing.assert_allclose(packed, direct, rtol=1e-6)


def test_a_module_that_holds_a_keras_layer_and_a_table_runs(tmp_path: Path) -> None:
    module = Scaled()
    inputs = {"pose": SPEC, "kind": tf.TensorSpec([None], tf.int32)}
    version = tfd.export(module, tmp_path, inputs=inputs)
    answer = run(version, pose_bytes=PAYLOADS, kind=[1, 7])
    offsets = np.float32([10, -1])[:, None, None]
    assert bits(answer["scaled"]) == bits(ARRAYS * np.float32(3) + offsets)


def test_outputs_with_a_spec_come_as_payloads(tmp_path: Path) -> None:
    out = tfd.ArraySpec((2, 3), "float32", codecs="raw|seal")
    version = tfd.export(
        lambda pose: pose + 1, tmp_path, inputs={"pose": SPEC}, outputs={"moved": out}
    )
    packed = run(version, pose_bytes=PAYLOADS)["moved_bytes"]
    assert [bits(out.decode(p)) for p in packed] == [bits(x + np.float32(1)) for x in ARRAYS]
    assert list(run(version, "arrays", pose=ARRAYS)) == ["moved"]


def test_an_output_whose_chain_cannot_encode_in_a_graph_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(tfd.SpecError, match="codec zlib cannot encode in a graph"):
        tfd.export(lambda pose: pose, tmp_path, inputs={"pose": SPEC}, outputs={"y": SPEC})


def test_the_schema_is_in_the_graph_and_beside_it(tmp_path: Path) -> None:
    version = tfd.export(lambda pose: pose, tmp_path, inputs={"pose": SPEC})
    told = run(version, "tfdecode_schema", batch=[b"", b"", b""])["schema"]
    assert told.shape == (3,)
    schema = tfd.Schema.from_json(told[0])
    assert dict(schema) == {"pose": SPEC} == dict(tfd.Schema.load(tmp_path))


def test_versions_count_up_and_are_never_overwritten(tmp_path: Path) -> None:
    def export(**options: Any) -> str:
        return tfd.export(lambda pose: pose, tmp_path, inputs={"pose": SPEC}, **options).name

    assert [export(), export(), export(version=7), export()] == ["1", "2", "7", "8"]
    with pytest.raises(tfd.ExportError, match="7 exists"):
        export(version=7)


def test_a_bad_row_fails_the_request_and_is_named(tmp_path: Path) -> None:
    version = tfd.export(lambda pose: pose, tmp_path, inputs={"pose": SPEC})
    with pytest.raises(tf.errors.InvalidArgumentError, match="pose_bytes: row 1 has 3 bytes"):
        run(version, pose_bytes=[PAYLOADS[0], b"abc"])


def test_masked_bad_rows_leave_their_neighbours_right(tmp_path: Path) -> None:
    version = tfd.export(
        lambda pose: {"y": pose * 2}, tmp_path, inputs={"pose": SPEC}, on_invalid="mask"
    )
    answer = run(version, pose_bytes=[PAYLOADS[0], PAYLOADS[1][:-1], PAYLOADS[1]])
    assert bits(answer["y"]) == bits(np.stack([ARRAYS[0] * 2, ARRAYS[0] * 0, ARRAYS[1] * 2]))
    assert answer["status"].tolist() == [0, int(tfd.Status.SEAL), 0]


def test_the_default_budget_counts_all_inputs() -> None:
    from tfdecode.saved_models.plan import Plan

    big = tfd.ArraySpec((2**24,), "float32")
    plan = Plan(lambda **x: x, {"a": big, "b": big}, {}, False, None)
    assert (plan.max_rows, plan.max_batch_size) == (3, 32)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda pose: tf.py_function(lambda x: x, [pose], tf.float32), "EagerPyFunc, which needs"),
        (lambda a, b: a, "could not be traced|takes: a, b"),
        (lambda pose: tf.debugging.assert_equal(1, 2) or pose, "could not be traced"),
        (7, "needs a callable"),
    ],
)
def test_a_failed_export_leaves_nothing_behind(model: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(tfd.ExportError, match=message):
        tfd.export(model, tmp_path, inputs={"pose": SPEC})
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_loads_but_does_not_run_is_refused(tmp_path: Path) -> None:
    def model(pose: Any) -> Any:
        with tf.control_dependencies([tf.debugging.Assert(tf.size(pose) < 0, ["never"])]):
            return tf.identity(pose)

    with pytest.raises(tfd.ExportError, match=r"could not run the export on zeros .*: never"):
        tfd.export(model, tmp_path, inputs={"pose": SPEC})
    assert list(tmp_path.iterdir()) == []


def decode_png(pose: Any, image: Any) -> Any:
    one = lambda string: tf.image.resize(tf.io.decode_png(string, 1), [2, 3])[..., 0]  # noqa: E731
    return pose + tf.map_fn(one, image, fn_output_signature=tf.float32)


def test_an_encoded_image_is_passed_through_and_tried_with_the_sample(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    inputs = {"pose": SPEC, "image": tf.TensorSpec([None], tf.string)}
    image = tf.io.encode_png(np.full((4, 4, 1), 9, np.uint8)).numpy()
    version = tfd.export(decode_png, tmp_path, inputs=inputs, sample={"image": image})
    assert not [w for w in recwarn if "sample=" in str(w.message)]
    answer = run(version, pose_bytes=PAYLOADS, image=[image, image])["output_0"]
    assert bits(answer) == bits(ARRAYS + np.float32(9))


def test_without_a_sample_an_export_that_could_not_be_tried_warns(tmp_path: Path) -> None:
    inputs = {"pose": SPEC, "image": tf.TensorSpec([None], tf.string)}
    with pytest.warns(UserWarning, match="pass sample="):
        tfd.export(decode_png, tmp_path, inputs=inputs)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "inputs is empty"),
        ({"a-b": SPEC, "a b": SPEC}, "same signature key 'a_b_bytes'; rename it by a function"),
        ({"a-b": SPEC, "a b": tf.TensorSpec([None])}, "same signature key 'a_b'; rename it"),
        ({"pose": "raw"}, "input pose is str"),
        ({"a\n": SPEC}, "printable characters; rename it by a function"),
        ({7: tf.TensorSpec([None])}, "printable characters"),
        ({"pose": SPEC, "pose_bytes": tf.TensorSpec([None], tf.string)}, "key 'pose_bytes'"),
    ],
)
def test_inputs_that_cannot_be_are_refused(inputs: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(tfd.ExportError, match=message):
        tfd.export(lambda **x: x, tmp_path, inputs=inputs)


def test_what_is_exported_passes_the_check_and_python_does_not(tmp_path: Path) -> None:
    version = tfd.export(lambda pose: pose, tmp_path, inputs={"pose": SPEC})
    assert tfd.check(version).ok and tfd.check(tmp_path).path == version

    module = tf.Module()
    signature = [tf.TensorSpec([None], tf.float32)]
    module.f = tf.function(
        lambda x: tf.numpy_function(np.sin, [x], tf.float32), input_signature=signature
    )
    tf.saved_model.save(module, str(tmp_path / "python"))
    report = tfd.check(tmp_path / "python")
    assert not report.ok and "PyFunc" in str(report)


def test_check_says_when_there_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(tfd.FileError, match="neither a SavedModel nor versions"):
        tfd.check(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(tfd.FileError, match="damaged"):
        tfd.check(tmp_path)


def test_an_older_export_script_takes_payloads(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "examples" / "export_v1.py"
    subprocess.run([sys.executable, script, tmp_path / "1"], check=True, capture_output=True)
    spec = tfd.ArraySpec((256, 192, 18), "float32", codecs="astype:int8|zlib_bounded")
    pose = np.full((256, 192, 18), 3, np.float32)
    assert run(tmp_path / "1", pose_map_bytes=[spec.encode(pose)])["score"].tolist() == [6.0]
    assert tfd.check(tmp_path / "1").ok


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("--dir", 2)])
def test_an_older_export_script_exports_nothing_when_asked_for_help(
    argument: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = Path(__file__).parents[2] / "examples" / "export_v1.py"
    monkeypatch.setattr(sys, "argv", [str(script), argument])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(script), run_name="__main__")
    assert stop.value.code == status and not list(tmp_path.iterdir())


def test_the_json_copy_is_plain_json(tmp_path: Path) -> None:
    version = tfd.export(lambda pose: pose, tmp_path, inputs={"pose": SPEC})
    told = json.loads((version / "assets.extra" / "tfdecode.json").read_text())
    assert told["inputs"]["pose"]["fingerprint"] == SPEC.fingerprint


def test_inputs_of_different_sizes_are_refused(tmp_path: Path) -> None:
    other = tfd.ArraySpec((2, 3), "float32", codecs="zlib", label="other")
    version = tfd.export(lambda a, b: a + b, tmp_path, inputs={"a": SPEC, "b": other})
    with pytest.raises(tf.errors.InvalidArgumentError, match="b_bytes: batch has 1 rows, a_bytes "):
        run(version, a_bytes=PAYLOADS, b_bytes=[other.encode(ARRAYS[0])])


def test_inputs_that_a_seal_cannot_tell_apart_are_warned_of(tmp_path: Path) -> None:
    """Also where one chain of two is the same: it keys its seal alone, as clients may know it."""
    either = tfd.ArraySpec(SPEC.shape, SPEC.dtype, f"{SPEC.chain.text} or raw|seal")
    with pytest.warns(UserWarning, match="a and b have equal specs of 'raw.zlib.seal'"):
        tfd.export(lambda a, b: a + b, tmp_path, inputs={"a": SPEC, "b": either})


def test_unsealed_streams_are_masked_too(tmp_path: Path) -> None:
    chain = tfd.one_of("zlib", "png")
    unsealed = tfd.ArraySpec((2, 3), "float32", codecs=chain, seal=False)
    good = unsealed.encode(ARRAYS[1])
    version = tfd.export(lambda pose: pose, tmp_path, inputs={"pose": unsealed}, on_invalid="mask")
    broken = good[:20] + bytes([good[20] ^ 255]) + good[21:]
    answer = run(version, pose_bytes=[broken, good])
    assert answer["status"].tolist()[1] == 0 != answer["status"].tolist()[0]
    assert bits(answer["output_0"]) == bits(np.stack([ARRAYS[1] * 0, ARRAYS[1]]))


def test_an_output_is_never_dropped_for_another(tmp_path: Path) -> None:
    out = tfd.ArraySpec((2, 3), "float32")
    with pytest.raises(tfd.ExportError, match="another output y_bytes"):
        tfd.export(
            lambda pose: {"y": pose, "y_bytes": pose},
            tmp_path,
            inputs={"pose": SPEC},
            outputs={"y": out},
        )


def test_a_model_that_never_runs_is_refused_beside_numbers_that_are_passed_on(
    tmp_path: Path,
) -> None:
    def model(pose: Any, scale: Any) -> Any:
        with tf.control_dependencies([tf.debugging.Assert(tf.size(pose) < 0, ["never"])]):
            return pose * scale

    inputs = {"pose": SPEC, "scale": tf.TensorSpec([None, 1, 1], tf.float32)}
    with pytest.raises(tfd.ExportError, match="could not run the export"):
        tfd.export(model, tmp_path, inputs=inputs)


def test_two_exports_at_once_get_two_versions(tmp_path: Path) -> None:
    def export(_: int) -> str:
        return tfd.export(lambda pose: pose, tmp_path, inputs={"pose": SPEC}).name

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(export, range(4))) == ["1", "2", "3", "4"]


def test_an_export_does_not_hold_what_other_threads_are_making(tmp_path: Path) -> None:
    """CPython cannot finish a tuple that another one holds: gc.get_objects would hold it."""
    exported = threading.Event()

    def slow() -> Any:
        for number in range(12):
            time.sleep(0.001)
            yield number

    def other() -> int:
        made = 0
        while not exported.is_set():
            made += len(tuple(slow())) == 12
        return made

    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(other)
        try:
            model, inputs = Scaled(), {"pose": SPEC, "kind": tf.TensorSpec([None], tf.int32)}
            tfd.export(model, tmp_path, inputs)
        finally:
            exported.set()
        assert made.result() > 10


@pytest.mark.parametrize(
    "options",
    [
        {"version": 0},
        {"version": "2"},
        {"version": True},
        {"max_rows": 0},
        {"max_rows": 1.5},
        {"outputs": [SPEC]},
        {"sample": {"other": 1}},
        {"sample": {"pose": np.zeros((3, 2), np.float32)}},
        {"on_invalid": "ignore"},
        {"signature": "arrays"},
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(tfd.ExportError):
        tfd.export(lambda pose: pose, tmp_path / "new", inputs={"pose": SPEC}, **options)
    assert not (tmp_path / "new").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(tfd.ExportError, match="file is a file; pass the directory"):
        tfd.export(lambda pose: pose, tmp_path / "file", inputs={"pose": SPEC})
    version = tfd.export(lambda pose: pose, tmp_path, inputs={"pose": SPEC})
    with pytest.raises(tfd.ExportError, match="is a SavedModel; pass the directory"):
        tfd.export(lambda pose: pose, version, inputs={"pose": SPEC})


def test_an_empty_saved_model_is_not_ok(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert not tfd.check(tmp_path).ok


def test_the_c_program_serves_what_is_exported(program: Path, tmp_path: Path) -> None:
    version = tfd.export(lambda pose: {"y": tf.sin(pose)}, tmp_path / "m", inputs={"pose": SPEC})
    files = []
    for index, payload in enumerate([*PAYLOADS, PAYLOADS[0][:-1]]):
        files.append(tmp_path / str(index))
        files[-1].write_bytes(payload)
    words = [program, "run", version, "serving_default", "-o", tmp_path / "out"]
    subprocess.run([*words, f"pose_bytes={files[0]},{files[1]}"], check=True)
    direct = run(version, "arrays", pose=ARRAYS)["y"]
    assert bits(np.load(tmp_path / "out" / "y.npy")) == bits(direct)
    bad = subprocess.run([*words, f"pose_bytes={files[0]},{files[2]}"], stderr=subprocess.PIPE)
    assert bad.returncode == 1 and b"pose_bytes: row 1 has" in bad.stderr
