"""jpeg: JPEG files as Pillow and libjpeg write them, in a saved and reloaded model."""

from __future__ import annotations

import io
import struct
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfdecode as tfd
from tests.common import assert_same, file_by
from tests.reloaded import Decoders, save
from tfdecode.cli import main
from tfdecode.formats.jpeg import contents

SIDES = 37, 61
SPECS = {
    "grey": tfd.ArraySpec(SIDES, "uint8", "jpeg"),
    "rgb": tfd.ArraySpec((*SIDES, 3), "uint8", "jpeg"),
    "any": tfd.ArraySpec((None, None, 3), "uint8", "jpeg", max_shape=(40, 70, 3)),
    "both": tfd.ArraySpec((*SIDES, 3), "uint8", "png_image or jpeg"),
}
OPTIONS: tuple[dict[str, Any], ...] = (
    {}, {"quality": 20}, {"quality": 100, "subsampling": 0}, {"progressive": True},
    {"optimize": True, "subsampling": 1}, {"restart_marker_blocks": 2},
)  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    module = Decoders({"grey": SPECS["grey"]}, checked=())
    module.tensor = {}
    module.checked = {
        name: tf.function(spec.decode_checked, [tf.TensorSpec([None], tf.string)], autograph=False)
        for name, spec in SPECS.items()
    }
    return save(module, tmp_path_factory.mktemp("jpeg"))


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    """Smooth, with some noise."""
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 256, (5, 7, *shape[2:])).astype("uint8")
    large = np.asarray(Image.fromarray(few).resize(shape[1::-1], Image.Resampling.BICUBIC))
    noisy: np.ndarray = (large + rng.integers(-9, 9, shape)).clip(0, 255).astype("uint8")
    return noisy


def file_of(array: np.ndarray, kind: str = "jpeg", **options: Any) -> bytes:
    return file_by(Image.fromarray(array).save, kind, **options)


@pytest.mark.parametrize("name", ["grey", "rgb", "both"])
def test_both_sides_decode_the_same_pixels(model: Any, name: str, tmp_path: Path) -> None:
    array = picture(*SPECS[name].shape)
    rows = [file_of(array, **options) for options in OPTIONS]
    arrays = [SPECS[name].decode(row) for row in rows]
    decoded, status = model.checked[name](tf.constant(rows))
    assert status.numpy().tolist() == [0] * len(rows)
    assert_same(decoded, np.stack(arrays))
    (tmp_path / "x.jpg").write_bytes(rows[2])
    assert_same(np.array(tfd.load(tmp_path / "x.jpg")), arrays[2])
    assert np.abs(arrays[2].astype(int) - array).max() < 9  # and they are those of the picture


def test_images_of_one_batch_differ_in_size(model: Any) -> None:
    sizes = [(37, 61), (1, 1), (40, 70), (8, 3)]
    rows = [file_of(picture(*sides, 3)) for sides in sizes]
    too_large = [file_of(picture(41, 3, 3)), file_of(picture(3, 71, 3)), file_of(picture(8, 3))]
    decoded, status = model.checked["any"](tf.constant([*rows, *too_large, b"x" * 99]))
    assert status.numpy().tolist() == [0] * 4 + [5] * 4
    for got, row, (height, width) in zip(decoded.numpy(), rows, sizes, strict=False):
        assert_same(np.ascontiguousarray(got[:height, :width]), SPECS["any"].decode(row))
    for row in too_large:
        with pytest.raises(tfd.DecodeError, match="is not a JPEG image of uint8"):
            SPECS["any"].decode(row)


def bad_rows() -> Iterator[bytes]:
    array = picture(*SIDES, 3)
    good = file_of(array)
    yield b""
    yield good[:100]
    yield good[: len(good) // 2]
    yield file_of(array[:-1])
    yield file_of(array[..., 0])
    yield file_of(array, "png")
    yield file_of(array[..., 0], "gif") + bytes(99)
    cmyk = io.BytesIO()
    Image.fromarray(array).convert("CMYK").save(cmyk, "jpeg")
    yield cmyk.getvalue()
    start = good.index(b"\xff\xc0")  # a height and a width of 30,000
    yield good[: start + 5] + b"\x75\x30\x75\x30" + good[start + 9 :]
    many = file_of(array, progressive=True)
    scan = many[many.rindex(b"\xff\xda") : -2]
    yield many[:-2] + scan * 65 + b"\xff\xd9"
    yield good + bytes(2**20)


def test_what_is_not_read_is_not_called_damaged() -> None:
    cmyk = io.BytesIO()
    Image.fromarray(picture(8, 9, 3)).convert("CMYK").save(cmyk, "jpeg")
    with pytest.raises(tfd.FileError, match=r"^has the colours CMYK, needs grey or RGB"):
        contents(cmyk.getvalue())
    good = file_of(picture(8, 9, 3))
    start = good.index(b"\xff\xc0")
    # Pillow warns of 9500 x 9500 pixels, and refuses 14000 x 14000 as a bomb.
    for height, width in ((1, 65535), (9500, 9500), (14000, 14000)):
        large = good[: start + 5] + struct.pack(">HH", height, width) + good[start + 9 :]
        words = f"it has {width} x {height} pixels, needs sides of at most"
        with warnings.catch_warnings(), pytest.raises(tfd.DecodeError, match=words):
            warnings.simplefilter("error")
            SPECS["any"].decode(large)


def test_bad_rows_leave_their_neighbours_right(model: Any) -> None:
    spec, rows = SPECS["rgb"], list(bad_rows())
    good = file_of(picture(*SIDES, 3))
    start = time.perf_counter()
    decoded, status = model.checked["rgb"](tf.constant([good, *rows, good]))
    assert time.perf_counter() - start < 10
    assert status.numpy()[[0, -1]].tolist() == [0, 0]
    assert status.numpy()[1:-1].all() and not decoded.numpy()[1:-1].any()
    for place in (0, -1):
        assert_same(decoded.numpy()[place], spec.decode(good))
    for row in rows:
        with pytest.raises(tfd.DecodeError):
            spec.decode(row)


def test_damaged_files_never_fail_the_batch(model: Any) -> None:
    """Both sides take about the same ones; JPEG has no checksum that would tell."""
    rng, spec = np.random.default_rng(1), SPECS["rgb"]
    good = file_of(picture(*SIDES, 3), quality=40)
    rows = []
    for _ in range(150):
        place = int(rng.integers(2, len(good)))
        rows.append(good[:place] + rng.bytes(int(rng.integers(1, 4))) + good[place + 1 :])
    decoded, status = model.checked["rgb"](tf.constant([*rows, good]))
    assert_same(decoded.numpy()[-1], spec.decode(good))
    alike = 0
    for row, got, code in zip(rows, decoded.numpy(), status.numpy(), strict=False):
        try:
            expected = spec.decode(row)
        except tfd.DecodeError:
            alike += bool(code)
        else:
            alike += not code and np.array_equal(got, expected)
    assert alike >= 0.98 * len(rows)


def test_the_message_says_what_the_image_is() -> None:
    with pytest.raises(tfd.DecodeError, match="it has 61 x 37 pixels, RGB"):
        SPECS["grey"].decode(file_of(picture(*SIDES, 3)))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"not a JPEG image of uint8 \[37, 61"):
        SPECS["grey"].decode_tensor([file_of(picture(*SIDES, 3))])
    with pytest.raises(tfd.EncodeError, match="send the bytes of the file"):
        SPECS["rgb"].encode(picture(*SIDES, 3))


@pytest.mark.parametrize(
    ("shape", "dtype", "reason"),
    [
        ((4, 5, 4), "uint8", "is not a JPEG image"),
        ((4,), "uint8", "is not a JPEG image"),
        ((4, 5), "float32", "is not a JPEG image"),
        ((0, 5), "uint8", "sides of 1 to 65500"),
        ((5, 65_501), "uint8", "sides of 1 to 65500"),
        ((8_193, 8_193), "uint8", "more than 67108864 pixels"),
        ((4, 5, None), "uint8", "needs a number of channels"),
    ],
)
def test_what_no_jpeg_file_can_be(shape: Any, dtype: str, reason: str) -> None:
    with pytest.raises(tfd.SpecError, match=reason):
        tfd.ArraySpec(shape, dtype, "jpeg", max_shape=[3 if s is None else s for s in shape])


def test_a_file_is_packed_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    file = file_of(picture(8, 9, 3))
    Path("x.jpeg").write_bytes(file)
    assert main(["pack", "x.jpeg", "--as-is"]) == 0
    assert Path("x.jpeg.tfd").read_bytes() == file
    assert main(["inspect", "x.jpeg"]) == 0
    assert "uint8" in capsys.readouterr().out
    Path("x.png").write_bytes(file)
    assert main(["pack", "x.png"]) == 1
    assert "holds a JPEG image; rename it to .jpg" in capsys.readouterr().err
