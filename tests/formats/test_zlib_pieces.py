"""Large arrays are deflated in pieces: the same bytes come out, and few copies are held."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tests.common import assert_same
from tfdecode.codecs import chain
from tfdecode.formats import zlib_pieces
from tfdecode.formats.zlib_pieces import PIECE, compress_pieces, pieces_of
from tfdecode.formats.zlib_stream import LAGS, compress, compress_with_stored_blocks

RNG = np.random.default_rng(7)
LAYOUTS = {
    "C": lambda x: x,
    "F": np.asfortranarray,
    "planes": lambda x: np.moveaxis(x.view(np.uint8).reshape(*x.shape, 4), -1, 0),
    "reversed": lambda x: x[:, ::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("nbytes", [4, 1000, 4096])
def test_pieces_are_the_bytes_in_c_order(layout: str, nbytes: int) -> None:
    x = LAYOUTS[layout](RNG.integers(0, 2**32, (30, 41), np.uint32))
    pieces = [bytes(piece) for piece in pieces_of(x, nbytes)]
    assert b"".join(pieces) == x.tobytes()
    assert {len(piece) for piece in pieces[:-1]} <= {nbytes} and len(pieces[-1]) <= nbytes


def half_noise(size: int) -> np.ndarray:
    x = RNG.integers(0, 256, size, np.uint8)
    x[size // 3 : size // 2] = 7
    x[size - size // 5 :] %= 3
    return x


@pytest.mark.parametrize("level", [0, 1, 3, 6])
@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("size", [0, 1, 3000, PIECE + 5, PIECE + LAGS[-1], 2 * PIECE + 1023])
def test_a_stream_inflates_to_the_pieces(level: int, store: bool, size: int) -> None:
    x, out = half_noise(size), io.BytesIO()
    out.write(b"before")
    compress_pieces(lambda: pieces_of(x, 777_777), size, level, store, out)
    stream = out.getvalue()[6:]
    assert zlib.decompress(stream) == x.tobytes()
    at_once = (compress_with_stored_blocks if store else compress)(x.tobytes(), level)
    assert len(stream) <= 1.001 * len(at_once) + 40


CHAINS = (
    "raw|zlib:2",
    "shuffle|raw|zlib_bounded:3,store_incompressible=true",
    "shuffle|raw|zlib_bounded:9",
    "astype:uint16|raw|zlib:3,store_incompressible=true|zlib",
    "fixed_point:4,dtype=int16|delta:0,zigzag=true|raw|zlib_bounded:1",
    "raw|seal",
)


@pytest.mark.parametrize("codecs", CHAINS)
def test_a_large_array_comes_back_from_numpy_and_from_the_graph(
    codecs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "LARGE", 2**10)
    monkeypatch.setattr(zlib_pieces, "PIECE", 2**13)
    x = RNG.integers(0, 5000, (90, 130)).astype(">f4")
    spec = tfd.ArraySpec(x.shape, x.dtype, codecs)
    assert_same(spec.decode(spec.encode(x)), x.astype("f4"))
    assert_same(spec.decode_tensor(spec.encode(x)), x.astype("f4"))


def test_a_payload_over_max_packed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "LARGE", 2**10)
    spec = tfd.ArraySpec((5000,), "uint8", "zlib:2,max_packed=900")
    with pytest.raises(tfd.EncodeError, match="max_packed allows 900"):
        spec.encode(half_noise(5000))


HELD: dict[str, tuple[str, Any]] = {
    "shuffle|raw|zlib_bounded:3,store_incompressible=true": ("f4", lambda n: RNG.normal(size=n)),
    "astype:uint8|raw|zlib_bounded:2": ("f8", lambda n: np.arange(n) // 5000 % 7),
    "fixed_point:4,dtype=uint8|raw|zlib_bounded:2": ("f4", lambda n: np.arange(n) // 9 % 7 / 4),
}


@pytest.mark.parametrize("codecs", HELD)
def test_encoding_holds_at_most_one_and_a_half_times_the_array(codecs: str) -> None:
    dtype, make = HELD[codecs]
    x = make(5 * 2**22 // np.dtype(dtype).itemsize).astype(dtype).reshape(-1, 512)
    spec = tfd.ArraySpec(x.shape, dtype, codecs)
    spec.encode(x[:1].repeat(len(x), 0))  # modules are imported
    tracemalloc.start()
    try:
        payload = spec.encode(x)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * x.nbytes
    finally:
        tracemalloc.stop()
    assert_same(spec.decode(payload), x)
