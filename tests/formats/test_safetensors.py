"""The safetensors reader gives what the reference library gives, and refuses what it refuses."""

from __future__ import annotations

import contextlib
import json
import random

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import arrays, shapes
from tfdecode.errors import FileError
from tfdecode.formats import safetensors

reference = pytest.importorskip("safetensors")
save = pytest.importorskip("safetensors.numpy").save

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["float16", "bfloat16", "float32", "float64", "complex64"]
ARRAYS = {
    "pose": np.arange(24, dtype="f4").reshape(2, 3, 4),
    "ids": np.array([1, -2], "i8"),
    "empty": np.zeros((0, 3)),
    "scalar": np.array(True),
}


def packed(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(dtype: str = "U8", shape: object = (4,), offsets: object = (0, 4)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@given(st.data(), st.dictionaries(st.text(max_size=9), st.sampled_from(DTYPES), min_size=1))
def test_tensors_of_the_reference_come_back_bit_for_bit(data: st.DataObject, names: dict) -> None:
    names.pop("__metadata__", None)
    saved = {name: data.draw(arrays(dtype, data.draw(shapes))) for name, dtype in names.items()}
    got = safetensors.contents(save(saved, {"made": "by a test"})).read_all() if saved else {}
    assert got.keys() == saved.keys()
    for name, array in saved.items():
        assert (got[name].dtype, got[name].shape) == (array.dtype, array.shape)
        assert got[name].tobytes() == array.tobytes()


def test_no_bytes_are_copied() -> None:
    data = save(ARRAYS)
    assert np.shares_memory(safetensors.contents(data).read("pose"), np.frombuffer(data, "u1"))


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_dtypes_without_a_tensor_of_numpy_are_named(dtype: str) -> None:
    data = save({"w": np.zeros(3, dtype=getattr(ml_dtypes, dtype)), "x": np.ones(2)})
    with pytest.raises(FileError, match=r"w: tensor of dtype F8_\w+; save it as bfloat16 or"):
        safetensors.contents(data).read("w")
    assert safetensors.contents(data).read().tolist() == [1, 1]


LIES = {
    "no header": b"",
    "a header beyond the file": (10).to_bytes(8, "little") + b"{}",
    "a header of 2**64 - 1 bytes": b"\xff" * 8 + b"{}",
    "no JSON": packed(b"{x}"),
    "JSON in UTF-16": packed("{}".encode("utf-16")),
    "JSON that is a list": packed([]),
    "white space before the JSON": packed(b" {}"),
    "text after the JSON": packed(b"{} {}"),
    "nested too deep": packed(b'{"a":' + b"[" * 10**5),
    "a long integer": packed(b'{"a":' + b"9" * 10**6 + b"}"),
    "NaN": packed(b'{"a":NaN}'),
    "a name twice": packed(
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b"x",
    ),
    "a field twice": packed(
        b'{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"
    ),
    "a tensor that is a number": packed({"a": 1}),
    "a missing field": packed({"a": {"dtype": "U8", "shape": [0]}}),
    "an unknown field": packed({"a": tensor() | {"order": "F"}}, bytes(4)),
    "one offset": packed({"a": tensor(offsets=[0])}, bytes(4)),
    "a bool as offset": packed({"a": tensor(shape=[1], offsets=[False, True])}, b"x"),
    "offsets that are texts": packed({"a": tensor(offsets=["0", "4"])}, bytes(4)),
    "a negative offset": packed({"a": tensor(offsets=[-4, 0])}, bytes(4)),
    "an end before the begin": packed({"a": tensor(shape=[], offsets=[4, 0])}, bytes(4)),
    "an end beyond the file": packed({"a": tensor(shape=[9], offsets=[0, 9])}, bytes(4)),
    "a gap before": packed({"a": tensor(offsets=[1, 5])}, bytes(5)),
    "a gap between": packed({"a": tensor(), "b": tensor(offsets=[5, 9])}, bytes(9)),
    "an overlap": packed({"a": tensor(), "b": tensor(offsets=[3, 7])}, bytes(7)),
    "the same bytes twice": packed({"a": tensor(), "b": tensor()}, bytes(4)),
    "bytes left over": packed({"a": tensor()}, bytes(5)),
    "a shape too small": packed({"a": tensor(shape=[3])}, bytes(4)),
    "a shape too large": packed({"a": tensor(shape=[5])}, bytes(4)),
    "a shape that wraps to 4": packed({"a": tensor(shape=[2**62 + 1, 4])}, bytes(4)),
    "a negative dimension": packed({"a": tensor(shape=[-2, -2])}, bytes(4)),
    "a dimension that is a float": packed({"a": tensor(shape=[4.0])}, bytes(4)),
    "empty but huge": packed({"a": tensor(shape=[0, 2**62, 2**62], offsets=[0, 0])}),
    "another item size": packed({"a": tensor("F32")}, bytes(4)),
}


@pytest.mark.parametrize("name", LIES)
def test_a_file_that_lies_is_refused(name: str) -> None:
    with pytest.raises(FileError) as caught:
        safetensors.contents(LIES[name])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", LIES)
def test_the_reference_refuses_them_too(name: str) -> None:
    lenient = {"a name twice", "an unknown field", "empty but huge", "white space before the JSON"}
    if name not in lenient:
        with pytest.raises(reference.SafetensorError):
            reference.deserialize(LIES[name])


def test_the_header_has_a_limit_of_its_own() -> None:
    data = packed({"__metadata__": {"x": "y" * 10**7}})
    with pytest.raises(FileError, match=r"header of 1000.* bytes, more than the limit of 10000000"):
        safetensors.contents(data)


def test_an_empty_file_of_no_tensors_says_so() -> None:
    with pytest.raises(FileError, match="holds no array to read: it is empty"):
        safetensors.contents(packed({"__metadata__": {}})).read()


def test_metadata_is_named() -> None:
    listing = safetensors.contents(save({"x": np.ones(1)}, {"format": "np", "epoch": "3"}))
    assert listing.others == {"__metadata__": "2 texts, not a tensor"}
    with pytest.raises(FileError, match="has a __metadata__ that is not a JSON object"):
        safetensors.contents(packed({"__metadata__": [1]}))


def test_a_name_twice_is_told() -> None:
    with pytest.raises(FileError, match="has the name a twice in its header; give each its own"):
        safetensors.contents(LIES["a name twice"])


def test_every_truncation_is_refused() -> None:
    data = save(ARRAYS)
    for end in range(len(data)):
        with pytest.raises(FileError):
            safetensors.contents(data[:end])


def test_mutants_give_what_the_reference_gives_or_a_file_error() -> None:
    source, data, read = random.Random(4), save(ARRAYS), 0
    for _ in range(3000):
        mutant = bytearray(data)
        for _ in range(source.randint(1, 3)):
            mutant[source.randrange(len(mutant))] = source.randrange(256)
        with contextlib.suppress(FileError):
            listing = safetensors.contents(bytes(mutant))
            got = listing.read_all(max_bytes=10**6)
            if listing.others:  # dtypes that the reference does not know
                continue
            expected = dict(reference.deserialize(bytes(mutant)))
            assert got.keys() == expected.keys()
            for name, array in got.items():
                assert array.tobytes() == bytes(expected[name]["data"])
                assert list(array.shape) == expected[name]["shape"]
            read += 1
    assert read > 100
