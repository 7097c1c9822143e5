"""ArraySpec: what it takes, what it says, and what its methods promise beyond any one codec."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same
from tfdecode.codecs.compressors.seal import Seal
from tfdecode.codecs.compressors.zlib import Zlib
from tfdecode.codecs.containers.raw import Raw
from tfdecode.codecs.filters.astype import AsType
from tfdecode.codecs.filters.transpose import Transpose
from tfdecode.dtypes import ITEM_SIZES, dtype_name, numpy_dtype

SAME_CHAIN: list[Any] = [
    "transpose:1,0|astype:uint8|zlib:9",
    "transpose:1,0|astype:uint8|raw|zlib:9|seal",
    " transpose:1,0 | astype:uint8 | raw | zlib:9 ",
    "transpose:order=[1,0]|astype:dtype=uint8|zlib:level=9",
    'transpose:1,0|astype:"uint8"|zlib:9',
    ["transpose:1,0", "astype:uint8", "raw", "zlib:9"],
    ["transpose:1,0", {"name": "astype", "dtype": "uint8"}, {"name": "zlib", "level": 9}],
    [{"name": "transpose", "order": [1, 0], "version": 1}, AsType("uint8"), "zlib:9", "seal"],
    (Transpose((1, 0)), AsType("u1"), Raw(), Zlib(level=9), Seal()),
    [Transpose([1, 0]), AsType(np.uint8), Zlib(9)],
]


@pytest.mark.parametrize("codecs", SAME_CHAIN, ids=str)
def test_a_chain_can_be_written_in_many_ways(codecs: Any) -> None:
    spec = tfd.ArraySpec((2, 3), "float32", codecs)
    assert spec == tfd.ArraySpec((2, 3), "float32", SAME_CHAIN[0])
    assert hash(spec) == hash(tfd.ArraySpec((2, 3), "float32", SAME_CHAIN[0]))
    assert spec.chain.text == "transpose:1,0|astype:uint8|raw|zlib:9|seal"


@pytest.mark.parametrize(
    "shape", [(2, 3), [2, 3], (np.int64(2), np.uint8(3)), tf.TensorShape([2, 3])], ids=repr
)
def test_a_shape_can_be_any_list_of_sizes(shape: Any) -> None:
    spec = tfd.ArraySpec(shape, "uint8")
    assert spec == tfd.ArraySpec((2, 3), "uint8")
    assert {type(side) for side in spec.shape} == {int}


@pytest.mark.parametrize("shape", [tf.TensorShape([2, None]), (2, None)], ids=repr)
def test_a_none_can_come_from_a_tensor_shape(shape: Any) -> None:
    assert tfd.ArraySpec(shape, "uint8", max_shape=(2, 9)).shape == (2, None)


@pytest.mark.parametrize("name", ITEM_SIZES)
def test_a_dtype_can_be_a_name_a_numpy_dtype_or_a_tf_dtype(name: str) -> None:
    native = numpy_dtype(name)
    swapped = native.newbyteorder(">")
    for dtype in (name, native, native.type, swapped, tf.as_dtype(name)):
        assert tfd.ArraySpec((), dtype).dtype == name == dtype_name(dtype)
    assert native.itemsize == ITEM_SIZES[name]


SEALED: list[tuple[Any, bool | None, str]] = [
    ("raw", None, "raw"),
    ("raw", True, "raw|seal"),
    ("raw", False, "raw"),
    ("raw|seal", None, "raw|seal"),
    ("raw|seal", True, "raw|seal"),
    ("zlib", None, "raw|zlib|seal"),
    ("zlib", True, "raw|zlib|seal"),
    ("zlib", False, "raw|zlib"),
    ("zlib|seal", None, "raw|zlib|seal"),
]


@pytest.mark.parametrize("codecs, seal, text", SEALED)
def test_a_chain_with_a_compressor_is_sealed_unless_asked_not_to_be(
    codecs: str, seal: bool | None, text: str
) -> None:
    assert tfd.ArraySpec((2,), "uint8", codecs, seal=seal).chain.text == text


def test_a_chain_that_names_seal_cannot_be_without() -> None:
    with pytest.raises(tfd.SpecError, match="seal=False for a chain that names seal"):
        tfd.ArraySpec((2,), "uint8", "zlib|seal", seal=False)


WIRE = [
    ({}, {"codecs": "zlib:9"}, True),
    ({}, {"label": "a"}, False),
    ({}, {"shape": (6,)}, False),
    ({}, {"shape": (3, 2)}, False),
    ({}, {"dtype": "int32"}, False),
    ({}, {"codecs": "zlib:6,max_packed=99"}, False),
    ({}, {"seal": False}, False),
    ({}, {"codecs": "raw"}, False),
    ({}, {"max_shape": (2, 3)}, True),
    ({"shape": (None, 3), "max_shape": (2, 3)}, {"shape": (None, 3), "max_shape": (4, 3)}, False),
]


@pytest.mark.parametrize("one, other, same", WIRE, ids=str)
def test_the_fingerprint_is_of_what_decoders_need(one: Any, other: Any, same: bool) -> None:
    base = {"shape": (2, 3), "dtype": "float32", "codecs": "zlib"}
    prints = [tfd.ArraySpec(**{**base, **fields}).fingerprint for fields in (one, other)]
    assert (prints[0] == prints[1]) == same
    assert len(prints[0]) == 64 and int(prints[0], 16)


def test_an_edited_json_is_found_by_its_fingerprint() -> None:
    spec = json.loads(tfd.ArraySpec((2, 3), "float32").to_json())
    spec["shape"] = [3, 2]
    with pytest.raises(tfd.SpecError, match="was edited"):
        tfd.ArraySpec.from_dict(spec)


ENCODE_ERRORS = [
    (np.zeros((2, 3), "f8"), "array is float64, spec needs float32; convert it to float32 first"),
    (np.zeros((2, 3), "i4"), "array is int32, spec needs float32"),
    (np.zeros((2, 3), object), "array is objects, spec needs float32; make them numbers"),
    (np.zeros((2, 3), "S4"), "array is byte strings, spec needs float32; a payload carries"),
    (np.zeros((2, 4), "f4"), "array has shape [2, 4], spec needs float32 [2, 3]"),
    (np.zeros((3, 2), "f4"), "array has shape [3, 2], spec needs float32 [2, 3]"),
    (np.zeros((1, 2, 3), "f4"), "array has shape [1, 2, 3], spec needs float32 [2, 3]"),
    (np.float32(1), "array has shape [], spec needs float32 [2, 3]"),
    ([[1.0, 2.0, 3.0]] * 2, "array is float64, spec needs float32"),
]


@pytest.mark.parametrize("array, message", ENCODE_ERRORS, ids=str)
def test_encode_says_expected_against_got(array: Any, message: str) -> None:
    with pytest.raises(tfd.EncodeError) as refusal:
        tfd.ArraySpec((2, 3), "float32").encode(array)
    assert message in str(refusal.value)


def test_encode_bounds_a_none_dimension() -> None:
    spec = tfd.ArraySpec((None, 3), "float32", max_shape=(2, 3))
    with pytest.raises(tfd.EncodeError) as refusal:
        spec.encode(np.zeros((3, 3), "f4"))
    assert "[3, 3], spec needs float32 [None, 3] (at most [2, 3])" in str(refusal.value)


def test_a_bool_with_another_byte_cannot_be_packed() -> None:
    array = np.array([0, 1, 2], np.uint8).view(bool)
    for codecs in ("raw", "astype:uint8", "zlib"):
        with pytest.raises(tfd.EncodeError):
            tfd.ArraySpec((3,), "bool", codecs).encode(array)


def test_big_endian_bfloat16_is_packed_by_value() -> None:
    array = np.arange(6).astype(ml_dtypes.bfloat16)
    swapped = array.view("u2").byteswap().view(array.dtype.newbyteorder(">"))
    for codecs in ("raw", "astype:uint8", "astype:float32"):
        spec = tfd.ArraySpec((6,), "bfloat16", codecs)
        assert spec.encode(swapped) == spec.encode(array)


@pytest.mark.parametrize("payload", ["text", None, 5, [1, 2], np.zeros(2, "f4"), 1.5], ids=str)
def test_decode_takes_bytes_only(payload: Any) -> None:
    with pytest.raises(tfd.DecodeError, match=f"payload is {type(payload).__name__}, needs bytes"):
        tfd.ArraySpec((2,), "float32").decode(payload)


def test_the_most_dimensions_there_can_be() -> None:
    shape = (1,) * 30 + (2, 3)
    order = ",".join(str(axis) for axis in reversed(range(32)))
    array = np.arange(6, dtype="f4").reshape(shape)
    for codecs in ("raw", f"transpose:{order}|astype:uint8"):
        spec = tfd.ArraySpec(shape, "float32", codecs)
        good = spec.encode(array)
        assert_same(spec.decode(good), array)
        assert_same(spec.decode_tensor(good), array)
        decoded, status = spec.decode_checked([good, good[1:]])
        assert_same(decoded, np.stack([array, np.zeros_like(array)]))
        assert status.numpy().tolist() == [0, tfd.Status.LENGTH]


#: Rows that are decoded at a time, and the largest batch.
ROWS = [
    (tfd.ArraySpec((2**20,), "uint8"), 511, 4096),
    (tfd.ArraySpec((256, 192, 18), "float32"), 151, 1213),
    (tfd.ArraySpec((2**31 - 2**10,), "uint8"), 1, 2),
    (tfd.ArraySpec((None,), "uint8", max_shape=(2**20,)), 511, 4096),
]


@pytest.mark.parametrize("spec, rows, batch", ROWS, ids=str)
def test_by_default_a_step_holds_one_gibibyte_and_the_arrays_of_a_batch_have_four(
    spec: tfd.ArraySpec, rows: int, batch: int
) -> None:
    assert (spec.max_rows, spec.max_batch_size) == (rows, batch)


def test_small_rows_need_no_steps() -> None:
    for shape in ((0,), (4,), (1024,)):
        spec = tfd.ArraySpec(shape, "float32")
        assert spec.max_batch_size == spec.max_rows > 2**14


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
@pytest.mark.parametrize(
    "method", ["decode_tensor", "decode_checked", "decode_ragged", "decode_padded"]
)
def test_a_batch_of_more_than_max_rows_is_decoded_in_steps(method: str, traced: bool) -> None:
    spec = tfd.ArraySpec((None,), "uint8", max_shape=(3,))

    def decode(rows: tf.Tensor) -> Any:
        options = {"input_name": "x_bytes", "max_rows": 2, "max_batch_size": 5}
        return getattr(spec, method)(rows, **options)

    if traced:
        decode = tf.function(decode, input_signature=[tf.TensorSpec([None], tf.string)])
    for count in range(6):
        rows = [bytes([row] * 3) for row in range(count)]
        got = decode(tf.constant(rows, tf.string))
        if method == "decode_checked":
            got, status = got
            assert status.numpy().tolist() == [0] * count
        if method == "decode_padded":
            got, lengths = got
            assert lengths.numpy().tolist() == [3] * count
        got = got.to_tensor(shape=[count, 3 * bool(count)]) if method == "decode_ragged" else got
        assert got.numpy().tolist() == [list(row) for row in rows]
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"x_bytes: batch has 6 rows, .* at most 5 at a time"
    ):
        decode(tf.constant([b"abc"] * 6))


@pytest.mark.parametrize("shape", [(None,), (None, 2), (2, None)], ids=str)
def test_long_rows_of_different_lengths_are_padded_and_masked(
    shape: tuple[int | None, ...],
) -> None:
    """Row by row, not by an index of each element."""
    spec = tfd.ArraySpec(shape, "bool", max_shape=tuple(side or 5000 for side in shape))
    rng = np.random.default_rng(3)
    arrays = [
        rng.integers(0, 2, tuple(n if side is None else side for side in shape)).astype(bool)
        for n in (3000, 0, 4000, 17)
    ]
    payloads = [spec.encode(x) for x in arrays]
    payloads[0] = b"\2" + payloads[0][1:]
    decode = tf.function(spec.decode_checked, input_signature=[tf.TensorSpec([None], tf.string)])
    got, status = decode(tf.constant(payloads))
    assert status.numpy().tolist() == [int(tfd.Status.VALUE), 0, 0, 0]
    expected = np.zeros((4, *(side or 4000 for side in shape)), bool)
    for row in (1, 2, 3):
        expected[(row, *map(slice, arrays[row].shape))] = arrays[row]
    assert_same(got, expected)
    assert decode(tf.constant(payloads[:1]))[1].numpy().tolist() == [int(tfd.Status.VALUE)]


def test_a_bad_row_has_the_same_number_in_every_step() -> None:
    spec = tfd.ArraySpec((3,), "uint8")
    rows = tf.constant([b"abc"] * 4 + [b"ab", b"abc", b"a"])
    decode = tf.function(spec.decode_tensor, input_signature=[tf.TensorSpec([None], tf.string)])
    for max_rows in (2, 3, 7):
        with pytest.raises(
            tf.errors.InvalidArgumentError,
            match=r"payload: row 4 has 2 bytes, needs 3; .* \(in a batch of 7 rows, which may",
        ):
            spec.decode_tensor(rows, max_rows=max_rows)
        status = spec.decode_checked(rows, max_rows=max_rows)[1]
        assert status.numpy().tolist() == [0, 0, 0, 0, 1, 0, 1]
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"row 0 has 2 bytes, needs 3; send uint8 \[3\] packed by raw\]",
    ):
        decode(rows[4:5])


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "9", 2**31, 2**40], ids=str)
def test_limits_that_cannot_be(limit: Any) -> None:
    for what in ("max_rows", "max_batch_size"):
        with pytest.raises(tfd.SpecError, match=f"{what} is"):
            tfd.ArraySpec((2,), "uint8").decode_tensor([b"ab"], **{what: limit})


@pytest.mark.parametrize("shape", [(1, 1), (2, 3, 4)], ids=str)
def test_payloads_are_a_scalar_or_a_batch(shape: tuple[int, ...]) -> None:
    with pytest.raises(tfd.SpecError, match="needs a scalar string or a batch"):
        tfd.ArraySpec((2,), "uint8").decode_tensor(tf.fill(shape, "ab"))


def test_payloads_need_a_known_rank() -> None:
    @tf.function(input_signature=[tf.TensorSpec(None, tf.string)], autograph=False)
    def decode(payloads: tf.Tensor) -> tf.Tensor:
        return tfd.ArraySpec((2,), "uint8").decode_tensor(payloads)

    with pytest.raises(tfd.SpecError, match="of known rank"):
        decode.get_concrete_function()


def test_a_known_batch_size_stays_known() -> None:
    @tf.function(input_signature=[tf.TensorSpec([4], tf.string)], autograph=False)
    def decode(payloads: tf.Tensor) -> tuple[tf.Tensor, ...]:
        spec = tfd.ArraySpec((2, None), "uint8", max_shape=(2, 3))
        return spec.decode_tensor(payloads), *spec.decode_checked(payloads)

    tensor, checked, status = decode.get_concrete_function().structured_outputs
    assert tensor.shape.as_list() == checked.shape.as_list() == [4, 2, None]
    assert status.shape.as_list() == [4]


@pytest.mark.parametrize("dtype", ITEM_SIZES)
def test_rows_of_each_dtype_can_differ_in_length(dtype: str) -> None:
    spec = tfd.ArraySpec((2, None), dtype, max_shape=(2, 3))
    arrays = [np.ones((2, n)).astype(numpy_dtype(dtype)) for n in (3, 0, 1)]
    payloads = [spec.encode(array) for array in arrays]
    decoded, status = spec.decode_checked([*payloads, b"?"])
    assert status.numpy().tolist() == [0, 0, 0, tfd.Status.LENGTH]
    expected = np.zeros((4, 2, 3), numpy_dtype(dtype))
    for row, array in zip(expected, arrays, strict=False):
        row[:, : array.shape[1]] = array
    assert_same(decoded, expected)
    ragged = spec.decode_ragged(payloads)
    assert_same(ragged.flat_values, np.concatenate([array.ravel() for array in arrays]))
    padded, lengths = spec.decode_padded(payloads)
    assert_same(padded, expected[:3])
    assert_same(lengths, np.int32([3, 0, 1]))


@pytest.mark.parametrize("layout", ["dense", "padded", "ragged"])
def test_a_masked_row_has_no_length_and_a_status_in_every_layout(layout: Any) -> None:
    spec = tfd.ArraySpec((2, None), "int16", max_shape=(2, 3))
    arrays = [np.int16([[1, 2, 3], [4, 5, 6]]), np.zeros((2, 0), "i2"), np.int16([[7], [8]])]
    rows = tf.constant([*map(spec.encode, arrays[:2]), b"?", spec.encode(arrays[2])])

    @tf.function(autograph=False)
    def decode(payloads: tf.Tensor) -> Any:
        return tuple(spec.decode_batch(payloads, layout, on_invalid="mask", max_rows=3))

    tensor, lengths, status = decode(rows)
    assert_same(lengths, np.int32([3, 0, 0, 1]))
    assert_same(status, np.int32([0, 0, tfd.Status.LENGTH, 0]))
    expected = [[[1, 2, 3], [4, 5, 6]], [[], []], [[], []], [[7], [8]]]
    if layout == "ragged":
        assert tensor.to_list() == expected
    else:
        padded = [[line + [0] * (3 - len(line)) for line in row] for row in expected]
        assert tensor.numpy().tolist() == padded


def test_a_scalar_has_a_length_and_a_status_of_its_own() -> None:
    spec = tfd.ArraySpec((None,), "uint8", max_shape=(3,))
    tensor, lengths, status = spec.decode_batch(b"ab", "padded", on_invalid="mask")
    assert (tensor.numpy().tolist(), lengths.numpy(), status.numpy()) == ([97, 98], 2, 0)
    fixed = tfd.ArraySpec((2,), "uint8").decode_batch([b"ab"], "padded")
    assert (fixed.tensor.numpy().tolist(), fixed.lengths, fixed.status) == ([[97, 98]], None, None)


def test_other_layouts_and_padding_without_a_none_are_refused() -> None:
    spec = tfd.ArraySpec((2,), "uint8")
    with pytest.raises(tfd.SpecError, match="layout is 'flat'"):
        spec.decode_batch([b"ab"], "flat")  # type: ignore[arg-type]
    with pytest.raises(tfd.SpecError, match="has no None dimension: use decode_tensor"):
        spec.decode_padded([b"ab"])


def test_ragged_rows_need_a_none_and_a_batch() -> None:
    with pytest.raises(tfd.SpecError, match="has no None dimension: use decode_tensor"):
        tfd.ArraySpec((2,), "uint8").decode_ragged([b"ab"])
    with pytest.raises(tfd.SpecError, match="decode_ragged needs a batch"):
        tfd.ArraySpec((None,), "uint8", max_shape=(2,)).decode_ragged(b"ab")


def test_the_lengths_of_ragged_rows_do_not_come_without_their_checks() -> None:
    spec = tfd.ArraySpec((None,), "int16", max_shape=(3,))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        lengths = spec.decode_ragged(tf.constant([b"ab", b"abc"])).row_lengths()
        with pytest.raises(tf.errors.InvalidArgumentError, match="row 1 has 3 bytes"):
            session.run(lengths)


def test_nothing_is_left_to_autograph(capfd: pytest.CaptureFixture[str]) -> None:
    spec = tfd.ArraySpec((2, None), "bool", "transpose:1,0|zlib", max_shape=(2, 3), seal=False)

    @tf.function
    def decode(payloads: tf.Tensor) -> tuple[Any, ...]:
        return spec.decode_tensor(payloads), spec.decode_checked(payloads)

    decode(tf.constant([spec.encode(np.ones((2, 3), bool))]))
    assert "AutoGraph" not in "".join(capfd.readouterr())


def test_encode_tensor_checks_shape_and_dtype() -> None:
    spec = tfd.ArraySpec((2,), "uint8")
    with pytest.raises(tfd.SpecError, match="tensor is int32, spec needs uint8"):
        spec.encode_tensor(tf.zeros([1, 2], tf.int32))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        spec.encode_tensor(tf.zeros([1, 3], tf.uint8))


def test_encode_tensor_of_nothing() -> None:
    spec = tfd.ArraySpec((2, 0), "uint8")
    assert spec.encode_tensor(tf.zeros([0, 2, 0], tf.uint8)).shape.as_list() == [0]
    assert spec.encode_tensor(tf.zeros([3, 2, 0], tf.uint8)).numpy().tolist() == [b""] * 3


def test_a_spec_is_a_value() -> None:
    spec = tfd.ArraySpec((2,), "uint8")
    with pytest.raises(AttributeError):
        spec.shape = (3,)  # type: ignore[misc]
    assert len({spec, tfd.ArraySpec([2], np.uint8, ["raw"])}) == 1


@pytest.mark.parametrize("chain", ["raw", "raw|seal", "zlib", "astype:uint8|zlib:9"])
@pytest.mark.parametrize("seal", [None, False])
def test_a_spec_survives_pickle_and_replace(chain: str, seal: bool | None) -> None:
    if "seal" in chain and seal is False:
        return
    spec = tfd.ArraySpec((2, 3), "float32", chain, seal=seal, label="pose")
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert dataclasses.replace(spec) == spec
    assert dataclasses.replace(spec, label="seg") == tfd.ArraySpec(
        (2, 3), "float32", chain, seal=seal, label="seg"
    )


def test_a_masked_array_is_refused_because_its_mask_would_be_lost() -> None:
    masked = np.ma.masked_array(np.zeros(3, "float32"), [True, False, False])
    with pytest.raises(tfd.EncodeError, match="array is masked"):
        tfd.ArraySpec((3,), "float32").encode(masked)


@pytest.mark.parametrize("chain", ["seal|zlib", "seal|seal", "raw|seal|zlib"])
def test_a_seal_is_the_last_step_or_none(chain: str) -> None:
    with pytest.raises(tfd.SpecError, match="out of order: seal must be the last step"):
        tfd.ArraySpec((3,), "float32", chain)


def test_a_chain_has_at_most_16_steps() -> None:
    with pytest.raises(tfd.SpecError, match="chain has 17 steps, at most 16 are supported"):
        tfd.ArraySpec((3,), "float32", ["zlib"] * 17)


def test_a_message_is_short_whatever_it_quotes() -> None:
    with pytest.raises(tfd.SpecError) as caught:
        tfd.ArraySpec((3,), "x" * 10**6)
    assert len(str(caught.value)) < 5000
