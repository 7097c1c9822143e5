"""pack --tfrecord: files in, one TFRecord and its schema out, read back by tf.data."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from scipy.io import savemat

import tfdecode as tfd
from tests.cli.common import EXACT, names
from tests.common import assert_same
from tfdecode.bulk import output, record
from tfdecode.cli import main

MAPS = [np.full((4, 3), value, "float32") for value in (1.5, -0.0, np.nan)]
FILES = ["a.npy", "b.npy", "c.npy"]
OUT = "out.tfrecord"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A working directory with files to pack."""
    monkeypatch.chdir(tmp_path)
    for name, array in zip(FILES, MAPS, strict=True):
        np.save(name, array)
    return tmp_path


def pack(*arguments: str, status: int = 0) -> None:
    assert main(["pack", *arguments, "--tfrecord", OUT]) == status


def packed(name: str = "array", out: str = OUT, compression: str = "") -> dict[str, np.ndarray]:
    """The arrays by their files, as training reads them."""
    schema = tfd.Schema.load(f"{out}.json")
    assert list(schema) == [name]
    features = {**schema.feature_spec(), "file": tf.io.FixedLenFeature([], tf.string)}
    examples = tf.data.TFRecordDataset(out, compression)
    rows = examples.map(lambda x: schema.decode_tensors(tf.io.parse_single_example(x, features)))
    return {os.fsdecode(row["file"].numpy()): row[name].numpy() for row in rows}


def usage_error(capsys) -> str:
    """The last line of what a wrong command line is told."""
    out, err = capsys.readouterr()
    assert not out
    return err.splitlines()[-1]


# -- what is written ------------------------------------------------------------------------------


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


def test_outputs_have_the_permissions_of_any_new_file() -> None:
    Path("plain").touch()
    pack("a.npy")
    modes = {Path(path).stat().st_mode for path in ("plain", OUT, f"{OUT}.json")}
    assert len(modes) == 1


# -- the name of the input ------------------------------------------------------------------------


def test_name_names_the_input() -> None:
    pack("a.npy", "--name", "depth_bytes")
    assert tfd.Schema.load(f"{OUT}.json").feature_keys() == {"depth_bytes": "depth_bytes"}
    assert_same(packed("depth_bytes")["a.npy"], MAPS[0])


def test_the_key_of_the_array_is_its_name() -> None:
    np.savez("two.npz", pose=MAPS[0], depth=MAPS[1])
    pack("two.npz", "--key", "depth")
    assert_same(packed("depth")["two.npz#depth"], MAPS[1])


def test_the_only_variable_of_the_first_file_is_its_name() -> None:
    savemat("one.mat", {"labels": MAPS[0]})
    pack("none.mat", "one.mat", "a.npy", status=1)
    assert list(packed("labels")) == ["a.npy", "one.mat"]


def test_a_key_may_follow_each_file() -> None:
    np.savez("two.npz", pose=MAPS[0], depth=MAPS[1])
    np.savez("more.npz", pose=MAPS[1], depth=MAPS[0])
    pack("two.npz#depth", "more.npz#pose")
    found = packed("depth")
    assert_same(found["two.npz#depth"], MAPS[1])
    assert_same(found["more.npz#pose"], MAPS[1])


@pytest.mark.parametrize("key", ["maps/pose", "file"])
def test_a_key_that_no_input_can_have_is_no_name(key: str) -> None:
    with h5py.File("x.h5", "w") as file:
        file[key] = MAPS[0]
    pack("x.h5")
    pack("x.h5", "--key", key)
    assert list(packed("array")) == [f"x.h5#{key}"]


def test_no_input_is_called_as_the_file_names_are(folder: Path, capsys) -> None:
    tfd.Schema({"file": tfd.ArraySpec((4, 3), "float32")}).save("schema.json")
    before = names(folder)
    reason = '"file" is the feature of the file names; choose another input name with --name'
    for option, value in (("--name", "file"), ("--spec", "schema.json")):
        pack("a.npy", option, value, status=2)
        assert usage_error(capsys).endswith(f"argument {option}: {reason}")
    assert names(folder) == before
    pack("a.npy", "--spec", "schema.json", "--name", "depth")
    assert list(packed("depth")) == ["a.npy"]


# -- --spec ---------------------------------------------------------------------------------------

SPEC = tfd.ArraySpec((4, 3), "float32", "zlib", label="pose")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("spec.json", "array"),
        ("one.json", "pose_map"),
        ("two.json#pose_map", "pose_map"),
        ("model", "pose_map"),
        ("model/1#pose_map", "pose_map"),
    ],
)
def test_spec_and_name_of_a_file_or_a_model(source: str, name: str, folder: Path) -> None:
    Path("spec.json").write_text(SPEC.to_json())
    one = tfd.Schema({"pose_map": SPEC})
    one.save("one.json")
    tfd.Schema({"other": tfd.ArraySpec((), "bool"), "pose_map": SPEC}).save("two.json")
    (folder / "model/1/assets.extra").mkdir(parents=True)
    (folder / "model/1/saved_model.pb").touch()
    one.save("model/1/assets.extra/tfdecode.json")
    pack(*FILES, "--spec", source)
    assert tfd.Schema.load(f"{OUT}.json") == {name: SPEC}
    assert_same(np.stack([*packed(name).values()]), np.stack(MAPS))


def test_an_array_that_is_not_what_the_spec_says(capsys) -> None:
    np.save("other.npy", MAPS[0].astype("float64"))
    np.save("wide.npy", np.zeros((4, 4), "float32"))
    Path("spec.json").write_text(SPEC.to_json())
    pack("other.npy", "wide.npy", "a.npy", "--spec", "spec.json", status=1)
    assert capsys.readouterr().err.splitlines() == [
        "tfdecode pack: wide.npy: array has shape [4, 4], spec needs float32 [4, 3]",
    ]
    assert list(packed()) == ["a.npy", "other.npy"]


def test_rows_of_a_none_dimension_differ() -> None:
    spec = tfd.ArraySpec((None, 3), "float32", "zlib", max_shape=(9, 3))
    Path("spec.json").write_text(spec.to_json())
    np.save("long.npy", np.ones((7, 3), "float32"))
    pack("a.npy", "long.npy", "--spec", "spec.json")
    assert {file: array.shape for file, array in packed().items()} == {
        "a.npy": (4, 3),
        "long.npy": (7, 3),
    }


@pytest.mark.parametrize("option", [["--codec", "raw"], ["--no-seal"], ["--label", "x"]])
def test_a_spec_leaves_no_room_for_a_chain(option: list[str], capsys) -> None:
    pack("a.npy", "--spec", "spec.json", *option, status=2)
    assert usage_error(capsys).endswith("not allowed with argument --spec")


# -- files that differ or fail --------------------------------------------------------------------


def test_a_bad_file_does_not_stop_the_others(capsys) -> None:
    Path("bad.npy").write_bytes(b"1 2 3")
    pack("bad.npy", "a.npy", "none.npy", "c.npy", status=1)
    out, err = capsys.readouterr()
    assert out.startswith("out.tfrecord: 2 examples of array_bytes, ")
    first, second = err.splitlines()
    assert first.startswith("tfdecode pack: bad.npy: is named .npy but holds")
    assert second == "tfdecode pack: none.npy: cannot be read: No such file or directory"
    assert list(packed()) == ["a.npy", "c.npy"]


def test_nothing_is_written_if_every_file_fails(folder: Path, capsys) -> None:
    Path(OUT).write_bytes(b"old")
    Path("spec.json").write_text(SPEC.to_json())
    before = names(folder)
    for options, reason in (
        ([], "that were tried can be used"),
        (["--spec", "spec.json"], "could"),
    ):
        pack("none.npy", "no.npy", *options, status=1)
        out, err = capsys.readouterr()
        assert not out and err.count("\n") == 1
        assert f"none of the 2 files {reason}" in err and "No such file" in err
        assert names(folder) == before and Path(OUT).read_bytes() == b"old"


@pytest.mark.parametrize(
    ("array", "advice"),
    [
        (np.zeros((9, 3), "float32"), "--max-shape 9,3 would make one spec for all"),
        (np.zeros(3, "float32"), "others are packed if they can be converted to it"),
        (np.full((4, 3), 0.1), "others are packed if they can be converted to it"),
    ],
)
def test_most_arrays_say_what_the_others_are(array: np.ndarray, advice: str, capsys) -> None:
    np.save("0.npy", array)
    pack("0.npy", "a.npy", "b.npy", status=1)
    said, failed = capsys.readouterr().err.splitlines()
    assert said == f"note: 2 of 3 files that were tried are float32 [4,3]; {advice}"
    assert failed.startswith("tfdecode pack: 0.npy: array ")
    assert list(packed()) == ["a.npy", "b.npy"]


def test_all_arrays_of_a_file_are_in_its_example(capsys) -> None:
    kept = []
    for index in range(3):
        arrays = {
            "image": np.full((3, 2), index, "uint8"),
            "pose": np.arange(4) + index / 4,
            "label": np.array(index, "int16"),
        }
        np.savez(f"{index}.npz", **arrays)
        kept.append(arrays)
    np.savez("other.npz", image=arrays["image"])
    np.savez("shape.npz", **{**arrays, "pose": np.zeros(5)})
    pack("0.npz", "other.npz", "1.npz", "shape.npz", "2.npz", status=1)
    said, failures = capsys.readouterr()
    assert "out.tfrecord: 3 examples of image_bytes, uint8 [3,2] by" in said
    assert "; pose_bytes, float64 [4] by" in said
    assert "note: 4 of 5 files that were tried hold image, pose, label" in failures
    assert "other.npz: holds no array named pose" in failures
    assert "shape.npz: array has shape [5], spec needs float64 [4]" in failures
    schema = tfd.Schema.load(f"{OUT}.json")
    assert list(schema) == ["image", "pose", "label"]
    (batch,) = schema.dataset(OUT, 3)
    for name in schema:
        assert_same(batch[name].numpy(), np.stack([arrays[name] for arrays in kept]))


def test_a_key_chooses_one_of_several(capsys) -> None:
    np.savez("two.npz", a=MAPS[0], b=MAPS[1])
    pack("two.npz", "--key", "b")
    assert list(tfd.Schema.load(f"{OUT}.json")) == ["b"]
    pack("two.npz", "--name", "x", status=1)
    assert "holds 2 arrays, choose one by key" in capsys.readouterr().err
    savemat("file.mat", {"a": MAPS[0], "file": MAPS[1]})
    pack("file.mat", status=1)
    assert 'array "file" has the name of the feature of the file names' in capsys.readouterr().err


def test_dtype_makes_one_of_several() -> None:
    np.save("other.npy", np.full((4, 3), 2.5))
    pack("a.npy", "other.npy", "--dtype", "float64")
    assert {array.dtype.name for array in packed().values()} == {"float64"}


def test_a_payload_that_no_example_takes(monkeypatch, capsys) -> None:
    monkeypatch.setattr(record, "MAX_EXAMPLE_BYTES", 40)
    pack("a.npy", "--codec", "raw", status=1)
    assert "a tf.train.Example has 90 bytes, at most 40 are possible" in capsys.readouterr().err


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


def test_a_file_without_a_header_is_read_as_asked() -> None:
    for name in ("x.bin", "y.raw"):
        Path(name).write_bytes(MAPS[0].astype(">f4").tobytes())
    pack("x.bin", "y.raw", "--dtype", ">f4", "--shape", "-1,3")
    arrays = packed()
    assert_same(arrays["x.bin"], MAPS[0])
    assert_same(arrays["y.raw"], MAPS[0])


# -- where it goes --------------------------------------------------------------------------------


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
    (folder / "spec.json").write_text(SPEC.to_json())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main(["pack", "maps", "--spec", "spec.json", "--tfrecord", out]) == 2
    assert "is also an input" in usage_error(capsys)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_an_earlier_output_is_replaced() -> None:
    pack("a.npy", "b.npy")
    pack("c.npy")
    assert list(packed()) == ["c.npy"]


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


# -- no TensorFlow --------------------------------------------------------------------------------


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
