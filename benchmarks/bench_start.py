"""How long one waits before anything happens: imports, a ``pack`` process, a first request."""

from __future__ import annotations

import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import tfdecode as tfd

from .report import Table, track
from .runtime import first, save

ROUNDS = 25
PNG = ["--codec", "png"]
#: Decoders whose first request is measured.
FIRST = ("raw", "zlib", "npy", "npz:x", "mat:x", "npy or npz:x or pkl or mat:x or raw")
FIRST_ROUNDS = 7


def seconds(words: list[str], cache: Path) -> float:
    """The time of one process that finds its modules compiled in ``cache``, as installed ones."""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache), "PYTHONDONTWRITEBYTECODE": ""}
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=env)
    return time.perf_counter() - start


def main() -> list[Table]:
    """Interleaved, so that a busy moment of the machine hits all alike."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pose.pkl")
        pose = np.full((256, 192, 18), -1, np.float32)
        pose[100:108, 60:68] = 1
        file.write_bytes(pickle.dumps(pose))
        processes = {
            "import numpy": ["-c", "import numpy"],
            # Names are imported when used, so the import alone takes less time than NumPy's.
            "import tfdecode": ["-c", "import tfdecode"],
            "from tfdecode import ArraySpec": ["-c", "from tfdecode import ArraySpec"],
            "tfdecode pack pose.pkl --codec png": ["-m", "tfdecode", "pack", str(file), *PNG],
            "tfdecode pack pose.pkl": ["-m", "tfdecode", "pack", str(file)],
        }
        cache = Path(folder, "compiled")
        times: dict[str, list[float]] = {name: [] for name in processes}
        for _ in track(range(ROUNDS), "start"):
            for name, words in processes.items():
                if not times[name]:
                    seconds(words, cache)  # compiles
                times[name].append(seconds(words, cache))
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = medians["import numpy"]
    table = Table(
        "Starting",
        'Whole processes, `python -c "import numpy"` being 1.',
        ("process", "ms", "ratio"),
        [(name, f"{t * 1e3:.0f}", f"{t / base:.2f}") for name, t in medians.items()],
    )
    return [table, first_request()]


def first_request() -> Table:
    """In turns, as above; a server optimizes and instantiates the graph in the first request."""
    array = np.arange(20, dtype=np.float32).reshape(4, 5)
    times: dict[str, list[list[float]]] = {chain: [] for chain in FIRST}
    with tempfile.TemporaryDirectory() as folder:
        jobs = {}
        for place, chain in enumerate(FIRST):
            spec = tfd.ArraySpec(array.shape, "float32", chain)
            model, file = Path(folder, f"{place}"), Path(folder, f"{place}.bin")
            file.write_bytes(spec.encode(array))
            jobs[chain] = save(spec.decode_tensor, model), "serving_default", {"b": file}
        for _ in track(range(FIRST_ROUNDS), "first request"):
            for chain, job in jobs.items():
                times[chain].append(first(*job))
    medians = {
        chain: [statistics.median(one) for one in zip(*runs, strict=True)]
        for chain, runs in times.items()
    }
    return Table(
        "First request",
        "CPU in the C program, in milliseconds: to load a model of one decoder, and for its first "
        "row, before which the graph is optimized.",
        ("chain", "load", "first"),
        [(chain, *(f"{ms:.0f}" for ms in both)) for chain, both in medians.items()],
    )
