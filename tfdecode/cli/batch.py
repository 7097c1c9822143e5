"""Doing one thing to each of several files: a failure of one does not stop the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import TfdecodeError
from .failure import complain, one_line, reason
from .show import fits, progress, say, table

Facts = dict[str, Any]


def each(
    command: str,
    paths: Sequence[Path],
    work: Callable[[int], Facts],
    *,
    as_json: bool,
    sentence: Callable[[Facts], str],
    columns: dict[str, Callable[[Facts], str]],
    right: Sequence[str],
) -> int:
    """Call ``work`` with the index of each path, tell what came of it, return the exit status.

    ``work`` returns what is told of one file: as ``sentence`` makes it for a single file, in a
    table of ``columns`` for several (as sentences again where a terminal is too narrow for it), or
    as one JSON array.
    """
    told, failures = gather(command, paths, work)
    good = [facts for facts in told if "error" not in facts]
    if as_json:
        say(json.dumps(told, indent=2))
    elif good and len(paths) == 1:
        say(one_line(sentence(good[0])))
    elif good:
        rows = [[cell(facts) for cell in columns.values()] for facts in good]
        if not fits(list(columns), rows):
            for facts in good:
                say(one_line(sentence(facts)))
        else:
            table(list(columns), rows, right)
    for failure in failures:
        complain(command, failure)
    return 1 if failures else 0


def gather(
    command: str, paths: Sequence[Path], work: Callable[[int], Facts]
) -> tuple[list[Facts], list[str]]:
    """What ``work`` tells of each path, and why it failed where it did."""
    told: list[Facts] = []
    failures: list[str] = []
    for index in progress(range(len(paths)), f"tfdecode {command}"):
        try:
            told.append(work(index))
        except (TfdecodeError, OSError, MemoryError) as error:
            failures.append(reason(error, paths[index]))
            told.append({"file": str(paths[index]), "error": one_line(failures[-1])})
    return told, failures
