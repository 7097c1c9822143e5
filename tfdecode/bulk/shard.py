"""One shard of a data set: a task that any engine may run, anywhere, more than once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from .. import reading
from ..dataset import FILE
from ..errors import FileError, TfdecodeError
from ..names import bytes_key
from ..schema import Schema
from ..sources import Remote, place, size_of
from .output import Output, hidden
from .reader import Reader
from .record import BYTES, Value, example, is_one, record, typed

#: Bytes of a note: some million failures.
MAX_NOTE = 2**30


class Part(NamedTuple):
    """Where an array is."""

    path: str
    key: str | None = None  #: of the array in the file
    row: int | None = None  #: of the array, if each row is an example


class Example(NamedTuple):
    """What becomes one ``tf.train.Example``."""

    name: str  #: the feature ``file``
    arrays: Mapping[str, Part]  #: by input name
    features: Mapping[str, Value]  #: more features

    def to_list(self) -> list[Any]:
        """The example for JSON; EncodeError if a feature is of no kind."""
        more = {}
        for feature, value in self.features.items():
            kind, values = typed(feature, value)
            if kind == BYTES:  # Latin-1 has a character for each byte.
                values = [item.decode("latin-1") for item in values]
            more[feature] = kind, is_one(value), values
        return [self.name, self.arrays, more]

    @classmethod
    def from_list(cls, found: list[Any]) -> Example:
        """The example that `to_list` gave."""
        name, arrays, more = found
        features: dict[str, Value] = {}
        for feature, (kind, one, values) in more.items():
            if kind == BYTES:
                values = [text.encode("latin-1") for text in values]
            features[feature] = values[0] if one else values
        return cls(name, {input_: Part(*part) for input_, part in arrays.items()}, features)


class Failure(TypedDict):
    """A file that could not be packed, and why."""

    file: str
    error: str


class Facts(TypedDict):
    """What is known of a shard once it is written."""

    plan: str  #: the id of the plan
    index: int
    shard: str  #: the name of its file
    examples: int
    bytes: int  #: of the file
    array_bytes: int  #: of the arrays before packing
    sha256: str  #: of the file
    failures: list[Failure]
    pid: int  #: of the process that wrote it
    kept: bool  #: an earlier run wrote it


@dataclass(frozen=True)
class Shard:
    """A part of a plan; `Shard.write` needs nothing else, so it can be pickled and sent away.

    Attributes
    ----------
    out : str
        The name of the data set, ``DIRECTORY/train.tfrecord`` or ``DIRECTORY/train.tfrecord.gz``.
    index, of : int
        Its number from 0, and how many shards there are.
    plan : str
        The id of the plan: equal ids mean equal bytes.
    schema : str
        The schema as JSON text.
    examples : tuple of Example
        What it holds, in order.
    reader : mapping of str to object
        How files are read: the options of `tfdecode.load`.
    single : bool
        Whether it is the whole data set, in one file that is called ``out``. Every run writes it.
    """

    out: str
    index: int
    of: int
    plan: str
    schema: str
    examples: tuple[Example, ...]
    reader: Mapping[str, Any]
    single: bool = False

    @property
    def path(self) -> Path | Remote:
        """Its file: ``train-00000-of-00008.tfrecord`` of ``train.tfrecord``."""
        out = place(self.out)
        if self.single:
            return out
        stem, dot, suffix = out.name.partition(".tfrecord")
        return out.with_name(f"{stem}-{self.index:05d}-of-{self.of:05d}{dot}{suffix}")

    @property
    def note(self) -> Path | Remote:
        """The file of its facts, until the data set is finished."""
        return self.path.with_name(hidden(self.path.name, "json"))

    @cached_property
    def specs(self) -> Schema:
        """The schema."""
        return Schema.from_json(self.schema)

    def to_bytes(self) -> bytes:
        """The shard as compressed JSON, to send it elsewhere: names of files compress well."""
        held = {**vars(self), "examples": [one.to_list() for one in self.examples]}
        held.pop("specs", None)
        return zlib.compress(json.dumps(held).encode(), 1)

    @classmethod
    def from_bytes(cls, data: bytes) -> Shard:
        """The shard of which `to_bytes` made ``data``."""
        held = json.loads(zlib.decompress(data))
        return cls(**{**held, "examples": tuple(map(Example.from_list, held["examples"]))})

    def write(self, each: Callable[[Failure | None], object] | None = None) -> Facts:
        """Write the shard, unless an earlier run did.

        Its file appears whole or not at all, and has the same bytes every time, so it does no harm
        if two workers write it at once, or if one is killed and another starts again.

        Parameters
        ----------
        each : callable, optional
            Called after each example with its failure, None if it was packed.

        Returns
        -------
        Facts
            A dict for `finish`. Files that could not be packed are in ``"failures"``.

        Raises
        ------
        OSError
            If the shard cannot be written.
        FileError
            If it is the whole data set and no file can be packed; an older file then stays.
        """
        kept = None if self.single else self._kept()
        if kept is not None:
            return kept
        failures: list[Failure] = []
        files, count, array_bytes = self._files(), 0, 0
        with Output(self.path) as out:
            for one in self.examples:
                failure: Failure | None = None
                try:
                    data, nbytes = self._pack(one, files)
                except (TfdecodeError, OSError, MemoryError) as error:
                    failure = {"file": one.name, "error": str(error) or type(error).__name__}
                    failures.append(failure)
                else:
                    out.write(record(data))
                    count += 1
                    array_bytes += nbytes
                if each is not None:
                    each(failure)
            if self.single and not count:
                raise nothing(self.out, len(self.examples), failures)
        facts: Facts = {
            "plan": self.plan,
            "index": self.index,
            "shard": self.path.name,
            "examples": count,
            "bytes": out.size,
            "array_bytes": array_bytes,
            "sha256": out.sha256,
            "failures": failures,
            "pid": os.getpid(),
            "kept": False,
        }
        with Output(self.note) as note:
            note.write(json.dumps(facts).encode())
        return facts

    def _kept(self) -> Facts | None:
        """The facts of an earlier run, if its file is still the one that they describe."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            facts: Facts = json.loads(reading.read(self.note, MAX_NOTE))
            # Hashing costs little beside packing, and finds a file that was changed or cut.
            if facts["plan"] == self.plan and self.matches(facts):
                return {**facts, "kept": True}
        return None

    def matches(self, facts: Facts) -> bool:
        """Whether the file of the shard is the one that facts describe."""
        if isinstance(self.path, Remote):  # written at once, and slow to read
            return size_of(self.path) == facts["bytes"]
        return facts["sha256"] == sha256(self.path)

    def measure(self, examples: Iterable[Example]) -> Iterator[int]:
        """The bytes of the records of examples, of those that can be packed."""
        files = self._files()
        for one in examples:
            with contextlib.suppress(TfdecodeError, OSError, MemoryError):
                yield len(self._pack(one, files)[0])

    def _files(self) -> Reader:
        return Reader(len(self.specs), self.reader)

    def _pack(self, one: Example, files: Reader) -> tuple[bytes, int]:
        """The serialized example, and the bytes of its arrays."""
        features: dict[str, Value] = {**one.features, FILE: os.fsencode(one.name)}
        nbytes = 0
        for name, spec in self.specs.items():
            array = files.read(spec, *one.arrays[name])
            features[bytes_key(name)] = spec.encode(array)
            nbytes += array.nbytes
        return example(features), nbytes


def nothing(out: str, examples: int, failures: Sequence[Failure]) -> FileError:
    """The error of a data set that has no example."""
    return FileError(
        f"{out}: none of the {examples:,} files could be packed; the first reason: "
        f"{failures[0]['error']}"
    )


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            found.update(block)
    return found.hexdigest()
