"""pack: files in, payloads and their specs out."""

from __future__ import annotations

import errno
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tests.cli.common import EXACT, failure, names
from tfdecode.cli import main, write

POSE = np.arange(24, dtype="float32").reshape(2, 3, 4)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A working directory with files to pack."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pose.pkl").write_bytes(pickle.dumps(POSE))
    np.save("depth.npy", np.array([[0.5, 1.0], [2.0, 3.0]]))
    np.savez("maps.npz", pose=POSE, labels=np.array([0.0, 7.0]))
    return tmp_path


def pack(*arguments: str, status: int = 0) -> None:
    assert main(["pack", *arguments]) == status


def packed(path: str) -> np.ndarray:
    """The array of a payload, by the spec next to it."""
    spec = tfd.ArraySpec.from_json(Path(f"{path}.json").read_text())
    return spec.decode(Path(path).read_bytes())


# -- one file -------------------------------------------------------------------------------------


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
    pack("pose.pkl", "--max-bytes", "95", status=1)
    assert "decodes to 96 bytes, more than the limit of 95" in failure(capsys)


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
    ],
)
def test_bad_options_are_status_2(options: list[str], reason: str, folder: Path, capsys) -> None:
    before = names(folder)
    pack("pose.pkl", *options, status=2)
    assert reason in capsys.readouterr().err.splitlines()[-1]
    assert names(folder) == before


# -- --spec ---------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("option", [["--codec", "raw"], ["--no-seal"], ["--label", "x"]])
def test_a_spec_leaves_no_room_for_a_chain(option: list[str], capsys) -> None:
    pack("pose.pkl", "--spec", "s.json", *option, status=2)
    assert "not allowed with argument --spec" in capsys.readouterr().err


# -- -o -------------------------------------------------------------------------------------------


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
    (folder / "spec.json").write_text(SPEC.to_json())
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


# -- several files, names, JSON -------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--prefer", "best"], "--prefer: invalid choice: 'best'"),
        (["--min-tensorflow", "new"], "--min-tensorflow: it is 'new', needs a version as '2.12'"),
        (["--prefer", "smallest", "--codec", "raw"], "--prefer: not allowed with argument --codec"),
        (["--explain", "--codec", "raw"], "--explain: not allowed with argument --codec"),
        (["--no-seal"], "--no-seal: needs argument --codec"),
        (["--casting", "same_kind"], "--casting: needs argument --dtype or --spec"),
        (["--as-is", "--casting", "unsafe"], "--casting: needs argument --dtype or --spec"),
        (["--no-seal", "--codec", "zlib|seal or raw"], "not allowed with a chain that names seal"),
    ],
)
def test_options_of_a_choice_that_do_not_go_together(options: list[str], said: str, capsys) -> None:
    pack("pose.pkl", *options, status=2)
    assert said in capsys.readouterr().err


# -- the file itself ------------------------------------------------------------------------------


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


def test_a_shape_that_does_not_fit_is_told_before_a_dtype(capsys) -> None:
    Path("spec.json").write_text(tfd.ArraySpec((2, 2), "uint8", "zlib").to_json())
    pack("pose.pkl", "--spec", "spec.json", status=1)
    said = failure(capsys)
    assert "array has shape [2, 3, 4], spec needs uint8 [2, 2]" in said and "--dtype" not in said


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
    said = capsys.readouterr().err.rstrip("\n")
    assert said.endswith(f"argument {name}: not allowed with argument --as-is")
    pack("--help")
    told = "".join(capsys.readouterr().out.split())  # it may be wrapped inside of an option
    assert name in told.partition("cannotbecombinedwith")[2].partition("--seal,--no-seal")[0]


def test_what_else_is_in_the_file_is_sent_too(capsys) -> None:
    pack("maps.npz#labels", "--as-is")
    size = Path("maps.npz").stat().st_size
    said = f"the whole file ({size:,} bytes, everything in it). The spec accepts any npz file with"
    assert said in capsys.readouterr().err


# -- arguments ------------------------------------------------------------------------------------


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


def test_max_bytes_takes_suffixes(capsys) -> None:
    np.save("large.npy", np.zeros(2**10, "u1"))
    pack("large.npy", "--max-bytes", "1K")
    np.save("large.npy", np.zeros(2**10 + 1, "u1"))
    capsys.readouterr()
    pack("large.npy", "--max-bytes", "1K", status=1)
    said = "decodes to 1025 bytes, more than the limit of 1024; raise the limit (--max-bytes, in"
    assert said in failure(capsys)
    pack("large.npy", "--max-bytes", "1T", status=2)
    assert "'1T' is not a whole number of bytes, K, M or G" in capsys.readouterr().err


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


def test_a_payload_is_not_named_as_an_array_file(capsys) -> None:
    Path("other.npy").write_bytes(b"precious")
    assert main(["pack", "pose.pkl", "-o", "other.npy"]) == 2
    assert "has the suffix of an array file" in capsys.readouterr().err
    assert Path("other.npy").read_bytes() == b"precious"


def test_role_output_chooses_what_a_graph_encodes(folder: Path) -> None:
    np.save("mask.npy", np.kron(np.eye(8), np.ones((32, 32))) > 0)
    pack("mask.npy", "--role", "output", "--prefer", "smallest")
    spec = tfd.ArraySpec.from_json(Path("mask.npy.tfd.json").read_text())
    assert all(codec.encodes_in_graph() for chain in spec.chains for codec in chain.codecs)
