"""one_of: each payload finds its chain, and a batch may mix them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

import tfdecode as tfd
from tests.common import assert_same
from tests.reloaded import Decoders, save

LABELS = np.arange(600, dtype="f4").reshape(20, 30) % 3
HALVES = LABELS / 2
NOISE = np.frombuffer(np.random.default_rng(0).bytes(2400), "f4").reshape(20, 30)
ARRAYS = {"labels": LABELS, "halves": HALVES, "noise": NOISE}
SPEC = tfd.ArraySpec(
    (20, 30), "float32", tfd.one_of("astype:uint8|transpose:1,0|png|seal", "zlib", "raw")
)
OLD = tfd.ArraySpec((20, 30), "float32", "zlib")


def chosen(spec: tfd.ArraySpec, payload: bytes) -> int | None:
    place: int | None = spec.chain.chain_of(payload)[0]
    return place


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    ragged = tfd.ArraySpec((None, 3), "int32", "astype:uint8|zlib or raw", max_shape=(99, 3))
    return save(Decoders({"x": SPEC, "ragged": ragged}), tmp_path_factory.mktemp("one_of"))


def test_the_text_the_list_and_the_json_make_the_same_spec() -> None:
    text = "astype:uint8|transpose:1,0|png|seal or zlib or raw"
    assert tfd.ArraySpec((20, 30), "float32", text) == SPEC
    assert tfd.ArraySpec.from_json(SPEC.to_json()) == SPEC
    assert SPEC.alternatives[1] == OLD


def test_encode_takes_the_smallest_payload_whose_domain_fits() -> None:
    sizes = {name: len(SPEC.encode(array)) for name, array in ARRAYS.items()}
    assert sizes["noise"] == NOISE.nbytes
    assert sizes["halves"] == len(OLD.encode(HALVES))
    assert sizes["labels"] < NOISE.nbytes / 4


@pytest.mark.parametrize("place", range(3))
def test_a_payload_of_each_chain_is_read_with_its_tag_and_without(place: int) -> None:
    payload = SPEC.alternatives[place].encode(LABELS)
    for sent in (payload, bytes([0xA0 + place]) + payload):
        assert_same(SPEC.decode(sent), LABELS)
        assert_same(SPEC.decode_tensor(sent), LABELS)


def test_a_payload_that_would_be_taken_for_that_of_another_chain_gets_a_tag() -> None:
    spec = tfd.ArraySpec((20, 30), "float32", "zlib or astype:uint8|zlib")
    assert spec.encode(LABELS)[0] == 0xA1
    lengths = tfd.ArraySpec((600,), "uint8", "raw or zlib")
    random = np.random.default_rng(1)
    noise = [random.integers(0, 256, 600, np.uint8) for _ in range(20)]
    assert all(lengths.encode(array) == array.tobytes() for array in noise)


def test_a_payload_as_long_as_all_of_another_chain_is_not_sent() -> None:
    """By any other rule it would be read as that chain's."""
    packed = tfd.ArraySpec((100,), "uint8", "zlib", seal=False)
    spec = tfd.ArraySpec((100,), "uint8", "zlib or raw", seal=False)
    noise = np.random.default_rng(1).integers(0, 256, 100).astype("u1")
    lengths = set()
    for count in range(101):
        for step in range(1, 5):
            array = np.where(np.arange(100) < count, noise // step, 0).astype("u1")
            lengths.add(len(packed.encode(array)))
            assert_same(spec.decode(spec.encode(array)), array)
    assert {99, 100} <= lengths  # with the tag, or without, as long as a raw row


@pytest.mark.parametrize(
    ("codecs", "shape"),
    [
        ("zlib or raw", (None,)),
        ("zlib or raw", (300,)),
        ("zlib_bounded or raw", (None,)),
        ("zlib_bounded or raw", (300,)),
        ("sparse or raw", (300,)),
    ],
)
def test_a_payload_that_begins_like_a_tag_is_itself(codecs: str, shape: tuple[int | None]) -> None:
    spec = tfd.ArraySpec(shape, "uint8", codecs, max_shape=(300,))
    for first in range(0x9E, 0xC2):
        for count in (300,) if shape == (300,) else (1, 2, 3, first, 300):
            array = np.zeros(count, np.uint8)
            array[0] = first
            array[first % count] = 7
            payload = spec.encode(array)
            assert_same(spec.decode(payload), array)
            assert_same(spec.decode_tensor([payload])[0], array)


def test_a_sealed_stream_that_is_as_long_as_a_raw_array_is_told_by_its_seal() -> None:
    """As an old client sends it, who knows of no other chain."""
    old = tfd.ArraySpec((40,), "uint8", "zlib")
    new = tfd.ArraySpec((40,), "uint8", "zlib or raw")
    random, met = np.random.default_rng(2), 0
    for _ in range(3000):
        array = random.integers(0, 5, 40).astype("u1")
        payload = old.encode(array)
        if len(payload) != 40:
            continue
        met += 1
        assert_same(new.decode(payload), array)
        assert_same(tf.function(new.decode_tensor)(tf.constant([payload]))[0], array)
        if met == 3:
            break
    assert met


def test_outside_of_every_domain_each_chain_says_why() -> None:
    spec = tfd.ArraySpec((3,), "float32", "astype:uint8 or astype:int8")
    with pytest.raises(tfd.EncodeError, match=r"no chain can encode .*uint8: .*0\.5.*int8: .*0\.5"):
        spec.encode(np.full(3, 0.5, "f4"))


@given(st.lists(st.sampled_from(sorted(ARRAYS)), max_size=6))
def test_a_batch_may_mix_the_chains(model: Any, names: list[str]) -> None:
    payloads = [SPEC.encode(ARRAYS[name]) for name in names]
    decoded = model.tensor["x"](tf.constant(payloads, tf.string))
    assert decoded.shape == (len(names), 20, 30)
    for row, name in zip(decoded, names, strict=True):
        assert_same(row, ARRAYS[name])


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=6))
def test_rows_that_differ_in_length_may_mix_them(model: Any, rows: list[tuple[int, bool]]) -> None:
    spec = tfd.ArraySpec((None, 3), "int32", "astype:uint8|zlib or raw", max_shape=(99, 3))
    arrays = [np.arange(3 * n, dtype="i4").reshape(n, 3) - wide for n, wide in rows]
    payloads = tf.constant([spec.encode(array) for array in arrays], tf.string)
    decoded, status = model.checked["ragged"](payloads)
    assert not status.numpy().any()
    for row, array in zip(decoded.numpy(), arrays, strict=True):
        assert_same(row[: len(array)], array)
        assert not row[len(array) :].any()
    if arrays:
        for row, array in zip(spec.decode_ragged(payloads), arrays, strict=True):
            assert_same(row.to_tensor(shape=array.shape) if row.shape.rank != 2 else row, array)


BAD = {
    "nothing": (b"", r"row 1 has 0 bytes that match none of the chains .*png\|seal or raw\|zlib"),
    "text": (b"GIF89a", "row 1 has 6 bytes that match none of the chains"),
    "a tag alone": (b"\xa0", r"row 1 has 0 bytes, needs .*packed by astype:uint8"),
    "a tag of no chain": (b"\xa3" + OLD.encode(HALVES), "that match none of the chains"),
    "the tag of another chain": (
        b"\xa0" + OLD.encode(HALVES),
        r"row 1 has .*packed by astype:uint8",
    ),
    "another label": (
        tfd.ArraySpec((20, 30), "float32", "zlib", label="left").encode(HALVES),
        r"do not match their seal: .*\(packed by raw\|zlib\|seal\)",
    ),
    "a short raw row": (NOISE.tobytes()[:-1], "none of the chains|packed by"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("good", [["noise", "labels"], ["halves", "halves"]], ids="-".join)
def test_a_bad_row_is_named_and_its_neighbours_are_right(
    model: Any, kind: str, good: list[str]
) -> None:
    payload, message = BAD[kind]
    first, last = (ARRAYS[name] for name in good)
    rows = tf.constant([SPEC.encode(first), payload, SPEC.encode(last)])
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        model.tensor["x"](rows)
    decoded, status = model.checked["x"](rows)
    assert (status.numpy() > 0).tolist() == [False, True, False]
    assert_same(decoded[0], first)
    assert_same(decoded[1], np.zeros_like(first))
    assert_same(decoded[2], last)
    with pytest.raises(tfd.DecodeError):
        SPEC.decode(payload)


def test_of_several_bad_rows_the_first_is_named(model: Any) -> None:
    """Whatever the order of their chains."""
    late = OLD.encode(HALVES)[:-1] + b"!"
    early = SPEC.alternatives[0].encode(LABELS)[:-1] + b"!"
    for rows in ([late, early], [early, late]):
        payloads = [SPEC.encode(NOISE), *rows]
        with pytest.raises(tf.errors.InvalidArgumentError, match="row 1 has"):
            model.tensor["x"](tf.constant(payloads))


@pytest.mark.parametrize("old", ["raw", "zlib", "raw|seal", "astype:float64|png"])
def test_a_model_that_learns_a_chain_takes_old_and_new_clients_in_one_batch(old: str) -> None:
    """The old client knows the old spec alone; the new one has the new model's."""
    before = tfd.ArraySpec((20, 30), "float32", old)
    after = tfd.ArraySpec((20, 30), "float32", tfd.one_of(old, "astype:uint8|zlib_bounded"))
    client = tfd.ArraySpec.from_json(after.to_json())
    payloads = [before.encode(NOISE), client.encode(LABELS), before.encode(LABELS)]
    assert chosen(after, payloads[1]) == 1
    decoded = tf.function(after.decode_tensor)(tf.constant(payloads))
    for row, array in zip(decoded, [NOISE, LABELS, LABELS], strict=True):
        assert_same(row, array)


@pytest.mark.parametrize(
    ("codecs", "message"),
    [
        (tfd.one_of("raw"), "1 chains, needs 2 to 32"),
        (tfd.one_of(), "no chains, needs 2 to 32"),
        (tfd.one_of(*(["raw"] * 33)), "33 chains, needs 2 to 32"),
        ("raw or raw", "the chain 'raw' twice"),
        ("raw or ", "an 'or' with no chain"),
        ("raw or transpose:1,0,2", "needs a permutation"),
        (
            "pkl or raw or pkl:x",
            r"'pkl:x' can never be selected: .* bytes as those of 'pkl';",
        ),
        ("npz:a or npz:b", "remove one of them, or use two inputs"),
        ("npy or astype:uint8|npy", r"'astype:uint8\|npy' can never be selected"),
    ],
)
def test_what_cannot_be_is_a_spec_error(codecs: Any, message: str) -> None:
    with pytest.raises(tfd.SpecError, match=message):
        tfd.ArraySpec((20, 30), "float32", codecs)


@pytest.mark.parametrize(
    ("codecs", "unreached"),
    [
        ("npy or pkl or npz:a or mat:S or safetensors:x or raw", []),
        ("npy or npy|seal or npy|zlib", []),
        ("png|seal or astype:uint8|png|seal", []),
        ("npy or csv or raw", ["csv"]),
        ("npy|seal or npy", ["npy"]),
    ],
)
def test_a_file_as_it_is_tells_its_chain_or_none_does(codecs: str, unreached: list[str]) -> None:
    spec = tfd.ArraySpec((20, 30), "float32", codecs)
    assert [chain.text for chain in spec.chain.unreached] == unreached
    for index, one in enumerate(spec.alternatives):
        if one.chain.native:
            sent = one.encode(LABELS)
            assert (chosen(spec, sent) == index) == (one.chain.text not in unreached)
            assert_same(spec.decode(bytes([0xA0 + index]) + sent), LABELS)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"codecs": [{"name": "raw"}]}, "either 'codecs' or 'one_of'"),
        ({"one_of": {}}, "needs a list of objects"),
        ({"one_of": [[{"name": "raw"}]]}, "needs a list of objects"),
        ({"one_of": [{"codecs": [{"name": "raw"}], "tag": 3}]}, "unknown key 'tag'"),
        ({"one_of": [{"codecs": "raw"}]}, "needs a list of objects"),
        ({"one_of": [{"codecs": [{"name": "raw"}]}] * 40}, "40 chains, at most 32"),
        ({"fingerprint": "0" * 64}, "was edited"),
    ],
)
def test_json_that_cannot_be_is_a_spec_error(edit: dict[str, Any], message: str) -> None:
    import json

    value = {**json.loads(SPEC.to_json()), **edit}
    if "one_of" in edit:
        value.pop("fingerprint")
    with pytest.raises(tfd.SpecError, match=message):
        tfd.ArraySpec.from_dict(value)


def test_a_fingerprint_of_a_chain_that_was_edited_is_found() -> None:
    import json

    value = json.loads(SPEC.to_json())
    value["one_of"][1]["fingerprint"] = value["one_of"][0]["fingerprint"]
    with pytest.raises(tfd.SpecError, match="was edited"):
        tfd.ArraySpec.from_dict(value)


def test_a_chain_that_no_graph_encodes_is_named() -> None:
    with pytest.raises(tfd.SpecError, match="codec zlib cannot encode in a graph"):
        SPEC.encode_tensor(tf.constant(NOISE[None]))
