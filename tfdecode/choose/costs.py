"""What encoding and decoding cost by the model that each codec declares: `Cost`."""

from __future__ import annotations

import numpy as np

from ..codecs.base import AnyCodec, Filter
from ..codecs.chain import Chain

#: Seconds of a row for each step that do not depend on its bytes.
STEP = 2e-6


def trial(chain: Chain, x: np.ndarray) -> tuple[bytes, float, float]:
    """The payload of ``x``, and the seconds that encoding and decoding it take by the model."""
    encode = decode = 0.0
    value: object = x
    for codec, form in zip(chain.codecs, chain.forms, strict=False):
        before = len(value) if isinstance(value, bytes) else size_of(np.asarray(value), codec)
        value = codec.encode(value, form)
        packed = counted = 0
        if isinstance(value, bytes):
            packed, counted = len(value), codec.packed_nbytes(value, before)
        cost = codec.decode_cost
        decode += STEP + 1e-9 * (cost.per_output * before + cost.per_input * counted)
        cost = codec.encode_cost
        encode += 1e-9 * codec.effort * (cost.per_output * before + cost.per_input * packed)
    assert isinstance(value, bytes)
    return value, encode, decode


def size_of(array: np.ndarray, codec: AnyCodec) -> int:
    """The elements or bytes of an array that the codec's cost counts."""
    by_element = isinstance(codec, Filter) and not codec.counts_bytes
    return array.size if by_element else array.nbytes
