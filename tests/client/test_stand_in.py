"""The stand-in for tensorflow_model_server: what it refuses, and how a server is started."""

from __future__ import annotations

import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving.apis")

from tfdecode import serving

from .common import POSE, SIZE
from .model_server import PROGRAM, ROOT, VARIABLE, ModelServer, programs
from .served import Batching, Model, Refusal
from .stand_in import OPTIONS, batches, parsed, versions

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")]


def test_every_option_that_is_written_is_one_of_the_server() -> None:
    written = parsed(serving.command("models.config", "b.config", rest_port=1, grpc_port=2)[1:])
    assert "batching_parameters_file" in written
    found = set()
    for path in DOCUMENTS:
        for command in re.findall(rf"^{PROGRAM} (.*(?:\\\n.*)*)$", path.read_text(), re.MULTILINE):
            found |= set(re.findall(r"--(\w+)", command))
    assert {"model_name", "model_base_path", "rest_api_port"} <= found <= OPTIONS


@pytest.mark.parametrize("word", ["--rest_port=1", "-port=1", "models", "--model-name=m"])
def test_what_is_no_option_is_refused(word: str) -> None:
    with pytest.raises(SystemExit, match=f"unknown argument: {word}"):
        parsed(["--port=8500", word])


def test_configurations_that_the_server_refuses(tmp_path: Path) -> None:
    file = tmp_path / "batching.config"
    file.write_text(serving.batching_config(6))
    options = {"batching_parameters_file": str(file)}
    with pytest.raises(SystemExit, match="without setting enable_batching"):
        batches(options)
    assert batches({**options, "enable_batching": "true"}) == Batching((1, 2, 4, 6), 0.002)
    file.write_text("max_batch_size { value: 8 } allowed_batch_sizes: 4")
    with pytest.raises(SystemExit, match="must match max_batch_size"):
        batches({**options, "enable_batching": "true"})
    with pytest.raises(SystemExit, match="absolute path"):
        versions(Path("models"), [])


def test_a_program_that_is_named_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    assert set(programs()) == {"stand-in"}
    program = tmp_path / PROGRAM
    program.symlink_to(shutil.which("true", path="/usr/bin:/bin"))
    assert programs()[PROGRAM] == [str(program)]
    monkeypatch.setenv(VARIABLE, str(program.rename(tmp_path / "mine")))
    assert programs()[PROGRAM] == [str(tmp_path / "mine")]
    monkeypatch.setenv(VARIABLE, "gone")
    with pytest.raises(FileNotFoundError, match="gone, which is no program"):
        programs()


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "import sys; sys.exit('no model')"]
    options = ["--port=1", "--rest_api_port=9"]
    with pytest.raises(AssertionError, match=r"does not serve .*: no model"):
        ModelServer(program, options, ["m"], tmp_path / "log").start()


@pytest.fixture(scope="module")
def batched(model: Path) -> Model:
    """A model of a server that waits longer than the test for its batch to fill."""
    return Model(model, Batching((1, 2, 4, 8), 60))


def feeds(*rows: int) -> dict[str, np.ndarray]:
    poses = [POSE.encode(np.full((2, 3), row, "float32")) for row in rows]
    sizes = [SIZE.encode(np.array(row, "uint16")) for row in rows]
    return {
        "pose_bytes": np.array(poses, object),
        "size_bytes": np.array(sizes, object),
        "word": np.array([b"w"] * len(rows), object),
        "weight": np.ones(len(rows), "float32"),
    }


def test_requests_are_merged_and_each_gets_its_rows(batched: Model) -> None:
    parts = [(0, 1, 2), (3,), (4, 5), (6, 7)]
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda rows: batched.predict("serving_default", feeds(*rows)), parts)
        assert [out["size"].tolist() for out in found] == [list(rows) for rows in parts]


def test_a_bad_row_fails_the_requests_that_it_was_merged_with(batched: Model) -> None:
    bad = feeds(4)
    bad["pose_bytes"][0] = b"bad"
    parts = [feeds(0, 1, 2, 3), bad, feeds(5, 6, 7)]

    def ask(part: dict[str, np.ndarray]) -> str:
        with pytest.raises(Refusal) as error:
            batched.predict("serving_default", part)
        return error.value.text

    with ThreadPoolExecutor() as pool:
        for text in pool.map(ask, parts):
            assert "has 3 bytes" in text and "in a batch of 8 rows, which may be of several" in text


def test_batches_that_a_server_does_not_merge(batched: Model) -> None:
    with pytest.raises(Refusal, match="Task size 9 is larger than maximum input batch size 8"):
        batched.predict("serving_default", feeds(*range(9)))
    scalar = {**feeds(1), "weight": np.float32(1)}
    with pytest.raises(Refusal, match="must have at least one dimension"):
        batched.predict("serving_default", scalar)
    with pytest.raises(Refusal, match="must have equal 0th-dimension size"):
        batched.predict("serving_default", {**feeds(1), "weight": np.ones(2, "float32")})
