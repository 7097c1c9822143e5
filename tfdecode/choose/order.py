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
#: The share of ``raw`` that is added to it: 300 bytes less of a pose map of 3.5 MB, and 12 kB less
#: of one of Gaussians, took four to five times as long to decode.
SHARE = 2**-8


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
    limit = LARGER * least + SLACK + SHARE * max(one.sent_bytes for one in baselines)
    # A chain that cannot carry every array gets one that can beside it: `one_of` takes the smaller.
    total = min(one.sent_bytes for one in candidates if not one.domain)

    def key(one: Candidate) -> tuple[bool, int, float]:
        large = one.sent_bytes > (min(total, limit) if one.domain else limit)
        worse = any(larger_and_slower(one, other) for other in baselines)
        return large or worse, 0 if plain is None else beaten_by(one, plain), one.cost(speed)

    return sorted(candidates, key=key)


def larger_and_slower(one: Candidate, other: Candidate) -> bool:
    """Whether ``one`` is larger than ``other`` and not clearly faster to decode."""
    faster = one.decode_seconds <= FASTER * other.decode_seconds
    return one.sent_bytes > other.sent_bytes and not faster


def beaten_by(one: Candidate, plain: Candidate) -> int:
    """0 if ``one`` is smaller than ``plain``, decoded by ``tf.map_fn``, and clearly faster.

    1 if it is smaller and somewhat faster, else 2.
    """
    share = one.decode_seconds / (plain.decode_seconds + MAP_FN)
    return 2 if one.sent_bytes >= plain.payload_bytes else 0 if share <= FASTER else 1 + (share > 1)
