"""Maps of one person each, as pose and parsing networks take them: pose maps, labels, masks."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

HEIGHT, WIDTH = 256, 192
#: The 18 joints of OpenPose: the joint that each hangs on, how far from it in person heights, and
#: in which direction in degrees (0 to the right, 90 down). The neck hangs on nothing.
NECK = 1
SKELETON = {
    "nose": (1, 0.10, -90),
    "neck": (1, 0, 0),
    "right shoulder": (1, 0.12, 175),
    "right elbow": (2, 0.17, 110),
    "right wrist": (3, 0.16, 95),
    "left shoulder": (1, 0.12, 5),
    "left elbow": (5, 0.17, 70),
    "left wrist": (6, 0.16, 85),
    "right hip": (1, 0.30, 105),
    "right knee": (8, 0.24, 92),
    "right ankle": (9, 0.24, 90),
    "left hip": (1, 0.30, 75),
    "left knee": (11, 0.24, 88),
    "left ankle": (12, 0.24, 90),
    "right eye": (0, 0.03, -135),
    "left eye": (0, 0.03, -45),
    "right ear": (0, 0.05, -160),
    "left ear": (0, 0.05, -20),
}
#: Parts of the body in the order they are painted: label, two joints, radius in person heights.
PARTS = (
    *((1, 0, 0, 0.105), (2, 14, 15, 0.075), (3, 0, 1, 0.04)),  # hair, face, neck
    *((4, 8, 9, 0.07), (5, 11, 12, 0.07), (6, 9, 10, 0.05), (7, 12, 13, 0.05)),  # legs
    *((8, 10, 10, 0.06), (9, 13, 13, 0.06)),  # shoes
    *(
        (10, 2, 11, 0.08),
        (10, 5, 8, 0.08),
        (11, 8, 11, 0.05),
        (12, 1, 1, 0.05),
    ),  # coat, belt, scarf
    *((13, 2, 3, 0.05), (14, 5, 6, 0.05), (15, 3, 4, 0.04), (16, 6, 7, 0.04)),  # sleeves, arms
    *((17, 4, 4, 0.04), (18, 7, 7, 0.04)),  # hands
    *(
        (19, 16, 16, 0.02),
        (20, 17, 17, 0.02),
        (21, 14, 15, 0.015),
        (22, 7, 7, 0.02),
    ),  # small things
)


def joints(rng: np.random.Generator, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """The joints of a standing person, in pixels: float64 [18, 2] of x, y."""
    tall = height * rng.uniform(0.74, 0.82)
    points = np.zeros((len(SKELETON), 2))
    points[NECK] = width / 2 + rng.normal(0, 0.02 * width), 0.2 * height + rng.normal(0, 5)
    bones = {index: bone for index, bone in enumerate(SKELETON.values()) if index != NECK}
    for joint, (parent, length, degrees) in bones.items():
        angle = np.deg2rad(degrees + rng.normal(0, 8))
        points[joint] = points[parent] + tall * length * np.array([np.cos(angle), np.sin(angle)])
    return points.clip(0, [width - 1, height - 1])


def visible(rng: np.random.Generator) -> np.ndarray:
    """Which joints are not hidden: one in twelve is."""
    return rng.random(len(SKELETON)) > 1 / 12


def distances(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each pixel to each point, along x and y: [256, 192, 18], broadcast."""
    y, x = np.mgrid[:HEIGHT, :WIDTH, :1][:2]
    return x - points[:, 0], y - points[:, 1]


def pose_discs(rng: np.random.Generator) -> np.ndarray:
    """A disc of 1 on -1 around each visible joint, radius 4 or 5. float32 [256, 192, 18]."""
    x, y = distances(np.round(joints(rng)))
    inside = (x**2 + y**2 <= rng.integers(4, 6) ** 2) & visible(rng)
    return np.where(inside, np.float32(1), np.float32(-1))


def pose_gaussians(rng: np.random.Generator) -> np.ndarray:
    """A Gaussian bump of sigma 6 around each visible joint. float32 [256, 192, 18]."""
    x, y = distances(joints(rng))
    return np.where(visible(rng), np.exp(-(x**2 + y**2) / 72), 0).astype(np.float32)


def pose_gaussians_cut(rng: np.random.Generator) -> np.ndarray:
    """As most code draws them: centred on a pixel, 0 beyond 3 sigma. float32 [256, 192, 18]."""
    x, y = distances(np.round(joints(rng)))
    near = (np.abs(x) <= 18) & (np.abs(y) <= 18) & visible(rng)
    return np.where(near, np.exp(-(x**2 + y**2) / 72), 0).astype(np.float32)


def labels(rng: np.random.Generator, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """What a parsing network says of each pixel: 0 or one of 22 parts. uint8 [height, width].

    Outlines are bent on the scale of limbs, and uneven by a pixel here and there.
    """
    points = joints(rng, height, width).astype(np.float32)
    unit = height / HEIGHT
    noise = rng.standard_normal((2, 2, height, width), np.float32)
    grid = np.mgrid[:height, :width][::-1].astype(np.float32)  # x, y
    grid = grid + 60 * unit**2 * gaussian_filter(noise[0], (0, 8 * unit, 8 * unit))
    grid += 3 * gaussian_filter(noise[1], (0, 1.5, 1.5))
    painted = np.zeros((height, width), np.uint8)
    for label, start, end, radius in PARTS:
        a, along = points[start], points[end] - points[start]
        offset = grid - a[:, None, None]
        share = np.tensordot(along, offset, 1) / max(np.float32(1e-9), along @ along)
        x, y = offset - along[:, None, None] * share.clip(0, 1)
        painted[x * x + y * y <= (radius * 0.78 * height) ** 2] = label
    return painted


def segment_map(rng: np.random.Generator) -> np.ndarray:
    """Labels as MATLAB stores numbers. float64 [256, 192]."""
    return labels(rng).astype(np.float64)


def one_hot(rng: np.random.Generator) -> np.ndarray:
    """20 classes, the rarer parts one of them: a channel each. float32 [256, 192, 20]."""
    return one_hot_bool(rng).astype(np.float32)


def one_hot_bool(rng: np.random.Generator) -> np.ndarray:
    """The same as bool [256, 192, 20]."""
    return np.minimum(labels(rng), 19)[..., None] == np.arange(20)


def large_labels(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A label map at the size of a camera. uint8 [height, width]."""
    return labels(rng, height, width)


def large_mask(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Where the person is. bool [height, width]."""
    return labels(rng, height, width) > 0
