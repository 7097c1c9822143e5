"""Wherever a graph runs, decode_tensor works: sessions, other processes, tf.data, Keras."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same
from tfdecode.saved_models.check import PYTHON_OPS, nodes

SPECS = {
    "raw": tfd.ArraySpec((2, 3), "float32"),
    "uint32": tfd.ArraySpec((2, 3), "uint32", "transpose:1,0"),
    "sealed": tfd.ArraySpec((2, 3), "float64", "astype:float32|zlib"),
    "unsealed": tfd.ArraySpec((2, 3), "bool", "zlib", seal=False),
    "large": tfd.ArraySpec((40, 30), "float32", "astype:uint8|zlib"),
    "table": tfd.ArraySpec((2, 3), "float32", "csv"),
    "None": tfd.ArraySpec((2, None), "bool", "transpose:1,0", max_shape=(2, 5)),
}
each_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def array_of(spec: tfd.ArraySpec) -> np.ndarray:
    shape = tuple(3 if side is None else side for side in spec.shape)
    return (np.arange(np.prod(shape)).reshape(shape) % 2).astype(spec.dtype)


def bad(payload: bytes) -> bytes:
    """A payload that no chain takes, sealed or not."""
    return b"\xff" + payload[:-2]


def run(code: str, *arguments: Any) -> None:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@each_spec
def test_in_a_session_with_a_placeholder(spec: tfd.ArraySpec) -> None:
    array = array_of(spec)
    good = spec.encode(array)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        payloads = tf.compat.v1.placeholder(tf.string, [None])
        scalar = tf.compat.v1.placeholder(tf.string, [])
        tensor = spec.decode_tensor(payloads, input_name="x_bytes")
        one = spec.decode_tensor(scalar)
        checked = spec.decode_checked(payloads)
        assert_same(session.run(tensor, {payloads: [good] * 3}), np.stack([array] * 3))
        assert_same(session.run(one, {scalar: good}), array)
        assert session.run(tensor, {payloads: []}).shape[0] == 0
        decoded, status = session.run(checked, {payloads: [good, bad(good), good]})
        assert_same(decoded, np.stack([array, np.zeros_like(array), array]))
        assert (status != 0).tolist() == [False, True, False]
        with pytest.raises(tf.errors.InvalidArgumentError, match="x_bytes: row 1 "):
            session.run(tensor, {payloads: [good, bad(good)]})


@each_spec
def test_a_check_cannot_be_pruned_away(spec: tfd.ArraySpec) -> None:
    """Whatever is computed from the tensor, even its shape alone, the bad row is found."""
    good = spec.encode(array_of(spec))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        payloads = tf.compat.v1.placeholder(tf.string, [None])
        tensor = spec.decode_tensor(payloads)
        first = tf.cast(tensor[:1], tf.int32)
        with pytest.raises(tf.errors.InvalidArgumentError, match="row 1 "):
            session.run(first, {payloads: [good, bad(good)]})


V1 = """
import json, sys
import numpy as np
import tensorflow as tf
import tfdecode as tfd

tf.compat.v1.disable_v2_behavior()
spec = tfd.ArraySpec.from_json(sys.argv[1])
good, bad = (bytes.fromhex(text) for text in sys.argv[2:4])
payloads = tf.compat.v1.placeholder(tf.string, [None])
tensor = spec.decode_tensor(payloads, input_name="x_bytes")
checked = spec.decode_checked(payloads)
with tf.compat.v1.Session() as session:
    decoded = session.run(tensor, {payloads: [good] * 2})
    assert decoded.tobytes() == spec.decode(good).tobytes() * 2
    decoded, status = session.run(checked, {payloads: [bad, good]})
    assert decoded[1].tobytes() == spec.decode(good).tobytes()
    assert status[0] and not status[1] and not decoded[0].any()
    assert session.run(tensor, {payloads: []}).shape[0] == 0
    try:
        session.run(tensor, {payloads: [good, bad]})
    except tf.errors.InvalidArgumentError as error:
        assert "x_bytes: row 1 " in error.message, error.message
    else:
        raise AssertionError("the bad row went through")
"""


@pytest.mark.parametrize("name", ["large", "unsealed", "None"])
def test_with_the_behaviour_of_tensorflow_1(name: str) -> None:
    spec = SPECS[name]
    good = spec.encode(array_of(spec))
    run(V1, spec.to_json(), good.hex(), bad(good).hex())


IMPORTED = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf

directory = Path(sys.argv[1])
graph = tf.compat.v1.GraphDef.FromString((directory / "graph.pb").read_bytes())
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    tf.graph_util.import_graph_def(graph, name="")
    for payload in directory.glob("*.payload"):
        good = payload.read_bytes()
        decoded = session.run(f"{payload.stem}:0", {f"{payload.stem}_bytes:0": [good] * 3})
        np.save(directory / f"{payload.stem}.npy", decoded)
        try:
            session.run(f"{payload.stem}:0", {f"{payload.stem}_bytes:0": [good, good[1:]]})
        except tf.errors.InvalidArgumentError as error:
            assert f"{payload.stem}_bytes: row 1 " in error.message, error.message
        else:
            raise AssertionError("the bad row went through")
assert "tfdecode" not in sys.modules
"""


def test_a_serialized_graph_runs_in_a_process_without_tfdecode(tmp_path: Path) -> None:
    specs = {name: spec for name, spec in SPECS.items() if name != "unsealed"}
    graph = tf.Graph()
    with graph.as_default():
        for name, spec in specs.items():
            payloads = tf.compat.v1.placeholder(tf.string, [None], name=f"{name}_bytes")
            tf.identity(spec.decode_tensor(payloads, input_name=f"{name}_bytes"), name=name)
            (tmp_path / f"{name}.payload").write_bytes(spec.encode(array_of(spec)))
    definition = graph.as_graph_def()
    assert not PYTHON_OPS & {node.op for _, node in nodes(definition)}
    (tmp_path / "graph.pb").write_bytes(definition.SerializeToString())
    run(IMPORTED, tmp_path)
    for name, spec in specs.items():
        assert_same(np.load(tmp_path / f"{name}.npy"), np.stack([array_of(spec)] * 3))


@each_spec
def test_in_tf_data(spec: tfd.ArraySpec) -> None:
    array = array_of(spec)
    payloads = tf.data.Dataset.from_tensor_slices([spec.encode(array)] * 5)
    for dataset in (
        payloads.map(spec.decode_tensor),
        payloads.batch(2).map(spec.decode_tensor, num_parallel_calls=2).unbatch(),
        payloads.map(spec.decode_checked).map(lambda decoded, status: decoded),
    ):
        assert dataset.element_spec.shape.as_list() == list(spec.shape)
        rows = list(dataset)
        assert len(rows) == 5
        for row in rows:
            assert_same(row, array)


def test_bad_rows_are_filtered_in_tf_data() -> None:
    spec = SPECS["raw"]
    good = spec.encode(array_of(spec))
    payloads = tf.data.Dataset.from_tensor_slices([good, good[1:], b"", good])
    rows = payloads.map(spec.decode_checked).filter(lambda decoded, status: status == 0)
    assert len(list(rows)) == 2


@each_spec
def test_in_a_keras_model(spec: tfd.ArraySpec, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")

    class Decode(keras.layers.Layer):
        def call(self, payloads: tf.Tensor) -> tf.Tensor:
            return spec.decode_tensor(payloads)

        def compute_output_spec(self, payloads: Any) -> Any:
            return keras.KerasTensor((None, *spec.shape), spec.dtype)

    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, Decode()(inputs))
    array = array_of(spec)
    payloads = tf.constant([spec.encode(array)] * 2)
    assert_same(model(payloads), np.stack([array] * 2))
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", model.call, [tf.TensorSpec([None], tf.string)])
    archive.write_out(str(tmp_path))
    assert_same(tf.saved_model.load(str(tmp_path)).serve(payloads), np.stack([array] * 2))
