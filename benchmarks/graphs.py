"""Decoders of others, in the graph: strings ``[B]`` to a tensor ``[B, *shape]``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

import tfdecode as tfd

from . import peers

Decoder = Callable[[Any], Any]


def bare(like: np.ndarray) -> Decoder:
    """``decode_raw`` and ``reshape``, nothing checked: the floor."""
    return lambda b: tf.reshape(tf.io.decode_raw(b, like.dtype), [-1, *like.shape])


def mapped(one: Decoder, shape: Any, dtype: Any) -> Decoder:
    """``map_fn`` over the rows."""
    row = tf.TensorSpec(shape, dtype)

    def decode(b: Any) -> Any:
        return tf.map_fn(
            lambda s: tf.ensure_shape(one(s), shape),
            b,
            fn_output_signature=row,
            parallel_iterations=32,
        )

    return decode


def parse_tensor(like: np.ndarray) -> Decoder:
    """``map_fn(parse_tensor)``."""
    return mapped(lambda s: tf.io.parse_tensor(s, like.dtype), like.shape, like.dtype)


def tfds_zlib(like: np.ndarray) -> Decoder:
    """What TensorFlow Datasets decodes a batch of its deflated features with."""
    return peers.tfds_feature(like).decode_batch_example


def decode_png(spec: tfd.ArraySpec) -> Decoder:
    """``map_fn(decode_png)`` of the payloads of a chain with ``png``: pixels, nothing checked."""
    forms = zip(spec.codecs, spec.chain.forms, strict=False)
    image = next(codec.mosaic(form).image for codec, form in forms if codec.name == "png")
    dtype = tf.uint16 if image.depth == 16 else tf.uint8
    shape = (image.height, image.width, image.samples)
    return mapped(lambda s: tf.io.decode_png(s, image.samples, dtype), shape, dtype)
