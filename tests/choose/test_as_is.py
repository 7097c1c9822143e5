"""A file itself as the payload: the spec that reads it, taken from it where no writer is known."""

from __future__ import annotations

import base64
import io
import json
import pickle
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import safetensors.numpy
import scipy.io
import tensorflow as tf

import tfdecode as tfd
from tests.common import any_bits, assert_same, check_config, file_by
from tests.reloaded import Decoders, save, traced
from tfdecode.choose.as_is import untouched
from tfdecode.codecs.chain_text import brief
from tfdecode.codecs.native.sampled import MAX_AROUND_NBYTES, MAX_SAMPLE_NBYTES
from tfdecode.errors import PACK_ARRAY, FileError

FIXTURES = Path(__file__).parents[1] / "fixtures"
PICKLES = json.loads((FIXTURES / "pickles.json").read_text())
POSE = any_bits(np.random.default_rng(1), (2, 3), "float32")
SEGMENT = np.array([[1.0, 0, 7], [2, 2, 2]])
LARGE = any_bits(np.random.default_rng(2), (150, 130), "float32")


def npy(array: np.ndarray) -> bytes:
    return file_by(np.save, array)


def npz(write: Any = np.savez, **arrays: np.ndarray) -> bytes:
    return file_by(write, **arrays)


def mat(compress: bool = False, **arrays: np.ndarray) -> bytes:
    return file_by(scipy.io.savemat, arrays, do_compression=compress)


class Sample(NamedTuple):
    """A file, the array that is chosen of it, and the chain that reads it, without its bytes."""

    name: str
    data: bytes
    key: str | None
    array: np.ndarray
    chain: str


ARCHIVES = [
    Sample("maps.npz", npz(a=POSE + 1, pose=POSE), "pose", POSE, "npz:pose"),
    Sample("one.npz", npz(np.savez_compressed, pose=POSE), None, POSE, "npz:pose"),
    Sample("maps.mat", mat(S=SEGMENT, T=POSE), "S", SEGMENT, "mat:S"),
    Sample("plain.csv", b"1,0,7\n2,2,2\n", None, SEGMENT, "csv"),
    Sample("named.tsv", b"a\tb\tc\r\n1\t0\t7\r\n2\t2\t2", None, SEGMENT, r'csv:"\t",header=1'),
    Sample("titled.csv", b"#{}\nA title\n\na,b,c\n1,0,7\n2,2,2\n", None, SEGMENT, "csv:header=4"),
    Sample("blanks.txt", b"% MATLAB\n 1  0 7\n 2  2 2\n", None, SEGMENT, 'csv:" ",header=1'),
    Sample("packed.mat", mat(True, S=SEGMENT), None, SEGMENT, "mat:S"),
]
SAMPLED = "head=...,tail=..."
KNOWN = [
    *ARCHIVES,
    Sample("plain.npy", npy(POSE), None, POSE, "npy"),
    Sample("fortran.npy", npy(np.asfortranarray(POSE)), None, POSE, "npy"),
    Sample("big.npy", npy(POSE.astype(">f4")), None, POSE, "npy"),
    Sample("bare.pkl", pickle.dumps(POSE), None, POSE, "pkl"),
    Sample("named.pkl", pickle.dumps({"pose": POSE}), None, POSE, "pkl:pose"),
    Sample("asked.pkl", pickle.dumps({"pose": POSE}, 5), "pose", POSE, "pkl:pose"),
    Sample("one.safetensors", safetensors.numpy.save({"x": POSE}), None, POSE, "safetensors:x"),
]
ODD = npy(POSE).replace(b"'shape': (2, 3), }", b"'shape': (2, 3)  }")
TWO = safetensors.numpy.save({"x": POSE, "y": POSE + 1}, metadata={"a": "b"})
MIXED = {"id": [7, "left"], "pose": POSE, "mask": np.zeros(3, bool)}
UNKNOWN = [
    Sample("odd.npy", ODD, None, POSE, "npy:head=..."),
    Sample("dict.npy", npy({"pose": POSE, "id": 3}), None, POSE, f"npy:{SAMPLED}"),
    Sample("id.pkl", pickle.dumps({"id": 3, "pose": POSE}), None, POSE, f"pkl:pose,{SAMPLED}"),
    Sample("mixed.pkl", pickle.dumps(MIXED, 3), "pose", POSE, f"pkl:pose,{SAMPLED}"),
    Sample(
        "nested.pkl",
        pickle.dumps({"S1": {"maps": [POSE.astype(">f4")]}}, 5),
        None,
        POSE,
        f"pkl:S1/maps/0,{SAMPLED}",
    ),
    Sample(
        "fortran.pkl",
        pickle.dumps([np.asfortranarray(LARGE), None]),
        None,
        LARGE,
        f'pkl:"0",{SAMPLED}',
    ),
    Sample(
        "ordered.pkl",
        pickle.dumps(OrderedDict(numpy=LARGE), 5),
        None,
        LARGE,
        f"pkl:numpy,{SAMPLED}",
    ),
    Sample(
        "nothing.pkl",
        pickle.dumps([np.zeros((0, 3))]),
        None,
        np.zeros((0, 3)),
        f'pkl:"0",{SAMPLED.partition(",")[0]}',
    ),
    Sample(
        "metadata.safetensors",
        safetensors.numpy.save({"x": POSE}, metadata={"a": "b"}),
        None,
        POSE,
        "safetensors:x,head=...",
    ),
    Sample("first.safetensors", TWO, "x", POSE, f"safetensors:x,{SAMPLED}"),
    Sample("second.safetensors", TWO, "y", POSE + 1, "safetensors:y,head=..."),
]


def data_of(name: str) -> bytes:
    return next(sample.data for sample in UNKNOWN if sample.name == name)


every = pytest.mark.parametrize("sample", KNOWN + UNKNOWN, ids=lambda sample: sample.name)
each_unknown = pytest.mark.parametrize("sample", UNKNOWN, ids=lambda sample: sample.name)


def spec_of(sample: Sample, folder: Path) -> tfd.ArraySpec:
    path = folder / sample.name
    path.write_bytes(sample.data)
    return tfd.infer(path, as_is=True, key=sample.key)


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tfd.ArraySpec]:
    folder = tmp_path_factory.mktemp("files")
    return {sample.name: spec_of(sample, folder) for sample in KNOWN + UNKNOWN}


@pytest.fixture(scope="module")
def model(specs: dict[str, tfd.ArraySpec], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One saved and reloaded model with a decoder for each spec; ``tensor`` has a few of them."""
    decoders = {key_of(name, specs): specs[name] for name in specs}
    sampled = specs["id.pkl"].chain.text
    decoders["several"] = tfd.ArraySpec((2, 3), "float32", f"{sampled} or npy or zlib")
    tensor = [key_of("id.pkl", specs), key_of("mixed.pkl", specs), "several"]
    module = Decoders(decoders, tensor=tensor, checked=decoders.keys() - {"several"})
    return save(module, tmp_path_factory.mktemp("model"))


def key_of(name: str, specs: dict[str, tfd.ArraySpec]) -> str:
    """The decoder of a file: of those with one spec, that of the first."""
    first = next(other for other, spec in specs.items() if spec == specs[name])
    return first.replace(".", "_")


# -- the spec -------------------------------------------------------------------------------------


@every
def test_the_chain_of_a_file(sample: Sample, specs: dict[str, tfd.ArraySpec]) -> None:
    spec = specs[sample.name]
    assert (spec.shape, spec.dtype) == (sample.array.shape, sample.array.dtype.name)
    assert brief(spec.chain.text) == sample.chain
    assert_same(spec.decode(sample.data), sample.array)
    check_config(spec)  # JSON, chain text, repr, pickle


@pytest.mark.parametrize("pickled", PICKLES[::7], ids=lambda pickled: pickled["writer"])
def test_pickles_of_known_writers_need_no_sample(pickled: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "sample.pkl"
    path.write_bytes(zlib.decompress(base64.b64decode(pickled["pickle"])))
    spec = tfd.infer(path, as_is=True)
    assert spec.chain.text == ("pkl" if pickled["key"] is None else f"pkl:{pickled['key']}")
    array = spec.decode(path.read_bytes())
    assert array.tobytes() == bytes.fromhex(pickled["array"]).ljust(array.nbytes, b"\0")


def test_real_files() -> None:
    for path in sorted((FIXTURES / "files").glob("*.npy")):
        spec = tfd.infer(path, as_is=True, label="left")
        assert (spec.chain.text, spec.label) == ("npy", "left")
        assert_same(spec.decode(path.read_bytes()), np.ascontiguousarray(tfd.load(path)))
    pose = FIXTURES / "files" / "panoptic_training_pose.pkl"
    spec = tfd.infer(pose, as_is=True, key="0/pose")
    assert brief(spec.chain.text) == f'pkl:"0/pose",{SAMPLED}'
    assert_same(spec.decode(pose.read_bytes()), np.ascontiguousarray(tfd.load(pose, "0/pose")))
    with pytest.raises(FileError, match="has 24866 bytes beside this array, and only 16384"):
        tfd.infer(FIXTURES / "files" / "h36m_cameras.pkl", as_is=True, key="S1,54138969/R")


# -- the graph ------------------------------------------------------------------------------------


@every
def test_the_very_file_is_read_in_a_saved_model(sample: Sample, model: Any, specs: Any) -> None:
    decode, spec = model.checked[key_of(sample.name, specs)], specs[sample.name]
    other = any_bits(np.random.default_rng(5), spec.shape, spec.dtype)
    if spec.domain:  # text has no NaN but one
        other = np.nan_to_num(other)
    one = (sample.data, sample.array)
    for rows in ([one], [one] * 3, [one, (spec.encode(other), other)]):
        files, arrays = zip(*rows, strict=True)
        decoded, status = decode(tf.constant(files))
        assert not status.numpy().any()
        assert_same(decoded, np.stack(arrays))


@each_unknown
def test_what_is_written_is_like_the_sample(sample: Sample, specs: Any, tmp_path: Path) -> None:
    spec = specs[sample.name]
    other = any_bits(np.random.default_rng(6), spec.shape, spec.dtype)
    path = tmp_path / sample.name
    path.write_bytes(spec.encode(other))
    assert_same(np.array(tfd.load(path, sample.key), spec.dtype, order="C"), other)
    assert spec.encode(sample.array) == sample.data


def test_outputs_are_like_the_sample_where_a_graph_can_write_it(specs: Any) -> None:
    spec = specs["mixed.pkl"]
    assert spec.encode_tensor(POSE[None]).numpy()[0] == data_of("mixed.pkl")
    for name in ("fortran.pkl", "nested.pkl"):
        with pytest.raises(tfd.SpecError, match="give the output pkl without head and tail"):
            specs[name].encode_tensor(np.zeros((1, *specs[name].shape), "f4"))


@each_unknown
def test_a_file_that_differs_around_the_numbers_is_refused(
    sample: Sample, model: Any, specs: Any
) -> None:
    spec, data = specs[sample.name], sample.data
    codec = spec.codecs[0]
    head, tail = len(base64.b64decode(codec.head)), len(base64.b64decode(codec.tail))
    places = {0, 5, 9, head // 2, head - 1, *range(len(data) - tail, len(data))}
    rows = [data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :] for at in sorted(places)]
    rows += [data + b"\0", data[:-1], data[1:], b""]
    decoded, status = model.checked[key_of(sample.name, specs)](tf.constant([data, *rows]))
    assert status.numpy()[0] == 0 and (status.numpy()[1:] > 0).all()
    assert_same(decoded[0], sample.array)
    for row in rows:
        with pytest.raises(tfd.DecodeError):
            spec.decode(row)


def test_files_of_known_writers_are_taken_too(model: Any, specs: Any) -> None:
    rows = [pickle.dumps({"pose": POSE}, protocol) for protocol in (3, 4, 5)]
    for name in ("id.pkl", "mixed.pkl"):
        decode = model.tensor[key_of(name, specs)]
        assert_same(decode(tf.constant(rows)), np.stack([POSE] * 3))


def test_another_value_beside_the_array_comes_with_advice(specs: Any) -> None:
    with pytest.raises(tfd.DecodeError, match="around its numbers it is not like the sample"):
        specs["id.pkl"].decode(pickle.dumps({"id": 4, "pose": POSE}))


def test_a_sampled_chain_among_others(model: Any) -> None:
    spec = tfd.ArraySpec((2, 3), "float32", "zlib")
    rows = [data_of("id.pkl"), npy(POSE), pickle.dumps({"pose": POSE})]
    assert_same(model.tensor["several"](tf.constant(rows)), np.stack([POSE] * 3))
    # Nothing at all for the chain of the sample, and for a big-endian one, which is its first.
    assert_same(model.tensor["several"](tf.constant(rows[1:])), np.stack([POSE] * 2))
    refused = pickle.dumps({"id": 4, "pose": POSE})
    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        model.tensor["several"](tf.constant([refused, spec.encode(POSE)]))
    assert len(str(failure.value.message)) < 1000  # no bytes of the sample in it


# -- whether a file is a payload as it is ---------------------------------------------------------


def test_a_batch_without_a_row_of_a_big_endian_sample(tmp_path: Path) -> None:
    path = tmp_path / "pose.pkl"
    path.write_bytes(pickle.dumps({"id": 5, "x": POSE.astype(">f4")}))
    (sample,) = tfd.infer(path, key="x", as_is=True).codecs
    spec = tfd.ArraySpec((2, 3), "float32", tfd.one_of([sample], "npy", "raw"))
    decode = traced(spec.decode_checked, "x")
    rows = [npy(POSE), POSE.tobytes(), path.read_bytes()]
    for some in (rows, rows[:2], rows[2:], []):
        decoded, status = decode(tf.constant(some, tf.string))
        assert status.numpy().tolist() == [0] * len(some)
        assert_same(decoded, np.stack([POSE] * len(some)) if some else np.zeros((0, 2, 3), "f4"))


def test_only_native_containers_take_a_file_as_it_is(specs: Any) -> None:
    raw = tfd.ArraySpec((len(npy(POSE)),), "uint8")
    either = tfd.ArraySpec((2, 3), "float32", "zlib or npy")
    sealed = tfd.ArraySpec((2, 3), "float32", "npy|seal")
    for spec, data, why in (
        (raw, npy(POSE), "the model would read it as a payload of raw, not as a file"),
        (either, zlib.compress(POSE.tobytes()), r"a payload of raw\|zlib\|seal, not as a file"),
        (either, b"\xa1" + npy(POSE), "a payload of npy, not as a file"),
        (either, pickle.dumps(POSE), "match none of the chains"),
        (specs["plain.npy"], ODD, "not an .npy"),
        (sealed, sealed.encode(POSE), r"a payload of npy\|seal, not as a file"),
    ):
        with pytest.raises(tfd.DecodeError, match=why):
            untouched(spec, data)
    for spec in (specs["plain.npy"], either):
        assert_same(untouched(spec, npy(POSE)), POSE)


# -- files that cannot be the payload -------------------------------------------------------------


def refusal(name: str, data: bytes, folder: Path, key: str | None = None) -> str:
    path = folder / name
    path.write_bytes(data)
    with pytest.raises(FileError) as failure:
        tfd.infer(path, as_is=True, key=key)
    return str(failure.value)


def test_several_arrays_need_a_key_as_in_load(tmp_path: Path) -> None:
    said = refusal("mixed.pkl", pickle.dumps(MIXED), tmp_path)
    with pytest.raises(FileError) as failure:
        tfd.load(tmp_path / "mixed.pkl")
    assert said == str(failure.value)
    assert "holds no array named x" in refusal("mixed.pkl", pickle.dumps(MIXED), tmp_path, "x")


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_numbers_as_text_are_refused_with_advice(protocol: int, tmp_path: Path) -> None:
    for value in (POSE, LARGE):
        said = refusal("text.pkl", pickle.dumps([value, 3], protocol), tmp_path)
        assert "stores numbers as text; save it with pickle.dump(array, file, protocol=4)" in said
        assert said.endswith(f"; or {PACK_ARRAY}")


def test_axes_in_another_order_are_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "turned.pkl"
    path.write_bytes(pickle.dumps([np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2)], 5))
    if tfd.load(path).flags.c_contiguous:
        pytest.skip("this NumPy pickles it in C order")
    with pytest.raises(
        FileError, match=r"neither C- nor Fortran-contiguous; save np\.ascontiguousarray"
    ):
        tfd.infer(path, as_is=True)


def test_hdf5_is_refused_with_advice(tmp_path: Path) -> None:
    file = io.BytesIO()
    with h5py.File(file, "w") as group:
        group["x"] = POSE
    assert "save the array with numpy.save" in refusal("x.h5", file.getvalue(), tmp_path)


def test_other_mat_files_are_refused_with_advice(tmp_path: Path) -> None:
    file = io.BytesIO()
    scipy.io.savemat(file, {"S": SEGMENT}, format="4")
    assert "version 4; save it with save -v7" in refusal("S.mat", file.getvalue(), tmp_path)
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as group:
        group["S"] = SEGMENT.T
        group["S"].attrs["MATLAB_class"] = np.bytes_(b"double")
    assert "-v7" in refusal("S.mat", file.getvalue(), tmp_path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'"1",2\n', "line 1, column 1 has quotes"),
        (b"1,2\n3,0." + b"0" * 30 + b"\n", "line 2, column 2 has more than 31 characters"),
        (b"\xef\xbb\xbf1,2\n", "it begins with a byte order mark"),
        (b"1,2\r3,4\r", "its lines end in CR, without LF"),
        (b"1,2\n% x\n3,4\n", "line 2 begins with %"),
        (b"1,Infinity\n", "line 1, column 2 is Infinity, which stock ops do not read"),
        (b"1,2,\n3,4,\n", "its lines end with ','"),
        (b"1,NA\n3,4\n", "line 1, column 2 is NA, which stock ops do not read"),
        (b"#\n" * 65 + b"1\n", "it has 65 comments and empty lines, and 64 are skipped"),
        (b"x\n" * 65 + b"1\n", "its numbers begin after line 65, and 64 lines can be skipped"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_table_is_refused_with_the_true_reason(data: bytes, reason: str, tmp_path: Path) -> None:
    said = refusal("x.csv", data, tmp_path)
    assert f"cannot be decoded in a graph: {reason}" in said
    assert "savetxt" in said and said.count("pack its array") == 1


def test_advice_is_given_once_and_names_no_spec_that_there_is_not(tmp_path: Path) -> None:
    said = refusal("S.mat", file_by(scipy.io.savemat, {"S": SEGMENT}, format="4"), tmp_path)
    assert said.count("pack its array") == 1 and "--spec" not in said


def test_too_much_around_the_numbers_is_refused(tmp_path: Path) -> None:
    data = safetensors.numpy.save({"x": POSE, "y": np.zeros(MAX_AROUND_NBYTES, "u1")})
    said = refusal("two.safetensors", data, tmp_path, "x")
    assert "beside this array, and only 16384 can be part of a spec; save the array in" in said


def test_what_is_no_numeric_array_is_refused(tmp_path: Path) -> None:
    assert "object array" in refusal("o.npy", npy(np.array([None, "x"])), tmp_path)
    assert "x.csv" in refusal("x.csv", b"a,b\nleft,right\n", tmp_path)


def test_arrays_and_shapes_do_not_go_with_it(tmp_path: Path) -> None:
    with pytest.raises(tfd.SpecError, match=r"needs a single pathlib.Path"):
        tfd.infer(POSE, as_is=True)
    with pytest.raises(tfd.SpecError, match="max_shape= has no effect with as_is"):
        tfd.infer(tmp_path, as_is=True, max_shape=(3, 3))
    with pytest.raises(tfd.SpecError, match="have no effect with as_is"):
        tfd.infer(tmp_path, as_is=True, prefer="smallest")


# -- head and tail in a spec ----------------------------------------------------------------------

HEAD = base64.b64encode(npy(POSE)[:128]).decode()


@pytest.mark.parametrize(
    ("codec", "shape", "message"),
    [
        ({"head": "?"}, (2, 3), "head is not base64 with its padding"),
        ({"head": "YQ"}, (2, 3), "head is not base64 with its padding"),
        ({"head": "YR=="}, (2, 3), "head is not base64 with its padding"),
        ({"head": "..."}, (2, 3), "stands for bytes left out: take the spec as JSON"),
        ({"head": 3}, (2, 3), "head is not base64 with its padding"),
        ({"head": "é"}, (2, 3), "head is not base64 with its padding"),
        ({"head": None}, (2, 3), "head is not base64 with its padding"),
        ({"tail": HEAD}, (2, 3), "a tail needs the head of the same sample"),
        (
            {"head": "AAAA" * (MAX_AROUND_NBYTES // 3 + 1)},
            (2, 3),
            "at most 16384 can be; save the array",
        ),
        ({"head": "AAAA" * MAX_AROUND_NBYTES}, (2, 3), "can have at most 16384 bytes"),
        ({"head": "AAAA"}, (2, 3), "not around the numbers of an .npy"),
        ({"head": HEAD}, (3, 2), r"it holds float32 \[2, 3\], the array is float32 \[3, 2\]"),
        ({"head": HEAD, "tail": "YQ=="}, (2, 3), "not around the numbers of an .npy"),
        ({"head": HEAD}, (MAX_SAMPLE_NBYTES,), "can be given for at most 67108864"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_head_that_cannot_be(codec: dict[str, Any], shape: Any, message: str) -> None:
    with pytest.raises(tfd.SpecError, match=message):
        tfd.ArraySpec(shape, "float32", [{"name": "npy", **codec}])


def test_the_head_is_part_of_the_fingerprint(specs: Any) -> None:
    assert len({spec.fingerprint for spec in specs.values()}) >= 1 + len(UNKNOWN)
    assert tfd.ArraySpec((2, 3), "float32", f'npy:head="{HEAD}"') != specs["plain.npy"]


def test_a_spec_is_shown_without_the_bytes_of_the_sample(specs: Any, tmp_path: Path) -> None:
    spec = specs["id.pkl"]
    said = "ArraySpec((2, 3), 'float32', codecs='pkl:pose,head=...,tail=...')"
    assert (str(spec), repr(spec)) == (said, said)
    assert repr(tfd.Schema({"pose": spec})) == f"Schema({{'pose': {said}}})"
    assert spec.codecs[0].head in spec.to_json()
    with pytest.raises(tfd.SpecError, match="no None dimension") as failure:
        spec.decode_ragged(["x"])
    assert len(str(failure.value)) < 200


def test_a_head_has_no_place_as_a_bare_value() -> None:
    with pytest.raises(tfd.SpecError, match="npy: takes no options"):
        tfd.ArraySpec((2, 3), "float32", f'npy:"{HEAD}"')


# -- what decode_raw makes of a file --------------------------------------------------------------


def test_decode_raw_of_the_same_bytes_gives_no_array(tmp_path: Path) -> None:
    pose = np.ones((256, 192, 18), "f4")
    path = tmp_path / "pose.pkl"
    path.write_bytes(pickle.dumps({"pose": pose, "id": 3}, 4))
    data = path.read_bytes()
    assert len(data) % 4
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a multiple of 4"):
        tf.io.decode_raw(data, tf.float32)
    garbage = tf.io.decode_raw(data + b"." * (-len(data) % 4), tf.float32).numpy()
    assert garbage.size > pose.size and not (garbage[: pose.size] == 1).all()
    spec = tfd.infer(path, as_is=True)
    assert_same(spec.decode_tensor([data]), pose[None])
