"""Spark 4: local, a cluster of machines on loopback, and Spark Connect, with what dies in each."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tfdecode as tfd
from tests.bulk.engines.data import SPEC, Files, below, killing, recipe, until
from tfdecode import bulk
from tfdecode.bulk import spark

pyspark = pytest.importorskip("pyspark")
from pyspark.sql import SparkSession  # noqa: E402


@contextmanager
def session(master: str) -> Iterator[SparkSession]:
    builder = SparkSession.builder.appName("test")
    if master.startswith("sc://") or master == "connect":
        builder = builder.remote("local[2]" if master == "connect" else master)
    else:
        options = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.executor.memory": "1g",
            "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"],
            "spark.log.level": "OFF",
        }
        builder = builder.master(master).config(map=options)
    made = builder.getOrCreate()
    try:
        yield made
    finally:
        made.stop()


class Cluster(NamedTuple):
    master: str
    machines: list[subprocess.Popen[bytes]]


def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two machines of one core, as the wheel brings them: it has no scripts for it."""
    tmp_path = tmp_path_factory.mktemp("cluster")
    home, at = Path(pyspark.__file__).parent, port()
    environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m"}
    environment |= {"SPARK_LOCAL_DIRS": str(tmp_path / "local"), "SPARK_LOCAL_IP": "127.0.0.1"}
    processes = []

    def start(name: str, *arguments: object) -> subprocess.Popen[bytes]:
        command = [f"{home}/bin/spark-class", f"org.apache.spark.deploy.{name}"]
        command += [*map(str, arguments), "--host", "127.0.0.1", "--webui-port", str(port())]
        with (tmp_path / f"{name}.log").open("ab") as log:
            processes.append(
                subprocess.Popen(
                    command, stdout=log, stderr=log, env=environment, start_new_session=True
                )
            )
        return processes[-1]

    def said(text: str, count: int) -> bool:
        return (tmp_path / "master.Master.log").read_text().count(text) >= count

    try:
        start("master.Master", "--port", at)
        until(lambda: said("Starting Spark master", 1))
        size = ("--cores", 1, "--memory", "1500m", "--work-dir", tmp_path / "work")
        url = f"spark://127.0.0.1:{at}"
        machines = [start("worker.Worker", url, *size) for _ in range(2)]
        until(lambda: said("Registering worker", 2))
        yield Cluster(url, machines)
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)


def test_local_survives_the_loss_of_a_python_worker(files: Files) -> None:
    told: list[int] = []
    with session("local[2,4]") as made, killing(files, lambda: below("pyspark.daemon")[-1:]):
        manifest = bulk.run(files.plan(), made, lambda facts: told.append(facts["index"]))
    assert sorted(told) == list(range(len(files.plan())))
    files.prove(manifest)


def test_local_without_retries_says_so_and_is_resumed(files: Files) -> None:
    with session("local[2]") as made:
        with (
            killing(files, lambda: below("pyspark.daemon")[-1:]),
            pytest.raises(tfd.FileError, match=r"local\[2\] tries a task once, local\[2,4\]") as e,
        ):
            bulk.run(files.plan(), made)
        print(e.value)
        assert "\n" not in str(e.value)
        assert not bulk.manifest.manifest_path(files.out).exists()
        kept = []
        manifest = bulk.run(files.plan(), made, lambda facts: kept.append(facts["kept"]))
    assert any(kept) and not all(kept)
    files.prove(manifest)


def test_an_interrupted_run_is_resumed(files: Files) -> None:
    def interrupt(facts: bulk.Facts) -> None:
        if facts["index"]:
            raise KeyboardInterrupt

    with session("local[2,4]") as made:
        with pytest.raises(KeyboardInterrupt):
            bulk.run(files.plan(), made, interrupt)
        before = time.monotonic()
        kept = []
        manifest = bulk.run(files.plan(), made, lambda facts: kept.append(facts["kept"]))
        assert time.monotonic() - before < 60
    assert any(kept) and not all(kept)
    files.prove(manifest)


#: The machine last: the cluster is one for all.
LOST: dict[str, Any] = {
    "a Python worker": lambda _: below("pyspark.daemon")[-1:],
    "an executor": lambda _: below("CoarseGrainedExecutorBackend")[:1],
    "a machine": lambda one: [*below("", one.machines[0].pid), one.machines[0].pid],
}


@pytest.mark.parametrize("lost", LOST)
def test_a_cluster_survives_a_loss(lost: str, files: Files, cluster: Cluster) -> None:
    changes = {"/Volumes/main/default/maps/train.tfrecord": files.out, "shards=128": "shards=12"}
    with session(cluster.master) as made, killing(files, lambda: LOST[lost](cluster)):
        manifest = recipe("/Volumes", changes, names=files.names, schema=SPEC, spark=made)
    files.prove(manifest)


def test_two_runs_at_once_write_one_data_set(files: Files) -> None:
    plans = [files.plan(), files.plan()]
    with session("local[2,4]") as made, ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda plan: bulk.run(plan, made), plans)
    assert first == second
    files.prove(first)


def test_shards_of_many_pieces_and_many_jobs(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "PIECE", 300)
    monkeypatch.setattr(spark, "JOB", 4000)
    plan = files.plan()
    assert len(list(spark.tasks(plan))) > 2
    with session("local[2,4]") as made:
        files.prove(bulk.run(plan, made))


def test_workers_that_write_elsewhere_are_told(files: Files, tmp_path: Path) -> None:
    with session("local[2,4]") as made:
        plan = bulk.plan(files.names[:9], tmp_path / "none" / "train.tfrecord", SPEC, shards=3)
        with pytest.raises(tfd.FileError, match=r"No such file or directory|does not exist"):
            bulk.run(plan, made)
