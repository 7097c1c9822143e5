"""InProcess: a model asked with arrays, files and payloads."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.client import ArrayFile, InProcess
from tfdecode.client.inputs import encode_file

tf = pytest.importorskip("tensorflow")

POSE = tfd.ArraySpec((2, 3), "float32", "zlib")
ARRAY = np.arange(6, dtype="float32").reshape(2, 3)
SCALE = np.array([2], "float32")
TAKES = (
    "signature serving_default takes image_bytes (string [None]), "
    "pose (float32 [2, 3] by raw|zlib|seal), scale (float32 [None, 1])"
)


def scaled(pose, scale, image_bytes):
    return {"scaled": pose * scale[:, :, None], "length": tf.strings.length(image_bytes)}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """The base path of a model with one version."""
    folder = tmp_path_factory.mktemp("model")
    inputs = {
        "pose": POSE,
        "scale": tf.TensorSpec([None, 1], tf.float32),
        "image_bytes": tf.TensorSpec([None], tf.string),
    }
    tfd.export(scaled, folder, inputs=inputs)
    return folder


@pytest.fixture(scope="module")
def model(base: Path):
    with InProcess(base) as model:
        yield model


def inputs(**changed):
    """Good inputs, some of them changed; None leaves one out."""
    given = {"pose": ARRAY, "scale": SCALE, "image_bytes": b"PNG", **changed}
    return {name: value for name, value in given.items() if value is not None}


def test_one_example_gets_its_batch_dimension(model: InProcess) -> None:
    outputs = model.predict(inputs())
    assert outputs["scaled"].tolist() == [(ARRAY * 2).tolist()]
    assert outputs["length"].tolist() == [3]


def test_a_list_is_a_batch(model: InProcess) -> None:
    rows = {"pose": [ARRAY, -ARRAY], "scale": (SCALE, SCALE), "image_bytes": [b"", b"PNG"]}
    outputs = model.predict(rows)
    assert outputs["scaled"].tolist() == [(ARRAY * 2).tolist(), (ARRAY * -2).tolist()]
    assert outputs["length"].tolist() == [0, 3]


def test_numbers_may_have_their_batch_dimension(model: InProcess) -> None:
    rows = {"pose": [ARRAY] * 2, "image_bytes": [b""] * 2}
    outputs = model.predict(inputs(**rows, scale=np.ones((2, 1), "float32")))
    assert outputs["scaled"].shape == (2, 2, 3)


def test_files_are_read_and_converted_where_nothing_changes(
    model: InProcess, tmp_path: Path
) -> None:
    (tmp_path / "pose.pkl").write_bytes(pickle.dumps(ARRAY.astype("float64")))
    np.savez(tmp_path / "maps.npz", a=ARRAY, b=ARRAY + 1)
    np.save(tmp_path / "scale.npy", np.array([3]))
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    scale, image = tmp_path / "scale.npy", tmp_path / "image.png"
    one = model.predict(inputs(pose=tmp_path / "pose.pkl", scale=scale, image_bytes=image))
    assert one["scaled"].tolist() == [(ARRAY * 3).tolist()] and one["length"].tolist() == [4]
    other = model.predict(inputs(pose=ArrayFile(tmp_path / "maps.npz", "b")))
    assert other["scaled"].tolist() == [((ARRAY + 1) * 2).tolist()]


def test_a_file_that_the_spec_reads_is_sent_as_it_is(tmp_path: Path) -> None:
    file, other = tmp_path / "pose.pkl", tmp_path / "other.pkl"
    file.write_bytes(pickle.dumps({"id": 3, "pose": ARRAY, "mask": ARRAY > 2}))
    other.write_bytes(pickle.dumps({"pose": ARRAY + 1}))
    np.save(tmp_path / "pose.npy", ARRAY.astype("int64") + 2)
    sampled = tfd.infer(file, as_is=True, key="pose")
    spec = tfd.ArraySpec((2, 3), "float32", f"{sampled.chain.text} or zlib")
    path = tfd.export(lambda pose: pose, tmp_path / "model", inputs={"pose": spec})
    with InProcess(path) as model:
        # Without a key the second could not be loaded; the last is no file that the spec reads.
        files = [ArrayFile(file, "pose"), file, other, tmp_path / "pose.npy"]
        for added, value in zip([0, 0, 1, 2], files, strict=True):
            (pose,) = model.predict({"pose": value}).values()
            assert (pose == ARRAY + added).all()


def test_what_is_sent_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pose.npy"
    np.save(file, np.asfortranarray(ARRAY))
    data = file.read_bytes()
    for codecs in ("npy", "raw or npy"):
        spec = tfd.ArraySpec((2, 3), "float32", codecs)
        assert encode_file(spec, ArrayFile(file)) == (data, ("untouched", "npy"))
    double = tfd.ArraySpec((2, 3), "float64", "astype:float32|npy")
    assert encode_file(double, ArrayFile(file)) == (data, ("untouched", "astype:float32|npy"))
    assert encode_file(POSE, ArrayFile(file)) == (
        POSE.encode(ARRAY),
        ("packed", POSE.chain.text),
    )
    bytes_of = tfd.ArraySpec((len(data),), "uint8", "raw or npy")  # as long as the file is
    with pytest.raises(tfd.EncodeError, match="has shape"):
        encode_file(bytes_of, ArrayFile(file))


def test_a_key_chooses_another_array_than_the_spec_reads(tmp_path: Path) -> None:
    file = tmp_path / "pose.pkl"
    file.write_bytes(pickle.dumps({"a": ARRAY, "b": ARRAY + 1}))
    spec = tfd.infer(file, as_is=True, key="a")
    assert encode_file(spec, ArrayFile(file, "a"))[0] == file.read_bytes()
    assert (spec.decode(encode_file(spec, ArrayFile(file, "b"))[0]) == ARRAY + 1).all()
    with pytest.raises(tfd.FileError, match="holds no array named c"):
        encode_file(spec, ArrayFile(file, "c"))


def test_payloads_are_passed_on(model: InProcess, tmp_path: Path) -> None:
    payload = POSE.encode(ARRAY)
    (tmp_path / "pose.tfd").write_bytes(payload)
    for value in (payload, bytearray(payload), tmp_path / "pose.tfd", [payload]):
        assert model.predict(inputs(pose=value))["scaled"].tolist() == [(ARRAY * 2).tolist()]


def test_an_input_answers_to_its_signature_key_too(model: InProcess) -> None:
    outputs = model.predict({**inputs(pose=None), "pose_bytes": ARRAY})
    assert outputs["scaled"].shape == (1, 2, 3)


def test_the_schema_is_the_model_s(model: InProcess, base: Path) -> None:
    assert dict(model.schema) == {"pose": POSE} == dict(tfd.Schema.load(base))
    assert model.directory == base / "1"


def test_the_graph_tells_the_schema_where_its_copy_is_missing(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base / "1", tmp_path / "1")
    shutil.rmtree(tmp_path / "1/assets.extra")
    with InProcess(tmp_path / "1") as model:
        assert dict(model.schema) == {"pose": POSE}


def test_the_arrays_signature_takes_arrays(base: Path) -> None:
    with InProcess(base, "arrays") as model:
        assert model.predict(inputs())["scaled"].tolist() == [(ARRAY * 2).tolist()]


def test_a_model_without_a_schema(tmp_path: Path) -> None:
    module = tf.Module()
    module.f = tf.function(
        lambda x, t: {"y": x * t}, [tf.TensorSpec([], tf.int32), tf.TensorSpec([2, 2], tf.int32)]
    )
    signature = module.f.get_concrete_function()
    tf.saved_model.save(module, str(tmp_path), signatures=signature)
    with InProcess(tmp_path) as model:
        given = {"x": np.array(3, "int32"), "t": np.eye(2, dtype="int32")}
        assert dict(model.schema) == {}
        assert model.predict(given)["y"].tolist() == [[3, 0], [0, 3]]


@pytest.mark.parametrize(
    ("changed", "error", "reason"),
    [
        ({"pose": None}, tfd.SpecError, f"inputs are missing: pose; {TAKES}"),
        ({"pos": ARRAY}, tfd.SpecError, f"no input is named 'pos'; {TAKES}"),
        ({"pose_bytes": ARRAY}, tfd.SpecError, "input pose is given twice, also as pose_bytes"),
        (
            {"pose": [ARRAY, ARRAY]},
            tfd.SpecError,
            "inputs differ in their number of rows: pose 2, scale 1, image_bytes 1; clients send "
            "as many rows of each. If the model takes fewer of one (independent_rows=False), pack "
            "them by spec.encode and send the request yourself",
        ),
        ({"pose": []}, tfd.EncodeError, "input pose has no rows"),
        (
            {"pose": "pose.npy"},
            tfd.EncodeError,
            "input pose: is text, needs an array, bytes or a pathlib.Path",
        ),
        (
            {"image_bytes": "image.png"},
            tfd.EncodeError,
            "input image_bytes: is text, needs an array, bytes or a pathlib.Path",
        ),
        (
            {"pose": [ARRAY, ARRAY[0]]},
            tfd.EncodeError,
            "input pose, row 1: array has shape [3], spec needs float32 [2, 3]",
        ),
        (
            {"pose": ARRAY.astype("float64")},
            tfd.EncodeError,
            "input pose: array is float64, spec needs float32; convert it to float32 first",
        ),
        (
            {"scale": np.array([2])},
            tfd.EncodeError,
            "input scale: array is int64, the signature needs float32",
        ),
        (
            {"scale": ARRAY[0]},
            tfd.EncodeError,
            "input scale: has shape [1, 3], the signature takes scale (float32 [None, 1])",
        ),
        ({"scale": b"2"}, tfd.EncodeError, "input scale: is bytes, needs an array of float32"),
        (
            {"scale": [SCALE, ARRAY]},
            tfd.EncodeError,
            "input scale: rows differ in shape: [1], [2, 3]",
        ),
        (
            {"pose": bytes(20)},
            tfd.DecodeError,
            "pose_bytes: row 0 has 20 bytes that do not match their seal: "
            "damaged, of another input, or packed with another spec; "
            "send float32 [2, 3] packed by raw|zlib|seal",
        ),
        (
            {"pose": b"b'AAAAAAAAAAAAAAA='"},
            tfd.DecodeError,
            "pose_bytes: row 0 has 19 bytes that do not match their seal: damaged, of another "
            "input, or packed with another spec; it looks like Python's str() of bytes: send "
            "base64.b64encode(payload).decode(); send float32 [2, 3] packed by raw|zlib|seal",
        ),
        (
            {"pose": [POSE.encode(ARRAY), b""], "scale": [SCALE] * 2, "image_bytes": [b""] * 2},
            tfd.DecodeError,
            "pose_bytes: row 1 has 0 bytes, needs 16 to 101; "
            "send float32 [2, 3] packed by raw|zlib|seal "
            "(in a batch of 2 rows, which may be of several requests)",
        ),
    ],
)
def test_wrong_inputs_say_what_is_wrong(model: InProcess, changed, error, reason: str) -> None:
    with pytest.raises(tfd.TfdecodeError) as caught:
        model.predict(inputs(**changed))
    assert (type(caught.value), str(caught.value)) == (error, reason)


def test_files_that_do_not_fit_are_named(model: InProcess, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    message = f"input pose: {path}: array is not exact in float32: 0.1 at index [0, 0]"
    np.save(path, np.arange(6.0).reshape(2, 3) + 0.1)
    with pytest.raises(tfd.EncodeError) as caught:
        model.predict(inputs(pose=path))
    assert str(caught.value).startswith(message)
    for name in ("image_bytes", "pose", "scale"):
        with pytest.raises(tfd.FileError, match=r"none\.npy: cannot be read: No such file"):
            model.predict(inputs(**{name: tmp_path / "none.npy"}))


def test_a_pipe_in_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").touch()
    os.mkfifo(tmp_path / "variables" / "variables.index")
    with pytest.raises(tfd.FileError, match=r"variables\.index: is not a regular file but a pipe"):
        InProcess(tmp_path)


def test_a_broken_deflate_stream_is_a_decode_error(tmp_path: Path) -> None:
    spec = tfd.ArraySpec((100,), "uint8", "zlib", seal=False)
    path = tfd.export(lambda x: x, tmp_path, inputs={"x": spec})
    payload = bytearray(spec.encode(np.arange(100, dtype="uint8")))
    payload[5:9] = b"\xff" * 4
    with InProcess(path) as model, pytest.raises(tfd.DecodeError) as caught:
        model.predict({"x": bytes(payload)})
    assert "\n" not in str(caught.value)


def test_a_failure_of_the_model_is_told_as_such(tmp_path: Path) -> None:
    def strict(x):
        with tf.control_dependencies([tf.debugging.assert_less(x, 5, "x is too large")]):
            return tf.identity(x)

    path = tfd.export(strict, tmp_path, inputs={"x": tfd.ArraySpec((), "int32")})
    with InProcess(path) as model, pytest.raises(tfd.TfdecodeError) as caught:
        model.predict({"x": np.array(7, "int32")})
    assert type(caught.value) is tfd.TfdecodeError
    assert str(caught.value).startswith("the model failed: x is too large")


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(tfd.FileError, match="holds neither a SavedModel nor versions"):
        InProcess(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 9)
    with pytest.raises(tfd.FileError, match="cannot be loaded: ") as caught:
        InProcess(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_of_keras_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"PK")
    spec = tfd.ArraySpec((2,), "bool")
    for take in (InProcess, tfd.check, lambda path: tfd.wrap(path, tmp_path, {"x": spec})):
        with pytest.raises(tfd.FileError, match="make one of it with tfdecode convert"):
            take(tmp_path / "model.keras")
    with pytest.raises(tfd.FileError, match=r"is a file, needs the directory of a SavedModel$"):
        InProcess(Path(__file__))


def test_after_close_it_says_so(base: Path) -> None:
    with InProcess(base) as closed:
        pass
    with pytest.raises(tfd.TfdecodeError, match="the model is closed"):
        closed.predict(inputs())


def test_in_another_process_it_says_so(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of TensorFlow that answers is not in a process that was forked."""
    with InProcess(base) as model:
        monkeypatch.setattr("os.getpid", lambda: 1)
        with pytest.raises(tfd.TfdecodeError, match="load it in each"):
            model.predict(inputs())


def test_an_unknown_signature_lists_the_known_ones(base: Path) -> None:
    with pytest.raises(tfd.SpecError, match=r"no signature 'x'; it has arrays, serving_default, t"):
        InProcess(base, "x")
