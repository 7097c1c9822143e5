"""Arrays in the columns of tables, by pyarrow alone; with Spark itself in ``engines``."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tfdecode as tfd
from tfdecode.bulk.spark_columns import TYPES, array_of, lists_of
from tfdecode.conversion import converted

pyarrow = pytest.importorskip("pyarrow")


@st.composite
def columns(draw: st.DrawFn) -> list[np.ndarray]:
    """Arrays of one dtype and rank, whose first axes differ in length."""
    dtype = draw(st.sampled_from([name for name in TYPES if name != "bfloat16"]))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    counts = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    shapes = [(count, *shape[1:]) if shape else () for count in counts]
    return [draw(hnp.arrays(dtype, one)) for one in shapes]


@given(columns())
def test_a_column_of_arrays_holds_the_same_arrays(arrays: list[np.ndarray]) -> None:
    column = lists_of(arrays)
    assert len(column) == len(arrays)
    for value, array in zip(column, arrays, strict=True):
        shape = (None, *array.shape[1:]) if array.ndim else ()
        found = converted(array_of(value, shape), array.dtype.name, "equiv")
        np.testing.assert_array_equal(found, array, strict=True)


def test_a_list_of_all_numbers_is_an_array_in_row_major_order() -> None:
    (value,) = pyarrow.array([[1, 2, 3, 4, 5, 6]])
    np.testing.assert_array_equal(array_of(value, (2, 3)), [[1, 2, 3], [4, 5, 6]])
    assert array_of(value, (6,)).shape == array_of(value, (None, 3)).shape == (6,)
    assert array_of(value, (2, 2)).shape == (6,)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1, None], "has 1 nulls"),
        ([[1, 2], [3, None]], "has 1 nulls"),
        ([[1, 2], [3]], "axis 1 differ"),
        ([[1, 2], None], "axis 1 differ"),
        ([[[1], [2, 3]]], "axis 2 differ"),
    ],
)
def test_lists_that_are_no_array_are_refused(value: Any, reason: str) -> None:
    (scalar,) = pyarrow.array([value])
    with pytest.raises(tfd.EncodeError, match=reason):
        array_of(scalar, (2, 2))
