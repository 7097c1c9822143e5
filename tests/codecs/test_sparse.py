"""sparse: records beyond the reach of a distance, backgrounds, tables, and hostile records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same, layouts


@pytest.mark.parametrize("count", [65_534, 65_535, 65_536, 131_070, 131_071, 200_000])
@pytest.mark.parametrize("places", [[], [0], [-1], [65_534], [7, 65_542, 65_543]])
def test_records_stand_where_the_next_is_out_of_reach(count: int, places: list[int]) -> None:
    array = np.full(count, -1, np.int16)
    array[[place for place in places if place < count]] = 300
    for codecs in ("sparse:-1", "sparse:-1,palette=true"):
        spec = tfd.ArraySpec(array.shape, array.dtype, codecs)
        payload = spec.encode(array)
        assert spec.chain.payload.min_nbytes <= len(payload) < 100
        assert_same(spec.decode(payload), array)
        assert_same(spec.decode_tensor([payload] * 3), np.stack([array] * 3))


@pytest.mark.parametrize("order", ["0,1,2", "2,0,1", "1,2,0", "2,1,0"])
def test_the_order_of_memory_does_not_matter(order: str) -> None:
    rng = np.random.default_rng(1)
    array = np.where(rng.random((9, 8, 7)) < 0.1, rng.normal(size=(9, 8, 7)), 0)
    spec = tfd.ArraySpec(array.shape, array.dtype, f"transpose:{order}|sparse")
    payload = spec.encode(array)
    for axes in ((0, 1, 2), (2, 0, 1), (1, 0, 2)):
        lying = np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))
        assert all(spec.encode(view) == payload for view in layouts(lying))
    assert_same(spec.decode_tensor(payload), array)


def test_zeros_of_both_signs_and_nans_are_told_apart_by_their_bits() -> None:
    array = np.array([0.0, -0.0, np.nan, -np.nan, 0.0, 0.0])
    spec = tfd.ArraySpec((6,), "float64", "sparse")
    assert len(spec.encode(array)) == 4 * 10
    assert_same(spec.decode_tensor(spec.encode(array)), array)


@pytest.mark.parametrize(
    ("dtype", "option", "message"),
    [
        ("uint8", "-1", "background is -1, not a value of uint8"),
        ("uint8", "256", "background is 256, not a value of uint8"),
        ("int32", "0.5", "background is 0.5, not a value of int32"),
        ("bool", "2", "background is 2, not a value of bool"),
        ("uint64", "-1", "background is -1, not a value of uint64"),
        ("uint64", "1e300", "not a value of uint64"),
        ("float16", "70000", "background is 70000, not a value of float16"),
        ("float32", "1e39", "not a value of float32"),
        ("float32", "-0.0", "background is -0.0"),
        ("float32", "NaN", "needs a finite number"),
        ("float32", "Infinity", "needs a finite number"),
        ("float32", "true", "needs a finite number"),
        ("float32", "word", "needs a finite number"),
        ("float32", "0,palette=1", "palette is 1, needs true or false"),
    ],
)
def test_a_background_that_cannot_be(dtype: str, option: str, message: str) -> None:
    with pytest.raises(tfd.SpecError, match=message):
        tfd.ArraySpec((2,), dtype, f"sparse:{option}")


def test_equal_backgrounds_make_equal_specs() -> None:
    specs = [tfd.ArraySpec((2,), "float32", f"sparse:{text}") for text in ("-1", "-1.0", "-1e0")]
    assert len({spec.fingerprint for spec in specs}) == 1


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_a_background_at_the_end_of_a_dtype(dtype: str) -> None:
    for limit in (np.iinfo(dtype).min, np.iinfo(dtype).max):
        spec = tfd.ArraySpec((3,), dtype, f"sparse:{limit}")
        array = np.array([limit, 5, limit], dtype)
        assert len(spec.encode(array)) == 2 * 10
        assert_same(spec.decode_tensor(spec.encode(array)), array)


def records(gaps: list[int], values: list[int]) -> bytes:
    return bytes([g % 256 for g in gaps] + [g // 256 for g in gaps] + values)


HOSTILE: dict[str, Any] = {
    "before its row": records([0, 6], [7, 7]),
    "in the next row": records([3, 4], [7, 7]),
    "far behind": records([65_535, 65_535, 65_535], [7, 7, 7]),
    "a sum of another row": records([2], [7]),
    "zeros": bytes(18),
    "the most there can be": records([1] * 6, [7] * 6),
    "one more": records([1] * 7, [7] * 7),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_no_row_writes_into_another(hostile: bytes) -> None:
    """Every two of them, at both ends and between good rows."""
    spec = tfd.ArraySpec((6,), "uint8", "sparse:9")
    arrays = [np.array(a, "u1") for a in ([9] * 6, [1, 2, 3, 4, 5, 6], [9, 9, 8, 9, 9, 9])]
    good = [spec.encode(array) for array in arrays]
    decode = tf.function(spec.decode_checked, autograph=False)
    for other in HOSTILE.values():
        rows = [hostile, good[0], other, good[1], hostile, other, good[2], hostile]
        decoded, status = decode(tf.constant(rows))
        for row, array in zip((1, 3, 6), arrays, strict=True):
            assert_same(decoded[row], array)
        assert not status.numpy()[[1, 3, 6]].any()
        for row in (0, 2, 4, 5, 7):
            try:
                assert_same(decoded[row], spec.decode(rows[row]))
                assert status[row] == 0
            except tfd.DecodeError:
                assert status[row] != 0 and not decoded[row].numpy().any()
