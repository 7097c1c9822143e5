"""predict on many files: patterns, batches, failures by file, and where the answers go."""

from __future__ import annotations

import io
import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tests.cli.common import names
from tfdecode.cli import main

tf = pytest.importorskip("tensorflow")
pytest.importorskip("httpx2")

from tests.client.served import Batching, Models  # noqa: E402
from tests.client.server import Server, serving  # noqa: E402
from tfdecode.cli import many  # noqa: E402
from tfdecode.cli.outputs import masked_rows  # noqa: E402

POSE = tfd.ArraySpec((2, 3), "float32", "zlib")
ARRAYS = np.random.default_rng(7).standard_normal((11, 2, 3)).astype("float32")
WEIGHTS = np.arange(11, dtype="float32")
COUNT = len(ARRAYS)


def answer(pose: Any, weight: Any) -> dict[str, Any]:
    sums = tf.reduce_sum(pose, [1, 2]) * weight
    return {"sum": sums, "pose": pose * 2, "word_bytes": tf.strings.as_string(weight)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = {"pose": POSE, "weight": tf.TensorSpec([None], tf.float32)}
    folder = tmp_path_factory.mktemp("models")
    return tfd.export(answer, folder, inputs, arrays_signature=None, max_batch_size=4)


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    with serving(model) as running:
        yield running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("poses").mkdir()
    Path("weights").mkdir()
    for index, (pose, weight) in enumerate(zip(ARRAYS, WEIGHTS, strict=True)):
        np.save(f"poses/{index:02}.npy", pose)
        np.save(f"weights/{index:02}.npy", weight)
    return tmp_path


GIVEN = ["pose=poses/*.npy", "weight=weights/{}.npy"]


def expected(index: int) -> dict[str, Any]:
    given = {"pose": tf.constant(ARRAYS[[index]]), "weight": tf.constant(WEIGHTS[[index]])}
    return {name: np.asarray(value)[0] for name, value in answer(**given).items()}


def check(saved: Any, index: int, at: Any = ()) -> None:
    """The outputs of an example, in what was saved, at that row."""
    want = expected(index)
    assert saved["sum"][at].tobytes() == want["sum"].tobytes()
    assert saved["pose"][at].tobytes() == want["pose"].tobytes()
    assert saved["word_bytes"][at] == want["word_bytes"]


@pytest.mark.parametrize("where", ["directory", "server"])
def test_outputs_are_stacked_in_the_order_of_the_files(
    where: str, model: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.requests.clear()
    url = str(model) if where == "directory" else server.url
    assert main(["predict", url, *GIVEN, "-o", "out.npz"]) == 0
    with np.load("out.npz", allow_pickle=False) as saved:
        assert saved["files"].tolist() == [f"poses/{i:02}.npy" for i in range(COUNT)]
        assert saved["pose"].shape == (COUNT, 2, 3) and saved["pose"].dtype == np.float32
        for index in range(COUNT):
            check(saved, index, index)
    out, err = capsys.readouterr()
    assert f"{COUNT} of {COUNT} examples, saved in out.npz" in out and not err
    assert f"poses/10.npy  [2,3]  {expected(10)['sum']:.6g}" in out
    bodies = [json.loads(body) for _, _, body in server.requests if b"pose_bytes" in body]
    assert all(len(body["inputs"]["pose_bytes"]) <= 4 for body in bodies)
    assert len(bodies) == (0 if where == "directory" else 3)


def test_failures_are_listed_by_file_and_the_others_are_answered(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("weights/03.npy").unlink()
    np.save("poses/05.npy", np.ones((3, 2), "float32"))
    Path("poses/07.npy").write_bytes(b"\x93NUMPY\1\0text")
    Path("poses/09.npy").unlink()
    Path("poses/09.tfd").write_bytes(POSE.encode(ARRAYS[9])[:-1] + b"!")
    assert main(["predict", server.url, "pose=poses/", *GIVEN[1:], "-o", "each/"]) == 1
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "poses/03.npy", "poses/05.npy", "poses/07.npy", "poses/09.tfd"
    ]  # fmt: skip
    for line, words in zip(
        lines,
        ("has no weight: there is no file weights/03.npy", "[3, 2]", "07", "row 0"),
        strict=True,
    ):
        assert words in line
    bad = {3, 5, 7, 9}
    assert names(Path("each")) == {f"{i:02}.npz" for i in range(COUNT) if i not in bad}
    with np.load("each/02.npz") as saved:
        check(saved, 2)
    assert "7 of 11 examples, saved in each, 4 failed" in out


def test_a_bad_file_fails_no_other_on_a_server_that_merges_requests(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("poses/09.npy").unlink()
    Path("poses/09.tfd").write_bytes(POSE.encode(ARRAYS[9])[:-1] + b"!")
    with serving(Models({"m": {1: model}}, batching=Batching((1, 2, 4), 0.5))) as running:
        assert main(["predict", running.url, "pose=poses/", *GIVEN[1:], "-o", "each/"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tfdecode predict: poses/09.tfd: ")
    assert names(Path("each")) == {f"{i:02}.npz" for i in range(COUNT) if i != 9}


def test_json_is_a_line_for_each_example(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("weights/03.npy").unlink()
    assert main(["predict", server.url, *GIVEN, "--json", "--batch", "2"]) == 1
    found = {one["stem"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert sorted(found) == [f"{i:02}" for i in range(COUNT)]
    assert found["03"]["error"].startswith("poses/03.npy: has no weight")
    one = found["04"]
    assert one["files"] == {"pose": "poses/04.npy", "weight": "weights/04.npy"}
    outputs = {output["name"]: output for output in one["outputs"]}
    assert outputs["pose"]["value"] == (ARRAYS[4] * 2).tolist() and outputs["sum"]["shape"] == []
    assert outputs["word_bytes"]["value"] == "4.000000" and one["saved"] is None


def test_a_file_may_be_the_same_for_all_and_hold_a_batch(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("one.npy", np.float32(2))
    assert main(["predict", str(model), GIVEN[0], "weight=one.npy", "-o", "out.npz"]) == 0
    with np.load("out.npz") as saved:
        assert saved["word_bytes"].tolist() == [b"2.000000"] * COUNT
    for name in ("poses", "weights"):
        for path in Path(name).glob("*.npy"):
            path.unlink()
    np.save("poses/a.npy", ARRAYS[:3])
    np.save("weights/a.npy", WEIGHTS[:3])
    np.save("poses/b.npy", ARRAYS[3])
    np.save("weights/b.npy", WEIGHTS[3])
    capsys.readouterr()
    assert main(["predict", str(model), *GIVEN, "-o", "out.npz"]) == 0
    with np.load("out.npz") as saved:
        assert saved["files"].tolist() == ["poses/a.npy"] * 3 + ["poses/b.npy"]
        for index in range(4):
            check(saved, index, index)
    capsys.readouterr()
    assert main(["predict", str(model), "pose=poses/a.npy", "weight=weights/a.npy"]) == 0
    out = capsys.readouterr().out
    assert "poses/a.npy: a batch of 3, packed by" in out and "[3,2,3]" in out


def test_a_model_that_mixes_its_rows_is_asked_for_one_at_a_time(tmp_path: Path) -> None:
    def mixing(pose: Any) -> Any:
        # A shape [None], as if there were a row for each example.
        return {"all": tf.compat.v1.placeholder_with_default(tf.reduce_sum(pose)[None], [None])}

    path = tfd.export(
        mixing, tmp_path / "m", {"pose": POSE},
        arrays_signature=None, warmup=False, independent_rows=False,
    )  # fmt: skip
    assert main(["predict", str(path), GIVEN[0], "-o", "out.npz"]) == 0
    with np.load("out.npz") as saved:
        assert np.allclose(saved["all"], ARRAYS.sum((1, 2)), atol=1e-5)


def test_a_masked_row_is_a_failure_and_not_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tfd.export(
        lambda pose: {"sum": tf.reduce_sum(pose, [1, 2])}, tmp_path / "m", {"pose": POSE},
        arrays_signature=None, warmup=False, on_invalid="mask",
    )  # fmt: skip
    Path("poses/04.npy").unlink()
    Path("poses/04.tfd").write_bytes(POSE.encode(ARRAYS[4])[:-1] + b"!")
    assert main(["predict", str(path), "pose=poses", "-o", "out.npz"]) == 1
    with np.load("out.npz") as saved:
        assert len(saved["sum"]) == COUNT - 1 and "poses/04.tfd" not in saved["files"]
    said = "poses/04.tfd: is invalid and masked (row 0: SEAL)"
    assert capsys.readouterr().err == f"tfdecode predict: {said}\n"


def test_rows_are_masked_also_if_nobody_tells_the_dtypes_of_outputs() -> None:
    status = np.array([0, 2], "int64")
    assert list(masked_rows({"status": status}, told=False)) == [1]
    assert not masked_rows({"status": status})


def test_it_says_how_far_it_came(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finish, count = many.Run.finish, iter(range(5))

    def interrupted(run: Any, *given: Any) -> None:
        if next(count, None) is None:
            raise KeyboardInterrupt
        finish(run, *given)

    monkeypatch.setattr(many.Run, "finish", interrupted)
    assert main(["predict", str(model), *GIVEN, "-o", "out.npz"]) == 130
    said = "interrupted after 5 of 11 examples, 0 failed; nothing was saved; -o DIR/ saves"
    assert said in capsys.readouterr().err and names(Path("poses")) and not Path("out.npz").exists()


def test_a_server_that_is_gone_is_not_asked_for_ever(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(model) as running:
        asked: list[Any] = []
        predict = many.Rest.predict

        def ask(client: Any, inputs: Any) -> Any:
            asked.append(inputs)
            if len(asked) == 2:
                client._predict_url = client._given.copy_with(port=9)
            return predict(client, inputs)

        monkeypatch.setattr(many.Rest, "predict", ask)
        options = ["--batch", "1", "--in-flight", "1", "-o", "each/"]
        assert main(["predict", running.url, *GIVEN, *options]) == 1
    out, err = capsys.readouterr()
    assert "poses/01.npy" in err and "no answer" in err and "7 more were not tried" in err
    assert "1 of 11 examples" in out and names(Path("each")) == {"00.npz"} and len(asked) <= 5


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        (["pose=none/*.npy", "weight=weights/{}.npy"], 1, "none/*.npy: no file of pose matches"),
        (["poze=poses/*.npy", "weight=weights/{}.npy"], 1, "no input is named 'poze'"),
        (["pose=poses/*.npy"], 1, "inputs are missing: weight"),
        ([*GIVEN, "pose=poses/00.npy"], 2, "pose is given twice"),
        ([*GIVEN, "-o", "poses/00.npy"], 2, "poses/00.npy is also an input"),
        ([*GIVEN, "-o", "out"], 2, "out does not end in .npz; write out.npz, or out/ for a file"),
        ([*GIVEN, "-o", "gone/out.npz"], 1, "gone: the directory does not exist"),
        ([*GIVEN, "--batch", "0"], 2, "'0' is not a whole number from 1 to"),
        (
            ["pose=poses/00.npy", "weight=weights/00.npy", "-o", "x/"],
            2,
            "is for many examples",
        ),
        (["pose=-", "weight=-"], 2, "standard input (-) can be read only once"),
    ],
)
def test_mistakes(
    model: Path, given: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(model), *given]) == status
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_standard_input_is_a_payload(
    model: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    given = ["pose=-", "weight=weights/04.npy"]
    for command in (["request", str(model)], ["predict", server.url, "--json"]):
        data = SimpleNamespace(buffer=io.BytesIO(POSE.encode(ARRAYS[4])), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", data)
        assert main([*command, *given]) == 0
        told = json.loads(capfdbinary.readouterr().out)
        if command[0] == "request":
            with urllib.request.urlopen(f"{server.url}:predict", json.dumps(told).encode()) as sent:
                assert json.load(sent)["outputs"]["pose"] == [(ARRAYS[4] * 2).tolist()]
        else:
            given_pose = told["inputs"][0]
            assert (given_pose["file"], given_pose["how"]) == ("-", "as it is")
