"""Read and pack one array, for ``pack`` and ``pack --tfrecord``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from ..casts import exact_astype
from ..choose import infer
from ..dtypes import dtype_name
from ..errors import EncodeError
from ..files import load
from ..spec import ArraySpec


def read(
    path: Path, key: str | None, spec: ArraySpec | None, arguments: argparse.Namespace
) -> np.ndarray:
    """The array of a file, cast to ``--dtype``."""
    array = load(path, key, max_bytes=arguments.max_bytes)
    if arguments.dtype is not None:
        return exact_astype(array, arguments.dtype)
    if spec is not None and array.dtype.name != spec.dtype and spec.chain.form.takes(array.shape):
        raise EncodeError(
            f"array is {array.dtype.name}, spec needs {spec.dtype}; "
            f"convert it with --dtype {spec.dtype}"
        )
    return array


def spec_of(array: np.ndarray, arguments: argparse.Namespace) -> ArraySpec:
    """The spec that an array is packed by, if ``--spec`` is not given."""
    if arguments.codec is not None:
        fields = {"label": arguments.label or "", "seal": arguments.seal}
        return ArraySpec(array.shape, dtype_name(array.dtype), arguments.codec, **fields)
    spec = infer(array, label=arguments.label or "", **preferences(arguments))
    if arguments.seal:
        return ArraySpec(spec.shape, spec.dtype, spec.codecs, label=spec.label, seal=True)
    return spec


def preferences(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments of ``infer``."""
    return {
        "prefer": arguments.prefer or "balanced",
        "min_tensorflow": arguments.min_tensorflow or "2.12",
        "portable": arguments.portable,
        "trusted": arguments.trusted,
    }


class SizesReport(TypedDict):
    """An array and its payload."""

    dtype: str
    shape: list[int]
    codecs: str
    array_bytes: int
    payload_bytes: int


def sizes(array: np.ndarray, spec: ArraySpec, payload: bytes) -> SizesReport:
    """The part of a report that does not depend on the output file."""
    return {
        "dtype": spec.dtype,
        "shape": list(array.shape),
        "codecs": spec.chain.text,
        "array_bytes": array.nbytes,
        "payload_bytes": len(payload),
    }
