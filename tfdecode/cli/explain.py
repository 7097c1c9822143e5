"""``pack --explain``: the chains that were tried, and why one of them was taken."""

from __future__ import annotations

from collections.abc import Sequence

from ..choose import BANDWIDTHS, Candidate
from .batch import MANY, Report
from .show import ratio, say, table


def report(candidates: Sequence[Candidate], nbytes: int) -> list[Report]:
    """The candidates for ``--json``, the best one first."""
    return [
        {
            "codecs": one.chain,
            "payload_bytes": round(one.payload_bytes),
            "array_bytes": nbytes,
            "encode_ms": round(1e3 * one.encode_seconds, 3),
            "decode_ms": round(1e3 * one.decode_seconds, 3),
            "domain": one.domain,
        }
        for one in candidates
    ]


def print_report(source: str, candidates: Sequence[Report], prefer: str, every: bool) -> None:
    """A table of the candidates."""
    first = "; chains smaller and faster to decode than zlib come first"
    say(
        f"{source}: chains tried, best first: by the time to encode, send at "
        f"{BANDWIDTHS[prefer] / 1e6:g} MB/s and decode{first if prefer == 'balanced' else ''}"
    )
    shown = len(candidates) if every else MANY
    print_chains(candidates[:shown], candidates[0]["array_bytes"])
    if len(candidates) > shown:
        say(f"  and {len(candidates) - shown} more; --all lists them")
    say("  (times by the cost model; tfdecode bench measures them)")


def print_chains(chains: Sequence[Report], nbytes: int, bare_ms: float | None = None) -> None:
    """A table of chains; measured times are also multiples of ``bare_ms``."""
    columns = ["  chain", "bytes", "ratio", "encode, ms", "decode, ms", "carries"]
    right, rows = [*columns[1:5], "of bare"], []
    for one in chains:
        size, decode = one["payload_bytes"], one["decode_ms"]
        times = [f"{decode:.2f}"]
        if bare_ms is not None:
            times = [f"{decode:.3f}", f"{decode / bare_ms:.1f}x"]
        row = [f"  {one['codecs']}", f"{size:,}", ratio(nbytes, size), f"{one['encode_ms']:.2f}"]
        rows.append([*row, *times, one["domain"] or "every array"])
    if bare_ms is not None:
        columns.insert(5, "of bare")
    table(columns, rows, right)
