"""Run a plan on Spark, by DataFrames alone: Spark Connect has no RDDs.

Driver and workers need to see the same files, under the same names.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileError
from ..extras import LazyModule
from .plans import Plan
from .shard import Facts, Shard

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Bytes of a row. One row for all files of a plan could have gigabytes.
PIECE = 2**20
#: Bytes of the rows of a job: the driver holds them, and a message of Spark Connect has at most
#: 128 MiB. This is a million names of files.
JOB = 2**24
#: Jobs at once: while the last tasks of one are done, the idle workers begin with the next.
JOBS = 2
#: Seconds between two looks for notes of tasks.
LOOK = 1.0
#: Of the driver's directory, with which a task begins.
END = b"\0"
#: A row: the number of a shard, the number of a piece, and the piece of a task.
Row = tuple[int, int, bytes]

_pyspark: Any = LazyModule("pyspark.sql", "spark")
_pyarrow: Any = LazyModule("pyarrow", "spark")
_source: Any = LazyModule("tfdecode.bulk.spark_source", "spark")


@contextmanager
def session(master: str) -> Iterator[SparkSession]:
    """A session on ``local[2,4]``, ``spark://host:7077`` or, by Spark Connect, ``sc://host``."""
    builder = _pyspark.SparkSession.builder.appName("tfdecode pack")
    if master.startswith("sc://"):
        builder = builder.remote(master)
    else:
        if master.startswith("local"):  # the workers of a cluster have another Python
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        # Our own progress is shown, and failures are reported once.
        quiet = {"spark.ui.showConsoleProgress": "false", "spark.log.level": "OFF"}
        builder = builder.master(master).config(map=quiet)
    try:
        found = builder.getOrCreate()
    except Exception as error:
        raise FileError(f"Spark at {master} cannot be used: {reason(str(error))}") from error
    try:
        yield found
    finally:
        with suppress(Exception):  # it may be gone
            found.stop()


def register(spark: SparkSession) -> None:
    """Make the format "tfdecode" known to a session of Spark 4, which may be one of Spark Connect.

    ``write`` makes a data set of a table: each partition becomes a shard. A row becomes an example,
    whose inputs are the columns of their names: files as ``binary``, or arrays of numbers, nested
    or flat in row-major order. Other columns become features, and ``file`` the name. Rows that
    cannot be packed are listed in the manifest. Options of ``write``:

    - ``schema``, the text of `Schema.to_json`; or ``spec``, that of `ArraySpec.to_json`, and
      ``name``, the column of the only input (default: ``array``)
    - ``key``: which array of each file; ``casting``: see `tfdecode.load`

    ``read`` gives the examples, with their arrays as nested arrays, for checks.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        The session.
    """
    spark.dataSource.register(_source.DataSet)


def written(plan: Plan, spark: SparkSession) -> Iterator[Facts]:
    """The facts of all shards as they come, each once."""
    add_tag, interrupt = _tags(spark, f"tfdecode-{os.urandom(8).hex()}")
    jobs, fresh, told = tasks(plan), Notes(plan), set()
    running: set[Future[list[Facts]]] = set()
    with ThreadPoolExecutor(JOBS) as threads:
        try:
            while True:
                while len(running) < JOBS and (job := next(jobs, None)):
                    fresh.expect(job)
                    running.add(threads.submit(_run, spark, [data for _, data in job], add_tag))
                if not running:
                    return
                done, running = wait(running, LOOK, FIRST_COMPLETED)
                for facts in [*fresh.read(), *(one for job in done for one in job.result())]:
                    if facts["index"] not in told:
                        told.add(facts["index"])
                        yield facts
        except BaseException as error:
            with suppress(Exception):
                interrupt()
            if isinstance(error, Exception):
                raise FileError(failure(plan, spark, error)) from error
            raise


def _tags(spark: SparkSession, tag: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Mark the jobs of a thread, and stop all that are marked."""
    try:  # the session's own tags stop nothing that another thread began
        context = spark.sparkContext
    except Exception:  # Spark Connect has no context
        return partial(spark.addTag, tag), partial(spark.interruptTag, tag)
    return partial(context.addJobTag, tag), partial(context.cancelJobsWithTag, tag)


def tasks(plan: Iterable[Shard]) -> Iterator[list[tuple[Shard, bytes]]]:
    """The shards, each with its bytes, in jobs of at most JOB bytes or one shard."""
    job: list[tuple[Shard, bytes]] = []
    size, folder = 0, os.fsencode(os.getcwd())
    for shard in plan:
        data = folder + END + shard.to_bytes()
        if job and size + len(data) > JOB:
            yield job
            job, size = [], 0
        job.append((shard, data))
        size += len(data)
    if job:
        yield job


def rows(tasks: list[bytes]) -> list[Row]:
    """Each task in pieces, all of them in as many: Spark then puts each into a partition."""
    pieces = max(-(-len(task) // PIECE) for task in tasks)
    return [
        (index, number, task[number * PIECE : (number + 1) * PIECE])
        for index, task in enumerate(tasks)
        for number in range(pieces)
    ]


def facts_of(rows: Iterable[Row]) -> Iterator[str]:
    """Write the shards of a partition; their facts as JSON."""
    for _, pieces in groupby(rows, itemgetter(0)):
        folder, _, shard = b"".join(piece for *_, piece in pieces).partition(END)
        with _within(os.fsdecode(folder)):
            yield json.dumps(Shard.from_bytes(shard).write())


def _run(spark: SparkSession, tasks: list[bytes], add_tag: Callable[[], object]) -> list[Facts]:
    """Run a job, in a thread of its own: a partition and so a task for each shard."""
    add_tag()
    table = spark.createDataFrame(rows(tasks), "shard int, piece int, data binary")
    # repartition(n, "shard") would put several shards into one partition and none into another.
    table = table.repartitionByRange(len(tasks), "shard").sortWithinPartitions("shard", "piece")
    return [json.loads(row.facts) for row in table.mapInArrow(_write, "facts string").collect()]


def _write(batches: Iterable[Any]) -> Iterator[Any]:
    """The task, on a worker."""
    columns = ("shard", "piece", "data")
    parts = (zip(*(batch[name].to_pylist() for name in columns), strict=True) for batch in batches)
    for facts in facts_of(row for part in parts for row in part):
        yield _pyarrow.RecordBatch.from_pydict({"facts": [facts]})


@contextmanager
def _within(folder: str) -> Iterator[None]:
    """Names of files are relative to the driver's directory, if the worker has it."""
    before = os.getcwd()
    if os.path.isdir(folder):
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class Notes:
    """The notes that tasks leave next to their shards: Spark tells nothing before a job ends.

    Those at a URL are slow to list, so they are not read.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._names = plan.id, set[str]()
        self._folder = Path(plan.out).parent

    def expect(self, job: list[tuple[Shard, bytes]]) -> None:
        """Look for the notes of a job; not for those of an earlier run, which it may refuse."""
        notes = [note for shard, _ in job if isinstance(note := shard.note, Path)]
        self._names |= {note.name for note in notes if not note.exists()}

    def read(self) -> Iterator[Facts]:
        """The facts of shards that were written since the last call."""
        with suppress(OSError), os.scandir(self._folder) as entries:
            found = [entry.name for entry in entries if entry.name in self._names]
            self._names.difference_update(found)
            for name in found:
                facts: Facts = json.loads((self._folder / name).read_bytes())
                if facts["plan"] == self._plan:
                    yield facts


def failure(plan: Plan, spark: SparkSession, error: Exception) -> str:
    """What Spark says, and what to do."""
    text, advice = str(error), "run again, the shards that are done are kept"
    master = ""
    with suppress(Exception):
        master = str(spark.conf.get("spark.master"))
    once = re.fullmatch(r"local(?:\[([^,]+)\])?", master)
    if "No module named 'tfdecode'" in text or "not installed; install tfdecode" in text:
        advice = "install tfdecode with its extra 'spark' for the Python of the workers"
    elif once:
        several = f"local[{once[1] or 1},4] up to 4 times"
        advice = f"{master} tries a task once, {several}; {advice}"
    return f"{plan.out}: Spark gave up: {reason(text)}; {advice}"


def reason(text: str) -> str:
    """The line of a message that says why: the error of a worker, of Java, or the first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(?!org\.|java\.)[\w.]*Error: ", line)]
    java = [line.split(": ", 2)[2] for line in lines if re.match(r": [\w.$]+: ", line)]
    return (errors[-1:] or java or lines or ["without a reason"])[0]
