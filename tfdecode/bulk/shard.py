"""One shard of a data set: a task that any engine may run, anywhere, more than once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
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

#: Examples that are packed before the first of them is written, or about so many bytes.
AHEAD, AHEAD_BYTES = 32, 2**20
#: Bytes of a note: some million failures.
MAX_NOTE = 2**30


#: The row of a part whose file cannot be split: it has no rows, or more than another input has.
NO_ROW = -1


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
    time: int  #: of the file, in ns, by which another one is noticed; 0 at a URL
    failures: list[Failure]
    pid: int  #: of the process that wrote it
    kept: bool  #: an earlier run wrote it


class Packed(NamedTuple):
    """An example with its arrays packed."""

    name: str
    features: dict[str, Value] | str  #: why it cannot be packed; an error would keep its arrays
    nbytes: int  #: of its arrays


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

    @property
    def specs(self) -> Schema:
        """The schema."""
        return _schema_of(self.schema)

    def to_bytes(self) -> bytes:
        """The shard as compressed JSON, to send it elsewhere: names of files compress well."""
        held = {**vars(self), "examples": [one.to_list() for one in self.examples]}
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
        count = array_bytes = 0
        with Output(self.path) as out:
            for name, packed, nbytes in _ahead(self._packed(self.examples)):
                failure: Failure | None = None
                try:
                    if isinstance(packed, str):
                        raise FileError(packed)
                    data = example(packed)
                except (TfdecodeError, OSError, MemoryError) as error:
                    failure = {"file": name, "error": str(error) or type(error).__name__}
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
            "time": 0 if isinstance(self.path, Remote) else self.path.stat().st_mtime_ns,
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
            changed = changed_since(self.path, self.examples)
            if facts["plan"] == self.plan and not changed and self.matches(facts):
                return {**facts, "kept": True}
        return None

    def matches(self, facts: Facts) -> bool:
        """Whether the file of the shard is the one that facts describe."""
        if isinstance(self.path, Remote):  # written at once, and slow to read
            return size_of(self.path) == facts["bytes"]
        return facts["sha256"] == sha256(self.path)

    def measure(self, examples: Iterable[Example]) -> Iterator[int]:
        """The bytes of the payloads and names of examples, of those that can be packed."""
        for _, packed, _ in self._packed(examples):
            if not isinstance(packed, str):
                yield sum(len(one) for one in packed.values() if isinstance(one, bytes))

    def unsplit(self, examples: Iterable[Example]) -> Iterator[str]:
        """Why examples are whole files, though rows of them were asked for."""
        whole = (x for x in examples if any(part.row == NO_ROW for part in x.arrays.values()))
        for _, packed, _ in self._packed(whole):
            if isinstance(packed, str):
                yield packed

    def _packed(self, examples: Iterable[Example]) -> Iterator[Packed]:
        files = Reader(len(self.specs), self.reader)
        specs = [(name, bytes_key(name), spec) for name, spec in self.specs.items()]
        for one in examples:
            features: dict[str, Value] = {**one.features, FILE: os.fsencode(one.name)}
            nbytes = 0
            try:
                if any(part.row == NO_ROW for part in one.arrays.values()):
                    raise _without_rows(files, one.arrays)
                for name, key, spec in specs:
                    array = files.read(spec, *one.arrays[name])
                    features[key] = spec.encode(array)
                    nbytes += array.nbytes
            except (TfdecodeError, OSError, MemoryError) as error:
                yield Packed(one.name, str(error) or type(error).__name__, 0)
            else:
                yield Packed(one.name, features, nbytes)


@lru_cache(2)  # a shard may have few examples
def _schema_of(text: str) -> Schema:
    return Schema.from_json(text)


def _ahead(packed: Iterable[Packed]) -> Iterator[Packed]:
    """The same, of which some are made before the first is taken, unless they are large.

    Compressors empty the caches of a core: to write some in a row takes a fifth less of all CPU.
    """
    some: list[Packed] = []
    nbytes = 0
    for one in packed:
        some.append(one)
        nbytes += one.nbytes
        if len(some) == AHEAD or nbytes > AHEAD_BYTES:
            yield from some
            some, nbytes = [], 0
    yield from some


def changed_since(written: Path | Remote, examples: Iterable[Example]) -> bool:
    """Whether a file of the examples is newer than what was made of them; of URLs nobody knows."""
    if isinstance(written, Remote):
        return False
    limit = written.stat().st_mtime_ns
    paths = (part.path for one in examples for part in one.arrays.values())
    for path, _ in groupby(paths):  # each row is an example
        with contextlib.suppress(OSError, ValueError):  # gone, as it was perhaps before
            if os.stat(path).st_mtime_ns > limit:
                return True
    return False


def _without_rows(files: Reader, arrays: Mapping[str, Part]) -> FileError:
    """Why the rows of these arrays cannot be examples."""
    counts = {name: files.rows(part.path, part.key) for name, part in arrays.items()}
    if len(set(counts.values())) == 1:
        path, key, _ = next(iter(arrays.values()))
        (count,) = {*counts.values()}
        what = "is one number, without rows to split" if count is None else "has 0 rows"
        if count:
            what = "could not be read when the rows were counted; run again"
        return FileError(f"{path}{f'#{key}' if key else ''}: {what}")
    listed = ", ".join(f"{name} {'none' if n is None else n}" for name, n in counts.items())
    return FileError(f"the inputs have different numbers of rows: {listed}")


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
