"""The .npz reader lists members by their headers alone and believes neither zip nor header."""

from __future__ import annotations

import contextlib
import io
import random
import tracemalloc
import zipfile

import numpy as np
import pytest

from tests.common import file_by
from tfdecode.errors import FileError
from tfdecode.formats import npy, npz

ARRAYS = {
    "pose": np.arange(24, dtype=">f4").reshape(2, 3, 4),
    "depth": np.asfortranarray(np.eye(3)),
    "empty": np.zeros((0, 2), "u1"),
    "scalar": np.array(7),
}


def saved(save=np.savez, **arrays: np.ndarray) -> bytes:
    return file_by(save, **arrays)


def zipped(
    name: str, content: bytes, method: int = zipfile.ZIP_STORED, claimed: int | None = None
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, content)
    data = bytearray(file.getvalue())
    if claimed is not None:  # the uncompressed size in the central directory
        at = data.rindex(b"PK\x01\x02") + 24
        data[at : at + 4] = claimed.to_bytes(4, "little")
    return bytes(data)


def npy_bytes(array: np.ndarray) -> bytes:
    return file_by(np.save, array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("key", ARRAYS)
def test_members_come_back_bit_for_bit(save, key: str) -> None:
    read = npz.contents(saved(save, **ARRAYS)).read(key)
    array = ARRAYS[key]
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    assert read.tobytes() == array.tobytes()
    assert read.flags.f_contiguous == array.flags.f_contiguous


def test_all_members_come_back_in_file_order() -> None:
    assert list(npz.contents(saved(**ARRAYS)).read_all()) == list(ARRAYS)


def test_members_that_are_no_arrays_are_named() -> None:
    data = saved(names=np.array(["a"]), boxes=np.array([None]))
    with pytest.raises(FileError, match=r"names: array of strings.*; boxes: object array"):
        npz.contents(data).read()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (zipped("notes.txt", b"hello"), "notes.txt: a file that is not an .npy"),
        (zipped("a.npy", npy_bytes(np.eye(2)), zipfile.ZIP_LZMA), "zip method 14"),
        (zipped("a.npy", b"hello"), "a: a file that is not an .npy, although its name says so"),
        (zipped("a.npy", npy.MAGIC + b"hello"), "member a is damaged: is not an .npy"),
        (zipped("a.npy", npy_bytes(np.eye(2)) + b"x"), "needs 160 bytes but has 161"),
        (b"PK\x03\x04 and no more", "is not a whole .npz"),
    ],
)
def test_foreign_archives_say_what_they_are(data: bytes, reason: str) -> None:
    with pytest.raises(FileError, match=reason):
        npz.contents(data).read()


def test_the_parts_of_a_sparse_matrix_say_so() -> None:
    sparse, file = pytest.importorskip("scipy.sparse"), io.BytesIO()
    sparse.save_npz(file, sparse.eye(3).tocsr())
    with pytest.raises(
        FileError, match=r"4 arrays \(parts of a sparse float64 .*, sparse=.dense.\) reads it"
    ):
        npz.contents(file.getvalue()).read()
    assert npz.contents(file.getvalue()).read("data").tolist() == [1, 1, 1]


def test_an_encrypted_member_is_named() -> None:
    data = bytearray(zipped("a.npy", npy_bytes(np.eye(2))))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(FileError, match="a: an encrypted member"):
        npz.contents(bytes(data)).read()


def test_a_wrong_checksum_is_refused() -> None:
    data = bytearray(zipped("a.npy", npy_bytes(np.eye(100))))
    data[data.index(b"PK\x01\x02") - 1] ^= 1
    with pytest.raises(FileError, match=r"member a is damaged \(BadZipFile\)"):
        npz.contents(bytes(data)).read()


def test_a_bomb_is_refused_by_its_header() -> None:
    data = saved(np.savez_compressed, zeros=np.zeros(10**6, "u1"))
    with pytest.raises(FileError, match="zeros decodes to 1000000 bytes, more than the limit"):
        npz.contents(data).read(max_bytes=10**5)


def test_a_member_cannot_inflate_beyond_its_claim() -> None:
    big = npy_bytes(np.zeros(10**6, "u1"))
    small = npy_bytes(np.zeros(10, "u1"))
    lying = small[:128] + big[128:]
    with pytest.raises(FileError, match=r"damaged|needs"):
        npz.contents(zipped("a.npy", lying, zipfile.ZIP_DEFLATED, claimed=len(small))).read()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_ambiguous() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for value in (1, 2):
            archive.writestr("a.npy", npy_bytes(np.array(value)))
    with pytest.raises(FileError, match="2 different arrays named a, so that key is ambiguous"):
        npz.contents(file.getvalue()).read("a")


def test_a_mutant_gives_the_arrays_of_the_file_or_a_file_error() -> None:
    """Each member has a checksum, so that no changed number is ever read."""
    source, read, data = random.Random(1), 0, saved(np.savez_compressed, **ARRAYS)
    tracemalloc.start()
    for _ in range(800):
        mutant = bytearray(data)
        for _ in range(source.randint(1, 3)):
            mutant[source.randrange(len(mutant))] = source.randrange(256)
        try:
            listing = npz.contents(bytes(mutant))
            entries = listing.entries
        except FileError:
            continue
        for entry in entries:
            with contextlib.suppress(FileError):
                got = listing.read(entry.key, max_bytes=10**6)
                assert any(
                    (got.dtype, got.shape, got.tobytes()) == (one.dtype, one.shape, one.tobytes())
                    for one in ARRAYS.values()
                )
                read += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read > 300
    assert peak < 2**23
