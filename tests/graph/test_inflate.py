"""Inflating in groups gives the rows of inflating at once."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfdecode.graph.inflate import EXPANSION, inflate_bounded

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("group", [1, 90 * EXPANSION, 250 * EXPANSION, 2**30])
def test_groups_of_any_size_give_the_same_rows(count: int, group: int, tmp_path: Path) -> None:
    rows = [RNG.bytes(int(size)) for size in RNG.integers(0, 80, count)]
    module = tf.Module()
    module.inflate = tf.function(
        lambda packed: inflate_bounded(packed, "ZLIB", 80, group),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path))
    inflate = tf.saved_model.load(str(tmp_path)).inflate
    packed = tf.constant([zlib.compress(row) for row in rows], tf.string)
    assert inflate(packed).numpy().tolist() == rows


def test_a_row_of_a_group_is_cut_after_one_byte_too_many() -> None:
    packed = tf.constant([zlib.compress(bytes(500)), zlib.compress(b"good")])
    assert inflate_bounded(packed, "ZLIB", 4, 1).numpy().tolist() == [bytes(5), b"good"]
