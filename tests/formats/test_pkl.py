"""The pickle reader finds the arrays of every NumPy and Python, and names what else is there."""

from __future__ import annotations

import collections
import pickle
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tfdecode.errors import FileError
from tfdecode.formats import pkl

PROTOCOLS = range(6)
DTYPES = ["?", "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", ">u8"]
DTYPES += ["<f2", ">f4", "<f8", "<c8", ">c16"]
NUMBERS = npst.boolean_dtypes() | npst.integer_dtypes() | npst.unsigned_integer_dtypes()
NUMBERS |= npst.floating_dtypes(sizes=(16, 32, 64)) | npst.complex_number_dtypes(sizes=(64, 128))


def read(value: object, protocol: int = 4) -> np.ndarray:
    return pkl.contents(pickle.dumps(value, protocol)).read()


def check(value: np.ndarray, got: np.ndarray) -> None:
    assert (got.dtype, got.shape) == (value.dtype, value.shape)
    assert got.tobytes() == value.tobytes()


def keys(value: object) -> list[str]:
    return [entry.key for entry in pkl.contents(pickle.dumps(value)).entries]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4), (20, 30)])
def test_each_protocol_dtype_and_shape(protocol: int, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    check(array, read(array, protocol))


@given(npst.arrays(NUMBERS, npst.array_shapes(min_dims=0, min_side=0)), st.sampled_from(PROTOCOLS))
def test_any_array_comes_back_bit_for_bit(array: np.ndarray, protocol: int) -> None:
    check(array, read(array, protocol))


@given(st.permutations(range(4)), st.sampled_from(PROTOCOLS))
def test_any_order_of_axes_comes_back(axes: list[int], protocol: int) -> None:
    array = np.arange(120).reshape(2, 3, 4, 5).transpose(axes)
    check(array, read(array, protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_fortran_order_stays(protocol: int) -> None:
    assert read(np.asfortranarray(np.eye(3, 4)), protocol).flags.f_contiguous


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", [np.float32(1.5), np.int64(-3), np.bool_(True), np.complex64(1j)])
def test_scalars_are_arrays_without_dimensions(value: np.generic, protocol: int) -> None:
    check(np.asarray(value), read(value, protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_subclasses_read_as_arrays(protocol: int, tmp_path) -> None:
    mapped = np.memmap(tmp_path / "map", "f4", "w+", shape=(2, 2))
    for value in (np.matrix([[1.0, 2.0]]), mapped):
        got = read(value, protocol)
        assert type(got) is np.ndarray
        check(np.asarray(value), got)


def test_bfloat16() -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    for protocol in PROTOCOLS:
        check(np.arange(4).astype(bfloat16), read(np.arange(4).astype(bfloat16), protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_1_module_paths(protocol: int) -> None:
    data = pickle.dumps(np.arange(6).reshape(2, 3), protocol)
    length = len(data)
    for module in (b"multiarray", b"numeric"):
        new, old = b"numpy._core." + module, b"numpy.core." + module
        data = data.replace(b"\x8c" + bytes([len(new)]) + new, b"\x8c" + bytes([len(old)]) + old)
        data = data.replace(new, old)
    if protocol >= 4:
        (frame,) = struct.unpack_from("<Q", data, 3)
        data = data[:3] + struct.pack("<Q", frame - length + len(data)) + data[11:]
    assert b"_core" not in data
    assert pkl.contents(data).read().tolist() == [[0, 1, 2], [3, 4, 5]]


# numpy.array([1.0, 2.0]) as Python 2.7 with NumPy 1.16 pickles it.
PYTHON_2 = {
    0: b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\ntp4\n"
    b"Rp5\n(I1\n(I2\ntp6\ncnumpy\ndtype\np7\n(S'f8'\np8\nI0\nI1\ntp9\nRp10\n(I3\nS'<'\np11\nNNNI-1\n"
    b"I-1\nI0\ntp12\nbI00\nS'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?\\x00\\x00\\x00\\x00\\x00\\x00\\x00@'"
    b"\np13\ntp14\nb.",
    1: b"cnumpy.core.multiarray\n_reconstruct\n"
    b"q\x00(cnumpy\nndarray\nq\x01(K\x00tq\x02U\x01bq\x03tq"
    b"\x04Rq\x05(K\x01(K\x02tq\x06cnumpy\ndtype\nq\x07(U\x02f8q\x08K\x00K\x01tq\tRq\n(K\x03U\x01<q"
    b"\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0cbI00\nU\x10\x00\x00\x00\x00\x00\x00\xf0?"
    b"\x00\x00\x00\x00\x00\x00\x00@q\rtq\x0eb.",
    2: b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n"
    b"q\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02U\x01"
    b"bq\x03\x87q\x04Rq\x05(K\x01K\x02\x85q\x06cnumpy\ndtype\nq\x07U\x02f8q\x08K\x00K\x01\x87q\tRq\n"
    b"(K\x03U\x01<q\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0cb\x89U\x10\x00\x00\x00\x00"
    b"\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@q\rtq\x0eb.",
}


@pytest.mark.parametrize("protocol", PYTHON_2)
def test_pickles_of_python_2(protocol: int) -> None:
    check(np.array([1.0, 2.0]), pkl.contents(PYTHON_2[protocol]).read())


def test_long_arrays_of_python_2() -> None:
    array = np.arange(256, dtype="u1")
    head, tail = PYTHON_2[2].split(b"U\x10")
    head = (
        head.replace(b"f8", b"u1")
        .replace(b"K\x02\x85", b"M\x00\x01\x85")
        .replace(b"U\x01<", b"U\x01|")
    )
    data = head + b"T\x00\x01\x00\x00" + array.tobytes() + tail[16:]
    check(array, pkl.contents(data).read())


def test_keys_are_paths() -> None:
    one = np.eye(1)
    value = {
        "a": one,
        ("S1", 54138969): {"R": one + 1},
        3: [one + 2, (one + 3,)],
        "o": collections.OrderedDict(x=one + 4),
        "d": collections.defaultdict(list, y=one + 5),
    }
    assert keys(value) == ["a", "S1,54138969/R", "3/0", "3/1/0", "o/x", "d/y"]
    data = pickle.dumps(value)
    assert [pkl.contents(data).read(key).item() for key in keys(value)] == [1, 2, 3, 4, 5, 6]


def test_an_ordered_dict_of_python_2() -> None:
    data = b"ccollections\nOrderedDict\n((l(lS'x'\na" + PYTHON_2[0][:-1] + b"aatR."
    assert [entry.key for entry in pkl.contents(data).entries] == ["x"]


def test_a_key_twice_is_ambiguous() -> None:
    data = b"(S'a'\n" + PYTHON_2[0][:-1] + b"S'a'\n" + PYTHON_2[0][:-1] + b"d."
    with pytest.raises(FileError, match=r"2 different arrays named \['a'\], so that key is ambig"):
        pkl.contents(data).read("['a']")


def test_a_shared_array_is_listed_under_both_keys() -> None:
    one = np.eye(1)
    assert keys({"a": one, "b": one}) == ["a", "b"]


class Config:
    """An object of a user's own class."""


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.array([None, 1]), r"object array \[2\] of 2 items; save the numbers in it as arrays"),
        (np.array([1, 2], object), r"object array \[2\] of 2 ints; save numpy.asarray\(x.tolist"),
        (np.zeros(1, [("x", "f4")]), "structured array"),
        (np.array(["a"]), "array of strings"),
        (np.array([b"a"]), "array of byte strings"),
        (np.zeros(1, "M8[s]"), "datetime64 array"),
        (np.zeros(1, "g"), "long double array"),
        (np.rec.array([(1, 2)]), "structured array; save each field"),
        (Config(), "Config object; save its arrays on their own"),
        (Fraction(1, 2), "fractions.Fraction object"),
        ([1.0, 2.0, 3.0], r"a list of 3 floats, not an array; save numpy.asarray\(...\)"),
        ([[1, 2], [3, 4]], "a list of 2 lists, not an array"),
        ({"a": [1]}, "a: a list of 1 int, not an array"),
        (3, "int, not an array"),
        (None, "nothing"),
        ({}, "it is empty"),
        (len, "the name .*builtin.*.len, which is not imported"),
    ],
)
def test_what_is_no_array_is_named(value: object, reason: str, protocol: int) -> None:
    with pytest.raises(FileError, match=f"^holds no array to read: .*{reason}"):
        read(value, protocol)


def test_a_scipy_sparse_matrix_says_how_to_save_it() -> None:
    sparse = pytest.importorskip("scipy.sparse").eye(3).tocsr()
    with pytest.raises(FileError, match=r"S: scipy\.sparse\S+ object; save its \.toarray\(\)$"):
        read({"S": sparse})


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (b"pandas.core.frame\nDataFrame", "its .to_numpy()"),
        (b"torch._utils\n_rebuild_tensor_v2", "the .numpy() of each tensor"),
        (b"tensorflow.python.framework.ops\nconvert_to_tensor", "the .numpy() of each tensor"),
        (b"jax._src.array\n_reconstruct_array", "numpy.asarray(...) of it"),
        (b"PIL.Image\nImage", "numpy.asarray(...) of it"),
        (b"pandasql\nTable", "its arrays on their own"),
    ],
)
def test_objects_of_known_packages_say_how_to_convert_them(name: bytes, advice: str) -> None:
    with pytest.raises(FileError) as caught:
        pkl.contents(b"c" + name + b"\n)R.").read()
    made = name.decode().replace("\n", ".")
    assert str(caught.value) == f"holds no array to read: {made} object; save {advice}"


def test_several_arrays_without_a_key_are_listed_and_capped() -> None:
    with pytest.raises(
        FileError, match=r"25 arrays, .*: 0: float64 \[1,1\]; .*; \.\.\. and 5 more \(how: "
    ):
        read([np.eye(1) for _ in range(25)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is a truncated pickle"),
        (b"\x00hello", "is not a pickle: byte 0"),
        (pickle.dumps(1) + b"\n", "1 more bytes after the pickle; save all arrays by one"),
        (b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n.", "is written by joblib.dump"),
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "outside of the pickle, as torch.save"),
        (pickle.dumps(np.eye(2), 5, buffer_callback=lambda _: None), "buffer_callback"),
        (b"\x80\x02\x82\x01.", "copyreg extension codes"),
    ],
)
def test_foreign_files_say_what_they_are(data: bytes, reason: str) -> None:
    with pytest.raises(FileError, match=reason):
        pkl.contents(data)


def test_max_bytes_bounds_the_array_and_not_the_file() -> None:
    listing = pkl.contents(pickle.dumps({"big": np.zeros(1000), "small": np.zeros(1)}))
    assert listing.read("small", max_bytes=8).shape == (1,)
    with pytest.raises(FileError, match="big decodes to 8000 bytes, more than the limit of 7999"):
        listing.read("big", max_bytes=7999)


def test_the_bytes_of_an_array_are_not_copied() -> None:
    data = pickle.dumps(np.zeros(100_000))
    assert np.shares_memory(pkl.contents(data).read(), np.frombuffer(data, "u1"))
