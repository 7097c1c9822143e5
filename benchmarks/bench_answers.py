"""Answers of a model: encoded in the graph, sent by REST, and decoded by the client."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

import tfdecode as tfd

from . import inputs, peers, targets
from .inputs.people import large_labels, large_mask
from .report import Table, track
from .timing import medians

#: Rows of a batch: of flat maps, and of other inputs, whose JSON takes seconds.
BATCH, SMALL_BATCH, SECONDS = 32, 8, 4.0
JSON = "JSON lists"


def batch_of(make: Callable[[np.random.Generator], np.ndarray]) -> np.ndarray:
    """A batch of arrays of a kind, ``SMALL_BATCH`` of them different."""
    some = [make(np.random.default_rng(row)) for row in range(SMALL_BATCH)]
    return np.stack([some[row % SMALL_BATCH] for row in range(BATCH)])


def masks() -> np.ndarray:
    """bool ``[32, 512, 512]``."""
    return batch_of(lambda rng: large_mask(rng, height=512, width=512))


def labels(dtype: str) -> np.ndarray:
    """Labels ``[32, 512, 512]``."""
    return batch_of(lambda rng: large_labels(rng, height=512, width=512)).astype(dtype)


def kind(name: str) -> np.ndarray:
    """A batch of an input of the other benchmarks."""
    return np.stack(inputs.variants(name, SMALL_BATCH))


#: What the model answers -> the batch, and the chains to try.
ANSWERS: dict[str, tuple[Callable[[], np.ndarray], tuple[str, ...]]] = {
    "masks bool [512,512]": (
        masks,
        ("packbits|png|seal or raw", "packbits|zlib_bounded or raw", "png|seal or raw", "packbits"),
    ),
    "labels uint8 [512,512]": (
        lambda: labels("uint8"),
        ("png|seal or raw", "zlib_bounded or raw"),
    ),
    "labels float32 [512,512]": (
        lambda: labels("float32"),
        ("astype:uint8|png|seal or raw", "astype:uint8|zlib_bounded or raw"),
    ),
    "one_hot": (lambda: kind("one_hot"), ("onehot|png|seal or raw", "onehot|zlib_bounded or raw")),
    "depth": (
        lambda: kind("depth"),
        ("png|seal or raw", "delta:0,zigzag=true|shuffle|zlib_bounded or raw"),
    ),
    "pose_gaussians_cut": (
        lambda: kind("pose_gaussians_cut"),
        ("shuffle|zlib_bounded or raw", "raw|seal"),
    ),
    "embedding": (lambda: kind("embedding"), ("raw", "raw|seal")),
}


@dataclass(frozen=True)
class Way:
    """A way to answer: a tensor to the body, and the body to the array."""

    make: Callable[[], bytes]
    read: Callable[[bytes], np.ndarray]


def by_payloads(batch: np.ndarray, codecs: str) -> Way:
    """Payloads as base64."""
    spec = tfd.ArraySpec(batch.shape[1:], batch.dtype, codecs)
    encode = graph_of(spec.encode_tensor, batch)

    def read(body: bytes) -> np.ndarray:
        return np.stack([spec.decode(payload) for payload in payloads_of(body)])

    return Way(lambda: payloads_body(encode().numpy()), read)


def by_serialize_tensor(batch: np.ndarray) -> Way:
    """What TensorFlow has: a TensorProto for each row, as base64."""

    def serialized(x: Any) -> Any:
        return tf.map_fn(tf.io.serialize_tensor, x, fn_output_signature=tf.string)

    encode = graph_of(serialized, batch)

    def read(body: bytes) -> np.ndarray:
        return np.stack([tensor_of(payload) for payload in payloads_of(body)])

    return Way(lambda: payloads_body(encode().numpy()), read)


def by_lists(batch: np.ndarray) -> Way:
    """Nested lists: the server writes about as fast as orjson does; the client has ``json``."""
    compact = json.dumps(batch.tolist(), separators=(",", ":")).encode()
    make = lambda: compact  # noqa: E731
    if "orjson" in peers.INSTALLED:
        import orjson

        option = orjson.OPT_SERIALIZE_NUMPY
        make = lambda: orjson.dumps(batch, option=option)  # noqa: E731
    return Way(make, lambda body: np.asarray(json.loads(body), batch.dtype))


def tensor_of(payload: bytes) -> np.ndarray:
    """The array of a serialized tensor."""
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    array: np.ndarray = tf.make_ndarray(TensorProto.FromString(payload))
    return array


def graph_of(function: Callable[[Any], Any], batch: np.ndarray) -> Callable[[], Any]:
    """``function`` of the batch, traced."""
    tensor = tf.constant(batch)
    kind = tf.TensorSpec([None, *batch.shape[1:]], batch.dtype)
    traced = tf.function(function, input_signature=[kind], autograph=False)
    return lambda: traced(tensor)


def payloads_body(payloads: np.ndarray) -> bytes:
    """Payloads as TensorFlow Serving writes them."""
    rows = [{"b64": base64.b64encode(payload).decode()} for payload in payloads]
    return json.dumps({"outputs": rows}).encode()


def payloads_of(body: bytes) -> list[bytes]:
    """The reverse."""
    return [base64.b64decode(row["b64"]) for row in json.loads(body)["outputs"]]


def rows_of(name: str, batch: np.ndarray, chains: tuple[str, ...]) -> list[list[str]]:
    """The cells of each way to send one kind of answer."""
    ways = {JSON: by_lists(batch)}
    if batch.dtype != bool:
        ways["serialize_tensor"] = by_serialize_tensor(batch)
    ways |= {chain: by_payloads(batch, chain) for chain in chains}
    works: dict[str, Callable[[], Any]] = {}
    sizes = {}
    for way, one in ways.items():
        body = one.make()
        sizes[way] = len(body)
        assert one.read(body).tobytes() == batch.tobytes()
        works[f"make {way}"] = one.make
        works[f"read {way}"] = lambda one=one, body=body: one.read(body)
    times = medians(works, SECONDS, least=3)
    lists = times[f"make {JSON}"] + times[f"read {JSON}"]
    packed = sum(len(zlib.compress(row.tobytes(), 6)) for row in batch)
    rows = []
    for way, size in sizes.items():
        make, read = times[f"make {way}"], times[f"read {way}"]
        share, faster = size / sizes[JSON], lists / (make + read)
        mark = ""
        if name.startswith("masks") and way == chains[0]:
            mark = targets.mark(share <= targets.ANSWER_SHARE and faster > 1)
        cells = [f"{size:,}", f"{share:.2%}", f"{make:.1f}", f"{read:.1f}", f"{faster:.1f}", mark]
        rows.append([name, way, *cells])
    share = packed / sizes[JSON]
    rows.append([name, "zlib 6, bytes alone", f"{packed:,}", f"{share:.2%}", *[""] * 4])
    return rows


def main() -> list[Table]:
    """Answers of flat and of smooth values; each must come back bit for bit."""
    rows: list[list[str]] = []
    for name, (make, chains) in track(ANSWERS.items(), "answers"):
        rows += rows_of(name, make(), chains)
    note = (
        f"Batches of {BATCH}, from one_hot on of {SMALL_BATCH}. No server and no network: one "
        "Python process runs the graph, writes the body, and reads it. Chains are encoded in the "
        "graph and sent as base64; `raw` takes the rows that the first chain cannot carry. JSON "
        "lists are written by orjson, if it is there, in place of the server, and read by `json`. "
        'No stock op deflates but `encode_png`: "zlib 6" is what Python makes of the bytes, '
        f"without base64. Times faster is against {JSON}; the target is for masks: at most "
        f"{targets.ANSWER_SHARE:.0%} of its bytes, and faster.{peers.absent()}"
    )
    columns = ("answer", "way", "bytes", "of JSON", "encode, ms", "read, ms", "times faster")
    title = "From the tensor of a model to the array of a client"
    return [Table(title, note, (*columns, "target"), rows, 2)]
