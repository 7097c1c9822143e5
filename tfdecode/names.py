"""The names of inputs and outputs, and their keys in the signatures of a model."""

from __future__ import annotations

import re
from typing import Any

from .errors import SpecError


def array_key(name: str) -> str:
    """The signature key of an array: its name, with ``_`` for all but ASCII letters and digits.

    If it then begins with no letter, an ``x`` is put before it.
    """
    key = re.sub(r"[^A-Za-z0-9_]", "_", name)
    # tf.saved_model.save takes no such key. Schemas and data sets of old have names as "_x".
    plain = key == name and not key[:1].isdigit()
    return key if plain or key[:1].isalpha() else f"x{key}"


def bytes_key(name: str) -> str:
    """The signature key of a payload: ``pose_map_bytes`` for ``pose_map``."""
    key = array_key(name)
    return key if key.endswith("_bytes") else f"{key}_bytes"


def check_name(name: Any, what: str = "input") -> None:
    """SpecError unless ``name`` is valid for an input, or ``what`` else has one."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 128:
        shown_name = repr(name)[:200]
        raise SpecError(f"{what} name {shown_name} needs 1 to 128 printable characters")
