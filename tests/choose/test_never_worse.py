"""What infer chooses is never worse than plain deflate, and a small change does not make it so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.bench_choices import baselines, chosen, larger, worse

Y, X = np.mgrid[:48, :40]


def smooth(rng: np.random.Generator) -> np.ndarray:
    return 128 + 60 * np.sin(X / 9 + rng.random()) * np.cos(Y / 7) + rng.normal(0, 1, X.shape)


def labels(rng: np.random.Generator) -> np.ndarray:
    return np.hypot(X - 20 - rng.integers(4), Y - 30) // 6 % 5


def scattered(rng: np.random.Generator, share: float) -> np.ndarray:
    return np.where(rng.random(X.shape) < share, rng.normal(size=X.shape), 0)


def columns(rng: np.random.Generator) -> np.ndarray:
    n = 200
    measured = [np.round(rng.normal(9 * i, 1 + i, n), 2) + 0.0 for i in range(4)]
    return np.stack([*measured, rng.integers(0, 3, n), np.arange(n)], axis=1)


#: Kinds of arrays, small ones.
KINDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "pixels / 255": lambda rng: smooth(rng).astype("u1").astype("f4") / np.float32(255),
    "pixels * (1 / 255)": lambda rng: smooth(rng).astype("u1").astype("f4") * np.float32(1 / 255),
    "pixels in [-1, 1]": lambda rng: smooth(rng).astype("u1").astype("f4") / np.float32(127.5) - 1,
    "pixels": lambda rng: smooth(rng).astype("u1"),
    "labels": labels,
    "ellipses": lambda rng: (40 * labels(rng)).astype("u1"),
    "one-hot": lambda rng: np.eye(5, dtype="f4")[labels(rng).astype(int)],
    "mask": lambda rng: labels(rng) > 2,
    "half zeros": lambda rng: np.maximum(rng.normal(size=X.shape), 0).astype("f4"),
    "sparse": lambda rng: scattered(rng, 0.03).astype("f4"),
    "table": columns,
    "integers by column": lambda rng: columns(rng).astype("i8"),
    "volume": lambda rng: np.stack([smooth(rng) * 9 + z for z in range(5)]).astype("i2"),
    "recording": lambda rng: np.round(np.cumsum(rng.normal(size=(8, 300)), 1), 1) + 0.0,
    "floats": lambda rng: rng.normal(size=X.shape).astype("f4"),
}


def one_element(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    flat = x.reshape(-1).copy()
    flat[rng.integers(flat.size)] = flat[0] + 1 if x.dtype != bool else ~flat[0]
    return flat.reshape(x.shape)


def one_nan(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if x.dtype.kind != "f":
        return one_element(x, rng)
    flat = x.reshape(-1).copy()
    flat[rng.integers(flat.size)] = np.nan
    return flat.reshape(x.shape)


def one_more_row(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([x, x[-1:]])


def some_swapped(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    flat = x.reshape(-1).copy()
    some = rng.integers(0, flat.size, 1 + flat.size // 200)
    flat[some] = flat[rng.permutation(some)]
    return flat.reshape(x.shape)


CHANGES = (one_element, one_nan, one_more_row, some_swapped)


def assert_never_worse(x: np.ndarray) -> dict[str, int]:
    plain = baselines(x)
    small, balanced = (chosen(x, prefer) for prefer in ("smallest", "balanced"))
    assert not larger(small, plain), small
    assert not worse(balanced, plain), balanced
    return {"smallest": small.size, "balanced": balanced.size}


@pytest.mark.parametrize("kind", KINDS)
def test_a_choice_is_never_worse_than_plain_deflate(kind: str) -> None:
    assert_never_worse(KINDS[kind](np.random.default_rng(5)))


@settings(max_examples=12)
@example("pixels / 255", one_nan, 1).via("no fixed point")
@example("one-hot", one_element, 1).via("not one-hot any more")
@example("labels", one_nan, 1).via("not integers any more")
@given(st.sampled_from(list(KINDS)), st.sampled_from(CHANGES), st.integers(0, 99))
def test_a_small_change_makes_a_payload_at_most_four_times_as_large(
    kind: str, change: Callable[..., np.ndarray], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = KINDS[kind](rng)
    before, after = assert_never_worse(x), assert_never_worse(change(x, rng))
    for prefer, size in after.items():
        assert size <= 4 * before[prefer] + 100, (kind, change, seed, prefer, before, after)
