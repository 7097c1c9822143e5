"""Which of the candidates is the best: by size, by time, or by both for "balanced"."""

from __future__ import annotations

from collections.abc import Sequence

from .trials import Candidate

#: Bytes per second of the network that each preference assumes.
BANDWIDTHS = {"smallest": 1e3, "balanced": 1e7, "fastest": 1e9}
#: Seconds that ``tf.map_fn``, by which zlib is commonly decoded, takes for a row.
MAP_FN = 7e-6
#: The share of another chain's time that a chain may take by the model to be faster. The model is
#: not exact and machines differ: a chain of 0.9 by the model took 1.24 times zlib's time on one.
FASTER = 0.8
#: A "balanced" payload has at most this many times the bytes of the smallest one, and some more:
#: else a small change of an array could make its payload much larger.
LARGER, SLACK = 2, 64


def in_order(
    candidates: Sequence[Candidate],
    baselines: Sequence[Candidate],
    prefer: str,
    bandwidth: float | None,
    plain: Candidate | None,
) -> list[Candidate]:
    """The best first."""
    speed = BANDWIDTHS[prefer] if bandwidth is None else bandwidth
    if bandwidth is None and prefer == "smallest":
        return sorted(candidates, key=lambda one: (one.sent_bytes, one.cost(speed)))
    if bandwidth is not None or prefer == "fastest":
        return sorted(candidates, key=lambda one: one.cost(speed))
    least = min(one.sent_bytes for one in candidates)

    def key(one: Candidate) -> tuple[bool, bool, float]:
        large = one.sent_bytes > LARGER * least + SLACK
        worse = any(larger_and_slower(one, other) for other in baselines)
        return large or worse, plain is None or not beats(one, plain), one.cost(speed)

    return sorted(candidates, key=key)


def larger_and_slower(one: Candidate, other: Candidate) -> bool:
    """Whether ``one`` is larger than ``other`` and not clearly faster to decode."""
    faster = one.decode_seconds <= FASTER * other.decode_seconds
    return one.sent_bytes > other.sent_bytes and not faster


def beats(one: Candidate, plain: Candidate) -> bool:
    """Whether ``one`` is smaller than ``plain``, decoded by ``tf.map_fn``, and clearly faster."""
    faster = one.decode_seconds <= FASTER * (plain.decode_seconds + MAP_FN)
    return one.sent_bytes < plain.payload_bytes and faster
