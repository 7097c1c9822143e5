"""What decoding costs: a model of each codec, as measured by ``tfdecode bench --calibrate``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codecs.chain import Chain


@dataclass(frozen=True)
class Cost:
    """Of one codec in the graph: nanoseconds for each byte that it makes, and that it takes."""

    made: float
    taken: float = 0.0


#: For one row of a batch of 32 in the C program on one core (TensorFlow 2.21): see
#: ``benchmarks/bench_costs.py``.
COSTS = {
    "raw": Cost(0.13),
    "transpose": Cost(0.5),
    "astype": Cost(0.25),
    "ordered": Cost(0.6),
    "delta": Cost(1.0),
    "shuffle": Cost(0.5),
    "bitshuffle": Cost(2.0),
    "fixed_point": Cost(0.8),
    "onehot": Cost(0.15),
    "packbits": Cost(0.2),
    "sparse": Cost(0.2, 4.0),
    "png": Cost(0.8, 6.0),
    "zlib": Cost(0.9, 6.0),
    "deflate": Cost(1.0, 7.0),
    "zstd": Cost(0.35, 2.0),
    "seal": Cost(0.0, 0.9),
}
OTHER = Cost(1.0)
#: What a row costs that is not in proportion to its bytes, in seconds, for each step.
STEP = 2e-6


def trial(chain: Chain, x: np.ndarray) -> tuple[bytes, float]:
    """The payload of ``x``, and the seconds that decoding it takes by the model."""
    seconds = 0.0
    value: object = x
    for codec, form in zip(chain.codecs, chain.forms, strict=False):
        made = len(value) if isinstance(value, bytes) else np.asarray(value).nbytes
        value = codec.encode(value, form)
        taken = len(value) if isinstance(value, bytes) else 0
        cost = COSTS.get(codec.name, OTHER)
        seconds += STEP + 1e-9 * (cost.made * made + cost.taken * taken)
    assert isinstance(value, bytes)
    return value, seconds
