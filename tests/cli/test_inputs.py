"""Several inputs of pack and unpack: one spec for them, directories, lists, standard input."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tests.cli.common import failure, names
from tfdecode.cli import batch, main, show, write

MASK = np.kron(np.eye(4), np.ones((8, 8)))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two masks, a spectrogram of each of two lengths, and other files."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.npy", "b/b.npy", "b/c/c.npy"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        np.save(name, MASK)
    np.save("b/half.npy", MASK + 0.5)
    np.save("short.npy", np.ones((3, 5), "float32"))
    np.save("long.npy", np.ones((3, 9), "float32"))
    Path("b/notes.md").write_text("text")
    Path("b/c/x.gif").write_bytes(b"x")
    return tmp_path


def run(*arguments: str, status: int = 0) -> None:
    assert main([*arguments]) == status


def spec_of(payload: str) -> tfd.ArraySpec:
    return tfd.ArraySpec.from_json(Path(f"{payload}.json").read_text())


def arrays_of(*payloads: str) -> list[np.ndarray]:
    return [spec_of(name).decode(Path(name).read_bytes()) for name in payloads]


# -- one spec -------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [[], ["--one-spec"]])
def test_files_of_one_form_share_a_spec_that_takes_them_all(option: list[str]) -> None:
    """The first two fit uint8, and the last does not: the spec has a chain for it."""
    run("pack", "a.npy", "b/b.npy", "b/half.npy", *option, "-o", "out")
    payloads = ["out/a.npy.tfd", "out/b.npy.tfd", "out/half.npy.tfd"]
    assert len({spec_of(payload) for payload in payloads}) == 1
    assert [x.tobytes() for x in arrays_of(*payloads)] == [
        x.tobytes() for x in (MASK, MASK, MASK + 0.5)
    ]


def test_a_chain_is_chosen_by_files_at_even_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfdecode.cli import choosing

    monkeypatch.setattr(choosing, "SAMPLES", 3)
    for number in range(9):  # in the first three files a byte holds every value
        np.save(f"n{number}.npy", np.arange(64) * (1 if number < 4 else 1000))
    run("pack", *(f"n{number}.npy" for number in range(9)), "-o", "out")
    array = np.load("n8.npy")
    assert len(spec_of("out/n8.npy.tfd").encode(array)) < array.nbytes / 2


def test_other_forms_have_specs_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    run("pack", "a.npy", "short.npy", "b/b.npy")
    assert spec_of("a.npy.tfd") == spec_of("b/b.npy.tfd") != spec_of("short.npy.tfd")
    assert not capsys.readouterr().err
    run("pack", "short.npy", "long.npy")
    assert "differ in size, so they have 2 specs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["short.npy", "long.npy", "--one-spec"], "[3,5], [3,9]; pass the largest .* 3,9"),
        (["short.npy", "a.npy", "--one-spec"], "the arrays are float32 and float64, but a spec"),
        (
            ["short.npy", "a.npy", "--one-spec", "--dtype", "float32"],
            "2 shapes, .*; pass the largest .*",
        ),
        (["short.npy", "--max-shape", "9"], "array has shape .3,5., --max-shape is 9"),
    ],
)
def test_what_one_spec_cannot_describe(
    options: list[str], reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(folder)
    run("pack", *options, status=1)
    reason = reason.replace("[", r"\[").replace("]", r"\]")
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("tfdecode pack: ")
        assert re.search(reason, line)
    assert names(folder) == before


def test_an_array_beyond_max_shape_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("pack", "long.npy", "short.npy", "--max-shape", "3,8", status=1)
    (array,) = arrays_of("short.npy.tfd")
    assert array.tobytes() == np.load("short.npy").tobytes()
    reason = "long.npy: array has shape [3,9], --max-shape is 3,8"
    assert capsys.readouterr().err == f"tfdecode pack: {reason}\n"


def test_a_spec_that_fails_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfdecode.cli import choosing

    tries: list[int] = []
    spec_of = choosing.spec_of
    monkeypatch.setattr(choosing, "spec_of", lambda *_: tries.append(1) or spec_of(*_))
    run("pack", "a.npy", "b/b.npy", "b/half.npy", "--codec", "transpose:2,1,0", status=1)
    assert len(tries) == 1


@pytest.mark.parametrize("codec", [[], ["--seal"], ["--codec", "transpose:1,0|zlib_bounded"]])
@pytest.mark.parametrize("files", [["short.npy", "long.npy"], ["long.npy"]])
@pytest.mark.parametrize(
    ("largest", "shape"), [((3, 20), (3, None)), ((4, 20), (None, None))], ids=str
)
def test_max_shape_makes_one_spec_of_rows_of_different_size(
    files: list[str], codec: list[str], largest: tuple[int, ...], shape: tuple[int | None, ...]
) -> None:
    run("pack", *files, "--max-shape", ",".join(map(str, largest)), *codec)
    (spec,) = {spec_of(f"{name}.tfd") for name in files}
    assert (spec.shape, spec.max_shape) == (shape, largest)
    for name, array in zip(files, arrays_of(*(f"{name}.tfd" for name in files)), strict=True):
        assert array.tobytes() == np.load(name).tobytes()


def test_a_tfrecord_takes_rows_of_different_length() -> None:
    pytest.importorskip("tensorflow")
    run("pack", "short.npy", "long.npy", "--tfrecord", "x.tfrecord", "--max-shape", "3,9")
    schema = tfd.Schema.load("x.tfrecord.json")
    assert schema["array"].shape == (3, None)


# -- names of outputs -----------------------------------------------------------------------------


def test_two_arrays_of_a_file_never_share_a_payload(folder: Path) -> None:
    np.savez("two.npz", **{"a/b": np.zeros(2), "a_b": np.ones(2), "a%2Fb": np.full(2, 2.0)})
    for key in ("a/b", "a_b", "a%2Fb"):
        run("pack", f"two.npz#{key}", "--codec", "raw")
    written = sorted(path.name for path in folder.glob("two.npz.*.tfd"))
    assert [array[0] for array in arrays_of(*written)] == [2, 0, 1]


# -- directories, lists, standard input -----------------------------------------------------------


def test_a_directory_that_cannot_be_read_is_not_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("c"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for command in ("pack", "inspect"):
        run(command, "b", status=1)
        assert failure(capsys) == f"tfdecode {command}: b/c: cannot be read: Permission denied"


def test_a_directory_stands_for_its_array_files(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("b/pipe.npy")
    run("pack", "b", "-o", "out", "--codec", "raw")
    err = capsys.readouterr().err
    assert names(folder / "out") == {
        f"{name}.tfd{ending}"
        for name in ("b.npy", "half.npy", "c/c.npy")
        for ending in ("", ".json")
    }
    assert err == "note: b: 3 of 6 files are taken; left out: 1 .gif, 1 .md, 1 .npy\n"
    run("unpack", "out", "-o", "back")
    assert names(folder / "back") == {"b.npy.npy", "half.npy.npy", "c/c.npy.npy"}
    assert np.load("back/c/c.npy.npy").tobytes() == MASK.tobytes()


def test_a_list_of_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("two.npz", x=MASK, y=MASK)
    text = b"b/b.npy\r\n\n./b/half.npy\ntwo.npz#y"
    Path("list").write_bytes(text)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    for source in ("list", "-"):
        run("pack", "a.npy", "--files-from", source, "--json")
        found = [report["payload"] for report in json.loads(capsys.readouterr().out)]
        assert found == ["a.npy.tfd", "b/b.npy.tfd", "b/half.npy.tfd", "two.npz.y.tfd"]
    Path("list").write_bytes(b"\n")
    run("pack", "--files-from", "list", status=1)
    assert failure(capsys) == "tfdecode pack: list: lists no file"


def test_standard_input_and_output() -> None:
    root = str(Path(tfd.__file__).parents[1])
    run("pack", "a.npy", "-o", "x.tfd", "--codec", "astype:uint8|raw")
    through = ("-", "--spec", "x.tfd.json", "-o", "-")
    data = Path("a.npy").read_bytes()
    for command in ("pack", "unpack"):
        done = subprocess.run(
            [sys.executable, "-m", "tfdecode", command, *through],
            input=data,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        assert (done.returncode, done.stderr) == (0, b"")
        data, before = done.stdout, data
    assert before == Path("x.tfd").read_bytes() and data == Path("a.npy").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "data", "status", "reason"),
    [
        ("pack - -o x.tfd --codec raw", "a.npy", 0, ""),
        ("pack -", "a.npy", 2, "standard input (-) needs -o OUT"),
        ("pack - -o y", "b/notes.md", 1, "tfdecode pack: -: has an unknown suffix"),
        ("pack - - -o y", "a.npy", 2, "standard input (-) can be read only once"),
        ("unpack - -o y", "a.npy", 2, "standard input (-) needs --spec"),
        ("pack a.npy short.npy --spec x.json -o -", "a.npy", 2, "(-) takes one file"),
        ("pack a.npy --spec x.json -o - --json", "a.npy", 2, "--json: not allowed with -o -"),
        ("pack a.npy -o -", "a.npy", 2, "standard output (-) needs --spec"),
    ],
)
def test_where_a_dash_is_standard_input_or_output(
    arguments: str,
    data: str,
    status: int,
    reason: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("x.json").write_text(tfd.ArraySpec((32, 32), "float64").to_json())
    before = names(folder)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(data).read_bytes())))
    run(*arguments.split(), status=status)
    out, err = capsys.readouterr()
    assert reason in err
    assert names(folder) - before == ({"x.tfd", "x.tfd.json"} if status == 0 else set())
    if status == 0:
        assert out.startswith("-: float64 [32,32] by raw, 8,192 -> 8,192 bytes (1.00x) -> x.tfd")


# -- many files, long work ------------------------------------------------------------------------


def test_many_files_are_summed_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch, "MANY", 2)
    files = ["a.npy", "b/b.npy", "short.npy", *(f"none{n}.npy" for n in range(5))]
    run("pack", *files, "--codec", "raw", status=1)
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert rows[1] == ["2", "16,384", "16,384", "1.00x", "float64", "[32,32]", "raw"]
    assert out.splitlines()[-1].startswith("3 files, 16,444 array bytes, 16,444 payload bytes")
    assert err.splitlines()[-1] == "tfdecode pack: 3 more files failed; --all lists them"
    assert len(err.splitlines()) == 3
    run("pack", *files, "--codec", "raw", "--all", status=1)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4 and len(err.splitlines()) == 5


def test_an_interruption_says_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encode = tfd.ArraySpec.encode

    def stop(spec: tfd.ArraySpec, array: np.ndarray) -> bytes:
        if array.dtype == "float32":
            raise KeyboardInterrupt
        return encode(spec, array)

    monkeypatch.setattr(tfd.ArraySpec, "encode", stop)
    run("pack", "a.npy", "b/b.npy", "long.npy", "short.npy", "--codec", "raw", status=130)
    assert failure(capsys) == "tfdecode pack: interrupted after 2 of 4 files"


def test_a_long_run_says_what_its_time_went_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(show, "SLOW", 0)
    run("pack", "a.npy")
    err = capsys.readouterr().err
    assert all(f"{what} 0." in err for what in ("reading", "choosing a chain", "packing"))


def test_what_a_killed_run_left_is_swept_by_the_next() -> None:
    left = [Path(f".tfdecode-{number:016x}.tmp") for number in range(3)]
    for path in left:
        path.write_bytes(b"half of a file")
    with left[1].open("rb") as file:  # another process still writes this one
        fcntl.flock(file, fcntl.LOCK_EX)
        write.sweep.cache_clear()
        run("pack", "a.npy", "--codec", "raw")
    assert [path.exists() for path in left] == [False, True, False]


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [(10, 5, "2.00x smaller"), (100, 101, "1.01x larger"), (7, 7, "no smaller")],
)
def test_sizes_are_compared_in_words(before: int, after: int, text: str) -> None:
    assert show.smaller(before, after) == text
