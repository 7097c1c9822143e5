"""Files of other programs, untouched, in a saved and reloaded model: npy, safetensors, pkl."""

from __future__ import annotations

import base64
import io
import json
import pickle
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

import tfdecode as tfd
from tests.common import any_bits, assert_same, file_by
from tests.reloaded import Decoders, save
from tfdecode.codecs.native.file import templates_of
from tfdecode.dtypes import ITEM_SIZES
from tfdecode.formats import npy, pkl
from tfdecode.formats import safetensors as st

FIXTURES = Path(__file__).parents[1] / "fixtures"
#: By NumPy 1.13 to 2.1 and Python 2.7 to 3.13, of both picklers of Python 2.
PICKLES = json.loads((FIXTURES / "pickles.json").read_text())
SHAPES = ((), (3,), (2, 3), (1, 4), (0, 2), (2, 1, 3, 2))
CHAINS = ("npy", "safetensors:x", "pkl", "pkl:pose")


def key_of(codecs: str, dtype: str, shape: tuple[int, ...]) -> str:
    return f"{codecs}_{dtype}_{'x'.join(map(str, shape))}".replace(":", "_")


def has(codecs: str, dtype: str) -> bool:
    """Whether the format has the dtype."""
    return (codecs[:3], dtype) not in {("npy", "bfloat16"), ("saf", "complex128")}


#: Each dtype in one shape, each shape in one dtype, for each format; fewer under a key.
MATRIX = [
    (codecs, dtype, shape)
    for codecs in CHAINS
    for dtype, shape in [
        *((dtype, (2, 3)) for dtype in ITEM_SIZES if has(codecs, dtype)),
        *(("float32", shape) for shape in SHAPES if shape != (2, 3)),
    ]
    if codecs != "pkl:pose" or dtype in ("bool", "float32", "bfloat16")
]
LARGE = [("pkl:pose", "float32", (130, 1, 300, 2)), ("pkl", "float32", (130, 1, 300, 2))]
each = pytest.mark.parametrize(
    ("codecs", "dtype", "shape"), MATRIX, ids=[key_of(*row) for row in MATRIX]
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    specs = {key_of(c, d, s): tfd.ArraySpec(s, d, c) for c, d, s in MATRIX + LARGE}
    specs["mixed"] = MIXED
    for name, (spec, _) in REAL.items():
        specs[name] = spec
    checked = [key_of(codecs, dtype, (2, 3)) for codecs in CHAINS for dtype in ("bool", "float32")]
    return save(Decoders(specs, [*checked, "mixed"]), tmp_path_factory.mktemp("native"))


MIXED = tfd.ArraySpec((4, 5), "float32", tfd.one_of("npy", "pkl", "png|seal", "raw"))
REAL = {
    name: (tfd.ArraySpec(shape, dtype, "npy"), FIXTURES / "files" / f"{name}.npy")
    for name, dtype, shape in (
        ("mel_fortran", "float32", (80, 423)),
        ("h36m_2d_detection", "float64", (4, 17, 3)),
    )
}


def array_of(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    return any_bits(np.random.default_rng([len(dtype), *shape]), shape, dtype)


def laid_out(array: np.ndarray) -> Iterator[np.ndarray]:
    """The same array in both orders and byte orders, read-only, and not in one piece."""
    orders = [array, np.asfortranarray(array) if array.ndim else array]
    for ordered in orders:
        yield ordered
        if array.dtype != ml_dtypes.bfloat16:
            swapped = np.empty_like(ordered, array.dtype.newbyteorder(">"))
            swapped[...] = ordered
            yield swapped
        read_only = ordered.copy("K")
        read_only.flags.writeable = False
        yield read_only
    if array.ndim:
        yield np.repeat(array, 2, 0)[::2]


def by_numpy(array: np.ndarray) -> Iterator[bytes]:
    for version in ((1, 0), (2, 0), (3, 0)):
        yield file_by(np.lib.format.write_array, array, version)


def by_safetensors(array: np.ndarray) -> Iterator[bytes]:
    array = np.array(array, array.dtype.newbyteorder("<"), order="C")  # it writes memory order
    for metadata in (None, {"format": "pt"}, {"format": "np"}, {"format": "tf"}):
        yield safetensors.numpy.save({"x": array}, metadata=metadata)


def by_pickle(array: np.ndarray, key: str | None) -> Iterator[bytes]:
    for protocol in (3, 4, 5):
        yield pickle.dumps(array if key is None else {key: array}, protocol)


def files(codecs: str, array: np.ndarray) -> Iterator[bytes]:
    """What other programs write of ``array``."""
    for view in laid_out(array):
        if codecs == "npy":
            yield from by_numpy(view)
        elif codecs == "safetensors:x":
            yield from by_safetensors(view)
        else:
            yield from by_pickle(view, codecs.partition(":")[2] or None)


@each
def test_the_files_of_other_programs_are_read_bit_for_bit(
    model: Any, codecs: str, dtype: str, shape: tuple[int, ...]
) -> None:
    spec, array = tfd.ArraySpec(shape, dtype, codecs), array_of(dtype, shape)
    payloads = list(files(codecs, array))
    for payload in payloads:
        assert_same(spec.decode(payload), array)
        assert_same(model.tensor[key_of(codecs, dtype, shape)](tf.constant([payload]))[0], array)
    # Writers mixed in a batch, and three rows of one.
    for rows in (payloads, payloads[::-1], [payloads[-1]] * 3):
        decoded = model.tensor[key_of(codecs, dtype, shape)](tf.constant(rows))
        assert_same(decoded, np.stack([array] * len(rows)))


@each
def test_what_is_written_is_what_other_programs_write(
    codecs: str, dtype: str, shape: tuple[int, ...]
) -> None:
    spec, array = tfd.ArraySpec(shape, dtype, codecs), array_of(dtype, shape)
    payload = spec.encode(array)
    if codecs == "npy":
        file = io.BytesIO()
        np.save(file, array)
        assert payload == file.getvalue()
    elif codecs == "safetensors:x":
        assert payload == safetensors.numpy.save({"x": array})
    else:
        if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
            assert payload == list(by_pickle(array, spec.codecs[0].key))[1]
        loaded = pickle.loads(payload)
        assert_same(loaded if codecs == "pkl" else loaded["pose"], array)


@each
def test_the_readers_of_the_formats_take_the_file_of_every_known_writer(
    codecs: str, dtype: str, shape: tuple[int, ...]
) -> None:
    spec = tfd.ArraySpec(shape, dtype, codecs)
    array = array_of(dtype, shape)
    for template in templates_of(spec.codecs[0], spec.chain.form).known:
        order: Any = "F" if template.fortran else "C"
        stored = array.byteswap() if template.big_endian else array
        payload = template.head + stored.tobytes(order) + template.tail
        assert_same(spec.decode(payload), array)


@pytest.mark.parametrize("sample", PICKLES, ids=lambda sample: sample["writer"])
def test_a_pickle_of_an_older_numpy_and_python(model: Any, sample: dict[str, Any]) -> None:
    data = zlib.decompress(base64.b64decode(sample["pickle"]))
    shape, dtype = tuple(sample["shape"]), sample["dtype"]
    codecs = "pkl" if sample["key"] is None else f"pkl:{sample['key']}"
    array = np.frombuffer(bytes.fromhex(sample["array"]), dtype)
    array = array.reshape(shape) if array.size else np.zeros(shape, dtype)
    assert_same(tfd.ArraySpec(shape, dtype, codecs).decode(data), array)
    assert_same(model.tensor[key_of(codecs, dtype, shape)](tf.constant([data]))[0], array)


@pytest.mark.parametrize("name", REAL)
def test_a_file_from_a_public_repository(model: Any, name: str) -> None:
    spec, path = REAL[name]
    data, array = path.read_bytes(), np.ascontiguousarray(tfd.load(path))
    assert_same(spec.decode(data), array)
    for rows in (1, 3):
        decoded = model.tensor[name](tf.constant([data] * rows))
        assert_same(decoded, np.stack([array] * rows))
    both = model.tensor[name](tf.constant([data, spec.encode(array)]))
    assert_same(both, np.stack([array] * 2))


# -- hostile rows -----------------------------------------------------------------------------

OTHER_VALUES = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF)
READERS: dict[str, Callable[[bytes], Any]] = {
    "npy": lambda data: np.load(io.BytesIO(data), allow_pickle=False),
    "safetensors:x": lambda data: st.contents(data).read(),
    "pkl": lambda data: pkl.contents(data).read(),
    "pkl:pose": lambda data: pkl.contents(data).read("pose"),
}


def mutants(payload: bytes, numbers: int) -> Iterator[bytes]:
    """Each byte around the numbers changed in nine ways, each length, bytes taken and put in."""
    around = range(len(payload))
    for place in around:
        for bits in OTHER_VALUES:
            yield payload[:place] + bytes([payload[place] ^ bits]) + payload[place + 1 :]
        yield payload[:place]
        yield payload[:place] + payload[place + 1 :]
        yield payload[:place] + b"\x94" + payload[place:]
        yield payload[place:]
    yield from (payload + extra for extra in (b"\0", b".", b"\n", bytes(64), payload))
    yield payload[:-numbers] + payload


@pytest.mark.parametrize("codecs", CHAINS)
def test_of_thousands_of_changed_files_none_is_read_as_what_it_is_not(
    model: Any, codecs: str
) -> None:
    """What is taken is the file of another known writer, and holds what its own reader says."""
    spec, array = tfd.ArraySpec((2, 3), "float32", codecs), array_of("float32", (2, 3))
    good = next(files(codecs, array))
    numbers = good.index(array.tobytes())
    inside = range(numbers, numbers + array.nbytes)
    rows = [
        row
        for row in mutants(good, array.nbytes)
        if row[: inside.start] + row[inside.stop :] != good[: inside.start] + good[inside.stop :]
    ]
    assert len(rows) > 900
    decoded, status = model.checked[key_of(codecs, "float32", (2, 3))](tf.constant([good, *rows]))
    assert status[0] == 0
    taken = 0
    for row, got, code in zip(rows, decoded[1:].numpy(), status[1:].numpy(), strict=True):
        if code:
            assert code in (tfd.Status.LENGTH, tfd.Status.HEADER)
            assert_same(got, np.zeros_like(array))
            with pytest.raises(tfd.DecodeError):
                spec.decode(row)
        else:
            taken += 1
            expected = READERS[codecs](row)
            assert expected.dtype.name == "float32"
            assert_same(got, np.array(expected, "<f4"))
            assert_same(spec.decode(row), got)
    assert taken <= 6  # "<" as ">", False as True


@pytest.mark.parametrize("codecs", CHAINS)
def test_a_file_of_another_shape_dtype_or_name_is_refused(model: Any, codecs: str) -> None:
    spec, key = tfd.ArraySpec((2, 3), "float32", codecs), key_of(codecs, "float32", (2, 3))
    others = [
        array_of("float32", (3, 2)),
        array_of("float32", (6,)),
        array_of("float32", (2, 3, 1)),
        array_of("int32", (2, 3)),
        array_of("uint32", (2, 3)),
        array_of("float64", (1, 3)),
        array_of("complex64", (3,)),
    ]
    rows = [row for array in others for row in files(codecs, array)]
    same = array_of("float32", (2, 3))
    rows += [safetensors.numpy.save({"y": same}), safetensors.numpy.save({"x": same, "y": same})]
    rows += [pickle.dumps({"Pose": same}), pickle.dumps([same]), pickle.dumps((same, same))]
    rows += [pickle.dumps({"pose": same, "id": 3}), pickle.dumps({"pose": [same]})]
    rows += [row for other in CHAINS if other != codecs for row in files(other, same)]
    assert (model.checked[key](tf.constant(rows))[1].numpy() > 0).all()
    for row in rows:
        with pytest.raises(tfd.DecodeError):
            spec.decode(row)


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


def test_nothing_of_a_pickle_is_executed(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = tfd.ArraySpec((2, 3), "float32", "pkl")
    good = spec.encode(np.zeros((2, 3), "f4"))
    for protocol in range(6):
        data = pickle.dumps(Evil(), protocol)
        for row in (data, data.ljust(len(good), b"."), good[: -len(data)] + data):
            assert model.checked["pkl_float32_2x3"](tf.constant([row]))[1].numpy()[0]
            with pytest.raises(tfd.DecodeError):
                spec.decode(row)
    assert not Path("executed").exists()


def test_the_message_says_what_came_and_what_was_needed() -> None:
    spec = tfd.ArraySpec((2, 3), "float32", "npy")
    rows = [spec.encode(np.ones((2, 3), "f4"))] * 2
    other = tfd.ArraySpec((2, 3), "int32", "npy").encode(np.zeros((2, 3), "i4"))
    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        spec.decode_tensor([*rows, other], input_name="pose_bytes")
    message = "pose_bytes: row 2 (152 bytes) is not an .npy file of float32 [2, 3]"
    assert message in failure.value.message
    with pytest.raises(tfd.DecodeError, match=r"it holds int32 \[2, 3\]"):
        spec.decode(other)
    with pytest.raises(tfd.DecodeError, match="has 3 bytes, needs 104 to 152"):
        spec.decode(b"abc")


def test_text_as_numbers_comes_with_advice() -> None:
    spec = tfd.ArraySpec((40,), "uint8", "pkl")
    with pytest.raises(tfd.DecodeError, match="stores numbers as text; use protocol 3 or later"):
        spec.decode(pickle.dumps(np.zeros(40, "u1") + 65, 2))


def test_a_good_file_of_an_unknown_writer_comes_with_advice() -> None:
    spec = tfd.ArraySpec((2, 3), "float32", "npy")
    payload = spec.encode(np.ones((2, 3), "f4")).replace(
        b"'shape': (2, 3), }", b"'shape': (2, 3)  }"
    )
    assert npy.contents(payload).read().shape == (2, 3)
    with pytest.raises(tfd.DecodeError, match=r"pack its array: .* --spec SPEC, in Python spec"):
        spec.decode(payload)


def test_bool_bytes_other_than_0_and_1_are_refused(model: Any) -> None:
    for codecs in CHAINS:
        spec = tfd.ArraySpec((2, 3), "bool", codecs)
        payload = spec.encode(np.ones((2, 3), bool)).replace(b"\1" * 6, b"\1\1\2\1\1\1")
        with pytest.raises(tfd.DecodeError, match="other than 0 and 1"):
            spec.decode(payload)
        assert model.checked[key_of(codecs, "bool", (2, 3))](tf.constant([payload]))[1] == 4


# -- with other steps and chains --------------------------------------------------------------


def test_a_batch_may_mix_files_and_chains(model: Any) -> None:
    arrays = [array_of("float32", (4, 5)) * n for n in range(1, 9)]
    alternatives = MIXED.alternatives
    payloads = [
        next(files("npy", arrays[0])),
        next(by_numpy(np.asfortranarray(arrays[1]))),
        pickle.dumps(arrays[2], 3),
        pickle.dumps(np.asfortranarray(arrays[3]), 5),
        alternatives[2].encode(arrays[4]),
        arrays[5].tobytes(),
        pickle.dumps(arrays[6], 4),
        MIXED.encode(arrays[7]),
    ]
    assert_same(model.tensor["mixed"](tf.constant(payloads)), np.stack(arrays))
    for payload, array in zip(payloads, arrays, strict=True):
        assert_same(MIXED.decode(payload), array)
        assert_same(model.tensor["mixed"](tf.constant([payload] * 2))[1], array)
    hurt = [*payloads[:3], payloads[3][:-1] + b"0", *payloads[4:]]
    decoded, status = model.checked["mixed"](tf.constant(hurt))
    assert (status.numpy() > 0).tolist() == [index == 3 for index in range(8)]
    assert_same(decoded.numpy()[[0, 1, 2, 4, 5, 6, 7]], np.stack(arrays[:3] + arrays[4:]))


def test_one_of_knows_a_safetensors_file_by_its_first_bytes() -> None:
    spec = tfd.ArraySpec((4, 5), "float32", "safetensors:x or zlib")
    array = array_of("float32", (4, 5))
    for payload in by_safetensors(array):
        assert_same(spec.decode_tensor([payload, spec.encode(array)]), np.stack([array, array]))


def test_the_model_may_take_another_dtype_than_the_file_has() -> None:
    array = np.float32([[1.5, 2], [3, 4]])
    spec = tfd.ArraySpec((2, 2), "float64", "astype:float32|npy")
    assert_same(spec.decode_tensor(file_by(np.save, array)), array.astype("f8"))


@pytest.mark.parametrize("codecs", CHAINS)
def test_outputs_are_files_too(codecs: str) -> None:
    spec, array = tfd.ArraySpec((2, 3), "float32", codecs), array_of("float32", (2, 3))
    (payload,) = spec.encode_tensor(array[None]).numpy()
    assert payload == spec.encode(array)
    assert_same(np.array(READERS[codecs](payload)), array)


# -- specs that cannot be ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codecs", "dtype", "shape", "message"),
    [
        ("pkl", "float32", (None, 2), "None dimension.*use raw.zlib_bounded instead"),
        ("safetensors:x", "float32", (None, 2), "None dimension"),
        ("npy", "bfloat16", (2,), r"use astype:float32\|npy .* or safetensors"),
        ("safetensors:x", "complex128", (2,), "has no complex128; use npy"),
        ("safetensors", "float32", (2,), "needs the option 'key'"),
        ("safetensors:__metadata__", "float32", (2,), "no tensor can be named"),
        ("safetensors:3", "float32", (2,), "key is 3, needs a text"),
        ("pkl:3", "float32", (2,), "key is 3, needs a text"),
        ('pkl:""', "float32", (2,), "key is '', needs a text"),
        ("pkl:numpy", "float32", (2,), "key 'numpy' is not supported .*; use another key"),
        ("pkl:pose,protocol=4", "float32", (2,), "unknown option 'protocol'"),
    ],
)
def test_what_no_file_can_be_is_a_spec_error(
    codecs: str, dtype: str, shape: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(tfd.SpecError, match=message):
        tfd.ArraySpec(shape, dtype, codecs, max_shape=(5, 2) if None in shape else None)


def test_sides_of_any_size_are_written_as_pickle_does() -> None:
    for shape in ((255,), (256,), (65535,), (65536,), (70000, 0), (1, 256, 0, 3)):
        spec, array = tfd.ArraySpec(shape, "int8", "pkl"), np.zeros(shape, "i1")
        for protocol in (3, 4, 5):
            if not (protocol == 5 and 2**16 - 256 <= array.nbytes < 2**16):
                assert_same(spec.decode(pickle.dumps(array, protocol)), array)


def test_a_frame_of_a_pickle_ends_where_picklers_end_it() -> None:
    for count in range(2**16 - 300, 2**16 + 3, 7):
        spec, array = tfd.ArraySpec((count,), "uint8", "pkl"), np.zeros(count, "u1")
        assert_same(spec.decode(pickle.dumps(array, 4)), array)
