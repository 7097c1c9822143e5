"""Numpy and the graph take the same payloads, with the same bits: thousands of changed ones.

By default a few specs that have every codec between them; ``FUZZ_SPECS=500`` tries that many more.
"""

from __future__ import annotations

import os
import resource

import numpy as np
import pytest
import tensorflow as tf

from tests.attacks.fuzz import differences, mutants, random_spec
from tfdecode.codecs.registry import CODECS


def features(seed: int) -> set[str]:
    """What a random spec has: its codecs, which of them no seal is before, and its form."""
    spec = random_spec(np.random.default_rng(seed))[0]
    found = {codec.name for chain in spec.chains for codec in chain.codecs}
    for chain in spec.chains:
        kinds = [codec for codec in chain.codecs if codec.kind == "compressor"]
        found |= {f"{codec.name} without a seal" for codec in kinds if not chain.sealed}
    found |= {"several None"} if spec.shape.count(None) > 1 else set()
    return found | ({"one_of"} if len(spec.chains) > 1 else set())


def cover(wanted: set[str]) -> list[int]:
    """A few seeds whose specs have all that is wanted together."""
    left, chosen = set(wanted), []
    known = {seed: features(seed) for seed in range(1200)}  # 2 s
    while left:
        best = max(known, key=lambda seed: len(known[seed] & left))
        assert known[best] & left, left
        chosen.append(best)
        left -= known[best]
    return chosen


BARE = {f"{name} without a seal" for name in ("zlib", "zlib_bounded", "zstd")}
#: Without jpeg: libraries give up on damaged files at different places (test_jpeg.py).
SEEDS = cover({*CODECS, *BARE, "several None", "one_of"} - {"jpeg"})
MORE = range(10_000, 10_000 + int(os.environ.get("FUZZ_SPECS", "0")))
#: Changed payloads of each spec.
ROWS = 400


@pytest.mark.parametrize("seed", [*SEEDS, *MORE])
def test_what_numpy_takes_the_graph_takes_and_the_reverse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spec, arrays = random_spec(rng)
    good = [spec.encode(array) for array in arrays]
    rows = list(mutants(spec, good, ROWS, rng))
    assert any(row not in good for row in rows)
    signature = [tf.TensorSpec([None], tf.string)]
    decode = tf.function(spec.decode_checked, input_signature=signature, autograph=False)
    assert not differences(spec, decode, good, good)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert not differences(spec, decode, good, rows)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert grown < 2**18
