"""What is run in other versions: an export of each codec, and models with variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tfdecode as tfd
from tests.codecs.cases import ALL, thinned
from tests.common import Case
from tfdecode.layouts import stacked

ROWS = 3
#: The spec of each model's input.
POSE = tfd.ArraySpec((6, 5), "float32", "shuffle|zlib")


@dataclass(frozen=True)
class Export:
    """A SavedModel, what to send to one signature of it, and what to expect of one output."""

    name: str
    path: Path
    signature: str
    payloads: Mapping[str, list[bytes]]
    output: str
    expected: np.ndarray
    #: A codec, whose bits are the same anywhere; a model sums in another order.
    exact: bool = True


def decoder(case: Case, path: Path) -> Export:
    """The export of a model that only decodes."""
    spec, arrays = case.spec, case.arrays(ROWS)
    ragged = {"ragged": {"pose": "padded"}} if None in case.shape else {}
    model = tfd.export(
        lambda pose, **_: {"pose": pose},
        path,
        {"pose": spec},
        arrays_signature=None,
        sample={"pose": arrays[0]},
        independent_rows=False,
        warmup=False,
        **ragged,
    )
    expected = stacked(arrays, spec.chain.form.max_shape) if ragged else np.stack(arrays)
    payloads = {"pose_bytes": [spec.encode(array) for array in arrays]}
    return Export(str(case), model, "serving_default", payloads, "pose", expected)


def keras_model(path: Path) -> tuple[Path, str]:
    """A model with variables and a loop."""
    import keras

    pose = keras.Input((6, 5), name="pose")
    hidden = keras.layers.BatchNormalization()(keras.layers.LSTM(4)(pose))
    model = keras.Model(pose, {"y": keras.layers.Dense(2)(hidden)})
    return tfd.export(model, path, {"pose": POSE}), "serving_default"


def wrapped_model(path: Path) -> tuple[Path, str]:
    """A model with variables, a table and its file, wrapped."""
    import tensorflow as tf

    words = path.with_suffix(".txt")
    words.write_text("".join(f"{number}\n" for number in range(9)))
    line, whole = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE
    file = tf.lookup.TextFileInitializer(str(words), tf.string, whole, tf.int64, line)
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(file, -1)
    module.weight = tf.Variable(np.linspace(-1, 1, 10, dtype="float32").reshape(5, 2))

    @tf.function(input_signature=[tf.TensorSpec([None, 6, 5], name="pose")])
    def call(pose: Any) -> Any:
        number = tf.cast(module.table.lookup(tf.constant(["7"])), tf.float32)
        for _ in tf.range(3):
            pose = tf.tanh(pose) * number
        return {"y": tf.reduce_sum(pose, 1) @ module.weight}

    module.call = call
    tf.saved_model.save(module, str(path / "theirs"), signatures=call)
    return tfd.wrap(path / "theirs", path / "ours", {"pose": POSE}), "bytes"


def converted_model(path: Path) -> tuple[Path, str]:
    """A TensorFlow 1 graph with both kinds of variables, converted."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        pose = v1.placeholder(tf.float32, [None, 6, 5], name="pose")
        old = v1.get_variable("old", initializer=np.float32(2), use_resource=False)
        new = v1.get_variable("new", initializer=np.ones(5, "float32"), use_resource=True)
        tf.reduce_sum(pose * old + new, 1, name="y")
        session.run(v1.global_variables_initializer())
        given = {"pose": ("pose:0", POSE)}
        return tfd.convert(session, path, given, {"y": "y:0"}), "serving_default"


MODELS: dict[str, Callable[[Path], tuple[Path, str]]] = {
    "Keras": keras_model,
    "wrap": wrapped_model,
    "convert": converted_model,
}


def model(name: str, path: Path) -> Export:
    """An export with variables, with the answers of this TensorFlow."""
    from tfdecode.saved_models.session import ServingSession

    path.mkdir(parents=True)
    made, signature = MODELS[name](path)
    arrays = np.random.default_rng(1).standard_normal((ROWS, *POSE.shape)).astype("float32")
    payloads = {"pose_bytes": [POSE.encode(array) for array in arrays]}
    with ServingSession(made) as session:
        (expected,) = session.run(signature, payloads).values()
    return Export(name, made, signature, payloads, "y", expected, exact=False)


def exports(path: Path) -> Iterator[Export]:
    """All of them."""
    yield from (model(name, path / f"model{name}") for name in MODELS)
    for number, case in enumerate(thinned(ALL, 3)):
        yield decoder(case, path / f"case{number}")
