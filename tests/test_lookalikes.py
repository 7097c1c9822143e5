"""What a payload is told to look like, by numpy and by a reloaded model."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import file_by
from tests.reloaded import Decoders, save

CHAINS = ["raw", "raw|seal", "zlib", "png", "npy", "pkl or raw", "astype:float16|zlib or raw"]
SPECS = {f"s{i}": tfd.ArraySpec((8, 8), "float32", chain) for i, chain in enumerate(CHAINS)}
X = np.random.default_rng(0).random((8, 8), "float32").astype("float16").astype("float32")


def npy() -> bytes:
    return file_by(np.save, X)


def text(payload: bytes) -> bytes:
    return base64.b64encode(payload)


#: What is sent in the place of a payload -> what it is said to be.
SENT: list[tuple[Callable[[bytes], bytes], str]] = [
    (text, "base64 text: decode it first (base64.b64decode); in JSON for REST it is"),
    (base64.urlsafe_b64encode, "base64 text: "),
    (base64.encodebytes, "base64 text: "),
    (lambda p: text(p).rstrip(b"="), "base64 text: "),
    (lambda p: text(p)[:20] + b"\r\n", "base64 text: "),
    (lambda p: b"data:application/octet-stream;base64," + text(p), "a data URL: send the base64"),
    (lambda p: str(text(p)).encode(), "Python's str() of bytes: send base64.b64encode(payload)"),
    (lambda p: str(p).encode(), "Python's str() of bytes: "),
    (lambda p: p.hex().encode(), "hex text: decode it first (bytes.fromhex)"),
    (lambda p: json.dumps({"b64": text(p).decode()}).encode(), "text of a b64 object: send the"),
    (lambda p: json.dumps(X.tolist(), indent=1).encode(), "a JSON list: encode the array"),
    (lambda p: gzip.compress(p), "gzip data: send the payload itself"),
    (lambda p: npy(), "an .npy file: read it by tfdecode.load, and encode the array"),
    (lambda p: pickle.dumps(X, 2), "a pickle: read it by tfdecode.load"),
    (lambda p: pickle.dumps({"x": X}, 3), "a pickle: "),
    (lambda p: pickle.dumps([X], 4), "a pickle: "),
    (lambda p: pickle.dumps(X, 5), "a pickle: "),
    (lambda p: X.tobytes(), "it has as many bytes as the array itself, which must be encoded"),
]


@pytest.fixture(scope="module")
def decoders(tmp_path_factory: pytest.TempPathFactory) -> Decoders:
    return save(Decoders(SPECS, ()), tmp_path_factory.mktemp("lookalikes"))


def numpy_says(spec: tfd.ArraySpec, payload: bytes) -> str | None:
    try:
        spec.decode(payload)
    except tfd.DecodeError as error:
        return str(error)
    return None


def graph_says(decode: Any, payloads: list[bytes]) -> str | None:
    try:
        decode(tf.constant(payloads))
    except tf.errors.InvalidArgumentError as error:
        said: str = error.message.replace('\\"', '"').replace("\\'", "'")
        return said
    return None


@pytest.mark.parametrize("key", SPECS)
def test_both_sides_say_what_it_looks_like(decoders: Decoders, key: str) -> None:
    spec, told = SPECS[key], 0
    good = spec.encode(X)
    for make, words in SENT:
        payload = make(good)
        graph, numpy = graph_says(decoders.tensor[key], [good, payload]), numpy_says(spec, payload)
        assert (graph is None) == (numpy is None)
        if graph is None or numpy is None:  # a file or the bare array, where they are payloads
            continue
        told += 1
        assert "row 1 " in graph
        assert f"; send float32 [8, 8] packed by {spec.chain.text} (in a batch of 2" in graph
        if (
            words.startswith("a pickle") and "pkl" in spec.chain.text
        ):  # of another writer, or damaged
            assert "it looks like" not in graph
            continue
        assert words in graph, graph
        # If the length is wrong, numpy has more kinds of files to tell, with other words.
        assert words in numpy or "; it looks like" in numpy, numpy
    assert told >= 15


@pytest.mark.parametrize("key", SPECS)
def test_of_a_damaged_payload_nothing_is_guessed(decoders: Decoders, key: str) -> None:
    good = SPECS[key].encode(X)
    for damaged in (good[:-1], b"AAAA", b"", b"\1" * 16):
        graph = graph_says(decoders.tensor[key], [damaged])
        numpy = numpy_says(SPECS[key], damaged)
        assert graph and numpy
        assert "it looks like" not in graph + numpy and "bytes as the array" not in graph + numpy
