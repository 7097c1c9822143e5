"""Encoded images as inputs: a media type in place of a spec, in wrap, export and convert."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tfdecode as tfd
from tfdecode.cli import main
from tfdecode.client import InProcess, request

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
CAST = {"prod_image": "float32"}
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 9, 3)).astype("uint8")


def file_of(array: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def mean_of(file: bytes) -> np.ndarray:
    mean: np.ndarray = np.asarray(Image.open(io.BytesIO(file))).mean((0, 1))
    return mean


def model(shape: list[int | None], dtype: str = "float32") -> Any:
    """Means of pixels over the image, by name ``prod_image`` in and ``mean`` out."""

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(shape, dtype, name="prod_image")])
        def __call__(self, prod_image: Any) -> Any:
            axes = [1, 2] if len(shape) == 4 else [0, 1]
            return {"mean": tf.reduce_mean(tf.cast(prod_image, tf.float32), axes)}

    return Model()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("theirs")
    tf.saved_model.save(model([None, 8, 9, 3]), str(folder / "fixed"))
    tf.saved_model.save(model([None, None, None, 3], "uint8"), str(folder / "open"))
    tf.saved_model.save(model([None, None, 3]), str(folder / "one"))
    tf.saved_model.save(model([None, 8, 9, 5]), str(folder / "five"))
    return folder


@pytest.mark.parametrize("kind", ["png", "jpeg", "*"])
def test_a_broken_image_does_not_fail_its_batch(theirs: Path, tmp_path: Path, kind: str) -> None:
    inputs = {"prod_image": f"image/{kind}"}
    path = tfd.wrap(theirs / "fixed", tmp_path, inputs, cast=CAST, on_invalid="mask")
    kinds = ["png", "jpeg"] if kind == "*" else [kind]
    files = [file_of(x, kinds[n % len(kinds)]) for n, x in enumerate(PIXELS)]
    # A small file of a huge image, and one of another size.
    huge = file_of(PIXELS[0], kinds[0])
    sizes = b"\0\0\0\x09\0\0\0\x08" if kinds[0] == "png" else b"\0\x08\0\x09"
    claimed = b"\0\0\x75\x30" * 2 if kinds[0] == "png" else b"\x75\x30" * 2
    assert sizes in huge
    bad = [b"", b"broken", huge.replace(sizes, claimed, 1), file_of(PIXELS[0, :4], kinds[0])]
    with InProcess(path, signature="bytes") as client:
        answer = client.predict({"prod_image": [files[0], *bad, *files[1:]]})
    assert (answer["status"] != 0).tolist() == [False, *[True] * 4, False, False]
    np.testing.assert_allclose(answer["mean"][[0, 5, 6]], [*map(mean_of, files)], rtol=1e-5)
    spec = tfd.Schema.load(path)["prod_image"]
    assert (spec.shape, spec.dtype) == ((8, 9, 3), "uint8")


def test_clients_send_files_and_their_bytes(theirs: Path, tmp_path: Path) -> None:
    path = tfd.wrap(theirs / "fixed", tmp_path / "m", {"prod_image": "image/jpeg"}, cast=CAST)
    file = tmp_path / "x.jpg"
    file.write_bytes(file_of(PIXELS[1], "jpeg"))
    with InProcess(path, signature="bytes") as client:
        for given in (file, file.read_bytes()):
            np.testing.assert_allclose(
                client.predict({"prod_image": given})["mean"][0], mean_of(file.read_bytes()), 1e-5
            )
    bodies = [
        json.loads(request(tfd.Schema.load(path), {"prod_image": given}))
        for given in (file, file.read_bytes())
    ]
    assert bodies[0] == bodies[1]


def test_images_without_pillow_are_sent_as_they_are(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tfd.wrap(theirs / "fixed", tmp_path / "m", {"prod_image": "image/jpeg"}, cast=CAST)
    file = tmp_path / "x.jpg"
    file.write_bytes(file_of(PIXELS[1], "jpeg"))
    with InProcess(path, signature="bytes") as client:
        for module in ("PIL.Image", "PIL.JpegImagePlugin"):
            monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(tfd.MissingExtraError, match="jpeg"):
            tfd.load(file)
        assert client.predict({"prod_image": file})["mean"].shape == (1, 3)


@pytest.mark.parametrize(("kind", "name"), [("png", "open"), ("jpeg", "one")])
def test_sizes_that_the_model_leaves_open(
    theirs: Path, tmp_path: Path, kind: str, name: str
) -> None:
    """Of a model that takes a batch, and of one that takes one image."""
    inputs = {"prod_image": f"image/{kind};max_shape=20,30,3"}
    given: dict[str, Any] = {"max_batch_size": 1} if name == "open" else {"cast": CAST}
    path = tfd.wrap(theirs / name, tmp_path, inputs, **given)
    with InProcess(path, signature="bytes") as client:
        for part in (PIXELS[0], PIXELS[1, :3, :2]):
            file = file_of(part, kind)
            answer = client.predict({"prod_image": file})["mean"]
            np.testing.assert_allclose(np.reshape(answer, 3), mean_of(file), rtol=1e-5)
        with pytest.raises(tfd.DecodeError, match="states 21 along axis 0, needs at most 20"):
            client.predict({"prod_image": file_of(np.zeros((21, 3, 3), "uint8"), kind)})


def test_export_takes_them_of_a_model_that_declares_its_input(tmp_path: Path) -> None:
    fixed = model([None, 8, 9, 3])
    path = tfd.export(fixed, tmp_path, {"prod_image": "image/png"}, cast=CAST)
    with InProcess(path) as client:
        file = file_of(PIXELS[0], "png")
        answer = client.predict({"prod_image": file})["mean"][0]
        np.testing.assert_allclose(answer, mean_of(file), rtol=1e-5)
    with pytest.raises(tfd.ExportError, match="pixels are uint8: pass cast="):
        tfd.export(fixed, tmp_path, {"prod_image": "image/png"})
    with pytest.raises(tfd.ExportError, match="does not say the shape of input x"):
        tfd.export(lambda x: x, tmp_path, {"x": "image/png"})


def test_convert_takes_them_of_a_placeholder(tmp_path: Path, capsys: Any) -> None:
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 8, 9, 3], name="x")
        tf.reduce_mean(x, [1, 2], name="y")
        (tmp_path / "frozen.pb").write_bytes(graph.as_graph_def().SerializeToString())
    frozen, out = str(tmp_path / "frozen.pb"), str(tmp_path / "m")
    options = ["--input", "image=x:0=image/jpeg", "--output", "y=y:0"]
    assert main(["convert", frozen, out, *options]) == 1
    assert "--cast image" in capsys.readouterr().err
    assert main(["convert", frozen, out, *options, "--cast", "image"]) == 0
    assert main(["predict", f"{out}/1", f"image={tmp_path}/x.jpg"]) == 1
    (tmp_path / "x.jpg").write_bytes(file_of(PIXELS[0], "jpeg"))
    assert main(["predict", f"{out}/1", f"image={tmp_path}/x.jpg"]) == 0
    assert main(["convert", frozen, out, *options, "--cast", "y"]) == 2


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("fixed", "image/png", "is float32, and pixels are uint8: pass cast="),
        ("fixed", "image/webp", "needs one of image/png, image/jpeg"),
        ("open", "image/png", r"say the largest, 'image/png;max_shape=1024,1024,3'"),
        ("open", "image/png;size=3", "needs max_shape=HEIGHT,WIDTH,CHANNELS"),
        ("open", "image/png;max_shape=9,x", "needs max_shape=HEIGHT,WIDTH,CHANNELS"),
        ("open", "image/png;max_shape=9,9,4", "max_shape"),
        ("five", "image/png", "it needs uint8"),
    ],
)
def test_what_is_no_image(
    theirs: Path, tmp_path: Path, capsys: Any, name: str, text: str, reason: str
) -> None:
    cast = CAST if name == "five" else None
    with pytest.raises(tfd.ExportError, match=reason) as refused:
        tfd.wrap(theirs / name, tmp_path / "m", {"prod_image": text}, cast=cast)
    command = ["wrap", str(theirs / name), str(tmp_path / "m"), "--input", f"prod_image={text}"]
    assert main([*command, *(["--cast", "prod_image"] if cast else [])]) == 1
    assert str(refused.value).split("cast=")[0] in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_the_command(theirs: Path, tmp_path: Path, capsys: Any) -> None:
    out = str(tmp_path / "m")
    command = ["wrap", str(theirs / "fixed"), out, "--input", "prod_image=image/jpeg"]
    assert main([*command, "--cast", "prod_image", "--mask", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["bytes"]
    assert told["spec"]["codecs"] == [{"name": "jpeg"}]
    assert main([*command, "--cast", "other"]) == 2
    assert "--cast: other is not named by --input" in capsys.readouterr().err


def test_of_a_photo_as_a_sample_the_command_says_what_else_there_is(
    theirs: Path, tmp_path: Path, capsys: Any
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(file_of(PIXELS[0], "png"))
    command = ["wrap", str(theirs / "fixed"), str(tmp_path / "m")]
    assert main([*command, "--input", f"prod_image={photo}"]) == 0
    said = "prod_image takes packed pixels; --input prod_image=image/png takes files as they are"
    assert said in capsys.readouterr().err


def test_a_sample_of_wrap_can_be_the_file(theirs: Path, tmp_path: Path) -> None:
    inputs = {"prod_image": "image/jpeg"}
    sample = {"prod_image": file_of(PIXELS[0], "jpeg")}
    assert tfd.wrap(theirs / "fixed", tmp_path, inputs, cast=CAST, sample=sample).name == "1"
    with pytest.raises(tfd.ExportError, match=r"sample of prod_image: payload .* is not a JPEG"):
        bad = {"prod_image": file_of(PIXELS[0, :4], "jpeg")}
        tfd.wrap(theirs / "fixed", tmp_path, inputs, cast=CAST, sample=bad)
    with pytest.raises(tfd.ExportError, match="cast of prod_image is int8, but the model takes"):
        tfd.wrap(theirs / "fixed", tmp_path, inputs, cast={"prod_image": "int8"})
