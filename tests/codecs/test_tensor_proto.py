"""tensor_proto: what TensorFlow and protocol buffers write, in a reloaded model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import any_bits, assert_same
from tests.reloaded import Decoders, save
from tfdecode.dtypes import ITEM_SIZES, numpy_dtype
from tfdecode.formats.tensor_proto import DTYPES, VARINT_FIELDS, form_bytes
from tfdecode.protobuf_fields import field as tagged
from tfdecode.protobuf_fields import varints

SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (2, 3), (0, 3), (1, 300), (2, 1, 70, 2))
#: Name -> shape, dtype, max_shape.
SPECS: dict[str, tuple[Any, str, Any]] = {
    **{dtype: ((2, 3), dtype, None) for dtype in ("bool", "int8", "uint16", "float32", "uint64")},
    "long": ((None, 2), "float32", (20_000, 2)),
    "wide": ((2, None, 5), "int16", (2, 9, 5)),
}


def varint(number: int) -> bytes:
    return varints([number])


spec_of = {
    name: tfd.ArraySpec(shape, dtype, "tensor_proto", max_shape=bound)
    for name, (shape, dtype, bound) in SPECS.items()
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return save(Decoders(spec_of), tmp_path_factory.mktemp("tensor_proto"))


def some(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return any_bits(np.random.default_rng([len(dtype), *shape]), shape, dtype)


def written(array: np.ndarray) -> bytes:
    payload: bytes = tf.io.serialize_tensor(tf.constant(array)).numpy()
    return payload


def in_field_of_dtype(array: np.ndarray) -> bytes:
    """As `written`, with the values in ``float_val``, ``int_val`` ..."""
    _, field = DTYPES[array.dtype.name]
    data = np.ascontiguousarray(array).tobytes()
    if field in VARINT_FIELDS:
        numbers = array.view("u2") if array.dtype.itemsize == 2 and field == 13 else array
        data = b"".join(varint(int(number) % 2**64) for number in numbers.reshape(-1))
    return form_bytes(array.dtype.name, array.shape) + tagged(field, data)


def checked(decode: Any, rows: list[bytes]) -> tuple[np.ndarray, list[int]]:
    decoded, status = decode(tf.constant(rows, tf.string))
    return decoded.numpy(), status.numpy().tolist()


@pytest.mark.parametrize("dtype", ITEM_SIZES)
def test_the_bytes_are_those_of_serialize_tensor(dtype: str) -> None:
    for shape in SHAPES:
        spec, array = tfd.ArraySpec(shape, dtype, "tensor_proto"), some(shape, dtype)
        assert spec.encode(array) == written(array)
        assert_same(spec.decode(written(array)), array)
        assert_same(spec.decode_tensor([written(array)]), array[np.newaxis])


@pytest.mark.parametrize("dtype", ITEM_SIZES)
def test_values_in_the_field_of_their_dtype_are_read(dtype: str) -> None:
    spec, array = tfd.ArraySpec((2, 3), dtype, "tensor_proto"), some((2, 3), dtype)
    payload = in_field_of_dtype(array)
    assert_same(tf.io.parse_tensor(payload, dtype), array)
    assert_same(spec.decode(payload), array)
    assert_same(spec.decode_tensor(payload), array)
    for one in (np.zeros((2, 3)), np.ones((2, 3))):  # NaN is not kept by make_tensor_proto
        array = one.astype(numpy_dtype(dtype))
        assert_same(spec.decode(tf.make_tensor_proto(array).SerializeToString()), array)


@pytest.mark.parametrize("name", spec_of)
def test_rows_of_several_writers_in_one_batch(model: Any, name: str) -> None:
    shape, dtype, bound = SPECS[name]
    if bound is None:
        array = some(shape, dtype)
        rows = [written(array), in_field_of_dtype(array) if array.size else written(array)]
        for batch in (rows, rows[1:], rows[::-1] * 2):
            assert_same(model.tensor[name](tf.constant(batch)), np.stack([array] * len(batch)))
        return
    axis = shape.index(None)
    sides = [
        side for side in (0, 1, 2, 3, 127, 128, 129, 16_383, 16_384, 20_000) if side <= bound[axis]
    ]
    arrays = [some(tuple(n if side is None else side for side in shape), dtype) for n in sides]
    rows = [written(array) for array in arrays]
    ragged = model.ragged[name](tf.constant(rows))
    assert ragged.flat_values.numpy().tobytes() == b"".join(array.tobytes() for array in arrays)
    for row, array in zip(rows, arrays, strict=True):
        assert spec_of[name].encode(array) == row
        assert_same(spec_of[name].decode(row), array)
        assert_same(model.tensor[name](tf.constant([row]))[0], array)


def hostile(good: bytes, dtype: str, shape: tuple[int, ...]) -> Iterator[bytes]:
    """Messages that are no plain tensor of the spec."""
    number, field = DTYPES[dtype]
    start, data = form_bytes(dtype, shape), good[-np.prod(shape, dtype=int) * ITEM_SIZES[dtype] :]
    sides = [b"\x08" + varint(side) for side in shape]
    kind = b"\x08" + varint(number)
    for other in (2**31 - 1, 2**63 - 1, 2**64 - 1, 0):  # the last of them stands for -1
        yield kind + tagged(2, tagged(2, b"\x08" + varint(other)) + tagged(2, sides[-1]))
        dimensions = [tagged(2, b"\x08" + varint(other)), *(tagged(2, side) for side in sides[1:])]
        yield kind + tagged(2, b"".join(dimensions)) + tagged(4, data)
    yield kind + tagged(2, tagged(2, b"\x08" + b"\xff" * 10 + b"\x01") * 2) + tagged(4, data)
    yield kind + tagged(2, tagged(2, sides[0]) * 40) + tagged(4, data)
    yield kind + tagged(2, b"\x18\x01") + tagged(4, data)  # of unknown rank
    yield start + tagged(4, data[:-1])
    yield start + tagged(4, data + data)
    yield start + tagged(4, data) * 2
    yield start * 2 + tagged(4, data)
    yield tagged(4, data) + start
    yield good + b"\x18\x01"  # version 1
    yield good + b"\x18\x00"
    yield good + tagged(15, b"")
    yield start + b"\x22" + varint(2**31 - 1) + data
    yield start + b"\x22\x98\x80\x00" + data  # a length in more bytes than it needs
    yield start + b"\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + data
    yield start
    yield start + tagged(field, b"")
    yield start + tagged(field, data[: ITEM_SIZES[dtype]])  # one value for all elements
    yield start + tagged(field, b"\x80" * 10 * 6)
    yield start + tagged(field, (b"\xff" * 9 + b"\x01") * 6)  # -1
    yield start + tagged(field, (b"\xff" * 9 + b"\x02") * 6)
    yield start + tagged(field, (b"\x81\x80\x00") * 6)
    yield start + tagged(field, varint(2**16) * 6)
    yield start + tagged(field, varint(2**31) * 6)
    yield start + tagged(field, varint(1) * 5)
    yield start + tagged(field, varint(1) * 5 + b"\x80")
    yield start + tagged(field, varint(1) * 7)
    yield start + tagged(field, varint(2) * 6)
    yield start + tagged(field, varint(1) * 6)[:-1]
    yield start + varint(field << 3) + b"\x01"  # not packed
    for end in range(len(good)):
        yield good[:end]
    for place in range(len(good)):
        yield good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :]
        yield good[:place] + good[place:][:1] + good[place:]


@pytest.mark.parametrize("name", spec_of)
def test_numpy_and_the_graph_take_the_same_messages(model: Any, name: str) -> None:
    spec = spec_of[name]
    shape = tuple(3 if side is None else side for side in spec.shape)
    good = written(np.ones(shape, numpy_dtype(spec.dtype)))
    rows = list(hostile(good, spec.dtype, shape)) if shape and all(shape) else []
    rows += list(hostile(good, "float32", (2, 3)))
    rows += [written(some((3, 2), spec.dtype)), written(some((6,), spec.dtype)), bytes(len(good))]
    decoded, status = checked(model.checked[name], [good, *rows, good])
    assert status[0] == status[-1] == 0
    for row, got, code in zip(rows, decoded[1:], status[1:], strict=False):
        try:
            expected = spec.decode(row)
        except tfd.DecodeError:
            assert code and not got.tobytes().strip(b"\0"), row.hex()
        else:
            assert code == 0, row.hex()
            if None not in spec.shape:
                assert_same(got, expected)
            assert_same(tf.io.parse_tensor(row, spec.dtype), expected)
    assert sum(map(bool, status)) > 40


def test_the_message_says_what_the_tensor_is() -> None:
    spec = tfd.ArraySpec((2, 3), "float32", "tensor_proto")
    with pytest.raises(tfd.DecodeError, match=r"it holds int32 \[2, 3\]"):
        spec.decode(written(np.ones((2, 3), "i4")))
    filled = tf.make_tensor_proto(1.0, shape=(2, 3)).SerializeToString()
    with pytest.raises(tfd.DecodeError, match=r"with 1 values; tf\.io\.serialize_tensor writes"):
        spec.decode(filled)
    with pytest.raises(tf.errors.InvalidArgumentError, match="is not a TensorProto of float32"):
        spec.decode_tensor([written(np.ones((3, 2), "f4"))])


def test_a_graph_writes_it(tmp_path: Any) -> None:
    array = some((4, 2, 3), "uint16")
    spec = tfd.ArraySpec((2, 3), "uint16", "tensor_proto")
    rows = tf.function(spec.encode_tensor)(tf.constant(array)).numpy()
    assert rows.tolist() == [written(row) for row in array]


def test_one_of_recognises_it() -> None:
    spec = tfd.ArraySpec((2, 3), "float32", "tensor_proto or npy or raw")
    array = some((2, 3), "float32")
    for payload in (written(array), in_field_of_dtype(array), array.tobytes()):
        assert_same(spec.decode(payload), array)
        assert_same(spec.decode_tensor([payload])[0], array)
