"""min_tensorflow: an older TensorFlow runs what is written, and answers in the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.protobuf import saved_model_pb2

import tfdecode as tfd
from tests.common import assert_same
from tfdecode.cli import main
from tfdecode.client import InProcess
from tfdecode.saved_models.backport import backport
from tfdecode.saved_models.check import nodes
from tfdecode.saved_models.protobuf import read_protobuf

SPEC = tfd.ArraySpec((4, 3), "float32", "zlib")
ARRAY = np.arange(12, dtype="float32").reshape(4, 3)


@pytest.fixture(scope="module")
def dense() -> Any:
    return keras.Sequential([keras.Input((4, 3), name="pose"), keras.layers.Dense(2)])


@pytest.fixture(scope="module")
def newest(dense: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with variables, as this TensorFlow writes it."""
    return tfd.export(dense, tmp_path_factory.mktemp("newest"), inputs={"pose": SPEC})


def ops(path: Path) -> set[str]:
    return {node.op for _, node in nodes(read_protobuf(path).meta_graphs[0].graph_def)}


def answer(path: Path, signature: str = "serving_default", given: Any = (ARRAY,)) -> np.ndarray:
    with InProcess(path, signature=signature) as served:
        (value,) = served.predict({"pose": given}).values()
    return value


def test_a_model_with_variables_runs_in_an_old_version(
    dense: Any, newest: Path, tmp_path: Path
) -> None:
    old = tfd.export(dense, tmp_path, inputs={"pose": SPEC}, min_tensorflow="2.3.4")
    for version in ("2.3", "2.8", "2.21"):
        assert tfd.check(old, version).ok
    assert not tfd.check(newest, "2.3").ok
    assert "DisableCopyOnRead" in ops(newest) - ops(old)
    assert not (old / "fingerprint.pb").exists()
    assert_same(answer(old), answer(newest))
    loaded = tf.saved_model.load(str(old)).signatures["arrays"]
    assert_same(next(iter(loaded(pose=ARRAY[None]).values())), answer(newest))


def test_a_wrapped_model_is_changed_as_a_whole(newest: Path, tmp_path: Path) -> None:
    given = {"source": "arrays", "signature": "more", "min_tensorflow": "2.8"}
    path = tfd.wrap(newest, tmp_path, {"pose": SPEC}, **given)
    assert tfd.check(path, "2.8").ok
    assert_same(answer(path, "more"), answer(newest))


def test_a_converted_session(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        pose = v1.placeholder(tf.float32, [None, 4, 3], name="pose")
        weight = v1.get_variable("weight", initializer=2.0, use_resource=True)
        tf.multiply(pose, weight, name="twice")
        session.run(v1.global_variables_initializer())
        for name, given, sent in (("a", ("pose:0", SPEC), [ARRAY]), ("b", "pose:0", ARRAY[None])):
            path = tfd.convert(
                session, tmp_path / name, {"pose": given}, {"y": "twice:0"}, min_tensorflow="2.3"
            )
            assert tfd.check(path, "2.3").ok
            assert_same(answer(path, given=sent), 2 * ARRAY[None])


def ignoring(pose: Any) -> Any:
    """A model that gathers beyond the end, which is 0 from TensorFlow 2.17 on."""
    index = tf.constant([[9]])
    take = tf.raw_ops.GatherNd
    return {"y": pose, "z": take(params=pose[0], indices=index, bad_indices_policy="IGNORE")[None]}


REFUSED = {
    "zstd": (
        lambda pose: pose,
        "zstd",
        "2.19",
        r"^TensorFlow 2\.19 cannot run the export: node .* is DecodeCompressed, which takes "
        r"compression_type=ZSTD from TensorFlow 2\.20 on; TensorFlow 2\.20 can run it$",
    ),
    "an attribute that is not the default": (
        ignoring,
        "raw",
        "2.12",
        r"GatherNd, which has the attribute bad_indices_policy, which comes with TensorFlow 2\.17: "
        r"an older one ignores it; TensorFlow 2\.17 can",
    ),
    "an op": (
        lambda pose: tf.raw_ops.StatelessCase(
            branch_index=0,
            input=[pose],
            Tout=[tf.float32],
            branches=[tf.function(lambda x: x).get_concrete_function(pose)],
        )[0],
        "raw",
        "2.3",
        r"StatelessCase, which comes with TensorFlow 2\.4; TensorFlow 2\.4 can run it",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_an_old_version_cannot_do_is_refused_by_name(what: str, tmp_path: Path) -> None:
    model, codecs, version, message = REFUSED[what]
    spec = tfd.ArraySpec((4, 3), "float32", codecs)
    given = {"arrays_signature": None, "independent_rows": False}
    with pytest.raises(tfd.ExportError, match=message):
        tfd.export(model, tmp_path, {"pose": spec}, min_tensorflow=version, **given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.15", r"min_tensorflow is '1\.15', the oldest release that decodes is 2\.3"),
        ("2", r"min_tensorflow is '2', needs a version as '2\.12'"),
        (2.8, r"min_tensorflow is 2\.8, needs a version as '2\.12'"),
        ("9.9", r"known are 2\.3 to 2\.21: pass .2\.21., whose models newer servers run too"),
    ],
)
def test_versions_that_are_refused(version: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(tfd.SpecError, match=message):
        tfd.export(lambda x: x, tmp_path, {"x": SPEC}, min_tensorflow=version)
    with pytest.raises(tfd.SpecError, match=message):
        tfd.wrap(tmp_path, tmp_path, {"x": SPEC}, min_tensorflow=version)
    with pytest.raises(tfd.SpecError, match=message):
        tfd.convert(tmp_path / "m", tmp_path, {"x": "x:0"}, {"y": "y:0"}, min_tensorflow=version)


@pytest.mark.filterwarnings("ignore:signature.*JSON has no complex128")
def test_complex_numbers_are_scattered_in_old_versions(tmp_path: Path) -> None:
    """Those before 2.10 have no kernel for it, but `infer` may propose it for them."""
    spec = tfd.ArraySpec((4, 5), "complex128", "sparse")
    array = np.zeros((4, 5), "complex128")
    array[3, ::3] = 1 - 2j
    options = {"arrays_signature": None, "independent_rows": False, "min_tensorflow": "2.3"}
    path = tfd.export(lambda x: {"y": x}, tmp_path, {"x": spec}, **options)
    with InProcess(path) as model:
        assert_same(model.predict({"x": [array]})["y"], array[None])


@pytest.mark.filterwarnings("ignore:signature.*JSON has no uint")
@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_unsigned_integers_move_as_signed_ones(dtype: str, tmp_path: Path) -> None:
    """TensorFlow 2.3 has few kernels for them, but `infer` may propose any chain for it."""
    options: Any = {"min_tensorflow": "2.3", "arrays_signature": None, "on_invalid": "mask"}
    spec = tfd.ArraySpec((4, 3), dtype, "astype:uint8|raw or transpose:1,0|raw")
    arrays = [np.full((4, 3), 7, dtype), np.full((4, 3), np.iinfo(dtype).max, dtype)]
    out = tfd.ArraySpec((4, 3), dtype, "transpose:1,0|raw")
    path = tfd.export(
        lambda x: {"y": x}, tmp_path, {"x": spec}, outputs={"y": out}, max_rows=1, **options
    )
    with InProcess(path) as model:
        assert_same(model.predict({"x": arrays})["y"], np.stack(arrays))
    ragged = tfd.ArraySpec((None, 3), dtype, "transpose:1,0|shuffle|raw", max_shape=(4, 3))
    path = tfd.export(
        lambda x, x_lengths: {"y": x, "n": x_lengths},
        tmp_path,
        {"x": ragged},
        ragged={"x": "padded"},
        **options,
    )
    with InProcess(path) as model:
        answer = model.predict({"x": [arrays[0][:1], arrays[1]]})
        assert_same(answer["y"][1], arrays[1])
        assert_same(answer["y"][0], np.concatenate([arrays[0][:1], np.zeros((3, 3), dtype)]))


def test_the_command(newest: Path, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(SPEC.to_json())
    command = ["wrap", str(newest), str(tmp_path / "m"), "--source", "arrays"]
    command += ["--signature", "more", "--input", f"pose={tmp_path / 'spec.json'}"]
    assert main([*command, "--min-tensorflow", "2.8"]) == 0
    assert tfd.check(tmp_path / "m", "2.8").ok and not tfd.check(newest, "2.8").ok


@given(st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 9))), max_size=10))
def test_what_waited_for_a_node_that_is_gone_waits_for_what_that_waited_for(graph: Any) -> None:
    """Node i is one that goes, or one that adds x to x, and waits for some before it."""
    model = saved_model_pb2.SavedModel()
    made = model.meta_graphs.add().graph_def
    before: dict[str, set[str]] = {}
    for index, (goes, waits) in enumerate(graph):
        inputs = ["x"] if goes else ["x", "x"]
        controls = [f"n{other}" for other in waits if other < index]
        before[f"n{index}"] = {*controls, *(n for c in controls for n in before[c])}
        op = "DisableCopyOnRead" if goes else "AddV2"
        made.node.add(name=f"n{index}", op=op, input=[*inputs, *(f"^{c}" for c in controls)])
    backport(model, "2.8")
    kept = {f"n{index}" for index, (goes, _) in enumerate(graph) if not goes}
    after: dict[str, set[str]] = {}
    for node in made.node:
        assert list(node.input[:2]) == ["x", "x"]
        controls = [name.removeprefix("^") for name in node.input[2:]]
        assert len(set(controls)) == len(controls)
        after[node.name] = {*controls, *(n for c in controls for n in after[c])}
    assert after == {name: before[name] & kept for name in kept}
    backport(model, "2.10")


@pytest.mark.parametrize("cycle", [False, True])
def test_many_nodes_that_go_take_no_time(cycle: bool) -> None:
    model = saved_model_pb2.SavedModel()
    made = model.meta_graphs.add().graph_def
    for index in range(400):
        controls = [f"^n{one}" for one in range(index + cycle)]
        made.node.add(name=f"n{index}", op="DisableCopyOnRead", input=["x", *controls])
    made.node.add(name="end", op="AddV2", input=["x", "x", "^n399"])
    backport(model, "2.8")
    assert [(node.name, list(node.input)) for node in made.node] == [("end", ["x", "x"])]


def test_a_function_still_runs_what_the_nodes_that_go_waited_for() -> None:
    model = saved_model_pb2.SavedModel()
    function = model.meta_graphs.add().graph_def.library.function.add()
    for name, controls in (("check", []), ("idle", ["^check"]), ("other", ["^idle"])):
        op = "Assert" if name == "check" else "DisableCopyOnRead"
        function.node_def.add(name=name, op=op, input=["x", *controls])
    function.control_ret["last"] = "other"
    function.signature.control_output.append("last")
    backport(model, "2.8")
    assert dict(function.control_ret) == {"check": "check"}
    assert list(function.signature.control_output) == ["check"]
