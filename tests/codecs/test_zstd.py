"""zstd: one form of frame, whatever the level and size, and what it takes to make and read one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same
from tfdecode.codecs.compressors.zstd import compress_bound, frame_header, store
from tfdecode.extras import zstd

SIZES = (0, 1, 255, 256, 257, 65_791, 65_792, 131_071, 131_072, 131_073, 2**19 + 1)


@pytest.mark.parametrize("level", [1, 3, 9, 19, 22])
def test_every_frame_begins_with_the_head_of_its_size_and_keeps_the_bound(level: int) -> None:
    rng = np.random.default_rng(level)
    for size in SIZES:
        spec = tfd.ArraySpec((size,), "uint8", f"zstd:{level}", seal=False)
        for array in (rng.integers(0, 256, size, np.uint8), np.zeros(size, np.uint8)):
            payload = spec.encode(array)
            assert payload.startswith(frame_header(size)) and len(payload) <= compress_bound(size)
            assert_same(spec.decode(payload), array)


@pytest.mark.parametrize("level", [1, 22])
def test_an_array_beyond_the_window_of_its_level_is_a_single_segment_too(level: int) -> None:
    array = np.zeros(2**27 + 2**26, np.uint8)  # and beyond the window that decoders take unasked
    spec = tfd.ArraySpec(array.shape, "uint8", f"zstd:{level}", seal=False)
    payload = spec.encode(array)
    assert payload.startswith(frame_header(array.size))
    assert not spec.decode(payload).any()
    assert not spec.decode_tensor(payload).numpy().any()


@pytest.mark.parametrize("size", SIZES)
def test_a_filler_is_a_good_frame(size: int) -> None:
    for data in (bytes(size), np.random.default_rng(size).bytes(size)):
        assert zstd.decompress(store(data)) == data
        assert tf.io.decode_compressed(store(data), "ZSTD").numpy() == data
        assert len(store(data)) <= compress_bound(size)


@pytest.mark.parametrize("level", [0, 23, -1, 2.0, True, "3", None])
def test_a_level_that_is_none(level: object) -> None:
    with pytest.raises(tfd.SpecError, match=r"codec zstd: level is .*, needs 1 to 22"):
        tfd.ArraySpec((2,), "uint8", [{"name": "zstd", "level": level}])


def test_without_the_library_graphs_are_built_and_clients_hear_of_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = tfd.ArraySpec((2,), "uint8", "zstd", seal=False)
    payload = spec.encode(np.array([1, 2], np.uint8))
    monkeypatch.setitem(sys.modules, zstd.__name__, None)
    assert spec.decode_checked([payload, b""])[1].numpy().tolist() == [0, 1]
    with pytest.raises(tfd.errors.MissingExtraError, match=r"zstd is not .* its extra 'zstd'"):
        spec.encode(np.array([1, 2], np.uint8))


def test_a_model_says_which_tensorflow_it_needs(tmp_path: Path) -> None:
    spec = tfd.ArraySpec((2,), "uint8", "zstd")
    tfd.export(lambda x: x, tmp_path, inputs={"x": spec})
    report = tfd.check(tmp_path)
    assert report.ok and report.notes == (
        "runs from TensorFlow 2.20 on, which is the first to inflate zstd",
    )
    assert "; runs from TensorFlow 2.20 on" in str(report)
