"""How much memory decoding takes at its peak, as a multiple of the decoded bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from .report import Table, track

ROWS, SIDE = 32, 2**20
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("raw", "float32", {}),
    ("raw|seal", "float32", {}),
    ("raw|zlib|seal", "float32", {}),
    ("raw", "bool", {}),
    ("astype:float32|raw", "int8", {}),
    ("astype:float64|raw", "float32", {}),
    ("raw, None", "bool", {"shape": [None], "max_shape": [SIDE]}),
    ("shuffle|raw", "float32", {}),
    ("shuffle|raw, rows of 4 KB", "float32", {"shape": [1024]}),
    ("transpose:1,0|raw, None", "uint8", {"shape": [None, 4], "max_shape": [SIDE // 4, 4]}),
]


def peak() -> int:
    """The highest resident size of this process so far, in bytes."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def child(chain: str, dtype: str, options: dict[str, Any]) -> None:
    """Decode a batch in this process and print the multiple."""
    import numpy as np
    import tensorflow as tf

    import tfdecode as tfd

    shape = options.pop("shape", [SIDE])
    spec = tfd.ArraySpec(shape, dtype, codecs=chain.partition(", ")[0], **options)
    x = np.ones(spec.chain.form.max_shape, dtype)
    rows = tf.constant([spec.encode(x)] * (ROWS * SIDE // x.size))
    decode = tf.function(spec.decode_tensor, input_signature=[tf.TensorSpec([None], tf.string)])
    decode(rows[:1])
    before = peak()
    decode(rows)
    print((peak() - before) / (ROWS * SIDE * x.itemsize))


def main() -> list[Table]:
    """Each chain in a process of its own."""
    rows = []
    for chain, dtype, options in track(CASES, "memory"):
        words = [
            sys.executable,
            "-m",
            "benchmarks.bench_memory",
            json.dumps([chain, dtype, options]),
        ]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        run = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
        rows.append((f"{chain} ({dtype})", f"{float(run.stdout):.1f}"))
    note = (
        f"Growth of the resident size while {ROWS} rows of {SIDE} elements, or as many elements in "
    )
    note += "smaller rows, are decoded, payloads not counted; decoded bytes are 1."
    return [Table("Memory", note, ("chain", "multiple"), rows)]


if __name__ == "__main__":
    child(*json.loads(sys.argv[1]))
