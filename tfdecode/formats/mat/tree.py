"""Arrays inside structs and cells: their paths, and bounds on what a file can ask for.

A path reads as in MATLAB, but indices begin at 0: ``S.seg`` is a field of a struct, ``C[1]`` the
second cell, ``S[2].seg`` a field of the third struct of a structure array. An index counts in
column order, as ``C{k}`` does: element (row, column) of an array with R rows is ``[row+R*column]``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from ...errors import FileError
from ..contents import Entry, Sparse, shown

Leaf: TypeAlias = "Entry | Sparse | str"
#: Part of a path, and what is there.
Members: TypeAlias = "Iterator[tuple[str, Any]]"

# An entry costs about 1 KiB: 256 MiB for the largest tree.
MEMBERS = 2**18
_DEPTH = 64
# Longer paths would let a small file ask for quadratic memory.
_PATH = 512


class Tree:
    """Goes through nested values, and counts them over all variables of a file."""

    def __init__(self, expand: Callable[[str, Any], Leaf | Members]) -> None:
        self.expand, self.seen = expand, 0

    def leaves(self, name: str, root: Any) -> Iterator[tuple[str, Leaf]]:
        """Path and content of all that is in a variable, or of the variable itself."""
        stack: list[Members] = [iter([(name, root)])]
        while stack:
            path, node = next(stack[-1], (None, None))
            if path is None:
                stack.pop()
                continue
            self.seen += 1
            if self.seen > MEMBERS:
                raise FileError(f"holds more than {MEMBERS} cells and fields; split it")
            try:
                found = self.expand(path, node)
            except FileError as error:
                where = "" if path == name else f" (at {shown(path)})"
                raise FileError(f"{error}{where}") from None
            if isinstance(found, (Entry, Sparse, str)):
                yield path, found
            elif len(stack) > _DEPTH or len(path) > _PATH:
                yield path[:_PATH], "nested too deep to be named; save it as a variable of its own"
            else:
                stack.append(_below(path, found))


def _below(path: str, members: Members) -> Members:
    return ((path + part, node) for part, node in members)


def parts(fields: list[str], count: int) -> Iterator[str]:
    """The parts of paths to the fields of ``count`` structs, in the order of MAT-files."""
    names = [f".{name}" if name.isidentifier() else f"[{json.dumps(name)}]" for name in fields]
    for index in range(count):
        yield from names if count == 1 else (f"[{index}]{name}" for name in names)
