"""Schema: the specs of a model's inputs by name, their JSON and their file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same
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


@pytest.mark.parametrize("name", ["", "1a", "a b", "a-b", "a/b", "..", "é", "a" * 129, 5, None])
def test_a_name_that_cannot_be(name: Any) -> None:
    with pytest.raises(tfd.SpecError, match="needs letters, digits and _"):
        tfd.Schema({name: POSE})


def test_two_inputs_cannot_share_a_key() -> None:
    with pytest.raises(tfd.SpecError, match="share a signature key"):
        tfd.Schema({"a": POSE, "a_bytes": POSE})


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
    with pytest.raises(tfd.FileError, match="no schema could be read"):
        tfd.Schema.load(tmp_path)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    with file.open("wb") as stream:
        stream.truncate(2**33)  # sparse: takes no room
    with pytest.raises(tfd.SpecError, match="at most"):
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


@pytest.mark.parametrize("batched", [True, False], ids=["batched", "one by one"])
def test_the_payloads_of_examples_are_decoded_in_tf_data(batched: bool) -> None:
    features = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[payload]))
        for key, payload in payloads().items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    examples = tf.data.Dataset.from_tensors(example).repeat(4)
    if batched:
        dataset = examples.batch(2).map(
            lambda x: SCHEMA.decode_tensors(tf.io.parse_example(x, SCHEMA.feature_spec()))
        )
        dataset = dataset.unbatch()
    else:
        dataset = examples.map(
            lambda x: SCHEMA.decode_tensors(tf.io.parse_single_example(x, SCHEMA.feature_spec()))
        )
    rows = list(dataset)
    assert len(rows) == 4
    for row in rows:
        for name, array in ARRAYS.items():
            assert_same(row[name], array)


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
