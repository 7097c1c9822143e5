"""Ask an endpoint of Vertex AI, which takes bodies of at most 1.5 MB.

``python examples/vertex.py PROJECT REGION ENDPOINT schema.json pose_map pose.pkl``; the schema is
the model's ``assets.extra/tfdecode.json``. ``gcloud auth login`` comes first.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tfdecode as tfd
from tfdecode.client import Rest

MAX_BODY_BYTES = 1_500_000


def client(url: str, token: str, schema: tfd.Schema) -> Rest:
    """A client of the endpoint; a larger batch is sent in several requests."""
    headers = {"Authorization": f"Bearer {token}"}
    return Rest(url, schema, headers=headers, max_body_bytes=MAX_BODY_BYTES, retries=2)


def endpoint_url(project: str, region: str, endpoint: str) -> str:
    """The URL of an endpoint, by the number that ``gcloud ai endpoints list`` prints."""
    place = f"projects/{project}/locations/{region}/endpoints/{endpoint}"
    return f"https://{region}-aiplatform.googleapis.com/v1/{place}:predict"


if __name__ == "__main__":
    project, region, endpoint, schema, name, *files = sys.argv[1:]
    command = ["gcloud", "auth", "print-access-token"]
    token = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    with client(endpoint_url(project, region, endpoint), token, tfd.Schema.load(schema)) as model:
        outputs = model.predict({name: [Path(file) for file in files]})
    print({key: array.shape for key, array in outputs.items()})
