"""predict: a SavedModel on files."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.cli import main

tf = pytest.importorskip("tensorflow")

POSE = np.arange(6.0).reshape(2, 3)


def outputs(pose, image_bytes):
    return {
        "[red]sum": tf.reduce_sum(pose, [1, 2]),
        "file": image_bytes,
        "half": tf.cast(pose, tf.bfloat16),
        "nan": pose * float("nan"),
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The base path of a model with one version."""
    folder = tmp_path_factory.mktemp("models") / "model"
    inputs = {
        "pose": tfd.ArraySpec((2, 3), "float32", "zlib"),
        "image_bytes": tf.TensorSpec([None], tf.string),
    }
    tfd.export(outputs, folder, inputs=inputs)
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A working directory with files to predict on."""
    monkeypatch.chdir(tmp_path)
    np.save("pose.npy", POSE)
    np.savez("maps.npz", a=POSE, b=POSE + 1)
    Path("im#1 [x].png").write_bytes(b"\x89PNG")
    return tmp_path


IMAGE = "image_bytes=im#1 [x].png"


def test_outputs_make_a_table(model: Path, capsys) -> None:
    assert main(["predict", str(model), "pose=pose.npy", IMAGE]) == 0
    out, err = capsys.readouterr()
    sent, told = out.split("\n\n")
    assert sent.splitlines() == [
        "pose         pose.npy: packed by raw|zlib|seal",
        "image_bytes  im#1 [x].png: its bytes are sent",
    ]
    assert not err and [line.split() for line in told.splitlines()] == [
        ["name", "dtype", "shape", "min", "mean", "max"],
        ["[red]sum", "float32", "[1]", "15", "15", "15"],
        ["file", "string", "[1]", "-", "-", "-"],
        ["half", "bfloat16", "[1,2,3]", "0", "2.5", "5"],
        ["nan", "float32", "[1,2,3]", "nan", "nan", "nan"],
    ]


def test_a_name_given_twice_is_a_batch_of_two(model: Path, capsys) -> None:
    argv = ["predict", str(model), "pose=pose.npy", "pose=maps.npz#b", IMAGE, IMAGE, "--json"]
    assert main(argv) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == str(model / "1") and told["signature"] == "serving_default"
    assert told["saved"] is None
    total, _, _, nan = told["outputs"]
    assert total == {
        "name": "[red]sum",
        "dtype": "float32",
        "shape": [2],
        "min": 15.0,
        "mean": 18.0,
        "max": 21.0,
    }
    assert nan["min"] is nan["mean"] is nan["max"] is None


def test_a_packed_file_is_an_input(model: Path, capsys) -> None:
    assert main(["pack", "pose.npy", "--spec", str(model), "--dtype", "float32"]) == 0
    capsys.readouterr()
    assert main(["predict", str(model), "pose=pose.npy.tfd", IMAGE, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"][0]["mean"] == POSE.sum()


def test_o_saves_every_output(model: Path, folder: Path) -> None:
    assert main(["predict", str(model), "pose=pose.npy", IMAGE, "-o", "out.npz"]) == 0
    with np.load("out.npz", allow_pickle=False) as saved:
        assert set(saved) == {"[red]sum", "file", "half", "nan"}
        assert saved["[red]sum"].tolist() == [15] and saved["file"].tolist() == [b"\x89PNG"]
        assert saved["half"].dtype == np.float32 and saved["half"].tolist() == [POSE.tolist()]
    assert {path.name for path in folder.iterdir()} == {
        "out.npz", "pose.npy", "maps.npz", "im#1 [x].png"
    }  # fmt: skip


def test_a_string_that_npz_cannot_hold_is_refused(model: Path, folder: Path, capsys) -> None:
    Path("zero.png").write_bytes(b"x\0")
    argv = ["predict", str(model), "pose=pose.npy", "image_bytes=zero.png", "-o", "out.npz"]
    assert main(argv) == 1
    assert capsys.readouterr().err == (
        "tfdecode predict: output file: holds byte strings that end in a zero byte, "
        "which numpy cannot save\n"
    )
    assert not Path("out.npz").exists()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["pose=pose.npy"], "inputs are missing: image_bytes; signature serving_default takes im"),
        (["pos=pose.npy"], "no input is named 'pos'; signature serving_default takes image_bytes"),
        (["pose=none.npy", IMAGE], "none.npy: cannot be read: No such file or directory"),
        (["pose=maps.npz", IMAGE], "maps.npz: holds 2 arrays, choose one by key: a: float64 [2,3]"),
        (["pose=tenth.npy", IMAGE], "input pose: tenth.npy: array is not exact in float32: 0.1 at"),
        (["pose=bad.tfd", IMAGE], "pose_bytes: row 0 has 30 bytes that do not match their seal"),
        (["--signature", "x"], "the model has no signature 'x'; it has arrays, serving_default"),
    ],
)
def test_a_failure_is_one_line(model: Path, given: list[str], reason: str, capsys) -> None:
    np.save("tenth.npy", POSE + 0.1)
    Path("bad.tfd").write_bytes(bytes(30))
    assert main(["predict", str(model), *given]) == 1
    out, err = capsys.readouterr()
    assert not out and err.startswith(f"tfdecode predict: {reason}") and err.count("\n") == 1


def test_a_file_beyond_the_limit_is_told_how_to_raise_it(model: Path, capsys) -> None:
    argv = ["predict", str(model), "pose=pose.npy", IMAGE, "--max-bytes"]
    assert main([*argv, "47"]) == 1
    said = "pose.npy: the array decodes to 48 bytes, more than the limit of 47; raise the limit"
    assert f"{said} (--max-bytes, in Python max_bytes)" in capsys.readouterr().err
    assert main([*argv, "48"]) == 0


def test_no_model(capsys) -> None:
    assert main(["predict", "nowhere", "a=b"]) == 1
    reason = "nowhere: cannot be read: No such file or directory"
    assert capsys.readouterr().err == f"tfdecode predict: {reason}\n"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["pose"], "'pose' is not NAME=FILE"),
        (["=pose.npy"], "'=pose.npy' is not NAME=FILE"),
        (["pose=pose.npy", "-o", "pose.npy"], "pose.npy is also an input"),
        (["pose=pose.npy", "-o", "."], "argument -o: '.' is not a file name"),
        (["pose=pose.npy", "-o", "pose.keras"], "pose.keras does not end in .npz; write"),
    ],
)
def test_bad_arguments_are_status_2(model: Path, given: list[str], reason: str, capsys) -> None:
    assert main(["predict", str(model), *given]) == 2
    assert reason in capsys.readouterr().err.splitlines()[-1]


def test_tensorflow_keeps_quiet_on_stderr(model: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(tfd.__file__).parents[1])}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    command = [sys.executable, "-m", "tfdecode", "predict", str(model)]
    done = subprocess.run(
        [*command, "pose=pose.npy", IMAGE], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "") and "[red]sum" in done.stdout
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    done = subprocess.run(
        [*command, "pose=pose.npy"], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_row_that_a_model_masks_is_told(tmp_path: Path, capsys) -> None:
    spec = tfd.ArraySpec((2, 3), "float32", "raw|seal")
    inputs = {"pose": spec}
    tfd.export(
        lambda pose: {"sum": tf.reduce_sum(pose, [1, 2])},
        tmp_path / "masking",
        inputs=inputs,
        on_invalid="mask",
    )
    payload = spec.encode(POSE.astype("f4"))
    Path("good.tfd").write_bytes(payload)
    Path("bad.tfd").write_bytes(payload[:-1] + b"!")
    assert main(["predict", "masking", "pose=good.tfd"]) == 0
    assert main(["predict", "masking", "pose=bad.tfd"]) == 1
    assert "row 0 is invalid and masked: SEAL" in capsys.readouterr()[1]


def test_a_file_that_the_chain_reads_is_sent_unchanged(tmp_path: Path, capsys) -> None:
    Path("pose.pkl").write_bytes(pickle.dumps({"id": 3, "pose": POSE, "mask": POSE > 2}))
    spec = tfd.infer(Path("pose.pkl"), as_is=True, key="pose")
    tfd.export(lambda pose: {"sum": tf.reduce_sum(pose, [1, 2])}, "whole", inputs={"pose": spec})
    assert main(["predict", "whole", "pose=pose.pkl"]) == 0  # no key: it cannot be loaded
    sent, _, _, outputs = capsys.readouterr().out.splitlines()
    said = "pose  pose.pkl: sent unchanged, read by pkl:pose,head=...,tail=..."
    assert sent == said and outputs.split()[-1] == "15"
    assert main(["predict", "whole", "pose=pose.pkl", "--max-bytes", "23"]) == 1
    said = "pose.pkl: the array decodes to 48 bytes, more than the limit of 23"
    assert said in capsys.readouterr().err


def test_what_was_done_with_each_file_is_told(tmp_path: Path, capsys) -> None:
    np.save("other.npy", np.asfortranarray(POSE.astype("f4")))
    spec = tfd.ArraySpec((2, 3), "float32", "npy or zlib")
    Path("ready.tfd").write_bytes(spec.encode(POSE.astype("f4")))
    inputs = {"pose": spec, "scale": tf.TensorSpec([None, 2, 3], tf.float32)}
    tfd.export(lambda pose, scale: {"product": pose * scale}, "model", inputs=inputs)
    files = ["other.npy", "pose.npy", "maps.npz#a", "ready.tfd"]
    argv = [f"pose={file}" for file in files] + ["scale=pose.npy"] * 4
    assert main(["predict", "model", *argv, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["inputs"]
    packed = spec.chain.chosen(spec.encode(POSE.astype("f4")))[0].text
    found = [tuple(one[key] for key in ("name", "file", "key", "how", "codecs")) for one in told]
    assert found[:4] == [
        ("pose", "other.npy", None, "untouched", "npy"),
        ("pose", "pose.npy", None, "packed", packed),  # float64
        ("pose", "maps.npz", "a", "packed", packed),
        ("pose", "ready.tfd", None, "as it is", None),
    ]
    assert found[4:] == [("scale", "pose.npy", None, "array", None)] * 4
