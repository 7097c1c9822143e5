"""The base class carries codecs that are not there yet: three of them made here, as tests."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same
from tests.reloaded import Decoders, save
from tfdecode.codecs.base import Compressor, Container, Filter
from tfdecode.errors import DecodeError, EncodeError
from tfdecode.form import ArrayForm, BytesForm
from tfdecode.graph.rows import Rows, Status


@dataclass(frozen=True)
class Trimmed(Container):
    """uint8 without its trailing zeros: rows of different length for an array of a fixed shape."""

    name = "trimmed"

    def resolve(self, form: ArrayForm) -> BytesForm:
        return BytesForm(0, form.max_nbytes, lambda: self.filler(form))

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        return x.tobytes().rstrip(b"\0")

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        if y.endswith(b"\0"):
            raise DecodeError("payload ends in a zero byte")
        return np.frombuffer(y.ljust(form.max_nbytes, b"\0"), "u1").reshape(form.max_shape).copy()

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        length = tf.strings.length(rows.data)
        last = tf.strings.substr(rows.data, tf.maximum(length - 1, 0), tf.ones_like(length))
        trimmed = tf.not_equal(last, b"\0")
        rows = rows.check(trimmed, length, Status.DAMAGED, "has {} bytes, the last of them zero")
        rows = rows.guard(self.filler(form))
        lengths = tf.strings.length(rows.data)
        values = tf.io.decode_raw(tf.strings.reduce_join(rows.data), tf.uint8)
        ragged = tf.RaggedTensor.from_row_lengths(values, lengths)
        dense = ragged.to_tensor(shape=[None, form.max_nbytes])
        return replace(rows, data=tf.reshape(dense, tf.stack([rows.size, *form.max_shape])))


@dataclass(frozen=True)
class Runs(Container):
    """uint8 ``[None]`` as (count, value) pairs: flat with lengths, made in the graph."""

    name = "runs"

    def resolve(self, form: ArrayForm) -> BytesForm:
        return BytesForm(0, 2 * form.max_nbytes, lambda: self.filler(form))

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        return b"".join(bytes([1, value]) for value in x.tolist())

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        if len(y) % 2 or sum(y[::2]) > form.max_nbytes:
            raise DecodeError("payload is no runs")
        pairs = np.frombuffer(y, "u1").reshape(-1, 2)
        return np.repeat(pairs[:, 1], pairs[:, 0])

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        length = tf.strings.length(rows.data)
        rows = rows.check(length % 2 == 0, length, Status.LENGTH, "has {} bytes, needs pairs")
        # A filler of no bytes at all: bad rows have no elements.
        rows = rows.guard(self.filler(form))
        pairs = tf.strings.length(rows.data) // 2
        values = tf.reshape(tf.io.decode_raw(tf.strings.reduce_join(rows.data), tf.uint8), [-1, 2])
        counts = tf.cast(values[:, 0], tf.int64)
        totals = tf.RaggedTensor.from_row_lengths(counts, pairs)
        lengths = tf.reduce_sum(totals, axis=1)
        fits = lengths <= form.max_nbytes
        rows = rows.check(fits, lengths, Status.LENGTH, f"has {{}} values, needs {form.max_nbytes}")
        kept = tf.repeat(fits, tf.cast(pairs, tf.int64))
        counts = tf.where(kept, counts, 0)
        lengths = tf.where(fits, lengths, 0)
        data = tf.cast(tf.repeat(tf.cast(values[:, 1], tf.int32), counts), tf.uint8)
        return replace(rows, data=data, lengths=lengths)


@dataclass(frozen=True)
class Base64(Compressor):
    """URL-safe text, by an op that fails the whole batch on any other character."""

    name = "base64"

    def resolve(self, form: BytesForm) -> BytesForm:
        return BytesForm(
            form.min_nbytes * 4 // 3, form.max_nbytes * 4 // 3 + 3, lambda: self.filler(form)
        )

    def encode(self, x: bytes, form: BytesForm) -> bytes:
        return base64.urlsafe_b64encode(x).rstrip(b"=")

    def decode(self, y: bytes, form: BytesForm) -> bytes:
        text = y.translate(bytes.maketrans(b"-_", b"+/"))
        try:
            return base64.b64decode(text + b"=" * (-len(y) % 4), validate=True)
        except ValueError:
            raise DecodeError("payload is no base64") from None

    def decode_rows(self, rows: Rows, form: BytesForm) -> Rows:
        length = tf.strings.length(rows.data)
        # RE2 reads UTF-8: the bytes of a row are made characters first.
        text = tf.strings.unicode_transcode(rows.data, "ISO-8859-1", "UTF-8")
        fits = tf.strings.regex_full_match(text, "[A-Za-z0-9_-]*") & tf.not_equal(length % 4, 1)
        rows = rows.check(fits, length, Status.DAMAGED, "is no base64 of {} bytes")
        rows = rows.guard(self.filler(form))
        return replace(rows, data=tf.io.decode_base64(rows.data))


@dataclass(frozen=True)
class Below(Filter):
    """Passes values below ``limit`` on, refuses others: zeros are refused where ``limit`` is 0."""

    name = "below"
    limit: int

    def resolve(self, form: ArrayForm) -> ArrayForm:
        return form

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        if (x >= self.limit).any():
            raise EncodeError(f"array has values from {self.limit} on")
        return x

    def decode(self, y: np.ndarray, form: ArrayForm) -> np.ndarray:
        if (y >= self.limit).any():
            raise DecodeError(f"payload has values from {self.limit} on")
        return y

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        message = f"has {{}} values from {self.limit} on"
        return rows.check_elements(rows.data >= self.limit, Status.VALUE, message)


@dataclass(frozen=True)
class Toy:
    """A spec, its array, and bad payloads with the status and the words that tell of each."""

    spec: tfd.ArraySpec
    array: np.ndarray
    bad: tuple[tuple[bytes, Status, str], ...]


def spec(shape: Any, dtype: str, *codecs: Any, **further: Any) -> tfd.ArraySpec:
    return tfd.ArraySpec(shape, dtype, codecs, **further)


RAGGED = {"max_shape": (6,)}
TOYS = {
    "rows of different length": Toy(
        spec((2, 3), "uint8", Trimmed()),
        np.array([[1, 0, 2], [3, 0, 0]], "u1"),
        (
            (b"\1\0", Status.DAMAGED, "has 2 bytes, the last of them zero"),
            (b"1234567", Status.LENGTH, "has 7 bytes, needs 0 to 6"),
        ),
    ),
    "rows of different length, sealed": Toy(
        spec((2, 3), "uint8", Trimmed(), "seal"),
        np.array([[1, 0, 2], [3, 0, 0]], "u1"),
        ((b"\1\0\2" + bytes(8), Status.SEAL, "has 11 bytes that do not match their seal"),),
    ),
    "flat data with lengths": Toy(
        spec((None,), "uint8", Runs(), **RAGGED),
        np.array([7, 7, 9], "u1"),
        (
            (b"\1\2\3", Status.LENGTH, "has 3 bytes, needs pairs"),
            (b"\5\1\5\1", Status.LENGTH, "has 10 values, needs 6"),
        ),
    ),
    "flat data under filters": Toy(
        spec((None,), "float32", "transpose:0", "astype:uint8", Below(limit=9), Runs(), **RAGGED),
        np.array([7, 0, 8], "f4"),
        (
            (b"\2\x09\1\1", Status.VALUE, "has 2 values from 9 on"),
            (b"\7\1", Status.LENGTH, "has 7 values, needs 6"),
        ),
    ),
    "an op that throws": Toy(
        spec((2,), "int16", Base64(), seal=False),
        np.array([1, -2], "i2"),
        (
            (b"AQD!_w", Status.DAMAGED, "is no base64 of 6 bytes"),
            (b"AQD\xff\xfe\x80", Status.DAMAGED, "is no base64 of 6 bytes"),
            (b"AQD-_w8", Status.LENGTH, "has 5 bytes after base64 is decoded, needs 4"),
        ),
    ),
    "an op that throws, over zlib": Toy(
        spec((2,), "int16", "zlib", Base64()),
        np.array([1, -2], "i2"),
        ((b"A" * 40, Status.SEAL, "has 40 bytes that do not match their seal"),),
    ),
    "a filter that refuses values": Toy(
        spec((3,), "int32", Below(limit=100)),
        np.array([1, 2, 99], "i4"),
        ((np.array([1, 100, 200], "i4").tobytes(), Status.VALUE, "has 2 values from 100 on"),),
    ),
    "a filter that refuses the filler too": Toy(
        spec((3,), "int32", Below(limit=0)),
        np.array([-1, -2, -3], "i4"),
        (
            (bytes(12), Status.VALUE, "has 3 values from 0 on"),
            (bytes(11), Status.LENGTH, "has 11 bytes, needs 12"),
        ),
    ),
}
each_toy = pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS)
each_bad = pytest.mark.parametrize(
    "name, payload, status, words",
    [(name, *bad) for name, toy in TOYS.items() for bad in toy.bad],
)


@pytest.fixture(scope="module")
def decoders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    specs = {name.replace(" ", "_").replace(",", ""): toy.spec for name, toy in TOYS.items()}
    module = Decoders(specs)
    again = save(module, tmp_path_factory.mktemp("toys"))
    return {
        name: (again.tensor[key], again.checked[key]) for name, key in zip(TOYS, specs, strict=True)
    }


@each_toy
def test_numpy_round_trip(toy: Toy) -> None:
    assert_same(toy.spec.decode(toy.spec.encode(toy.array)), toy.array)


@pytest.mark.parametrize("name", TOYS)
def test_a_reloaded_model_decodes_it(name: str, decoders: Any) -> None:
    toy = TOYS[name]
    payloads = tf.constant([toy.spec.encode(toy.array)] * 2)
    assert_same(decoders[name][0](payloads), np.stack([toy.array] * 2))


@each_bad
def test_numpy_refuses_a_bad_payload(name: str, payload: bytes, status: Status, words: str) -> None:
    with pytest.raises(DecodeError):
        TOYS[name].spec.decode(payload)


@each_bad
def test_decode_tensor_fails_and_names_the_row(
    name: str, payload: bytes, status: Status, words: str, decoders: Any
) -> None:
    good = TOYS[name].spec.encode(TOYS[name].array)
    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        decoders[name][0](tf.constant([good, good, payload]))
    assert f": row 2 {words}" in failure.value.message


@each_bad
def test_decode_checked_leaves_the_neighbours_alone(
    name: str, payload: bytes, status: Status, words: str, decoders: Any
) -> None:
    toy = TOYS[name]
    good = toy.spec.encode(toy.array)
    decoded, statuses = decoders[name][1](tf.constant([good, payload, good]))
    assert statuses.numpy().tolist() == [0, status, 0]
    assert_same(decoded, np.stack([toy.array, np.zeros_like(toy.array), toy.array]))


def test_a_codec_that_cannot_encode_in_a_graph_says_so_by_name() -> None:
    with pytest.raises(tfd.SpecError, match="codec below cannot encode in a graph"):
        TOYS["a filter that refuses values"].spec.encode_tensor(tf.zeros([1, 3], tf.int32))
