"""Training on packed arrays, decoded in tf.data by the decoder that serves: one step of it.

Renders the label maps of four people and their mirror images as .mat files, packs them by
``tfdecode pack *.mat --tfrecord``, trains a tiny network to find body parts in silhouettes on one
batch, prints the loss, and checks that the batch equals the arrays, bit for bit.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import render
import tensorflow as tf
from scipy.io import savemat

import tfdecode as tfd
from tfdecode.cli import main as tfdecode

PEOPLE, CLASSES = 4, 1 + len(render.PARTS)


def files(folder: Path) -> dict[str, np.ndarray]:
    """Label maps [256, 192] by the .mat files that they are written to."""
    maps = {}
    for person in range(PEOPLE):
        labels = render.segment_map(person)
        for suffix, array in (("", labels), ("-mirrored", labels[:, ::-1])):
            path = folder / f"person{person}{suffix}.mat"
            savemat(path, {"labels": array}, do_compression=True)
            maps[str(path)] = array
    return maps


def batches(records: Path, size: int) -> tf.data.Dataset:
    """Batches of what ``records`` holds: ``labels`` [B, 256, 192] and ``file`` [B]."""
    return tfd.Schema.load(f"{records}.json").dataset(records, size, shuffle=size, seed=1)


def network() -> keras.Model:
    """Silhouettes [B, 256, 192, 1] in, a score for each class [B, 256, 192, 23] out."""
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((render.HEIGHT, render.WIDTH, 1)),
        keras.layers.Conv2D(8, 8, strides=8, padding="same", activation="relu"),
        keras.layers.Conv2DTranspose(CLASSES, 8, strides=8, padding="same"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def main() -> int:
    """Pack, decode, train; 0 if the decoded batch is the same bits."""
    with tempfile.TemporaryDirectory() as folder:
        maps = files(Path(folder))
        records = Path(folder, "train.tfrecord")
        if tfdecode(["pack", *maps, "--tfrecord", str(records)]) != 0:
            return 1
        batch = next(iter(batches(records, len(maps))))
    labels = batch["labels"]
    silhouettes = tf.cast(labels > 0, tf.float32)[..., tf.newaxis]
    loss = network().train_on_batch(silhouettes, tf.cast(labels, tf.int32))
    print(f"loss of one step: {float(loss):.4f}")
    expected = np.stack([maps[os.fsdecode(file)] for file in batch["file"].numpy()])
    decoded = labels.numpy()
    same = decoded.shape == expected.shape and decoded.tobytes() == expected.tobytes()
    equals = "equals" if same else "does NOT equal"
    print(f"the decoded batch {list(decoded.shape)} {equals} the arrays, bit for bit")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
