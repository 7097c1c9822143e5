"""Times of decoders in TensorFlow on this machine, for ``bench``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..extras import tensorflow as tf
from ..graph.casts import READ_AS
from ..spec import ArraySpec

#: Rows of a batch, and how often each decoder is run.
ROWS, ROUNDS = 16, 9


@dataclass
class Decoder:
    """A chain that decodes a batch of one array."""

    chain: str
    array: np.ndarray
    payload: bytes = field(init=False)
    run: Callable[[], Any] = field(init=False)

    def __post_init__(self) -> None:
        spec = ArraySpec(self.array.shape, self.array.dtype, self.chain)
        self.payload = spec.encode(self.array)
        self.run = runner(spec.decode_tensor, self.payload)


@dataclass
class Bare:
    """``decode_raw`` and ``reshape`` of a batch of one array, with nothing checked: the floor."""

    array: np.ndarray
    run: Callable[[], Any] = field(init=False)

    def __post_init__(self) -> None:
        raw = ArraySpec(self.array.shape, self.array.dtype)
        read_as, shape = READ_AS.get(raw.dtype, raw.dtype), [ROWS, *raw.shape]
        self.run = runner(
            lambda payloads: tf.reshape(tf.io.decode_raw(payloads, read_as), shape),
            raw.encode(self.array),
        )


def runner(decode: Callable[[Any], Any], payload: bytes) -> Callable[[], Any]:
    """``decode`` of a batch of ``payload``, traced."""
    signature = [tf.TensorSpec([None], tf.string)]
    # The lambda: a concrete function of a method formats all its arguments at each call.
    function = tf.function(lambda payloads: decode(payloads), signature, autograph=False)
    traced = function.get_concrete_function()
    payloads = tf.constant([payload] * ROWS)
    return lambda: traced(payloads)


def medians(decoders: Sequence[Decoder | Bare]) -> list[float]:
    """Nanoseconds of a row for each decoder, run in turns."""
    times: list[list[float]] = [[] for _ in decoders]
    for _ in range(1 + ROUNDS):
        for decoder, column in zip(decoders, times, strict=True):
            started = time.perf_counter_ns()
            decoder.run()
            column.append((time.perf_counter_ns() - started) / ROWS)
    return [statistics.median(column[1:]) for column in times]  # the first run warms up
