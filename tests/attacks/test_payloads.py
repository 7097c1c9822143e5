"""Hostile payloads: never a crash, a wrong shape, another number of rows or, sealed, a wrong array.

Every chain of the table is attacked with the same mutations, in numpy and in a reloaded model.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.codecs.cases import CASES
from tests.common import Case, assert_same
from tfdecode.formats.png import END, chunk

each_case = pytest.mark.parametrize("case", CASES, ids=str)

#: Stands in every payload of ours that has room for it; no message may repeat it.
MARKER = b"SECRETBYTES"
BITS_OF_LARGE_PAYLOADS = 30


def mutations(case: Case) -> Iterator[bytes]:
    """Payloads that are not what the spec's encoder writes, most of them close to it."""
    (array,), (other,) = case.arrays(1, seed=1), case.arrays(1, seed=2)
    good = case.spec.encode(array)
    rng = np.random.default_rng(3)
    yield b""
    yield b"\0"
    yield MARKER
    yield (MARKER * (len(good) // len(MARKER) + 1))[: len(good)]
    yield bytes(len(good))
    yield b"\xff" * len(good)
    yield rng.bytes(len(good))
    yield good + b"\0"
    yield b"\0" + good
    yield good[1:]
    yield good + good
    yield good[: len(good) // 2] + MARKER + good[len(good) // 2 :]
    yield good[::-1]
    yield good + MARKER * 1000
    yield from swapped(case, array, other)
    ends = range(len(good)) if len(good) <= 32 else rng.integers(0, len(good), 15)
    yield from (good[:end] for end in ends)
    flips: Any = range(8 * len(good))
    if len(good) > 16:
        flips = rng.integers(0, 8 * len(good), BITS_OF_LARGE_PAYLOADS)
    for bit in flips:
        yield flipped(good, int(bit))
    for _ in range(5):
        start, end = sorted(rng.integers(0, len(good) + 1, 2))
        yield good[:start] + rng.bytes(end - start) + good[end:]


def swapped(case: Case, array: np.ndarray, other: np.ndarray) -> Iterator[bytes]:
    """Payloads of other specs: another label, chain, shape or dtype of the same values."""
    spec = case.spec
    for changed in (
        {"label": "another"},
        {"codecs": "raw"},
        {"codecs": "raw|seal"},
        {"codecs": "zlib:1"},
        {"codecs": "zlib:1", "seal": False},
    ):
        fields = {"codecs": spec.codecs, "max_shape": spec.max_shape, "label": spec.label}
        other_spec = tfd.ArraySpec(spec.shape, spec.dtype, **{**fields, **changed})
        if other_spec.fingerprint != spec.fingerprint:  # another level makes no other spec
            yield other_spec.encode(array)
    if len(case.spec.encode(array)) > 2:
        mine, its = spec.encode(array), spec.encode(other)
        mixed = mine[: len(mine) // 2] + its[len(its) // 2 :]
        if mixed not in (mine, its):  # as where the halves begin with the same header
            yield mixed


def flipped(payload: bytes, bit: int) -> bytes:
    changed = bytearray(payload)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def wrong(case: Case) -> list[bytes]:
    """The mutations that are not a good payload after all."""
    good = {case.spec.encode(array) for array in case.arrays(1, seed=1)}
    bad = [payload for payload in mutations(case) if payload not in good]
    assert bad
    return bad


def sealed(case: Case) -> bool:
    """Whether the seal is the outermost step: it covers every byte."""
    return all(chain.sealed for chain in case.spec.chains)


#: Their payloads can be cut in two.
each_divisible = pytest.mark.parametrize(
    "case",
    [case for case in CASES if len(case.spec.encode(case.arrays(1, length=2)[0])) > 1],
    ids=str,
)


def decoded_by_numpy(case: Case, payload: bytes) -> np.ndarray | None:
    try:
        return case.spec.decode(payload)
    except tfd.DecodeError as error:
        assert MARKER.decode() not in str(error)
        return None


def fits(case: Case, array: Any) -> bool:
    """Whether ``array`` has a shape that the spec allows."""
    bound = case.max_shape or case.shape
    sides = zip(array.shape, case.shape, bound, strict=True)
    return all(got == side or (side is None and got <= most) for got, side, most in sides)


@each_case
def test_numpy_refuses_or_gives_an_array_of_the_right_shape(case: Case) -> None:
    for payload in wrong(case):
        array = decoded_by_numpy(case, payload)
        assert array is None or (not sealed(case) and fits(case, array))
        assert array is None or array.dtype.name == case.dtype


@each_case
def test_decode_tensor_refuses_what_numpy_refuses(case: Case, reloaded: Any) -> None:
    decode = reloaded.tensor[case.key]
    for payload in wrong(case):
        expected = decoded_by_numpy(case, payload)
        try:
            decoded = decode(tf.constant([payload]))
        except tf.errors.InvalidArgumentError as error:
            assert expected is None
            named = rf"{case.key}: row 0 (has|holds|is|inflates|\(\d+ bytes\) is not) .*\d"
            assert re.search(named, error.message)
            assert MARKER.decode() not in error.message
        else:
            assert decoded.shape[0] == 1 and fits(case, decoded[0])
            assert expected is not None
            assert_same(decoded[0], expected)


@each_case
def test_decode_checked_isolates_each_bad_row(case: Case, reloaded: Any) -> None:
    decode = reloaded.checked[case.key]
    arrays = case.arrays(3, length=2)
    good = [case.spec.encode(array) for array in arrays]
    for payload in wrong(case):
        decoded, status = decode(tf.constant([*good[:2], payload, good[2]]))
        assert decoded.shape[0] == 4 and status.shape == [4]
        assert status.numpy()[[0, 1, 3]].tolist() == [0, 0, 0]
        rows = decoded.numpy()
        if decoded.shape[1:] != arrays[0].shape:  # the row in question is good and longer
            assert None in case.shape and status.numpy()[2] == 0
            rows = rows[(slice(None), *(slice(side) for side in arrays[0].shape))]
        for row, array in zip(rows[[0, 1, 3]], arrays, strict=True):
            assert_same(row, array)
        assert (status.numpy()[2] == 0) == (decoded_by_numpy(case, payload) is not None)
        if status.numpy()[2]:
            assert_same(rows[2], np.zeros_like(arrays[0]))
            assert status.numpy()[2] in list(tfd.Status)


@each_case
def test_thousands_of_rows_at_once_keep_their_places(case: Case, reloaded: Any) -> None:
    """Good rows at random places between bad ones, and every status where it belongs."""
    (array,) = case.arrays(1, seed=1, length=2)
    good, bad = case.spec.encode(array), wrong(case)
    chosen = np.random.default_rng(0).integers(0, 2 * len(bad), min(2000, case.spec.max_rows))
    payloads = [bad[i] if i < len(bad) else good for i in chosen]
    decoded, status = reloaded.checked[case.key](tf.constant(payloads))
    expected = [int(decoded_by_numpy(case, payload) is not None) for payload in payloads]
    assert (status.numpy() == 0).astype(int).tolist() == expected
    for row, payload in zip(decoded.numpy(), payloads, strict=True):
        if payload == good:
            kept = row[tuple(slice(side) for side in array.shape)]
            assert_same(np.ascontiguousarray(kept).reshape(array.shape), array)


@each_divisible
def test_a_good_neighbour_does_not_make_up_for_a_bad_row(case: Case, reloaded: Any) -> None:
    """Two halves are not one row, and one row of double length is not two."""
    array = case.arrays(1, length=2)[0]
    good = case.spec.encode(array)
    half = len(good) // 2
    for rows in ([good[:half], good[half:]], [good + good, b""], [b"", good + good]):
        expected = [decoded_by_numpy(case, row) for row in rows]
        if all(array is not None for array in expected):  # a None dimension: two short rows
            assert None in case.shape and not sealed(case)
            continue
        with pytest.raises(tf.errors.InvalidArgumentError):
            reloaded.tensor[case.key](tf.constant(rows))


MESSAGES = {
    "short": (
        tfd.ArraySpec((256, 192, 18), "float32"),
        bytes(1179648),
        "pose_map_bytes: row 3 has 1179648 bytes, needs 3538944",
    ),
    "None": (
        tfd.ArraySpec((None, 2), "int16", max_shape=(5, 2)),
        bytes(24),
        "pose_map_bytes: row 3 has 24 bytes, needs 0 to 20",
    ),
    "None in part": (
        tfd.ArraySpec((None, 2), "int16", max_shape=(5, 2)),
        bytes(6),
        "pose_map_bytes: row 3 has 6 bytes, needs a multiple of 4",
    ),
    "bool": (
        tfd.ArraySpec((3,), "bool"),
        b"\0\2\3",
        "pose_map_bytes: row 3 has 2 bytes other than 0 and 1, needs bool",
    ),
    "astype": (
        tfd.ArraySpec((2,), "int32", "astype:float64"),
        np.array([1.5, 2]).tobytes(),
        "pose_map_bytes: row 3 has 1 values of float64 that are not exact in int32",
    ),
    "seal": (
        tfd.ArraySpec((2,), "uint8", "raw|seal"),
        bytes(10),
        "pose_map_bytes: row 3 has 10 bytes that do not match their seal: "
        "damaged, of another input, or packed with another spec",
    ),
    "onehot": (
        tfd.ArraySpec((2, 3), "float32", "onehot"),
        b"\2\3",
        "pose_map_bytes: row 3 has 1 class indices of 3 or more",
    ),
    "a size": (
        tfd.ArraySpec((None, None), "uint8", max_shape=(2, 3)),
        b"\1\0\0\0\4\0\0\0abcd",
        "pose_map_bytes: row 3 states 4 along axis 1, needs at most 3",
    ),
    "sizes and a length": (
        tfd.ArraySpec((None, None), "uint8", max_shape=(2, 3)),
        b"\2\0\0\0\3\0\0\0abcd",
        "pose_map_bytes: row 3 has 12 bytes, its dimensions need 14",
    ),
    "sparse, records": (
        tfd.ArraySpec((6,), "uint16", "sparse"),
        bytes(11),
        "pose_map_bytes: row 3 has 11 bytes, not a valid number of records",
    ),
    "sparse, sum": (
        tfd.ArraySpec((6,), "uint8", "sparse"),
        b"\1\4\0\0\7\7",
        "pose_map_bytes: row 3 has records of 5 elements, needs 6",
    ),
    "sparse, distance": (
        tfd.ArraySpec((6,), "uint8", "sparse"),
        b"\0\6\0\0\7\7",
        "pose_map_bytes: row 3 has 1 records at distance 0",
    ),
    "sparse, table": (
        tfd.ArraySpec((6,), "uint8", "sparse:palette=true"),
        b"\1\5\0\0\1\0\7\2\0\0\0",
        "pose_map_bytes: row 3 has 1 records of values that are not in its table",
    ),
    "zstd": (
        tfd.ArraySpec((2,), "uint8", "zstd", seal=False),
        b"GIF89a....",
        "pose_map_bytes: row 3 has 10 bytes without the zstd header of a frame of 2",
    ),
    "zstd, varying": (
        tfd.ArraySpec((None,), "uint8", "zstd", max_shape=(2,), seal=False),
        bytes.fromhex("28b52ffd20ff01000000"),
        "pose_map_bytes: row 3 has a zstd header of 255 bytes, needs 0 to 2",
    ),
    "no zlib": (
        tfd.ArraySpec((2,), "uint8", "zlib", seal=False),
        b"GIF89a..",
        "pose_map_bytes: row 3 has 8 bytes that do not begin with a zlib header",
    ),
}


@pytest.mark.parametrize("spec, payload, message", MESSAGES.values(), ids=MESSAGES)
def test_the_message_names_input_row_expected_and_got(
    spec: tfd.ArraySpec, payload: bytes, message: str
) -> None:
    good = spec.chain.payload.filler()
    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        spec.decode_tensor([good, good, good, payload, payload[:1]], input_name="pose_map_bytes")
    said = failure.value.message
    assert f"[{message}" in said and f"; send {spec.wanted} (in a batch of 5 rows" in said


def test_the_first_bad_row_is_named() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="payload: row 1 has 2 bytes, needs 3"):
        tfd.ArraySpec((3,), "uint8").decode_tensor([b"abc", b"ab", b"abc", b"abcd"])


def test_the_fuller_check_of_a_row_does_not_hide_the_first() -> None:
    spec = tfd.ArraySpec((2,), "int32", "astype:float64|raw|seal")
    with pytest.raises(tf.errors.InvalidArgumentError, match="has 3 bytes, needs 24"):
        spec.decode_tensor([b"abc"])


#: What a stream of zlib is followed by or lacks, and whether both sides take it: if its last four
#: bytes are the Adler-32 of what it inflates to. The op does not tell where a stream ends.
STREAMS = {
    "another stream": (lambda stream: stream + zlib.compress(bytes(300)), False),
    "bytes": (lambda stream: stream + b"more", False),
    "bytes and its checksum": (lambda stream: stream + b"more" + stream[-4:], True),
    "no final block": (lambda stream: flushed(stream) + stream[-4:], True),
    "no final block, another checksum": (lambda stream: flushed(stream) + b"abcd", False),
}


def flushed(stream: bytes) -> bytes:
    """A stream of the same bytes without a final block and a checksum."""
    coder = zlib.compressobj()
    return coder.compress(zlib.decompress(stream)) + coder.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize("change, taken", STREAMS.values(), ids=STREAMS)
def test_numpy_and_the_graph_see_as_much_of_the_end_of_a_stream(change: Any, taken: bool) -> None:
    spec = tfd.ArraySpec((300,), "uint8", "zlib", seal=False)
    array = np.arange(300).astype("u1")
    payload = change(spec.encode(array))
    case = Case("zlib", (300,), "uint8", seal=False)
    assert (decoded_by_numpy(case, payload) is not None) == taken
    decoded, status = spec.decode_checked([payload, spec.encode(array)])
    assert (status.numpy() == 0).tolist() == [taken, True]
    assert_same(decoded[0], array * taken)


def put_stream(spec: tfd.ArraySpec, stream: bytes) -> bytes:
    """A payload of `png` with another stream, of the right length and CRC."""
    payload = spec.encode(np.zeros(spec.shape, spec.dtype))
    at = payload.index(b"IDAT") - 4
    return payload[:at] + chunk(b"IDAT", stream) + END


LINES = bytes(9 * 8)
SMALL_WINDOW = zlib.compressobj(9, zlib.DEFLATED, 9)
NARROW = SMALL_WINDOW.compress(LINES) + SMALL_WINDOW.flush()
#: Each row repeats the one before, which is farther away than a window of 256 bytes reaches.
WIDE = zlib.compress((b"\0" + np.random.default_rng(0).bytes(600)) * 8)
IMAGES = {
    "more pixels": ((8, 8), zlib.compress(LINES + bytes(10**4)), True),
    "bytes after the stream": ((8, 8), zlib.compress(LINES) + b"xxxx", True),
    "fewer pixels": ((8, 8), zlib.compress(LINES[:-1]), False),
    "no checksum": ((8, 8), zlib.compress(LINES)[:-4], False),
    "another checksum": ((8, 8), zlib.compress(LINES)[:-4] + b"abcd", False),
    "no elements, no stream": ((0, 3), b"garbage!", False),
    "a window that is too small": ((8, 600), b"\x08\x1d" + WIDE[2:], False),
    "a small window that is enough": ((8, 8), NARROW, True),
}


@pytest.mark.parametrize("codec", ["png", "zlib_bounded"])
@pytest.mark.parametrize("shape, stream, taken", IMAGES.values(), ids=IMAGES)
def test_numpy_and_the_graph_see_as_much_of_the_stream_of_an_image(
    shape: tuple[int, int], stream: bytes, taken: bool, codec: str
) -> None:
    """libpng reads as many rows as it was promised, and does not look at what follows them."""
    spec = tfd.ArraySpec(shape, "uint8", "png")
    payload = put_stream(spec, stream)
    if codec == "zlib_bounded":  # its image has other rows: only the stream is the same
        if shape != (8, 8):
            return
        spec = tfd.ArraySpec((71,), "uint8", codec, seal=False)
        payload = payload[payload.index(b"IDAT") + 4 : -len(END)]
    case = Case(spec.chain.text, spec.shape, "uint8", seal=False if "zlib" in codec else None)
    assert (decoded_by_numpy(case, payload) is not None) == taken
    good = spec.encode(np.zeros(spec.shape, "u1"))
    decode = tf.function(spec.decode_checked, [tf.TensorSpec([None], tf.string)], autograph=False)
    decoded, status = decode([good, payload, good])
    assert (status.numpy() == 0).tolist() == [True, taken, True]
    assert not decoded.numpy().any()


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_stream_without_its_whole_trailer_is_refused(cut: int) -> None:
    spec = tfd.ArraySpec((300,), "uint8", "zlib", seal=False)
    payload = spec.encode(np.arange(300).astype("u1"))[:-cut]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Adler-32"):
        spec.decode_tensor([payload])
    with pytest.raises(tfd.DecodeError, match="ends inside its zlib stream after 300 bytes"):
        spec.decode(payload)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65521, 70000, 400000])
@pytest.mark.parametrize("fill", [0, 255, None])
def test_the_adler_of_the_graph_is_that_of_zlib(size: int, fill: int | None) -> None:
    spec = tfd.ArraySpec((size,), "uint8", "zlib:1", seal=False)
    array = np.frombuffer(np.random.default_rng(size).bytes(size), "u1")
    array = array if fill is None else np.full(size, fill, "u1")
    assert_same(spec.decode_tensor([spec.encode(array)])[0], array)


def test_a_seal_is_of_one_spec_alone() -> None:
    """Specs that differ in anything that decoding depends on refuse each other's payloads."""
    specs = [
        tfd.ArraySpec((4,), "int32", "raw|seal"),
        tfd.ArraySpec((2, 2), "int32", "raw|seal"),
        tfd.ArraySpec((4,), "uint32", "raw|seal"),
        tfd.ArraySpec((4,), "float32", "raw|seal"),
        tfd.ArraySpec((4,), "int32", "raw|seal", label="left"),
        tfd.ArraySpec((4,), "int32", "transpose:0|raw|seal"),
        tfd.ArraySpec((4,), "int64", "astype:int32|raw|seal"),
        tfd.ArraySpec((None,), "int32", "raw|seal", max_shape=(4,)),
        tfd.ArraySpec((None,), "int32", "raw|seal", max_shape=(5,)),
    ]
    for spec in specs:
        payload = spec.encode(
            np.arange(4)
            .astype(spec.dtype)
            .reshape(tuple(4 if side is None else side for side in spec.shape))
        )
        for other in specs:
            good = other is spec
            assert (int(other.decode_checked(payload)[1]) == 0) == good
            if not good:
                with pytest.raises(tfd.DecodeError, match="seal"):
                    other.decode(payload)


def test_levels_share_a_seal() -> None:
    array = np.zeros(9, "u1")
    for level in range(13):
        payload = tfd.ArraySpec((9,), "uint8", f"zlib:{level}").encode(array)
        assert_same(tfd.ArraySpec((9,), "uint8", "zlib").decode(payload), array)
