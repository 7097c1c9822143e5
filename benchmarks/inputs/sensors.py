"""What cameras, scanners and their networks measure: depth, flow, point clouds, tomograms."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter


def smooth(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Noise of one cycle in some ``sigma`` pixels, of deviation 1: float64 [*shape]."""
    noise = gaussian_filter(rng.normal(0, 1, shape), sigma, mode="wrap")
    return noise / noise.std()


def ellipse(rng: np.random.Generator, y: np.ndarray, x: np.ndarray, low: float, high: float):
    """Centre and squared distance (1 on its edge) of an ellipse with half axes low to high."""
    centre = rng.uniform(0, [y.max(), x.max()])
    half = rng.uniform(low, high, 2)
    return centre, ((y - centre[0]) / half[0]) ** 2 + ((x - centre[1]) / half[1]) ** 2


def depth(rng: np.random.Generator) -> np.ndarray:
    """A room seen by a structured-light camera, in mm, 0 for no reading. uint16 [480, 640].

    A wall, a floor and rounded things; noise grows with the square of the distance, shadows lie
    along edges.
    """
    y, x = np.mgrid[:480, :640].astype(np.float64)
    scene = np.minimum(4400 + 50 * smooth(rng, y.shape, 60), 6300 - 11.5 * y + 0.3 * x)
    for _ in range(9):
        centre, distance = ellipse(rng, y, x, 25, 120)
        surface = rng.uniform(700, 3000) + 80 * distance + rng.uniform(-1, 1) * (x - centre[1])
        scene = np.where((distance < 1) & (surface < scene), surface, scene)
    scene += rng.normal(0, 1.4, scene.shape) * (scene / 1000) ** 2
    jump = maximum_filter(scene, 3) - minimum_filter(scene, 3) > 150
    unseen = jump & (rng.random(scene.shape) > 0.4) | (smooth(rng, scene.shape, 3) > 2.35)
    return np.where(unseen, 0, scene.round().clip(0, 65535)).astype(np.uint16)


def flow(rng: np.random.Generator) -> np.ndarray:
    """Optical flow in pixels: a moving camera and five moving things. float16 [256, 256, 2]."""
    y, x = np.mgrid[:256, :256].astype(np.float64)
    motion = np.stack([2 * smooth(rng, y.shape, 40) for _ in range(2)], axis=-1)
    for _ in range(5):
        centre, distance = ellipse(rng, y, x, 15, 60)
        turn = rng.normal(0, 0.03, 2) * np.stack([x - centre[1], y - centre[0]], -1)
        motion = np.where(distance[..., None] < 1, rng.normal(0, 6, 2) + turn, motion)
    motion = gaussian_filter(motion, (1, 1, 0)) + rng.normal(0, 0.01, motion.shape)
    return motion.astype(np.float16)


def scan(rng: np.random.Generator) -> np.ndarray:
    """The quarter turn ahead of a scanner with 64 beams, ring by ring: x, y, z in metres and the
    share of light that came back. float64 [16384, 4]."""
    rings, turns = 64, 256
    down = np.deg2rad(np.linspace(2, -24.8, rings))[:, None]
    around = np.linspace(-np.pi / 4, np.pi / 4, turns) + rng.normal(0, 2e-4, (rings, turns))
    far = np.full(around.shape, 80.0)
    ground = np.where(down < -0.0217, 1.73 / np.maximum(np.sin(-down), 1e-3), 80.0)
    far = np.minimum(far, ground)
    for _ in range(14):  # cars, poles and walls: upright, at one distance
        towards, half = rng.uniform(-0.75, 0.75), rng.uniform(0.02, 0.12)
        distance, top = rng.uniform(4, 50), rng.uniform(-1.5, 1.5)
        hit = (np.abs(around - towards) < half) & (distance < far)
        hit &= distance * np.sin(down) < top
        far = np.where(hit, distance / np.cos(around - towards), far)
    far = far + rng.normal(0, 0.015, far.shape)
    light = 0.3 + 0.1 * smooth(rng, (rings * turns,), 3).reshape(far.shape)
    light = (light + rng.normal(0, 0.08, far.shape)).clip(0, 0.99)
    flat = far * np.cos(down)
    points = [flat * np.cos(around), flat * np.sin(around), far * np.sin(down), light]
    return np.stack(points, axis=-1).reshape(-1, 4)


def lidar(rng: np.random.Generator) -> np.ndarray:
    """Such points with every digit that float32 has. float32 [16384, 4]."""
    return scan(rng).astype(np.float32)


def lidar_mm(rng: np.random.Generator) -> np.ndarray:
    """As files of KITTI: whole millimetres, light in hundredths. float32 [16384, 4]."""
    steps = np.array([1000, 1000, 1000, 100])
    return ((scan(rng) * steps).round() / steps + 0.0).astype(np.float32)  # + 0.0: no -0.0


def ct(rng: np.random.Generator) -> np.ndarray:
    """A slice through a chest in Hounsfield units, -1024 outside the circle. int16 [512, 512]."""
    y, x = np.mgrid[:512, :512].astype(np.float64)
    slice_ = np.full(y.shape, -1000.0)

    def fill(value: float, at: tuple[float, float], half: tuple[float, float]) -> None:
        inside = ((x - at[0]) / half[0]) ** 2 + ((y - at[1]) / half[1]) ** 2 <= 1
        slice_[inside] = value

    fill(-95, (256, 262), (208, 152))  # fat, muscle, lungs, heart, spine and its canal, aorta
    fill(50, (256, 260), (190, 133))
    for side in (-1, 1):
        fill(-840, (256 + side * 80, 246), (70, 92))
    fill(42, (264, 252), (50, 60))
    fill(650, (256, 352), (25, 20))
    fill(20, (256, 354), (13, 11))
    fill(140, (250, 312), (14, 14))
    for angle in np.linspace(0, 2 * np.pi, 14, endpoint=False):  # ribs
        fill(480, (256 + 186 * np.cos(angle), 260 + 129 * np.sin(angle)), (8, 6))
    for _ in range(60):  # vessels
        at = rng.choice([176, 336]) + rng.normal(0, 30), rng.normal(246, 38)
        fill(rng.uniform(-200, 60), at, tuple(rng.uniform(1, 4, 2)))
    body = gaussian_filter(slice_, 0.9)
    body += smooth(rng, body.shape, 0.7) * np.where(body > -950, 14, 9)
    outside = (x - 256) ** 2 + (y - 256) ** 2 > 256**2
    return np.where(outside, -1024, body.round().clip(-1024, 3071)).astype(np.int16)
