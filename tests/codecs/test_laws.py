"""Laws: whatever dtype, shape, bits, memory layout and chain, the same array comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import tfdecode as tfd
from tests import strategies
from tests.codecs.cases import CASES
from tests.common import Case, assert_same, check_config, check_encode_decode
from tfdecode.casts import always_exact, survives
from tfdecode.dtypes import ITEM_SIZES, numpy_dtype


@given(st.data())
def test_raw_carries_every_array_in_every_layout(data: st.DataObject) -> None:
    dtype, shape = data.draw(strategies.dtypes), data.draw(strategies.shapes)
    array = data.draw(strategies.arrays(dtype, shape))
    spec = tfd.ArraySpec(shape, dtype)
    payload = check_encode_decode(spec, array)
    assert len(payload) == array.nbytes
    assert spec.encode(data.draw(strategies.laid_out(array))) == payload


@given(strategies.specs_and_arrays())
def test_every_chain_carries_the_arrays_of_its_domain(
    drawn: tuple[tfd.ArraySpec, np.ndarray],
) -> None:
    spec, array = drawn
    check_encode_decode(spec, array)
    check_config(spec)


@settings(max_examples=60)
@given(strategies.specs_and_arrays(), st.integers(1, 3))
def test_every_chain_decodes_in_tensorflow_as_in_numpy(
    drawn: tuple[tfd.ArraySpec, np.ndarray], size: int
) -> None:
    spec, array = drawn
    payloads = tf.constant([spec.encode(array)] * size)
    expected = np.stack([array] * size)
    assert_same(spec.decode_tensor(payloads), expected)
    decoded, status = spec.decode_checked(payloads)
    assert_same(decoded, expected)
    assert not status.numpy().any()


@given(strategies.dtypes, strategies.dtypes, st.data())
def test_astype_carries_an_array_whole_or_refuses_it(
    dtype: str, other: str, data: st.DataObject
) -> None:
    array = data.draw(strategies.arrays(dtype, (5,)))
    if "complex" in other and "complex" not in dtype:
        with pytest.raises(tfd.SpecError, match=r"cannot cast .* to complex"):
            tfd.ArraySpec((5,), dtype, f"astype:{other}")
        return
    spec = tfd.ArraySpec((5,), dtype, f"astype:{other}")
    try:
        payload = spec.encode(array)
    except tfd.EncodeError as error:
        assert f"is not exact in {other}: " in str(error)
        assert not always_exact(dtype, other)
    else:
        assert_same(spec.decode(payload), array)
        assert_same(spec.decode_tensor(payload), array)


@given(strategies.dtypes, strategies.dtypes, st.data())
def test_astype_reads_a_foreign_payload_in_tensorflow_as_in_numpy(
    dtype: str, other: str, data: st.DataObject
) -> None:
    if "complex" in other and "complex" not in dtype:
        return
    spec = tfd.ArraySpec((4,), dtype, f"astype:{other}")
    carried = data.draw(strategies.arrays(other, (4,)))
    payload = carried.tobytes()
    decoded, status = spec.decode_checked(payload)
    try:
        expected = spec.decode(payload)
    except tfd.DecodeError:
        # TensorFlow keeps some negative NaNs that not all of its kernels keep.
        if not np.isnan(carried.astype(complex)).any():
            assert status.numpy() == tfd.Status.VALUE
            assert_same(decoded, np.zeros(4, numpy_dtype(dtype)))
    else:
        assert status.numpy() == 0
        assert_same(decoded, expected)
        assert always_exact(other, dtype) or survives(carried, expected).all()


@settings(max_examples=300)
@given(st.data())
def test_a_reloaded_model_decodes_as_numpy(reloaded: Any, data: st.DataObject) -> None:
    case: Case = data.draw(st.sampled_from(CASES))
    array = data.draw(strategies.arrays_of(case))
    payloads = tf.constant([case.spec.encode(array)] * data.draw(st.integers(1, 3)))
    for decoded in (reloaded.tensor[case.key](payloads), reloaded.checked[case.key](payloads)[0]):
        for row in decoded:
            assert_same(row, array)


@settings(max_examples=40)
@given(strategies.dtypes, st.sampled_from(["raw", "zlib", "raw|seal"]), st.data())
def test_a_none_dimension_is_as_long_as_each_row(
    dtype: str, codecs: str, data: st.DataObject
) -> None:
    bound = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    axis = data.draw(st.integers(0, len(bound) - 1))
    shape: list[Any] = [*bound[:axis], None, *bound[axis + 1 :]]
    order = data.draw(st.permutations(range(len(bound))))
    chain = f"transpose:{','.join(map(str, order))}|{codecs}"
    spec = tfd.ArraySpec(shape, dtype, chain, max_shape=bound)
    lengths = data.draw(st.lists(st.integers(0, bound[axis]), min_size=1, max_size=4))
    sides = [tuple(n if side is None else side for side in shape) for n in lengths]
    arrays = [data.draw(strategies.arrays(dtype, side)) for side in sides]
    payloads = [check_encode_decode(spec, array) for array in arrays]
    for array, payload in zip(arrays, payloads, strict=True):
        assert_same(spec.decode_tensor(payload), array)
    decoded, status = spec.decode_checked(tf.constant(payloads))
    assert not status.numpy().any()
    for row, array in zip(decoded.numpy(), arrays, strict=True):
        kept = tuple(slice(side) for side in array.shape)
        assert_same(np.ascontiguousarray(row[kept]).reshape(array.shape), array)
        row[kept] = 0
        assert not row.view(np.uint8).any()
    values = spec.decode_ragged(tf.constant(payloads)).flat_values.numpy()
    assert values.tobytes() == b"".join(array.tobytes() for array in arrays)


@pytest.mark.parametrize("source", ["float16", "bfloat16"])
@pytest.mark.parametrize("target", [d for d in ITEM_SIZES if "float" in d or d == "int8"])
def test_each_of_the_65536_values_of_a_short_float_is_read_alike(source: str, target: str) -> None:
    """Every NaN and subnormal number too: NumPy and TensorFlow let the same values through."""
    values = np.arange(2**16, dtype=np.uint16).view(numpy_dtype(source))
    spec = tfd.ArraySpec((), target, f"astype:{source}")
    decode = tf.function(spec.decode_checked, autograph=False)
    decoded, status = decode(tf.constant([v.tobytes() for v in values]))
    decoded, good = decoded.numpy(), status.numpy() == 0
    with np.errstate(all="ignore"):
        cast = values.astype(numpy_dtype(target))
    assert (survives(values, cast) == good).all()
    assert decoded[good].tobytes() == cast[good].tobytes()
    assert not decoded[~good].astype(bool).any()
