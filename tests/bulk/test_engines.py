"""A plan on an executor: how much it is given at a time, what Ctrl-C leaves, what workers see."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode import bulk
from tfdecode.bulk import engines

SPEC = tfd.ArraySpec((2, 3), "uint8")
SHARDS = 100


@pytest.fixture
def plan(tmp_path: Path) -> bulk.Plan:
    np.save(tmp_path / "x.npy", np.zeros((SHARDS, 2, 3), "uint8"))
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "train.tfrecord"
    return bulk.plan([tmp_path / "x.npy"], out, SPEC, shards=SHARDS, split_axis=0)


class Held(ThreadPoolExecutor):
    """Begins when it has so many tasks, and ends if it may; counts how many it has at most."""

    def __init__(self, tasks: int, may_end: int = SHARDS) -> None:
        super().__init__(1)
        self.may_end = threading.Semaphore(may_end)
        self.tasks, self.now, self.most, self.lock = tasks, 0, 0, threading.Lock()
        self.full = threading.Event()

    def submit(self, work: Any, task: bytes) -> Future[Any]:  # type: ignore[override]
        self._count(1)
        future = super().submit(self._after, work, task)
        future.add_done_callback(lambda _: self._count(-1))
        return future

    def _count(self, number: int) -> None:
        with self.lock:
            self.now += number
            self.most = max(self.most, self.now)
            if self.now == self.tasks:
                self.full.set()

    def _after(self, work: Any, task: bytes) -> bulk.Facts:
        assert self.full.wait(20), f"was given {self.most}"
        assert self.may_end.acquire(timeout=20)
        facts: bulk.Facts = work(task)
        return facts


@pytest.mark.parametrize(("options", "most"), [({}, SHARDS), ({"buffersize": 7}, 7)])
def test_an_executor_has_enough_and_not_too_much(
    plan: bulk.Plan, options: dict[str, int], most: int
) -> None:
    with Held(most) as executor:
        manifest = bulk.run(plan, executor, **options)
    assert manifest["examples"] == SHARDS and executor.most == most


def test_ctrl_c_cancels_what_has_not_begun_and_says_how_to_go_on(plan: bulk.Plan) -> None:
    done: list[bulk.Facts] = []

    def interrupt(facts: bulk.Facts) -> None:
        done.append(facts)
        if len(done) == 3:
            raise KeyboardInterrupt

    with Held(20, 3) as executor:
        with pytest.raises(KeyboardInterrupt, match="3 of 100 shards are written; run again to go"):
            bulk.run(plan, executor, interrupt, buffersize=20)
        executor.may_end.release(20)
    written = len(list(Path(plan.out).parent.glob("train-*")))
    assert written in (3, 4)  # a fourth had begun
    kept = []
    assert bulk.run(plan, 1, lambda facts: kept.append(facts["kept"]))["examples"] == SHARDS
    assert sum(kept) == written


def test_workers_have_the_environment_of_their_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of the first run: credentials of an object store may be set after it has failed."""
    monkeypatch.setenv("OLD", "1")
    for token, old in (("a", "1"), ("b", None)):
        monkeypatch.setenv("TOKEN", token)
        if old is None:
            monkeypatch.delenv("OLD")
        with engines._pool(1) as pool:
            assert list(pool.map(os.getenv, ["TOKEN", "OLD"])) == [token, old]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no fork server elsewhere")
def test_processes_start_without_a_fork_server(
    plan: bulk.Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a fork of a process that has one, or if the name of its socket is too long."""
    from multiprocessing import forkserver

    def fails() -> None:
        raise OSError("AF_UNIX path too long")

    monkeypatch.setattr(forkserver, "ensure_running", fails)
    assert engines._context().get_start_method() == "spawn"
    assert bulk.run(plan, 2)["examples"] == SHARDS


@pytest.mark.parametrize("size", [0, -1, 1.5, None])
def test_a_wrong_size_is_refused(plan: bulk.Plan, size: Any) -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(tfd.SpecError, match="buffersize is"):
        bulk.run(plan, executor, buffersize=size)
