"""unpack: payloads in, .npy files out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tests.cli.common import failure, put
from tfdecode.cli import main

POSE = np.arange(24, dtype="float32").reshape(2, 3, 4)
SPEC = tfd.ArraySpec((2, 3, 4), "float32", "zlib")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A working directory with a payload and its spec."""
    monkeypatch.chdir(tmp_path)
    put("pose.pkl.tfd", SPEC, POSE)
    return tmp_path


def unpack(*arguments: str, status: int = 0) -> None:
    assert main(["unpack", *arguments]) == status


def test_the_spec_beside_says_how(capsys) -> None:
    unpack("pose.pkl.tfd")
    same = np.load("pose.pkl.npy", allow_pickle=False)
    assert (same.dtype, same.shape, same.tobytes()) == (POSE.dtype, POSE.shape, POSE.tobytes())
    size = Path("pose.pkl.tfd").stat().st_size
    assert capsys.readouterr() == (
        f"pose.pkl.tfd: float32 [2,3,4] by raw|zlib|seal, {size} -> 96 bytes -> pose.pkl.npy\n",
        "",
    )


def test_pack_and_unpack_give_the_same_file() -> None:
    array = np.array([-0.0, np.nan, 5e-324, np.inf])
    np.save("x.npy", array)
    assert main(["pack", "x.npy"]) == 0
    unpack("x.npy.tfd")
    assert Path("x.npy.npy").read_bytes() == Path("x.npy").read_bytes()


def test_o_and_spec(folder: Path) -> None:
    os.rename("pose.pkl.tfd.json", "spec.json")
    os.rename("pose.pkl.tfd", "body")
    unpack("body", "--spec", "spec.json", "-o", "pose.npy")
    unpack("body", "--spec", "spec.json", "-o", "out/")
    unpack("body", "body", "--spec", "spec.json", status=2)
    assert np.load("pose.npy").tolist() == np.load("out/body.npy").tolist() == POSE.tolist()


@pytest.mark.parametrize("out", ["pose.pkl.tfd", "pose.pkl.tfd.json"])
def test_an_input_is_never_overwritten(out: str, folder: Path, capsys) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    unpack("pose.pkl.tfd", "-o", out, status=2)
    assert "is also an input" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_that_holds_something_else_is_kept_unless_forced(capsys) -> None:
    unpack("pose.pkl.tfd")
    unpack("pose.pkl.tfd")  # the same again
    for other in (b"", b"not an array", b"PK\3\4"):
        Path("pose.pkl.npy").write_bytes(other)
        unpack("pose.pkl.tfd", status=1)
        assert Path("pose.pkl.npy").read_bytes() == other
    np.save("pose.pkl.npy", POSE + 1)
    capsys.readouterr()
    unpack("pose.pkl.tfd", status=1)
    assert "pose.pkl.npy: exists and holds something else; pass --force" in failure(capsys)
    unpack("pose.pkl.tfd", "--force")
    assert np.load("pose.pkl.npy").tobytes() == POSE.tobytes()


def test_a_payload_without_a_spec(capsys) -> None:
    os.remove("pose.pkl.tfd.json")
    unpack("pose.pkl.tfd", status=1)
    assert failure(capsys) == (
        "tfdecode unpack: pose.pkl.tfd: there is no pose.pkl.tfd.json next to it; pass --spec"
    )


def flipped(payload: bytes) -> bytes:
    return payload[:9] + bytes([payload[9] ^ 1]) + payload[10:]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (flipped, "does not match its seal: damaged"),
        (lambda payload: payload[:-1], "does not match its seal: damaged"),
        (lambda payload: b"", "payload has 0 bytes, needs 16 to "),
        (lambda payload: bytes(9999), "payload has 9999 bytes, needs 16 to "),
    ],
)
def test_a_damaged_payload_writes_nothing(damage, reason: str, folder: Path, capsys) -> None:
    path = Path("pose.pkl.tfd")
    path.write_bytes(damage(path.read_bytes()))
    unpack("pose.pkl.tfd", status=1)
    message = failure(capsys)
    assert message.startswith("tfdecode unpack: pose.pkl.tfd: payload ") and reason in message
    assert not list(folder.glob("*.npy"))


def test_the_payload_of_another_spec(capsys) -> None:
    Path("other.json").write_text(tfd.ArraySpec((2, 3, 4), "int32", "zlib").to_json())
    unpack("pose.pkl.tfd", "--spec", "other.json", status=1)
    assert "packed with another spec" in failure(capsys)


def test_an_edited_spec(capsys) -> None:
    spec = {**json.loads(SPEC.to_json()), "dtype": "int32"}
    Path("pose.pkl.tfd.json").write_text(json.dumps(spec))
    unpack("pose.pkl.tfd", status=1)
    assert failure(capsys) == (
        "tfdecode unpack: pose.pkl.tfd: pose.pkl.tfd.json: "
        "the spec's fingerprint does not match its fields: it was edited"
    )


@pytest.mark.parametrize("name", ["none.tfd", "pipe.tfd", "folder.tfd"])
def test_a_payload_that_cannot_be_read(name: str, folder: Path, capsys) -> None:
    os.mkfifo("pipe.tfd")
    (folder / "folder.tfd").mkdir()
    unpack(name, "--spec", "pose.pkl.tfd.json", status=1)
    reasons = {
        "none.tfd": "cannot be read: No such file or directory",
        "pipe.tfd": "is not a regular file but a pipe; save its content to a file first",
        "folder.tfd": "is a directory without payloads (.tfd)",
    }
    assert failure(capsys) == f"tfdecode unpack: {name}: {reasons[name]}"


def test_bfloat16_is_saved_as_float32_with_every_bit(capsys) -> None:
    spec = tfd.ArraySpec((4,), "bfloat16")
    bits = np.array([0x3F80, 0x8000, 0x7FA1, 0x0001], "uint16")  # 1, -0, a signalling NaN, denormal
    Path("x.tfd").write_bytes(bits.tobytes())
    Path("x.tfd.json").write_text(spec.to_json())
    unpack("x.tfd", "--json")
    [facts] = json.loads(capsys.readouterr().out)
    assert (facts["dtype"], facts["saved_dtype"]) == ("bfloat16", "float32")
    unpack("x.tfd")
    assert "bfloat16 (saved as float32, the same values)" in capsys.readouterr().out
    assert (np.load("x.npy").view("uint32") >> 16).tolist() == bits.tolist()


def test_a_bad_payload_does_not_stop_the_others(capsys) -> None:
    put("b.tfd", SPEC, POSE)
    put("c [x].tfd", SPEC, POSE)
    Path("b.tfd").write_bytes(bytes(40))
    unpack("pose.pkl.tfd", "b.tfd", "c [x].tfd", status=1)
    out, err = capsys.readouterr()
    assert err.startswith("tfdecode unpack: b.tfd: payload of 40 bytes does not match its seal")
    assert [line.split("  ")[0] for line in out.splitlines()[1:]] == ["pose.pkl.tfd", "c [x].tfd"]
    assert np.load("c [x].npy").tolist() == POSE.tolist()


def test_json_is_an_array_with_an_object_for_each_payload(capsys) -> None:
    unpack("pose.pkl.tfd", "none.tfd", "--json", status=1)
    good, bad = json.loads(capsys.readouterr().out)
    assert good == {
        "file": "pose.pkl.tfd",
        "dtype": "float32",
        "saved_dtype": "float32",
        "shape": [2, 3, 4],
        "codecs": "raw|zlib|seal",
        "payload_bytes": len(SPEC.encode(POSE)),
        "array_bytes": 96,
        "array": "pose.pkl.npy",
    }
    assert bad["file"] == "none.tfd" and "no such file" in bad["error"]
