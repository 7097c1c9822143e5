"""``pack --input NAME=PATTERN``: several arrays an example, of files that are joined by stem."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .. import reading
from ..dataset import FILE
from ..errors import FileError, SpecError
from ..schema import MAX_BYTES, Schema
from ..sources import is_url
from .choosing import SAMPLES, of_array, shared_spec
from .failure import UsageError, note
from .inputs import Input, Spool, listed, sampled
from .joined import STEM, Example, Joined, Source


class Paired:
    """The examples of ``--input``: the file and key of each input, also if a file is missing."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        given: list[tuple[str, str]] = arguments.input
        self._names = [name for name, _ in given]
        for _, text in given:
            if is_url(text):
                raise UsageError(f"argument --input: {text} is a URL, needs files of this machine")
        if FILE in self._names:
            raise UsageError(f'argument --input: "{FILE}" is the feature of the file names')
        self._examples = Joined(given) if arguments.files_from is None else Listed(arguments)
        self._count = 0
        self._missing: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def __iter__(self) -> Iterator[dict[str, tuple[str, str | None]]]:
        self._count, self._missing = 0, Counter()
        for one in self._examples:
            self._count += 1
            self._missing.update(list(one.missing))
            self._first = {**one.missing, **self._first}
            absent = {name: (path, None) for name, path in one.missing.items()}
            there = {name: (str(path), key) for name, (path, key) in one.files.items()}
            every = {**absent, **there}
            yield {name: every[name] for name in self._names}

    @property
    def files(self) -> Iterator[str]:
        """All files."""
        return (path for one in self for path, _ in one.values())

    def note_missing(self) -> None:
        """Say which inputs lack files; each of these examples is reported when it is packed."""
        for name, count in self._missing.items():
            have = f"{count:,} of {self._count:,} examples have"
            note(f"{have} no file for {name}, the first is {self._first[name]}; they are left out")

    def schema(self) -> Schema:
        """The schema of ``--spec``, or a spec for each input, chosen by some of its files."""
        if self._arguments.spec is not None:
            return chosen(self._arguments.spec, self._names)
        whole = sampled((one.files for one in self._examples if not one.missing), SAMPLES)
        if not whole:
            raise FileError("no example has a file for each input; check the patterns of --input")
        specs = {}
        for name in self._names:
            with of_array(name):
                files = [Input(*one[name], Path()) for one in whole]
                specs[name] = shared_spec(files, self._arguments)
        return Schema(specs)


def chosen(text: str, names: list[str]) -> Schema:
    """The inputs of these names of the schema of a file or a model."""
    path = Path(text)
    try:
        found = (
            Schema.load(path)
            if path.is_dir()
            else Schema.from_json(reading.read(path, MAX_BYTES, "it is not a schema"))
        )
    except SpecError as error:
        raise SpecError(f"{path}: {error}; --input needs a schema of all inputs") from None
    missing = [name for name in names if name not in found]
    if missing:
        raise SpecError(f"{path}: has no input {missing[0]}; it has {', '.join(found)}")
    return Schema({name: found[name] for name in names})


class Listed:
    """The examples of ``--files-from``: a line is a stem, or a file that a pattern matches.

    Whether the files are there is seen when they are packed: there may be millions.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._sources = [Source(name, text) for name, text in arguments.input]
        patterns = [one.text for one in self._sources if one.kind == "stem"]
        if not patterns or any(one.kind in ("wild", "directory") for one in self._sources):
            raise UsageError(
                f"argument --files-from: with --input, each pattern needs {STEM}: poses/{STEM}.pkl"
            )
        self._patterns = [
            re.compile("(.*)".join(map(re.escape, text.split(STEM, 1))).replace(r"\{\}", r"(?:\1)"))
            for text in patterns
        ]
        self._stems = Spool((self._stem(line), None) for line in listed(arguments.files_from))

    def _stem(self, line: str) -> str:
        found = (pattern.fullmatch(line) for pattern in self._patterns)
        return next((match[1] for match in found if match), line)

    def __iter__(self) -> Iterator[Example]:
        for stem, _ in self._stems:
            paths = {one.name: Path(one.text.replace(STEM, stem)) for one in self._sources}
            keys = {one.name: one.key for one in self._sources}
            yield Example(stem, {name: (path, keys[name]) for name, path in paths.items()}, {})
