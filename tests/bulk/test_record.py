"""Records and examples are the bytes that TensorFlow writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfdecode.bulk.record import example, record

tf = pytest.importorskip("tensorflow")

floats = st.floats(width=32, allow_nan=False)
int64 = st.integers(-(2**63), 2**63 - 1)
values = st.one_of(
    st.binary(max_size=300), st.text(), floats, int64, st.booleans(),
    *(st.lists(kind, min_size=1, max_size=200) for kind in (st.binary(), floats, int64)),
)  # fmt: skip


def message(features: dict[str, Any]) -> Any:
    """The same example by TensorFlow's own classes."""
    made = tf.train.Example()
    for name, value in features.items():
        feature = made.features.feature[name]
        many = value if isinstance(value, list) else [value]
        if isinstance(many[0], bytes | str):
            feature.bytes_list.value.extend(v if isinstance(v, bytes) else v.encode() for v in many)
        elif isinstance(many[0], float):
            feature.float_list.value.extend(many)
        else:
            feature.int64_list.value.extend(map(int, many))
    return made


#: Of two names of which one begins as the other, releases of protobuf put either first.
names = st.text(min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, values, min_size=1, max_size=5))
def test_examples_are_those_of_tensorflow(features: dict[str, Any]) -> None:
    assert example(features) == message(features).SerializeToString(deterministic=True)


def test_records_are_those_of_tensorflow(tmp_path: Path) -> None:
    data = [b"", b"abc", bytes(range(256)) * 300]
    with tf.io.TFRecordWriter(str(tmp_path / "reference")) as writer:
        for one in data:
            writer.write(one)
    assert b"".join(map(record, data)) == (tmp_path / "reference").read_bytes()
