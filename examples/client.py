"""Ask a server about many files, eight at a time, without TensorFlow.

Over HTTP or gRPC: ``python examples/client.py http://localhost:8501/v1/models/pose pose_map *.pkl``
or ``python examples/client.py grpc://localhost:8500/v1/models/pose pose_map *.pkl``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tfdecode.client import Grpc, Rest


def ask(url: str, name: str, files: list[Path]) -> None:
    """Print the shapes of the outputs for each file."""
    client = Grpc if url.startswith("grpc") else Rest
    with client(url, retries=2) as model:  # asks the server for the schema
        answers = model.predict_each({name: file} for file in files)
        for file, outputs in zip(files, answers, strict=True):
            print(file.name, {key: array.shape for key, array in outputs.items()})


if __name__ == "__main__":
    url, name, *files = sys.argv[1:]
    ask(url, name, [Path(file) for file in files])
