"""Pixels that were scaled to floats take the bytes of the pixels, and other arrays still pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tfdecode as tfd
from tests.common import assert_same

f4 = np.float32


def image(seed: int, height: int = 96, width: int = 80) -> np.ndarray:
    """A smooth picture with some noise, uint8 ``[height, width, 3]``."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / f4(30)
    waves = np.stack([np.sin(x + c) * np.cos(y * (1 + c / 3)) for c in range(3)], axis=-1)
    return np.clip(128 + 100 * waves + rng.normal(0, 2, waves.shape), 0, 255).astype(np.uint8)


MEANS, DEVIATIONS = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], f4)
#: How programs scale pixels.
SCALINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "[0, 1]": lambda p: p.astype(f4) / f4(255),
    "[-1, 1]": lambda p: p.astype(f4) / f4(127.5) - f4(1),
    "[-1, 1], in float64": lambda p: (p / 127.5 - 1).astype(f4),
    "[-1, 1], by float64": lambda p: p / 127.5 - 1,
    "[-0.5, 0.5]": lambda p: p.astype(f4) / f4(255) - f4(0.5),
    "standardized": lambda p: ((p.astype(f4) / f4(255)) - MEANS) / DEVIATIONS,
    "standardized, in float64": lambda p: (
        (p - np.array([123.68, 116.779, 103.939])) / [58.393, 57.12, 57.375]
    ).astype(f4),
    "standardized, channels first": lambda p: np.moveaxis(
        SCALINGS["standardized"](p), -1, 0
    ).copy(),
    "standardized by itself": lambda p: (p.astype(f4) - p.mean(dtype=f4)) / p.std(dtype=f4),
    "less the means": lambda p: p.astype(f4) - np.array([103.939, 116.779, 123.68], f4),
}


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_scaled_image_takes_at_most_a_tenth_more_than_its_pixels(scaling: str) -> None:
    pixels = image(1)
    x = SCALINGS[scaling](pixels)
    spec = tfd.infer(x)
    payload = spec.encode(x)
    assert_same(spec.decode(payload), x)
    assert len(payload) <= 1.1 * len(tfd.infer(pixels).encode(pixels)), spec


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_spec_of_one_image_carries_every_other_array(scaling: str) -> None:
    spec = tfd.infer(SCALINGS[scaling](image(1)))
    other = SCALINGS[scaling](image(2)[:, ::-1])
    noise = np.random.default_rng(3).normal(size=other.shape).astype(other.dtype)
    sizes = []
    for x in (other, noise):
        payload = spec.encode(x)
        assert_same(spec.decode(payload), x)
        sizes.append(len(payload))
    assert sizes[0] < other.size < noise.nbytes / 2 < sizes[1]
