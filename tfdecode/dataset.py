"""Read the TFRecord files of a data set with tf.data; see ``Schema.dataset``."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from . import reading
from .errors import FileError, SpecError
from .extras import tensorflow as tf

#: Files that are read at the same time, so that their examples mix.
CYCLE = 16
#: Bytes of a manifest that is read: some million failures.
MAX_MANIFEST = 2**30
#: The feature that holds the name of the file that an example was made from.
FILE = "file"

Files = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def dataset(
    files: Files,
    decode: Callable[[Mapping[str, Any]], dict[str, Any]],
    payloads: Mapping[str, Any],
    features: Mapping[str, Any],
    batch_size: int,
    shuffle: int,
    seed: int | None,
    shard: tuple[int, int],
    drop_remainder: bool,
) -> Any:
    """Batches of ``decode`` of the parsed payloads and features; see ``Schema.dataset``."""
    paths = _matching(files)
    parsed = {**_check(paths, isinstance(files, str | os.PathLike)), **features, **payloads}
    index, count = shard
    if not 0 <= index < count <= len(paths):
        raise SpecError(f"shard is {shard}; needs (index, count), of at most {len(paths)} files")
    paths = paths[index::count]
    compression = "GZIP" if paths[0].endswith(".gz") else ""
    records = tf.data.Dataset.from_tensor_slices(paths)
    if shuffle:
        records = records.shuffle(len(paths), seed=seed)
    records = records.interleave(
        lambda path: tf.data.TFRecordDataset(path, compression),
        cycle_length=min(CYCLE, len(paths)) if shuffle else 1,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=not shuffle or seed is not None,
    )
    if shuffle:
        records = records.shuffle(shuffle, seed=seed)
    # Decoding a batch costs a third of decoding each example of it.
    batches = records.batch(batch_size, drop_remainder=drop_remainder)
    batches = batches.map(
        lambda rows: decode(tf.io.parse_example(rows, parsed)), num_parallel_calls=tf.data.AUTOTUNE
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def _matching(files: Files) -> list[str]:
    """The files of a pattern, or as listed; FileError if there are none."""
    if isinstance(files, str | os.PathLike):
        pattern = os.fspath(files)
        found = sorted(glob.glob(pattern)) or ([pattern] if os.path.exists(pattern) else [])
        if not found:
            raise FileError(f"{pattern}: no such files")
        return found
    paths = [os.fspath(path) for path in files]
    if not paths:
        raise FileError("there are no files to read")
    return paths


def data_set_of(path: str | os.PathLike[str]) -> Path:
    """The name of the data set to which a shard belongs: that of its schema without ``.json``."""
    name = re.sub(r"-\d{5}-of-\d{5}(?=\.)", "", Path(path).name)
    return Path(path).with_name(name)


def manifest_of(path: str) -> Path:
    """The manifest of the data set to which a shard belongs."""
    data_set = data_set_of(path)
    return data_set.with_name(f"{data_set.name}.manifest.json")


def _check(paths: list[str], whole: bool) -> dict[str, Any]:
    """The features that the manifest lists; FileError if the files are not those that it lists."""
    path = manifest_of(paths[0])
    try:
        if not path.exists():
            return {}
        manifest = json.loads(reading.read(path, MAX_MANIFEST))
        sizes = {shard["shard"]: shard["bytes"] for shard in manifest["shards"]}
        features = {
            name: _parser(kind) for name, kind in manifest["features"].items() if name != FILE
        }
    except FileError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(f"{path}: is not the manifest of a data set ({error})") from None
    names = {Path(one).name: one for one in paths}
    missing = sorted(sizes.keys() - names.keys())
    if whole and missing:
        raise FileError(
            f"{len(missing)} of {len(sizes)} shards of {path} are missing, the first is "
            f"{missing[0]}; pass a list of files to read a part"
        )
    for name, one in names.items():
        if name not in sizes:
            raise FileError(
                f"{one}: is not one of the shards of {path}; delete it, or pass a list of files"
            )
        with reading.failures_of(one):
            size = os.path.getsize(one)
        if size != sizes[name]:
            raise FileError(f"{one}: has {size} bytes, {path} says {sizes[name]}")
    return {FILE: tf.io.FixedLenFeature([], tf.string), **features}


def _parser(kind: Mapping[str, Any]) -> Any:
    """How ``tf.io.parse_example`` reads a feature that the manifest describes."""
    dtype, length = tf.as_dtype(kind["dtype"]), kind["length"]
    if length == -1 or kind["missing"]:
        return tf.io.RaggedFeature(dtype)
    return tf.io.FixedLenFeature([] if length is None else [length], dtype)
