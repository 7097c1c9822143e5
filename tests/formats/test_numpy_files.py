"""Files of NumPy as programs write them: read bit for bit, or refused with the right reason."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.common import assert_same, file_by
from tfdecode.errors import FileError
from tfdecode.formats import npy, npz, pkl

X = np.arange(6, dtype="<f4").reshape(2, 3)
Y = np.asfortranarray(np.arange(4, dtype=">i2").reshape(2, 2))


def saved(*arrays: Any) -> bytes:
    """The arrays, one ``numpy.save`` after another."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # version 2 of the format
        for array in arrays:
            np.save(file, array, allow_pickle=True)
    return file.getvalue()


def written(text: str, data: bytes = X.tobytes(), version: int = 1) -> bytes:
    """A file of another program, by the text of its header."""
    header = text.encode("utf-8")
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return npy.MAGIC + bytes([version, 0]) + length + header + data


def objects(*items: object) -> np.ndarray:
    made = np.empty(len(items), object)
    for index, item in enumerate(items):
        made[index] = item
    return made


PLAIN = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
#: A dict in an object array without dimensions, as NumPy 1.16 of Python 2.7 saves it.
PYTHON_2_DICT = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85q\x03"
    b"U\x01bq\x04\x87q\x05Rq\x06(K\x01)cnumpy\ndtype\nq\x07U\x02O8q\x08K\x00K\x01\x87q\tRq\n(K\x03"
    b"U\x01|q\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\x0cb\x89]q\r}q\x0eU\x01xq\x0f"
    b"h\x01h\x02K\x00\x85U\x01b\x87R(K\x01K\x02K\x03\x86h\x07U\x02f4K\x00K\x01\x87R(K\x03U\x01<NNN"
    b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x18" + X.tobytes() + b"tbsatb."
)
Listing = tuple[dict[str, np.ndarray], dict[str, str]]
NPY: dict[str, tuple[bytes, Listing | str]] = {
    "numpy.save": (saved(X), ({"": X}, {})),
    "Fortran order, big-endian": (saved(Y), ({"": Y}, {})),
    "no dimensions": (saved(np.float64(1.5)), ({"": np.array(1.5)}, {})),
    "no elements": (saved(np.zeros((0, 3), "c8")), ({"": np.zeros((0, 3), "c8")}, {})),
    "version 2": (written(PLAIN, version=2), ({"": X}, {})),
    "version 3": (written(PLAIN, version=3), ({"": X}, {})),
    "Python 2": (
        written("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }".ljust(117) + "\n"),
        ({"": X}, {}),
    ),
    "Python 2, one dimension": (
        written("{'descr': '<f4', 'fortran_order': False, 'shape': (6L,), }\n"),
        ({"": X.reshape(-1)}, {}),
    ),
    "a JavaScript writer": (
        written('{"descr": "<f4", "fortran_order": False, "shape": (2,3)}'), ({"": X}, {})
    ),
    "a C++ writer": (
        written("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3,), }     \n"),
        ({"": X}, {}),
    ),
    "another order of keys": (
        written("{'shape':(2,3),'fortran_order':False,'descr':'<f4'}\n"), ({"": X}, {})
    ),
    "padded to a page": (written(PLAIN.ljust(4085) + "\n"), ({"": X}, {})),
    "a dtype by name": (written(PLAIN.replace("<f4", "float32")), ({"": X}, {})),
    "two arrays": (saved(X, Y), ({"0": X, "1": Y}, {})),
    "arrays and a dict": (saved(X, {"y": Y}, X), ({"0": X, "1/y": Y, "2": X}, {})),
    "text between arrays": (saved(X, "a", Y), ({"0": X, "2": Y}, {"1": "array of strings"})),
    "a dict": (saved({"R": X, "name": "a"}), ({"R": X}, {"name": "text"})),
    "a dict by Python 2": (
        written(PLAIN.replace("<f4", "|O").replace("2, 3", ""), PYTHON_2_DICT), ({"x": X}, {})
    ),
    "a list of dicts": (
        saved(objects({"box": X}, {"box": Y})), ({"0/box": X, "1/box": Y}, {})
    ),
    "arrays of different shape": (saved(objects(X, X[:1])), ({"0": X, "1": X[:1]}, {})),
    "nothing but None": (saved(None), ({}, {"": r"object array \[\] of 1 item|nothing"})),
    "texts": (saved(np.array(["a"])), ({}, {"": "array of strings"})),
    "bytes of NumPy 1": (
        written("{'descr': '|a3', 'fortran_order': False, 'shape': (1,)}", b"abc"),
        ({}, {"": "array of byte strings"}),
    ),
    "a table": (
        saved(np.zeros(2, [("x", "f4"), ("y", "u1", 3)])), ({}, {"": "structured array"})
    ),
    "times": (saved(np.zeros(2, "M8[ns]")), ({}, {"": r"datetime64 array; save it as .view"})),
    "long doubles": (saved(np.zeros(2, "g")), ({}, {"": "long double array"})),
    "cut": (saved(X)[:-1], "has 23 bytes of data where float32 .2,3. needs 24"),
    "cut after the header": (saved(X)[:100], "header that NumPy can read"),
    "more than the array": (saved(X) + b"\0" * 8, "has 32 bytes of data where float32"),
    "a second array, cut": (saved(X, Y)[:-1], r"has 7 bytes of data where >i2 .2,2. needs 8"),
    "version 4": (written(PLAIN, version=4), "unknown version 4.0"),
    "a header too long": (written(PLAIN.ljust(10_001)), "header of 10001 characters"),
    "a shape that is a number": (written(PLAIN.replace("(2, 3)", "(6)")), "NumPy can read"),
    "a call for a shape": (written(PLAIN.replace("(2, 3)", "f(2, 3)")), "NumPy can read"),
    "a key twice": (written(PLAIN.replace("}", "'descr': '<f4'}")), "NumPy can read"),
    "a dict that is cut": (saved({"x": X})[:-9], "is a truncated pickle"),
}  # fmt: skip


def check(contents: Callable[[bytes], Any], data: bytes, expected: Listing | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(FileError, match=expected):
            contents(data)
        return
    arrays, others = expected
    listing = contents(data)
    assert [entry.key for entry in listing.entries] == list(arrays)
    for key, array in arrays.items():
        assert_same(listing.read(key), array)
    assert listing.others.keys() == others.keys()
    assert all(re.search(others[name], what) for name, what in listing.others.items())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NPY)
def test_an_npy(name: str) -> None:
    data, expected = NPY[name]
    check(npy.contents, data, expected)


def archived(
    members: dict[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b""
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.comment = comment
    return file.getvalue()


def savez(save: Any = np.savez, **arrays: Any) -> bytes:
    return file_by(save, **arrays)


def marked(data: bytes, offset: int, bits: int) -> bytes:
    """Bits of the last entry of the directory flipped."""
    changed = bytearray(data)
    changed[changed.rindex(b"PK\x01\x02") + offset] ^= bits
    return bytes(changed)


MAC = "a file that macOS added, not an array"
MANY = {f"frame_{n}": np.array([n]) for n in range(300)}
NPZ: dict[str, tuple[bytes, Listing | str]] = {
    "savez": (savez(x=X, y=Y), ({"x": X, "y": Y}, {})),
    "savez_compressed": (savez(np.savez_compressed, x=X, y=Y), ({"x": X, "y": Y}, {})),
    "arrays without names": (savez(arr_0=X), ({"arr_0": X}, {})),
    "300 members": (savez(**MANY), (MANY, {})),
    "Finder": (
        archived({
            "x.npy": saved(X), "__MACOSX/._x.npy": b"\0\5\x16\7\0\2\0\0Mac OS X",
            ".DS_Store": b"\0\0\0\1Bud1", "._y.npy": b"\0\5\x16\7",
        }),
        ({"x": X}, {"__MACOSX/._x.npy": MAC, ".DS_Store": MAC, "._y": MAC}),
    ),
    "a zipped folder": (
        archived({"maps/": b"", "maps/x.npy": saved(X)}, zipfile.ZIP_DEFLATED),
        ({"maps/x": X}, {"maps/": "a directory"}),
    ),
    "notes": (
        archived({"x.npy": saved(X), "README.txt": b"hello", "meta.json": b"{}"}),
        ({"x": X}, dict.fromkeys(("README.txt", "meta.json"), "a file that is not an .npy")),
    ),
    "a member without a name": (
        archived({"x.npy": saved(X), "qqq": b""}).replace(b"qqq", b"\0\0\0"),
        ({"x": X}, {"": "a file that is not an .npy"}),
    ),
    "a text named .npy": (
        archived({"x.npy": saved(X), "y.npy": b"1 2 3"}),
        ({"x": X}, {"y": "not an .npy, although its name says so"}),
    ),
    "an empty file named .npy": (
        archived({"x.npy": saved(X), "y.npy": b""}), ({"x": X}, {"y": "not an .npy, although"})
    ),
    "a comment": (archived({"x.npy": saved(X)}, comment=b"made by a test"), ({"x": X}, {})),
    "bytes before": (b"#!/bin/sh\n" + archived({"x.npy": saved(X)}), ({"x": X}, {})),
    "names beyond ASCII": (savez(**{"größe": X}), ({"größe": X}, {})),
    "nested dicts": (
        savez(np.savez_compressed, positions={"S1": {"Walking": X}, "fps": 50}),
        ({"positions/S1/Walking": X}, {"positions/fps": "int"}),
    ),
    "a dict beside arrays": (savez(x=X, d={"y": Y}), ({"x": X, "d/y": Y}, {})),
    "a name like a path": (
        archived({"d/y.npy": saved(X), "d.npy": saved({"y": Y})}),
        ({"d/y": X, "['d']['y']": Y}, {}),
    ),
    "lists of arrays": (savez(a=objects(X, Y)), ({"a/0": X, "a/1": Y}, {})),
    "names of classes": (savez(x=X, names=np.array(["a"])), ({"x": X}, {"names": "of strings"})),
    "objects of a program": (
        archived({"x.npy": saved(X), "o.npy": saved(objects(1, 2))}),
        ({"x": X}, {"o": r"object array \[2\] of 2 ints"}),
    ),
    "a pickle that refers elsewhere": (
        archived({
            "x.npy": saved(X),
            "o.npy": written(PLAIN.replace("<f4", "|O"), b"\x80\x02U\x01aQ."),
        }),
        ({"x": X}, {"o": "object array whose pickle refers to objects outside of the pickle"}),
    ),
    "a password": (
        marked(archived({"x.npy": saved(X), "y.npy": saved(Y)}), 8, 1),
        ({"x": X}, {"y": "an encrypted member; save it without a password"}),
    ),
    "bzip2": (
        archived({"x.npy": saved(X)}, zipfile.ZIP_BZIP2), ({}, {"x": "compressed by zip method 12"})
    ),
    "lzma": (
        archived({"x.npy": saved(X)}, zipfile.ZIP_LZMA), ({}, {"x": "compressed by zip method 14"})
    ),
    "nothing": (archived({}), ({}, {})),
    "a cut archive": (savez(x=X)[:-30], "is not a whole .npz"),
    "a cut member": (archived({"x.npy": saved(X)[:-1]}), "member x: .* needs 152 bytes but has"),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NPZ)
def test_an_npz(name: str) -> None:
    data, expected = NPZ[name]
    check(npz.contents, data, expected)


def test_a_pickle_in_a_member_is_bounded_by_max_bytes() -> None:
    data = savez(np.savez_compressed, x=X, d={"zeros": np.zeros(10**6, "u1")})
    listing = npz.contents(data, max_bytes=10**6)
    assert [entry.key for entry in listing.entries] == ["x"]
    assert "a pickle of 1000" in listing.others["d"]
    assert npz.contents(data).read("d/zeros").shape == (10**6,)


def test_limits_hold_for_all_pickles_of_an_archive_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pkl, "_OPCODES", 1000)
    lists = {f"l{n}": objects([0] * 300) for n in range(4)}
    listing = npz.contents(savez(np.savez_compressed, x=X, **lists), max_bytes=10**5)
    assert [entry.key for entry in listing.entries] == ["x"]
    assert "more than 1000 opcodes" not in listing.others["l0"]
    assert "more than 1000 opcodes" in listing.others["l3"]
