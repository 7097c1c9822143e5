"""How long a client waits before anything happens: imports and a whole ``pack`` process."""

from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .report import Table, track

ROUNDS = 25
PNG = ["--codec", "png"]


def seconds(words: list[str]) -> float:
    """The time of one process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
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
        times: dict[str, list[float]] = {name: [] for name in processes}
        for _ in track(range(ROUNDS), "start"):
            for name, words in processes.items():
                times[name].append(seconds(words))
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = medians["import numpy"]
    table = Table(
        "Starting",
        'Whole processes, `python -c "import numpy"` being 1.',
        ("process", "ms", "ratio"),
        [(name, f"{t * 1e3:.0f}", f"{t / base:.2f}") for name, t in medians.items()],
    )
    return [table]
