"""Run a plan: in this process, in several, or on the executor of an engine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from ..errors import FileError
from .manifest import Manifest, finish, finished
from .plans import Plan
from .shard import Facts, Shard, nothing

#: Shards that wait in an executor for each one that is worked on, so that no worker waits.
AHEAD = 2


def run(
    plan: Plan,
    workers: int | Executor = 1,
    progress: Callable[[Facts], object] | None = None,
) -> Manifest:
    """Write all shards of a plan and finish the data set.

    Shards that an earlier run wrote, with the same plan, are kept: run it again after a crash. If
    the data set is complete already, nothing is done. The manifest of another plan is removed
    before anything is written.

    Parameters
    ----------
    plan : Plan
        What `plan` returned.
    workers : int or concurrent.futures.Executor, default 1
        How many processes, or an executor: that of Dask is ``client.get_executor(retries=3)``.
        Processes start anew and import the main module, so a script needs the usual
        ``if __name__ == "__main__":``.
    progress : callable, optional
        Called with the facts of each shard as it is done.

    Returns
    -------
    Manifest
        See `finish`.

    Raises
    ------
    FileError
        If no file could be packed; then there is no manifest. If a worker process was killed, for
        example for lack of memory; then the shards that are done stay.
    OSError
        If a shard cannot be written.
    """
    complete = finished(plan)
    if complete is not None:
        return complete
    done: list[Facts] = []
    for facts in _written(plan, workers):
        done.append(facts)
        if progress is not None:
            progress(facts)
    if not any(facts["examples"] for facts in done):
        raise nothing(plan.out, plan.examples, [one for facts in done for one in facts["failures"]])
    return finish(plan, done)


def _written(plan: Plan, workers: int | Executor) -> Iterator[Facts]:
    if isinstance(workers, Executor):
        yield from _submitted(plan, workers, 64)
    elif min(workers, len(plan)) <= 1:
        for shard in plan:
            yield shard.write()
    else:
        # A new process, not a fork: forks of a process with threads can hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(plan)), mp_context=context) as pool:
            try:
                yield from _submitted(plan, pool, AHEAD * workers)
            except BrokenProcessPool:
                raise FileError(
                    f"{plan.out}: a worker process ended, perhaps for lack of memory, or as the "
                    'script lacks if __name__ == "__main__"; run again with fewer workers, the '
                    "shards that are done are kept"
                ) from None


def _submitted(plan: Plan, executor: Executor, most: int) -> Iterator[Facts]:
    """The facts of all shards as they come; at most ``most`` of them are in the executor."""
    waiting: set[Future[Facts]] = set()
    try:
        for shard in plan:
            waiting.add(executor.submit(Shard.write, shard))
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
