"""What checking every row costs: raw, raw|seal and zlib|seal against bare decode_raw + reshape."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import tfdecode as tfd

from . import graphs
from .report import Table
from .runtime import medians, save

CHAINS = ("raw", "raw|seal", "raw|zlib|seal")


def measure(shape: tuple[int, ...], rows: int, iterations: int, x: np.ndarray) -> list[float]:
    """Median microseconds of the bare decoder and of each chain, decoding ``x`` [*shape]."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        payload = folder / "bare.bin"
        payload.write_bytes(x.tobytes())
        jobs = [(save(graphs.bare(x), folder / "bare"), "serving_default", {"b": [payload]})]
        for index, chain in enumerate(CHAINS):
            spec = tfd.ArraySpec(shape, x.dtype, codecs=chain)
            file = folder / f"{index}.bin"
            file.write_bytes(spec.encode(x))
            model = save(spec.decode_tensor, folder / str(index))
            jobs.append((model, "serving_default", {"b": [file]}))
        return medians(iterations, rows, jobs)


def main() -> list[Table]:
    """One float32 row of 4 KB, and 32 pose maps."""
    rng = np.random.default_rng(11)
    small = rng.normal(size=1024).astype(np.float32)
    pose = np.full((256, 192, 18), -1, np.float32)
    pose[100:108, 60:68] = 1
    one = measure((1024,), 1, 3000, small)
    many = measure(pose.shape, 32, 31, pose)
    names = ("bare decode_raw + reshape", *CHAINS)
    table = Table(
        "What checking every row costs",
        "In the C program: float32 [1024] at batch 1, and float32 [256,192,18] at batch 32.",
        ("decoder", "4 KB, us", "added, us", "pose maps, us", "ratio"),
        [
            (name, f"{a:.1f}", f"{a - one[0]:+.1f}", f"{b:.0f}", f"{b / many[0]:.3f}")
            for name, a, b in zip(names, one, many, strict=True)
        ],
    )
    return [table]
