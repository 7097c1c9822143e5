"""Measures models in the C program of ``runtime/``: a process without Python, like a server."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.build import build


def save(decode: Any, path: Path) -> Path:
    """One decoder as a SavedModel with the input ``b`` [B]."""
    import tensorflow as tf

    signature = [tf.TensorSpec([None], tf.string, name="b")]
    function = tf.function(decode, input_signature=signature, autograph=False)
    # A module that had the tf.function as an attribute would be saved with a second copy of it.
    tf.saved_model.save(tf.Module(), str(path), signatures=function.get_concrete_function())
    return path


def medians(
    iterations: int,
    rows: int,
    jobs: Sequence[tuple[Path, str, Mapping[str, Sequence[Path]]]],
) -> list[float]:
    """Median microseconds of each (SavedModel, signature, inputs), run in turns in one process."""
    words: list[str] = []
    for model, signature, inputs in jobs:
        words += ["--", str(model), signature]
        words += [f"{name}={','.join(map(str, files))}" for name, files in inputs.items()]
    command = [str(build()), "bench", str(iterations), "-r", str(rows), *words[1:]]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(line.split("\t")[1]) for line in run.stdout.splitlines()]


def first(model: Path, signature: str, inputs: Mapping[str, Path]) -> list[float]:
    """Milliseconds of CPU in a process of its own: to load a SavedModel, and of its first run."""
    words = [f"{name}={file}" for name, file in inputs.items()]
    command = [str(build()), "first", str(model), signature, *words]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(word) for word in re.findall(r"[0-9.]+", run.stdout)]
