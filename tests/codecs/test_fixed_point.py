"""fixed_point: an offset that the dtype of the array does not hold."""

from __future__ import annotations

import numpy as np
import pytest

import tfdecode as tfd
from tests.common import assert_same

CHAIN = "fixed_point:100000000,dtype=int32,offset=-0.3,rounding=each"


def test_an_offset_is_taken_off_as_it_is_added() -> None:
    spec = tfd.ArraySpec((1000,), "float32", CHAIN)
    steps = np.arange(29_999_500, 30_000_500, dtype="<i4")
    x = spec.decode(steps.tobytes())
    payload = spec.encode(x)
    assert_same(spec.decode(payload), x)
    assert spec.encode_tensor(x[np.newaxis]).numpy().tolist() == [payload]


def test_an_offset_that_is_infinite_in_the_dtype_is_refused() -> None:
    chain = "fixed_point:1,dtype=int16,offset=70000,rounding={}"
    with pytest.raises(tfd.SpecError, match=r"offset 70000 is infinite in float16.*rounding=once"):
        tfd.ArraySpec((2,), "float16", chain.format("each"))
    spec = tfd.ArraySpec((2,), "float16", chain.format("once"))
    assert spec.decode(spec.encode(np.float16([60000, 50016]))).tolist() == [60000, 50016]
