"""Numbers of an answer in JSON: those of the dtype that the model declares, or an error."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.client.answer import arrays_of
from tfdecode.client.signature import Tensor


def answered(values: list[Any], dtype: str) -> np.ndarray:
    body = json.dumps({"outputs": {"y": values}}).encode()
    array: np.ndarray = arrays_of(body, {"y": Tensor("y", "y", dtype, (None,))})["y"]
    return array


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 2**64 - 1], "uint64", [1, 2**64 - 1]),
        ([1.0, -2.0], "int32", [1, -2]),
        (["7", "-9007199254740993"], "int64", [7, -9007199254740993]),  # JSON of protobufs
        ([True, False], "bool", [True, False]),
        ([1, 0], "bool", [True, False]),
        ([float("nan"), "NaN", None, 1], "float32", [np.nan, np.nan, np.nan, 1]),
        ([], "int8", []),
    ],
)
def test_values_that_the_dtype_holds(values: list[Any], dtype: str, expected: list[Any]) -> None:
    array = answered(values, dtype)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, np.array(expected, dtype))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1.5], "int32"),
        ([float("nan")], "int64"),
        ([300], "uint8"),
        ([-1], "uint8"),
        ([None], "int32"),
        (["1.5"], "int32"),
        (["no"], "bool"),
        (["false"], "bool"),
        ([None], "bool"),
        ([2], "bool"),
        (["word"], "float32"),
    ],
)
def test_values_that_the_dtype_does_not_hold(values: list[Any], dtype: str) -> None:
    with pytest.raises(tfd.errors.ServerError, match="output y of the answer is not an array: "):
        answered(values, dtype)
