"""What the tests of ``pack --tfrecord`` share: files, and how training reads them."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

import tfdecode as tfd
from tfdecode.cli import main

MAPS = [np.full((4, 3), value, "float32") for value in (1.5, -0.0, np.nan)]
FILES = ["a.npy", "b.npy", "c.npy"]
OUT = "out.tfrecord"


def write_maps() -> None:
    for name, array in zip(FILES, MAPS, strict=True):
        np.save(name, array)


def pack(*arguments: str, status: int = 0) -> None:
    assert main(["pack", *arguments, "--tfrecord", OUT]) == status


def packed(name: str = "array", out: str = OUT, compression: str = "") -> dict[str, np.ndarray]:
    """The arrays by their files, as training reads them."""
    schema = tfd.Schema.load(f"{out}.json")
    assert list(schema) == [name]
    features = {**schema.feature_spec(), "file": tf.io.FixedLenFeature([], tf.string)}
    examples = tf.data.TFRecordDataset(out, compression)
    rows = examples.map(lambda x: schema.decode_tensors(tf.io.parse_single_example(x, features)))
    return {os.fsdecode(row["file"].numpy()): row[name].numpy() for row in rows}


def usage_error(capsys) -> str:
    """The last line of what a wrong command line is told."""
    out, err = capsys.readouterr()
    assert not out
    return err.splitlines()[-1]
