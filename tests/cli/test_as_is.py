"""pack --as-is: the file itself is the payload."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tests.cli.common import POSE, failure, names, pack, packed
from tfdecode.cli import main

pytestmark = pytest.mark.usefixtures("folder")


def test_the_file_itself_is_the_payload(capsys) -> None:
    data = Path("pose.pkl").read_bytes()
    pack("pose.pkl", "--as-is", "--label", "left")
    assert Path("pose.pkl.tfd").read_bytes() == data
    assert packed("pose.pkl.tfd").tobytes() == POSE.tobytes()
    spec = tfd.ArraySpec.from_json(Path("pose.pkl.tfd.json").read_text())
    assert spec == tfd.ArraySpec((2, 3, 4), "float32", "pkl", label="left")
    out, err = capsys.readouterr()
    size = f"{len(data):,}"
    assert out.startswith(f"pose.pkl: float32 [2,3,4] by pkl, 96 -> {size} bytes ")
    assert err == (
        f"note: pose.pkl: the payload is the whole file ({size} bytes, which is only this array). "
        "The spec accepts any pkl file with an array of this dtype and shape.\n"
    )


def test_a_file_of_no_known_writer_becomes_part_of_the_spec(capsys) -> None:
    data = pickle.dumps({"id": 3, "pose": POSE, "mask": POSE > 2})
    Path("more.pkl").write_bytes(data)
    pack("more.pkl", "--as-is", status=1)
    assert "holds 2 arrays, choose one by key" in failure(capsys)
    pack("more.pkl#pose", "--as-is", "--json")
    assert Path("more.pkl.pose.tfd").read_bytes() == data
    assert packed("more.pkl.pose.tfd").tobytes() == POSE.tobytes()
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["codecs"].startswith('pkl:pose,head="gASV')
    size, around = f"{len(data):,}", len(data) - POSE.nbytes
    assert err.startswith(
        f"note: more.pkl: the payload is the whole file ({size} bytes, everything in it). The spec "
        f"now contains the {around} bytes around the array: it accepts files that differ only in "
    )
    assert main(["unpack", "more.pkl.pose.tfd", "-o", "same.npy"]) == 0
    assert np.load("same.npy").tobytes() == POSE.tobytes()


def test_a_file_that_no_graph_reads_is_a_reason(folder: Path, capsys) -> None:
    Path("text.pkl").write_bytes(pickle.dumps(POSE, 2))
    before = names(folder)
    pack("text.pkl", "--as-is", status=1)
    said = failure(capsys)
    assert "stores numbers as text; save it with pickle.dump(array" in said
    assert "; or pack its array: tfdecode pack FILE, in Python" in said
    assert names(folder) == before


def test_the_file_itself_by_a_spec(capsys) -> None:
    Path("spec.json").write_text(tfd.ArraySpec((2, 3, 4), "float32", "pkl or zlib").to_json())
    Path("two.pkl").write_bytes(pickle.dumps({1: POSE}))
    Path("wide.pkl").write_bytes(pickle.dumps(POSE.astype("f8")))
    pack("pose.pkl", "--as-is", "--spec", "spec.json")
    assert Path("pose.pkl.tfd").read_bytes() == Path("pose.pkl").read_bytes()
    capsys.readouterr()
    for file, why in (
        (
            "maps.npz#pose",
            "maps.npz: the spec cannot read this file as it is; try without --as-is: payload has "
            f"{Path('maps.npz').stat().st_size} bytes that match none of the chains pkl or raw|",
        ),
        ("wide.pkl", "needs 219 to 255: it holds float64 [2, 3, 4] (packed by pkl)"),
        ("two.pkl", "by a known writer; pack its array: tfdecode pack FILE --spec SPEC, in P"),
        ("pose.pkl#pose", "holds no array named pose"),
    ):
        pack(file, "--as-is", "--spec", "spec.json", status=1)
        assert why in failure(capsys)
    pack("pose.pkl", "--as-is", "--spec", "spec.json", "--max-bytes", "90", status=1)
    assert "pose.pkl: the array decodes to 96 bytes, more than the limit of 90" in failure(capsys)


def test_a_file_that_does_not_tell_its_chain_is_named(capsys) -> None:
    Path("spec.json").write_text(tfd.ArraySpec((2, 2), "float32", "npy or csv").to_json())
    Path("x.csv").write_text("1,2\n3,4\n")
    pack("x.csv", "--as-is", "--spec", "spec.json", status=1)
    said = failure(capsys)
    assert said.endswith("match none of the chains npy or csv; files of csv are not recognised")


@pytest.mark.parametrize(
    "option",
    [
        *("--explain", "--portable", "--no-seal", "--seal", "--codec=raw", "--dtype=uint8"),
        *("--prefer=fastest", "--min-tensorflow=2.20", "--tfrecord=x.tfrecord"),
    ],
)
def test_the_file_itself_leaves_nothing_to_choose(option: str, capsys) -> None:
    pack("pose.pkl", "--as-is", option, status=2)
    name = option.partition("=")[0].replace("no-", "")
    assert f"argument {name}: not allowed with argument --as-is" in capsys.readouterr().err
    pack("--help")
    told = "".join(capsys.readouterr().out.split())  # it may be wrapped inside of an option
    assert name in told.partition("cannotbecombinedwith")[2].partition("--seal,--no-seal")[0]


def test_what_else_is_in_the_file_is_sent_too(capsys) -> None:
    pack("maps.npz#labels", "--as-is")
    size = Path("maps.npz").stat().st_size
    said = f"the whole file ({size:,} bytes, everything in it). The spec accepts any npz file with"
    assert said in capsys.readouterr().err
