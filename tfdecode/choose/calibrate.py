"""Measuring what decoding costs on this machine, for the model that `infer` goes by."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..codecs.registry import CODECS
from ..errors import MissingExtraError
from ..extras import tensorflow as tf
from ..graph.casts import READ_AS
from ..spec import ArraySpec
from .costs import Cost, size_of, taken_by

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

    @property
    def sizes(self) -> tuple[int, int, int]:
        """What its codec makes, what it takes, and those that ``raw`` makes beside it."""
        *front, last = self.chain.split("|")
        nbytes = self.array.nbytes
        taken = taken_by(last.partition(":")[0], self.payload, nbytes)
        if not front:  # a container by itself
            return nbytes, taken, 0
        if last == "raw":  # behind a filter
            return size_of(self.array, CODECS[front[0].partition(":")[0]]), 0, taken
        return nbytes, taken, nbytes


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


def calibrated(progress: Callable[[list[str]], Iterable[str]] = iter) -> dict[str, Cost]:
    """The cost of each codec on this machine; takes some ten seconds.

    Where TensorFlow has several cores, it is what a row takes of all of them together.
    """
    probes = probes_of(inputs())
    (chain, (array, *_)) = probes["raw"]
    raw = Decoder(chain, array)
    plain = medians([raw])[0] / array.nbytes
    costs = {"raw": Cost(plain)}
    for name in progress([name for name in CODECS if name in probes and name != "raw"]):
        chain, arrays = probes[name]
        try:
            decoders = [Decoder(chain, array) for array in arrays]
        except MissingExtraError:  # of zstd, before Python 3.14
            continue
        costs[name] = solved([one.sizes for one in decoders], medians(decoders), plain)
    return costs


def solved(sizes: Sequence[tuple[int, int, int]], times: Sequence[float], plain: float) -> Cost:
    """The cost that explains the times: by a byte that is made, and with two of them one taken."""
    rest = np.array([took - plain * raw for took, (_, _, raw) in zip(times, sizes, strict=True)])
    made, taken = (np.array([size[column] for size in sizes], float) for column in (0, 1))
    if len(sizes) > 1:
        both = np.linalg.lstsq(np.stack([made, taken], 1), rest, rcond=None)[0]
        if (both >= 0).all():
            return Cost(*both.tolist())
    return Cost(max(0.0, float(rest @ made / (made @ made))))  # noise: by what is made alone


def inputs() -> dict[str, np.ndarray]:
    """Flat and noisy arrays of the kinds that the probes need."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[:256, :192]
    labels = (np.hypot(x - 90, y - 120) // 9 % 7).astype(np.uint8)
    noise = random.integers(0, 60, (256, 192), np.uint8)
    mask = (labels == 3).astype(np.float32) * (x < 100)
    floats = random.normal(size=(256, 192)).astype(np.float32)
    return {
        "labels": labels,
        "noise": noise,
        "maps": np.stack([labels] * 8, -1).astype(np.float32),
        "floats": floats,
        "depth": (900 + 3 * y + noise).astype(np.uint16),
        "metres": np.round(floats, 3) + 0,  # no -0.0
        "one-hot": np.eye(8, dtype=np.float32)[labels],
        "mask": mask,
        "dots": np.where(noise == 0, np.float32(1), mask),
    }


def probes_of(a: dict[str, np.ndarray]) -> dict[str, tuple[str, list[np.ndarray]]]:
    """Codec -> a chain of it and of ``raw``, and one array, or two that pack differently."""
    packed = [a["labels"], a["noise"]]
    return {
        "raw": ("raw", [a["maps"]]),
        "transpose": ("transpose:2,0,1|raw", [a["maps"]]),
        "astype": ("astype:uint8|raw", [a["maps"]]),
        "sortable": ("sortable|raw", [a["floats"]]),
        "delta": ("delta:0,zigzag=true|raw", [a["depth"]]),
        "shuffle": ("shuffle|raw", [a["floats"]]),
        "bitshuffle": ("bitshuffle|raw", [a["floats"]]),
        "fixed_point": ("fixed_point:1000,dtype=int32|raw", [a["metres"]]),
        "onehot": ("onehot|raw", [a["one-hot"]]),
        "packbits": ("packbits|raw", [a["mask"] > 0]),
        "sparse": ("sparse", [a["mask"], a["dots"]]),
        "png": ("png:describe=false", packed),
        "zlib": ("raw|zlib", packed),
        "zlib_bounded": ("raw|zlib_bounded", packed),
        "zstd": ("raw|zstd", packed),
        "seal": ("raw|seal", [a["maps"]]),
    }
