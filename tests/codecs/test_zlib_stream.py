"""Deflate at every level: bounded on whatever comes, and one stream whoever made it."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from tfdecode.codecs.zlib_stream import LEAST, compress, longest
from tfdecode.graph.inflate import EXPANSION

LEVELS = range(13)
EDGES = (0, 1, 2, 9, 100, 4999, 5000, 5001, 16_384, 32_768, 65_535, 65_536, 300_001)


@pytest.mark.parametrize("level", LEVELS)
def test_no_bytes_deflate_to_more_than_the_bound(level: int) -> None:
    rng = np.random.default_rng(level)
    for count in EDGES:
        noise = rng.bytes(count)
        # Bytes that all but fill a stored block: what is hardest to tell from noise.
        high = rng.integers(0, 250, count, np.uint8).tobytes()
        twice = (noise[: count // 2 + 1] * 2)[:count]
        for data in (noise, high, twice):
            stream = compress(data, level)
            assert zlib.decompress(stream) == data
            assert LEAST <= len(stream) <= longest(count)


@pytest.mark.parametrize("level", LEVELS)
def test_no_bytes_deflate_to_less_than_the_bound(level: int) -> None:
    for count in (*EDGES, 5_000_000):
        assert len(compress(bytes(count), level)) >= max(LEAST, count // EXPANSION)


@pytest.mark.parametrize("level", LEVELS)
def test_a_view_of_an_image_is_taken_as_its_bytes(level: int) -> None:
    lines = np.arange(60, dtype=np.uint8).reshape(6, 10)
    stream = compress(lines.data, level)
    assert type(stream) is bytes and zlib.decompress(stream) == lines.tobytes()
