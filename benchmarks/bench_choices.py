"""What `infer` chooses beside what anyone would try first: raw, and deflate of the array."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tfdecode as tfd
from tfdecode.choose.costs import trial

from .inputs import FILES, KINDS, PLAIN, SCALED, make
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


def labels(rng: np.random.Generator) -> np.ndarray:
    """The same label map 200 times, as floats."""
    y, x = np.mgrid[:500, :500]
    return np.tile((np.hypot(x - 250, y - 200) // 40 % 7).astype(np.float32), (200, 1, 1))


def waves(rng: np.random.Generator) -> np.ndarray:
    """500 maps of distances."""
    far = 1000 + 500 * np.sin(np.arange(10**8) / 5000) + rng.normal(0, 3, 10**8)
    return far.astype(np.uint16).reshape(-1, 500, 400)


#: Arrays of 200 MB.
LARGE: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "noise": lambda rng: rng.normal(size=(50_000, 1000)).astype(np.float32),
    "depth": waves,
    "labels": labels,
    "table": lambda rng: np.round(rng.normal(50, 9, (2_500_000, 10)), 2),
}


#: Runs a command and prints what it used. Linux counts the peak of a parent to its children, so
#: the command is a child of this small process, not of the benchmark's.
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def packed_file(file: Path) -> tuple[float, float]:
    """CPU seconds and the peak of the resident size of ``tfdecode pack``, as a process."""
    command = [sys.executable, "-m", "tfdecode", "pack", str(file)]
    words = [sys.executable, "-c", LAUNCHER, *command]
    run = subprocess.run(words, check=True, capture_output=True, text=True)
    seconds, kilobytes = map(float, run.stdout.split())
    return seconds, 1024 * kilobytes


def packing() -> Table:
    """``tfdecode pack`` of large arrays, none of which this process holds meanwhile."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, make_large in LARGE.items():
            file = Path(folder, f"{name}.npy")
            x = make_large(np.random.default_rng(VARIANT))
            np.save(file, x)
            title, nbytes = f"{name} {x.dtype} {list(x.shape)}", x.nbytes
            del x
            seconds, held = packed_file(file)
            size = Path(f"{file}.tfd").stat().st_size
            cells = [f"{nbytes:,}", f"{size:,}", f"{seconds:.1f}", f"{held / nbytes:.1f}"]
            rows.append([title, *cells])
    note = (
        "`tfdecode pack` of 200 MB, the whole process: CPU seconds, and the peak of the resident "
        "size as a multiple of the array. The targets are 3 s and 2.5."
    )
    columns = ("array", "bytes", "payload", "CPU, s", "memory")
    return Table("Packing large arrays", note, columns, rows)


def main() -> list[Table]:
    """The kinds, the plain arrays and the files; then large arrays."""
    rows, counts = [], [0, 0, 0]
    names = [*KINDS, *PLAIN, *SCALED, *FILES]
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
    return [Table("Choices beside plain deflate", note, columns, rows, words=2), packing()]
