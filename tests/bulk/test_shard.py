"""A shard goes elsewhere as JSON, and is the same there."""

from __future__ import annotations

import os
from typing import Any

import hypothesis.strategies as st
from hypothesis import given

import tfdecode as tfd
from tfdecode.bulk.record import example
from tfdecode.bulk.shard import Example, Part, Shard

SPEC = tfd.Schema({"array": tfd.ArraySpec((2, 3), "uint8")}).to_json()
# Names of files are any bytes but zero.
names = st.binary(min_size=1, max_size=9).map(lambda name: os.fsdecode(name.replace(b"\0", b"/")))
floats = st.floats(width=32, allow_nan=False) | st.just(float("nan"))  # JSON has one NaN
kinds: list[st.SearchStrategy[Any]] = [
    st.binary(), st.text(), st.integers(-(2**63), 2**63 - 1), floats, st.booleans()
]  # fmt: skip
values = st.one_of(kinds) | st.one_of([st.lists(kind, min_size=1, max_size=3) for kind in kinds])
parts = st.builds(Part, names, st.none() | st.text(), st.none() | st.integers(0, 2**40))
examples = st.builds(
    Example, names, st.fixed_dictionaries({"array": parts}), st.dictionaries(st.text(), values)
)


@given(st.lists(examples, max_size=3).map(tuple))
def test_a_shard_is_the_same_on_another_machine(rows: tuple[Example, ...]) -> None:
    reader = {"casting": "equiv", "max_bytes": 9, "missing": None, "shape": [2, 3]}
    shard = Shard("out/train.tfrecord", 1, 2, "id", SPEC, rows, reader)
    assert list(shard.specs) == ["array"]
    again = Shard.from_bytes(shard.to_bytes())
    assert again.to_bytes() == shard.to_bytes()
    for one, other in zip(shard.examples, again.examples, strict=True):
        assert one[:2] == other[:2]
        assert example(one.features) == example(other.features)
    assert again == Shard.from_bytes(again.to_bytes()) or "nan" in repr(rows)
    assert (again.path, again.note, again.reader) == (shard.path, shard.note, shard.reader)
