"""All arrays below a record, each under the path to it, in memory bounded by the file's length."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from ...errors import FileError
from ..contents import Contents, Entry, shown
from .arrays import Found, Masked, Objects, array_of
from .keys import Node, Unwritten, exact, joined, short
from .objects import Child, advice, described, is_container, parts, set_of, unread_arguments
from .unpickler import Call, Dict, Pickled

# Longer paths would let a small file ask for quadratic memory.
_DEPTH = 64
_PATH = 512
# What is listed may take this much memory and as much for each byte of the file. A pickled scalar
# takes 17 bytes or more, its entry some 900.
_FREE = 2**26
_FOR_EACH_BYTE = 64
_ENTRY = 800
_SHARED = 300
# Values without arrays that are named one by one, of a file and of a container; others are counted.
_NAMED = 1000
_NAMED_EACH = 100
_PLAIN = {bool, int, float, str, type(None), memoryview}


class Listed(NamedTuple):
    """An array, or advice on what is none; ``node`` None: its path is not to be changed."""

    path: str
    node: Node | None
    value: Entry | Found | str


class _Frame:
    """A container that is being walked."""

    __slots__ = ("children", "depth", "listed", "more", "node", "path", "plain", "value")

    def __init__(
        self, value: object, path: str, node: Node | None, depth: int, children: Iterator[Child]
    ) -> None:
        self.value, self.path, self.node, self.depth = value, path, node, depth
        self.children = children
        self.plain: list[Child] = []
        self.more = 0  # children without arrays that are not in `plain`
        self.listed = False  # whether anything below is listed

    def keep(self, child: Child) -> None:
        """Remember a child without arrays: it is named only if something else here is listed."""
        if len(self.plain) < _NAMED_EACH:
            self.plain.append(child)
        else:
            self.more += 1

    def at(self, kind: str, key: object) -> tuple[str, Node | None]:
        """Path and node of a child."""
        if not kind:
            return self.path, self.node
        text = short(key)
        if self.node is not None:
            text = f"{self.path}{'/' if kind == '[' else '.'}{text}"
        return text, (self.node, kind, key)

    def below(self, parent: _Frame, value: object) -> Child:
        """``value``, which is at this frame's path, as a child of ``parent``."""
        if self.node is None or self.node is parent.node:
            return "", None, value
        return self.node[1], self.node[2], value


class Walk:
    """Lists what is below records; one for a file, so that its limits hold for all of it."""

    def __init__(self, nbytes: int) -> None:
        self.left = self.most = _FREE + _FOR_EACH_BYTE * nbytes
        self.found: list[Listed] = []
        self.named = self.unnamed = self.without_key = 0
        # The object, here so that its id stays its own, and the node under which it was entered.
        self.entered: dict[int, tuple[object, Node | None]] = {}
        self.shared: set[int] = set()
        # Containers without arrays that may be reached again, and their descriptions once made.
        self.without: dict[int, str | None] = {}
        self.stack: list[_Frame] = []

    def walk(self, pickled: Pickled, node: Node | None = None) -> None:
        """List the arrays of a pickle, which is under ``node``."""
        self.shared = pickled.shared
        top = _Frame(None, "" if node is None else short(node[2]), node, 0, iter(()))
        self._visit(top, ("", None, pickled.value))
        while self.stack:
            frame = self.stack[-1]
            child = next(frame.children, None)
            if child is not None and type(child[2]) in _PLAIN and type(child[1]) is not Unwritten:
                frame.keep(child)  # most of what files hold: half the time of a call of _visit
            elif child is not None:
                self._visit(frame, child)
            else:
                self.stack.pop()
                self._leave(frame, self.stack[-1] if self.stack else top)
        if not top.listed:
            self._name_plain(top)

    def add(self, name: str, value: Entry | str) -> None:
        """List what is not from a pickle."""
        self._spend(_ENTRY + sys.getsizeof(name))
        self.found.append(Listed(name, None, value))

    def contents(self, note: str = "") -> Contents:
        """What was found, each under a path of its own."""
        times = Counter(item.path for item in self.found)
        entries: list[Entry] = []
        others: dict[str, str] = {}
        for path, node, value in self.found:
            # The exact form begins with [ or a dot: no short one does.
            if node is not None and (times[path] > 1 or not path or path[0] in "[."):
                path = exact(node)
                self._spend(sys.getsizeof(path))
            if isinstance(value, Found):
                entries.append(Entry(path, value.dtype, value.shape, value.read))
            elif isinstance(value, Entry):
                entries.append(value)
            else:
                others[path] = f"{others[path]}; {value}" if path in others else value
        if self.unnamed:
            others["..."] = f"{self.unnamed} more values that are not arrays of numbers"
        return Contents(entries, others, note)

    def _visit(self, frame: _Frame, child: Child) -> None:
        """List an array, enter a container, or keep a value that is neither."""
        kind, key, value = child
        if isinstance(key, Unwritten):
            self.without_key += 1
            path, node = frame.at(kind, f"?{self.without_key}")
            return self._name(frame, path, node, f"under a key without a text ({key.reason})")
        if isinstance(value, Call):
            value = set_of(value) or value
        if not isinstance(value, (Call, Dict, list, tuple)):
            return frame.keep((kind, key, value))
        path, node = frame.at(kind, key)
        made = self._made(path, value)
        if isinstance(made, Found):
            frame.listed = True
            return self._list(path, node, made)
        if isinstance(made, str):
            return self._name(frame, path, node, made)
        found = parts(value, made)
        if not found:
            if isinstance(value, Call) and not is_container(value):
                return self._name(frame, path, node, advice(value, made))
            return frame.keep(child)
        if frame.depth >= _DEPTH or len(path) > _PATH:
            return self._name(frame, path, node, "nested too deep to be named; save it flat")
        # Only what the file refers back to can be reached twice, or hold itself.
        within = (value.args, value.state) if isinstance(value, Call) else ()
        owners = (value, *within, *(part.owner for part in found))
        shared = [one for one in owners if id(one) in self.shared and one != ()]
        for one in shared:
            if id(one) in self.without:
                return frame.keep(child)
            if id(one) in self.entered:
                first = joined(self.entered[id(one)][1]) or "the whole"
                return self._name(frame, path, node, f"the same object as {shown(first, 40)}")
        for one in shared:
            self._spend(_SHARED)
            self.entered[id(one)] = one, node
        children = chain.from_iterable(part.children for part in found)
        self.stack.append(_Frame(value, path, node, frame.depth + 1, children))

    def _made(self, path: str, value: object) -> Found | Objects | Masked | str | None:
        try:
            return array_of(value) if isinstance(value, Call) else None
        except FileError as error:
            raise FileError(f"the array {shown(path)} {error}" if path else str(error)) from None

    def _leave(self, frame: _Frame, parent: _Frame) -> None:
        """Name what is not listed in a container, or leave that to the next outer one."""
        value = frame.value
        if frame.listed:
            parent.listed = True
            self._name_plain(frame)
            if isinstance(value, Call) and unread_arguments(value):
                self._name(parent, frame.path, frame.node, f"made by arguments; {advice(value)}")
        elif isinstance(value, Dict) and not frame.path:  # what the file is, key by key
            parent.listed = True
            self._name_plain(frame)
        elif isinstance(value, Call) and not is_container(value):
            made = array_of(value)
            if isinstance(made, Objects) and not made.shape:
                parent.keep(frame.below(parent, made.items[0]))
            else:
                self._name(parent, frame.path, frame.node, advice(value, made))
        else:
            if id(value) in self.shared:
                self.without[id(value)] = None
            parent.keep(frame.below(parent, value))

    def _name_plain(self, frame: _Frame) -> None:
        for kind, key, value in frame.plain:
            self._name(frame, *frame.at(kind, key), self._described(value))
        self.unnamed += frame.more

    def _described(self, value: object) -> str:
        text = self.without.get(id(value)) or described(value)
        if id(value) in self.without:  # to describe it again would take time for each item
            self.without[id(value)] = text
        return text

    def _name(self, frame: _Frame, path: str, node: Node | None, advice: str) -> None:
        frame.listed = True
        if self.named >= _NAMED:
            self.unnamed += 1
            return
        self.named += 1
        self._list(path, node, advice)

    def _list(self, path: str, node: Node | None, value: Found | str) -> None:
        self._spend(_ENTRY + sys.getsizeof(path))
        self.found.append(Listed(path, node, value))

    def _spend(self, nbytes: int) -> None:
        self.left -= nbytes
        if self.left < 0:
            raise FileError(
                f"lists {len(self.found)} arrays and more, which takes more than {self.most} bytes "
                "of memory; save each array once, by numpy.savez"
            )
