"""Encoding in a graph: what it makes decodes to the tensor, row by row, whatever the values are."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import any_bits
from tests.reloaded import save
from tfdecode.dtypes import numpy_dtype
from tfdecode.formats.png import AVERAGE
from tfdecode.graph.crc import joined_crc
from tfdecode.saved_models.session import ServingSession

RNG = np.random.default_rng(7)


def blocks(shape: tuple[int, ...], high: int, dtype: str) -> np.ndarray:
    """Few distinct values in squares of 16 pixels, as of a label map."""
    sides = [-(-side // 16) for side in shape[:2]]
    x = np.kron(RNG.integers(0, high, sides), np.ones((16, 16), int))[: shape[0], : shape[1]]
    return (x if len(shape) == 2 else np.stack([x] * shape[2], -1)).astype(dtype)


@dataclass
class Output:
    """A spec, arrays that it carries, and arrays that it does not."""

    spec: tfd.ArraySpec
    good: list[np.ndarray]
    bad: list[np.ndarray]


def output(
    shape: tuple[int, ...], dtype: str, codecs: str, *good: np.ndarray, bad: Any = ()
) -> Output:
    """Of a total spec arrays of any bits are good as well."""
    spec = tfd.ArraySpec(shape, dtype, codecs)
    rows = [np.asarray(x, numpy_dtype(dtype)) for x in good]
    if not spec.domain:
        rows += [any_bits(RNG, shape, dtype), np.zeros(shape, numpy_dtype(dtype))]
    return Output(spec, rows, [np.asarray(x, numpy_dtype(dtype)) for x in bad])


SPECIAL = [np.nan, -0.0, 0.5, 256.0]
ONE_HOT = np.eye(5, dtype="f4")[RNG.integers(0, 5, (3, 4))]
LARGE_MASK = blocks((256, 128), 2, "f4")
OUTPUTS = {
    # Small rows, encoded as a batch.
    "bits": output((5, 7), "bool", "packbits"),
    "bits of int64": output(
        (9,), "int64", "packbits", np.arange(9) % 2, bad=[np.arange(9), np.full(9, -(2**63))]
    ),
    "bits of uint64": output((9,), "uint64", "packbits", [1] * 9, bad=[[2**63] * 9]),
    "bits in a png": output((20, 30), "bool", "packbits|png"),
    "labels": output(
        (3, 4), "float32", "astype:uint8", np.full((3, 4), 255), bad=np.full((4, 3, 4), 1)
    ),
    "labels or raw": output(
        (4,), "float32", "astype:uint8 or raw", range(4), *([x, 0, 1, 2] for x in SPECIAL)
    ),
    "one-hot": output(
        (3, 4, 5), "float32", "onehot|zlib_bounded or raw", ONE_HOT, -ONE_HOT, 2 * ONE_HOT
    ),
    "one-hot alone": output(
        (3, 4, 5),
        "float32",
        "onehot",
        ONE_HOT,
        bad=[0 * ONE_HOT, 1 - ONE_HOT, np.where(ONE_HOT, 1, np.nan)],
    ),
    "one-hot complex": output((2, 3), "complex128", "onehot or raw", np.eye(3)[[0, 2]]),
    "planes": output((9, 33), "float32", "png"),
    "depth": output((70, 40), "uint16", "png", RNG.integers(900, 910, (70, 40))),
    "smooth": output((40, 50), "int16", "delta:0,zigzag=true|shuffle|zlib_bounded or raw"),
    "nothing": output((0, 3), "float32", "png or raw"),
    "scalar": output((), "float64", "zlib_bounded or raw", *SPECIAL),
    "millimetres": output(
        (5, 3),
        "float32",
        "fixed_point:1000,100,10,dtype=int16",
        np.arange(15).reshape(5, 3) / np.array([1e3, 1e2, 1e1]),
        bad=[np.full((5, 3), x) for x in (np.nan, -0.0, 1e-4, 4000, np.inf, 1e-40)],
    ),
    "three": output(
        (64,), "int32", "astype:int8|zlib_bounded or astype:int16 or raw", [7] * 64, [700] * 64
    ),
    "a png like others": output(  # raw bytes that begin as a PNG need the tag of raw
        (8,), "uint8", "png or raw", list(b"\x89PNG\r\n\x1a\n")
    ),
    # Large rows, one by one.
    "float mask": output(
        (256, 128), "float32", "astype:bool|packbits|png or raw", LARGE_MASK, -LARGE_MASK
    ),
    "picture": output((120, 100, 3), "uint8", "png:interleaved", blocks((120, 100, 3), 9, "u1")),
    "many chunks": output((300, 500), "uint8", "png", blocks((300, 500), 9, "u1")),
    "an image of libpng": output((500, 550), "float32", "png", blocks((500, 550), 9, "f4")),
    "gradient": output((200, 200), "uint8", "png", np.add.outer(*[np.arange(200) * 3] * 2) % 256),
}
OUTPUTS["labels"].bad = [np.full((3, 4), x, "f4") for x in SPECIAL]
each = pytest.mark.parametrize("key", OUTPUTS)
SERVED = ["labels or raw", "one-hot", "float mask", "many chunks"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A saved and reloaded model with functions for each spec, also as a server runs it."""
    module, directory = tf.Module(), Path(tmp_path_factory.mktemp("outputs"))
    module.encode = {key: encoder(one.spec) for key, one in OUTPUTS.items()}
    module.checked = {key: encoder(one.spec, True) for key, one in OUTPUTS.items() if one.bad}
    names = {key: key.replace(" ", "_").replace("-", "_") for key in SERVED}
    concrete = {key: module.encode[key].get_concrete_function() for key in SERVED}
    loaded = save(module, directory, {names[key]: one for key, one in concrete.items()})
    with ServingSession(directory) as session:
        loaded.served = lambda key, x: session.run(names[key], {"x": x})["output_0"]
        yield loaded


def encoder(spec: tfd.ArraySpec, checked: bool = False) -> Any:
    """What encodes a batch of any size."""
    batch = tf.TensorSpec([None, *spec.shape], spec.dtype, name="x")

    @tf.function(input_signature=[batch], autograph=False)
    def function(x: tf.Tensor) -> Any:
        return spec.encode_checked(x) if checked else spec.encode_tensor(x, output_name="answer")

    return function


@each
def test_each_payload_decodes_to_its_row_bit_for_bit(key: str, model: Any) -> None:
    spec, rows = OUTPUTS[key].spec, OUTPUTS[key].good
    batch = np.stack(rows)
    payloads = model.encode[key](batch).numpy()
    assert payloads.shape == (len(rows),)
    for row, payload in zip(rows, payloads, strict=True):
        decoded = spec.decode(payload)
        assert (decoded.shape, decoded.dtype) == (row.shape, row.dtype)
        assert decoded.tobytes() == row.tobytes()
    assert spec.decode_tensor(payloads).numpy().tobytes() == batch.tobytes()


@pytest.mark.parametrize("key", SERVED)
def test_a_server_encodes_the_same_and_an_empty_batch(key: str, model: Any) -> None:
    batch = np.stack(OUTPUTS[key].good)
    assert list(model.served(key, batch)) == list(model.encode[key](batch).numpy())
    assert list(model.served(key, batch[:0])) == []


@each
def test_a_row_has_the_same_payload_alone_and_in_any_mix(key: str, model: Any) -> None:
    rows = OUTPUTS[key].good
    alone = [model.encode[key](row[np.newaxis]).numpy()[0] for row in rows]
    for order in itertools.islice(itertools.permutations(range(len(rows))), 1, 24, 5):
        mixed = model.encode[key](np.stack([rows[index] for index in order]))
        assert list(mixed.numpy()) == [alone[index] for index in order]


@pytest.mark.parametrize("key", [key for key, one in OUTPUTS.items() if one.bad])
def test_a_row_outside_the_domain_is_named_or_gets_a_status(key: str, model: Any) -> None:
    spec, good = OUTPUTS[key].spec, OUTPUTS[key].good[0]
    for bad in OUTPUTS[key].bad:
        with pytest.raises(tfd.EncodeError):
            spec.encode(bad)
        batch = np.stack([good, bad, good])
        with pytest.raises(tf.errors.InvalidArgumentError, match="answer: row 1 has") as refusal:
            model.encode[key](batch)
        assert "or raw" in str(refusal.value)
        payloads, status = model.checked[key](batch)
        assert status.numpy().tolist() == [0, tfd.Status.VALUE, 0]
        first, filler, last = (spec.decode(payload) for payload in payloads.numpy())
        assert first.tobytes() == last.tobytes() == good.tobytes()
        assert filler.shape == good.shape


@pytest.mark.parametrize(
    "chains",
    [
        ["astype:uint8|raw|zlib_bounded", "astype:uint16"],
        ["astype:int8|raw|zlib_bounded", "astype:uint8|raw|zlib_bounded"],
        ["onehot", "astype:uint8|png"],
    ],
)
def test_the_payload_of_a_masked_row_selects_its_chain_and_decodes(chains: list[str]) -> None:
    spec = tfd.ArraySpec.joined([tfd.ArraySpec((4, 4), "float32", chain) for chain in chains])
    batch = np.stack([np.full((4, 4), np.nan), np.eye(4)]).astype("f4")
    payloads, status = spec.encode_checked(batch)
    assert status.numpy().tolist() == [tfd.Status.VALUE, 0]
    masked, good = (spec.decode(payload) for payload in payloads.numpy())
    assert masked.shape == (4, 4)
    assert good.tobytes() == np.eye(4, dtype="f4").tobytes()


@pytest.mark.parametrize("target", ["bool", "uint8", "int16", "uint32", "float16", "float32"])
@pytest.mark.parametrize(
    "source", ["float32", "float64", "float16", "bfloat16", "int64", "uint32", "complex64"]
)
def test_both_sides_carry_the_same_values(source: str, target: str) -> None:
    spec = tfd.ArraySpec((), source, f"astype:{target}")
    numbers = [0, 1, 2, -1, 0.5, 127, 128, 255, 256, 32767, 65536, 2**31, 2**32, 2.0**-149, 1e-40]
    with np.errstate(all="ignore"):
        usual = np.asarray(numbers, "f8").astype(numpy_dtype(source))
    values = np.concatenate([usual, any_bits(RNG, (40,), source)])
    payloads, status = spec.encode_checked(values)
    for value, payload, code in zip(values, payloads.numpy(), status.numpy(), strict=True):
        try:
            with np.errstate(invalid="ignore"):  # of the value in the message
                expected = spec.encode(value)
        except tfd.EncodeError:
            assert code == tfd.Status.VALUE, value
        else:
            assert (code, payload) == (0, expected), value


def test_images_have_no_filter_that_is_slow_to_undo(model: Any) -> None:
    one = OUTPUTS["many chunks"]
    for payload in model.encode["many chunks"](np.stack(one.good)).numpy():
        image = one.spec.chain.codecs[0].mosaic(one.spec.chain.form).image
        packed = payload[payload.index(b"IDAT") + 4 : -16]
        lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(image.height, -1)
        assert lines[:, 0].max() < AVERAGE


def test_the_crc_of_joined_strings() -> None:
    parts = [RNG.bytes(int(n)) for n in RNG.integers(0, 9000, 40)]
    for some in (parts[:1], parts[:2], parts):
        after = [sum(map(len, some[index + 1 :])) for index in range(len(some))]
        crcs = np.array([zlib.crc32(part) for part in some], np.uint32).view(np.int32)
        joined = joined_crc(tf.constant(crcs), tf.constant(after), 2**20)
        assert int(joined) % 2**32 == zlib.crc32(b"".join(some))


def test_a_codec_without_a_stock_op_says_what_to_use() -> None:
    spec = tfd.ArraySpec((3,), "uint8", "zlib")
    with pytest.raises(tfd.SpecError, match=r"codec zlib cannot encode in a graph.*zlib_bounded"):
        spec.encode_tensor(np.zeros((1, 3), np.uint8))


def test_masks_shrink_to_a_fiftieth_of_their_json() -> None:
    masks = np.stack([blocks((512, 512), 2, "bool") for _ in range(4)])
    spec = tfd.ArraySpec((512, 512), "bool", "packbits|png|seal or raw")
    payloads = spec.encode_tensor(masks).numpy()
    listed = sum(5 + (not value) for value in masks.ravel())  # "true, " or "false,"
    assert sum(-(-len(payload) // 3) * 4 for payload in payloads) < listed / 50
