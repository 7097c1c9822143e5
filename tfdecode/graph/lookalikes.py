"""What a bad payload looks like, in the graph: `tfdecode.lookalikes` with stock ops."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..extras import tensorflow as tf
from ..lookalikes import BARE, FEWEST, LOOKED_AT, TEXTS, files_besides


def hint(payload: Any, begins: Collection[bytes] = (), bare: int | None = None) -> Any:
    """As `tfdecode.lookalikes.hint`, for a scalar string."""
    start = tf.strings.substr(payload, 0, LOOKED_AT)
    files = files_besides(begins)
    starts = tf.strings.substr(
        tf.fill([len(files)], start), [0] * len(files), [len(magic) for magic in files]
    )
    texts = tf.stack([tf.strings.regex_full_match(start, pattern) for pattern in TEXTS])
    found = [
        texts & (tf.strings.length(start) >= FEWEST),
        tf.equal(starts, list(files)),
        [tf.equal(tf.strings.length(payload), -1 if bare is None else bare), True],
    ]
    sentences = [f"; it looks like {text}" for text in (*TEXTS.values(), *files.values())]
    first = tf.argmax(tf.cast(tf.concat(found, 0), tf.int32))  # of several equal ones, the first
    return tf.gather([*sentences, f"; {BARE}", ""], first)
