"""operator.md: every command is run, in its order; the server's by its stand-in, or by itself."""

from __future__ import annotations

import json
import pickle
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

import tfdecode as tfd
from tfdecode.cli import main

tf = pytest.importorskip("tensorflow")
pytest.importorskip("httpx2")
pytest.importorskip("tensorflow_serving.apis")

from tests.client.model_server import ModelServer, free_ports, programs  # noqa: E402

TEXT = (Path(__file__).parents[2] / "examples" / "operator.md").read_text()
POSE = np.arange(6, dtype="float32").reshape(2, 3)
LABELS = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the operator was given."""
    monkeypatch.chdir(tmp_path)
    Path("pose.pkl").write_bytes(pickle.dumps(POSE))
    savemat("segment.mat", {"labels": LABELS})
    specs = {
        "pose_map": tfd.ArraySpec((2, 3), "float32", "zlib"),
        "segment_map": tfd.ArraySpec((2, 3), "float64", "astype:uint8|zlib"),
    }
    tfd.export(
        lambda pose_map, segment_map: {
            "score": tf.reduce_sum(pose_map, [1, 2]),
            "mask": segment_map,
        },
        "models/pose",
        inputs=specs,
    )
    return tmp_path


def commands(folder: Path, ports: dict[str, int]) -> Iterator[tuple[str, Any]]:
    """The commands of the text, and its Python, with ports that are free."""
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        if language == "python":
            yield language, block
            continue
        block = block.replace("\\\n", "").replace("$PWD", str(folder))
        for documented, port in ports.items():
            block = block.replace(documented, str(port))
        for line in block.splitlines():
            program, *words = shlex.split(line)
            yield program, words


def test_every_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ports = dict(zip(("8500", "8501"), free_ports(2), strict=True))
    *_, program = programs().values()
    server = None
    ran = set()
    try:
        for name, words in commands(folder, ports):
            ran.add((name, words[0] if name == "tfdecode" else ""))
            if name == "python":
                exec(compile(words, "operator.md", "exec"), {})
            elif name == "tfdecode":
                assert main(words) == 0, words
                said = capsys.readouterr().out
                if words[0] == "serve-config":
                    printed = shlex.split(said.replace("\\\n", ""), comments=True)
                elif words[0] == "predict":
                    assert "score" in said and "mask" in said
            elif name == "tensorflow_model_server":
                own = " ".join(words)
                for documented, port in ports.items():
                    own = own.replace(f"={port}", f"={documented}")
                assert own.split() == printed[1:], "as serve-config prints it"
                server = ModelServer(program, words, ["pose"], folder / "log")
                server.start()
            else:
                assert name == "curl"
                answer = json.loads(curl(words))
                if "--data" in words:
                    assert answer["outputs"]["score"] == [15.0]
                    assert answer["outputs"]["mask"] == [LABELS.tolist()]
                else:
                    (version,) = answer["model_version_status"]
                    assert version["state"] == "AVAILABLE"
    finally:
        if server is not None:
            server.kill()
    assert len(ran) == 8


def curl(words: list[str]) -> str:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    done = subprocess.run(["curl", "--silent", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
