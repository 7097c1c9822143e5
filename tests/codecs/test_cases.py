"""What every codec must do, on each row of the table in cases.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.codecs.cases import CASES
from tests.common import Case, assert_same, check_config, check_encode_decode, layouts

each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_unknown = pytest.mark.parametrize("case", [c for c in CASES if None in c.shape], ids=str)
each_refusal = pytest.mark.parametrize(
    "case, array, named", [(c, *refused) for c in CASES for refused in c.refused], ids=str
)


def check_decode_tensor(case: Case, decode: Any) -> None:
    """``decode`` gives three arrays back as one tensor, and none of none."""
    spec = case.spec
    arrays = case.arrays(3, length=2)
    decoded = decode(tf.constant([spec.encode(array) for array in arrays]))
    assert_same(decoded, np.stack(arrays))
    nothing = decode(tf.constant([], tf.string))
    empty = tuple(0 if side is None else side for side in case.shape)
    assert_same(nothing, np.zeros((0, *empty), arrays[0].dtype))


def test_no_two_cases_are_the_same() -> None:
    assert len({case.key for case in CASES}) == len(CASES)


@each_case
def test_an_array_comes_back_from_numpy_bit_for_bit(case: Case) -> None:
    for array in case.arrays(5):
        check_encode_decode(case.spec, array)


@each_case
def test_the_payload_does_not_depend_on_the_memory_layout(case: Case) -> None:
    (array,) = case.arrays(1)
    expected = case.spec.encode(array)
    for view in layouts(array):
        assert case.spec.encode(view) == expected


@each_case
def test_the_spec_survives_json_dict_text_and_repr(case: Case) -> None:
    check_config(case.spec)


@each_refusal
def test_an_array_outside_the_domain_is_refused_by_value_and_index(
    case: Case, array: np.ndarray, named: str
) -> None:
    with pytest.raises(tfd.EncodeError) as refusal:
        case.spec.encode(array)
    assert named in str(refusal.value)


@each_case
def test_decode_tensor_eagerly(case: Case) -> None:
    check_decode_tensor(case, case.spec.decode_tensor)


@each_case
def test_decode_tensor_of_a_scalar_gives_one_array(case: Case) -> None:
    (array,) = case.arrays(1)
    assert_same(case.spec.decode_tensor(case.spec.encode(array)), array)


@each_case
def test_decode_tensor_in_a_function(case: Case, traced: Any) -> None:
    check_decode_tensor(case, traced.tensor[case.key])


@each_case
def test_decode_tensor_in_a_reloaded_model(case: Case, reloaded: Any) -> None:
    check_decode_tensor(case, reloaded.tensor[case.key])


@each_case
def test_the_static_shape_is_known(case: Case, traced: Any) -> None:
    outputs = traced.tensor[case.key].structured_outputs
    assert outputs.shape.as_list() == [None, *case.shape]
    assert outputs.dtype.name == case.dtype
    array, status = traced.checked[case.key].structured_outputs
    assert array.shape.as_list() == [None, *case.shape]
    assert (status.shape.as_list(), status.dtype) == ([None], tf.int32)


@each_case
def test_decode_checked_of_good_rows(case: Case, reloaded: Any) -> None:
    arrays = case.arrays(3, length=2)
    payloads = [case.spec.encode(array) for array in arrays]
    decoded, status = reloaded.checked[case.key](tf.constant(payloads))
    assert_same(decoded, np.stack(arrays))
    assert_same(status, np.zeros(3, np.int32))


@each_case
def test_decode_checked_of_a_scalar(case: Case) -> None:
    (array,) = case.arrays(1)
    decoded, status = case.spec.decode_checked(case.spec.encode(array))
    assert_same(decoded, array)
    assert_same(status, np.int32(0))


@each_unknown
def test_decode_ragged_keeps_each_length(case: Case, reloaded: Any) -> None:
    arrays = case.arrays(4)
    axis = case.shape.index(None)
    for some in (arrays, arrays[:1], []):
        payloads = tf.constant([case.spec.encode(array) for array in some], tf.string)
        ragged = reloaded.ragged[case.key](payloads)
        assert ragged.shape.as_list()[1:] == list(case.shape)
        everything = b"".join(array.tobytes() for array in some)
        assert ragged.flat_values.numpy().tobytes() == everything
        before = int(np.prod(case.shape[:axis], dtype=int))
        lengths = [array.shape[axis] for array in some for _ in range(before)]
        inner = ragged
        while inner.ragged_rank > 1:
            inner = inner.values
        assert inner.row_lengths().numpy().tolist() == lengths
        assert ragged.nrows().numpy() == len(some)


@each_unknown
def test_decode_checked_pads_the_none_dimension_with_zeros(case: Case, reloaded: Any) -> None:
    arrays = case.arrays(4)
    axis = case.shape.index(None)
    longest = max(array.shape[axis] for array in arrays)
    decoded, status = reloaded.checked[case.key](
        tf.constant([case.spec.encode(array) for array in arrays])
    )
    padded = []
    for array in arrays:
        shape = tuple(longest if side is None else side for side in case.shape)
        whole = np.zeros(shape, array.dtype)
        whole[tuple(slice(side) for side in array.shape)] = array
        padded.append(whole)
    assert_same(decoded, np.stack(padded))
    assert not status.numpy().any()


@each_unknown
def test_decode_tensor_refuses_rows_of_different_lengths(case: Case, reloaded: Any) -> None:
    payloads = [case.spec.encode(case.arrays(1, length=n)[0]) for n in (2, 1)]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"row 1 has 1 along .* another 2"):
        reloaded.tensor[case.key](tf.constant(payloads))


@each_case
def test_a_graph_encodes_what_decodes_to_the_array_or_says_that_it_cannot(case: Case) -> None:
    array = np.stack(case.arrays(2, length=1))
    codecs = [codec for chain in case.spec.chains for codec in chain.codecs]
    try:
        payloads = case.spec.encode_tensor(array)
    except tfd.SpecError as error:
        names = [f"codec {codec.name}" for codec in codecs]
        assert any(name in str(error) for name in ("None", *names))
        assert None in case.shape or not all(codec.encodes_in_graph() for codec in codecs)
    else:
        assert payloads.shape.as_list() == [2]
        assert_same(np.stack([case.spec.decode(payload) for payload in payloads.numpy()]), array)
        if not {"png", "zlib_bounded"} & {codec.name for codec in codecs}:  # other deflate
            assert list(payloads.numpy()) == [case.spec.encode(row) for row in array]
