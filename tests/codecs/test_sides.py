"""Several ``None`` dimensions: every codec that takes them, every layout, and hostile dimensions.

All specs are in one reloaded model. To trace, save and load one takes half a second.
"""

from __future__ import annotations

import io
import itertools
import struct
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import tfdecode as tfd
from tests.codecs.cases import SOME
from tests.common import Case, any_bits, assert_same, integers, multiples, one_hot, spots
from tests.reloaded import save, traced
from tests.strategies import arrays_of
from tfdecode.dtypes import numpy_dtype
from tfdecode.formats.png import chunk
from tfdecode.graph import ragged


def cases() -> list[Case]:
    """Each codec once, each dtype once, and all places of the ``None``."""
    two: Any = {"shape": (None, None, 3), "max_shape": (5, 4, 3)}
    shapes = ((None, None), (None, 2, None), (2, None, None), (None, None, None, 2))
    places = itertools.cycle(shapes)
    raw = [
        Case("raw", shape := next(places), dtype, max_shape=tuple(side or 4 for side in shape))
        for dtype in SOME
    ]
    return [
        *raw,
        Case("raw|seal", (None, 0), "int32", max_shape=(5, 0)),
        Case("transpose:1,0|delta:0|shuffle", (0, None), "int16", max_shape=(0, 4)),
        Case("zlib", dtype="float32", **two),
        Case("zlib_bounded", dtype="complex64", **two),
        Case("zstd", dtype="uint8", seal=False, **two),
        Case("transpose:2,1,0|zlib|zlib_bounded", dtype="float64", **two),
        Case("transpose:1,3,0,2", (None, 2, None, None), "int8", max_shape=(3, 2, 4, 2)),
        Case("astype:uint8", dtype="float32", make=integers(0, 255), **two),
        Case("astype:bool|zlib", dtype="int64", make=integers(0, 1), **two),
        Case("fixed_point:10,dtype=int16", dtype="float32", make=multiples(-99, 99, 10), **two),
        Case(
            "fixed_point:1,7,4,dtype=int8", dtype="float64", make=multiples(-9, 9, 1, 7, 4), **two
        ),
        Case("sortable|delta:0,1,zigzag=true|shuffle|zlib", dtype="float16", **two),
        Case("onehot", dtype="float32", make=one_hot, **two),
        Case("sparse:1|zlib", dtype="complex128", make=spots(1), **two),
        Case("sparse:palette=true", dtype="uint16", make=spots(0, 9), seal=False, **two),
        Case("sparse", (None,), "bool", max_shape=(9,)),
        Case("sparse:palette=true", (0, None, None), "int32", max_shape=(0, 2, 3)),
        Case("npy", dtype="uint8", **two),
        Case("png|seal or raw", dtype="uint8", **two),
        Case("png or raw", dtype="float32", **two),
        Case("png:interleaved,describe=false or raw", (None, 4, 4), "uint8", max_shape=(3, 4, 4)),
        Case("png or raw", (2, None), "bool", max_shape=(2, 40)),
        Case("png or raw", (None, None), "int16", max_shape=(4, 40)),
        Case("png or raw", (None,), "complex64", max_shape=(40,)),
        Case("npy|zlib", (None,), "bool", max_shape=(9,)),
        Case("npy or raw", (2, None), "complex64", max_shape=(2, 9)),
        Case("astype:uint8|zlib or transpose:1,0,2|zlib_bounded or raw", dtype="float32", **two),
    ]


CASES = {case.key: case for case in cases()}
RAW = list(CASES)[:4]


class Layouts(tf.Module):
    """For each spec what ``decode_batch`` returns, padded with a status, and ragged."""

    def __init__(self) -> None:
        super().__init__()
        self.padded = {key: traced(masked(case.spec), key) for key, case in CASES.items()}
        self.ragged = {key: traced(CASES[key].spec.decode_ragged, key) for key in RAW}
        self.dense = {key: traced(CASES[key].spec.decode_tensor, key) for key in RAW[:2]}


def masked(spec: tfd.ArraySpec) -> Any:
    def decode(payloads: Any, input_name: str) -> Any:
        options: Any = {"on_invalid": "mask", "input_name": input_name}
        return tuple(spec.decode_batch(payloads, "padded", **options))

    return decode


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return save(Layouts(), tmp_path_factory.mktemp("sides"))


def padded(arrays: list[np.ndarray], rank: int, dtype: str) -> np.ndarray:
    """What a batch is: ``arrays`` with zeros up to the largest size along each axis."""
    sides = [max((x.shape[axis] for x in arrays), default=0) for axis in range(rank)]
    batch = np.zeros((len(arrays), *sides), numpy_dtype(dtype))
    for row, array in zip(batch, arrays, strict=True):
        row[tuple(map(slice, array.shape))] = array
    return batch


@settings(max_examples=50)
@given(st.data())
def test_every_codec_brings_back_rows_of_any_size(model: Any, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(list(CASES)))
    case = CASES[key]
    arrays = data.draw(st.lists(arrays_of(case), min_size=1, max_size=4))
    payloads = [case.spec.encode(array) for array in arrays]
    for array, payload in zip(arrays, payloads, strict=True):
        assert_same(case.spec.decode(payload), array)
    batch, lengths, status = model.padded[key](tf.constant(payloads))
    assert_same(batch, padded(arrays, len(case.shape), case.dtype))
    open_axes = [axis for axis, side in enumerate(case.shape) if side is None]
    expected = np.int32([[array.shape[axis] for axis in open_axes] for array in arrays])
    assert_same(lengths, expected if len(open_axes) > 1 else expected[:, 0])
    assert not status.numpy().any()
    if key not in RAW:
        return
    rows = model.ragged[key](tf.constant(payloads))
    assert rows.shape.as_list()[1:] == list(case.shape)
    for index, array in enumerate(arrays):
        row = rows[index]
        row = row.to_tensor(shape=array.shape) if isinstance(row, tf.RaggedTensor) else row
        assert_same(row, array)


@settings(max_examples=25)
@given(st.data())
def test_a_row_does_not_depend_on_its_neighbours(model: Any, data: st.DataObject) -> None:
    """A bad one is empty, has a status, and leaves the others as they are."""
    key = data.draw(st.sampled_from(list(CASES)))
    case = CASES[key]
    arrays = data.draw(st.lists(arrays_of(case), min_size=2, max_size=4))
    payloads = [case.spec.encode(array) for array in arrays]
    bad = data.draw(st.integers(0, len(arrays) - 1))
    payloads[bad] = data.draw(st.sampled_from([b"", b"\xff" * 99, payloads[bad] + b"\0"]))
    batch, lengths, status = model.padded[key](tf.constant(payloads))
    try:
        arrays[bad] = case.spec.decode(payloads[bad])
    except tfd.DecodeError:
        assert status[bad].numpy() > 0 and not np.any(lengths[bad])
        arrays[bad] = case.spec.chain.form.zeros()
    assert_same(batch, padded(arrays, len(case.shape), case.dtype))
    assert (np.delete(status.numpy(), bad) == 0).all()


def test_an_empty_batch_has_no_rows(model: Any) -> None:
    for key, case in CASES.items():
        batch, lengths, status = model.padded[key](tf.constant([], tf.string))
        assert batch.shape == (0, *(side or 0 for side in case.shape))
        assert len(lengths) == len(status) == 0
    for key in RAW:
        assert model.ragged[key](tf.constant([], tf.string)).nrows() == 0


def test_rows_that_differ_are_named_by_axis(model: Any) -> None:
    key = list(CASES)[1]  # [None, 2, None]
    decode, spec = model.dense[key], CASES[key].spec
    shapes = [(4, 2, 1), (4, 2, 1), (2, 2, 2)]
    payloads = [spec.encode(np.ones(shape, spec.dtype)) for shape in shapes]
    assert decode(tf.constant(payloads[:2])).shape == (2, 4, 2, 1)
    message = rf"{key}: row 0 has 1 along axis 2, another 2: decode_ragged takes rows that differ"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode(tf.constant(payloads))


# -- hostile dimensions ------------------------------------------------------------------------

SPEC = tfd.ArraySpec((None, 3, None), "int16", max_shape=(1000, 3, 5000))
HOSTILE = {
    "negative": ((-1, 1), 0, "states 4294967295 along axis 0, needs at most 1000"),
    "both negative": ((-1, -1), 6, "states 4294967295 along axis 0, needs at most 1000"),
    "huge": ((2**31 - 1, 1), 6, "states 2147483647 along axis 0, needs at most 1000"),
    "one more": ((1001, 1), 6006, "states 1001 along axis 0, needs at most 1000"),
    "second axis": ((1, 5001), 30006, "states 5001 along axis 2, needs at most 5000"),
    # 3 * 2 * 65536 * 65536 is 0 modulo 2**32
    "an overflow": ((2**16, 2**16), 0, "states 65536 along axis 0, needs at most 1000"),
    "fewer elements": ((2, 2), 22, "has 30 bytes, .* needs? 32"),
    "more elements": ((2, 2), 26, "has 34 bytes, .* needs? 32"),
    "none": ((0, 7), 6, "has 14 bytes, .* needs? 8"),
    "no byte": ((1, 1), 0, "has 8 bytes, .* needs? 14"),
    "half a header": ((1,), 0, "has 4 bytes, needs 8 to 30000008"),
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Any:
    module = tf.Module()
    module.checked = traced(SPEC.decode_checked, "x")
    module.tensor = traced(SPEC.decode_tensor, "x")
    return save(module, tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("kind", HOSTILE)
def test_dimensions_are_not_believed(kind: str, hostile: Any) -> None:
    sides, count, message = HOSTILE[kind]
    payload = struct.pack(f"<{len(sides)}i", *sides) + bytes(count)
    with pytest.raises(tfd.DecodeError, match=message):
        SPEC.decode(payload)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"x: row 0 {message}"):
        hostile.tensor(tf.constant([payload]))
    array = any_bits(np.random.default_rng(1), (2, 3, 4), "int16")
    batch, status = hostile.checked(tf.constant([SPEC.encode(array), payload]))
    assert_same(batch, np.stack([array, np.zeros_like(array)]))
    assert status.numpy().astype(bool).tolist() == [False, True]


def test_dimensions_without_elements_take_no_memory_of_the_batch() -> None:
    """Of 2**20 empty lines, only the row that states them pays."""
    spec = tfd.ArraySpec((None, None), "uint8", max_shape=(2**20, 4))
    assert spec.max_batch_size < 2**32 // (16 * 2**20)
    rows = [struct.pack("<II", 2**20, 0), *[spec.encode(np.ones((1, 2), "u1"))] * 200]
    tensor = spec.decode_ragged(tf.constant(rows[:100]))
    assert tensor.row_lengths().numpy().tolist() == [2**20] + [1] * 99


@pytest.mark.parametrize("long", [False, True])
def test_padding_is_the_same_row_by_row(long: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ragged, "long_rows", lambda data, count: tf.constant(long))
    case = Case("raw", (None, 2, None, None, 2), "bool", max_shape=(3, 2, 4, 3, 2))
    arrays = case.arrays(9)
    batch, _ = case.spec.decode_padded([case.spec.encode(array) for array in arrays])
    assert_same(batch, padded(arrays, 5, "bool"))


# -- .npy files, whose headers say their sizes ---------------------------------------------------

FILES = tfd.ArraySpec((None, None, 2), "int16", "npy", max_shape=(40, 50, 2))
TEXT = "{'descr': '<i2', 'fortran_order': False, 'shape': (3, 4, 2), }"


def file_of(text: str = TEXT, *, version: int = 1, count: int = 48, spaces: int = 1) -> bytes:
    header = (text + " " * spaces + "\n").encode("latin-1")
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + bytes(range(count))


def changed(old: str, new: str) -> bytes:
    return file_of(TEXT.replace(old, new))


GOOD_FILES = {
    "any spaces": file_of(spaces=70),
    "version 2": file_of(version=2),
    "version 3": file_of(version=3),
    "Fortran order": changed("False", "True"),
    "no element": file_of(TEXT.replace("3, 4", "0, 50"), count=0),
}
BAD_FILES = {
    "another dtype": changed("<i2", "<u2"),
    "big-endian": changed("<i2", ">i2"),
    "another last size": changed("4, 2", "8, 1"),
    "two sizes": changed("3, 4, 2", "12, 2"),
    "one more byte": file_of(count=49),
    "one byte less": file_of(count=47),
    "negative": changed("3, 4", "-3, -4"),
    "a leading zero": changed("3, 4", "03, 4"),
    "other digits": file_of(TEXT.replace("3, 4", "\xb3, 4")),
    "too large": file_of(TEXT.replace("3, 4", "41, 0"), count=0),
    "huge": changed("3, 4", "99999999999, 99999999999"),
    "an overflow": changed("3, 4", f"{2**64 + 3}, 4"),
    "version 4": file_of(version=4),
    "a long header": file_of(spaces=2000),
    "a header beyond the end": file_of()[:40],
    "code": changed("False", "exit()"),
    "no magic": b"\x93NUMPX" + file_of()[6:],
}


def test_files_by_numpy_are_read_in_both_orders() -> None:
    rng = np.random.default_rng(0)
    arrays = [any_bits(rng, shape, "int16") for shape in ((3, 4, 2), (40, 1, 2), (2, 7, 2))]
    payloads = []
    for array in (*arrays, *map(np.asfortranarray, arrays)):
        file = io.BytesIO()
        np.save(file, array)
        payloads.append(file.getvalue())
        assert_same(FILES.decode(payloads[-1]), np.ascontiguousarray(array))
    assert payloads[0] == FILES.encode(arrays[0])
    batch, _ = FILES.decode_padded(payloads)
    assert_same(batch, padded(arrays + arrays, 3, "int16"))


def test_headers_are_believed_alike_by_numpy_and_the_graph() -> None:
    for kind, payload in GOOD_FILES.items():
        assert_same(FILES.decode_tensor([payload])[0], FILES.decode(payload)), kind
    for kind, payload in BAD_FILES.items():
        with pytest.raises(tfd.DecodeError):
            FILES.decode(payload)
        assert FILES.decode_checked([payload])[1].numpy().tolist() != [0], kind


@pytest.mark.parametrize(
    "name", ["csv", "tensor_proto", "npz:a", "mat:a", "pkl", "png", "packbits"]
)
def test_codecs_that_take_fewer_say_so(name: str) -> None:
    dtype = "bool" if name == "packbits" else "float32"
    codec = name.partition(":")[0]
    with pytest.raises(tfd.SpecError, match=rf"codec {codec}: .* use raw.zlib_bounded"):
        tfd.ArraySpec((None, 2, None), dtype, name, max_shape=(4, 2, 4))


def test_a_png_of_any_size_has_elements() -> None:
    spec = tfd.ArraySpec((None, None), "uint8", "png", max_shape=(2, 3))
    assert spec.domain == "arrays with elements"
    with pytest.raises(tfd.EncodeError, match=r"shape \[0, 3\] has no elements"):
        spec.encode(np.zeros((0, 3), "u1"))
    with pytest.raises(tfd.SpecError, match="a side is 0; use raw"):
        tfd.ArraySpec((None, 0), "uint8", "png", max_shape=(2, 0))


def test_the_size_of_a_png_is_checked() -> None:
    spec = tfd.ArraySpec((None, None), "float32", "png:describe=false", max_shape=(2, 3))
    wide = tfd.ArraySpec((None, None), "float32", "png:describe=false", max_shape=(9, 9))
    sizes = [(2, 3), (1, 1), (3, 3), (2, 4), (9, 9)]
    files = [wide.encode(np.ones(size, "f4")) for size in sizes]
    for height, width in ((0, 3), (4, 0), (7, 2), (2**32 - 4, 1), (4, 2**31)):  # four rows for each
        head = b"\x89PNG\r\n\x1a\n" + chunk(
            b"IHDR", struct.pack(">II5B", width, height, 8, 0, 0, 0, 0)
        )
        files.append(head + files[0][33:])
    status = spec.decode_checked(files)[1].numpy()
    assert status.astype(bool).tolist() == [False, False] + [True] * 8
    for file in files[2:]:
        with pytest.raises(tfd.DecodeError):
            spec.decode(file)


def test_a_sample_of_one_shape_has_no_none() -> None:
    with pytest.raises(tfd.SpecError, match="head and tail are of files of one shape"):
        tfd.ArraySpec((None,), "uint8", [{"name": "npy", "head": "k05VTVBZ"}], max_shape=(4,))
    with pytest.raises(tfd.SpecError, match="without its name; use astype:float32"):
        tfd.ArraySpec((None,), "bfloat16", "npy", max_shape=(4,))
