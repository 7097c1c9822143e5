"""``tfdecode bench``: what chains make of a file on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tfdecode.cli import bench, main, measure


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(measure, "ROUNDS", 2)
    monkeypatch.setattr(bench, "MEASURED", 2)
    monkeypatch.chdir(tmp_path)


def test_the_chains_of_a_file_are_measured_in_tensorflow(capsys) -> None:
    np.save("labels.npy", np.kron(np.eye(8), np.ones((16, 16))))
    assert main(["bench", "labels.npy"]) == 0
    out, _ = capsys.readouterr()
    assert "labels.npy: float64 [128,128], 131,072 bytes, batches of 16" in out
    assert "of bare" in out and "raw|zlib|seal" in out


def test_json(capsys) -> None:
    np.savez("maps.npz", a=np.zeros((8, 8), "f4"), b=np.zeros(3))
    assert main(["bench", "maps.npz", "--key", "a", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr()[0])
    assert len(found["chains"]) <= 2 + len(bench.PLAIN)
    assert found["array_bytes"] == 256 and found["bare_ms"] > 0
    assert all(one["decode_ms"] > 0 < one["payload_bytes"] for one in found["chains"])


@pytest.mark.parametrize("arguments", [[], ["x.npy", "--prefer", "x"]])
def test_a_wrong_command_line(arguments: list[str]) -> None:
    assert main(["bench", *arguments]) == 2


def test_a_file_that_cannot_be_read_is_told_in_a_line(capsys) -> None:
    assert main(["bench", "none.npy"]) == 1
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and "No such file" in err
