"""Warm-up records: requests that TensorFlow Serving runs itself before it serves a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import reading
from ..errors import ExportError
from ..extras import tensorflow as tf
from ..protobuf_fields import field

#: Where the server looks for them, in a version directory.
ASSET = Path("assets.extra", "tf_serving_warmup_requests")
#: Bytes of records that are kept.
MAX_NBYTES = 2**32
#: A server refuses to load a model with more records.
MOST = 1000


def write_warmup(path: Path, feeds: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Write a record for each pair of a signature and batches by key; they run in this order."""
    feeds = list(feeds)
    if len(feeds) > MOST:
        raise ExportError(f"{len(feeds)} warm-up requests, a server takes at most {MOST}")
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, feed in feeds:
            writer.write(prediction_log(signature, feed))


def add_warmup(path: Path, feeds: Iterable[tuple[str, Mapping[str, Any]]]) -> bool:
    """As ``write_warmup``, after the records that are there; False if they would be too many."""
    feeds = list(feeds)
    count = sum(1 for _ in tf.data.TFRecordDataset(str(path))) if path.exists() else 0
    if count + len(feeds) > MOST:
        return False
    there = reading.read(path, MAX_NBYTES) if path.exists() else b""
    path.parent.mkdir(exist_ok=True)
    write_warmup(path, feeds)
    path.write_bytes(there + reading.read(path, MAX_NBYTES))
    return True


def prediction_log(signature: str, feed: Mapping[str, Any]) -> bytes:
    """A serialized PredictionLog of one PredictRequest.

    The messages are TensorFlow Serving's own (``prediction_log.proto``, ``predict.proto``,
    ``model.proto``), which TensorFlow does not contain. All fields here are messages or strings.
    """
    request = [field(1, field(3, signature.encode()))]  # model_spec { signature_name }
    for key, batch in sorted(feed.items()):
        tensor = tf.make_tensor_proto(batch).SerializeToString()
        request.append(field(2, field(1, key.encode()) + field(2, tensor)))  # inputs, a map
    return field(6, field(1, b"".join(request)))  # predict_log { request }
