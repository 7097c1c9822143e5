"""The arrays that are measured: fourteen kinds, large flat maps, plain ones, pictures, real files.

``make(name, variant)`` gives the same array on every machine with the same numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import tfdecode as tfd

from .people import (
    large_labels,
    large_mask,
    one_hot,
    one_hot_bool,
    pose_discs,
    pose_gaussians,
    pose_gaussians_cut,
    segment_map,
)
from .plain import (
    activations,
    eeg,
    image_signed,
    image_standardized,
    image_times,
    image_unit,
    image_whitened,
    phantom,
    photo,
    sparse_floats,
    table,
    table_gaps,
    volume,
)
from .sensors import ct, depth, flow, lidar, lidar_mm
from .signals import embedding, log_mel, tokens

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests/fixtures/files"

Maker = Callable[[np.random.Generator], np.ndarray]

#: The kinds that the targets are for.
KINDS: dict[str, Maker] = {
    "pose_discs": pose_discs,
    "pose_gaussians_cut": pose_gaussians_cut,
    "pose_gaussians": pose_gaussians,
    "segment_map": segment_map,
    "depth": depth,
    "log_mel": log_mel,
    "embedding": embedding,
    "flow": flow,
    "lidar": lidar,
    "lidar_mm": lidar_mm,
    "one_hot": one_hot,
    "one_hot_bool": one_hot_bool,
    "tokens": tokens,
    "ct": ct,
}
#: Flat maps at the sizes of cameras, for encoders.
LARGE: dict[str, Maker] = {
    "labels_480x640": partial(large_labels, height=480, width=640),
    "labels_1024x1024": partial(large_labels, height=1024, width=1024),
    "mask_480x640": partial(large_mask, height=480, width=640),
    "mask_1024x1024": partial(large_mask, height=1024, width=1024),
}
#: More kinds that `infer` has to choose for, which nothing was tuned to.
PLAIN: dict[str, Maker] = {
    "image_unit": image_unit,
    "image_times": image_times,
    "image_signed": image_signed,
    "phantom": phantom,
    "table": table,
    "table_gaps": table_gaps,
    "eeg": eeg,
    "volume": volume,
    "activations": activations,
    "sparse_floats": sparse_floats,
}
#: One picture as pixels, and as floats in the ways that programs scale pixels.
SCALED: dict[str, Maker] = {
    "photo_uint8": photo,
    "photo_unit": image_unit,
    "photo_signed": image_signed,
    "photo_standardized": image_standardized,
    "photo_whitened": image_whitened,
}
#: Files that other programs wrote, and the array in them; each has but one variant.
FILES: dict[str, tuple[Path, str | None]] = {
    "mel_fortran.npy": (FIXTURES / "mel_fortran.npy", None),
    "color150.mat": (FIXTURES / "color150.mat", "colors"),
    "h36m_body3d.npz": (FIXTURES / "h36m_body3d.npz", "S"),
    "keypoints.npy": (ROOT / "examples/keypoints.npy", None),
}


def make(name: str, variant: int = 0) -> np.ndarray:
    """One array by its name in one of these dicts; variants differ in their seed."""
    if name in FILES:
        return tfd.load(*FILES[name])
    seed = "photo" if name in SCALED else name
    rng = np.random.default_rng([variant, *seed.encode()])
    return {**KINDS, **LARGE, **PLAIN, **SCALED}[name](rng)


def variants(name: str, count: int) -> list[np.ndarray]:
    """The first ``count`` variants; of a file the only one."""
    return [make(name, variant) for variant in range(1 if name in FILES else count)]
