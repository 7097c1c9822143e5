"""Inflating a batch of strings: on all cores, or in groups if a batch could take too much."""

from __future__ import annotations

from typing import Any

from ..extras import tensorflow as tf
from .map_rows import LARGE, map_rows

#: Maximum output bytes per input byte of deflate (a match of 258 bytes in 2 bits).
EXPANSION = 1032
#: Bytes to which the streams of a group can inflate at worst. The op's buffer doubles as it grows,
#: so its peak is twice that: 70 MB for a row of 32 KiB, the largest for which `zlib` is bounded.
GROUP = 2**25
#: The same for a batch of native files, whose rows can be large, to be inflated at once.
AT_ONCE = 2**30


def inflate(packed: Any, kind: str, max_nbytes: int) -> Any:
    """Streams ``[B]`` of a ``kind`` of ``decode_compressed`` to strings of ``max_nbytes`` bytes."""
    # The op inflates row by row on one core, MapDefun on all cores: zlib and zstd 1.9x on 32 pose
    # maps, 1.4x to 1.5x on 32 label maps of 48 KiB, 0.8x on 32 rows of 4 KiB (2 cores).
    if max_nbytes < LARGE:
        return tf.io.decode_compressed(packed, kind)
    return map_rows(lambda row: tf.io.decode_compressed(row, kind), packed)


def inflate_bounded(packed: Any, kind: str, max_nbytes: int, at_once: int = AT_ONCE) -> Any:
    """Untrusted streams ``[B]``, ``"ZLIB"`` or ``"GZIP"``, to strings of ``max_nbytes`` bytes."""
    # The op's output has no limit: a batch that can exceed ``at_once`` bytes is inflated in groups
    # that cannot exceed `GROUP`, rows cut after ``max_nbytes + 1`` bytes, which the chain refuses.
    lengths = tf.cast(tf.strings.length(packed), tf.int64)

    def in_groups() -> Any:
        size = tf.maximum(
            min(at_once, GROUP) // (EXPANSION * tf.maximum(tf.reduce_max(lengths), 1)), 1
        )
        size, count = tf.cast(size, tf.int32), tf.size(packed)
        groups = -(-count // size)

        def inflated(index: Any, data: Any) -> Any:
            rows = tf.io.decode_compressed(packed[index * size : (index + 1) * size], kind)
            cut = tf.strings.substr(rows, 0, max_nbytes + 1)
            return index + 1, data.write(index, cut)

        data = tf.TensorArray(tf.string, groups, element_shape=[None], infer_shape=False)
        state = [tf.constant(0), data]
        loop = tf.while_loop(
            lambda index, _: index < groups, inflated, state, parallel_iterations=1
        )
        return tf.reshape(loop[1].concat(), [count])

    fits = tf.reduce_sum(lengths) * EXPANSION <= at_once
    return tf.cond(fits, lambda: inflate(packed, kind, max_nbytes), in_groups)
