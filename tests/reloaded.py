"""Models to decode in: many specs in one SavedModel, which holds stock ops only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

import tfdecode as tfd

KINDS = ("tensor", "checked", "ragged")


class Decoders(tf.Module):
    """For each spec the functions ``tensor``, ``checked`` and, with a None, ``ragged``.

    A function of a native file takes half a second to trace and save: ``tensor`` and ``checked``
    can name those that a test needs.
    """

    def __init__(
        self,
        specs: Mapping[str, tfd.ArraySpec],
        checked: Collection[str] | None = None,
        tensor: Collection[str] | None = None,
    ) -> None:
        super().__init__()
        tensor = specs if tensor is None else tensor
        checked = specs if checked is None else checked
        self.tensor = {key: traced(specs[key].decode_tensor, key) for key in tensor}
        self.checked = {key: traced(specs[key].decode_checked, key) for key in checked}
        unknown = {key: spec for key, spec in specs.items() if None in spec.shape}
        self.ragged = {key: traced(spec.decode_ragged, key) for key, spec in unknown.items()}

    def every_case(self) -> Any:
        """The signature that decodes each input ``KEY_bytes`` to an output ``KEY``."""

        @tf.function(autograph=False)
        def every_case(**payloads: Any) -> Any:
            return {key: decode(payloads[f"{key}_bytes"]) for key, decode in self.tensor.items()}

        names = [f"{key}_bytes" for key in self.tensor]
        inputs = {name: tf.TensorSpec([None], tf.string, name) for name in names}
        return every_case.get_concrete_function(**inputs)


class OnDemand:
    """The functions of many modules by key, as those of one: ``make`` makes the module of a key."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self.tensor, self.checked, self.ragged = (Functions(make, kind) for kind in KINDS)


class Functions(dict[str, Any]):
    """The functions of one kind."""

    def __init__(self, make: Callable[[str], Any], kind: str) -> None:
        super().__init__()
        self.make, self.kind = make, kind

    def __missing__(self, key: str) -> Any:
        self[key] = function = getattr(self.make(key), self.kind)[key]
        return function


def traced(decode: Any, name: str) -> Any:
    """``decode`` as a function of a batch of any size, whose messages call the input ``name``."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def function(payloads: tf.Tensor) -> Any:
        return decode(payloads, input_name=name)

    # A tf.function is traced once more when it is saved.
    return function.get_concrete_function()


def save(module: tf.Module, directory: Path, signatures: Any = None) -> Any:
    """Save ``module``, see that a server can run it, and load it again."""
    return tf.saved_model.load(str(saved(module, directory, signatures)))


def saved(module: tf.Module, directory: Path, signatures: Any = None) -> Path:
    """``directory``, in which ``module`` is saved now; a server can run it."""
    tf.saved_model.save(module, str(directory), signatures=signatures)
    report = tfd.check(directory)
    assert report.ok, report
    return directory
