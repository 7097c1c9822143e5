"""Models to decode in: many specs in one SavedModel, which holds stock ops only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

import tfdecode as tfd


class Decoders(tf.Module):
    """For each spec the functions ``tensor``, ``checked`` and, with a None, ``ragged``.

    A function of a native file takes half a second to trace and save: ``checked`` can name those
    that a test needs.
    """

    def __init__(
        self, specs: Mapping[str, tfd.ArraySpec], checked: Collection[str] | None = None
    ) -> None:
        super().__init__()
        self.tensor = {key: traced(spec.decode_tensor, key) for key, spec in specs.items()}
        wanted = specs if checked is None else checked
        self.checked = {key: traced(specs[key].decode_checked, key) for key in wanted}
        unknown = {key: spec for key, spec in specs.items() if None in spec.shape}
        self.ragged = {key: traced(spec.decode_ragged, key) for key, spec in unknown.items()}


def traced(decode: Any, name: str) -> Any:
    """``decode`` as a tf.function of a batch of any size, whose messages call the input ``name``"""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def function(payloads: tf.Tensor) -> Any:
        return decode(payloads, input_name=name)

    return function


def save(module: tf.Module, directory: Path, signatures: Any = None) -> Any:
    """Save ``module``, see that a server can run it, and load it again."""
    tf.saved_model.save(module, str(directory), signatures=signatures)
    report = tfd.check(directory)
    assert report.ok, report
    return tf.saved_model.load(str(directory))
