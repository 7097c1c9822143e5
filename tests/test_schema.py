"""Schema: the specs of a model's inputs by name, their JSON and their file."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same
from tfdecode.client import request
from tfdecode.schema import ASSET

POSE = tfd.ArraySpec((2, 3), "float32", "astype:uint8|zlib")
TOKENS = tfd.ArraySpec((None,), "int32", max_shape=(5,))
SCHEMA = tfd.Schema({"pose_map": POSE, "tokens_bytes": TOKENS})
ARRAYS = {"pose_map": np.ones((2, 3), "f4"), "tokens_bytes": np.arange(4, dtype="i4")}


def payloads() -> dict[str, bytes]:
    keys = SCHEMA.feature_keys()
    return {keys[name]: SCHEMA[name].encode(array) for name, array in ARRAYS.items()}


def test_it_is_a_mapping_of_specs() -> None:
    assert dict(SCHEMA) == {"pose_map": POSE, "tokens_bytes": TOKENS}
    assert len(SCHEMA) == 2 and "pose_map" in SCHEMA and SCHEMA["pose_map"] is POSE
    with pytest.raises(KeyError):
        SCHEMA["pose_map_bytes"]


def test_it_survives_json_and_hash() -> None:
    again = tfd.Schema.from_json(SCHEMA.to_json())
    assert again == SCHEMA and hash(again) == hash(SCHEMA)
    assert again.to_json() == SCHEMA.to_json()
    assert list(again) == list(SCHEMA)
    assert tfd.Schema.from_json(SCHEMA.to_json().encode()) == SCHEMA


def test_a_key_ends_in_bytes_once() -> None:
    keys = {"pose_map": "pose_map_bytes", "tokens_bytes": "tokens_bytes"}
    assert SCHEMA.feature_keys() == keys


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x7f", "\ud800", "a" * 129, 5, None])
def test_a_name_that_cannot_be(name: Any) -> None:
    with pytest.raises(tfd.SpecError, match="needs 1 to 128 printable characters"):
        tfd.Schema({name: POSE})


def test_two_inputs_cannot_share_a_key() -> None:
    with pytest.raises(tfd.SpecError, match="have the same signature key"):
        tfd.Schema({"a": POSE, "a_bytes": POSE})


ODD = {
    "image:0": "image_0_bytes",
    "customer id": "customer_id_bytes",
    "a/b": "a_b_bytes",
    "größe": "gr__e_bytes",
    "1st bytes": "x1st_bytes",  # tf.saved_model.save takes no key that begins with no letter
    "ö": "x__bytes",
    "日本": "x___bytes",
    "_old": "_old_bytes",  # as it always was
}


def test_a_name_is_any_text_and_its_key_is_plain() -> None:
    schema = tfd.Schema(dict.fromkeys(ODD, POSE), {"x.y": POSE})
    assert schema.feature_keys() == ODD
    value = json.loads(schema.to_json())
    odd = {name: key for name, key in ODD.items() if name != "_old"}
    assert value["keys"] == {**odd, "x.y": "x_y_bytes"}
    assert tfd.Schema.from_json(schema.to_json()) == schema
    value["keys"]["a/b"] = "other"
    with pytest.raises(tfd.SpecError, match="not the signature keys"):
        tfd.Schema.from_json(json.dumps(value))
    with pytest.raises(tfd.SpecError, match="'a/b' and 'a b' have the same signature key 'a_b_b"):
        tfd.Schema({"a/b": POSE, "a b": POSE})


SIGNATURES = {
    "encode": tfd.Schema({"x": POSE}, {"z": TOKENS}, 7),
    "decode": tfd.Schema({"z": POSE}),
}


def test_several_signatures_are_one_schema(tmp_path: Path) -> None:
    schema = tfd.Schema.of_signatures(SIGNATURES)
    assert dict(schema) == {"x": POSE} and schema.max_batch_size == 7
    assert schema.signature() is schema and schema.signature("decode") == SIGNATURES["decode"]
    again = tfd.Schema.from_json(schema.to_json())
    assert again == schema != SIGNATURES["encode"] and again.signatures == SIGNATURES
    assert list(again.signatures) == list(SIGNATURES)
    schema.save(tmp_path / "s.json")
    assert tfd.Schema.load(tmp_path / "s.json", "decode") == SIGNATURES["decode"]
    with pytest.raises(tfd.SpecError, match=r"no signature 'decod' \(did you mean 'decode'\?\)"):
        schema.signature("decod")
    default = tfd.Schema.of_signatures({**SIGNATURES, "serving_default": SCHEMA})
    assert dict(default) == dict(SCHEMA)
    # A reader of one signature finds it at its place, and one is written as it always was.
    value = json.loads(default.to_json())
    alone = {k: v for k, v in value.items() if k not in ("signature", "signatures")}
    assert alone == json.loads(SCHEMA.to_json())
    assert tfd.Schema.of_signatures({"any": SCHEMA}) == SCHEMA
    assert SCHEMA.signature("any") is SCHEMA


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signature": None}, "has signature None"),
        ({"signature": "decode"}, "has signature 'decode'"),
        ({"signatures": []}, "needs a JSON object as 'signatures'"),
        ({"signatures": {"decode": {"inputs": 1}}}, "signature 'decode': schema needs a JSON"),
        ({"signatures": {"serving_default": {}}}, "needs the name of the main one"),
        (
            {"signatures": {"a\n": {"version": 1, "inputs": {}}}},
            r"signature name 'a\\n' needs 1 to",
        ),
    ],
    ids=str,
)
def test_a_schema_of_signatures_that_cannot_be(change: Any, message: str) -> None:
    value = json.loads(tfd.Schema.of_signatures(SIGNATURES).to_json())
    with pytest.raises(tfd.SpecError, match=message):
        tfd.Schema.from_json(json.dumps({**value, **change}))


def test_the_only_signature_is_named_unless_it_is_the_default(tmp_path: Path) -> None:
    schema = tfd.Schema.of_signatures({"bytes": SCHEMA})
    assert schema.name == "bytes" and schema == SCHEMA and not schema.signatures
    text = schema.to_json()
    assert json.loads(text) == {**json.loads(SCHEMA.to_json()), "signature": "bytes"}
    for again in (tfd.Schema.from_json(text), tfd.Schema.from_json(text).signature("bytes")):
        assert again.name == "bytes" and again.to_json() == text
    assert b'"signature_name":"bytes"' in request(schema, ARRAYS)
    assert b'"signature_name":"bytes"' in request(schema, ARRAYS, by_rows=True)
    with pytest.raises(tfd.SpecError, match="that of signature 'bytes', not of 'serving_default'"):
        schema.signature("serving_default")
    default = tfd.Schema.of_signatures({"serving_default": SCHEMA})
    assert default.name is None and default.to_json() == SCHEMA.to_json()
    # What a schema says of one of several signatures is a schema of its own.
    decode = tfd.Schema.of_signatures(SIGNATURES).signature("decode")
    assert tfd.Schema.from_json(decode.to_json()).name == "decode"


def test_an_input_is_a_spec() -> None:
    with pytest.raises(tfd.SpecError, match="input a is str, needs an ArraySpec"):
        tfd.Schema({"a": "raw"})  # type: ignore[dict-item]


@pytest.mark.parametrize("where", ["file", "SavedModel", "newest version"])
def test_it_is_read_from_a_file_a_model_or_its_newest_version(tmp_path: Path, where: str) -> None:
    file = tmp_path / "schema.json"
    if where != "file":
        for version in ("9", "10", "latest"):
            directory = tmp_path / version
            (directory / ASSET).parent.mkdir(parents=True)
            (directory / "saved_model.pb").touch()
            (directory / ASSET).write_text("{}")
        file = tmp_path / "10" / ASSET
    SCHEMA.save(file)
    path = {"file": file, "SavedModel": tmp_path / "10", "newest version": tmp_path}[where]
    assert tfd.Schema.load(path) == SCHEMA


def test_a_missing_schema_is_a_file_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(tfd.FileError):
            tfd.Schema.load(path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(tfd.FileError, match="no schema, because tfdecode did not export it"):
        tfd.Schema.load(tmp_path)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    with file.open("wb") as stream:
        stream.truncate(2**33)  # sparse: takes no room
    with pytest.raises(tfd.FileError, match="more than the limit of 1048576; it is not a schema"):
        tfd.Schema.load(file)


def test_decode_tensors_gives_arrays_by_name_and_passes_the_rest_on() -> None:
    decoded = SCHEMA.decode_tensors({**payloads(), "image": tf.constant("png")})
    assert set(decoded) == {"pose_map", "tokens_bytes", "image"}
    for name, array in ARRAYS.items():
        assert_same(decoded[name], array)


def test_decode_tensors_names_what_is_missing() -> None:
    with pytest.raises(tfd.SpecError, match="no payloads for tokens_bytes; got pose_map_bytes"):
        SCHEMA.decode_tensors({"pose_map_bytes": b""})


def test_an_error_names_the_input() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="tokens_bytes: row 0 has 3 bytes"):
        SCHEMA.decode_tensors({**payloads(), "tokens_bytes": tf.constant([b"abc"])})


def examples(*rows: dict[str, bytes]) -> tf.data.Dataset:
    """Serialized tf.train.Example, one for each row."""
    serialized = []
    for row in rows:
        features = {
            key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            for key, value in row.items()
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        serialized.append(example.SerializeToString())
    return tf.data.Dataset.from_tensor_slices(serialized)


def one(example: tf.Tensor) -> dict[str, tf.Tensor]:
    return SCHEMA.decode_tensors(tf.io.parse_single_example(example, SCHEMA.feature_spec()))


def batch(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    return SCHEMA.decode_tensors(tf.io.parse_example(serialized, SCHEMA.feature_spec()))


@pytest.mark.parametrize("batched", [True, False], ids=["batched", "one by one"])
def test_the_payloads_of_examples_are_decoded_in_tf_data(batched: bool) -> None:
    dataset = examples(*[payloads()] * 4)
    dataset = dataset.batch(2).map(batch).unbatch() if batched else dataset.map(one)
    rows = list(dataset)
    assert len(rows) == 4
    for row in rows:
        for name, array in ARRAYS.items():
            assert_same(row[name], array)


def test_the_shapes_of_a_dataset_are_known() -> None:
    dataset = examples(payloads())
    single, batched = dataset.map(one).element_spec, dataset.batch(2).map(batch).element_spec
    for name, spec in SCHEMA.items():
        assert single[name] == tf.TensorSpec(spec.shape, spec.dtype)
        assert batched[name] == tf.TensorSpec((None, *spec.shape), spec.dtype)


def test_other_features_of_examples_are_passed_on() -> None:
    features = {**SCHEMA.feature_spec(), "file": tf.io.FixedLenFeature([], tf.string)}
    dataset = examples(*({**payloads(), "file": name} for name in (b"a.npy", b"b.npy")))
    dataset = dataset.batch(2).map(
        lambda rows: SCHEMA.decode_tensors(tf.io.parse_example(rows, features))
    )
    (decoded,) = dataset
    assert decoded["file"].numpy().tolist() == [b"a.npy", b"b.npy"]
    assert_same(decoded["pose_map"], np.stack([ARRAYS["pose_map"]] * 2))


@pytest.mark.parametrize(
    ("decode", "size", "row"), [(batch, 3, 1), (batch, 1, 0), (one, None, 0)], ids=str
)
def test_a_wrong_payload_in_a_dataset_names_input_and_row(decode: Any, size: Any, row: int) -> None:
    good = payloads()
    wrong = {**good, "pose_map_bytes": good["pose_map_bytes"][:-1] + b"?"}
    dataset = examples(good, wrong, good)
    dataset = (dataset if size is None else dataset.batch(size)).map(decode)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"pose_map_bytes: row {row} "):
        list(dataset)


def test_an_example_without_the_payload_names_the_feature() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="tokens_bytes"):
        list(examples({"pose_map_bytes": payloads()["pose_map_bytes"]}).batch(1).map(batch))


LENGTHS = (1, 4, 0)


def of_different_lengths() -> tf.data.Dataset:
    tokens = [TOKENS.encode(np.arange(length, dtype="i4")) for length in LENGTHS]
    return examples(*({**payloads(), "tokens_bytes": payload} for payload in tokens))


def test_rows_of_different_length_do_not_make_a_batch_and_the_error_says_what_does() -> None:
    reason = (
        "tokens_bytes: row 0 has 1 along the None dimension, another 4: "
        "decode_ragged takes rows that differ"
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        list(of_different_lengths().batch(3).map(batch))


def test_rows_of_different_length_are_ragged_by_their_spec() -> None:
    def decode(serialized: tf.Tensor) -> tf.RaggedTensor:
        parsed = tf.io.parse_example(serialized, SCHEMA.feature_spec())
        return SCHEMA["tokens_bytes"].decode_ragged(parsed["tokens_bytes"])

    (decoded,) = of_different_lengths().batch(3).map(decode)
    assert decoded.to_list() == [[0], [0, 1, 2, 3], []]


@pytest.mark.parametrize("batched", [True, False], ids=["batched", "one by one"])
def test_rows_of_any_length_come_as_they_are_served(batched: bool) -> None:
    def decode(layout: Any, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parse = tf.io.parse_example if batched else tf.io.parse_single_example
        parsed = parse(serialized, SCHEMA.feature_spec())
        return SCHEMA.decode_tensors(parsed, ragged={"tokens_bytes": layout})

    data = of_different_lengths()
    data = data.batch(3) if batched else data
    data = data.map(partial(decode, "padded"))
    (padded,) = data if batched else data.batch(3)
    assert padded["tokens_bytes"].numpy().tolist() == [
        [0, 0, 0, 0, 0],
        [0, 1, 2, 3, 0],
        [0, 0, 0, 0, 0],
    ]
    assert_same(padded["tokens_bytes_lengths"], np.int32(LENGTHS))
    if batched:
        (ragged,) = of_different_lengths().batch(3).map(partial(decode, "ragged"))
        assert ragged["tokens_bytes"].to_list() == [[0], [0, 1, 2, 3], []]


@pytest.mark.parametrize(
    ("ragged", "words"),
    [
        ({"tokens": "padded"}, "names 'tokens'; inputs with a None dimension: tokens_bytes"),
        ({"tokens_bytes": "dense"}, "needs 'ragged' or 'padded'"),
        ({"pose_map": "ragged"}, "no None dimension"),
        ({"tokens_bytes": "padded", "x": "padded"}, "ragged names 'x'"),
        ("padded", "ragged is str, needs a dict"),
    ],
)
def test_a_layout_that_an_input_does_not_have_is_refused(ragged: Any, words: str) -> None:
    rows = {key: [payload] for key, payload in payloads().items()}
    with pytest.raises(tfd.SpecError, match=words):
        SCHEMA.decode_tensors(rows, ragged=ragged)
    taken = {**rows, "tokens_bytes_lengths": [1]}
    with pytest.raises(tfd.SpecError, match="is the name of the lengths of tokens_bytes"):
        SCHEMA.decode_tensors(taken, ragged={"tokens_bytes": "padded"})


def test_rows_of_different_length_are_padded_after_decoding_one_by_one() -> None:
    (decoded,) = of_different_lengths().map(one).padded_batch(3)
    assert decoded["tokens_bytes"].numpy().tolist() == [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 0, 0]]
    assert_same(decoded["pose_map"], np.stack([ARRAYS["pose_map"]] * 3))


def test_the_json_is_for_other_languages_too() -> None:
    document = json.loads(SCHEMA.to_json())
    assert document["version"] == 1
    assert document["inputs"]["tokens_bytes"] == {
        "version": 1,
        "shape": [None],
        "dtype": "int32",
        "codecs": [{"name": "raw"}],
        "max_shape": [5],
        "fingerprint": TOKENS.fingerprint,
    }


def test_outputs_and_the_largest_batch() -> None:
    schema = tfd.Schema({"a": POSE}, {"mask": POSE}, max_batch_size=64)
    loaded = tfd.Schema.from_json(schema.to_json())
    assert loaded == schema and (loaded.outputs, loaded.max_batch_size) == ({"mask": POSE}, 64)
    assert eval(repr(schema), {"Schema": tfd.Schema, "ArraySpec": tfd.ArraySpec}) == schema
    for other in (tfd.Schema({"a": POSE}), tfd.Schema({"a": POSE}, {"mask": POSE})):
        assert other != schema and "max_batch_size" not in other.to_json()
    for wrong in ({"outputs": []}, {"outputs": {"m": {}}}, {"max_batch_size": 0}, {"more": 1}):
        with pytest.raises(tfd.SpecError):
            tfd.Schema.from_json(json.dumps({**json.loads(schema.to_json()), **wrong}))


def test_a_schema_of_several_knows_its_signature() -> None:
    x = tfd.ArraySpec((2,), "uint8")
    both = tfd.Schema.of_signatures({"a": tfd.Schema({"x": x}), "b": tfd.Schema({"x": x})})
    assert both.name is None and tfd.Schema({"x": x}).name is None
    for schema in (both, tfd.Schema.from_json(both.to_json())):
        alone = schema.signature("b")
        assert alone.name == "b" and alone == tfd.Schema({"x": x})
        inputs = {"x": np.zeros(2, "uint8")}
        assert b'"signature_name":"b"' in request(alone, inputs)
        with pytest.raises(tfd.SpecError, match="schema is that of signature 'b', not of 'a'"):
            request(alone, inputs, signature="a")
