"""load(dtype=, casting=): which values a conversion may change, and what its errors say."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tfdecode as tfd
from tfdecode.conversion import converted
from tfdecode.dtypes import ITEM_SIZES, numpy_dtype

DTYPES = [name for name in ITEM_SIZES if name != "bfloat16"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda name: hnp.arrays(name, hnp.array_shapes(max_side=4))
)


@given(ARRAYS, st.sampled_from(DTYPES))
def test_equiv_keeps_each_number_and_same_kind_its_rounding(x: np.ndarray, target: str) -> None:
    with np.errstate(all="ignore"):
        y = (x.real if x.dtype.kind == "c" and "complex" not in target else x).astype(target)
        back = y.astype(x.dtype)
    try:
        same = converted(x, target)
    except tfd.EncodeError as error:
        assert "would become" in str(error) and "--casting" in str(error)
        same = None
    else:
        np.testing.assert_array_equal(same, y)
        np.testing.assert_array_equal(back, x)
        np.testing.assert_array_equal(converted(x, target, "same_kind"), y)
    try:
        rounded = converted(x, target, "same_kind")
    except tfd.EncodeError:
        assert same is None
    else:
        np.testing.assert_array_equal(rounded, y)
        assert same is not None or np.can_cast(x.dtype, target, "same_kind")
        finite = np.isfinite(x)
        assert (np.isfinite(y) == finite).all()
    np.testing.assert_array_equal(converted(x, target, "unsafe"), y)


@pytest.mark.parametrize(
    ("values", "target", "said"),
    [
        (
            [[0.5, 0.25], [2.0, 0.1]],
            "float32",
            "0.1 at index [1, 1] would become 0.100000001 (1 in all, moved by at most 1.49e-09, "
            "or 1.49e-08 relative, at index [1, 1]); to round, pass --casting same_kind",
        ),
        ([1.0, 0.1, 1e6 + 0.1], "float32", "at most 0.025, or 2.5e-08 relative, at index [2]"),
        ([0.1], "bfloat16", "0.1 at index [0] would become 0.100097656"),
        ([0.1, 1e300], "float32", "(2 in all, moved by at most inf, at index [1]); choose a dtype"),
        ([300], "uint8", "300 at index [0] would become 44 (1 in all, moved by at most 256"),
        ([-1.5], "int8", "-1.5 at index [0] would become -1 (1 in all"),
        ([1.5], "int8", 'in Python casting="unsafe", truncates'),
        ([2**53 + 1], "float64", "9007199254740993 at index [0] would become 9.00719925e+15 (1 in"),
        ([-0.0], "bool", 'in Python casting="unsafe", makes all but 0 True'),
        ([1 + 2j], "float64", 'casting="unsafe", drops imaginary parts'),
    ],
)
def test_the_error_says_how_far_values_would_move(values, target: str, said: str) -> None:
    with pytest.raises(tfd.EncodeError) as caught:
        converted(np.array(values), target)
    assert said in str(caught.value)


def test_same_kind_rounds_floats_and_refuses_what_is_out_of_range() -> None:
    x = np.array([0.1, np.inf, np.nan, -1e-60])
    np.testing.assert_array_equal(converted(x, "float32", "same_kind"), x.astype("float32"))
    bfloat16 = converted(x, "bfloat16", "same_kind")
    assert bfloat16.tobytes() == x.astype(ml_dtypes.bfloat16).tobytes()
    for values, target in (([1e300], "float32"), ([300], "int8"), ([1.5], "int8"), ([-1], "uint8")):
        with pytest.raises(tfd.EncodeError, match="choose a dtype that holds these values"):
            converted(np.array(values), target, "same_kind")
        with np.errstate(all="ignore"):
            expected = np.array(values).astype(target)
        np.testing.assert_array_equal(converted(np.array(values), target, "unsafe"), expected)


def test_large_arrays_are_converted_in_parts() -> None:
    x = np.ones((3, 2**20))
    assert converted(x, "float32").tobytes() == x.astype("float32").tobytes()
    x[2, 5] = 0.1
    with pytest.raises(tfd.EncodeError, match=r"0.1 at index \[2, 5\].*\(1 in all"):
        converted(x, "float32")


def test_a_refusal_needs_little_memory() -> None:
    x = np.random.default_rng(0).random((3, 2**20))
    x[2, 7] = 1e6 / 3
    tracemalloc.start()
    with pytest.raises(tfd.EncodeError) as caught:
        converted(x, "float32")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "(3145728 in all, moved by at most 0.0104" in str(caught.value)
    assert "at index [2, 7]); to round" in str(caught.value)
    assert most < 2 * x.nbytes


def test_each_part_of_a_complex_number_must_be_in_range() -> None:
    for values in ([complex(np.inf, 1e300)], [complex(1e300, np.nan)]):
        with pytest.raises(tfd.EncodeError, match="choose a dtype that holds these values"):
            converted(np.array(values), "complex64", "same_kind")


@pytest.mark.parametrize("casting", ["safe", None])
def test_other_words_are_refused(casting) -> None:
    with pytest.raises(tfd.SpecError, match="needs one of no, equiv, same_kind, unsafe"):
        converted(np.ones(1), "float32", casting)


def test_load_converts(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([0.1, 2.0]))
    with pytest.raises(tfd.EncodeError, match=f"^{path}: array is not exact in float32: 0.1"):
        tfd.load(path, dtype="float32")
    array = tfd.load(path, dtype="float32", casting="same_kind")
    assert array.dtype == np.float32 and array.tolist() == [np.float32(0.1), 2.0]
    assert not array.flags.writeable
    assert tfd.load(path, dtype="float64").tolist() == [0.1, 2.0]
    with pytest.raises(tfd.FileError, match="decodes to 32 bytes, more than the limit of 20"):
        tfd.load(path, dtype="complex128", max_bytes=20)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ITEM_SIZES)
def test_files_without_a_header(tmp_path: Path, dtype: str, order: str) -> None:
    if dtype == "bfloat16" and order == ">":
        return  # NumPy has no text for it
    x = (np.arange(24) % 2).astype(numpy_dtype(dtype)).reshape(3, 2, 4)
    stored = x.astype(x.dtype.newbyteorder(order)) if dtype != "bfloat16" else x
    (tmp_path / "a.bin").write_bytes(stored.tobytes())
    given = stored.dtype if order == ">" else dtype
    for shape in ((3, 2, 4), (-1, 2, 4), [3, -1, 4], (3, 2, -1)):
        found = tfd.load(tmp_path / "a.bin", dtype=given, shape=shape)
        assert found.dtype == stored.dtype
        np.testing.assert_array_equal(found, x)
    assert tfd.load(tmp_path / "a.bin", dtype=given).shape == (24,)
    (tmp_path / "a.bin").rename(tmp_path / "a.raw")
    assert tfd.load(tmp_path / "a.raw", dtype=given, shape=(3, -1)).shape == (3, 8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "has no header that says what its numbers are; pass its dtype and shape: --dtype"),
        ({"shape": (-1, 4)}, "has no header that says what its numbers are; pass its dtype"),
        ({"dtype": "float32", "shape": (-1, 5)}, r"48 bytes, float32 \[-1,5\] needs a multiple of"),
        ({"dtype": "float32", "shape": (3, 5)}, r"has 48 bytes, float32 \[3,5\] needs 60"),
        (
            {"dtype": "float32", "shape": (-1, 0)},
            r"has 48 bytes, float32 \[-1,0\] needs a multiple",
        ),
        ({"dtype": "float64", "shape": (-1, -1)}, "needs sizes of 0 or more, and -1 at most once"),
        ({"dtype": "float64", "shape": (-2, 3)}, "needs sizes of 0 or more, and -1 at most once"),
        ({"dtype": "float64", "shape": 6}, "shape is 6, needs integers"),
        ({"dtype": "float64", "shape": "-1,3"}, "shape is '-1,3', needs integers"),
        ({"dtype": "float99"}, "dtype 'float99' is not one of"),
        ({"dtype": "float32", "shape": (2**62, 2**62)}, "has 48 bytes, float32"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, options, said: str) -> None:
    np.arange(12, dtype="<f4").tofile(tmp_path / "a.bin")
    with pytest.raises(tfd.TfdecodeError, match=said):
        tfd.load(tmp_path / "a.bin", **options)


@pytest.mark.parametrize(
    "x", [np.zeros(8, "f4"), np.full(64, 65, "u1"), np.arange(33, 60, 1, "u2")]
)
def test_numbers_like_another_file_are_read_if_the_shape_is_said(tmp_path: Path, x) -> None:
    x.tofile(tmp_path / "a.bin")
    with pytest.raises(tfd.FileError, match="if it is numbers without a header, pass its shape"):
        tfd.load(tmp_path / "a.bin", dtype=x.dtype)
    np.testing.assert_array_equal(tfd.load(tmp_path / "a.bin", dtype=x.dtype, shape=[-1]), x)


def test_shape_is_for_files_without_one(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 3)))
    with pytest.raises(tfd.FileError, match=r"is a \.npy, which says its shape"):
        tfd.load(tmp_path / "a.npy", shape=(3, 2))
    (tmp_path / "b.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n")
    with pytest.raises(tfd.FileError, match="is a Git LFS pointer, not the file"):
        tfd.load(tmp_path / "b.bin", dtype="uint8", shape=(-1,))


def test_no_refuses_another_dtype(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(2))
    assert tfd.load(tmp_path / "x.npy", dtype="float64", casting="no").dtype == np.float64
    with pytest.raises(tfd.EncodeError, match="array is float64, needs uint8; --casting equiv"):
        tfd.load(tmp_path / "x.npy", dtype="uint8", casting="no")
