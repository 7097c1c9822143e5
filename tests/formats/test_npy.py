"""The .npy reader gives what was saved, bit for bit, and refuses every byte too few or too many."""

from __future__ import annotations

import contextlib
import io
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from tests.common import file_by
from tfdecode.errors import FileError
from tfdecode.formats import npy

DTYPES = ["?", "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", ">u8"]
DTYPES += ["<f2", ">f4", "<f8", "<c8", ">c16"]


def saved(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    return file_by(np.lib.format.write_array, array, version)


@given(npst.arrays(npst.scalar_dtypes(), npst.array_shapes(min_dims=0, min_side=0)))
def test_plain_numbers_come_back_bit_for_bit_and_the_rest_is_refused(array: np.ndarray) -> None:
    listing = npy.contents(saved(array, (2, 0)))
    if array.dtype.kind in "biufc" and array.dtype.itemsize <= 8 << (array.dtype.kind == "c"):
        read = listing.read()
        assert (read.dtype, read.shape, read.tobytes()) == (
            array.dtype,
            array.shape,
            array.tobytes(),
        )
    else:
        assert not listing.entries


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_each_dtype_shape_and_version(dtype: str, shape: tuple[int, ...], version: tuple) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    read = npy.contents(saved(array, version)).read()
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_fortran_order_stays() -> None:
    read = npy.contents(saved(np.asfortranarray(np.arange(6.0).reshape(2, 3)))).read()
    assert read.flags.f_contiguous
    assert read.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_arrays_are_read_only_views() -> None:
    assert not npy.contents(saved(np.arange(3))).read().flags.writeable


@pytest.mark.parametrize("change", [-8, -1, 1, 8])
def test_a_changed_length_is_refused(change: int) -> None:
    data = saved(np.arange(4.0))
    data = data[:change] if change < 0 else data + bytes(change)
    with pytest.raises(FileError, match=f"has {32 + change} bytes of data where float64 .4. needs"):
        npy.contents(data)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([1, "a"], object), r"object array \[2\] of 2 items"),
        (np.zeros(2, [("x", "f4")]), "structured array"),
        (np.array(["a"]), "array of strings"),
        (np.array([b"a"]), "array of byte strings"),
        (np.zeros(2, "M8[s]"), "datetime64 array"),
        (np.zeros(2, "g"), "long double array"),
    ],
)
def test_what_is_no_number_is_named(array: np.ndarray, reason: str) -> None:
    with pytest.raises(FileError, match=f"holds no array to read: {reason}; save"):
        npy.contents(saved(array)).read()


@pytest.mark.parametrize(
    "shape", ["(-1,)", "(2.0,)", "(True,)", f"({2**70},)", f"(0, {2**70})", "(1,)*40", "(" * 4000]
)
def test_impossible_shapes_are_refused(shape: str) -> None:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with pytest.raises(FileError):
        npy.contents(
            b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(8)
        ).read()


def test_a_header_is_not_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python, one of 10,000 characters takes 12 ms, and an .npz may have thousands."""
    monkeypatch.setattr("ast.literal_eval", None)
    monkeypatch.setattr("numpy.lib.format.read_array_header_1_0", None)
    fields = "".join(f"('f{n}', '<f4'), " for n in range(300))
    text = f"{{'descr': [{fields}], 'fortran_order': False, 'shape': (0,), }}".encode()
    data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    assert npy.contents(data).others[""].startswith("structured array")
    assert npy.contents(saved(np.arange(3))).read().tolist() == [0, 1, 2]


def test_a_header_too_large_to_parse_safely_is_refused() -> None:
    text = b" " * 200_000
    with pytest.raises(FileError):
        npy.contents(b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text)


@pytest.mark.filterwarnings("ignore")  # of NumPy
def test_a_mutant_that_is_read_is_what_numpy_reads() -> None:
    source, read, data = random.Random(0), 0, saved(np.arange(6.0).reshape(2, 3))
    others = b"0123456789()[]{}<>|=',: LuTrueFalsfcib"
    for _ in range(3000):
        mutant = bytearray(data)
        for _ in range(source.randint(1, 3)):
            at = source.randrange(len(mutant) if source.random() < 0.5 else 75)
            mutant[at] = source.choice(others) if source.random() < 0.7 else source.randrange(256)
        with contextlib.suppress(FileError):
            got = npy.contents(bytes(mutant)).read()
            expected = np.load(io.BytesIO(mutant))
            assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
            assert got.tobytes() == expected.tobytes()
            assert got.nbytes == 48
            read += 1
    assert read > 100
