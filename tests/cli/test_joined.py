"""Examples of many files, joined by the stems of their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfdecode.cli.failure import UsageError
from tfdecode.cli.joined import Joined, is_many
from tfdecode.errors import FileError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two poses of three have a map."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "poses/a.pkl", "poses/b.pkl", "poses/c.pkl", "poses/.hidden.pkl", "poses/README.md",
        "maps/a.mat", "maps/b.mat", "maps/z.mat", "deep/x/a.npy", "deep/y/a.npy", "deep/a.nii.gz",
        "jpegs/1.jpg", "jpegs/2.jpg", "twins/a.npy", "twins/a.pkl", "im[1].npy",
        "take1/pose_take1.npy", "take1/pose_take2.npy", "take2/pose_take2.npy",
    ):  # fmt: skip
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return tmp_path


def examples(*given: str) -> dict[str, list[str]]:
    """Stem -> the file of each input, with ``-`` before one that is missing."""
    pairs = [(name, text) for name, _, text in (one.partition("=") for one in given)]
    joined = Joined(pairs)
    found = {}
    for example in joined:
        paths = {
            name: "#".join(filter(None, (str(p), key))) for name, (p, key) in example.files.items()
        }
        gone = {name: f"-{path}" for name, path in example.missing.items()}
        found[example.stem] = [(paths | gone)[name] for name, _ in pairs]
    assert list(found) == sorted(found) and len(found) == len(joined)
    return found


def test_a_stem_joins_what_a_pattern_finds_to_the_others() -> None:
    assert examples("pose=poses/*.pkl", "map=maps/{}.mat#S.seg", "scale=im[1].npy") == {
        "a": ["poses/a.pkl", "maps/a.mat#S.seg", "im[1].npy"],
        "b": ["poses/b.pkl", "maps/b.mat#S.seg", "im[1].npy"],
        "c": ["poses/c.pkl", "-maps/c.mat", "im[1].npy"],
    }


def test_a_digit_may_follow_a_stem_that_is_there_twice() -> None:
    Path("p/a").mkdir(parents=True)
    Path("p/a/a0.npy").touch()
    assert examples("pose=p/{}/{}0.npy") == {"a": ["p/a/a0.npy"]}


@pytest.mark.parametrize(
    "given",
    [
        ("pose=poses/{}.pkl", "map=maps/{}.mat"),
        ("pose=poses/*.pkl", "map=maps/*.mat"),
        ("pose=./poses/?.pkl", "map=maps//[a-z].mat"),
    ],
)
def test_if_both_find_files_what_either_lacks_is_missing(given: tuple[str, ...]) -> None:
    assert examples(*given) == {
        "a": ["poses/a.pkl", "maps/a.mat"],
        "b": ["poses/b.pkl", "maps/b.mat"],
        "c": ["poses/c.pkl", "-maps/c.mat"],
        "z": ["-poses/z.pkl", "maps/z.mat"],
    }


def test_directories_are_joined_by_names_without_suffix(capsys) -> None:
    found = examples("pose=poses/", "map=maps")
    assert found["a"] == ["poses/a.pkl", "maps/a.mat"] and found["c"][1] == "-maps/c.*"
    assert "poses: 3 of 4 files are taken: the array files" in capsys.readouterr().err
    assert examples("image=jpegs") == {"1": ["jpegs/1.jpg"], "2": ["jpegs/2.jpg"]}
    assert examples("x=deep") == {
        "a": ["deep/a.nii.gz"], "x/a": ["deep/x/a.npy"], "y/a": ["deep/y/a.npy"]
    }  # fmt: skip


def test_a_stem_may_span_directories_and_come_twice() -> None:
    assert list(examples("x=deep/**/*.npy")) == ["x/a", "y/a"]
    assert list(examples("x=deep/*/a.npy")) == ["x", "y"]
    assert examples("x={}/pose_{}.npy") == {
        "take1": ["take1/pose_take1.npy"], "take2": ["take2/pose_take2.npy"]
    }  # fmt: skip


def test_what_stands_for_many_files() -> None:
    assert all(map(is_many, ["poses", "poses/", "poses/*.pkl", "maps/{}.mat#S", "none[1].npy"]))
    assert not any(map(is_many, ["im[1].npy", "poses/a.pkl", "none.npy", "maps/a.mat#*"]))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (["x=twins"], FileError, "twins/a.npy and twins/a.pkl are both x of a"),
        (["x=none/*.npy"], FileError, "none/[*].npy: no file of x matches"),
        (["x=none/{}.npy"], FileError, "none/{}.npy: no file of x matches"),
        (["x=poses/*.pkl", "x=im[1].npy"], UsageError, "x is given twice"),
        (["x=poses/{}*.pkl"], UsageError, "both wildcards and {}"),
    ],
)
def test_mistakes(given: list[str], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        examples(*given)
