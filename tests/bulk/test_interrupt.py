"""Ctrl-C, and a signal to one process: it ends soon, says how to go on, and leaves no half file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfdecode.cli import main

SLOW = Path(__file__).parent / "slow"


def ctrl_c(process: subprocess.Popen[str]) -> None:
    """As a terminal does: to all processes of the command."""
    os.killpg(process.pid, signal.SIGINT)


def only_one(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGINT)


COMMAND = ["pack", "in", "--tfrecord", "out/train.tfrecord", "--shards", "4"]


def started(workers: int) -> subprocess.Popen[str]:
    """A command in this directory that has written a shard and half of another one."""
    Path("in").mkdir()
    Path("out").mkdir()
    for index in range(80):
        np.save(f"in/{index:03d}.npy", np.full((3, 4), index % 3, "uint8"))
    path = os.pathsep.join([str(SLOW), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-m", "tfdecode", *COMMAND, "--workers", str(workers)],
        env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
        # What runs in the background of a shell ignores the signal, and so would the command.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    half = Path("out").glob
    while not (list(half(".train-*.json")) and list(half(".train-*.tfrecord.[0-9a-f]*.tmp"))):
        assert process.poll() is None
        time.sleep(0.005)
    return process


@pytest.mark.parametrize(("workers", "interrupt"), [(1, ctrl_c), (2, ctrl_c), (2, only_one)])
def test_an_interrupted_command_goes_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    workers: int,
    interrupt: Callable[[subprocess.Popen[str]], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    process = started(workers)
    interrupt(process)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(error.splitlines()) == 1, error
    (line,) = error.splitlines()
    assert line.startswith("tfdecode pack: interrupted after ") and line.endswith(
        " of 4 shards; the same command goes on from there"
    )
    half = Path("out").glob
    assert not list(half(".*.tmp")) and len(list(half("train-*"))) < 4
    assert main(COMMAND) == 0
    out, _ = capsys.readouterr()
    assert "80 examples in 4 shards" in out and "were there already" in out
    assert len(os.listdir("out")) == 4 + 2


def test_workers_end_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it is killed: they would wait for ever for work."""
    monkeypatch.chdir(tmp_path)
    process = started(2)
    process.kill()
    process.communicate(timeout=60)  # they hold its pipes
    assert not list(Path("out").glob(".*.tmp"))
