"""Read and pack one array, for ``pack`` and ``pack --tfrecord``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..casts import checked_bool
from ..conversion import converted
from ..files import form_for, load
from ..releases import release
from ..spec import ArraySpec
from .batch import Report
from .inputs import shown_path
from .parsing import argument
from .show import doing
from .source import reading_of

#: Goals of `infer`.
PREFER = ("balanced", "smallest", "fastest")
#: What an array file is, in a help text.
FILE = "array file; FILE#KEY for one array of several"


def add_key(parser: argparse.ArgumentParser) -> None:
    """``--key``."""
    parser.add_argument("--key", help="which array of a file that holds several")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options of the choice of a chain."""
    add = parser.add_argument
    add("--prefer", choices=PREFER, help="goal when choosing a chain (default: balanced)")
    oldest = "oldest TensorFlow that must run the model, 2.3 or later (default: 2.12 for the chain)"
    add("--min-tensorflow", type=argument(version), metavar="VERSION", help=oldest)
    trusted = (
        "allow zlib on large rows, where a hostile payload can take 2,070 times its length in "
        "memory (default: only chains that the spec bounds)"
    )
    add("--trusted", action="store_true", help=trusted)


def add_role(parser: argparse.ArgumentParser) -> None:
    """``--role``."""
    role = "output: of a model, so only codecs that a graph encodes (default: input)"
    parser.add_argument("--role", choices=("input", "output"), help=role)


def version(text: str) -> str:
    """The argument of ``--min-tensorflow``."""
    release(text, "it")
    return text


def read(
    path: Path, key: str | None, spec: ArraySpec | None, arguments: argparse.Namespace
) -> np.ndarray:
    """The array of a file, converted to ``--dtype``, or to that of the spec."""
    doing("reading")
    form = {} if spec is None else form_for(spec, path)
    array = checked_bool(load(path, key, **{**form, **reading_of(arguments)}))
    # An array of another shape is refused for its shape.
    if spec is not None and arguments.dtype is None and spec.chain.form.takes(array.shape):
        return converted(array, spec.dtype, arguments.casting)
    return array


def preferences(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments of ``infer``."""
    return {
        "prefer": arguments.prefer or "balanced",
        "min_tensorflow": arguments.min_tensorflow or "2.12",
        "portable": getattr(arguments, "portable", False),
        "trusted": arguments.trusted,
        "role": getattr(arguments, "role", None) or "input",
    }


def sizes(
    path: Path, key: str | None, array: np.ndarray, spec: ArraySpec, payload: bytes
) -> Report:
    """The part of a report that does not depend on the output file."""
    return {
        "file": shown_path(path),
        "key": key,
        "dtype": spec.dtype,
        "shape": list(array.shape),
        "codecs": spec.chain.text,
        "array_bytes": array.nbytes,
        "payload_bytes": len(payload),
    }
