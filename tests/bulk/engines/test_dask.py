"""Dask: its own Executor, a worker that is killed, and Ctrl-C."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.bulk.engines.data import Files, killing, recipe, until
from tfdecode import bulk

distributed = pytest.importorskip("distributed")


@pytest.fixture
def client(workers: str) -> Iterator[distributed.Client]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_dask_survives_the_loss_of_a_worker(files: Files, client: distributed.Client) -> None:
    pids = list(client.run(os.getpid).values())
    address = {"tcp://host:8786": client.scheduler.address}
    with killing(files, lambda: pids[:1]):
        manifest = recipe("distributed", address, plan=files.plan())
    files.prove(manifest)


def test_ctrl_c_ends_the_tasks_and_the_next_run_goes_on(
    files: Files, client: distributed.Client
) -> None:
    def interrupt(facts: bulk.Facts) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"1 of 12 shards are written; run again to go on"):
        bulk.run(files.plan(), client.get_executor(retries=3, pure=False), interrupt)
    until(lambda: not any(client.processing().values()))
    until(lambda: not list(files.out.parent.glob(".*.tmp")))  # what had begun is written
    written = len(list(files.out.parent.glob("train-*")))
    assert 1 <= written <= 6
    kept = []
    executor = client.get_executor(retries=3, pure=False)
    manifest = bulk.run(files.plan(), executor, lambda facts: kept.append(facts["kept"]))
    assert written <= sum(kept) <= 6
    files.prove(manifest)
