"""Substrings of a batch of strings, at an offset of its own in each."""

from __future__ import annotations

from typing import Any

from ..extras import tensorflow as tf


def string_length(strings: Any) -> Any:
    """The number of bytes of each string: int64 ``[B]``."""
    return tf.cast(tf.strings.length(strings), tf.int64)


def cut(strings: Any, start: Any, size: Any) -> Any:
    """Up to ``size`` bytes of each string from ``start`` on; empty if it ends before ``start``."""
    size = tf.broadcast_to(tf.cast(size, tf.int64), tf.shape(start))
    return tf.strings.substr(strings, tf.minimum(start, string_length(strings)), size)
