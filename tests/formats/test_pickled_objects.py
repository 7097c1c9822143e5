"""Containers and objects in pickles: every array has a path of its own, all else is named."""

from __future__ import annotations

import collections
import datetime
import enum
import pickle
import re
import types
from array import array as standard_array
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common import assert_same, file_by
from tfdecode.errors import FileError
from tfdecode.formats import npy, npz, pkl
from tfdecode.formats.contents import Contents

X = np.arange(3, dtype=">f4")
Y = np.arange(4.0).reshape(2, 2)
Z = np.array([True, False])


class Color(enum.Enum):
    RED = 1


class Text(str, enum.Enum):
    A = "a"


Pair = collections.namedtuple("Pair", "left right")


@dataclass
class Pose:
    joints: object
    name: str = "standing"


class Slots:
    __slots__ = ("left", "right")

    def __init__(self) -> None:
        self.left, self.right = X, Y


class Easy(dict):
    """Items that are attributes too."""

    def __init__(self, **items: object) -> None:
        super().__init__(items)
        self.__dict__.update(items)


class Listed(list):
    pass


class Made:
    """An object that a function makes of an array."""

    def __reduce__(self) -> tuple:
        return Made, (X,)


def objects(*items: object, shape: tuple[int, ...] | None = None) -> np.ndarray:
    made = np.empty(len(items), object)
    for index, item in enumerate(items):
        made[index] = item
    return made.reshape(len(items) if shape is None else shape)


def itself() -> dict:
    made: dict = {"x": X}
    made["again"] = [made]
    return made


SHARED = {"x": X}
NOT_ARRAY = r"not an array; save numpy\.asarray\(\.\.\.\) of it"
# What is pickled, the arrays by path, and what is said of the rest.
TABLE: dict[str, tuple[object, dict[str, np.ndarray], dict[str, str]]] = {
    # Keys
    "NumPy numbers": (
        {np.int64(7): X, np.uint8(8): Y, np.bool_(True): Z, np.float32(0.1): X, np.float64(-2): Y},
        {"7": X, "8": Y, "True": Z, "0.1": X, "-2.0": Y},
        {},
    ),
    "NumPy texts": ({np.str_("é7"): X, np.bytes_(b"7"): Y}, {"é7": X, "b'7'": Y}, {}),
    "numbers": (
        {0.5: X, -1: Y, 1j: Z, 10**30: X, float("inf"): Y},
        {"0.5": X, "-1": Y, "complex(0.0, 1.0)": Z, str(10**30): X, "inf": Y},
        {},
    ),
    "constants": ({None: X, False: Y}, {"None": X, "False": Y}, {}),
    "bytes": ({b"": X, b"a\0": Y}, {"b''": X, r"b'a\x00'": Y}, {}),
    "tuples": (
        {("S1", 7): X, (): Y, (1, (2.5, None)): Z},
        {"S1,7": X, "()": Y, "1,(2.5,None)": Z},
        {},
    ),
    "enums": ({Color.RED: X, Text.A: Y}, {"Color(1)": X, "Text('a')": Y}, {}),
    "dates": (
        {datetime.date(2024, 2, 29): X, datetime.datetime(2024, 2, 29, 12, 30, 5, 7): Y},
        {"2024-02-29": X, "2024-02-29 12:30:05.000007": Y},
        {},
    ),
    "paths": ({PurePosixPath("a/b"): X}, {"PurePosixPath('a', 'b')": X}, {}),
    "alike: number and text": (
        {1: X, "1": Y, (1,): Z, "b": X},
        {"[1]": X, "['1']": Y, "[(1,)]": Z, "b": X},
        {},
    ),
    "alike: a slash": (
        {"a/b": X, "a": {"b": Y, "c": Z}},
        {"['a/b']": X, "['a']['b']": Y, "a/c": Z},
        {},
    ),
    "alike: a dot": ({"a.joints": X, "a": Pose(Y)}, {"['a.joints']": X, "['a'].joints": Y},
                     {r"a\.name": "text"}),
    "as an exact path begins": (
        {"[1]": X, ".b": Y, "": Z}, {"['[1]']": X, "['.b']": Y, "['']": Z}, {}
    ),
    "without a text": (
        {frozenset([1]): X, "k" * 257: Y, "z": Z},
        {"z": Z},
        {r"\?1": r"under a key without a text", r"\?2": "a key of 257 characters"},
    ),
    # Containers
    "replay buffer": (
        collections.deque([(X, 1, 0.5, Y, False), (Y, 2, 0.5, X, True)], maxlen=9),
        {"0/0": X, "0/3": Y, "1/0": Y, "1/3": X},
        {f"{i}/{j}": f"(int|float|bool), {NOT_ARRAY}" for i in (0, 1) for j in (1, 2, 4)},
    ),
    "dicts": (
        {
            "o": collections.OrderedDict(x=X),
            "d": collections.defaultdict(list, y=[Y]),
            "n": types.SimpleNamespace(z=Z),
        },
        {"o/x": X, "d/y/0": Y, "n.z": Z},
        {},
    ),
    "chain map": (collections.ChainMap({"x": X}), {"maps/0/x": X}, {}),
    "user dict": ({"u": collections.UserDict(x=X)}, {"u.data/x": X}, {}),
    "named tuple": ({"p": Pair(X, (Y, 1))}, {"p/0": X, "p/1/0": Y}, {"p/1/1": "int"}),
    "list of a class": (Listed([X, None]), {"0": X}, {"1": r"nothing \(None\)"}),
    "dict of a class": (Easy(x=X, n=Easy(y=Y)), {"x": X, "n/y": Y}, {}),
    "object": (Pose({"a": [X]}), {"joints/a/0": X}, {"name": "text, not an array"}),
    "objects": ([Pose(X), Pose(Y)], {"0.joints": X, "1.joints": Y}, {r"[01]\.name": "text"}),
    "set": ({"x": X, "s": {1, 2}}, {"x": X}, {"s": "a set of 2 ints, which has no order"}),
    "frozenset": ({"s": frozenset("a"), "x": X}, {"x": X}, {"s": "a set of 1 text, which has no"}),
    # Arrays of objects
    "object array": (objects(X, [Y], None), {"0": X, "1/0": Y}, {"2": "nothing"}),
    "matrix of objects": (
        {"m": np.asfortranarray(objects(X, Y, {"z": Z}, 1, shape=(2, 2)))},
        {"m/0,0": X, "m/0,1": Y, "m/1,0/z": Z},
        {"m/1,1": "int"},
    ),
    "dict in an array": (objects({"x": X, "fs": 30}, shape=()), {"x": X}, {"fs": "int"}),
    "numbers in an object array": (
        {"x": X, "n": objects(1, 2.5), "t": objects("a")},
        {"x": X},
        {"n": r"object array \[2\] of 2 items; save numpy\.asarray", "t": "object array .* 1 text"},
    ),
    "masked array": (
        {"m": np.ma.array(Y, mask=Y > 2)},
        {"m.data": Y, "m.mask": Y > 2},
        {},
    ),
    "masked array of objects": (
        np.ma.array(objects(X, Y), mask=[True, False]),
        {"data/0": X, "data/1": Y, "mask": Z},
        {},
    ),
    # Values without arrays
    "beside arrays": (
        {"x": X, "id": 3, "t": "a", "l": [1.0] * 500, "n": {"deep": [1, "b"]}},
        {"x": X},
        {"id": "int", "t": "text", "l": "a list of 500 floats", "n": "a dict of 1 items without"},
    ),
    "made by a function": (Made(), {}, {"": "Made object; save its arrays on their own"}),
    # References
    "shared array": ({"a": X, "b": [X]}, {"a": X, "b/0": X}, {}),
    "shared dict": (
        {"a": SHARED, "b": [SHARED]}, {"a/x": X}, {"b/0": "the same object as a"}
    ),
    "dict in itself": (itself(), {"x": X}, {"again/0": "the same object as the whole"}),
}  # fmt: skip


def check(listing: Contents, expected: dict[str, np.ndarray], others: dict[str, str]) -> None:
    """The arrays in order and bit for bit, each also by its key; and what is said of the rest."""
    assert [entry.key for entry in listing.entries] == list(expected)
    for key, value in expected.items():
        assert_same(listing.read(key), value)
    for name, what in listing.others.items():
        assert any(re.fullmatch(of, name) and re.search(text, what) for of, text in others.items())
    for of in others:
        assert any(re.fullmatch(of, name) for name in listing.others)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", TABLE)
def test_every_array_has_a_path_and_the_rest_is_named(name: str, protocol: int) -> None:
    value, expected, others = TABLE[name]
    check(pkl.contents(pickle.dumps(value, protocol)), expected, others)


@pytest.mark.parametrize("name", TABLE)
def test_an_object_array_of_an_npy_lists_what_a_pickle_does(name: str) -> None:
    value, expected, others = TABLE[name]
    whole = value if isinstance(value, np.ndarray) else objects(value, shape=())
    check(npy.contents(file_by(np.save, whole, allow_pickle=True)), expected, others)


@pytest.mark.parametrize("name", TABLE)
def test_a_member_of_an_npz_lists_it_under_its_name(name: str) -> None:
    value, expected, _ = TABLE[name]
    whole = value if isinstance(value, np.ndarray) else objects(value, shape=())
    listing = npz.contents(file_by(np.savez_compressed, m=whole, plain=X))
    *entries, plain = listing.entries
    assert_same(plain.read(), X)
    assert len(entries) == len(expected)
    for entry, array in zip(entries, expected.values(), strict=True):
        assert entry.key.startswith(("m", "['m']"))
        assert_same(listing.read(entry.key), array)
    assert all(other.startswith(("m", "['m']")) for other in listing.others)


def test_an_object_with_slots() -> None:
    check(pkl.contents(pickle.dumps({"s": Slots()})), {"s.left": X, "s.right": Y}, {})


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_an_array_of_the_standard_library(code: str) -> None:
    value = standard_array(code, [1, 2, 3])
    check(pkl.contents(pickle.dumps({"a": value}, 4)), {"a": np.array(value)}, {})
    listing = pkl.contents(pickle.dumps({"a": value}, 2))
    assert listing.others == {"a": "array.array object; save numpy.asarray(...) of it"}


def test_pickles_one_after_another_are_items() -> None:
    data = pickle.dumps(X) + pickle.dumps({"y": Y}, 2) + pickle.dumps(3)
    check(pkl.contents(data), {"0": X, "1/y": Y}, {"2": "int"})


def test_a_table_of_pandas_is_named() -> None:
    pandas = pytest.importorskip("pandas")
    listing = pkl.contents(pickle.dumps({"x": X, "t": pandas.DataFrame({"a": [1]})}))
    check(listing, {"x": X}, {"t": r"pandas\S+ object; save its .to_numpy\(\)"})


def test_an_array_of_python_2_in_an_old_object() -> None:
    """An instance of a class without ``object`` as base, pickled by Python 2.7."""
    x = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\nt"
    x += b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x07'\ntb"
    data = b"(imodule\nPose\n(dS'joints'\n" + x + b"sS'n'\nI3\nsb."
    check(pkl.contents(data), {"joints": np.array([7], "u1")}, {"n": "int"})


@pytest.mark.parametrize("count", [1, 2000])
def test_what_is_named_is_counted_beyond_a_limit(count: int) -> None:
    listing = pkl.contents(pickle.dumps([[X, None] for _ in range(count)]))
    assert len(listing.entries) == count
    more = listing.others.pop("...", None) if isinstance(listing.others, dict) else None
    assert more == (None if count == 1 else "1000 more values that are not arrays of numbers")
    assert len(listing.others) == min(count, 1000)


@given(
    st.dictionaries(
        st.text(max_size=3)
        | st.integers()
        | st.floats()
        | st.binary(max_size=3)
        | st.tuples(st.text(max_size=2), st.integers(0, 9))
        | st.sampled_from([None, True, "1", 1, "a/b", "[1]", "", "."]),
        st.integers(0, 9) | st.dictionaries(st.sampled_from(["b", 1, "1", "", "/"]), st.integers()),
        max_size=6,
    ),
    st.integers(0, 5),
)
def test_every_key_of_a_listing_reads_its_own_array(value: dict, protocol: int) -> None:
    def arrays(value: object) -> object:
        if isinstance(value, dict):
            return {key: arrays(item) for key, item in value.items() if key == key}
        return np.array(value, object if abs(value) > 2**62 else np.int64)

    def leaves(value: object) -> list[int]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        return [] if value.dtype == object else [int(value)]

    made = arrays(value)
    expected = leaves(made)
    try:
        got = pkl.contents(pickle.dumps(made, protocol)).read_all()
    except FileError:
        assert not expected
        return
    assert [int(array) for array in got.values()] == expected
