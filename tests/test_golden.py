"""Golden payloads: what was packed once is read for ever, and packed the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same
from tests.reloaded import Decoders, save
from tfdecode.dtypes import from_little_endian

FILE = Path(__file__).with_name("fixtures") / "golden.json"
GOLDEN = json.loads(FILE.read_text())

each = pytest.mark.parametrize("golden", GOLDEN.values(), ids=GOLDEN)


def spec_of(golden: dict[str, Any]) -> tfd.ArraySpec:
    return tfd.ArraySpec.from_dict(golden["spec"])


def array_of(golden: dict[str, Any]) -> np.ndarray:
    data = bytes.fromhex(golden["array"])
    return from_little_endian(data, golden["dtype"]).reshape(golden["shape"])


def steps_of(golden: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of the chain, or of all chains."""
    spec = golden["spec"]
    return [step for chain in spec.get("one_of", [spec]) for step in chain["codecs"]]


#: Codec -> the first payload that it has packed: all of them in one model took 30 s.
FIRST = {step["name"]: name for name in reversed(GOLDEN) for step in steps_of(GOLDEN[name])}


@pytest.fixture(scope="module")
def decoders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    specs = {codec: spec_of(GOLDEN[name]) for codec, name in FIRST.items()}
    return save(Decoders(specs, checked=()), tmp_path_factory.mktemp("golden"))


@each
def test_numpy_decodes_it(golden: dict[str, Any]) -> None:
    decoded = spec_of(golden).decode(bytes.fromhex(golden["payload"]))
    assert_same(decoded, array_of(golden))


@each
def test_the_ops_decode_it(golden: dict[str, Any]) -> None:
    decoded = spec_of(golden).decode_tensor([bytes.fromhex(golden["payload"])])
    assert_same(decoded[0], array_of(golden))


@pytest.mark.parametrize("codec", FIRST)
def test_a_reloaded_model_decodes_it(codec: str, decoders: Any) -> None:
    golden = GOLDEN[FIRST[codec]]
    payload = bytes.fromhex(golden["payload"])
    assert_same(decoders.tensor[codec](tf.constant([payload]))[0], array_of(golden))


@each
def test_encode_gives_the_same_payload(golden: dict[str, Any]) -> None:
    """Not of compressors: implementations differ, and only what they inflate to is fixed."""
    payload = spec_of(golden).encode(array_of(golden))
    if {"zlib", "zlib_bounded", "zstd", "png", "jpeg"} & {
        step["name"] for step in steps_of(golden)
    }:
        assert_same(spec_of(golden).decode(payload), array_of(golden))
    else:
        assert payload.hex() == golden["payload"]


@each
def test_the_fingerprint_is_the_same(golden: dict[str, Any]) -> None:
    spec = {key: value for key, value in golden["spec"].items() if key != "fingerprint"}
    assert tfd.ArraySpec.from_dict(spec).fingerprint == golden["spec"]["fingerprint"]


@each
def test_the_json_is_written_as_it_is_read(golden: dict[str, Any]) -> None:
    assert json.loads(spec_of(golden).to_json()) == golden["spec"]


def test_every_codec_and_version_has_a_golden_payload() -> None:
    from tfdecode.codecs.registry import CODECS

    steps = [step for golden in GOLDEN.values() for step in steps_of(golden)]
    written = {(step["name"], step.get("version", 1)) for step in steps}
    assert {(name, codec.version) for name, codec in CODECS.items()} <= written


def test_the_script_that_adds_payloads_never_changes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(FILE.parent)
    import make_golden

    monkeypatch.delitem(sys.modules, "make_golden")
    changed = {"raw int8": "a promise", **{k: v for k, v in GOLDEN.items() if k != "raw int8"}}
    del changed["zlib"]
    monkeypatch.setattr(make_golden, "FILE", tmp_path / "golden.json")
    make_golden.FILE.write_text(json.dumps(changed))
    make_golden.main()
    after = json.loads(make_golden.FILE.read_text())
    assert after["raw int8"] == "a promise"
    assert "payload" in after["zlib"]
