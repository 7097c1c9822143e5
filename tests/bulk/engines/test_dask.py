"""Dask: its own Executor, and a worker that is killed."""

from __future__ import annotations

import os

import pytest

from tests.bulk.engines.data import Files, killing
from tfdecode import bulk

distributed = pytest.importorskip("distributed")


def test_dask_survives_the_loss_of_a_worker(files: Files) -> None:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        with killing(files, lambda: pids[:1]):
            manifest = bulk.run(files.plan(), client.get_executor(retries=3))
    files.prove(manifest)
