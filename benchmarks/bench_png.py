"""png in the graph, beside ``map_fn(decode_png)`` of the same files with nothing checked."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import tfdecode as tfd

from . import graphs
from .report import Table, track
from .runtime import medians, save


def inputs() -> dict[str, tuple[str, np.ndarray]]:
    """Name -> chain and array: flat and smooth, interleaved and planar."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:256, :192]
    centres = rng.integers(20, 170, (18, 2))
    discs = (np.hypot(x[..., None] - centres[:, 0], y[..., None] - centres[:, 1]) < 5) * 1
    labels = (np.hypot(x - 90, y - 120) // 9 % 7).astype(np.uint8)
    depth = (900 + 3 * y + 40 * np.sin(x / 20) + rng.normal(0, 1.5, y.shape)).astype(np.uint16)
    image = np.stack([x, y, x + y], -1).astype(np.uint8)
    return {
        "discs uint8 [256,192,18]": ("png", discs.astype(np.uint8)),
        "labels uint8 [256,192]": ("png", labels),
        "depth uint16 [256,192]": ("png", depth),
        "image uint8 [256,192,3]": ("png:interleaved", image),
    }


def main() -> list[Table]:
    """Batch 32, in the C program."""
    rows = []
    for name, (chain, x) in track(inputs().items(), "png"):
        spec = tfd.ArraySpec(x.shape, x.dtype, codecs=chain)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            file = folder / "payload"
            file.write_bytes(spec.encode(x))
            decoders = {"bare": graphs.decode_png(spec), "checked": spec.decode_tensor}
            models = [save(decode, folder / name) for name, decode in decoders.items()]
            feed = {"b": [file]}
            times = medians(31, 32, [(model, "serving_default", feed) for model in models])
            size = file.stat().st_size
        ratio = f"{times[1] / times[0]:.2f}"
        rows.append((name, f"{size}", f"{times[0]:.0f}", f"{times[1]:.0f}", ratio))
    table = Table(
        "png",
        "In the C program, batch 32; bare is `map_fn(decode_png)` of the same bytes.",
        ("input", "payload bytes", "bare, us", "tfdecode, us", "ratio"),
        rows,
    )
    return [table]
