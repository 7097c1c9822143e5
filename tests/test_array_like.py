"""Objects of other libraries in the place of arrays."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

import tfdecode as tfd

X = np.eye(2, dtype="float32")
SPEC = tfd.ArraySpec((2, 2), "float32", "raw|seal")


class Column:
    """A column as pandas has it: no pandas is needed to see what is said of it."""

    __module__ = "pandas.core.series"

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return X


class DataFrame:
    """A table as pandas has it."""

    __module__ = "pandas.core.frame"

    def __init__(self, **dtypes: str) -> None:
        self.dtypes = {name: np.dtype(dtype) for name, dtype in dtypes.items()}

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return X


class Tensor:
    """A tensor of PyTorch that NumPy cannot read."""

    __module__ = "torch"

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


@pytest.mark.parametrize(
    "value", [tf.constant(X), tf.Variable(X), Column(), DataFrame(a="float32", b="float32"), X]
)
def test_what_numpy_reads_exactly_is_an_array(value: Any) -> None:
    assert SPEC.encode(value) == SPEC.encode(X)
    assert tfd.infer(value) == tfd.infer(X)
    assert tfd.infer([value, value]) == tfd.infer([X, X])


STRINGS = r"; a payload carries numbers: .*tf.TensorSpec\(\[None\], tf.string\)"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (scipy.sparse.csr_matrix(X), r"scipy csr_matrix; make it dense: array.toarray\(\)"),
        (scipy.sparse.coo_array(X), r"scipy coo_array; make it dense: array.toarray\(\)"),
        (tf.sparse.from_dense(X), r"make it dense: tf.sparse.to_dense\(array\).numpy\(\)"),
        (tf.ragged.constant([[1.0], [2.0, 3.0]]), "encode each row by a spec with a None dim"),
        (tf.keras.Input((2,)), r"without values; encode in the graph: spec.encode_tensor"),
        (DataFrame(a="int64", b="float64"), r"float64, int64; .*array.to_numpy\('float64'\)"),
        (DataFrame(a="int64", name="O"), r"columns that are no numbers: name; .*array.drop"),
        (Tensor(), r"array is torch Tensor, .*; call array.detach\(\).cpu\(\).numpy\(\) first"),
        (np.array([["abc", "de"]]), STRINGS),
        (np.array([b"abc"]), STRINGS),
        (np.array(["abc", "de"], object), STRINGS),
        (
            np.array([np.ones(2), np.ones(3)], object),
            "encode each of the arrays in it, by a spec",
        ),
        (np.array([1, None], object), r"; make them numbers: array.astype\('float64'\)"),
        (np.zeros(2, [("a", "f4"), ("b", "i4")]), r"; encode each field: array\['a'\]"),
        (np.zeros(2, "M8[s]"), r"datetime64.*; encode its numbers: array.view\('int64'\)"),
        (np.ma.masked_array(X, X > 0), r"Call array.filled\(\) first"),
        ({"a": X}, "array is dict, needs an array of numbers; pass one of its values"),
        (None, "array is NoneType, needs an array of numbers"),
    ],
)
def test_what_is_no_array_is_told_what_to_call(value: Any, said: str) -> None:
    with pytest.raises(tfd.EncodeError, match=said):
        SPEC.encode(value)
    for arrays in (value, [value]):
        with pytest.raises(tfd.SpecError, match=said):
            tfd.infer(arrays)


def test_a_path_and_rows_of_different_length_are_no_array() -> None:
    with pytest.raises(tfd.EncodeError, match=r"read a file first: tfdecode.load\(path\)"):
        SPEC.encode(pathlib.Path("x.npy"))
    with pytest.raises(tfd.EncodeError, match="rows of different shapes"):
        SPEC.encode([[1.0], [2.0, 3.0]])
