"""Times of Python functions that are run in turns, so that a busy moment hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any


def medians(
    works: Mapping[str, Callable[[], Any]], seconds: float = 3.0, least: int = 5
) -> dict[str, float]:
    """Median milliseconds of each function, after one round of warm-up.

    Rounds go on until ``seconds`` are over, but at least ``least`` are made; each function is as
    often the first of a round as the others.
    """
    names = list(works)
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in names}
    end = time.perf_counter() + seconds
    for turn in count():
        if turn >= least and time.perf_counter() > end:
            break
        for index in range(len(names)):
            name = names[(turn + index) % len(names)]
            start = time.perf_counter()
            works[name]()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) * 1e3 for name, taken in times.items()}
