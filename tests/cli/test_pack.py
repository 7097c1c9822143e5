"""pack: files in, payloads and their specs out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tests.cli.common import EXACT, POSE, failure, names, pack, packed
from tfdecode.cli import main

pytestmark = pytest.mark.usefixtures("folder")


def test_payload_and_spec_are_written_next_to_the_file(folder: Path, capsys) -> None:
    before = names(folder)
    pack("pose.pkl", "--codec", "zlib")
    assert names(folder) - before == {"pose.pkl.tfd", "pose.pkl.tfd.json"}
    assert packed("pose.pkl.tfd").tobytes() == POSE.tobytes()
    size = Path("pose.pkl.tfd").stat().st_size
    out, err = capsys.readouterr()
    assert not err and out == (
        f"pose.pkl: float32 [2,3,4] by raw|zlib|seal, 96 -> {size} bytes ({96 / size:.3g}x) "
        "-> pose.pkl.tfd\n"
    )


@pytest.mark.parametrize("array", EXACT, ids=lambda array: f"{array.dtype}-{array.ndim}")
def test_every_bit_survives(array: np.ndarray) -> None:
    np.save("x.npy", array)
    pack("x.npy")
    same = packed("x.npy.tfd")
    native = array.astype(array.dtype.newbyteorder("="))
    assert (same.dtype, same.shape, same.tobytes()) == (native.dtype, array.shape, native.tobytes())


def test_key_chooses_an_array(capsys) -> None:
    pack("maps.npz", "--key", "labels")
    assert packed("maps.npz.labels.tfd").tolist() == [0, 7]
    assert capsys.readouterr().out.startswith("maps.npz#labels: float64 [2] by ")


def test_a_missing_key_lists_the_arrays(capsys) -> None:
    pack("maps.npz", status=1)
    assert failure(capsys) == (
        "tfdecode pack: maps.npz: holds 2 arrays, choose one by key: "
        "pose: float32 [2,3,4]; labels: float64 [2] "
        '(how: FILE#KEY or --key KEY, in Python load(path, "KEY"))'
    )


def test_a_key_may_follow_the_file(folder: Path, capsys) -> None:
    pack("maps.npz#labels", "depth.npy", "maps.npz#pose")
    assert packed("maps.npz.labels.tfd").tolist() == [0, 7]
    assert packed("maps.npz.pose.tfd").tobytes() == POSE.tobytes()
    np.save("odd#name.npy", POSE)
    pack("odd#name.npy")
    assert packed("odd#name.npy.tfd").shape == (2, 3, 4)
    capsys.readouterr()
    pack("maps.npz#labels", "--key", "pose", status=2)
    assert "--key: not allowed with a FILE that has a #KEY" in capsys.readouterr().err


def test_codec_seal_and_label_make_the_spec() -> None:
    pack("depth.npy", "--codec", "transpose:1,0|zlib:9", "--no-seal", "--label", "left")
    spec = tfd.ArraySpec.from_json(Path("depth.npy.tfd.json").read_text())
    assert spec == tfd.ArraySpec(
        (2, 2), "float64", "transpose:1,0|zlib:9", seal=False, label="left"
    )
    pack("depth.npy", "--codec", "raw", "--seal")
    assert tfd.ArraySpec.from_json(Path("depth.npy.tfd.json").read_text()).chain.text == "raw|seal"


def test_dtype_converts_what_stays_the_same() -> None:
    pack("maps.npz", "--key", "labels", "--dtype", "uint8")
    assert packed("maps.npz.labels.tfd").dtype == np.uint8


def test_dtype_names_the_first_value_that_would_change(folder: Path, capsys) -> None:
    before = names(folder)
    pack("depth.npy", "--dtype", "uint8", status=1)
    assert failure(capsys) == (
        "tfdecode pack: depth.npy: array is not exact in uint8: 0.5 at index [0, 0] would become 0 "
        "(1 in all, moved by at most 0.5, or 1 relative, at index [0, 0]); choose a dtype that "
        'holds these values; --casting unsafe, in Python casting="unsafe", truncates'
    )
    assert names(folder) == before


def test_an_array_outside_the_domain_of_the_chain(capsys) -> None:
    pack("depth.npy", "--codec", "astype:uint8|zlib", status=1)
    assert failure(capsys).startswith("tfdecode pack: depth.npy: array is not exact in uint8: 0.5")


def test_a_chain_that_cannot_carry_this_array(capsys) -> None:
    pack("depth.npy", "--codec", "transpose:2,1,0", status=1)
    assert failure(capsys).startswith("tfdecode pack: depth.npy: codec transpose: ")


def test_max_bytes_bounds_what_is_read(capsys) -> None:
    np.save("large.npy", np.zeros(2**10, "u1"))
    pack("large.npy", "--max-bytes", "1K")
    np.save("large.npy", np.zeros(2**10 + 1, "u1"))
    capsys.readouterr()
    pack("large.npy", "--max-bytes", "1K", status=1)
    said = "decodes to 1025 bytes, more than the limit of 1024; raise the limit (--max-bytes, in"
    assert said in failure(capsys)
    pack("large.npy", "--max-bytes", "1T", status=2)
    assert "'1T' is not a whole number of bytes, K, M or G" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none.npy", "cannot be read: No such file or directory"),
        ("empty", "is a directory without array files"),
        ("loop.npy", "cannot be read: Too many levels of symbolic links"),
        ("gone.npy", "cannot be read: No such file: it is a link to nowhere.npy"),
        ("pipe.npy", "is not a regular file but a pipe; save its content to a file first"),
        ("gs://bucket/x.npy", "is not on this machine; download it first"),
    ],
)
def test_a_file_that_cannot_be_read(name: str, reason: str, capsys) -> None:
    Path("empty").mkdir()
    Path("loop.npy").symlink_to("loop.npy")
    Path("gone.npy").symlink_to("nowhere.npy")
    os.mkfifo("pipe.npy")
    pack(name, "-o", "out.tfd", status=1)
    assert failure(capsys).startswith(f"tfdecode pack: {name}: {reason}")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--codec", "nope"], "argument --codec: unknown codec 'nope'; known: "),
        (["--codec", "zlib:level=99"], "argument --codec: codec zlib: level is 99"),
        (["--codec", "zlib|raw"], "argument --codec: chain 'zlib|raw' is out of order: filters"),
        (["--codec", "raw|raw"], "argument --codec: chain 'raw|raw' has 2 containers, needs"),
        (["--codec", 'zlib:"'], "argument --codec: chain text 'zlib:\"' has an unclosed quote"),
        (["--dtype", "float99"], "argument --dtype: dtype 'float99' is not one of bool, int8"),
        (["--codec", "raw|seal", "--no-seal"], "--no-seal: not allowed with a chain that names"),
        ([""], "'' is not a file name"),
        (["-", "-"], "standard input (-) can be read only once"),
        (["-", "--files-from", "-"], "standard input cannot be both a list and a file"),
        (["-o", "-"], "argument -o: standard output (-) needs --spec"),
        (["--max-shape", "80x100"], "argument --max-shape: '80x100' is not a shape as 80,1500"),
        (["-o", "a\0b"], "an argument has a null character"),
        (["--max-bytes", "many"], "argument --max-bytes: 'many' is not a whole number"),
        (["--prefer", "best"], "--prefer: invalid choice: 'best'"),
        (["--min-tensorflow", "new"], "--min-tensorflow: it is 'new', needs a version as '2.12'"),
        (["--prefer", "smallest", "--codec", "raw"], "--prefer: not allowed with argument --codec"),
        (["--explain", "--codec", "raw"], "--explain: not allowed with argument --codec"),
        (["--no-seal"], "--no-seal: needs argument --codec"),
        (["--casting", "same_kind"], "--casting: needs argument --dtype or --spec"),
        (["--as-is", "--casting", "unsafe"], "--casting: needs argument --dtype or --spec"),
        (["--no-seal", "--codec", "zlib|seal or raw"], "not allowed with a chain that names seal"),
        (["--spec", "s.json", "--codec", "raw"], "--codec: not allowed with argument --spec"),
        (["--spec", "s.json", "--no-seal"], "--seal: not allowed with argument --spec"),
        (["--spec", "s.json", "--label", "x"], "--label: not allowed with argument --spec"),
    ],
)
def test_bad_options_are_status_2(options: list[str], reason: str, folder: Path, capsys) -> None:
    before = names(folder)
    pack("pose.pkl", *options, status=2)
    assert reason in capsys.readouterr().err
    assert names(folder) == before


def test_missing_cells_of_a_table_are_packed_as_nan(capsys) -> None:
    Path("t.csv").write_text("x,y\n1,NA\n3,4\n")
    assert main(["pack", "t.csv"]) == 1
    assert "t.csv: line 2, column 2 is NA; " in (err := capsys.readouterr().err)
    assert "--missing nan" in err
    assert main(["pack", "t.csv", "--missing", "nan"]) == 0
    spec = tfd.ArraySpec.from_json(Path("t.csv.tfd.json").read_text())
    array = spec.decode(Path("t.csv.tfd").read_bytes())
    assert np.array_equal(array, [[1, np.nan], [3, 4]], equal_nan=True)
    assert main(["pack", "t.csv", "--missing", "nan", "--as-is"]) == 2
    Path("words.csv").write_text("x,who\n1,Ann\n3,Bob\n")
    capsys.readouterr()
    assert main(["pack", "words.csv"]) == 0
    assert capsys.readouterr().err.startswith("note: words.csv: left out who: column of text; ")
    Path("more.csv").write_text("x,who\n5,Eve\n6,Dan\n")
    assert main(["pack", "words.csv", "more.csv"]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(told) == 2 and told[1].startswith("note: 2 files: left out who: column of text; ")


def test_several_files_make_a_table(capsys) -> None:
    pack("pose.pkl", "depth.npy")
    out, err = capsys.readouterr()
    head, *rows = out.splitlines()
    assert not err and head.startswith("file ") and head.endswith("ratio  payload")
    assert [row.split()[:3] for row in rows] == [
        ["pose.pkl", "float32", "[2,3,4]"],
        ["depth.npy", "float64", "[2,2]"],
    ]
    assert [row.split()[-1] for row in rows] == ["pose.pkl.tfd", "depth.npy.tfd"]


def test_a_bad_file_does_not_stop_the_others(capsys) -> None:
    Path("bad.npy").write_bytes(b"1 2 3")
    pack("pose.pkl", "bad.npy", "depth.npy", status=1)
    out, err = capsys.readouterr()
    assert (
        err.startswith("tfdecode pack: bad.npy: is named .npy but holds plain text")
        and err.count("\n") == 1
    )
    assert [row.split()[0] for row in out.splitlines()[1:]] == ["pose.pkl", "depth.npy"]
    assert packed("depth.npy.tfd").shape == (2, 2) and not Path("bad.npy.tfd").exists()


@pytest.mark.parametrize(
    "name", ["a b.npy", "größe 図.npy", "[bold]x[red].npy", "-x.npy", "a#b.npy"]
)
def test_any_name_is_packed_and_shown_as_it_is(name: str, capsys) -> None:
    np.save(f"./{name}", np.eye(2))
    pack("--", name)
    assert capsys.readouterr().out.startswith(f"{name}: float64 [2,2] by ")
    pack("pose.pkl", f"./{name}")
    assert f"\n{name} " in capsys.readouterr().out
    assert packed(f"./{name}.tfd").tolist() == [[1, 0], [0, 1]]


def test_control_characters_of_a_name_never_reach_the_terminal(capsys) -> None:
    name = "\x1b[31m\n.npy"
    np.save(name, np.eye(2))
    pack(name)
    pack(name, "pose.pkl", f"{name}.none", status=1)
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err and err.count("\n") == 1
    assert out.count(r"\x1b[31m\n.npy.tfd") == 2


def test_json_is_an_array_with_an_object_for_each_file(capsys) -> None:
    pack("maps.npz", "none.npz", "--key", "pose", "--codec=zlib", "--json", status=1)
    out, err = capsys.readouterr()
    good, bad = json.loads(out)
    spec = tfd.ArraySpec((2, 3, 4), "float32", "zlib")
    assert good == {
        "file": "maps.npz",
        "key": "pose",
        "dtype": "float32",
        "shape": [2, 3, 4],
        "codecs": "raw|zlib|seal",
        "array_bytes": 96,
        "payload_bytes": len(spec.encode(POSE)),
        "payload": "maps.npz.pose.tfd",
        "spec": "maps.npz.pose.tfd.json",
        "fingerprint": spec.fingerprint,
    }
    reason = "none.npz: cannot be read: No such file or directory"
    assert bad == {"file": "none.npz", "error": reason}
    assert err == f"tfdecode pack: {reason}\n"


def test_options_may_stand_between_files(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("a.npy", np.zeros(3))
    np.save("b.npy", np.zeros(3))
    assert main(["pack", "a.npy", "--codec", "zlib", "b.npy"]) == 0
    assert Path("a.npy.tfd").exists() and Path("b.npy.tfd").exists()
