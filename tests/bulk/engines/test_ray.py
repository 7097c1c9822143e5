"""Ray: a task for each shard, and a worker that is killed."""

from __future__ import annotations

import pytest

from tests.bulk.engines.data import Files, below, killing, recipe
from tfdecode import bulk

ray = pytest.importorskip("ray")


def test_ray_survives_the_loss_of_a_worker(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # of a busy machine
    ray.init(
        num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20,
        _node_ip_address="127.0.0.1", log_to_driver=False,
    )  # fmt: skip
    try:
        with killing(files, lambda: below("^ray::(?!IDLE|.*Agent)")[:1]):
            manifest = recipe("import ray", {}, bulk=bulk, plan=files.plan())
    finally:
        ray.shutdown()
    files.prove(manifest)
