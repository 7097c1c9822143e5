"""Run a plan: in this process, in several, or on the executor of an engine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from itertools import islice
from multiprocessing.context import BaseContext
from queue import SimpleQueue
from typing import TYPE_CHECKING

from ..errors import FileError, SkippedWarning, SpecError
from .manifest import Manifest, finish, finished
from .plans import Plan
from .shard import Facts, Failure, Shard, nothing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Shards that a pool of processes has for each of them, so that none waits.
AHEAD = 2


def run(
    plan: Plan,
    workers: int | Executor | SparkSession = 1,
    progress: Callable[[Facts], object] | None = None,
    each: Callable[[Failure | None], object] | None = None,
    *,
    buffersize: int = 1024,
) -> Manifest:
    """Write all shards of a plan and finish the data set.

    Shards that an earlier run wrote, with the same plan, are kept: run it again after a crash or
    Ctrl-C. If the data set is complete already, nothing is done. What was made of a file that is
    newer by now is made again, unless files or data set are at URLs. The manifest of another plan
    is removed before anything is written.

    Parameters
    ----------
    plan : Plan
        What `plan` returned.
    workers : int, concurrent.futures.Executor or pyspark.sql.SparkSession, default 1
        How many processes, or an executor: that of Dask is
        ``client.get_executor(retries=3, pure=False)``. Processes start anew and import the main
        module, so a script needs the usual ``if __name__ == "__main__":``. Or a session of Spark 4,
        which may be one of Spark Connect. The workers of an engine need tfdecode, and the same
        files under the same names.
    progress : callable, optional
        Called with the facts of each shard as it is done.
    each : callable, optional
        Called after each file with its failure, None if it was packed; only by this process, that
        is if ``workers`` is 1.
    buffersize : int, default 1024
        How many shards an executor is given at a time. For a cluster of more than 500 cores, give
        twice the number of cores. The memory it takes is that of the names of their files.

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
        If ``workers`` is something else, or ``buffersize`` is less than 1.
    OSError
        If a shard cannot be written.
    KeyboardInterrupt
        After Ctrl-C: how many shards are written. Tasks that have not begun are cancelled.
    """
    complete = finished(plan)
    if complete is not None:
        return complete
    done: list[Facts] = []
    try:
        with closing(_written(plan, workers, each, buffersize)) as written:  # it stops the workers
            for facts in written:
                done.append(facts)
                if progress is not None:
                    progress(facts)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{plan.out}: {len(done):,} of {len(plan):,} shards are written; run again to go on"
        ) from None
    if not any(facts["examples"] for facts in done):
        raise nothing(plan.out, plan.examples, [one for facts in done for one in facts["failures"]])
    return finish(plan, done)


def _written(
    plan: Plan,
    workers: int | Executor | SparkSession,
    each: Callable[[Failure | None], object] | None,
    buffersize: int,
) -> Generator[Facts, None, None]:
    if not isinstance(buffersize, int) or buffersize < 1:
        raise SpecError(f"buffersize is {buffersize!r}, needs a whole number from 1")
    if isinstance(workers, Executor):
        yield from _submitted(plan, workers, buffersize)
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
        most = min(workers, len(plan))
        with _pool(most) as pool:
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


def _pool(most: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(most, _context(), _begin, (dict(os.environ),))


def _context() -> BaseContext:
    """How processes start: anew, for forks of this one can hang if it has threads."""
    # Before 3.10.9 anybody on the machine could send pickles to a fork server (CVE-2022-42919).
    if sys.platform == "linux" and sys.version_info >= (3, 10, 9):
        from multiprocessing import forkserver

        # One new process imports NumPy and tfdecode, 0.3 s of CPU, and is forked for each worker.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        # Not if TMPDIR is too long for a socket, or if this is a fork of a process that has one.
        with suppress(OSError):
            forkserver.ensure_running()
            return context
    return multiprocessing.get_context("spawn")


def _begin(environment: Mapping[str, str]) -> None:
    """Let a process end at once and silently when it is told to, or when who started it is gone.

    What is left out of files is not told by each: who made the plan was told.
    """
    os.environ.clear()  # it is that of the first run
    os.environ.update(environment)
    warnings.simplefilter("ignore", SkippedWarning)
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C is sent to all, and `run` ends others
        signal.signal(number, _end)
    # The executor's processes would wait for ever for one that was killed.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _end(*_: object) -> None:
    global _ending
    if _ending:  # a second one would interrupt the cleaning up
        return
    _ending = True
    if _writing:  # `Output` then removes the half of a file
        raise KeyboardInterrupt
    os._exit(1)


_writing = _ending = False


def _write(task: bytes) -> Facts:
    """The task of a process."""
    global _writing
    _writing = True
    try:
        return write(task)
    except KeyboardInterrupt:
        os._exit(1)  # the executor would begin with the next shard
    finally:
        _writing = False


def write(task: bytes) -> Facts:
    """The task of a worker: write the shard that `Shard.to_bytes` packed."""
    return Shard.from_bytes(task).write()


def _submitted(
    plan: Plan, executor: Executor, most: int, work: Callable[[bytes], Facts] = write
) -> Iterator[Facts]:
    """The facts of all shards as they come; at most ``most`` of them are in the executor."""
    waiting: set[Future[Facts]] = set()
    done: SimpleQueue[Future[Facts]] = SimpleQueue()  # `wait` would lock all that wait each time
    shards = iter(plan)
    try:
        while True:
            for shard in islice(shards, most - len(waiting)):
                waiting.add(future := executor.submit(work, shard.to_bytes()))
                future.add_done_callback(done.put)
            if not waiting:
                return
            waiting.remove(future := done.get())
            yield future.result()
    finally:
        for future in waiting:
            future.cancel()
