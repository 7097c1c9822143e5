"""png_image: PNG files as Pillow, OpenCV and libpng write them, in a saved and reloaded model."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, PngImagePlugin

import tfdecode as tfd
from tests.common import assert_same, file_by
from tests.reloaded import Decoders, save
from tfdecode.formats.png import SIGNATURE, chunk
from tfdecode.formats.png_image import ADAM7

SIDES = 13, 21
#: Name -> shape, dtype, chain.
SPECS: dict[str, tuple[tuple[int, ...], str, str]] = {
    "grey": (SIDES, "uint8", "png_image"),
    "depth": (SIDES, "uint16", "png_image"),
    "grey_alpha": ((*SIDES, 2), "uint8", "png_image"),
    "rgb": ((*SIDES, 3), "uint8", "png_image"),
    "rgb16": ((*SIDES, 3), "uint16", "png_image"),
    "rgba": ((*SIDES, 4), "uint8", "png_image"),
    "mask": ((*SIDES, 1), "bool", "png_image"),
    "labels": (SIDES, "uint8", "png_image:labels=true"),
}
spec_of = {name: tfd.ArraySpec(*about) for name, about in SPECS.items()}
#: The same for images of any size up to one that is larger.
any_size = {
    name: tfd.ArraySpec((None, None, *shape[2:]), dtype, chain, max_shape=(14, 30, *shape[2:]))
    for name, (shape, dtype, chain) in SPECS.items()
    if name in ("rgb", "depth", "mask")
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    module = Decoders({"grey": spec_of["grey"]})
    module.tensor = {}
    specs = spec_of | {f"any_{name}": spec for name, spec in any_size.items()}
    module.checked = {n: checked(spec) for n, spec in specs.items()}
    return save(module, tmp_path_factory.mktemp("png_image"))


def checked(spec: tfd.ArraySpec) -> Any:
    signature = [tf.TensorSpec([None], tf.string)]
    return tf.function(spec.decode_checked, input_signature=signature, autograph=False)


def array_of(name: str) -> np.ndarray:
    shape, dtype, _ = SPECS[name]
    most = {"mask": 2, "labels": 12, "depth": 2**16, "rgb16": 2**16}.get(name, 256)
    smooth = np.arange(np.prod(shape)).reshape(shape) * 37 // 5 % most  # every filter is used
    return smooth.astype(dtype)


def by_pillow(array: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    mode = "LA" if array.ndim == 3 and array.shape[2] == 2 else None
    Image.fromarray(array, mode).save(file, "png", **options)
    return file.getvalue()


def by_opencv(array: np.ndarray) -> bytes:
    cv2 = pytest.importorskip("cv2")
    if array.ndim == 3:
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    data: bytes = cv2.imencode(".png", array)[1].tobytes()
    return data


def in_palette(array: np.ndarray, colors: int) -> bytes:
    """By Pillow, which stores a few colors in 1, 2 or 4 bits."""
    image = Image.fromarray(array, "P")
    image.putpalette([value % 256 for value in range(7, 3 * colors + 7)])
    return file_by(image.save, "png", transparency=0)


def parts_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Type and data of each chunk."""
    found, start = [], 8
    while start < len(data):
        (length,) = struct.unpack(">I", data[start : start + 4])
        found.append((data[start + 4 : start + 8], data[start + 8 : start + 8 + length]))
        start += 12 + length
    return found


def joined(parts: list[tuple[bytes, bytes]]) -> bytes:
    return SIGNATURE + b"".join(chunk(kind, data) for kind, data in parts)


def split(data: bytes, *sizes: int) -> bytes:
    """The same file with its image in chunks of these sizes; the last one has the rest."""
    parts = parts_of(data)
    image = b"".join(part for kind, part in parts if kind == b"IDAT")
    pieces = []
    for size in sizes:
        pieces.append((b"IDAT", image[:size]))
        image = image[size:]
    at = [kind for kind, _ in parts].index(b"IDAT")
    others = [part for part in parts if part[0] != b"IDAT"]
    return joined([*others[:at], *pieces, (b"IDAT", image), *others[at:]])


def interlaced(array: np.ndarray, color: int) -> bytes:
    """By hand, as no program here writes it; Pillow reads it."""
    depth = 8 * array.dtype.itemsize
    lines = b""
    for row, column, down, right in ADAM7:
        part = array[row::down, column::right]
        if part.size:
            for line in part.astype(array.dtype.newbyteorder(">")):
                lines += b"\0" + line.tobytes()
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], depth, color, 0, 0, 1)
    data = joined([(b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), array)
    return data


def files(name: str) -> Iterator[bytes]:
    """The array of ``name`` by other programs."""
    array = array_of(name)
    if name not in ("rgb16",):
        yield by_pillow(array)
        yield by_pillow(array, optimize=True, compress_level=9)
        yield by_pillow(array, compress_level=0)
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", "text " * 999, zip=True)
        info.add_itxt("XML:com.adobe.xmp", "<x/>" * 999, zip=True)
        info.add(b"sBIT", b"\x08", after_idat=False)
        info.add(b"tEXt", b"date:modify\x002024", after_idat=True)
        about = {"dpi": (300, 300), "icc_profile": bytes(3000), "exif": b"Exif\0\0II*\0" + bytes(8)}
        yield by_pillow(array, pnginfo=info, **about)
    if name not in ("grey_alpha", "mask"):
        yield by_opencv(array)
    if name == "rgb":
        yield by_pillow(array, transparency=(1, 2, 3))
    if name == "labels":
        for colors in (12, 16, 17, 256):
            yield in_palette(array, colors)
    if name in ("grey", "depth", "rgb", "rgba"):
        yield interlaced(array, {"rgb": 2, "rgba": 6}.get(name, 0))
    yield spec_of[name].encode(array)
    yield tfd.ArraySpec(*SPECS[name][:2], SPECS[name][2] + "|seal").encode(array)[:-8]
    good = spec_of[name].encode(array)
    yield split(good, 1, 2, 0, 3, 3, 3, 3)
    yield split(good, *[2] * 40)


@pytest.mark.parametrize("name", SPECS)
def test_the_files_of_other_programs_are_read_bit_for_bit(model: Any, name: str) -> None:
    array, rows = array_of(name), list(files(name))
    for row in rows:
        assert_same(spec_of[name].decode(row), array)
        if name != "mask":
            assert_same(np.array(tfd.load(as_path(row))).reshape(array.shape), array)
    decoded, status = model.checked[name](tf.constant(rows))
    assert status.numpy().tolist() == [0] * len(rows)
    assert_same(decoded, np.stack([array] * len(rows)))


def as_path(data: bytes) -> Path:
    path = Path("image.png")
    path.write_bytes(data)
    return path


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", SPECS)
def test_other_programs_read_what_is_written(name: str) -> None:
    array, data = array_of(name), spec_of[name].encode(array_of(name))
    expected = tf.io.decode_png(data, channels=0, dtype="uint16" if array.itemsize > 1 else "uint8")
    assert np.array_equal(expected.numpy().reshape(array.shape).astype(array.dtype), array)
    if name != "rgb16":  # Pillow reduces it
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))).reshape(array.shape), array)


def test_grey_of_few_bits_are_labels_as_stored(model: Any) -> None:
    for bits in (1, 2, 4):
        array = (array_of("labels") % 2**bits).astype("uint8")
        packed = [
            np.packbits((line[:, None] >> np.arange(bits)[::-1] & 1).reshape(-1)) for line in array
        ]
        stream = zlib.compress(b"".join(b"\0" + line.tobytes() for line in packed))
        head = struct.pack(">IIBBBBB", SIDES[1], SIDES[0], bits, 0, 0, 0, 0)
        row = joined([(b"IHDR", head), (b"IDAT", stream), (b"IEND", b"")])
        decoded, status = model.checked["labels"](tf.constant([row]))
        assert status.numpy().tolist() == [0]
        assert_same(decoded[0], array)
        assert_same(spec_of["labels"].decode(row), array)
        spec = tfd.infer(as_path(row), as_is=True)
        assert str(spec.chain.text) == "png_image:true"
        with pytest.raises(tfd.DecodeError, match=f"13 pixels of {bits} bits, grey"):
            spec_of["grey"].decode(row)


# -- hostile rows -----------------------------------------------------------------------------


def hostile(name: str) -> Iterator[bytes]:
    """Changed files; their checksums are right where a check comes after them."""
    array = array_of(name)
    good = spec_of[name].encode(array)
    parts = parts_of(good)
    (head,), (image,) = (
        [data for kind, data in parts if kind == want] for want in (b"IHDR", b"IDAT")
    )
    ihdr, idat, iend = (b"IHDR", head), (b"IDAT", image), (b"IEND", b"")
    text = b"zTXtComment\0\0" + zlib.compress(bytes(10**6))
    yield joined([ihdr, (text[:4], text[4:]), idat, iend])  # skipped
    yield joined([ihdr, (b"PLTE", bytes(6)), idat, iend])
    yield joined([ihdr, (b"tRNS", bytes(2)), idat, iend])
    yield joined([ihdr, idat, (b"tEXt", b"a\0b"), iend])
    yield joined([ihdr, *[(b"tEXt", b"a\0b")] * 30, idat, iend])
    yield good[:33] + struct.pack(">I", 3) + b"gAMAabcdefg" + good[33:]  # a wrong CRC, skipped
    yield joined([ihdr, *[(b"tEXt", b"a\0b")] * 61, idat, iend])
    yield joined([ihdr, *[(b"tEXt", b"a\0b")] * 62, idat, iend])  # too many
    yield joined([ihdr, *[(b"tEXt", b"a" * n) for n in range(62)], idat, iend])
    yield joined([ihdr, idat, (b"tEXt", b"a\0b"), idat, iend])
    yield joined([ihdr, (b"ABCD", b""), idat, iend])
    yield joined([ihdr, ihdr, idat, iend])
    yield joined([ihdr, idat, iend, iend])
    yield joined([ihdr, idat, iend]) + b"\0"
    yield joined([ihdr, iend])
    yield joined([ihdr, idat])
    yield joined([ihdr, (b"IDAT", b""), iend])
    yield joined([ihdr, (b"IDAT", b""), idat, iend])
    yield joined([ihdr, idat, (b"IDAT", b""), iend])
    yield joined([ihdr, idat, idat, iend])
    yield joined([ihdr, idat, (b"IDAT", b"more"), iend])
    yield joined([ihdr, (b"IDAT", image + b"more"), iend])
    yield joined([ihdr, (b"IDAT", image[:-3]), iend])
    yield joined([ihdr, (b"IDAT", image[:-4]), iend])
    for place in range(16):  # sizes, depth, color, methods, interlacing and the CRC
        changed = bytearray(head + b"\0\0\0")
        changed[place] ^= 1
        yield joined([(b"IHDR", bytes(changed[:13])), idat, iend])
    lines = zlib.decompress(image)
    for wrong in (lines[:-1], lines + b"\0", lines + lines, b"\x05" + lines[1:], b"", bytes(10**6)):
        yield joined([ihdr, (b"IDAT", zlib.compress(wrong)), iend])
        yield joined(
            [ihdr, (b"IDAT", zlib.compress(wrong)[:9]), (b"IDAT", zlib.compress(wrong)[9:]), iend]
        )
    for first in (0x08, 0x18, 0x28, 0x38, 0x68, 0x88, 0x79):
        second = next(b for b in range(256) if (first * 256 + b) % 31 == 0 and not b & 32)
        yield joined([ihdr, (b"IDAT", bytes([first, second]) + image[2:]), iend])
    for length in (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 12):
        yield good[:33] + struct.pack(">I", length) + good[37:]
        yield good[:33] + struct.pack(">I", length) + b"tEXt" + good[33:]
    for end in range(0, len(good), 7):
        yield good[:end]
    rng = np.random.default_rng(3)
    for _ in range(150):
        place = int(rng.integers(len(good)))
        yield good[:place] + bytes([good[place] ^ 1 << int(rng.integers(8))]) + good[place + 1 :]
        yield good[:place] + rng.bytes(3) + good[place:]


@pytest.mark.parametrize("name", ["grey", "depth", "rgb", "mask", "labels"])
def test_numpy_and_the_graph_take_the_same_files(model: Any, name: str) -> None:
    spec, rows = spec_of[name], list(hostile(name))
    rows += [next(files(other)) if other != "rgb16" else b"" for other in SPECS if other != name]
    good = spec.encode(array_of(name))
    decoded, status = model.checked[name](tf.constant([good, *rows, good]))
    taken = 0
    for row, got, code in zip([good, *rows, good], decoded.numpy(), status.numpy(), strict=True):
        try:
            expected = spec.decode(row)
        except tfd.DecodeError as error:
            assert code, (str(error), row.hex())
            assert not got.tobytes().strip(b"\0")
        else:
            assert code == 0, row.hex()
            assert_same(got, expected)
            taken += 1
    assert 10 < taken < 60
    assert len(rows) > 300


@pytest.mark.parametrize("name", any_size)
def test_images_of_any_size(model: Any, name: str) -> None:
    spec, array = any_size[name], array_of(name)
    parts = [array[:h, :w] for h, w in ((13, 21), (1, 1), (13, 2), (3, 21))]
    rows = [*map(spec.encode, parts), *files(name), *hostile(name)]
    rows += [next(files(other)) for other in ("grey", "rgba") if other != name]
    rows += [spec_of["grey"].encode(array_of("grey")), by_pillow(np.zeros((15, 3), "uint8"))]
    rows += [by_pillow(np.zeros((3, 31), "uint8"))]
    decoded, status = model.checked[f"any_{name}"](tf.constant(rows))
    taken = 0
    for row, got, code in zip(rows, decoded.numpy(), status.numpy(), strict=True):
        try:
            expected = spec.decode(row)
        except tfd.DecodeError as error:
            assert code, (str(error), row.hex())
        else:
            assert code == 0, row.hex()
            height, width = expected.shape[:2]
            assert_same(np.ascontiguousarray(got[:height, :width]), expected)
            taken += 1
    assert taken > 20
    with pytest.raises(tfd.EncodeError, match="has no elements"):
        spec.encode(array[:0])


def test_the_message_says_what_the_image_is() -> None:
    rgb, wide = by_pillow(array_of("rgb")), by_pillow(np.zeros((13, 22), "uint8"))
    with pytest.raises(tfd.DecodeError, match="it has 21 x 13 pixels of 8 bits, RGB"):
        spec_of["grey"].decode(rgb)
    with pytest.raises(tfd.DecodeError, match="it has 22 x 13 pixels of 8 bits, grey"):
        spec_of["grey"].decode(wide)
    with pytest.raises(tfd.DecodeError, match="with a palette; labels=true reads indices"):
        spec_of["grey"].decode(in_palette(array_of("labels"), 256))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"not a PNG image of uint8 \[13, 21\]"
    ):
        spec_of["grey"].decode_tensor([rgb])


@pytest.mark.parametrize(
    ("shape", "dtype", "chain", "reason"),
    [
        ((4, 5, 6), "uint8", "png_image", "1 to 4 channels"),
        ((4,), "uint8", "png_image", "is not an image"),
        ((4, 5), "float32", "png_image", "png packs any array"),
        ((4, 5, 3), "bool", "png_image", "is not an image"),
        ((4, 5, 3), "uint8", "png_image:labels=true", "is not an image"),
        ((4, 5), "uint16", "png_image:labels=true", "labels needs uint8"),
        ((4, 5), "uint8", "png_image:labels=1", "needs true or false"),
        ((None, 5), "uint8", "png_image:labels=true", "None dimension"),
        ((4, 5, None), "uint8", "png_image", "needs a number of channels"),
        ((0, 5), "uint8", "png_image", "sides of 1 to 1000000"),
        ((5, 1_000_001), "uint8", "png_image", "sides of 1 to 1000000"),
        ((40_000, 20_000), "uint8", "png_image", "more than 536870912 pixels"),
    ],
)
def test_what_no_png_file_can_be(shape: Any, dtype: str, chain: str, reason: str) -> None:
    with pytest.raises(tfd.SpecError, match=reason):
        tfd.ArraySpec(shape, dtype, chain, max_shape=[4 if s is None else s for s in shape])


@pytest.mark.parametrize("name", [name for name in SPECS if name != "mask"])
def test_as_is_finds_it(name: str) -> None:
    row = next(files(name))
    spec = tfd.infer(as_path(row), as_is=True)
    assert_same(np.array(spec.decode(row)), np.array(tfd.load(as_path(row))))
    assert spec.decode_tensor([row]).shape[1:] == array_of(name).shape


def test_text_that_inflates_to_gigabytes_costs_nothing() -> None:
    """A file of 60 KB whose chunks of text libpng inflates to 60 MB."""
    import time

    spec, array = spec_of["grey"], array_of("grey")
    head, image, end = parts_of(spec.encode(array))
    bomb = (b"zTXt", b"a\0\0" + zlib.compress(bytes(4_000_000)))
    row = joined([head, *[bomb] * 15, image, end])
    decode = tf.function(spec.decode_tensor)
    assert_same(decode(tf.constant([row]))[0], array)
    start = time.perf_counter()
    decode(tf.constant([row]))
    ours = time.perf_counter() - start
    start = time.perf_counter()
    tf.io.decode_png(row)
    assert ours < (time.perf_counter() - start) / 2
