"""The HDF5 reader gives what h5py gives, runs no filter of libhdf5 and opens no other file."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tfdecode
from tfdecode.errors import FileError
from tfdecode.formats import hdf5
from tfdecode.formats.hdf5.chunk import lzf

h5py = pytest.importorskip("h5py")
survey = pytest.importorskip("tfdecode.formats.hdf5.survey")


def in_this_process(data: memoryview, matlab: bool) -> dict[str, Any]:
    """What the child process does, without 0.2 s for its start."""
    pieces = survey.Pieces(len(data), lambda at, length: bytes(data[at : at + length]))
    try:
        found = survey.survey(pieces, matlab, max(2**16, len(data) // 8))
    except survey.Refused as error:
        raise FileError(str(error)) from None
    return json.loads(json.dumps(found))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the tests of the child itself, in ``test_hdf5_process``, start one."""
    monkeypatch.setattr(hdf5, "surveyed", in_this_process)


DTYPES = ["?", "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", ">u8"]
DTYPES += ["<f2", ">f4", "<f8", "<c8", ">c16"]
NUMBERS = npst.boolean_dtypes() | npst.integer_dtypes() | npst.unsigned_integer_dtypes()
NUMBERS |= npst.floating_dtypes(sizes=(16, 32, 64)) | npst.complex_number_dtypes(sizes=(64, 128))
FILTERS = [
    {},
    {"compression": "gzip"},
    {"shuffle": True},
    {"fletcher32": True},
    {"compression": "gzip", "shuffle": True, "fletcher32": True},
    {"compression": "lzf", "shuffle": True},
]


def saved(*, libver: str = "earliest", userblock_size: int = 0, **members: Any) -> bytes:
    """A file of datasets; a member that is a dict holds arguments of ``create_dataset``."""
    file = io.BytesIO()
    with h5py.File(file, "w", libver=libver, userblock_size=userblock_size) as writer:
        for name, member in members.items():
            if isinstance(member, dict):
                writer.create_dataset(name, **member)
            else:
                writer[name] = member
    return file.getvalue()


@given(
    npst.arrays(NUMBERS, npst.array_shapes(min_dims=1, max_side=5)),
    st.sampled_from(FILTERS),
    st.sampled_from(["earliest", "latest"]),
    st.sampled_from([0, 512]),
    st.data(),
)
def test_any_chunks_and_filters_come_back_bit_for_bit(
    array: np.ndarray, filters: dict, libver: str, userblock_size: int, data: st.DataObject
) -> None:
    chunks = data.draw(st.tuples(*(st.integers(1, side) for side in array.shape)))
    member = {"data": array, "chunks": chunks, **filters}
    file = saved(libver=libver, userblock_size=userblock_size, x=member)
    got = hdf5.contents(file).read()
    assert (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_each_dtype_and_shape(dtype: str, shape: tuple[int, ...], libver: str) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    got = hdf5.contents(saved(libver=libver, x=array)).read()
    assert (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_contiguous_numbers_are_not_copied() -> None:
    data = saved(x=np.zeros(1000), userblock_size=512)
    assert np.shares_memory(hdf5.contents(data).read(), np.frombuffer(data, "u1"))


def test_a_compact_dataset() -> None:
    file = io.BytesIO()
    with h5py.File(file, "w") as writer:
        options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        options.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((2,))
        made = h5py.h5d.create(writer.id, b"x", h5py.h5t.IEEE_F32BE, space, options)
        h5py.Dataset(made)[...] = [1, 2]
    got = hdf5.contents(file.getvalue()).read()
    assert (got.dtype, got.tolist()) == (np.dtype(">f4"), [1, 2])


@pytest.mark.parametrize("options", [{}, {"chunks": (2,)}], ids=str)
@pytest.mark.parametrize("userblock_size", [0, 512])
def test_numbers_never_written_are_the_fill_value(options: dict, userblock_size: int) -> None:
    member = {"shape": (5,), "dtype": ">f4", "fillvalue": 7, **options}
    assert hdf5.contents(saved(userblock_size=userblock_size, x=member)).read().tolist() == [7] * 5


def test_an_enumeration_reads_as_its_numbers() -> None:
    dtype = h5py.enum_dtype({"road": 1, "tree": 2}, "i1")
    got = hdf5.contents(saved(x=np.array([1, 2], "i1").astype(dtype))).read()
    assert (got.dtype, got.tolist(), got.dtype.metadata) == (np.dtype("i1"), [1, 2], None)


def test_keys_are_paths_and_cycles_end() -> None:
    file = io.BytesIO()
    with h5py.File(file, "w") as writer:
        for name in ("b/y", "b/c/z", "a", "b/x"):
            writer[name] = 1
        writer["b/up"] = writer["/"]
        writer["b/same"] = writer["b"]
    found = hdf5.contents(file.getvalue())
    assert list(found.read_all()) == ["a", "b/x", "b/y", "b/c/z"]
    assert found.others == {
        "b/up": "another name of the whole file",
        "b/same": "another name of b",
    }


def test_weights_of_keras() -> None:
    file = io.BytesIO()
    with h5py.File(file, "w") as writer:
        writer.attrs["layer_names"] = [b"dense"]
        writer["dense/dense/kernel:0"] = np.zeros((2, 3), "f4")
        writer["dense/dense/bias:0"] = np.zeros(3, "f4")
    got = [str(entry) for entry in hdf5.contents(file.getvalue()).entries]
    assert got == ["dense/dense/bias:0: float32 [3]", "dense/dense/kernel:0: float32 [2,3]"]


def compound(**fields: str) -> np.ndarray:
    return np.zeros(2, list(fields.items()))


REFUSED: dict[str, tuple[Any, str]] = {
    "szip": ({"data": np.arange(64), "compression": "szip"}, r"filter 4 .szip.; save it with gzip"),
    "scaleoffset": ({"data": np.arange(9), "scaleoffset": 3}, "filter 6 .scaleoffset."),
    "text": ("a text", "text; save the numbers"),
    "texts": (np.array([b"a", b"bc"]), "text; save the numbers"),
    "table": (compound(x="f4", y="i4", z="f8"), "table; save each column as a dataset"),
    "pairs": (compound(x="f4", y="f4"), "table; save each column as a dataset"),
    "complex integers": (compound(real="i4", imag="i4"), "complex integers"),
    "long double": (np.zeros(2, "g"), "long double array"),
    "references": ({"shape": (2,), "dtype": h5py.ref_dtype}, "references to other datasets"),
    "ragged": ({"shape": (2,), "dtype": h5py.vlen_dtype("f4")}, "ragged rows; save each one"),
    "opaque": (np.zeros(2, "V3"), "not of a numeric type"),
    "nothing": (h5py.Empty("f4"), "dataset without any shape"),
    "soft link": (h5py.SoftLink("/x"), "link that is not followed"),
    "external link": (h5py.ExternalLink("/etc/passwd", "/x"), "link that is not followed"),
    "external numbers": (
        {"shape": (9,), "dtype": "u1", "external": [("/etc/passwd", 0, 9)]},
        "numbers are in another file; save them in this one",
    ),
    "many chunks": ({"shape": (2**30,), "dtype": "u1", "chunks": (1,)}, "more than the file holds"),
    "a large chunk": (
        {"shape": (1,), "dtype": "u1", "chunks": (2**30,), "maxshape": (None,)},
        "dataset of 1 bytes in chunks of 1073741824",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_plain_array_is_named(name: str) -> None:
    member, reason = REFUSED[name]
    with pytest.raises(FileError, match=f"^holds no array to read: {name}: .*{reason}") as caught:
        hdf5.contents(saved(**{name: member})).read()
    assert str(caught.value).isprintable()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe would show that it is opened")
def test_no_other_file_is_opened(tmp_path: Path) -> None:
    """The other file is a pipe: opening it would hang until the time is up."""
    os.mkfifo(tmp_path / "pipe.h5")
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as writer:
        endless = h5py.h5s.UNLIMITED
        layout = h5py.VirtualLayout((3,), "f4", maxshape=(None,))
        source = h5py.VirtualSource(tmp_path / "pipe.h5", "x", shape=(3,), maxshape=(None,))
        layout[0:endless:1] = source[0:endless:1]
        writer.create_virtual_dataset("virtual", layout)
        writer["link"] = h5py.ExternalLink(tmp_path / "pipe.h5", "/x")
        writer.create_dataset("numbers", (3,), "f4", external=[(tmp_path / "pipe.h5", 0, 12)])
        writer["x"] = [1, 2]
    script = "import sys; from tfdecode.files import load; load(sys.argv[1])"
    root = str(Path(next(iter(tfdecode.__path__))).parent)
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", script, str(tmp_path / "a.h5")]
    subprocess.run(command, check=True, env=environment, timeout=60)


def with_chunk(stored: bytes, shape: tuple[int, ...] = (1000,)) -> bytes:
    """A deflated dataset of bytes in one chunk that is stored so, whatever it inflates to."""
    file = io.BytesIO()
    with h5py.File(file, "w") as writer:
        made = writer.create_dataset("x", shape, "u1", chunks=shape, compression="gzip")
        made.id.write_direct_chunk((0,) * len(shape), stored)
    return file.getvalue()


def test_the_honest_form_of_these_chunks_is_read() -> None:
    assert hdf5.contents(with_chunk(zlib.compress(bytes(1000)))).read().tolist() == [0] * 1000


def test_a_deflated_bomb_stops_at_the_size_of_its_chunk() -> None:
    data = with_chunk(zlib.compress(bytes(2**28)))
    tracemalloc.start()
    with pytest.raises(FileError, match="dataset x is damaged: has a chunk that does not inflate"):
        hdf5.contents(data).read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_a_chunk_of_other_bytes_is_refused() -> None:
    with pytest.raises(FileError, match="dataset x is damaged: has a chunk that does not inflate"):
        hdf5.contents(with_chunk(b"no stream of zlib")).read()


@pytest.mark.parametrize("length", [0, 999, 1001])
def test_a_chunk_of_another_size_is_refused(length: int) -> None:
    with pytest.raises(FileError, match="dataset x is damaged"):
        hdf5.contents(with_chunk(zlib.compress(bytes(length)))).read()


def test_a_wrong_checksum_is_refused() -> None:
    member = {"data": np.arange(9, dtype="u1"), "chunks": (9,), "fletcher32": True}
    data = saved(x=member).replace(bytes(range(9)), bytes([7, *range(1, 9)]))
    with pytest.raises(FileError, match="dataset x is damaged: has a chunk with a wrong checksum"):
        hdf5.contents(data).read()


def test_a_declared_size_is_refused_before_anything_is_allocated() -> None:
    data = saved(x={"shape": (2**20, 2**20), "dtype": "f8"})
    with pytest.raises(FileError, match="x decodes to 8796093022208 bytes, more than the limit"):
        hdf5.contents(data).read()


def test_too_many_objects_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "_OBJECTS", 3)
    assert len(hdf5.contents(saved(a=1, b=2, c=3)).entries) == 3
    with pytest.raises(FileError, match="holds more than 3 HDF5 objects; split it"):
        hdf5.contents(saved(a=1, b=2, c=3, d=4))


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_every_truncation_is_refused(libver: str) -> None:
    data = saved(libver=libver, x=np.arange(6.0), y={"data": np.arange(9), "compression": "gzip"})
    for end in range(0, len(data), 7):
        with pytest.raises(FileError):
            hdf5.contents(data[:end])


@pytest.mark.parametrize("userblock_size", [0, 512])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_file_that_is_cut_off_says_so(libver: str, userblock_size: int) -> None:
    data = saved(libver=libver, userblock_size=userblock_size, x=np.arange(600.0))
    whole = len(data) - userblock_size
    message = f"is a truncated HDF5 file: it has {whole - 9} of its {whole} bytes"
    with pytest.raises(FileError, match=f"^{message}$"):
        hdf5.contents(data[:-9])


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"\x02abc", b"abc"),
        (b"\x00a\xe0\x03\x00", b"a" * 13),  # a copy of what it is writing
        (b"\x01ab\x40\x01\x00c", b"ab" + b"abab" + b"c"),
    ],
)
def test_lzf_streams(stream: bytes, expected: bytes) -> None:
    assert lzf(stream, len(expected)) == expected


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"\x00a\x20\x01", "copies from before its beginning"),
        (b"\x00a\xe0", "is cut"),
        (b"\x00a\x20", "is cut"),
        (b"\x05abc", "of another size"),
        (b"\x02abc", "of another size"),
        (b"\x00a" + b"\xe0\xff\x00" * 10**5, "of another size"),  # stops at the size
    ],
)
def test_lzf_streams_that_lie(stream: bytes, reason: str) -> None:
    with pytest.raises(FileError, match=f"has an LZF chunk .*{reason}"):
        lzf(stream, 9)


# In a process of its own: a fault of libhdf5 would end this one.
MUTANTS = """
import pathlib, random, resource, sys
from tests.formats.test_hdf5 import in_this_process
from tfdecode.errors import FileError
from tfdecode.formats import hdf5, mat

hdf5.surveyed = in_this_process
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
name, *seeds = sys.argv[1:]
data, contents = pathlib.Path(name).read_bytes(), (mat if name.endswith(".mat") else hdf5).contents
spots = [index for index, byte in enumerate(data) if byte and index >= 512]
for seed in range(*map(int, seeds)):
    source, mutant = random.Random(seed), bytearray(data)
    for _ in range(source.randint(1, 3)):
        start = source.choice(spots)
        wide = source.choice([b"", b"", bytes(8), b"\\xff" * 8, (2**32).to_bytes(8, "little")])
        piece = wide[: len(data) - start] or source.randbytes(1)
        mutant[start : start + len(piece)] = piece
    try:
        for array in contents(bytes(mutant)).read_all(max_bytes=10**6).values():
            array.tobytes()
    except FileError as error:
        assert str(error).isprintable()
print("done")
"""


def check_mutants(path: Path, count: int) -> None:
    """Any fault, hang or exception but `FileError` on mutants of the file fails."""
    root = str(Path(next(iter(tfdecode.__path__))).parent)
    done = subprocess.run(
        [sys.executable, "-c", MUTANTS, str(path), "0", str(count)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": root},
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"done\n"), done.stderr.decode()


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_mutants_give_arrays_or_a_file_error(libver: str, tmp_path: Path) -> None:
    links = {"link": h5py.SoftLink("/x"), "other": h5py.ExternalLink("a.h5", "/x")}
    numbers = {f"x{index}": np.arange(index) for index in range(7)}  # enough for a tree of links
    chunked = {"data": np.arange(60).reshape(3, 4, 5), "chunks": (2, 3, 2)}
    members = {"packed": {**chunked, "compression": "gzip", "shuffle": True}, "chunked": chunked}
    (tmp_path / "a.h5").write_bytes(saved(libver=libver, **numbers, **links, **members))
    check_mutants(tmp_path / "a.h5", 600)


def test_any_bytes_after_the_magic_give_a_file_error() -> None:
    source = random.Random(6)
    for _ in range(500):
        with pytest.raises(FileError):
            hdf5.contents(b"\x89HDF\r\n\x1a\n" + source.randbytes(source.randrange(200)))
