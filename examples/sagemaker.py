"""Ask an endpoint of SageMaker with its TensorFlow Serving container, through boto3.

``python examples/sagemaker.py ENDPOINT schema.json pose_map *.pkl``; the schema is the model's
``assets.extra/tfdecode.json``. The endpoint takes bodies of at most 6 MB. ``pip install boto3``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import tfdecode as tfd
from tfdecode.client import request, response

MAX_BODY_BYTES = 6_000_000


def ask(
    runtime: Any, endpoint: str, schema: tfd.Schema, inputs: dict[str, list[Any]]
) -> dict[str, np.ndarray]:
    """The outputs for lists of examples; ``runtime`` signs and sends."""
    body = request(schema, inputs, by_rows=True)
    size = len(next(iter(inputs.values())))
    if len(body) > MAX_BODY_BYTES and size > 1:  # in halves
        half = {name: rows[: size // 2] for name, rows in inputs.items()}
        rest = {name: rows[size // 2 :] for name, rows in inputs.items()}
        first, second = (ask(runtime, endpoint, schema, part) for part in (half, rest))
        return {name: np.concatenate([first[name], second[name]]) for name in first}
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Body=body
    )
    return response(schema, answer["Body"].read())


if __name__ == "__main__":
    import boto3

    endpoint, schema, name, *files = sys.argv[1:]
    inputs = {name: [Path(file) for file in files]}
    outputs = ask(boto3.client("sagemaker-runtime"), endpoint, tfd.Schema.load(schema), inputs)
    print({key: array.shape for key, array in outputs.items()})
