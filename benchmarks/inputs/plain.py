"""Arrays as they commonly are: tables, recordings, scaled images, volumes, activations."""

from __future__ import annotations

import numpy as np

from .sensors import smooth


def photo(rng: np.random.Generator, channels: int = 3) -> np.ndarray:
    """Surfaces with edges, light that changes slowly, and noise. uint8 [160, 160, channels]."""
    shape = (160, 160)
    areas = (2.5 * smooth(rng, shape, 14)).round()[..., None] * rng.normal(0, 16, channels)
    light = 22 * smooth(rng, shape, 30)[..., None]
    noise = rng.normal(0, 2.5, (*shape, channels))
    return (120 + areas + light + noise).round().clip(0, 255).astype(np.uint8)


def image_unit(rng: np.random.Generator) -> np.ndarray:
    """Pixels over 255. float32 [160, 160, 3]."""
    return photo(rng).astype(np.float32) / np.float32(255)


def image_times(rng: np.random.Generator) -> np.ndarray:
    """Grey pixels times 1/255, which is not the same. float32 [160, 160]."""
    return photo(rng, 1)[..., 0].astype(np.float32) * np.float32(1 / 255)


def image_signed(rng: np.random.Generator) -> np.ndarray:
    """Pixels from -1 to 1. float32 [160, 160, 3]."""
    return photo(rng).astype(np.float32) / np.float32(127.5) - np.float32(1)


def image_standardized(rng: np.random.Generator) -> np.ndarray:
    """Pixels over 255, by the mean and deviation of ImageNet. float32 [160, 160, 3]."""
    mean, deviation = np.float32([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    return np.asarray((image_unit(rng) - mean) / deviation)


def image_whitened(rng: np.random.Generator) -> np.ndarray:
    """Pixels by their own mean and deviation. float32 [160, 160, 3]."""
    x = photo(rng).astype(np.float32)
    return np.asarray((x - x.mean()) / x.std())


def phantom(rng: np.random.Generator) -> np.ndarray:
    """Ellipses of constant grey, as tomography is tried on. uint8 [256, 256]."""
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    grey = np.zeros(y.shape)
    for _ in range(10):
        at, half = rng.uniform(-0.5, 0.5, 2), rng.uniform(0.05, 0.6, 2)
        inside = ((x - at[0]) / half[0]) ** 2 + ((y - at[1]) / half[1]) ** 2 <= 1
        grey[inside] += rng.uniform(-40, 60)
    return (grey + 60).clip(0, 255).astype(np.uint8)


def table(rng: np.random.Generator) -> np.ndarray:
    """Measurements with two decimals, counts and categories by column. float64 [1500, 12]."""
    n = 1500
    measured = [np.round(rng.normal(20 * i, 2 + i, n), 2) + 0.0 for i in range(6)]
    counts = [rng.poisson(3 + 9 * i, n) for i in range(3)]
    named = [rng.integers(0, 2 + 4 * i, n) for i in range(3)]
    return np.stack([*measured, *counts, *named], axis=1).astype(np.float64)


def table_gaps(rng: np.random.Generator) -> np.ndarray:
    """The same with 3% missing. float64 [1500, 12]."""
    full = table(rng)
    return np.where(rng.random(full.shape) < 0.03, np.nan, full)


def eeg(rng: np.random.Generator) -> np.ndarray:
    """Channels of steps of 0.0488 microvolts, with a common rhythm. float32 [32, 2000]."""
    t = np.arange(2000) / 250
    rhythm = np.sin(2 * np.pi * 10 * t) * smooth(rng, t.shape, 100)
    drift = np.cumsum(rng.normal(0, 1.5, (32, 2000)), axis=1)
    volts = drift - drift.mean(1, keepdims=True) + 15 * rng.random((32, 1)) * rhythm
    return ((volts / 0.0488281).round() * 0.0488281).astype(np.float32)


def volume(rng: np.random.Generator) -> np.ndarray:
    """A scan of slices, nothing outside of a ball. int16 [24, 64, 64]."""
    z, y, x = np.mgrid[-1:1:24j, -1:1:64j, -1:1:64j]
    inside = x**2 + y**2 + z**2 < 0.8
    tissue = 300 + 120 * smooth(rng, inside.shape, 3) + rng.normal(0, 8, inside.shape)
    return np.where(inside, tissue.round(), 0).astype(np.int16)


def activations(rng: np.random.Generator) -> np.ndarray:
    """What a rectifier leaves: half of the numbers are 0. float32 [28, 28, 64]."""
    return np.maximum(smooth(rng, (28, 28, 64), 1), 0).astype(np.float32)


def sparse_floats(rng: np.random.Generator) -> np.ndarray:
    """One number in thirty, the rest 0. float32 [300, 400]."""
    some = rng.random((300, 400)) < 1 / 30
    return np.where(some, rng.normal(0, 1, some.shape), 0).astype(np.float32)
