"""Request bodies of TensorFlow Serving's REST interface, in its column format, and their readers.

The server reads them in C++; the readers here stand in for it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

import numpy as np


def payloads_body(payloads: Mapping[str, Sequence[bytes]]) -> str:
    """Signature key -> payloads ``[B]``, as base64."""
    columns = {
        key: [{"b64": base64.b64encode(payload).decode()} for payload in column]
        for key, column in payloads.items()
    }
    return json.dumps({"inputs": columns})


def read_payloads(body: str | bytes) -> dict[str, list[bytes]]:
    """The reverse of ``payloads_body``."""
    columns = json.loads(body)["inputs"]
    return {key: [base64.b64decode(x["b64"]) for x in column] for key, column in columns.items()}


def lists_body(arrays: Mapping[str, np.ndarray]) -> str:
    """Input -> array ``[B, ...]``, as nested lists."""
    return json.dumps({"inputs": {name: x.tolist() for name, x in arrays.items()}})


def read_lists(body: str | bytes, dtypes: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The reverse of ``lists_body``; the dtypes are those of the signature."""
    columns = json.loads(body)["inputs"]
    return {name: np.asarray(column, dtypes[name]) for name, column in columns.items()}
