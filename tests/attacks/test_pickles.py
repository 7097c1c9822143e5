"""Hostile pickles: none runs code, crashes, takes much memory or time, or gives a wrong array."""

from __future__ import annotations

import os
import pickle
import random
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfdecode
from tfdecode.errors import FileError
from tfdecode.formats import pkl

DTYPE = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
EMPTY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"


def array(
    shape: bytes = b"(I1\nt",
    dtype: bytes = DTYPE,
    order: bytes = b"I00\n",
    raw: bytes = b"U\x0812345678",
) -> bytes:
    """A pickle of one float64, parts of which a test replaces."""
    return EMPTY + b"(I1\n" + shape + dtype + order + raw + b"tb."


def dtype(code: bytes = b"S'f8'\n", state: bytes = b"I3\nS'<'\nNNNI-1\nI-1\nI0\n") -> bytes:
    return b"cnumpy\ndtype\n(" + code + b"I0\nI1\ntR(" + state + b"tb"


def test_the_honest_form_of_these_attacks_is_read() -> None:
    assert pkl.contents(array()).read().tobytes() == b"12345678"
    assert pkl.contents(array(dtype=dtype())).read().tobytes() == b"12345678"


MARK_FILE = b"S'touch attacked'\n"
CODE = {
    "REDUCE of os.system": b"cos\nsystem\n(" + MARK_FILE + b"tR.",
    "INST of os.system": b"(" + MARK_FILE + b"ios\nsystem\n.",
    "OBJ of os.system": b"(cos\nsystem\n" + MARK_FILE + b"o.",
    "NEWOBJ of os.system": b"\x80\x02cos\nsystem\n(" + MARK_FILE + b"t\x81.",
    "NEWOBJ_EX of os.system": b"\x80\x04cos\nsystem\n(" + MARK_FILE + b"t}\x92.",
    "STACK_GLOBAL of os.system": b"\x80\x04\x8c\x02os\x8c\x06system\x93(" + MARK_FILE + b"tR.",
    "REDUCE of eval": b'cbuiltins\neval\n(S\'open("attacked", "w")\'\ntR.',
    "BUILD on a class": b"cbuiltins\nobject\n(S'__class__'\ncos\nsystem\ndb.",
    "BUILD with __setstate__": b"cos\nsystem\n)R}(S'__setstate__'\ncos\nsystem\nu"
    + MARK_FILE
    + b"b.",
    "APPEND on a class": b"ccollections\ndeque\n(tRcos\nsystem\na.",
    "a persistent id": b"Pos.system\n.",
    "eval inside of an array": array(raw=b'cbuiltins\neval\n(S\'open("attacked", "w")\'\ntR'),
    "eval as a dtype": array(dtype=b'cbuiltins\neval\n(S\'open("attacked", "w")\'\ntR'),
}


@pytest.mark.parametrize("name", CODE)
def test_no_code_of_a_pickle_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError):
        pkl.contents(CODE[name]).read()
    assert not list(tmp_path.iterdir())


def test_no_module_of_a_pickle_is_imported() -> None:
    with pytest.raises(FileError, match=r"antigravity\.fly object"):
        pkl.contents(b"cantigravity\nfly\n(tR.").read()
    assert "antigravity" not in sys.modules


LIES = {
    "object flags on float64": array(dtype=dtype(state=b"I3\nS'<'\nNNNI-1\nI-1\nI63\n")),
    "item size on float64": array(dtype=dtype(state=b"I3\nS'<'\nNNNI4096\nI-1\nI0\n")),
    "alignment on float64": array(dtype=dtype(state=b"I3\nS'<'\nNNNI-1\nI64\nI0\n")),
    "float64 with fields": array(dtype=dtype(state=b"I3\nS'<'\nN(S'a'\nt}I-1\nI-1\nI0\n")),
    "float64 with a subarray": array(dtype=dtype(state=b"I3\nS'<'\n(I1\nI2\ntNNI-1\nI-1\nI0\n")),
    "dtype without state": array(dtype=b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR"),
    "dtype of a list": array(dtype=b"cnumpy\ndtype\n((lI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"),
    "byte order O": array(dtype=dtype(state=b"I3\nS'O'\nNNNI-1\nI-1\nI0\n")),
    "code O8": array(dtype=dtype(b"S'O8'\n", b"I3\nS'|'\nNNNI-1\nI-1\nI63\n")),
    "code V8": array(dtype=dtype(b"S'V8'\n", b"I3\nS'|'\nNNNI8\nI1\nI16\n")),
    "code f99999": array(dtype=dtype(b"S'f99999'\n")),
    "code f8,f8": array(dtype=dtype(b"S'f8,f8'\n")),
    "data too short": array(raw=b"U\x071234567"),
    "data too long": array(raw=b"U\x09123456789"),
    "data is a list": array(raw=b"(l"),
    "data is a number": array(raw=b"I8\n"),
    "data is not latin-1": array(
        raw=b"V\\u1234\\u1234\\u1234\\u1234\\u1234\\u1234\\u1234\\u1234\n"
    ),
    "negative dimension": array(shape=b"(I-1\nt"),
    "two negative dimensions": array(shape=b"(I-1\nI-1\nt"),
    "huge dimension": array(shape=b"(I4611686018427387904\nI4\nt"),
    "dimensions wrapping to 1": array(shape=b"(I%d\nI%d\nt" % (2**33, 2**31)),
    "empty but huge": array(shape=b"(I0\nI%d\nt" % 2**63, raw=b"U\x00"),
    "empty and wrapping": array(shape=b"(I0\nI%d\nI%d\nt" % (2**62, 2**62), raw=b"U\x00"),
    "float dimension": array(shape=b"(F1\nt"),
    "bool dimension": array(shape=b"(I01\nt"),
    "1,000 dimensions": array(shape=b"(" + b"I1\n" * 1000 + b"t"),
    "shape is a list": array(shape=b"(I1\nl"),
    "order is a call": array(order=b"cos\nsystem\n(tR"),
    "array class is os.system": array().replace(b"cnumpy\nndarray\n", b"cos\nsystem\n"),
    "_reconstruct without arguments": b"cnumpy.core.multiarray\n_reconstruct\n(tR.",
    "state twice": array()[:-1] + b"(tb.",
    "axes that repeat": b"cnumpy.core.numeric\n_frombuffer\n(U\x0812345678"
    + DTYPE
    + b"(I1\nI1\ntS'K'\n(I0\nI0\nttR.",
    "axes that are none": b"cnumpy.core.numeric\n_frombuffer\n(U\x0812345678"
    + DTYPE
    + b"(I1\ntS'K'\n(I7\nttR.",
    "scalar of 7 bytes": b"cnumpy.core.multiarray\nscalar\n(" + DTYPE + b"U\x071234567tR.",
}


@pytest.mark.parametrize("name", LIES)
def test_an_array_that_lies_is_refused(name: str) -> None:
    with pytest.raises(FileError):
        pkl.contents(LIES[name]).read()


def laughs(opcodes: bytes, count: int) -> bytes:
    """Each of ``count`` objects holds the one before it twice."""
    return opcodes + b"".join(
        b"r" + struct.pack("<I", i) + b"j" + struct.pack("<I", i) + b"\x86" for i in range(count)
    )


BOMBS = {
    "LONG_BINPUT": b"Nr\xff\xff\xff\xff.",
    "PUT": b"Np99999999999999999999\n.",
    "BYTEARRAY8": b"\x80\x05\x96" + struct.pack("<Q", 8 << 30) + b"x.",
    "BYTEARRAY8 of all memory": b"\x80\x05\x96" + struct.pack("<Q", 2**63 - 1) + b"x.",
    "BINBYTES8": b"\x80\x04\x8e" + struct.pack("<Q", 8 << 30) + b"x.",
    "BINUNICODE8": b"\x80\x04\x8d" + struct.pack("<Q", 8 << 30) + b"x.",
    "BINBYTES": b"\x80\x03B" + struct.pack("<I", 2**32 - 1) + b"x.",
    "BINUNICODE": b"\x80\x03X" + struct.pack("<I", 2**32 - 1) + b"x.",
    "BINSTRING": b"T" + struct.pack("<i", 2**31 - 1) + b"x.",
    "BINSTRING of negative length": b"T" + struct.pack("<i", -1) + b"x.",
    "LONG4": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
    "FRAME": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "decimal of a million digits": b"I" + b"9" * 10**6 + b"\n.",
    "long of a million digits": b"L" + b"9" * 10**6 + b"L\n.",
    "float of a million digits": b"F" + b"9" * 10**6 + b"\n.",
    "GET of a million digits": b"Ng" + b"9" * 10**6 + b"\n.",
    "500,000 marks": b"(" * 500_000 + b".",
    "500,000 dicts": b"}" * 500_000 + b".",
    "500,000 sets": b"\x8f" * 500_000 + b".",
    "lists in lists": b"]" * 10**5 + b"a" * (10**5 - 1) + b".",
    "tuples in tuples": b")" + b"\x85" * 10**5 + b".",
    "dicts in dicts": b"}" + b"U\x01k}" * 10**5 + b"s" * 10**5 + b".",
    "calls in calls": b"cos\nsystem\n" + b")R" * 10**5 + b".",
    "states in states": b"cos\nsystem\n)R" * 10**5 + b"b" * (10**5 - 1) + b".",
    "deep tuple as dict key": b"}" + b")" + b"\x85" * 10**5 + b"Ns.",
    "deep frozenset": b"\x80\x04" + b"(" * 10**5 + b"\x91" * 10**5 + b".",
    "billion laughs": laughs(b")", 100) + b".",
    "billion laughs as dict key": b"}" + laughs(b")", 100) + b"Ns.",
    "billion laughs as set item": b"\x8f(" + laughs(b")", 100) + b"\x90.",
    "billion laughs as state": EMPTY + laughs(b")", 100) + b"b.",
    "billion laughs as dtype state": array(
        dtype=b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR" + laughs(b")", 99) + b"b"
    ),
    "a list in itself": b"]q\x00h\x00a.",
    "a dict in itself": b"}q\x00U\x01kh\x00s.",
    "an array state in itself": EMPTY + b"q\x00(I1\nh\x00h\x00h\x00h\x00tb.",
    "long keys of deep dicts": b"}" + (b"U\xff" + b"k" * 255 + b"}") * 2000 + b"s" * 2000 + b".",
    "long names": b"c" + b"m" * 10**6 + b"\n" + b"n" * 10**6 + b"\n)R.",
}

ITEM = array()[:-1]
KEY = b"X" + struct.pack("<I", 250) + b"k" * 250
BOMBS |= {
    "2,000 dicts of one list": ITEM
    + b"q\xf00]("
    + b"K\x01h\xf0\x86" * 2000
    + b"eq\xfe0ccollections\nOrderedDict\nq\xfd0]("
    + b"h\xfdh\xfe\x85R" * 2000
    + b"e.",
    "2,000 dicts of the same arguments": ITEM
    + b"q\xf00]("
    + b"K\x01h\xf0\x86" * 2000
    + b"e\x85q\xfe0ccollections\nOrderedDict\nq\xfd0]("
    + b"h\xfdh\xfeR" * 2000
    + b"e.",
    "2,000 object arrays of one state": ITEM
    + b"q\xf00(K\x01(M\xd0\x07tcnumpy\ndtype\n(U\x02O8tR\x89]("
    + b"h\xf0" * 2000
    + b"etq\xfe0](" + (EMPTY + b"h\xfeb") * 2000
    + b"e.",
    "long keys at 60 levels": b"(V" + b"\\U000e0001" * 200 + b"\n" + b"2" * 12
    + b"tq\x010cm\nK\nh\x01Rq\x020"
    + b"".join(b"}(" + b"h\x02N" * 100 + b"K\x01" for _ in range(60)) + ITEM + b"u" * 60 + b".",
    "an array 300,000 times": b"}" + KEY + b"}" + KEY + b"](" + ITEM + b"2" * 300_000 + b"ess.",
    "an array 150,000 times under long keys": b"}("
    + KEY
    + b"q\x01"
    + ITEM
    + b"q\x02"
    + b"h\x01h\x02" * 150_000
    + b"u.",
    "a dict 300,000 times": b"](}(K\x01" + ITEM + b"u" + b"2" * 300_000 + b"e.",
    "a list without arrays 300,000 times": b"](](" + b"N" * 10**5 + b"e" + b"2" * 300_000 + b"e.",
    "objects of one long name": b"](c" + b"m" * 10**6 + b"\nn\nq\x01" + b"h\x01)R" * 10**5 + b"e.",
    "one long key for all": b"}((" + b"K\x00" * 10**6 + b"tq\x01" + ITEM + b"q\x02"
    + b"h\x01h\x02" * 10**5
    + b"u.",
    "state of attributes shared": b"](}(" + b"U\x01aN" * 10**5 + b"uq\x010c__main__\nA\nq\x02"
    + b"h\x02)\x81h\x01b" * 10**4
    + b"e.",
}  # fmt: skip

SHARED = [name for name in BOMBS if name.startswith("2,000")]


@pytest.mark.parametrize("name", SHARED)
def test_what_many_calls_share_is_walked_once(name: str) -> None:
    listing = pkl.contents(BOMBS[name])
    assert len(listing.entries) == 2000
    assert len(listing.others) == 1001
    assert listing.others["..."] == "999 more values that are not arrays of numbers"


MEASURED = """
import contextlib, pathlib, pickle, resource, sys
from tfdecode.errors import FileError
from tfdecode.formats import pkl

STATUS = pathlib.Path("/proc/self/status")

def peak():
    if STATUS.exists():
        return int(STATUS.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
for name, data in pickle.load(sys.stdin.buffer).items():
    with contextlib.suppress(OSError):  # of Linux only: forget the peak
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    try:
        pkl.contents(data).read()
        message = "array"
    except FileError as error:
        message = str(error)
    print(name, peak() - before, len(message), sep="|", flush=True)
"""


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[float, int]]:
    """Peak growth in MB and length of the message of each bomb, in a process with a limit."""
    root = str(Path(next(iter(tfdecode.__path__))).parent)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        input=pickle.dumps(BOMBS),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": root},
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()[-200:]
    lines = [line.split("|") for line in done.stdout.decode().splitlines()]
    return {name: (int(kilobytes) / 1024, int(length)) for name, kilobytes, length in lines}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_memory(name: str, measured: dict[str, tuple[float, int]]) -> None:
    megabytes, length = measured[name]
    assert megabytes < 160
    assert length < 4000


def test_max_bytes_bounds_the_records_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkl, "_OPCODES", 1000)
    with pytest.raises(FileError, match="more than 7812 opcodes"):
        pkl.contents(b"}" * 8000, max_bytes=10**6)


ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    {"pose": np.arange(4, dtype="u1"), ("S1", 2): [np.float32(1.5), np.array(True)]},
]
GOOD = [pickle.dumps(value, protocol) for value in ARRAYS for protocol in range(6)]


def read_or_refuse(data: bytes) -> None:
    try:
        arrays = pkl.contents(data).read_all(max_bytes=2**20)
    except FileError as error:
        assert "\n" not in str(error)
        return
    for value in arrays.values():
        assert value.dtype.kind in "biufc"
        value.tobytes()


def flip(source: random.Random, data: bytearray) -> None:
    data[source.randrange(len(data))] = source.randrange(256)


def cut(source: random.Random, data: bytearray) -> None:
    start = source.randrange(len(data))
    del data[start : start + source.randint(1, 8)]


def repeat(source: random.Random, data: bytearray) -> None:
    start, at = source.randrange(len(data)), source.randrange(len(data))
    data[at:at] = data[start : start + source.randint(1, 16)]


def opcode(source: random.Random, data: bytearray) -> None:
    codes = [
        getattr(pickle, name)[0]
        for name in pickle.__all__
        if name.isupper() and isinstance(getattr(pickle, name), bytes)
    ]
    data.insert(source.randrange(len(data)), source.choice(codes))


@pytest.mark.parametrize("seed", range(len(GOOD)))
@pytest.mark.filterwarnings("error")
def test_mutants_of_good_pickles_give_arrays_or_a_file_error(seed: int) -> None:
    source, mutations = random.Random(seed), [flip, cut, repeat, opcode]
    for _ in range(500):
        mutant = bytearray(GOOD[seed])
        for _ in range(source.randint(1, 4)):
            source.choice(mutations)(source, mutant)
        read_or_refuse(bytes(mutant))


@given(st.binary(max_size=200))
def test_any_bytes_give_arrays_or_a_file_error(data: bytes) -> None:
    read_or_refuse(data)


@given(st.lists(st.sampled_from([bytes([code]) for code in range(256)] + [DTYPE, EMPTY, b"I1\n"])))
def test_any_opcodes_give_arrays_or_a_file_error(parts: list[bytes]) -> None:
    read_or_refuse(b"".join(parts) + b".")


def test_every_truncation_is_refused() -> None:
    for data in GOOD:
        for end in range(len(data)):
            with pytest.raises(FileError):
                pkl.contents(data[:end])


def test_messages_hold_no_bytes_of_the_data() -> None:
    secret = b"U\x0cSECRETSECRET"
    for data in (array(raw=secret), array(raw=b"V" + b"SECRET" * 2 + b"\n"), b"ISECRET\n."):
        with pytest.raises(FileError) as caught:
            pkl.contents(data).read()
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", "k" * 200, "\u202e"])
def test_hostile_names_are_shown_short_and_printable(text: str) -> None:
    with pytest.raises(FileError) as caught:
        pkl.contents(pickle.dumps({text: np.array([None])})).read()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250
