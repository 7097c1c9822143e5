"""Several inputs of many examples: files found by patterns, joined by what the patterns leave open.

``pose_map='poses/*.pkl' segment_map='maps/{}.mat'`` is an example for each pose ``poses/STEM.pkl``,
with the map ``maps/STEM.mat``.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from glob import iglob
from pathlib import Path
from typing import NamedTuple

from ..errors import FileError, shown
from ..files import has_suffix
from ..formats.readers import suffix_of
from .failure import UsageError, note
from .inputs import OWN, files_below
from .source import split_fragment

STEM = "{}"
WILD = re.compile(r"\{\}|\*+|\?|\[[^\]/]+\]")


class Example(NamedTuple):
    """The files of one example, and the inputs that have none."""

    #: What its files have in common: ``a`` of ``poses/a.pkl``, ``b/a`` of ``poses/b/a.pkl``.
    stem: str
    #: File and key of its array by name of the input.
    files: dict[str, tuple[Path, str | None]]
    #: Where a file is missing, by name of the input.
    missing: dict[str, str]


def is_many(text: str) -> bool:
    """Whether ``FILE[#KEY]`` stands for many files: a directory, or a pattern without a file."""
    path, _ = split_fragment(text)
    return path.is_dir() or (not os.path.exists(path) and bool(WILD.search(str(path))))


class Joined:
    """The examples of ``NAME=PATTERN`` arguments, in the order of their stems.

    A pattern with wildcards and a directory say which examples there are. ``{}`` in another pattern
    stands for the stem; if no pattern has wildcards, those with ``{}`` say it. A file with neither
    belongs to every example; if all are such files, they are one example. An example of which a
    file is missing is one of them too.

    Parameters
    ----------
    given : sequence of (str, str)
        The name of each input, and its ``PATTERN[#KEY]``.

    Raises
    ------
    FileError
        If a pattern matches no file, or two files of an input have one stem.
    UsageError
        If an input is given twice, or a pattern has both wildcards and ``{}``.
    """

    def __init__(self, given: Sequence[tuple[str, str]]) -> None:
        twice = [name for name, count in Counter(name for name, _ in given).items() if count > 1]
        if twice:
            raise UsageError(f"{twice[0]} is given twice, one of them for many files: give it once")
        self._sources = {name: Source(name, text) for name, text in given}
        found = [one for one in self._sources.values() if one.kind in ("wild", "directory")]
        for one in found or [one for one in self._sources.values() if one.kind == "stem"]:
            one.find()
        self.stems = sorted({stem for one in self._sources.values() for stem in one.found})
        if all(one.kind == "file" for one in self._sources.values()):
            self.stems = [""]

    def __len__(self) -> int:
        return len(self.stems)

    def __iter__(self) -> Iterator[Example]:
        for stem in self.stems:
            example = Example(stem, {}, {})
            for name, one in self._sources.items():
                path, there = one.path(stem)
                if there:
                    example.files[name] = Path(path), one.key
                else:
                    example.missing[name] = path
            yield example


class Source:
    """The files of one input."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        path, self.key = split_fragment(text)
        self.text = str(path)
        wild = set(WILD.findall(self.text))
        if path.is_dir():
            self.kind = "directory"
        elif not wild or path.exists():
            self.kind = "file"
        else:
            self.kind = "stem" if STEM in wild else "wild"
            if self.kind == "stem" and len(wild) > 1:
                raise UsageError(f"{name}={text} has both wildcards and {STEM}; use one of them")
        self.found: dict[str, str] = {}

    def find(self) -> None:
        """Fill ``found``: stem -> file."""
        for stem, path in self._below() if self.kind == "directory" else self._matched():
            other = self.found.setdefault(stem, path)
            if other != path:
                raise FileError(f"{other} and {path} are both {self.name} of {shown(stem)}")
        if not self.found:
            raise FileError(f"{self.text}: no file of {self.name} matches")

    def path(self, stem: str) -> tuple[str, bool]:
        """Where the file of a stem is, or would be, and whether it is there."""
        if self.kind == "file":
            return self.text, True  # if it is not there, reading it says so
        if stem in self.found:
            return self.found[stem], True
        if self.kind == "directory":
            return f"{self.text}/{stem}.*", False
        path = self.text.replace(STEM, stem)
        if self.kind == "wild":
            first, last = self._open()
            path = f"{self.text[:first]}{stem}{self.text[last:]}"
        return path, not self.found and os.path.exists(path)

    def _open(self) -> tuple[int, int]:
        """Where the first wildcard begins and the last one ends: between them is the stem."""
        spans = [wild.span() for wild in WILD.finditer(self.text)]
        return spans[0][0], spans[-1][1]

    def _matched(self) -> Iterator[tuple[str, str]]:
        """Stem and file of all that match; several ``{}`` are the same text."""
        first, last = self._open()
        pieces = (
            self.text.split(STEM) if self.kind == "stem" else [self.text[:first], self.text[last:]]
        )
        head, tail, *others = map(re.escape, pieces)
        stem = re.compile(rf"(?s){head}(.*?){tail}" + "".join(rf"(?:\1){one}" for one in others))
        for path in iglob(self.text.replace(STEM, "*"), recursive=True):
            if (found := stem.fullmatch(path)) and os.path.isfile(path):
                yield found[1], path

    def _below(self) -> Iterator[tuple[str, str]]:
        """The same of a directory and below: its array files and payloads, if there are any."""
        files = [path for path in files_below(Path(self.text)) if not path.name.endswith(OWN[1])]
        arrays = [path for path in files if has_suffix(path) or path.name.endswith(OWN[0])]
        if arrays and len(arrays) < len(files):
            note(f"{self.text}: {len(arrays)} of {len(files)} files are taken: the array files")
        for path in arrays or files:
            suffix = suffix_of(path)
            yield str(path.relative_to(self.text))[: -len(suffix) or None], str(path)
