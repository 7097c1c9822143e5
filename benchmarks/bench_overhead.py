"""What checking every row costs: raw, raw|seal and zlib|seal against bare decode_raw + reshape."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import tfdecode as tfd

from .runtime import medians

CHAINS = ("raw", "raw|seal", "raw|zlib|seal")


def save(decode: Any, path: Path) -> Path:
    """One decoder as a SavedModel with the input ``b`` [B]."""
    module = tf.Module()
    signature = [tf.TensorSpec([None], tf.string, name="b")]
    module.decode = tf.function(decode, input_signature=signature, autograph=False)
    tf.saved_model.save(module, str(path), signatures=module.decode.get_concrete_function())
    return path


def measure(shape: tuple[int, ...], rows: int, iterations: int, x: np.ndarray) -> list[float]:
    """Median microseconds of the bare decoder and of each chain, decoding ``x`` [*shape]."""

    def bare(b: Any) -> Any:
        return tf.reshape(tf.io.decode_raw(b, x.dtype), [-1, *shape])

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        payload = folder / "bare.bin"
        payload.write_bytes(x.tobytes())
        jobs = [(save(bare, folder / "bare"), "serving_default", {"b": [payload]})]
        for index, chain in enumerate(CHAINS):
            spec = tfd.ArraySpec(shape, x.dtype, codecs=chain)
            file = folder / f"{index}.bin"
            file.write_bytes(spec.encode(x))
            model = save(spec.decode_tensor, folder / str(index))
            jobs.append((model, "serving_default", {"b": [file]}))
        return medians(iterations, rows, jobs)


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(11)
    small = rng.normal(size=1024).astype(np.float32)
    pose = np.full((256, 192, 18), -1, np.float32)
    pose[100:108, 60:68] = 1
    print(
        f"{'decoder':16}{'4 KB, batch 1':>16}{'added':>10}{'pose maps, batch 32':>22}{'ratio':>8}"
    )
    one = measure((1024,), 1, 3000, small)
    many = measure(pose.shape, 32, 31, pose)
    for name, a, b in zip(("bare decode_raw", *CHAINS), one, many, strict=True):
        print(f"{name:16}{a:13.1f} us{a - one[0]:+7.1f} us{b:19.0f} us{b / many[0]:8.3f}")


if __name__ == "__main__":
    main()
