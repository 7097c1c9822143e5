"""exact_astype: another dtype, the very same values."""

from __future__ import annotations

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.casts import exact_astype


@pytest.mark.parametrize(
    ("values", "source", "target"),
    [
        ([0, 255], "float64", "uint8"),
        ([0, 255], ">i4", "uint8"),
        ([0.5, -0.0, np.inf, np.nan], "float64", "float16"),
        ([1.0, -2.0], "float32", "bfloat16"),
        ([0, 1], "int64", "bool"),
        ([2**53], "int64", "float64"),
        ([1.5], "float64", "complex64"),
        ([], "float64", "int8"),
        (7, "float32", "int32"),
    ],
)
def test_what_stays_the_same(values, source: str, target: str) -> None:
    x = np.array(values, source)
    y = exact_astype(x, target)
    assert y.dtype.name == target and y.shape == x.shape
    np.testing.assert_array_equal(exact_astype(y, source), x)


@pytest.mark.parametrize(
    ("values", "source", "target", "first"),
    [
        ([1, 256], "int32", "uint8", r"256 at index \[1\]"),
        ([1, -0.0], "float64", "int8", r"-0.0 at index \[1\]"),
        ([np.nan], "float32", "int32", r"nan at index \[0\]"),
        ([0.1], "float64", "float32", r"0.1 at index \[0\]"),
        ([2**53 + 1], "int64", "float64", r"9007199254740993 at index \[0\]"),
        ([2], "uint8", "bool", r"2 at index \[0\]"),
        ([1j], "complex64", "float32", r"1j at index \[0\]"),
    ],
)
def test_what_would_change(values, source: str, target: str, first: str) -> None:
    with pytest.raises(tfd.EncodeError, match=f"array is not exact in {target}: .*{first}"):
        exact_astype(np.array(values, source), target)
