"""pack --tfrecord: the inputs of an example, their names and their specs."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

import tfdecode as tfd
from tests.cli.common import names
from tests.cli.records import FILES, MAPS, OUT, pack, packed, usage_error, write_maps
from tests.common import assert_same


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files to pack."""
    monkeypatch.chdir(tmp_path)
    write_maps()
    return tmp_path


SPEC = tfd.ArraySpec((4, 3), "float32", "zlib", label="pose")


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
        assert f"argument {option}: {reason}" in usage_error(capsys)
    assert names(folder) == before
    pack("a.npy", "--spec", "schema.json", "--name", "depth")
    assert list(packed("depth")) == ["a.npy"]


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


def test_a_file_without_a_header_is_read_as_asked() -> None:
    for name in ("x.bin", "y.raw"):
        Path(name).write_bytes(MAPS[0].astype(">f4").tobytes())
    pack("x.bin", "y.raw", "--dtype", ">f4", "--shape", "-1,3")
    arrays = packed()
    assert_same(arrays["x.bin"], MAPS[0])
    assert_same(arrays["y.raw"], MAPS[0])
