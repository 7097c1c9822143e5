"""``tfdecode bench``: what chains make of a file here, and what each codec costs to decode."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tfdecode.choose import calibrate, costs
from tfdecode.cli import main


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(calibrate, "ROUNDS", 2)
    monkeypatch.chdir(tmp_path)
    costs.known.cache_clear()
    yield
    costs.known.cache_clear()


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
    assert found["array_bytes"] == 256 and found["bare_ms"] > 0
    assert all(one["decode_ms"] > 0 < one["payload_bytes"] for one in found["chains"])


def test_calibrating_measures_every_codec_that_a_choice_is_made_of(capsys) -> None:
    assert main(["bench", "--calibrate"]) == 0
    out, _ = capsys.readouterr()
    assert f"kept in {costs.place()}" in out
    table = json.loads(costs.place().read_text())
    assert {"raw", "zlib", "png", "astype"} <= set(table) <= set(costs.COSTS)
    assert table["raw"][0] > 0 and table["zlib"][0] + table["zlib"][1] > 0
    costs.known.cache_clear()
    assert costs.known()["raw"].made == table["raw"][0]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"raw": 3}', '{"raw": ["x", 1]}', "\xff"])
def test_a_damaged_file_of_costs_is_none(text: str) -> None:
    costs.place().parent.mkdir(parents=True)
    costs.place().write_text(text, encoding="latin-1")
    assert costs.known() == costs.COSTS


@pytest.mark.parametrize("arguments", [[], ["x.npy", "--calibrate"], ["x.npy", "--prefer", "x"]])
def test_a_wrong_command_line(arguments: list[str]) -> None:
    assert main(["bench", *arguments]) == 2


def test_a_file_that_cannot_be_read_is_told_in_a_line(capsys) -> None:
    assert main(["bench", "none.npy"]) == 1
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and "No such file" in err
