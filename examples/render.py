"""Render the two example files from real keypoints: ``pose.pkl`` and ``segment.mat``.

``pose.pkl``: float32 [256,192,18], a disc of 1 for each joint on -1, pickled as numpy users do.
``segment.mat``: ``labels`` [256,192], body parts 1 to 22 on 0, float64 as MATLAB stores numbers.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from scipy.io import savemat

import tfdecode as tfd

HERE = Path(__file__).parent
HEIGHT, WIDTH = 256, 192
RIGHT_SHOULDER, LEFT_SHOULDER, HEAD = 14, 11, 10
# Joints at the two ends of each body part, in the order of their labels (Human3.6M).
PARTS = [
    (0, 7), (7, 8), (8, 9), (0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (8, 11), (11, 12),
    (12, 13), (8, 14), (14, 15), (15, 16), (9, 10), (10, 10), (13, 13), (16, 16), (3, 3), (6, 6),
    (0, 0),
]  # fmt: skip


def joints(person: int = 0) -> np.ndarray:
    """The 17 joints of a person and, as 18th, the neck between the shoulders: [18, 2] x, y."""
    points = tfd.load(HERE / "keypoints.npy")[person, :, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 0.86 * min(WIDTH / (high[0] - low[0]), HEIGHT / (high[1] - low[1]))
    points = (points - (low + high) / 2) * scale + [WIDTH / 2, HEIGHT / 2]
    neck = (points[RIGHT_SHOULDER] + points[LEFT_SHOULDER]) / 2
    return np.vstack([points, neck])


def pose_map(person: int = 0, radius: float = 4.0) -> np.ndarray:
    """A channel for each joint: 1 inside its disc, -1 outside. float32 [256, 192, 18]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH, :1][:2]
    centre = np.round(joints(person))
    inside = (x - centre[:, 0]) ** 2 + (y - centre[:, 1]) ** 2 <= radius**2
    return np.where(inside, np.float32(1), np.float32(-1))


def segment_map(person: int = 0, width: float = 9.0) -> np.ndarray:
    """The label of the body part that covers each pixel, 0 to 22. float64 [256, 192]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([x, y], axis=-1).astype(np.float64)
    points = joints(person)
    labels = np.zeros((HEIGHT, WIDTH))
    for label, (start, end) in enumerate(PARTS, 1):
        a, along = points[start], points[end] - points[start]
        length = along @ along
        share = np.clip((pixels - a) @ along / length, 0, 1) if length else np.zeros(x.shape)
        distance = np.linalg.norm(pixels - (a + share[..., None] * along), axis=-1)
        labels[distance <= width] = label
    return labels


def picture(person: int = 0) -> np.ndarray:
    """The segment map in colours, uint8 ``[256, 192, 3]``: what ``docs/interleaved.png`` shows."""
    turns = np.arange(23)[:, None] * 0.618 + [0, 1 / 3, 2 / 3]
    colours = (127.5 + 110 * np.cos(2 * np.pi * turns)).astype(np.uint8)
    colours[0] = 245
    return colours[segment_map(person).astype(int)]


def main() -> None:
    """Write both files next to this one."""
    with (HERE / "pose.pkl").open("wb") as file:
        pickle.dump(pose_map(), file, protocol=4)
    savemat(HERE / "segment.mat", {"labels": segment_map()}, do_compression=True)


if __name__ == "__main__":
    main()
