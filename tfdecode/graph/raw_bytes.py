"""Tensors to the bytes of their elements."""

from __future__ import annotations

from typing import Any

from ..extras import tensorflow as tf
from .casts import movable
from .map_rows import map_rows


def raw_string(tensor: Any, nbytes: Any, count: Any = None) -> Any:
    """The ``nbytes`` bytes of a tensor, or the first ``count`` of them, as one string."""
    # TensorFlow has no ``encode_raw``, but a serialized TensorProto ends in the raw content.
    text = tf.io.serialize_tensor(movable(tensor))
    start = tf.strings.length(text) - nbytes
    return tf.strings.substr(text, start, nbytes if count is None else count)


def raw_bytes(data: Any, nbytes: int) -> Any:
    """``[B, ...]`` -> the ``nbytes`` raw bytes of each row, strings ``[B]``."""
    # By MapDefun 1.1 to 2.1 times a copy; by map_fn 3 to 4, serialized as a batch 50 and more.
    return map_rows(lambda row: raw_string(row, nbytes), data)


def big_endian(numbers: Any) -> Any:
    """int32 ``[B]`` -> strings ``[B]`` of 4 bytes, big-endian."""
    characters = tf.constant([bytes([value]) for value in range(256)])
    parts = [tf.bitwise.right_shift(numbers, shift) & 255 for shift in (24, 16, 8, 0)]
    return tf.strings.join([tf.gather(characters, part) for part in parts])
