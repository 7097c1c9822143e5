"""pack -o: where payloads go, and never over an input."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tests.cli.common import POSE, failure, names, pack, packed
from tfdecode.cli import main, write

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize(
    ("out", "payload"),
    [
        ("x.bin", "x.bin"),
        ("there", "there/pose.pkl.tfd"),
        ("new/", "new/pose.pkl.tfd"),
        ("new/deep/", "new/deep/pose.pkl.tfd"),
    ],
)
def test_o_for_one_file(out: str, payload: str, folder: Path) -> None:
    (folder / "there").mkdir()
    before = names(folder)
    pack("pose.pkl", "-o", out)
    assert names(folder) - before == {payload, f"{payload}.json"}


def test_o_for_several_files_is_a_directory(folder: Path, capsys) -> None:
    before = names(folder)
    pack("pose.pkl", "depth.npy", "-o", "out")
    written = {f"out/{n}.tfd{s}" for n in ("pose.pkl", "depth.npy") for s in ("", ".json")}
    assert names(folder) - before == written
    pack("pose.pkl", "depth.npy", "-o", "maps.npz", status=2)
    assert "argument -o: maps.npz is a file, not a directory" in capsys.readouterr().err


def test_an_earlier_output_is_replaced() -> None:
    Path("pose.pkl.tfd").write_bytes(b"old")
    pack("pose.pkl")
    assert packed("pose.pkl.tfd").tobytes() == POSE.tobytes()


@pytest.mark.parametrize(
    "out", ["pose.pkl", "./pose.pkl", "link.pkl", "depth.npy", "spec", "spec.json"]
)
def test_an_input_is_never_overwritten(out: str, folder: Path, capsys) -> None:
    (folder / "link.pkl").symlink_to("pose.pkl")
    (folder / "spec.json").write_text(tfd.ArraySpec((2, 3, 4), "float32").to_json())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    if out == "depth.npy":  # the spec of a payload called depth.npy.tfd is an input
        Path("depth.npy.tfd.json").write_bytes(Path("depth.npy").read_bytes())
        before[folder / "depth.npy.tfd.json"] = Path("depth.npy").read_bytes()
        pack("depth.npy", "depth.npy.tfd.json", status=2)
    else:
        pack("pose.pkl", "--spec", "spec.json", "-o", out, status=2)
    assert "is also an input" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_two_inputs_never_share_an_output(folder: Path, capsys) -> None:
    (folder / "sub").mkdir()
    np.save("sub/depth.npy", np.eye(2))
    pack("depth.npy", "sub/depth.npy", "-o", "out", status=2)
    assert "two inputs would both be written to out/depth.npy.tfd" in capsys.readouterr().err
    pack("depth.npy", "depth.npy", status=2)


def test_a_device_is_not_replaced(capsys) -> None:
    pack("pose.pkl", "-o", os.devnull, status=2)
    assert "it is not a regular file" in capsys.readouterr().err
    assert not Path(os.devnull).is_file()


def test_a_failed_write_leaves_nothing(folder: Path, monkeypatch, capsys) -> None:
    Path("pose.pkl.tfd").write_bytes(b"old")
    before = names(folder)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        opened = Path.open
        patched.setattr(
            Path,
            "open",
            lambda path, mode="r", *size: full() if mode == "xb" else opened(path, mode, *size),
        )
        pack("pose.pkl", status=1)
    assert failure(capsys) == "tfdecode pack: pose.pkl.tfd.json: No space left on device"
    with monkeypatch.context() as patched:
        patched.setattr(write.os, "replace", full)
        pack("pose.pkl", status=1)
    assert names(folder) == before and Path("pose.pkl.tfd").read_bytes() == b"old"


def test_outputs_have_the_permissions_of_any_new_file() -> None:
    Path("plain").touch()
    pack("pose.pkl")
    assert Path("pose.pkl.tfd").stat().st_mode == Path("plain").stat().st_mode


def test_a_missing_directory_is_a_reason(capsys) -> None:
    pack("pose.pkl", "-o", "no/such/x.tfd", status=1)
    assert failure(capsys) == "tfdecode pack: no/such: the directory does not exist"


def test_a_payload_is_not_named_as_an_array_file(capsys) -> None:
    Path("other.npy").write_bytes(b"precious")
    assert main(["pack", "pose.pkl", "-o", "other.npy"]) == 2
    assert "has the suffix of an array file" in capsys.readouterr().err
    assert Path("other.npy").read_bytes() == b"precious"
