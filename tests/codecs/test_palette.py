"""palette: what its tables do with hostile payloads, and that rows keep their own tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.attacks.fuzz import differences
from tests.common import any_bits, assert_same
from tests.reloaded import Decoders, save

RNG = np.random.default_rng(7)
TABLE = np.array([[0.0, -0.0, 0.5], [np.nan, np.inf, 1e-40]], "f4")
SPECS = {
    "own": tfd.ArraySpec((9, 8, 2), "float32", "palette:5,axis=2"),
    "own_16_bits": tfd.ArraySpec((40, 8), "float64", "palette:300"),
    "spec": tfd.ArraySpec((4, 2), "float32", [tfd.codecs.Palette(axis=1, table=TABLE), "raw"]),
    "own_none": tfd.ArraySpec((None, 3), "int16", "palette:7", max_shape=(6, 3)),
    "own_nones": tfd.ArraySpec((None, 2, None), "float32", "palette:9,axis=1", max_shape=(4, 2, 3)),
    "spec_none": tfd.ArraySpec(
        (2, None), "float32", [tfd.codecs.Palette(axis=0, table=TABLE), "raw"], max_shape=(2, 5)
    ),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return save(Decoders(SPECS), Path(tmp_path_factory.mktemp("palette")))


def arrays_of(name: str, count: int) -> list[np.ndarray]:
    """Arrays of any bits, each with values of its own if the spec has no table."""
    spec, found = SPECS[name], []
    for _ in range(count):
        bound = zip(spec.shape, spec.chain.form.max_shape, strict=True)
        shape = tuple(int(RNG.integers(0, m + 1)) if side is None else side for side, m in bound)
        values = any_bits(RNG, (5,), spec.dtype)
        if "spec" in name:
            axis = spec.chain.codecs[0].axis
            index = np.indices(shape, sparse=True)[axis]
            found.append(TABLE[index, RNG.integers(0, 3, shape)])
        else:
            found.append(values[RNG.integers(0, 5, shape)])
    return found


@pytest.mark.parametrize("name", SPECS)
def test_each_row_is_looked_up_in_its_own_table(name: str, model: Any) -> None:
    arrays = arrays_of(name, 12)
    payloads = [SPECS[name].encode(x) for x in arrays]
    together, _ = model.checked[name](tf.constant(payloads))
    for x, payload, row in zip(arrays, payloads, together.numpy(), strict=True):
        (alone,), (status,) = model.checked[name](tf.constant([payload]))
        assert status == 0
        assert_same(SPECS[name].decode(payload), x)
        for got in (alone.numpy(), row):
            assert_same(np.ascontiguousarray(got[tuple(map(slice, x.shape))]), x)


@pytest.mark.parametrize("name", SPECS)
def test_numpy_and_the_graph_take_the_same_rows(name: str, model: Any) -> None:
    spec = SPECS[name]
    good = [spec.encode(x) for x in arrays_of(name, 2)]
    rows = [bytes(len(good[0])), b"\xff" * len(good[0]), b"", good[0][:-1], good[1] + b"\0"]
    for _ in range(60):
        row = bytearray(good[RNG.integers(2)] or b"\0")
        for at in RNG.integers(0, len(row), RNG.integers(1, 4)):
            row[at] = RNG.integers(256)
        rows.append(bytes(row[: RNG.integers(len(row) + 1)] if RNG.random() < 0.3 else row))
    assert not differences(spec, model.checked[name], good, rows)


def test_an_index_beyond_the_table_of_the_spec_is_a_bad_row(model: Any) -> None:
    payload = SPECS["spec"].encode(np.tile(TABLE[:, 0], (4, 1)))
    decoded, status = model.checked["spec"](tf.constant([payload, payload[:-2] + b"\3\3"]))
    assert status.numpy().tolist() == [0, tfd.Status.VALUE]
    assert not decoded.numpy()[1].any()
    with pytest.raises(tfd.DecodeError, match="index 3 into 3 values"):
        SPECS["spec"].decode(payload[:-1] + b"\3")
    with pytest.raises(tf.errors.InvalidArgumentError, match="row 0 has 2 indices of 3 or more"):
        model.tensor["spec"](tf.constant([payload[:-2] + b"\3\4"]))


@pytest.mark.parametrize("name", ["own", "own_16_bits", "own_none", "own_nones"])
def test_an_index_beyond_the_table_of_a_payload_is_a_bad_row(name: str, model: Any) -> None:
    spec = SPECS[name]
    x = np.ones(spec.chain.form.max_shape, spec.dtype)
    payload = spec.encode(x)
    rows = [payload, payload[:-2] + b"\xff\xff", payload]
    decoded, status = model.checked[name](tf.constant(rows))
    assert status.numpy().tolist() == [0, tfd.Status.VALUE, 0]
    assert not decoded.numpy()[1].any()
    assert_same(decoded.numpy()[2], x)
    with pytest.raises(tfd.DecodeError, match=r"index \d+ into \d+ values"):
        spec.decode(rows[1])


def test_a_row_that_is_shorter_than_its_tables_is_bad(model: Any) -> None:
    good = SPECS["own_none"].encode(np.ones((2, 3), "i2"))
    _, status = model.checked["own_none"](tf.constant([good[:12], good]))
    assert status.numpy().tolist() == [tfd.Status.LENGTH, 0]
    with pytest.raises(tfd.DecodeError, match="has 4 steps along axis 0, needs its tables"):
        SPECS["own_none"].decode(good[:12])


@pytest.mark.parametrize(
    "shape, dtype, codec, said",
    [
        ((3, 4), "uint8", "palette", "takes elements of 2 to 8 bytes, not uint8"),
        ((3, 4), "complex128", "palette", "takes elements of 2 to 8 bytes, not complex128"),
        ((3, 4), "float32", "palette:axis=2", "needs an axis 2 of known size"),
        ((3,), "float32", "palette:axis=0", "needs a second axis beside axis 0"),
        ((3, 4), "float32", "palette:0", "values is 0, needs 1 to 65536"),
        ((3, 4), "float32", "palette:values=9,table=AAAAAAAA", "values is of tables in payloads"),
        ((3, 4), "float32", "palette:table=AAAA", "has 3 bytes, needs 1 tables of up to 65536"),
        ((0, 4), "float32", "palette:axis=0,table=AAAA", "has 3 bytes, needs 0 tables of up to"),
        ((3, 4), "float32", 'palette:table="A!=="', "table is not base64 with its padding"),
        ((3, 4), "float32", "palette:table=...", "take the spec as JSON"),
        ((3, 900), "float64", "palette:axis=1", "take 1843200 bytes, at most 524288"),
        ((3, 4), "float32", "palette:true", "values is True, needs 1 to 65536"),
    ],
)
def test_what_cannot_be_is_refused(shape: Any, dtype: str, codec: str, said: str) -> None:
    with pytest.raises(tfd.SpecError) as refusal:
        tfd.ArraySpec(shape, dtype, codec)
    assert said in str(refusal.value)


def test_tables_next_to_a_long_axis_are_refused_as_payloads_could_state_too_much() -> None:
    with pytest.raises(tfd.SpecError, match="could state 269221888 bytes; use fewer values"):
        tfd.ArraySpec((None, None), "float32", "palette", max_shape=(3, 2**18))


def test_texts_for_people_leave_the_table_out() -> None:
    assert "table=..." in repr(SPECS["spec"]) and len(repr(SPECS["spec"])) < 200
