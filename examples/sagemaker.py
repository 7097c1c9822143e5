"""Ask an endpoint of SageMaker with its TensorFlow Serving container, through boto3.

``python examples/sagemaker.py ENDPOINT schema.json pose_map pose.pkl``; the schema is the model's
``assets.extra/tfdecode.json``. The endpoint takes bodies of at most 6 MB. ``pip install boto3``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import tfdecode as tfd
from tfdecode.client import request, response


def ask(
    runtime: Any, endpoint: str, schema: tfd.Schema, inputs: dict[str, Any]
) -> dict[str, np.ndarray]:
    """The outputs for one example or a list of examples; ``runtime`` signs and sends."""
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint,
        ContentType="application/json",
        Body=request(schema, inputs, by_rows=True),
    )
    return response(schema, answer["Body"].read())


if __name__ == "__main__":
    import boto3

    endpoint, schema, name, *files = sys.argv[1:]
    inputs = {name: [Path(file) for file in files]}
    outputs = ask(boto3.client("sagemaker-runtime"), endpoint, tfd.Schema.load(schema), inputs)
    print({key: array.shape for key, array in outputs.items()})
