"""Deflate at every level: bounded on whatever comes, and one stream whoever made it."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfdecode as tfd
from tfdecode.formats.zlib_stream import (
    CELL,
    CELLS,
    MIN_NBYTES,
    coded_nbytes,
    compress,
    compress_bound,
    compress_with_stored_blocks,
    incompressible_cells,
)
from tfdecode.graph.inflate import EXPANSION

LEVELS = range(13)
EDGES = (0, 1, 2, 9, 100, 4999, 5000, 5001, 16_384, 32_768, 65_535, 65_536, 300_001)


@pytest.mark.parametrize("level", LEVELS)
def test_no_bytes_deflate_to_more_than_the_bound(level: int) -> None:
    rng = np.random.default_rng(level)
    for count in EDGES:
        random = rng.bytes(count)
        # Bytes that all but fill a stored block: what is hardest to tell from noise.
        high = rng.integers(0, 250, count, np.uint8).tobytes()
        twice = (random[: count // 2 + 1] * 2)[:count]
        for data in (random, high, twice):
            for stream in (compress(data, level), compress_with_stored_blocks(data, level)):
                assert zlib.decompress(stream) == data
                assert MIN_NBYTES <= len(stream) <= compress_bound(count)


@pytest.mark.parametrize("level", LEVELS)
def test_no_bytes_deflate_to_less_than_the_bound(level: int) -> None:
    for count in (*EDGES, 5_000_000):
        assert len(compress(bytes(count), level)) >= max(MIN_NBYTES, count // EXPANSION)


@pytest.mark.parametrize("level", LEVELS)
def test_a_view_of_an_image_is_taken_as_its_bytes(level: int) -> None:
    lines = np.arange(60, dtype=np.uint8).reshape(6, 10)
    stream = compress(lines.data, level)
    assert type(stream) is bytes and zlib.decompress(stream) == lines.tobytes()


def stretches(kinds: list[tuple[str, int]], seed: int) -> bytes:
    """Stretches of noise, of zeros, of what a code shrinks to three bits a byte, and text."""
    rng = np.random.default_rng(seed)
    made = {
        "noise": rng.bytes,
        "zeros": bytes,
        "codes": lambda count: rng.integers(0, 8, count, np.uint8).tobytes(),
        "text": lambda count: (b"a row of a table, " * count)[:count],
    }
    return b"".join(made[kind](count) for kind, count in kinds)


kinds = st.tuples(
    st.sampled_from(["noise", "zeros", "codes", "text"]),
    st.sampled_from([1, 100, CELL, 3 * CELL, CELL * CELLS, 3000, 9000, 70_000]),
)


@given(st.lists(kinds, max_size=9), st.integers(0, 12), st.integers(0, 99))
def test_sparing_streams_hold_what_was_packed(
    found: list[tuple[str, int]], level: int, seed: int
) -> None:
    data = stretches(found, seed)
    stream = compress_with_stored_blocks(data, level)
    assert zlib.decompress(stream) == data
    assert MIN_NBYTES <= len(stream) <= compress_bound(len(data))
    assert MIN_NBYTES - 2 <= coded_nbytes(stream) <= len(stream)


@pytest.mark.parametrize("level", [1, 3, 4, 6, 12])
def test_noise_is_stored_and_the_rest_is_coded(level: int) -> None:
    count = 40 * CELL * CELLS
    data = stretches([("zeros", count), ("noise", count), ("codes", count)], 1)
    stream, plain = compress_with_stored_blocks(data, level), compress(data, level)
    assert len(stream) < 1.1 * len(plain)
    # A third of the bytes is noise, of which nothing is left to decode.
    assert coded_nbytes(stream) < len(stream) - count < count * 0.5
    for kind in ("zeros", "codes", "text"):
        flat = stretches([(kind, count)], 1)
        assert compress_with_stored_blocks(flat, level) == compress(flat, level)


def test_noise_is_what_deflate_cannot_shrink() -> None:
    rng = np.random.default_rng(3)
    size = 50 * CELL * CELLS

    def share(values: np.ndarray) -> float:
        return float(incompressible_cells(values.tobytes()).mean())

    for bits, least, most in ((8, 1, 1), (7, 1, 1), (6.5, 0.99, 1), (5.5, 0, 0.01), (4, 0, 0)):
        values = rng.integers(0, int(2**bits), size).astype(np.uint8)
        assert least <= share(values) <= most, bits
    assert share(rng.integers(0, 256, size, np.uint16)) == 0  # every other byte is zero
    # Neighbours are nearly the same here, but all bytes are as frequent.
    assert share((np.arange(size) // 3 % 251).astype(np.uint8)) > 0.9


def test_noise_that_does_not_fit_is_deflated_all_the_same() -> None:
    twice = stretches([("noise", 4 * CELL * CELLS)], 5) * 2
    data = np.frombuffer(twice + bytes(8192), np.uint8)
    tight = len(compress(data.tobytes(), 9))
    spec = tfd.ArraySpec(
        data.shape, "uint8", f"zlib:9,max_packed={tight},store_incompressible=true"
    )
    assert len(spec.encode(data)) - 8 == tight < len(compress_with_stored_blocks(data.tobytes(), 9))
    with pytest.raises(tfd.SpecError, match="store_incompressible is 1, needs true or false"):
        tfd.ArraySpec((2,), "uint8", "zlib:store_incompressible=1")


def test_store_incompressible_is_no_part_of_the_fingerprint() -> None:
    chains = ("zlib", "zlib:3,store_incompressible=true")
    one, other = (tfd.ArraySpec((2,), "uint8", chain) for chain in chains)
    assert one.fingerprint == other.fingerprint and one.to_json() != other.to_json()
