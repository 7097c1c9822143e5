"""What `infer` chooses beside what anyone would try first: raw, and deflate of the array."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

import tfdecode as tfd
from tfdecode.choose.costs import trial

from .inputs import FILES, KINDS, PLAIN, make
from .report import Table, track

#: No variant that any other benchmark takes.
VARIANT = 7
LEVELS = (1, 6, 9)
#: Bytes of a row up to which ``zlib`` is bounded.
SMALL = 2**15


@dataclass(frozen=True)
class Result:
    """A payload, and the seconds that the cost model says of decoding it."""

    chain: str
    size: int
    seconds: float


def baselines(x: np.ndarray) -> list[Result]:
    """``raw``, and deflate at three levels of the array and of its transposes."""
    deflate = "zlib" if x.nbytes <= SMALL else "zlib_bounded"
    axes = [*range(x.ndim)]
    orders = dict.fromkeys([(*axes[::-1],), (*axes[-1:], *axes[:-1])]) if x.ndim > 1 else ()
    bodies = ["raw", *(f"transpose:{','.join(map(str, order))}|raw" for order in orders)]
    chains = ["raw", *(f"{body}|{deflate}:{level}" for body in bodies for level in LEVELS)]
    found = []
    for text in chains:
        chain = tfd.ArraySpec(x.shape, x.dtype, text).chains[0]
        payload, _, seconds = trial(chain, x)
        found.append(Result(text, len(payload), seconds))
    return found


def chosen(x: np.ndarray, prefer: str) -> Result:
    """What `infer` makes of an array."""
    spec = tfd.infer(x, prefer=prefer)
    payload = spec.encode(x)
    assert spec.decode(payload).tobytes() == x.tobytes()
    chain, _ = spec.chain.chosen(payload)
    return Result(chain.text, len(payload), trial(chain, x)[2])


def larger(one: Result, plain: list[Result]) -> int:
    """How many baselines are smaller."""
    return sum(one.size > other.size for other in plain)


def worse(one: Result, plain: list[Result]) -> int:
    """How many baselines are smaller and faster to decode by the model."""
    return sum(one.size > other.size and one.seconds > other.seconds for other in plain)


def main() -> list[Table]:
    """The kinds, the plain arrays and the files."""
    rows, counts = [], [0, 0, 0]
    names = [*KINDS, *PLAIN, *FILES]
    for name in track(names, "choices"):
        x = make(name, VARIANT)
        plain = baselines(x)
        best = min(plain, key=lambda one: one.size)
        small, balanced = (chosen(x, prefer) for prefer in ("smallest", "balanced"))
        python = len(zlib.compress(x.tobytes(), 6))
        counts[0] += bool(larger(small, plain))
        counts[1] += bool(worse(balanced, plain))
        counts[2] += small.size > python + 8
        sizes = (python, best.size, small.size, balanced.size)
        rows.append(
            [f"{name} {x.dtype} {list(x.shape)}", balanced.chain, *map("{:,}".format, sizes)]
        )
    note = (
        "Bytes of one array that no other benchmark takes. Plain is the smallest of `raw` and "
        "deflate at levels 1, 6 and 9 (in its bounded form above 32 KiB), of the array and of its "
        f"transposes. Of {len(rows)} inputs, the choice for `smallest` is larger than plain in "
        f"{counts[0]}, and larger than Python's `zlib` at level 6 and a seal in {counts[2]}; the "
        "default is larger and slower (by the cost model) than one of the plain chains in "
        f"{counts[1]}."
    )
    columns = ("input", "chosen by default", "Python zlib 6", "plain", "smallest", "default")
    return [Table("Choices beside plain deflate", note, columns, rows, words=2)]
