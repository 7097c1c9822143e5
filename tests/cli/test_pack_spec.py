"""pack by a spec: of a file, a schema or a model; and the chain that is chosen without one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tests.cli.common import POSE, failure, pack, packed

pytestmark = pytest.mark.usefixtures("folder")


SPEC = tfd.ArraySpec((2, 3, 4), "float32", "zlib", label="pose")


def test_spec_from_a_file() -> None:
    Path("spec.json").write_text(SPEC.to_json())
    pack("pose.pkl", "--spec", "spec.json")
    assert Path("pose.pkl.tfd").read_bytes() == SPEC.encode(POSE)
    assert tfd.ArraySpec.from_json(Path("pose.pkl.tfd.json").read_text()) == SPEC


@pytest.mark.parametrize("source", ["model", "model#pose", "model/1#pose", "schema#1.json#pose"])
def test_spec_from_a_schema_or_a_model(source: str, folder: Path) -> None:
    schema = tfd.Schema({"pose": SPEC})
    schema.save("schema#1.json")
    (folder / "model/1/assets.extra").mkdir(parents=True)
    (folder / "model/1/saved_model.pb").touch()
    schema.save("model/1/assets.extra/tfdecode.json")
    pack("pose.pkl", "--spec", source)
    assert Path("pose.pkl.tfd").read_bytes() == SPEC.encode(POSE)


def test_spec_with_a_none_dimension() -> None:
    spec = tfd.ArraySpec((None, 3, 4), "float32", "zlib", max_shape=(9, 3, 4))
    Path("spec.json").write_text(spec.to_json())
    pack("pose.pkl", "--spec", "spec.json")
    assert packed("pose.pkl.tfd").shape == (2, 3, 4)


def edited(text: str) -> str:
    return json.dumps({**json.loads(text), "label": "other"})


@pytest.mark.parametrize(
    ("source", "content", "reason"),
    [
        ("s.json", edited(SPEC.to_json()), "s.json: the spec's fingerprint does not match"),
        ("s.json", "{", "s.json: it is no JSON"),
        ("s.json", " " * 2**20 + "{}", "s.json: has 1048578 bytes, more than the limit"),
        ("s.json#pose", SPEC.to_json(), "s.json: is the spec of one array, so it has no input #po"),
        (
            "s.json",
            tfd.Schema({"a": SPEC, "b": SPEC}).to_json(),
            "s.json: has several inputs; choose one with #NAME: a, b",
        ),
        (
            "s.json#c",
            tfd.Schema({"a": SPEC, "b": SPEC}).to_json(),
            "s.json: has no input c; choose one with #NAME: a, b",
        ),
        ("t.json", "", "t.json: cannot be read: No such file or directory"),
        ("", "", "'' is not a spec; pass SPEC.json or MODEL_DIR#INPUT"),
        (".", "", ".: holds neither a SavedModel nor versions of one"),
    ],
)
def test_a_spec_that_cannot_be_used(source: str, content: str, reason: str, capsys) -> None:
    Path("s.json").write_text(content)
    pack("pose.pkl", "--spec", source, status=1)
    assert failure(capsys).startswith(f"tfdecode pack: {reason}")


def test_an_array_that_is_not_what_the_spec_says(capsys) -> None:
    Path("s.json").write_text(tfd.ArraySpec((2,), "uint8").to_json())
    pack("maps.npz", "--key", "labels", "--spec", "s.json")
    assert Path("maps.npz.labels.tfd").read_bytes() == b"\0\7"
    capsys.readouterr()
    pack("maps.npz", "--key", "labels", "--spec", "s.json", "--dtype", "float32", status=1)
    assert "array is float32, spec needs uint8" in failure(capsys)


def test_a_shape_that_does_not_fit_is_told_before_a_dtype(capsys) -> None:
    Path("spec.json").write_text(tfd.ArraySpec((2, 2), "uint8", "zlib").to_json())
    pack("pose.pkl", "--spec", "spec.json", status=1)
    said = failure(capsys)
    assert "array has shape [2, 3, 4], spec needs uint8 [2, 2]" in said and "--dtype" not in said


def test_casting_rounds_what_is_not_exact(capsys) -> None:
    np.save("tenths.npy", np.array([0.1, 0.5]))
    Path("s.json").write_text(tfd.ArraySpec((2,), "float32").to_json())
    for option in (["--spec", "s.json"], ["--dtype", "float32"]):
        pack("tenths.npy", *option, status=1)
        said = failure(capsys)
        assert "0.1 at index [0] would become 0.100000001 (1 in all, moved by" in said
        assert "to round, pass --casting same_kind" in said
        pack("tenths.npy", *option, "--casting", "same_kind")
        capsys.readouterr()
        assert packed("tenths.npy.tfd").tolist() == [np.float32(0.1), 0.5]


def test_a_file_without_a_header(capsys) -> None:
    cloud = np.arange(12, dtype="<f4").reshape(3, 4)
    Path("clouds").mkdir()
    cloud.tofile("clouds/0.bin")
    pack("clouds/0.bin", status=1)
    assert "pass its dtype and shape: --dtype float32 --shape -1,4" in failure(capsys)
    pack("clouds", "--dtype", "float32", "--shape", "-1,4", "-o", "packed/")
    assert (packed("packed/0.bin.tfd") == cloud).all()
    Path("s.json").write_text(tfd.ArraySpec((None, 4), "float32", max_shape=(9, 4)).to_json())
    pack("clouds/0.bin", "--spec", "s.json", "-o", "0.tfd")
    assert Path("0.tfd").read_bytes() == cloud.tobytes()
    capsys.readouterr()
    pack("clouds/0.bin", "--dtype", "float32", "--shape", "-1,5", status=1)
    assert failure(capsys).endswith("0.bin: has 48 bytes, float32 [-1,5] needs a multiple of 20")


def test_without_a_chain_the_best_one_is_chosen_with_a_fallback(folder: Path) -> None:
    np.save("labels.npy", np.kron(np.eye(8), np.ones((16, 16))))
    pack("labels.npy")
    spec = tfd.ArraySpec.from_json(Path("labels.npy.tfd.json").read_bytes())
    assert len(spec.alternatives) == 2 and spec.domain == ""
    assert packed("labels.npy.tfd").tobytes() == np.load("labels.npy").tobytes()
    assert Path("labels.npy.tfd").stat().st_size < 131072 / 100


def test_preferences_and_their_explanation(folder: Path, capsys) -> None:
    np.save("labels.npy", np.kron(np.eye(8), np.ones((16, 16))))
    pack("labels.npy", "--prefer", "smallest", "--min-tensorflow=2.20", "--explain")
    out, _ = capsys.readouterr()
    said = "labels.npy: chains tried, best first: by the time to encode, send at 0.001 MB/s and"
    assert said in out and "smaller and faster than zlib" not in out
    assert "zstd:19" in out and "every array" in out and "integers 0..255" in out
    pack("labels.npy", "--portable", "--explain", "--json")
    tried = json.loads(capsys.readouterr()[0])[0]["tried"]
    assert {"codecs", "payload_bytes", "encode_ms", "decode_ms", "domain"} <= set(tried[0])
    assert not any("zstd" in one["codecs"] for one in tried)


def test_role_output_chooses_what_a_graph_encodes(folder: Path) -> None:
    np.save("mask.npy", np.kron(np.eye(8), np.ones((32, 32))) > 0)
    pack("mask.npy", "--role", "output", "--prefer", "smallest")
    spec = tfd.ArraySpec.from_json(Path("mask.npy.tfd.json").read_text())
    assert all(codec.encodes_in_graph() for chain in spec.chains for codec in chain.codecs)
