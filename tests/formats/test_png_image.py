"""PNG images of Pillow and TensorFlow, and some of a test, read in every bit."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import file_by
from tfdecode.cli import main
from tfdecode.formats.png import chunk
from tfdecode.formats.png_image import ADAM7, PALETTE, SAMPLES

RNG = np.random.default_rng(0)


def load(tmp_path: Path, data: bytes, **options) -> np.ndarray:
    (tmp_path / "a.png").write_bytes(data)
    return tfd.load(tmp_path / "a.png", **options)


def saved(image: PIL.Image.Image, **options) -> bytes:
    return file_by(image.save, "PNG", **options)


def smooth(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Values for which writers choose every filter."""
    wave = np.add.outer(np.arange(shape[0]) ** 2, np.arange(shape[1]) * 7)
    wave = wave.reshape(*wave.shape, *[1] * (len(shape) - 2)) + np.arange(shape[-1])
    return (np.broadcast_to(wave, shape) + RNG.integers(0, 9, shape)).astype(dtype)


@pytest.mark.parametrize("channels", [None, 2, 3, 4])
def test_images_of_pillow(tmp_path: Path, channels: int | None) -> None:
    pixels = smooth((37, 53, channels) if channels else (150, 131), "uint8")
    found = load(tmp_path, saved(PIL.Image.fromarray(pixels)))
    assert found.dtype == np.uint8 and not found.flags.writeable
    np.testing.assert_array_equal(found, pixels)


def test_depth_of_16_bits_of_pillow(tmp_path: Path) -> None:
    pixels = smooth((48, 61), "uint16") * np.uint16(251)
    np.testing.assert_array_equal(load(tmp_path, saved(PIL.Image.fromarray(pixels))), pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_images_of_tensorflow(tmp_path: Path, dtype: str, channels: int) -> None:
    pixels = smooth((29, 31, channels), dtype)
    found = load(tmp_path, tf.io.encode_png(pixels).numpy())
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels[..., 0] if channels == 1 else pixels)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_label_map_with_a_palette_is_its_indices(tmp_path: Path, bits: int) -> None:
    labels = RNG.integers(0, 2**bits, (30, 41), "uint8")
    image = PIL.Image.fromarray(labels, "P") if bits == 8 else PIL.Image.new("P", (41, 30))
    image.putdata(labels.ravel().tolist())
    image.putpalette(list(range(3 * min(2**bits, 85))))
    np.testing.assert_array_equal(load(tmp_path, saved(image, bits=bits)), labels)
    with pytest.warns(tfd.SkippedWarning, match="palette: the colours of the indices"):
        assert list(tfd.load_all(tmp_path / "a.png")) == [""]


def test_a_mask_of_one_bit(tmp_path: Path) -> None:
    mask = RNG.integers(0, 2, (30, 41)).astype(bool)
    found = load(tmp_path, saved(PIL.Image.fromarray(mask)))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, mask)


def written(
    pixels: np.ndarray, depth: int, color: int, interlaced: bool = False, extra: bytes = b""
) -> bytes:
    """A PNG without filters: its samples of ``depth`` bits, perhaps in seven images."""
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    rows = b""
    for row, column, down, right in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = pixels[row::down, column::right]
        for line in part.reshape(len(part), -1) if part.size else ():
            digits = "".join(f"{value:0{depth}b}" for value in line.tolist())
            digits += "0" * (-len(digits) % 8)
            rows += b"\0" + int(digits, 2).to_bytes(len(digits) // 8, "big")
    packed = zlib.compress(rows)
    parts = [packed[start : start + 50] for start in range(0, len(packed), 50)]
    idat = b"".join(chunk(b"IDAT", part) for part in parts)
    plte = chunk(b"PLTE", bytes(3 * 2**depth)) if color == PALETTE else b""
    begin = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return begin + extra + plte + idat + chunk(b"IEND", b"")


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("color", "depth"),
    [
        *[(0, depth) for depth in (1, 2, 4, 8, 16)],
        *[(color, depth) for color in (2, 4, 6) for depth in (8, 16)],
        *[(3, depth) for depth in (1, 2, 4, 8)],
    ],
)
def test_each_form_of_the_specification(
    tmp_path: Path, color: int, depth: int, interlaced: bool
) -> None:
    for height, width in ((13, 9), (1, 1), (2, 3)):
        shape = (height, width, SAMPLES[color]) if SAMPLES[color] > 1 else (height, width)
        pixels = RNG.integers(0, 2**depth, shape)
        found = load(tmp_path, written(pixels, depth, color, interlaced))
        assert found.dtype == ("uint16" if depth == 16 else "uint8")
        np.testing.assert_array_equal(found, pixels)


GOOD = written(np.arange(12).reshape(3, 4), 8, 0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (GOOD[:-20], "it ends after"),
        (GOOD[:40] + b"?" + GOOD[41:], "has a wrong CRC"),
        (GOOD[:8] + GOOD[33:], "it has not one IHDR at its beginning"),
        (written(np.zeros((3, 4), int), 8, 5 + 2), "colour type 7, depth 8"),
        (written(np.zeros((3, 4), int), 4, 2), "colour type 2, depth 4"),
        (GOOD[:33] + chunk(b"IDAT", zlib.compress(bytes(14))) + chunk(b"IEND", b""), "15 bytes of"),
        (GOOD[:33] + chunk(b"IDAT", zlib.compress(bytes(16))) + chunk(b"IEND", b""), "15 bytes of"),
        (GOOD[:33] + chunk(b"IDAT", zlib.compress(b"\5" * 15)) + chunk(b"IEND", b""), "row filter"),
        (GOOD[:33] + chunk(b"IDAT", b"x" * 15) + chunk(b"IEND", b""), r"\(error\)"),
    ],
)
def test_damaged_images(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(tfd.FileError, match=f"a.png: is a damaged PNG image.*{said}"):
        load(tmp_path, data)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    idat = chunk(b"IDAT", zlib.compress(bytes(2**20))) + chunk(b"IEND", b"")
    for height, width, said in (
        (10**6, 10**6, "more than the limit of"),
        (10**6 + 1, 1, "its size is 1 x 1000001, needs sides of 1 to 1000000"),
    ):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 1))
        with pytest.raises(tfd.FileError, match=said):
            load(tmp_path, GOOD[:8] + header + idat)
    with pytest.raises(tfd.FileError, match="decodes to 12 bytes, more than the limit of 11"):
        load(tmp_path, GOOD, max_bytes=11)


def test_a_payload_is_no_image(tmp_path: Path) -> None:
    payload = tfd.ArraySpec((2, 2), "uint8", "png").encode(np.zeros((2, 2), "uint8"))
    with pytest.raises(tfd.FileError, match="is a payload that tfdecode packed"):
        load(tmp_path, payload)


def test_inspect_and_pack_take_images(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("depth.png").write_bytes(GOOD)
    assert main(["inspect", "depth.png"]) == 0
    assert "png_image: pack FILE --as-is" in capsys.readouterr().out
    assert main(["pack", "depth.png"]) == 0
    spec = tfd.ArraySpec.from_json(Path("depth.png.tfd.json").read_text())
    assert (spec.decode(Path("depth.png.tfd").read_bytes()) == np.arange(12).reshape(3, 4)).all()
