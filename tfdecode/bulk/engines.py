"""Run a plan: in this process, in several, or on the executor of an engine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import TYPE_CHECKING

from ..errors import FileError, SkippedWarning, SpecError
from .manifest import Manifest, finish, finished
from .plans import Plan
from .shard import Facts, Failure, Shard, nothing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Shards that wait in an executor for each one that is worked on, so that no worker waits.
AHEAD = 2


def run(
    plan: Plan,
    workers: int | Executor | SparkSession = 1,
    progress: Callable[[Facts], object] | None = None,
    each: Callable[[Failure | None], object] | None = None,
) -> Manifest:
    """Write all shards of a plan and finish the data set.

    Shards that an earlier run wrote, with the same plan, are kept: run it again after a crash. If
    the data set is complete already, nothing is done. The manifest of another plan is removed
    before anything is written.

    Parameters
    ----------
    plan : Plan
        What `plan` returned.
    workers : int, concurrent.futures.Executor or pyspark.sql.SparkSession, default 1
        How many processes, or an executor: that of Dask is ``client.get_executor(retries=3)``.
        Processes start anew and import the main module, so a script needs the usual
        ``if __name__ == "__main__":``. Or a session of Spark 4, which may be one of Spark Connect.
        The workers of an engine need tfdecode, and the same files under the same names.
    progress : callable, optional
        Called with the facts of each shard as it is done.
    each : callable, optional
        Called after each file with its failure, None if it was packed; only by this process, that
        is if ``workers`` is 1.

    Returns
    -------
    Manifest
        See `finish`.

    Raises
    ------
    FileError
        If no file could be packed; then there is no manifest. If a worker process was killed, for
        example for lack of memory, or Spark gave a task up; then the shards that are done stay.
    SpecError
        If ``workers`` is something else.
    OSError
        If a shard cannot be written.
    """
    complete = finished(plan)
    if complete is not None:
        return complete
    done: list[Facts] = []
    with closing(_written(plan, workers, each)) as written:  # it stops the workers
        for facts in written:
            done.append(facts)
            if progress is not None:
                progress(facts)
    if not any(facts["examples"] for facts in done):
        raise nothing(plan.out, plan.examples, [one for facts in done for one in facts["failures"]])
    return finish(plan, done)


def _written(
    plan: Plan,
    workers: int | Executor | SparkSession,
    each: Callable[[Failure | None], object] | None,
) -> Generator[Facts, None, None]:
    if isinstance(workers, Executor):
        yield from _submitted(plan, workers, 64)
    elif hasattr(workers, "createDataFrame"):
        from . import spark  # pyspark takes a second to import

        yield from spark.written(plan, workers)
    elif not isinstance(workers, int):
        found = type(workers).__name__
        raise SpecError(f"workers is {found}, needs an int, an Executor or a SparkSession")
    elif min(workers, len(plan)) <= 1:
        for shard in plan:
            yield shard.write(each)
    else:
        # A new process, not a fork: forks of a process with threads can hang.
        context = multiprocessing.get_context("spawn")
        most = min(workers, len(plan))
        with ProcessPoolExecutor(most, mp_context=context, initializer=_begin) as pool:
            try:
                yield from _submitted(plan, pool, AHEAD * workers, _write)
            except BrokenProcessPool:
                raise FileError(
                    f"{plan.out}: a worker process ended, perhaps for lack of memory, or as the "
                    'script lacks if __name__ == "__main__"; run again with fewer workers, the '
                    "shards that are done are kept"
                ) from None
            except BaseException:  # do not wait for whole shards
                for process in list((pool._processes or {}).values()):
                    process.terminate()
                raise


def _begin() -> None:
    """Let a process end at once and silently when it is told to.

    What is left out of files is not told by each: who made the plan was told.
    """
    warnings.simplefilter("ignore", SkippedWarning)
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C is sent to all, and `run` ends others
        signal.signal(number, _end)


def _end(*_: object) -> None:
    global _ending
    if _ending:  # a second one would interrupt the cleaning up
        return
    _ending = True
    if _writing:  # `Output` then removes the half of a file
        raise KeyboardInterrupt
    os._exit(1)


_writing = _ending = False


def _write(shard: Shard) -> Facts:
    """The task of a process."""
    global _writing
    _writing = True
    try:
        return shard.write()
    except KeyboardInterrupt:
        os._exit(1)  # the executor would begin with the next shard
    finally:
        _writing = False


def _submitted(
    plan: Plan, executor: Executor, most: int, write: Callable[[Shard], Facts] = Shard.write
) -> Iterator[Facts]:
    """The facts of all shards as they come; at most ``most`` of them are in the executor."""
    waiting: set[Future[Facts]] = set()
    try:
        for shard in plan:
            waiting.add(executor.submit(write, shard))
            if len(waiting) >= most:
                yield from _first(waiting)
        while waiting:
            yield from _first(waiting)
    finally:
        for future in waiting:
            future.cancel()


def _first(waiting: set[Future[Facts]]) -> Iterator[Facts]:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        waiting.discard(future)
        yield future.result()
