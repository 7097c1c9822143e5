"""CRC-32 in the graph: of joined byte strings, from the CRC of each."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..extras import tensorflow as tf

#: The polynomial of CRC-32, bit-reversed as in zlib.
POLYNOMIAL = 0xEDB88320
#: An offset is shifted by one digit of 5 bits at a time: a table is 32 matrices, 4 KB.
DIGIT = 5


def joined_crc(crcs: Any, nbytes_after: Any, max_nbytes: int) -> Any:
    """The CRC of strings that are joined: int32 ``[N]`` -> int32 scalar.

    ``nbytes_after`` int32 ``[N]`` says how many bytes follow each string, at most ``max_nbytes``.
    """
    # crc(a + b) is crc(a) shifted by the bytes of b, xor crc(b): zlib's crc32_combine.
    for digit, table in enumerate(tables(max_nbytes)):
        power = tf.gather(table, tf.bitwise.right_shift(nbytes_after, DIGIT * digit) & 31)
        crcs = xor_all(power * bits_of(crcs), 1)
    return xor_all(crcs, 0)


def bits_of(numbers: Any) -> Any:
    """int32 ``[...]`` -> the 32 bits of each, the lowest first: ``[..., 32]``."""
    return tf.bitwise.right_shift(numbers[..., tf.newaxis], tf.range(32)) & 1


def xor_all(numbers: Any, axis: int) -> Any:
    """The exclusive or of int32 numbers along an axis."""
    odd = tf.reduce_sum(bits_of(numbers), axis) & 1
    return tf.reduce_sum(tf.bitwise.left_shift(odd, tf.range(32)), -1)


@lru_cache(maxsize=16)
def tables(max_nbytes: int) -> list[np.ndarray]:
    """For each digit of an offset, the matrix of each of its values: int32 ``[32, 32]`` rows."""
    unit = np.arange(32, dtype=np.uint32)
    step = times(np.uint32(1) << unit, 8)
    found = []
    for _ in range(max(1, -(-max_nbytes.bit_length() // DIGIT))):
        powers = [np.uint32(1) << unit]
        for _ in range(31):
            powers.append(applied(step, powers[-1]))
        step = applied(step, powers[-1])
        found.append(np.stack(powers).view(np.int32))
    return found


def times(crcs: np.ndarray, bits: int) -> np.ndarray:
    """CRCs after that many more bits of 0."""
    for _ in range(bits):
        crcs = (crcs >> np.uint32(1)) ^ (crcs & np.uint32(1)) * np.uint32(POLYNOMIAL)
    return crcs


def applied(matrix: np.ndarray, crcs: np.ndarray) -> np.ndarray:
    """The matrix, which has what becomes of each bit, times each CRC."""
    bits = crcs[:, np.newaxis] >> np.arange(32, dtype=np.uint32) & np.uint32(1)
    product: np.ndarray = np.bitwise_xor.reduce(bits * matrix, axis=1)
    return product
