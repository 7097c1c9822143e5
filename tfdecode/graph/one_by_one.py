"""Encoding large rows one by one, on all cores: what it holds does not grow with the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..extras import tensorflow as tf
from .map_rows import map_rows
from .rows import Check, Rows, Status
from .switch import cond, outlined


def one_by_one(encode: Callable[[Any, Any], Rows], data: Any, size: Any, total: bool) -> Rows:
    """``encode(data, size)``, each row as a batch of one; ``total`` if no row can be bad."""

    def one(row: Any) -> Any:
        rows = encode(row[tf.newaxis], tf.constant(1))
        if total:
            return rows.data[0]
        message = cond(rows.ok[0], lambda: [""], outlined(lambda: [rows.first_bad()[1]]))
        return [rows.data[0], rows.status()[0], message[0]]

    if total:
        return Rows(map_rows(one, data), size)
    kinds = [tf.TensorSpec([], dtype) for dtype in (tf.string, tf.int32, tf.string)]
    payloads, status, texts = map_rows(one, data, row=kinds)
    good = tf.equal(status, int(Status.GOOD))
    check = Check(good, status, lambda row: tf.gather(texts, row))
    return Rows(payloads, size, ok=good, checks=(check,), unguarded=True)
