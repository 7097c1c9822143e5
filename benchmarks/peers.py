"""What others pack arrays with. A library that is not installed is left out of the tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

Encoder = Callable[[np.ndarray], bytes]


def json_lists(like: np.ndarray) -> Encoder:
    """Nested lists, written by the standard library."""
    return lambda x: json.dumps(x.tolist()).encode()


def orjson_lists(like: np.ndarray) -> Encoder:
    """Nested lists by orjson, which reads numpy's memory."""
    import orjson

    return lambda x: orjson.dumps(np.ascontiguousarray(x), option=orjson.OPT_SERIALIZE_NUMPY)


def serialize_tensor(like: np.ndarray) -> Encoder:
    """TensorFlow's own protobuf of a tensor."""
    import tensorflow as tf

    return lambda x: tf.io.serialize_tensor(x).numpy()


def tfds_feature(like: np.ndarray) -> Any:
    """The TensorFlow Datasets feature that stores this array with zlib."""
    import tensorflow_datasets as tfds

    return tfds.features.Tensor(shape=like.shape, dtype=like.dtype, encoding="zlib")


def tfds_zlib(like: np.ndarray) -> Encoder:
    """That feature's encoder."""
    return tfds_feature(like).encode_example


def blosc(like: np.ndarray, level: int) -> Encoder:
    """Blosc with zstd, whichever of its three shuffles makes ``like`` the smallest."""
    from numcodecs import Blosc

    shuffles = Blosc.NOSHUFFLE, Blosc.SHUFFLE, Blosc.BITSHUFFLE
    codecs = [Blosc("zstd", level, shuffle) for shuffle in shuffles]
    best = min(codecs, key=lambda codec: len(codec.encode(np.ascontiguousarray(like))))
    return lambda x: best.encode(np.ascontiguousarray(x))


def cv2_png(like: np.ndarray) -> Encoder | None:
    """cv2's PNG of elements of one or two bytes; of wider ones if those of ``like`` are small whole
    numbers. Channels that no PNG has are stacked, as in tfdecode's own."""
    import cv2

    dtype = pixel_dtype(like)
    if like.ndim < 2 or dtype is None:
        return None

    def encode(x: np.ndarray) -> bytes:
        pixels = x.astype(dtype, copy=False).view(f"u{dtype.itemsize}")
        pixels = pixels.reshape(*x.shape[:2], -1)
        if pixels.shape[2] not in (1, 3, 4):
            pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1)).reshape(-1, x.shape[1])
        return cv2.imencode(".png", pixels)[1].tobytes()

    return encode


def pixel_dtype(like: np.ndarray) -> np.dtype[Any] | None:
    """What the elements of ``like`` are cast to before they become pixels; None: they cannot."""
    if like.dtype.itemsize <= 2:
        return like.dtype
    small = (np.dtype(kind) for kind in ("uint8", "int8"))
    with np.errstate(invalid="ignore"):
        return next((kind for kind in small if np.array_equal(like.astype(kind), like)), None)


#: Peer -> its module and what makes its encoder for arrays like one.
ENCODERS: dict[str, tuple[str, Callable[[np.ndarray], Encoder | None]]] = {
    "JSON": ("json", json_lists),
    "orjson": ("orjson", orjson_lists),
    "serialize_tensor": ("tensorflow", serialize_tensor),
    "TFDS zlib": ("tensorflow_datasets", tfds_zlib),
    "Blosc zstd 1": ("numcodecs", partial(blosc, level=1)),
    "Blosc zstd 9": ("numcodecs", partial(blosc, level=9)),
    "cv2 PNG": ("cv2", cv2_png),
}
INSTALLED = [name for name, (module, _) in ENCODERS.items() if find_spec(module)]


def encoders(like: np.ndarray) -> dict[str, Encoder]:
    """The encoders that are installed and take arrays like this one."""
    made = {name: ENCODERS[name][1](like) for name in INSTALLED}
    return {name: encoder for name, encoder in made.items() if encoder}


def absent() -> str:
    """A sentence for a table's note, or nothing."""
    names = [name for name in ENCODERS if name not in INSTALLED]
    return f" Not installed, so left out: {', '.join(names)}." if names else ""
