"""pack --tfrecord: files in, one TFRecord and its schema out, read back by tf.data."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.cli.common import EXACT, names
from tests.cli.records import FILES, MAPS, OUT, pack, packed, usage_error, write_maps
from tests.common import assert_same
from tfdecode.bulk import output, record
from tfdecode.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files to pack."""
    monkeypatch.chdir(tmp_path)
    write_maps()
    return tmp_path


def test_an_example_a_file_in_the_order_of_their_names(folder: Path, capsys) -> None:
    before = names(folder)
    pack("b.npy", "a.npy", "c.npy", "--codec", "zlib")
    assert names(folder) - before == {OUT, f"{OUT}.json", f"{OUT}.manifest.json"}
    arrays = packed()
    assert list(arrays) == FILES
    for file, array in zip(FILES, MAPS, strict=True):
        assert_same(arrays[file], array)
    out, err = capsys.readouterr()
    assert not err and out.startswith(
        "out.tfrecord: 3 examples of array_bytes, float32 [4,3] by raw|zlib|seal, 144 -> "
    )


def test_a_batch_is_the_arrays(folder: Path) -> None:
    pack(*FILES)
    schema = tfd.Schema.load(f"{OUT}.json")
    batch = next(iter(tf.data.TFRecordDataset(OUT).batch(3)))
    decoded = schema.decode_tensors(tf.io.parse_example(batch, schema.feature_spec()))
    assert_same(decoded["array"], np.stack(MAPS))


@pytest.mark.parametrize("array", EXACT, ids=lambda array: f"{array.dtype}-{array.ndim}")
def test_every_bit_survives(array: np.ndarray) -> None:
    np.save("x.npy", array)
    pack("x.npy")
    assert_same(packed()["x.npy"], array.astype(array.dtype.newbyteorder("=")))


def test_a_payload_is_what_pack_writes_for_the_file() -> None:
    pack("a.npy")
    assert main(["pack", "a.npy"]) == 0
    example = tf.train.Example.FromString(next(tf.data.TFRecordDataset(OUT).as_numpy_iterator()))
    values = {key: list(f.bytes_list.value) for key, f in example.features.feature.items()}
    assert values == {"array_bytes": [Path("a.npy.tfd").read_bytes()], "file": [b"a.npy"]}


def test_the_same_files_give_the_same_bytes() -> None:
    pack(*FILES)
    first = Path(OUT).read_bytes()
    pack(*FILES)
    assert Path(OUT).read_bytes() == first


def test_the_schema_is_what_schema_save_writes() -> None:
    pack("a.npy", "--codec", "transpose:1,0|zlib:9", "--no-seal", "--label", "left")
    spec = tfd.ArraySpec((4, 3), "float32", "transpose:1,0|zlib:9", seal=False, label="left")
    tfd.Schema({"array": spec}).save("same.json")
    assert Path(f"{OUT}.json").read_bytes() == Path("same.json").read_bytes()


def test_files_of_any_name_are_told_apart() -> None:
    (Path("sub") / "größe").mkdir(parents=True)
    odd = ["sub/größe/a.npy", "a b#c.npy", "bad\udcff.npy"]
    for name in odd:
        with open(name, "wb") as file:
            np.save(file, MAPS[1])
    pack("a.npy", *odd)
    assert sorted(packed()) == sorted(["a.npy", *odd])


def test_gz_is_compressed_as_tensorflow_reads_it() -> None:
    assert main(["pack", *FILES, "--tfrecord", "out.tfrecord.gz"]) == 0
    arrays = packed(out="out.tfrecord.gz", compression="GZIP")
    assert_same(np.stack([*arrays.values()]), np.stack(MAPS))


def test_json_is_the_manifest(capsys) -> None:
    np.savez("two.npz", pose=MAPS[0], depth=MAPS[1])
    pack("two.npz", "none.npz", "--key", "pose", "--codec=zlib", "--json", status=1)
    out, err = capsys.readouterr()
    manifest = json.loads(out)
    assert manifest == json.loads(Path(f"{OUT}.manifest.json").read_text())
    reason = "none.npz: cannot be read: No such file or directory"
    assert manifest["failures"] == [{"file": "none.npz#pose", "error": reason}]
    assert [one["shard"] for one in manifest["shards"]] == [OUT] and manifest["examples"] == 1
    assert err == f"tfdecode pack: {reason}\n"


def test_features_and_a_seed(capsys) -> None:
    Path("meta.csv").write_text("file,label\na.npy,1\nb.npy,2\nc.npy,3\n")
    pack(*FILES, "--features", "meta.csv", "--seed", "2")
    (batch,) = tfd.Schema.load(f"{OUT}.json").dataset(OUT, 3)
    files = [os.fsdecode(file) for file in batch["file"].numpy()]
    assert files != FILES and sorted(files) == FILES
    assert batch["label"].numpy().tolist() == [1 + FILES.index(file) for file in files]


def test_a_payload_that_no_example_takes(monkeypatch, capsys) -> None:
    monkeypatch.setattr(record, "MAX_EXAMPLE_BYTES", 40)
    pack("a.npy", "--codec", "raw", status=1)
    assert "a tf.train.Example has 90 bytes, at most 40 are possible" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--tfrecord", OUT, "-o", "x"], "argument -o: not allowed with argument --tfrecord"),
        (["--tfrecord", "c.npy"], "argument --tfrecord: 'c.npy' has the suffix of an array file"),
        (["--tfrecord", "."], "argument --tfrecord: '.' is not a file name"),
        (["--tfrecord", "sub"], "cannot write sub: it is not a regular file"),
        (
            ["--tfrecord", OUT, "--name", "a\nb"],
            "argument --name: input name 'a\\nb' needs 1 to 128",
        ),
        (["--name", "x"], "argument --name: needs argument --tfrecord"),
    ],
)
def test_bad_options_are_status_2(options: list[str], reason: str, folder: Path, capsys) -> None:
    (folder / "sub").mkdir()
    before = {path: path.read_bytes() for path in folder.glob("*.npy")}
    assert main(["pack", "a.npy", "b.npy", *options]) == 2
    assert reason in usage_error(capsys)
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("out", ["maps", "link", "spec"])
def test_an_input_is_never_overwritten(out: str, folder: Path, capsys) -> None:
    (folder / "maps").write_bytes((folder / "a.npy").read_bytes())
    (folder / "link").symlink_to("maps")
    (folder / "spec.json").write_text(tfd.ArraySpec((4, 3), "float32").to_json())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main(["pack", "maps", "--spec", "spec.json", "--tfrecord", out]) == 2
    assert "is also an input" in usage_error(capsys)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_an_earlier_output_is_replaced() -> None:
    pack("a.npy", "b.npy")
    pack("c.npy")
    assert list(packed()) == ["c.npy"]


def test_outputs_have_the_permissions_of_any_new_file() -> None:
    Path("plain").touch()
    pack("a.npy")
    modes = {Path(path).stat().st_mode for path in ("plain", OUT, f"{OUT}.json")}
    assert len(modes) == 1


def test_a_missing_directory_is_a_reason(capsys) -> None:
    assert main(["pack", "a.npy", "--tfrecord", "no/such/x"]) == 1
    assert capsys.readouterr() == (
        "",
        "tfdecode pack: no/such: the directory does not exist\n",
    )


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing(step: str, folder: Path, monkeypatch, capsys) -> None:
    before = names(folder)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(output.os, step, full)
        pack("a.npy", status=1)
    assert capsys.readouterr() == ("", "tfdecode pack: out.tfrecord: No space left on device\n")
    assert names(folder) == before


def test_an_interruption_leaves_nothing(folder: Path, monkeypatch, capsys) -> None:
    before = names(folder)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tfd.ArraySpec, "encode", interrupt)
    pack("a.npy", "--codec", "raw", status=130)
    assert names(folder) == before
    assert "interrupted after 0 of 1 shard; nothing was written" in capsys.readouterr().err


def test_what_is_not_installed_is_named(folder: Path, monkeypatch, capsys) -> None:
    before = names(folder)
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    pack("a.npy", status=1)
    out, err = capsys.readouterr()
    assert (
        not out and "google_crc32c is not installed; install tfdecode with its extra 'bulk'" in err
    )
    assert names(folder) == before


def test_tensorflow_is_not_imported(folder: Path) -> None:
    script = (
        "import sys; from tfdecode.cli import main\n"
        "assert main(['pack', 'a.npy', '--tfrecord', 'out.tfrecord']) == 0\n"
        "assert main(['verify', 'out.tfrecord']) == 0\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(tfd.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
