"""Thousands of changed payloads of every codec: numpy and a reloaded model agree on each of them.

An error, or where nothing can tell, an array of the right shape; never another number of rows, and
never memory that grows with what a payload claims.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.attacks.test_payloads import decoded_by_numpy, fits, inflates_unsealed, sealed
from tests.codecs.cases import CASES
from tests.common import Case, assert_same
from tfdecode.codecs.registry import CODECS

MUTANTS = 3000
#: What headers, lengths and counts are changed to.
NUMBERS = tuple(
    number.to_bytes(width, order)
    for width in (2, 4, 8)
    for order in ("little", "big")
    for number in (0, 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1, 2 ** (8 * width - 1) - 1)
)


def typical(codec: str) -> Case:
    """The case of a codec that is changed: without a seal where there is one, of few bytes."""
    having = [
        case
        for case in CASES
        if any(step.name == codec for chain in case.spec.chains for step in chain.codecs)
    ]

    def rank(case: Case) -> tuple[bool, bool, int]:
        size = len(case.spec.encode(case.arrays(1, seed=1)[0]))
        return sealed(case) != (codec == "seal"), size < 12, size

    return min(having, key=rank)


def mutants(payloads: list[bytes], rng: np.random.Generator) -> Iterator[bytes]:
    """Payloads after one to four changes, each of a kind that damage or malice makes."""
    for _ in range(MUTANTS):
        data = bytearray(payloads[rng.integers(len(payloads))])
        for _ in range(rng.integers(1, 5)):
            start, end = sorted(int(at) for at in rng.integers(0, len(data) + 1, 2))
            kind = rng.integers(8)
            if kind <= 1 and data:  # a bit
                data[min(start, len(data) - 1)] ^= 1 << int(rng.integers(8))
            elif kind == 2:  # a number
                number = NUMBERS[rng.integers(len(NUMBERS))]
                data[start : start + len(number)] = number
            elif kind == 3:
                data[start:end] = rng.bytes(end - start)
            elif kind == 4:
                del data[start:end]
            elif kind == 5:
                data[start:start] = data[start:end]
            elif kind == 6:  # the end of another payload
                data[start:] = payloads[rng.integers(len(payloads))][start:]
            else:
                data[start:start] = rng.bytes(int(rng.integers(1, 9)))
        yield bytes(data)


@pytest.mark.parametrize("codec", CODECS)
def test_what_numpy_refuses_the_graph_refuses_and_neither_crashes(
    codec: str, reloaded: Any
) -> None:
    case = typical(codec)
    rng = np.random.default_rng(list(codec.encode()))
    good = [case.spec.encode(array) for array in case.arrays(4, seed=1)]
    rows = list(mutants(good, rng))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    expected = [decoded_by_numpy(case, row) for row in rows]
    for array in expected:
        assert array is None or (fits(case, array) and array.dtype.name == case.dtype)
    if codec == "seal":
        assert [row in good for row in rows] == [array is not None for array in expected]
    if inflates_unsealed(case):
        one_by_one(case, reloaded.tensor[case.key], rows, expected)
    else:
        at_once(case, reloaded.checked[case.key], rows, expected)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert grown < 2**18


def at_once(case: Case, decode: Any, rows: list[bytes], expected: list[np.ndarray | None]) -> None:
    step = min(500, case.spec.max_rows)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        decoded, status = decode(tf.constant(some))
        assert decoded.shape[0] == len(some)
        for got, code, array in zip(
            decoded.numpy(), status.numpy(), expected[start : start + step], strict=True
        ):
            assert (code == 0) == (array is not None)
            if array is not None:
                kept = got[tuple(slice(side) for side in array.shape)]
                assert_same(np.ascontiguousarray(kept).reshape(array.shape), array)


def one_by_one(
    case: Case, decode: Any, rows: list[bytes], expected: list[np.ndarray | None]
) -> None:
    """For ops that fail a batch as a whole."""
    for row, array in zip(rows, expected, strict=True):
        try:
            decoded = decode(tf.constant([row]))
        except (tf.errors.InvalidArgumentError, tf.errors.DataLossError):
            assert array is None
            continue
        assert decoded.shape[0] == 1 and fits(case, decoded[0])
        if array is not None:  # numpy refuses bytes behind a stream, which the op ignores
            assert_same(decoded[0], array)
