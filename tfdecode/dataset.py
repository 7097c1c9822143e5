"""Read the TFRecord files of a data set with tf.data; see ``Schema.dataset``."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import reading
from .errors import FileError, SpecError
from .extras import tensorflow as tf
from .sources import Remote, is_url, place

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

    def records_of(path: Any) -> Any:
        compressed = tf.strings.regex_full_match(path, r".*\.gz")
        return tf.data.TFRecordDataset(path, tf.where(compressed, "GZIP", ""))

    records = tf.data.Dataset.from_tensor_slices(paths)
    if shuffle:
        records = records.shuffle(len(paths), seed=seed).interleave(
            records_of,
            cycle_length=min(CYCLE, len(paths)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=seed is not None,
        )
        records = records.shuffle(shuffle, seed=seed)
    else:  # one file after the other: threads of their own hand over each record in turn
        records = records.flat_map(records_of)
    # Decoding a batch costs a third of decoding each example of it.
    batches = records.batch(batch_size, drop_remainder=drop_remainder)
    batches = batches.map(
        lambda rows: decode(tf.io.parse_example(rows, parsed)), num_parallel_calls=tf.data.AUTOTUNE
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def _matching(files: Files) -> list[str]:
    """The files of a pattern, or as listed; FileError if there are none, or TensorFlow reads none.

    Those at URLs are read by the file systems of TensorFlow, as it reads the records.
    """
    if isinstance(files, str | os.PathLike):
        pattern = os.fspath(files)
        if is_url(pattern):
            _check_scheme(pattern)
            with _failures_of(pattern):
                found = sorted(tf.io.gfile.glob(pattern))
        else:
            found = sorted(glob.glob(pattern)) or ([pattern] if os.path.exists(pattern) else [])
        if not found:
            stem, suffix, rest = pattern.partition(".tfrecord")
            shards = f"{stem}-*{suffix}{rest}"
            there = not is_url(pattern) and glob.glob(shards)
            advice = f"; its shards are {reading.name(shards)}" if there else ""
            raise FileError(f"{reading.name(pattern)}: no such files{advice}")
        return found
    paths = [os.fspath(path) for path in files]
    if not paths:
        raise FileError("there are no files to read")
    for path in paths:
        if is_url(path):
            _check_scheme(path)
        elif not os.path.exists(path):
            advice = "; a pattern is not one of a list" if glob.has_magic(path) else ""
            raise FileError(f"{reading.name(path)}: no such file{advice}")
    return paths


def _check_scheme(url: str) -> None:
    scheme = url.partition("://")[0]
    known = sorted(filter(None, tf.io.gfile.get_registered_schemes()))
    if scheme not in known:
        raise FileError(
            f"{reading.name(url)}: TensorFlow does not read {scheme}://, only {', '.join(known)}; "
            "copy the files to this machine"
        )


@contextmanager
def _failures_of(path: object) -> Iterator[None]:
    """What TensorFlow says of a file at a URL, as a FileError."""
    try:
        yield
    except tf.errors.OpError as error:
        raise FileError(f"{reading.name(str(path))}: cannot be read: {error.message}") from None


def data_set_of(path: str | os.PathLike[str]) -> Path:
    """The name of the data set to which a shard belongs: that of its schema without ``.json``."""
    name = re.sub(r"-\d{5}-of-\d{5}(?=\.)", "", Path(path).name)
    return Path(path).with_name(name)


def _manifest(path: str) -> tuple[Path | Remote, bytes | None]:
    """The manifest of the data set to which a shard belongs, and its content if it is there."""
    one = place(path)
    one = one.with_name(f"{data_set_of(one.name)}.manifest.json")
    if isinstance(one, Path):
        return one, reading.read(one, MAX_MANIFEST) if one.exists() else None
    with _failures_of(one):
        if not tf.io.gfile.exists(one.url):
            return one, None
        with tf.io.gfile.GFile(one.url, "rb") as file:
            return one, file.read(MAX_MANIFEST)


def _size(path: str) -> int:
    if is_url(path):
        with _failures_of(path):
            return int(tf.io.gfile.stat(path).length)
    with reading.failures_of(path):
        return os.path.getsize(path)


def _check(paths: list[str], whole: bool) -> dict[str, Any]:
    """The features that the manifest lists; FileError if the files are not those that it lists."""
    path, text = _manifest(paths[0])
    if text is None:
        return {}
    try:
        manifest = json.loads(text)
        sizes = {shard["shard"]: shard["bytes"] for shard in manifest["shards"]}
        features = {
            name: _parser(kind) for name, kind in manifest["features"].items() if name != FILE
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
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
            same = data_set_of(one).name == data_set_of(paths[0]).name
            advice = "delete it, or pass a list of files" if same else "read one data set at a time"
            raise FileError(f"{one}: is not one of the shards of {path}; {advice}")
        size = _size(one)
        if size != sizes[name]:
            raise FileError(f"{one}: has {size} bytes, {path} says {sizes[name]}")
    return {FILE: tf.io.FixedLenFeature([], tf.string), **features}


def _parser(kind: Mapping[str, Any]) -> Any:
    """How ``tf.io.parse_example`` reads a feature that the manifest describes."""
    dtype, length = tf.as_dtype(kind["dtype"]), kind["length"]
    if length == -1 or kind["missing"]:
        return tf.io.RaggedFeature(dtype)
    return tf.io.FixedLenFeature([] if length is None else [length], dtype)
