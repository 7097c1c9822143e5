"""Inflating in groups or row by row: the rows of inflating at once, and no row fails another."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.reloaded import save
from tfdecode.graph import inflate as inflating
from tfdecode.graph.inflate import EXPANSION, inflate_in_groups, inflate_untrusted
from tfdecode.graph.map_rows import LARGE

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("group", [1, 90 * EXPANSION, 250 * EXPANSION, 2**30])
def test_groups_of_any_size_give_the_same_rows(
    count: int, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflating, "GROUP", group)
    rows = [RNG.bytes(int(size)) for size in RNG.integers(0, 80, count)]
    inflate = tf.function(lambda packed: inflate_in_groups(packed, "ZLIB", 80), autograph=False)
    packed = tf.constant([zlib.compress(row) for row in rows], tf.string)
    assert inflate(packed).numpy().tolist() == rows


@pytest.mark.parametrize("inflate", [inflate_in_groups, lambda *args: inflate_untrusted(*args)[0]])
def test_a_row_is_cut_after_one_byte_too_many(
    inflate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflating, "GROUP", 1)
    packed = tf.constant([zlib.compress(bytes(500)), zlib.compress(b"good")])
    assert inflate(packed, "ZLIB", 4).numpy().tolist() == [bytes(5), b"good"]


@pytest.mark.parametrize("nbytes", [90, LARGE], ids=["small", "large"])
def test_streams_that_cannot_be_inflated_leave_the_others(nbytes: int, tmp_path: Path) -> None:
    """In a reloaded model and outside of a graph: in each order, all bad, and none at all."""
    rows = [RNG.bytes(nbytes), b"", RNG.bytes(7)]
    good = [zlib.compress(row) for row in rows]
    bad = [b"x\x9cgarbage", good[0][:-1] + bytes([good[0][-1] ^ 1])]
    module = tf.Module()

    def inflate(packed: Any) -> Any:
        return inflate_untrusted(packed, "ZLIB", nbytes)

    module.inflate = tf.function(inflate, [tf.TensorSpec([None], tf.string)], autograph=False)
    reloaded = save(module, tmp_path).inflate
    for order in ([0, 3, 1, 4, 2], [4, 3, 0], [1, 2], [3], [0], []):
        packed = tf.constant([[*good, *bad][index] for index in order], tf.string)
        for function in (reloaded, inflate):
            got, done = function(packed)
            assert done.numpy().tolist() == [index < 3 for index in order]
            assert got.numpy().tolist() == [[*rows, b"", b""][index] for index in order]
