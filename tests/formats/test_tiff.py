"""TIFF images of tifffile and Pillow, read in every channel and every bit."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

import tfdecode as tfd
from tfdecode.cli import main

RNG = np.random.default_rng(0)


def smooth(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    wave = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 5)
    wave = wave.reshape(*wave.shape, *[1] * (len(shape) - 2))
    return (wave + RNG.integers(0, 4, shape)).astype(dtype)


def check(path: Path, pixels: np.ndarray) -> None:
    found = tfd.load(path)
    assert found.dtype == pixels.dtype and not found.flags.writeable
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize(
    "dtype", ["u1", "u2", "i2", "u4", "i4", "f2", "f4", "f8", "u8", "c8", "c16"]
)
def test_images_of_tifffile(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "a.tif"
    forms = itertools.product(
        [(37, 53), (20, 30, 3)], [None, "zlib", "lzma"], [None, (16, 32)], "<>", [False, True]
    )
    for shape, compression, tile, order, big in forms:
        pixels = smooth(shape, dtype)
        colours = {"photometric": "rgb" if len(shape) == 3 else "minisblack"}
        rows = {} if tile else {"rowsperstrip": 7}
        options = {"compression": compression, "tile": tile, "bigtiff": big, **rows, **colours}
        tifffile.imwrite(path, pixels, byteorder=order, **options)
        check(path, pixels)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_images_of_pillow(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.tiff"
    noise = RNG.integers(0, 2**16, (90, 110), "uint16")  # more codes than LZW has
    floats = RNG.random((50, 60)).astype("float32")
    for pixels in (smooth((50, 60), "u1"), smooth((50, 60, 3), "u1"), noise, floats):
        for predictor in (1, 2, 3):
            able = compression not in ("raw", "packbits") and (
                predictor < 3 or pixels.dtype == "f4"
            )
            if predictor == 1 or (able and not (predictor == 2 and pixels.dtype == "f4")):
                image, info = PIL.Image.fromarray(pixels), {317: predictor}
                image.save(path, compression=compression, tiffinfo=info)
                check(path, pixels)


def test_images_that_are_alike_are_one_array(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    stack = smooth((40, 30, 5), "u2").transpose(2, 0, 1)
    for options in ({"compression": "zlib"}, {"imagej": True}):
        tifffile.imwrite(path, stack, photometric="minisblack", **options)
        check(path, stack)
    tifffile.imwrite(path, stack[:3], photometric="rgb", planarconfig="separate")
    check(path, stack[:3].transpose(1, 2, 0))
    tifffile.imwrite(path, stack, photometric="minisblack", truncate=True)
    for load in (tfd.load, tfd.load_all):
        with pytest.raises(tfd.FileError, match="0: several images under one directory"):
            load(path)


def test_other_images_are_named_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    first, last = smooth((64, 48), "u2"), smooth((10, 12), "f4")
    with tifffile.TiffWriter(path) as file:
        file.write(first, subifds=1)
        file.write(first[::2, ::2], subfiletype=1)
        file.write(last)
        file.write(first[::2, ::2], subfiletype=1)
    with pytest.warns(tfd.SkippedWarning, match="0 SubIFDs: images inside .*2: a smaller copy"):
        found = tfd.load_all(path)
    assert set(found) == {"0", "1"}
    np.testing.assert_array_equal(found["0"], first)
    np.testing.assert_array_equal(found["1"], last)


def test_masks_and_label_maps(tmp_path: Path) -> None:
    mask = RNG.integers(0, 2, (30, 41)).astype(bool)
    tifffile.imwrite(tmp_path / "a.tif", mask)
    check(tmp_path / "a.tif", mask.astype("uint8"))
    labels = PIL.Image.fromarray(RNG.integers(0, 21, (30, 41), "uint8"), "P")
    labels.putpalette(list(range(63)))
    labels.save(tmp_path / "b.tif", compression="tiff_lzw")
    check(tmp_path / "b.tif", np.asarray(labels))


def test_a_loss_is_named(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    PIL.Image.fromarray(smooth((50, 60, 3), "u1")).save("a.tif", compression="jpeg")
    assert main(["pack", "a.tif"]) == 1
    assert "a.tif: holds no array to read: 0: an image in JPEG; save it" in capsys.readouterr().err
    tifffile.imwrite("b.tif", smooth((5, 6), "u2"))
    assert main(["inspect", "b.tif"]) == 0
    assert "stock ops cannot read TIFF" in capsys.readouterr().out


def made(*entries: tuple[int, int, int, int], data: bytes = b"", after: int = 0) -> bytes:
    """A TIFF of one directory: tag, type, count and value of each entry."""
    found = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + found
    return head + struct.pack("<I", after) + data


SIDE = [(256, 4, 1, 2**16), (257, 4, 1, 2**16), (258, 3, 1, 16)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (made(*SIDE, after=8), "it has a circle of images"),
        (b"II*\0" + struct.pack("<IH", 8, 60000), "an image has 60000 tags"),
        (b"II*\0\x08\0\0\0", "ends within its directories"),
        (made(*SIDE, (273, 4, 1, 8), (279, 4, 1, 8)), "8589934592 bytes, more than the limit"),
        (made((256, 4, 1, 0), (257, 4, 1, 4)), "has the size 0 x 4"),
        (made((256, 4, 2**30, 100), (257, 4, 1, 4)), "tag 256 is not in the file"),
        (made((256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 12)), "an image of 12 bits"),
        (made((256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8)), "has no tag 273"),
        (
            made((256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 15)),
            "a part of an image has 15 bytes, needs 16",
        ),
        (
            made(
                *((256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (259, 3, 1, 8)),
                *((322, 4, 1, 2**31), (323, 4, 1, 2**31), (324, 4, 1, 8), (325, 4, 1, 8)),
            ),
            "an image of 4 x 4 has parts of 2147483648 x 2147483648 pixels",
        ),
        (
            made(
                *((256, 4, 1, 2**10), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 8)),
                *((322, 4, 1, 1), (323, 4, 1, 2**20), (324, 4, 1, 8), (325, 4, 1, 8)),
            ),
            "an image of 1024 x 1 has parts of 1 x 1048576 pixels",
        ),
        (  # as many strips as a header of 110 bytes asks for must not be listed
            made(
                *((256, 4, 1, 1), (257, 4, 1, 2**30), (258, 3, 1, 8)),
                *((273, 4, 1, 8), (278, 4, 1, 1), (279, 4, 1, 0)),
            ),
            "an image has 1 parts, needs more",
        ),
        (  # strips that share bytes which are nothing, the code "clear" of LZW
            made(
                *((256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 5)),
                *((273, 4, 1, 86), (279, 4, 1, 2**20)),
                data=int("100000000" * 8, 2).to_bytes(9, "big") * 2**17 + bytes(20),
            ),
            "a part of an image has 0 bytes, needs 1",
        ),
        (
            made(
                *((256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (273, 4, 1, 8)),
                *((278, 9, 1, 2**32 - 5), (279, 4, 1, 0), (42113, 2, 2, 48)),
            ),
            "GDAL reads them as its nodata value",
        ),
        (
            made((256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 32), (339, 3, 1, 5)),
            "an image of 32 bits of sample format 5",
        ),
        (
            made(
                *((256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (259, 3, 1, 5)),
                *((273, 4, 1, 86), (279, 4, 1, 9)),
                data=b"\x80\xff" + bytes(20),
            ),
            "damaged",
        ),
    ],
)
def test_hostile_files(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(tfd.FileError, match=said):
        tfd.load(tmp_path / "a.tif")


def test_a_text_that_is_no_shape_is_left_alone(tmp_path: Path) -> None:
    entries = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (270, 2, 16, 98)]
    data = made(*entries, (273, 4, 1, 8), (278, 4, 1, 1), (279, 4, 1, 1))
    (tmp_path / "a.tif").write_bytes(data + b'{"shape": [1 2]}')
    assert list(tfd.load_all(tmp_path / "a.tif")) == [""]


def test_every_cut_of_a_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth((9, 8), "u2"), compression="zlib", rowsperstrip=2)
    whole = path.read_bytes()
    last = len(whole.rstrip(b"\0"))
    for length in range(0, last, 3):
        path.write_bytes(whole[:length])
        with pytest.raises(tfd.FileError):
            tfd.load(path)
