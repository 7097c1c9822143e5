"""``pack --explain``: the chains that were tried, and why one of them was taken."""

from __future__ import annotations

from collections.abc import Sequence

from ..choose import BANDWIDTHS, Candidate
from .batch import Report
from .show import ratio, say, table


def facts(candidates: Sequence[Candidate], nbytes: int) -> list[Report]:
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


def show(source: str, candidates: Sequence[Report], prefer: str) -> None:
    """A table of the candidates."""
    first = "; chains smaller and faster to decode than zlib come first"
    say(
        f"{source}: chains tried, best first: by the time to encode, send at "
        f"{BANDWIDTHS[prefer] / 1e6:g} MB/s and decode{first if prefer == 'balanced' else ''}"
    )
    rows = [
        [
            f"  {one['codecs']}",
            f"{one['payload_bytes']:,}",
            ratio(one["array_bytes"], one["payload_bytes"]),
            f"{one['encode_ms']:.2f}",
            f"{one['decode_ms']:.2f}",
            one["domain"] or "every array",
        ]
        for one in candidates
    ]
    columns = ("  chain", "bytes", "ratio", "encode, ms", "decode, ms", "carries")
    table(columns, rows, right=columns[1:5])
    say("  (times by the cost model; tfdecode bench measures them)")
