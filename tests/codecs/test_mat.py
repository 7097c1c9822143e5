"""MAT-files of MATLAB and scipy, untouched, in a saved and reloaded model."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import any_bits, assert_same, file_by
from tests.reloaded import Decoders, save
from tfdecode.errors import FileError
from tfdecode.formats.mat import v5
from tfdecode.formats.mat.types import (
    BIG_ENDIAN,
    CLASS_OF,
    COMPLEX,
    LOGICAL,
    STORAGE,
    TYPE_OF,
    VERSION,
    carries,
)
from tfdecode.formats.zlib_stream import compress_bound

sio = pytest.importorskip("scipy.io")
MATLAB = sorted((Path(sio.matlab.__file__).parent / "tests" / "data").glob("*.mat"))
FIXTURES = Path(__file__).parents[1] / "fixtures"

DTYPES = ("float64", "float32", "bool", "complex64", "int8", "uint16", "uint32", "int64")
SHAPES = ((), (3,), (0, 2), (2, 3, 1), (2, 1, 3, 2))
#: Each dtype in one shape, each shape in one dtype, and rows that are decoded one at a time.
MATRIX = [
    *((dtype, (2, 3)) for dtype in DTYPES),
    *(("float64", shape) for shape in SHAPES),
    ("float64", (70, 80)),
    ("float32", (100, 90, 2)),
    ("complex128", (50, 60)),
]
each = pytest.mark.parametrize(("dtype", "shape"), MATRIX, ids=str)


def spec_of(dtype: str, shape: tuple[int, ...], name: str = "S") -> tfd.ArraySpec:
    return tfd.ArraySpec(shape, dtype, f"mat:{name}")


def key_of(dtype: str, shape: tuple[int, ...], name: str = "S") -> str:
    return f"{name}_{dtype}_{'x'.join(map(str, shape))}"


def by_matlab(version: bytes) -> Iterator[tuple[Path, str, np.ndarray]]:
    """MATLAB's own files with a numeric variable, as the reader of the format reads them."""
    for path in MATLAB:
        data = path.read_bytes()
        if not path.stem.startswith(("test", "big", "little", "miu")):
            continue
        if data[124:128] != version or 0 in data[:4]:
            continue
        try:
            arrays = v5.contents(data).read_all()
        except FileError:
            continue
        for name, array in arrays.items():
            if name.isidentifier() and array.size < 2000:
                yield path, name, array


FILES = list(by_matlab(VERSION))
LABELS = tfd.ArraySpec((5, 6), "int32", "astype:float64|mat:S")
MIXED = tfd.ArraySpec((4, 5), "float32", "mat:pose or npy or png|seal or raw")


#: What is decoded by ``decode_checked`` too.
CHECKED = {
    "S_float64_2x3": spec_of("float64", (2, 3)),
    "long": spec_of("float64", (2, 3), "pose_map"),
    "labels": LABELS,
    "mixed": MIXED,
    "sealed": tfd.ArraySpec((2, 3), "float64", "mat:S|seal"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    rows = [*MATRIX, *((array.dtype.name, array.shape, name) for _, name, array in FILES)]
    specs = {key_of(*row): spec_of(*row) for row in rows} | CHECKED
    return save(Decoders(specs, CHECKED), tmp_path_factory.mktemp("mat"))


def array_of(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return any_bits(np.random.default_rng([seed, len(dtype), *shape]), shape, dtype)


def saved(variables: dict[str, Any], **options: Any) -> bytes:
    return file_by(sio.savemat, variables, **options)


def by_scipy(array: np.ndarray, name: str = "S") -> Iterator[bytes]:
    """What scipy writes of ``array``, alone and among others, compressed and not."""
    swapped = np.asarray(array, array.dtype.newbyteorder(">"))
    others = {"aa": np.eye(3), "text": "some", "cell": np.array([[1, "x"]], object)}
    for packed in (False, True):
        for view in (array, np.asfortranarray(array), swapped):
            yield saved({name: view}, do_compression=packed)
        yield saved({**others, name: array}, do_compression=packed)
        yield saved({name: array, **others}, do_compression=packed)


# -- files written here: what MATLAB may write and scipy does not ------------------------------


def tagged(order: str, kind: int, data: bytes, small: bool = True) -> bytes:
    if len(data) <= 4 and small:
        word = len(data) << 16 | kind
        return struct.pack(f"{order}I", word) + data + bytes(4 - len(data))
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(
    array: np.ndarray,
    storage: str | None = None,
    *,
    name: bytes = b"S",
    order: str = "<",
    dims: tuple[int, ...] | None = None,
    packed: bool = False,
    small: bool = True,
    flags: int = 0,
    unused: int = 0,
) -> bytes:
    """An element, its numbers stored as ``storage``."""
    part = array.real.dtype.name
    number = part.replace("bool", "uint8")
    flags |= CLASS_OF[number] | (part == "bool") << LOGICAL | np.iscomplexobj(array) << COMPLEX
    kind = TYPE_OF[storage or number]
    dims = dims or (array.shape if array.ndim > 1 else (1, *array.shape)[-2:] or (1, 1))
    inner = tagged(order, 6, struct.pack(f"{order}II", flags, unused), False)
    inner += tagged(order, 5, struct.pack(f"{order}{len(dims)}i", *dims), False)
    inner += tagged(order, 1, name, small)
    for values in (array.real, array.imag) if np.iscomplexobj(array) else (array,):
        stored = values.astype(np.dtype(STORAGE[kind]).newbyteorder(order))
        inner += tagged(order, kind, stored.tobytes("F"), small)
    element = struct.pack(f"{order}II", 14, len(inner)) + inner
    if not packed:
        return element
    stream = zlib.compress(element)
    return struct.pack(f"{order}II", 15, len(stream)) + stream


def file(
    *elements: bytes, order: str = "<", text: bytes = b"MATLAB 5.0 MAT-file, by hand"
) -> bytes:
    version = VERSION if order == "<" else BIG_ENDIAN
    return text.ljust(124) + version + b"".join(elements)


# -- good files -------------------------------------------------------------------------------


@each
def test_files_of_scipy_are_read_bit_for_bit(
    model: Any, dtype: str, shape: tuple[int, ...]
) -> None:
    spec, array = spec_of(dtype, shape), array_of(dtype, shape)
    decode = model.tensor[key_of(dtype, shape)]
    payloads = [spec.encode(array), *by_scipy(array)]
    for payload in payloads:
        assert_same(spec.decode(payload), array)
        assert_same(decode(tf.constant([payload]))[0], array)
    # Writers mixed in a batch, and three rows of one.
    for rows in (payloads, payloads[::-1], payloads[:1] * 3, payloads[-1:] * 3):
        assert_same(decode(tf.constant(rows)), np.stack([array] * len(rows)))


@each
def test_what_is_written_is_what_scipy_writes_and_reads(dtype: str, shape: tuple[int, ...]) -> None:
    array = array_of(dtype, shape)
    payload = spec_of(dtype, shape).encode(array)
    assert payload[124:] == saved({"S": array})[124:]
    assert payload.startswith(b"MATLAB 5.0 MAT-file")
    loaded = sio.loadmat(io.BytesIO(payload), mat_dtype=dtype == "bool")["S"]
    assert loaded.tobytes("F") == array.astype(loaded.dtype).tobytes("F")


@pytest.mark.skipif(not FILES, reason="this scipy comes without its test data")
def test_files_of_matlab_are_read_as_scipy_reads_them(model: Any) -> None:
    assert len(FILES) > 15
    for path, name, array in FILES:
        data = path.read_bytes()
        spec = spec_of(array.dtype.name, array.shape, name)
        decoded = model.tensor[key_of(array.dtype.name, array.shape, name)](tf.constant([data] * 2))
        for got in (spec.decode(data), *decoded.numpy()):
            assert_same(got, np.array(array, array.dtype.newbyteorder("=")))
            np.testing.assert_array_equal(got, sio.loadmat(path, variable_names=[name])[name])


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_may_be_stored_narrower_than_they_are(model: Any, dtype: str) -> None:
    shape = (2, 3)
    part = np.zeros(0, dtype).real.dtype.name
    spec, decoders = spec_of(dtype, shape), model.tensor[key_of(dtype, shape)]
    matlab_class = CLASS_OF[part.replace("bool", "uint8")]
    rows, arrays = [], []
    for kind, storage in STORAGE.items():
        if carries(matlab_class, kind):
            for packed in (False, True):
                values = np.arange(6).reshape(shape) % (2 if dtype == "bool" else 128)
                array = values.astype(dtype)
                if np.iscomplexobj(array):
                    array = array + np.array(1j, dtype) * array[::-1]
                element = matrix(array, storage, packed=packed, small=not packed)
                rows.append(file(element, text=b"any text at all"))
                arrays.append(array)
                assert_same(spec.decode(rows[-1]), array)
    assert_same(decoders(tf.constant(rows)), np.stack(arrays))
    assert_same(decoders(tf.constant(rows[:1])), np.stack(arrays[:1]))


@pytest.mark.parametrize(
    ("dtype", "shape"), [("float64", (70, 80)), ("float32", (100, 90, 2)), ("float64", (2, 3))]
)
def test_one_variable_alone_by_one_writer_or_several(
    model: Any, dtype: str, shape: tuple[int, ...]
) -> None:
    spec, decode = spec_of(dtype, shape), model.tensor[key_of(dtype, shape)]
    for packed in (False, True):
        batches: list[Any] = []
        for seed, storage in enumerate(("uint8", "int16", dtype)):
            rng = np.random.default_rng(seed)
            arrays = [rng.integers(0, 200, shape).astype(dtype) for _ in range(3)]
            batches.append(([file(matrix(x, storage, packed=packed)) for x in arrays], arrays))
        mixed = [rows + more for rows, more in zip(batches[0], batches[1], strict=True)]
        for rows, arrays in (*batches, mixed):
            assert_same(decode(tf.constant(rows)), np.stack(arrays))
            assert_same(spec.decode(rows[0]), arrays[0])


def test_what_is_said_in_several_ways_is_read_in_each(model: Any) -> None:
    """Sides of 1 at the end, small elements or not, flags and words that mean nothing here."""
    array = array_of("float64", (2, 3))
    rows = [
        file(matrix(array, small=False)),
        file(matrix(array, flags=1 << 10, unused=7)),
        file(matrix(array), text=bytes([1]) * 124),
        file(matrix(array, name=b"T"), matrix(array, packed=True), matrix(array, name=b"SS")),
    ]
    decoded = model.tensor[key_of("float64", (2, 3))](tf.constant(rows))
    assert_same(decoded, np.stack([array] * len(rows)))
    tall = array.reshape(2, 3, 1)
    rows = [file(matrix(tall)), file(matrix(tall, dims=(2, 3)))]
    decoded = model.tensor[key_of("float64", (2, 3, 1))](tf.constant(rows))
    assert_same(decoded, np.stack([tall] * 2))
    for row in rows:
        assert_same(spec_of("float64", (2, 3, 1)).decode(row), tall)


def test_logical_of_any_class_is_bool(model: Any) -> None:
    array = np.array([[0.0, -0.0, 5e-324], [np.nan, 1, 2]])
    row = file(matrix(array, flags=1 << 9))
    expected = np.array([[False, False, True], [True, True, True]])
    assert_same(spec_of("bool", (2, 3)).decode(row), expected)
    assert_same(model.tensor[key_of("bool", (2, 3))](tf.constant([row]))[0], expected)


def test_labels_that_are_doubles_stored_as_bytes_are_int32(model: Any) -> None:
    labels = np.arange(30).reshape(5, 6)
    doubles = labels.astype("f8")
    rows = [file(matrix(doubles, "uint8", packed=packed)) for packed in (False, True)]
    rows.append(saved({"S": doubles}))
    for row in rows:
        assert_same(LABELS.decode(row), labels.astype("i4"))
    assert_same(model.tensor["labels"](tf.constant(rows)), np.stack([labels.astype("i4")] * 3))
    doubles[3, 3] = 1.5
    bad = saved({"S": doubles})
    decoded, status = model.checked["labels"](tf.constant([bad, rows[0]]))
    assert status.numpy().tolist() == [tfd.Status.VALUE, 0]
    assert_same(decoded[1], labels.astype("i4"))
    with pytest.raises(tfd.DecodeError, match="1 values that are not exact in int32"):
        LABELS.decode(bad)


def test_a_name_of_more_than_four_letters(model: Any) -> None:
    array = array_of("float64", (2, 3))
    rows = [spec_of("float64", (2, 3), "pose_map").encode(array), *by_scipy(array, "pose_map")]
    assert_same(model.tensor["long"](tf.constant(rows)), np.stack([array] * len(rows)))
    others = [file(matrix(array, name=name)) for name in (b"pose_ma", b"pose_mapp", b"pose", b"")]
    assert (model.checked["long"](tf.constant(others))[1].numpy() > 0).all()


# -- bad rows ---------------------------------------------------------------------------------

OTHER_VALUES = (0x01, 0x02, 0x04, 0x08, 0x10, 0x40, 0x80, 0xFF)


def check_rows(model: Any, spec: tfd.ArraySpec, key: str, rows: list[bytes]) -> int:
    """Each row is refused, or read as the client reads it; how many are read."""
    taken = 0
    decoded, status = model.checked[key](tf.constant(rows))
    for row, got, code in zip(rows, decoded.numpy(), status.numpy(), strict=True):
        if code:
            assert_same(got, np.zeros_like(got))
            with pytest.raises(tfd.DecodeError):
                spec.decode(row)
        else:
            taken += 1
            assert_same(got, spec.decode(row))
    return taken


def test_of_changed_files_none_is_read_as_what_it_is_not(model: Any) -> None:
    spec, key = spec_of("float64", (2, 3)), key_of("float64", (2, 3))
    array = np.arange(6.0).reshape(2, 3) / 8
    several = file(matrix(array[:1], name=b"T"), matrix(array, "float32"), matrix(array, name=b"U"))
    taken = 0
    for good in (saved({"S": array}), several):
        rows = [
            good[:place] + bytes([good[place] ^ bits]) + good[place + 1 :]
            for place in range(120, len(good))
            for bits in OTHER_VALUES
        ]
        rows += [good[:end] for end in range(0, len(good))]
        rows += [good + extra for extra in (b"\0", bytes(8), bytes(64), good, good[128:])]
        rows += [good[:place] + bytes(size) + good[place:] for place in range(124, len(good), 4)
                 for size in (4, 8)]  # fmt: skip
        taken += check_rows(model, spec, key, rows)
    assert 300 < taken < 2500  # the numbers, padding, what the other variables hold


def test_of_changed_matrices_in_good_streams_none_is_read_as_what_it_is_not(model: Any) -> None:
    spec, key = spec_of("float64", (2, 3)), key_of("float64", (2, 3))
    good = matrix(np.arange(6.0).reshape(2, 3), "uint8")
    elements = [
        good[:place] + bytes([good[place] ^ bits]) + good[place + 1 :]
        for place in range(len(good))
        for bits in OTHER_VALUES
    ]
    elements += [good[:end] for end in range(len(good))] + [good + bytes(8), good + good]
    rows = []
    for element in elements:
        stream = zlib.compress(element)
        rows.append(file(struct.pack("<II", 15, len(stream)) + stream))
    assert 0 < check_rows(model, spec, key, rows) < 400  # numbers, padding, words without meaning
    _, together = model.checked[key](tf.constant(rows))
    alone = [model.checked[key](tf.constant([row]))[1].numpy()[0] for row in rows]
    assert alone == together.numpy().tolist()


def test_a_changed_stream_is_a_bad_row(model: Any) -> None:
    spec, key = spec_of("float64", (2, 3)), key_of("float64", (2, 3))
    array = np.arange(6.0).reshape(2, 3)
    good = saved({"S": array}, do_compression=True)
    rows = []
    for place in range(124, len(good)):
        rows.append(good[:place] + bytes([good[place] ^ 0x11]) + good[place + 1 :])
        with pytest.raises(tfd.DecodeError):
            spec.decode(rows[-1])
    _, status = model.checked[key](tf.constant([good, *rows]))
    assert status.numpy()[0] == 0 and (status.numpy()[1:] > 0).all()


def matrix_of(
    sides: tuple[int, ...], numbers: bytes, padding: bytes = b"", name: str = "S"
) -> bytes:
    """A matrix of doubles; ``padding`` is after an odd number of ``sides``."""
    dims = struct.pack(f"<II{len(sides)}i", 5, 4 * len(sides), *sides)
    inner = struct.pack("<IIII", 6, 8, 6, 0) + dims + padding
    inner += struct.pack("<HH4s", 1, 1, name.encode())
    inner += struct.pack("<II", 9, len(numbers)) + numbers
    return struct.pack("<II", 14, len(inner)) + inner


def slowly_deflated(element: bytes) -> bytes:
    """A stream whose first bytes show nothing: it begins with empty blocks."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    stream = b"\x78\x9c" + b"\0\0\0\xff\xff" * 300 + deflate.compress(element) + deflate.flush()
    stream += zlib.adler32(element).to_bytes(4, "big")
    return struct.pack("<II", 15, len(stream)) + stream


def test_numpy_and_graph_take_the_same_files_of_lying_headers_and_hidden_names(model: Any) -> None:
    spec, decode = spec_of("float64", (2, 3)), model.checked["S_float64_2x3"]
    array = np.arange(6.0).reshape(2, 3)
    good = spec.encode(array)
    numbers, more = array.tobytes("F"), np.arange(100.0).tobytes()
    s, other = good[128:], matrix_of((2, 3), numbers, name="T")
    # All are 2 x 3 numbers by what follows their dimensions.
    elements = {
        "alone": s,
        "one side": matrix_of((2,), numbers, struct.pack("<i", 3)),
        "a side of 1 more": matrix_of((2, 3, 1), numbers, bytes(4)),
        "more sides": matrix_of((2, 3, 2), numbers, bytes(4)),
        "one side beside it": s + matrix_of((2,), numbers, bytes(4)),
        "hidden": slowly_deflated(s),
        "hidden beside another": slowly_deflated(s) + other,
        "one and a hidden one": s + slowly_deflated(matrix_of((2, 3), more[:48])),
        "a hidden one and one": slowly_deflated(matrix_of((2, 3), more[:48])) + s,
        "another before": other + s,
    }
    rows = [good[:128] + element for element in elements.values()]
    got, status = decode(tf.constant(rows))
    taken = []
    for what, row, one, code in zip(elements, rows, got.numpy(), status.numpy(), strict=True):
        alone = decode(tf.constant([row]))[1].numpy()[0]
        assert alone == code, what
        if code == 0:
            taken.append(what)
            assert_same(spec.decode(row), one)
        else:
            with pytest.raises(tfd.DecodeError):
                spec.decode(row)
    assert taken == ["alone", "another before"]


def test_a_batch_may_have_a_static_size() -> None:
    array = np.arange(60.0).reshape(6, 10)
    decode = tf.function(tfd.ArraySpec((6, 10), "float64", "mat:S").decode_tensor)
    assert_same(decode(tf.constant([saved({"S": array}, do_compression=True)]))[0], array)


def test_padding_is_no_dimension() -> None:
    spec, numbers = tfd.ArraySpec((2, 3, 5, 7), "float64", "mat:S"), np.arange(210.0)
    lying = matrix_of((2, 3, 5), numbers.tobytes(), struct.pack("<i", 7))
    good = spec.encode(numbers.reshape(spec.shape))
    _, status = tf.function(spec.decode_checked)(tf.constant([good[:128] + lying, good]))
    assert status.numpy().tolist() == [5, 0]


def test_a_stream_that_ends_early_is_a_bad_row(model: Any) -> None:
    array = array_of("float64", (2, 3))
    stream = zlib.compress(matrix(array))
    rows = [
        file(struct.pack("<II", 15, end) + stream[:end]) for end in range(8, len(stream) - 4, 7)
    ]
    _, status = model.checked[key_of("float64", (2, 3))](tf.constant(rows))
    assert (status.numpy() == tfd.Status.HEADER).all()


def test_others_are_refused_with_what_they_are(model: Any) -> None:
    array = np.arange(6.0).reshape(2, 3)
    bad = {
        "holds S as class 4": saved({"S": "text" * 30}),
        "holds S as class 1": saved({"S": np.array([[1, "a", 2]], object)}),
        "holds S as class 2": saved({"S": {"field": array}}),
        "holds S as class 7": saved({"S": array.astype("f4")}),
        "needs 6, double, real": saved({"S": array * 1j}),
        "holds S as class 9": saved({"S": array > 0}),
        "of other dimensions, needs 2x3": saved({"S": array.T}),
        "dimensions, needs 2x3": saved({"S": array[None]}),
        "do not hold S once": saved({"Q": array}),
        "S once, as a matrix": file(matrix(array), matrix(array)),
        "among up to 32": file(*[matrix(array, name=b"T")] * 32, matrix(array)),
        "not a MAT-file of version 5 to 7.2": saved({"S": array}, format="4") + bytes(200),
        "little-endian order; save it with": file(matrix(array, order=">"), order=">"),
        "to 7.2 in little-endian order; save it with save -v7": b"MATLAB 7.3 MAT-file".ljust(124)
        + b"\x00\x02IM"
        + bytes(384)
        + b"\x89HDF\r\n\x1a\n"
        + bytes(100),
    }
    sparse = pytest.importorskip("scipy.sparse").eye(3).tocsc()
    bad["holds S as class 5"] = saved({"S": sparse})
    spec, decode = spec_of("float64", (2, 3)), model.tensor[key_of("float64", (2, 3))]
    good = spec.encode(array)
    for message, row in bad.items():
        with pytest.raises(tf.errors.InvalidArgumentError) as failure:
            decode(tf.constant([good, row, good]))
        assert f"{key_of('float64', (2, 3))}: row 1 " in failure.value.message
        assert message in failure.value.message
        with pytest.raises(tfd.DecodeError):
            spec.decode(row)
    many = file(*[matrix(array, name=b"T")] * 31, matrix(array))
    assert_same(decode(tf.constant([good, many]))[1], array)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            lambda a: saved({"S": a}, format="4"),
            "of version 4; save it with save -v7 in MATLAB, or pack its a",
        ),
        (
            lambda a: b"MATLAB 7.3 MAT-file".ljust(600),
            r"version 7.3 \(HDF5\); save it with",
        ),
        (
            lambda a: file(matrix(a, order=">"), order=">"),
            "a big-endian MAT-file; save it with save -v7 in MATLAB, or pack its array",
        ),
        (lambda a: saved({"S": "text"}), "S as text; save its numbers by double"),
        (lambda a: saved({"S": a.T}), r"S as float64 \[3, 2\], needs float64 \[2, 3\]"),
        (lambda a: saved({"Q": a}), "holds no variable named S"),
        (lambda a: file(matrix(a), matrix(a)), "holds 2 variables named S"),
    ],
)
def test_a_client_is_told_what_to_do(row: Any, message: str) -> None:
    with pytest.raises(tfd.DecodeError, match=message):
        spec_of("float64", (2, 3)).decode(row(np.ones((2, 3))))


def test_a_big_endian_file_is_read_by_load_alone(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3)
    path = tmp_path / "big.mat"
    path.write_bytes(file(matrix(array, order=">"), order=">"))
    assert_same(np.array(tfd.load(path), "<f8"), array)
    with pytest.raises(tfd.FileError, match="a big-endian MAT-file; save it with save -v7"):
        tfd.infer(path, as_is=True)
    for path, name, expected in by_matlab(BIG_ENDIAN):
        with pytest.raises(tfd.DecodeError, match="big-endian"):
            spec_of(expected.dtype.name, expected.shape, name).decode(path.read_bytes())


def test_a_compressed_variable_that_is_too_long_is_not_inflated(model: Any) -> None:
    """Of which the client's reader inflates as much as the dimensions say."""
    array = np.zeros((2, 3))
    element = matrix(array)
    most = compress_bound(len(element))
    stored = zlib.compress(element + bytes(300_000), 9)
    for stream in (stored, stored + bytes(most)):
        row = file(struct.pack("<II", 15, len(stream)) + stream)
        assert model.checked[key_of("float64", (2, 3))](tf.constant([row]))[1].numpy()[0] > 0
        with pytest.raises(tfd.DecodeError):
            spec_of("float64", (2, 3)).decode(row)


# -- with other steps and chains --------------------------------------------------------------


def test_a_batch_may_mix_files_and_chains(model: Any) -> None:
    array = array_of("float32", (4, 5))
    rows = [
        *by_scipy(array, "pose"),
        file_by(np.save, array),
        array.tobytes(),
        MIXED.alternatives[2].encode(array),
    ]
    assert_same(model.tensor["mixed"](tf.constant(rows)), np.stack([array] * len(rows)))
    hurt = [rows[0][:140] + b"\7" + rows[0][141:], *rows]
    decoded, status = model.checked["mixed"](tf.constant(hurt))
    assert (status.numpy() > 0).tolist() == [True] + [False] * len(rows)
    assert_same(decoded[1:], np.stack([array] * len(rows)))


def test_a_seal_keeps_a_damaged_stream_from_the_op(model: Any) -> None:
    spec = tfd.ArraySpec((2, 3), "float64", "mat:S|seal")
    good = spec.encode(np.ones((2, 3)))
    stream = bytearray(saved({"S": np.ones((2, 3))}, do_compression=True))
    stream[150] ^= 0x55
    decoded, status = model.checked["sealed"](tf.constant([bytes(stream) + good[-8:], good]))
    assert status.numpy().tolist() == [tfd.Status.SEAL, 0]
    assert_same(decoded[1], np.ones((2, 3)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_are_files_too(dtype: str) -> None:
    spec, array = spec_of(dtype, (2, 3)), array_of(dtype, (2, 3))
    (payload,) = spec.encode_tensor(array[None]).numpy()
    assert payload == spec.encode(array)


@pytest.mark.parametrize(
    ("codecs", "dtype", "shape", "message"),
    [
        ("mat:S", "float32", (None, 2), "None dimension.*use raw.zlib_bounded instead"),
        ("mat:S", "bfloat16", (2,), r"use astype:float32\|mat:S"),
        ("mat:S", "float16", (2,), r"use astype:float32\|mat:S"),
        ("mat", "float32", (2,), "needs the option 'key'"),
        ("mat:3", "float32", (2,), "key is 3, needs the name of a variable"),
        ("mat:S.x", "float32", (2,), "reads variables, not fields of structs or cells; save"),
        ("mat:_x", "float32", (2,), "needs the name"),
        ("mat:a-b", "float32", (2,), "needs the name"),
        ("mat:" + "a" * 64, "float32", (2,), "up to 62 letters"),
    ],
)
def test_what_no_file_can_be_is_a_spec_error(
    codecs: str, dtype: str, shape: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(tfd.SpecError, match=message):
        tfd.ArraySpec(shape, dtype, codecs, max_shape=(5, 2) if None in shape else None)
