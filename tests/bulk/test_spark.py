"""Spark without Spark: how the shards of a plan are sent, and what is said when it fails.

What needs Spark itself is in ``engines``: ``make test-bulk`` runs it.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode import bulk
from tfdecode.bulk import spark

SPEC = tfd.ArraySpec((2, 3), "uint8")


@pytest.fixture
def plan(tmp_path: Path) -> bulk.Plan:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for index in range(12):
        np.save(tmp_path / "in" / f"{index:02d}.npy", np.full((2, 3), index, "uint8"))
    files = sorted((tmp_path / "in").iterdir())
    return bulk.plan(files, tmp_path / "out" / "train.tfrecord", SPEC, shards=6)


class Table:
    """A DataFrame, with a partition for each number of a shard, and its rows in any order."""

    def __init__(self, rows: list[spark.Row]) -> None:
        self.partitions = [list(rows)]

    def repartitionByRange(self, count: int, column: str) -> Table:
        (rows,) = self.partitions
        assert column == "shard" and len({index for index, *_ in rows}) == count
        self.partitions = [[row for row in rows if row[0] == index] for index in range(count)]
        # Spark takes borders by counting rows: each shard needs as many.
        assert len({len(partition) for partition in self.partitions}) == 1
        return self

    def sortWithinPartitions(self, *columns: str) -> Table:
        assert columns == ("shard", "piece")
        self.partitions = [sorted(random.sample(p, len(p))) for p in self.partitions]
        return self

    def mapInArrow(self, task: Callable[..., object], _: str) -> Table:
        assert task is spark._write
        return self

    def collect(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(facts=facts)
            for partition in self.partitions
            for facts in [*spark.facts_of(partition), *spark.facts_of(partition)]  # a retry
        ]


class Session:
    """A session of Spark that runs its tasks here."""

    def __init__(self) -> None:
        self.jobs: list[int] = []
        self.tags: list[str] = []
        self.interrupted: list[str] = []
        self.error: Exception | None = None
        self.conf = {"spark.master": "local[2]"}

    def createDataFrame(self, rows: list[spark.Row], _: str) -> Table:
        if self.error:
            raise self.error
        self.jobs.append(len(rows))
        return Table(rows)

    def addTag(self, tag: str) -> None:
        self.tags.append(tag)

    def interruptTag(self, tag: str) -> None:
        self.interrupted.append(tag)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_spark_writes_the_bytes_that_one_process_writes(plan: bulk.Plan) -> None:
    out = Path(plan.out).parent
    bulk.run(plan)
    expected = contents(out)
    for path in out.iterdir():
        path.unlink()
    told: list[int] = []
    bulk.run(plan, Session(), lambda facts: told.append(facts["index"]))
    assert contents(out) == expected
    assert sorted(told) == list(range(6))


def test_a_job_has_a_bounded_number_of_bytes(
    plan: bulk.Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "PIECE", 100)
    monkeypatch.setattr(spark, "JOB", 1500)
    jobs = list(spark.tasks(plan))
    assert [shard.index for job in jobs for shard, _ in job] == list(range(6))
    assert all(sum(len(data) for _, data in job) <= 1500 for job in jobs)
    session = Session()
    bulk.run(plan, session)
    assert len(session.jobs) == len(jobs) > 1
    assert max(map(len, (row[2] for row in spark.rows([data for _, data in jobs[0]])))) == 100
    monkeypatch.setattr(spark, "JOB", 1)  # a shard cannot be less than one
    assert [len(job) for job in spark.tasks(plan)] == [1] * 6


def test_rows_of_shards_of_different_size_are_as_many() -> None:
    sent = [b"a" * (3 * spark.PIECE + 1), b"b", b""]
    found = spark.rows(sent)
    assert [row[:2] for row in found] == [(i, piece) for i in range(3) for piece in range(4)]
    assert [b"".join(row[2] for row in found if row[0] == i) for i in range(3)] == sent


def test_shards_are_told_by_their_notes_before_their_job_ends(plan: bulk.Plan) -> None:
    plan[1].write()
    (job,) = spark.tasks(plan)
    notes = spark.Notes(plan)
    notes.expect(job)
    assert list(notes.read()) == []  # that of an earlier run: the task may refuse it
    plan[2].write()
    plan[4].write()
    assert sorted(facts["index"] for facts in notes.read()) == [2, 4]
    assert list(notes.read()) == []


def test_relative_names_are_those_of_the_driver(
    plan: bulk.Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = bulk.plan(["in/01.npy", "in/02.npy"], "out/train.tfrecord", SPEC)
    (job,) = spark.tasks(plan)
    (tmp_path / "worker").mkdir()
    monkeypatch.chdir(tmp_path / "worker")
    (facts,) = map(json.loads, spark.facts_of(spark.rows([data for _, data in job])))
    assert facts["examples"] == 2 and os.getcwd() == str(tmp_path / "worker")


KILLED = """An error occurred while calling o96.collectToPython.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 5 in stage 2.0 failed
\tat org.apache.spark.api.python.BasePythonRunner
"""
RAISED = """An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/usr/lib/shard.py", line 98, in write
OSError: [Errno 28] No space left on device
\tat org.apache.spark.scheduler.DAGScheduler
"""


@pytest.mark.parametrize(
    ("text", "master", "said"),
    [
        (KILLED, "local[2]", "local[2] tries a task once, local[2,4] up to 4 times; run again"),
        (KILLED, "local", "local tries a task once, local[1,4] up to 4 times; run again, the"),
        (KILLED, "local[2,4]", "stage 2.0 failed; run again, the shards that"),
        (KILLED, "spark://host:7077", "stage 2.0 failed; run again, the shards that"),
        (RAISED, "yarn", "gave up: OSError: [Errno 28] No space left on device; run again"),
        ("ModuleNotFoundError: No module named 'tfdecode'", "yarn", "install tfdecode with its"),
        ("", "yarn", "Spark gave up: without a reason; run again"),
    ],
)
def test_a_failure_says_why_and_what_to_do(
    plan: bulk.Plan, text: str, master: str, said: str
) -> None:
    session = Session()
    session.error, session.conf = RuntimeError(text), {"spark.master": master}
    with pytest.raises(tfd.FileError) as caught:
        bulk.run(plan, session)
    assert said in str(caught.value) and str(caught.value).startswith(plan.out)
    assert session.interrupted == session.tags[:1] and session.tags


def test_an_interrupted_run_stops_its_jobs_and_goes_on_later(plan: bulk.Plan) -> None:
    session = Session()

    def interrupt(_: bulk.Facts) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bulk.run(plan, session, interrupt)
    assert session.interrupted
    kept = []
    manifest = bulk.run(plan, 1, lambda facts: kept.append(facts["kept"]))
    assert manifest["examples"] == 12 and any(kept)


def test_workers_of_another_kind_are_refused(plan: bulk.Plan) -> None:
    with pytest.raises(tfd.SpecError, match="workers is str, needs an int, an Executor or a Spark"):
        bulk.run(plan, "local[2]")
