"""png: only the one image that the spec announces, whatever else a PNG can be."""

from __future__ import annotations

import runpy
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same
from tfdecode.formats.png import END, SIGNATURE, Image, chunk

SPEC = tfd.ArraySpec((4, 5, 3), "uint8", "png:interleaved")
ARRAY = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
PAYLOAD = SPEC.encode(ARRAY)
DATA = b"".join(b"\0" + row.tobytes() for row in ARRAY)


def header(width: int = 5, height: int = 4, depth: int = 8, color: int = 2, lace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, lace))


def image(*chunks: bytes, head: bytes = header()) -> bytes:
    return SIGNATURE + head + b"".join(chunks) + END


IDAT = chunk(b"IDAT", zlib.compress(DATA))
HALF = len(zlib.compress(DATA)) // 2
TEXT = b"k\0\0" + zlib.compress(bytes(10**6))

#: What is in the file -> its bytes; each refused by the graph before decode_png sees it.
REFUSED = {
    "another size": image(IDAT, head=header(width=10, height=2)),
    "a huge size": image(IDAT, head=header(30000, 30000)),
    "16 bits": image(IDAT, head=header(depth=16)),
    "grey": image(IDAT, head=header(color=0)),
    "alpha": image(IDAT, head=header(color=6)),
    "a palette": image(chunk(b"PLTE", bytes(9)), IDAT, head=header(color=3)),
    "interlacing": image(IDAT, head=header(lace=1)),
    "no image": image(),
    "two images": image(IDAT, IDAT),
    "an image in two chunks": image(
        chunk(b"IDAT", zlib.compress(DATA)[:HALF]), chunk(b"IDAT", zlib.compress(DATA)[HALF:])
    ),
    "compressed text before": image(chunk(b"zTXt", TEXT), IDAT),
    "compressed text behind": image(IDAT, chunk(b"zTXt", TEXT)),
    "a colour profile": image(chunk(b"iCCP", TEXT), IDAT),
    "another text": image(chunk(b"tEXt", b"tfdecode\0{}"), IDAT),
    "bytes behind the end": PAYLOAD + b"\0",
    "a lying chunk length": SIGNATURE + header() + b"\x7f\xff\xff\xff" + IDAT[4:] + END,
    "a wrong CRC of the header": SIGNATURE + header()[:-1] + b"\0" + IDAT + END,
    "no PNG": b"GIF89a" + bytes(200),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_any_other_png_is_refused_and_its_neighbours_are_right(kind: str) -> None:
    with pytest.raises(tfd.DecodeError):
        SPEC.decode(REFUSED[kind])
    with pytest.raises(tf.errors.InvalidArgumentError, match="payload: row 1 has"):
        SPEC.decode_tensor([PAYLOAD, REFUSED[kind]])
    decoded, status = SPEC.decode_checked([PAYLOAD, REFUSED[kind], PAYLOAD])
    assert status.numpy()[[0, 2]].tolist() == [0, 0]
    assert status.numpy()[1] in (tfd.Status.HEADER, tfd.Status.LENGTH)
    assert_same(decoded[0], ARRAY)
    assert_same(decoded[2], ARRAY)


@pytest.mark.parametrize("rows", [3, 5], ids=["short", "long"])
def test_of_an_image_of_another_length_than_announced_the_first_rows_are_read(rows: int) -> None:
    payload = image(chunk(b"IDAT", zlib.compress((DATA * 2)[: rows * 16])))
    decoded, status = SPEC.decode_checked([PAYLOAD, payload])
    if rows == 5:  # libpng takes the rows that it was promised, and so does numpy
        assert_same(decoded[1], ARRAY)
        assert_same(SPEC.decode(payload), ARRAY)
        return
    assert status.numpy().tolist() == [0, tfd.Status.DAMAGED]
    with pytest.raises(tfd.DecodeError, match="has a PNG image of less than 64 bytes"):
        SPEC.decode(payload)


def test_an_image_that_tensorflow_wrote_is_read() -> None:
    array = np.add.outer(np.arange(60), np.arange(50))[..., None] * [1, 2, 3] % 256
    array = array.astype(np.uint8)
    spec = tfd.ArraySpec(array.shape, "uint8", "png:interleaved")
    written, place, packed = tf.io.encode_png(array).numpy(), 8, b""
    while place < len(written):
        size = int.from_bytes(written[place : place + 4], "big")
        if written[place + 4 : place + 8] == b"IDAT":
            packed += written[place + 8 : place + 8 + size]
        place += 12 + size
    assert set(zlib.decompress(packed)[:: 50 * 3 + 1]) - {0}
    payload = image(chunk(b"IDAT", packed), head=header(50, 60))
    assert_same(spec.decode(payload), array)
    assert_same(spec.decode_tensor(payload), array)


@pytest.mark.parametrize("kind", range(5), ids=["none", "sub", "up", "average", "paeth"])
def test_each_row_filter_is_undone_as_libpng_does(kind: int) -> None:
    noise = np.random.default_rng(kind).integers(0, 256, (4, 15), np.uint8)
    data = b"".join(bytes([kind]) + row.tobytes() for row in noise)
    payload = image(chunk(b"IDAT", zlib.compress(data)))
    assert_same(SPEC.decode(payload), SPEC.decode_tensor(payload).numpy())


@pytest.mark.parametrize("shape", [(1, 40, 1), (40, 1, 3), (3, 5, 4), (130, 135, 3), (129, 200, 1)])
def test_mixed_row_filters_are_undone_as_libpng_does(shape: tuple[int, int, int]) -> None:
    """Of narrow images, byte by byte, and of large ones, a diagonal after the other."""
    spec = tfd.ArraySpec(shape, "uint8", "png:interleaved,describe=false")
    height, width, samples = shape
    rng = np.random.default_rng(width)
    lines = rng.integers(0, 256, (height, 1 + width * samples), np.uint8)
    lines[:, 0] = rng.permutation(np.arange(height) % 5)
    packed = chunk(b"IDAT", zlib.compress(lines.tobytes()))
    payload = Image(width, height, samples, 8).head + packed + END
    assert_same(spec.decode(payload), spec.decode_tensor(payload).numpy())


def test_an_interleaved_payload_opens_as_the_image_that_it_is() -> None:
    assert_same(tf.io.decode_png(PAYLOAD).numpy(), ARRAY)


def test_the_picture_in_the_documentation_is_a_payload() -> None:
    root = Path(__file__).parents[2]
    payload = (root / "docs" / "interleaved.png").read_bytes()
    rendered = runpy.run_path(str(root / "examples" / "render.py"))["picture"]()
    spec = tfd.ArraySpec((256, 192, 3), "uint8", "png:interleaved")
    assert_same(spec.decode(payload), rendered)
    assert_same(tf.io.decode_png(payload).numpy(), rendered)


def test_the_spec_rides_in_a_text_chunk() -> None:
    text = PAYLOAD[PAYLOAD.index(b"tEXt") + 4 :]
    assert text.startswith(b"tfdecode\0" + SPEC.canonical_json.encode())


@pytest.mark.parametrize(
    ("shape", "dtype", "codecs", "options", "message"),
    [
        ((3, 2), "float32", "png:interleaved", {}, "cannot be interleaved"),
        ((3, 2, 2), "uint8", "png:interleaved", {}, "cannot be interleaved"),
        ((1_000_001,), "uint8", "png", {}, "at most 1000000 per side"),
        ((30_000, 30_000), "uint8", "png", {}, "and 536870912 pixels are supported"),
        ((3, 2, None), "uint8", "png", {"max_shape": (3, 2, 2)}, "axis 2 is None"),
        ((3, 2), "uint8", "png:mosaic", {}, "needs planar or interleaved"),
        ((3, 2), "uint8", "png:level=13", {}, "needs 0 to 12"),
        ((3, 2), "uint8", "png:describe=1", {}, "needs true or false"),
    ],
)
def test_what_a_png_cannot_hold_is_a_spec_error(
    shape: Any, dtype: str, codecs: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(tfd.SpecError, match=message):
        tfd.ArraySpec(shape, dtype, codecs, **options)
