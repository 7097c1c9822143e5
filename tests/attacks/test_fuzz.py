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

#: Seeds of random specs: every codec, `one_of`, several ``None``, each compressor without a seal.
SEEDS = (860, 105, 15, 302, 73, 102, 236, 8, 197)
MORE = range(10_000, 10_000 + int(os.environ.get("FUZZ_SPECS", "0")))
#: Changed payloads of each spec.
ROWS = 400


def test_the_specs_have_every_codec() -> None:
    specs = [random_spec(np.random.default_rng(seed))[0] for seed in SEEDS]
    assert {codec.name for spec in specs for one in spec.chains for codec in one.codecs} >= {
        *CODECS
    }
    assert any(spec.shape.count(None) > 1 for spec in specs)
    assert any(len(spec.chains) > 1 for spec in specs)


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
