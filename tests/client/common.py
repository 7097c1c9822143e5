"""The inputs of one model, and whether its answers are those expected."""

from __future__ import annotations

from typing import Any

import numpy as np

import tfdecode as tfd

POSE = tfd.ArraySpec((2, 3), "float32", "zlib")
SIZE = tfd.ArraySpec((), "uint16", "raw|seal")
RNG = np.random.default_rng(4)
ARRAYS = list(RNG.standard_normal((5, 2, 3)).astype("float32"))
SIZES = [np.array(n, "uint16") for n in range(5)]
WORDS = [b"a", b"\xff\x00", b"", b"c", b"d"]

INPUTS = {
    "pose": ARRAYS,
    "size": SIZES,
    "word": WORDS,
    "weight": [np.float32(x) for x in (1, 0.1, -2, np.nan, np.inf)],
}


def one(index: int) -> dict[str, Any]:
    return {name: values[index] for name, values in INPUTS.items()}


def check(outputs: dict[str, Any], expected: dict[str, Any]) -> None:
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        got = outputs[name]
        assert got.dtype == value.dtype and got.shape == value.shape, name
        same = (
            got.tolist() == value.tolist()
            if got.dtype == object
            else got.tobytes() == value.tobytes()
        )
        assert same, name
