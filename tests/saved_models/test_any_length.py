"""Arrays of any length: what the model gets of them, and that no row's answer needs another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tfdecode.cli import main
from tfdecode.client import InProcess
from tfdecode.saved_models.session import ServingSession, reason

SPEC = tfd.ArraySpec((None, 3), "float32", "raw|seal", max_shape=(80, 3))
SHORT, LONG = np.full((10, 3), 2, "f4"), np.full((20, 3), 5, "f4")
#: Padded as a client of the arrays pads: with what it likes.
BOTH = {"points": np.full((2, 20, 3), 7, "f4"), "points_lengths": np.int32([10, 20])}
BOTH["points"][0, :10], BOTH["points"][1] = 2, 5


def mean(points: Any) -> dict[str, Any]:
    return {"mean": tf.reduce_mean(points, axis=1)}


def padded_mean(points: Any, points_lengths: Any) -> dict[str, Any]:
    assert points.shape.as_list()[1:] == [80, 3] or tf.executing_eagerly()
    total = tf.reduce_sum(points, axis=1)  # of zeros beyond the length
    return {"mean": total / tf.cast(points_lengths, tf.float32)[:, tf.newaxis]}


class Masked(keras.Model):
    """A subclassed model with weights that takes the lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(3, kernel_initializer="identity")

    def call(self, points: Any, points_lengths: Any) -> dict[str, Any]:
        steps = tf.sequence_mask(points_lengths, tf.shape(points)[1], tf.float32)
        total = tf.reduce_sum(self.dense(points) * steps[..., tf.newaxis], axis=1)
        return {"mean": total / tf.cast(points_lengths, tf.float32)[:, tf.newaxis]}


class Mean(keras.layers.Layer):
    def call(self, points: Any) -> Any:
        return tf.reduce_mean(points, axis=1)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape[0], *shape[2:]


def functional() -> keras.Model:
    points = keras.Input((None, 3), name="points", ragged=True)
    return keras.Model(points, {"mean": Mean()(points)})


MODELS = {
    "ragged": (mean, "ragged", "error"),
    "padded": (padded_mean, "padded", "mask"),
    "keras, ragged": (functional(), "ragged", "mask"),
    "keras, padded": (Masked(), "padded", "error"),
}


def export(model: Any, directory: Path, kind: str | None, **options: Any) -> Path:
    inputs = {"points": SPEC} | options.pop("inputs", {})
    ragged = {} if kind is None else {"ragged": {"points": kind}}
    return tfd.export(model, directory, inputs, **ragged, **options)


def refusal(session: ServingSession, signature: str, feeds: Any) -> str:
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        session.run(signature, feeds)
    return reason(error.value)


@pytest.mark.parametrize("model", MODELS)
def test_a_row_is_answered_by_its_own_elements(model: str, tmp_path: Path) -> None:
    function, kind, on_invalid = MODELS[model]
    version = export(function, tmp_path, kind, on_invalid=on_invalid)
    assert tfd.check(version).ok
    rows = [SPEC.encode(SHORT), SPEC.encode(LONG)]
    with ServingSession(version) as session:
        alone = session.run("serving_default", {"points_bytes": rows[:1]})
        both = session.run("serving_default", {"points_bytes": rows})
        arrays = session.run("arrays", BOTH)
        assert alone["mean"].tolist() == [[2] * 3]
        assert both["mean"].tolist() == arrays["mean"].tolist() == [[2] * 3, [5] * 3]
        bad = {"points_bytes": [rows[1][:-1], *rows]}
        if on_invalid == "error":
            assert "points_bytes: row 0 " in refusal(session, "serving_default", bad)
            return
        answer = session.run("serving_default", bad)
        assert answer["mean"][1:].tolist() == both["mean"].tolist()
        assert answer["status"].tolist() == [tfd.Status.SEAL, 0, 0]


def test_images_of_any_size_have_two_lengths(tmp_path: Path) -> None:
    images = tfd.ArraySpec((None, None, 3), "uint8", "raw|seal", max_shape=(6, 7, 3))
    masks = tfd.ArraySpec((2, None, None), "int16", "raw|seal", max_shape=(2, 5, 4))

    def model(images: Any, images_lengths: Any, masks: Any) -> dict[str, Any]:
        assert images.shape[1:] == (6, 7, 3) and masks.shape[:2] == (None, 2)
        whole = masks.to_tensor(shape=[None, 2, 5, 4])
        return {"images": images, "sizes": images_lengths, "masks": whole}

    inputs, kinds = {"images": images, "masks": masks}, {"images": "padded", "masks": "ragged"}
    version = tfd.export(model, tmp_path, inputs, ragged=kinds, on_invalid="mask")
    rng = np.random.default_rng(0)
    first = [rng.integers(1, 9, (*size, 3), "u1") for size in ((6, 2), (3, 7), (0, 4))]
    second = [rng.integers(1, 9, (2, *size), "i2") for size in ((5, 0), (2, 3), (1, 4))]
    with InProcess(version) as model:
        answers = [model.predict({"images": first, "masks": second})]
    with InProcess(version, "arrays") as model:
        answers.append(model.predict({"images": first, "masks": second}))
        with pytest.raises(tfd.TfdecodeError, match="row 1 is 3, 8, needs 0 to 6, 7, as images"):
            sizes = {"images_lengths": np.int32([[6, 2], [3, 8], [0, 4]])}
            whole = np.zeros((3, 6, 7, 3), "u1")
            model.predict({"images": whole, "masks": second, **sizes})
    for answer in answers:
        assert answer["sizes"].tolist() == [[6, 2], [3, 7], [0, 4]]
        for row in range(3):
            for name, array in (("images", first[row]), ("masks", second[row])):
                got = answer[name][row]
                assert (got[tuple(map(slice, array.shape))] == array).all()
                assert np.count_nonzero(got) == array.size


def test_clients_send_arrays_of_different_length(tmp_path: Path) -> None:
    version = export(padded_mean, tmp_path, "padded", on_invalid="mask")
    points = [SHORT, LONG]
    for signature in ("serving_default", "arrays"):
        with InProcess(version, signature) as model:
            both = model.predict({"points": points})["mean"]
            assert both.tolist() == [[2] * 3, [5] * 3]
            assert model.predict({"points": SHORT})["mean"].tolist() == [[2] * 3]
            batch = np.stack([SHORT, SHORT])
            if signature == "arrays":
                assert model.predict({"points": batch})["mean"].tolist() == [[2] * 3] * 2
                assert model.predict(BOTH)["mean"].tolist() == both.tolist()
                with pytest.raises(tfd.EncodeError, match=r"has shape \[1, 3\]"):
                    model.predict({"points": SHORT[0]})
            else:
                assert model.predict({"points": list(batch)})["mean"].tolist() == [[2] * 3] * 2
    np.save(tmp_path / "a.npy", SHORT)
    np.save(tmp_path / "b.npy", LONG)
    for signature in ("serving_default", "arrays"):
        files = [f"points={tmp_path}/{name}.npy" for name in "ab"]
        out = ["--signature", signature, "-o", str(tmp_path / f"{signature}.npz")]
        assert main(["predict", str(version), *files, *out]) == 0
        assert np.load(tmp_path / f"{signature}.npz")["mean"].tolist() == both.tolist()


def test_lengths_that_the_array_does_not_have_are_refused_by_name(tmp_path: Path) -> None:
    with ServingSession(export(mean, tmp_path, "ragged")) as session:
        for lengths, words in {
            (10, 21): "points_lengths: row 1 is 21, needs 0 to 20, as points has",
            (-1, 3): "points_lengths: row 0 is -1, needs 0 to 20",
            (1, 2, 3): "points_lengths: batch has 3 rows, points has 2",
        }.items():
            feeds = {**BOTH, "points_lengths": np.int32(lengths)}
            assert words in refusal(session, "arrays", feeds)
        feeds = {**BOTH, "points": np.zeros((2, 81, 3), "f4")}
        words = "points: has 81 along the None dimension, at most 80"
        assert words in refusal(session, "arrays", feeds)


def test_one_row_at_a_time_needs_no_choice(tmp_path: Path) -> None:
    version = export(mean, tmp_path, None, on_invalid="mask", max_rows=1)
    rows = [SPEC.encode(SHORT), SPEC.encode(LONG)]
    assert tfd.Schema.load(version).max_batch_size == 1
    with ServingSession(version) as session:
        for row, value in zip(rows, (2, 5), strict=True):
            answer = session.run("serving_default", {"points_bytes": [row]})
            assert (answer["mean"].tolist(), answer["status"].tolist()) == ([[value] * 3], [0])
        answer = session.run("serving_default", {"points_bytes": [rows[0][:-1]]})
        assert answer["status"].tolist() == [tfd.Status.SEAL]
        words = "batch has 2 rows, the model takes at most 1"
        assert words in refusal(session, "serving_default", {"points_bytes": rows})


def first(points: Any) -> Any:
    return tf.map_fn(lambda row: row[0], points, fn_output_signature=tf.float32)


#: Of a model and options, the words of its refusal.
REFUSED: dict[str, tuple[Any, str | None, dict[str, Any], str]] = {
    "no choice": (mean, None, {}, r"'ragged'.* or .*'padded'.*, or max_batch_size=1"),
    "two rows": (mean, None, {"max_rows": 1, "max_batch_size": 2}, "pass ragged="),
    "another word": (mean, "dense", {}, "is 'dense', needs 'ragged' or 'padded'"),
    "no lengths": (mean, "padded", {}, "does not take points_lengths.*leave them out: lambda"),
    "padding in the answer": (
        lambda points: tf.reduce_mean(points.to_tensor(), axis=1),
        "ragged",
        {},
        r"otherwise than alone .* had shapes \[64, 3\], \[32, 3\]; ragged ops",
    ),
    "as long as the longest": (lambda points: points.to_tensor(), "ragged", {}, "otherwise than"),
    "fails on an empty row": (first, "ragged", {"on_invalid": "mask"}, "fails on an array of len"),
    "a list": (mean, None, {"ragged": ["points"]}, "ragged is list, needs a dict"),
    "another name": (mean, None, {"ragged": {"x": "padded"}}, "a None dimension: points$"),
    "a name that is taken": (
        mean,
        "ragged",
        {"inputs": {"points_lengths": tf.TensorSpec([None], tf.int32)}},
        "points_lengths is the name of the lengths of points, which ragged adds",
    ),
    "no None": (
        lambda points, x: x,
        None,
        {"inputs": {"x": tfd.ArraySpec((3,), "int8")}, "ragged": {"x": "ragged"}},
        r"input x has shape \[3\], no None dimension",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_lets_a_row_depend_on_another_is_refused(case: str, tmp_path: Path) -> None:
    model, kind, options, words = REFUSED[case]
    with pytest.raises(tfd.ExportError, match=words):
        export(model, tmp_path, kind, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reduce", [mean, lambda points: {"mean": tf.reduce_max(points, [1, 2])}])
def test_a_model_that_ignores_the_lengths_is_warned_of(reduce: Any, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="mean depends on the zeros .* use points_lengths"):
        export(lambda points, points_lengths: reduce(points), tmp_path, "padded")


def test_a_container_that_has_no_empty_payload_can_be_masked(tmp_path: Path) -> None:
    image = tfd.ArraySpec((None, None, 3), "uint8", "png", max_shape=(8, 8, 3))
    path = tfd.export(
        lambda x: {"sum": tf.reduce_sum(tf.cast(x, tf.int32), [1, 2, 3])},
        tmp_path,
        inputs={"x": image},
        on_invalid="mask",
        ragged={"x": "ragged"},
    )
    rows = [np.full(shape, 2, "uint8") for shape in ((1, 2, 3), (8, 3, 3))]
    with InProcess(path) as model:
        outputs = model.predict({"x": [rows[0], b"bad", rows[1]]})
    assert outputs["sum"].tolist() == [12, 0, 144] and outputs["status"][1] != 0


def test_zeros_that_a_model_masks_itself_are_not_warned_of(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    layers = [keras.layers.Masking(), keras.layers.GlobalAveragePooling1D()]
    model = keras.Sequential([keras.Input((None, 3)), *layers])
    export(lambda points, points_lengths: model(points), tmp_path, "padded")
    assert not [w for w in recwarn if "depends on the zeros" in str(w.message)]


def test_other_inputs_stay_as_they_are(tmp_path: Path) -> None:
    fixed = tfd.ArraySpec((2,), "float32")
    tokens = tfd.ArraySpec((None,), "int32", max_shape=(9,))

    def model(points: Any, tokens: Any, tokens_lengths: Any, fixed: Any, scale: Any) -> Any:
        total = tf.reduce_sum(tf.cast(tokens, tf.float32), 1) + tf.cast(tokens_lengths, tf.float32)
        return (tf.reduce_sum(points, [1, 2]) + total) * scale + tf.reduce_sum(fixed, 1)

    inputs = {"tokens": tokens, "fixed": fixed, "scale": tf.TensorSpec([None], tf.float32)}
    kinds = {"points": "ragged", "tokens": "padded"}
    version = export(model, tmp_path, None, inputs=inputs, ragged=kinds)
    feeds = {
        "points_bytes": [SPEC.encode(SHORT), SPEC.encode(LONG)],
        "tokens_bytes": [tokens.encode(np.int32([1, 2])), tokens.encode(np.int32([]))],
        "fixed_bytes": [fixed.encode(np.float32([1, 2]))] * 2,
        "scale": np.float32([1, 2]),
    }
    with ServingSession(version) as session:
        answer = session.run("serving_default", feeds)["output_0"]
    assert answer.tolist() == [60 + 3 + 2 + 3, 300 * 2 + 3]


class Theirs(tf.Module):
    """A model with a signature that takes lengths, one that does not, and one of a single row."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 3], name="points"),
            tf.TensorSpec([None], tf.int64, name="points_lengths"),
        ]
    )
    def told(self, points: Any, points_lengths: Any) -> Any:
        total = tf.reduce_sum(points, axis=1)
        return {"mean": total / tf.cast(points_lengths, tf.float32)[:, tf.newaxis]}

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], name="points")])
    def untold(self, points: Any) -> Any:
        return mean(points)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="points")])
    def single(self, points: Any) -> Any:
        return {"mean": tf.reduce_mean(points, axis=0)}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, model = tmp_path_factory.mktemp("theirs"), Theirs()
    tf.saved_model.save(
        model, str(path), {"told": model.told, "untold": model.untold, "single": model.single}
    )
    return path


def test_a_wrapped_model_gets_the_lengths_that_it_takes(theirs: Path, tmp_path: Path) -> None:
    version = tfd.wrap(
        theirs,
        tmp_path,
        {"points": SPEC},
        source="told",
        ragged={"points": "padded"},
        on_invalid="mask",
    )
    rows = [SPEC.encode(SHORT), b"", SPEC.encode(LONG)]
    with ServingSession(version) as session:
        assert list(session.signatures["bytes"][0]) == ["points_bytes"]
        answer = session.run("bytes", {"points_bytes": rows})
    assert answer["mean"][::2].tolist() == [[2] * 3, [5] * 3]
    assert answer["status"].tolist() == [0, tfd.Status.LENGTH, 0]


def test_the_command_wraps_with_lengths(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.json").write_text(SPEC.to_json())
    words = [str(theirs), str(tmp_path / "m"), "--input", f"points={tmp_path}/spec.json"]
    assert main(["wrap", *words, "--source", "told"]) == 1
    assert "rows of different length do not fit into one batch" in capsys.readouterr().err
    assert main(["wrap", *words, "--source", "told", "--padded", "points"]) == 0
    assert "[None,3]" in capsys.readouterr().out


@pytest.mark.parametrize(("source", "options"), [("untold", {"max_batch_size": 1}), ("single", {})])
def test_a_wrapped_model_without_lengths_takes_one_row(
    source: str, options: Any, theirs: Path, tmp_path: Path
) -> None:
    version = tfd.wrap(theirs, tmp_path, {"points": SPEC}, source=source, **options)
    with ServingSession(version) as session:
        for array in (SHORT, LONG):
            row = SPEC.encode(array) if source == "single" else [SPEC.encode(array)]
            answer = session.run("bytes", {"points_bytes": row})["mean"]
            assert answer.ravel().tolist() == array[0].tolist()


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("told", {}, "or max_batch_size=1"),
        (
            "told",
            {"ragged": {"points": "ragged"}},
            "take dense tensors: pass 'padded', if told has",
        ),
        ("untold", {"ragged": {"points": "padded"}}, "untold has no input points_lengths"),
        ("single", {"ragged": {"points": "padded"}}, "no batch dimension: leave it out of ragged"),
    ],
)
def test_a_wrap_in_which_rows_depend_on_others_is_refused(
    source: str, options: Any, words: str, theirs: Path, tmp_path: Path
) -> None:
    with pytest.raises(tfd.ExportError, match=words):
        tfd.wrap(theirs, tmp_path, {"points": SPEC}, source=source, **options)
