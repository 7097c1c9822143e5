"""One shard of a data set: a task that any engine may run, anywhere, more than once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict

from ..conversion import Casting
from ..dataset import FILE
from ..errors import TfdecodeError
from ..files import load_for
from ..names import bytes_key
from ..schema import Schema
from .output import Output, hidden
from .record import Value, example, record


class Example(NamedTuple):
    """What becomes one ``tf.train.Example``."""

    name: str  #: the feature ``file``
    arrays: Mapping[str, tuple[str, str | None]]  #: input name -> file, and key in the file
    features: Mapping[str, Value]  #: more features


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
    casting : str
        Which changes a conversion to the dtype of the spec may make; see `tfdecode.load`.
    max_bytes : int
        Most bytes of an array; see `tfdecode.load`.
    missing : str or None
        How missing cells of tables are read; see `tfdecode.load`.
    """

    out: str
    index: int
    of: int
    plan: str
    schema: str
    examples: tuple[Example, ...]
    casting: Casting
    max_bytes: int
    missing: Literal["nan"] | None

    @property
    def path(self) -> Path:
        """Its file: ``train-00000-of-00008.tfrecord`` of ``train.tfrecord``."""
        out = Path(self.out)
        stem, dot, suffix = out.name.partition(".tfrecord")
        return out.with_name(f"{stem}-{self.index:05d}-of-{self.of:05d}{dot}{suffix}")

    @property
    def note(self) -> Path:
        """The file of its facts, until the data set is finished."""
        return hidden(self.path, "json")

    @cached_property
    def specs(self) -> Schema:
        """The schema."""
        return Schema.from_json(self.schema)

    def write(self) -> Facts:
        """Write the shard, unless an earlier run did.

        Its file appears whole or not at all, and has the same bytes every time, so it does no harm
        if two workers write it at once, or if one is killed and another starts again.

        Returns
        -------
        Facts
            A dict for `finish`. Files that could not be packed are in ``"failures"``.

        Raises
        ------
        OSError
            If the shard cannot be written.
        """
        kept = self._kept()
        if kept is not None:
            return kept
        failures: list[Failure] = []
        count = array_bytes = 0
        with Output(self.path) as out:
            for one in self.examples:
                try:
                    data, nbytes = self._pack(one)
                except (TfdecodeError, OSError, MemoryError) as error:
                    reason = str(error) or type(error).__name__
                    failures.append({"file": one.name, "error": reason})
                    continue
                out.write(record(data))
                count += 1
                array_bytes += nbytes
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
            facts: Facts = json.loads(self.note.read_bytes())
            # Hashing costs little beside packing, and finds a file that was changed or cut.
            if facts["plan"] == self.plan and facts["sha256"] == sha256(self.path):
                return {**facts, "kept": True}
        return None

    def measure(self, one: Example) -> int | None:
        """The bytes of the record of an example, None if it cannot be packed."""
        try:
            return len(self._pack(one)[0])
        except (TfdecodeError, OSError, MemoryError):
            return None

    def _pack(self, one: Example) -> tuple[bytes, int]:
        """The serialized example, and the bytes of its arrays."""
        features: dict[str, Value] = {**one.features, FILE: os.fsencode(one.name)}
        nbytes = 0
        for name, spec in self.specs.items():
            path, key = one.arrays[name]
            options = {"max_bytes": self.max_bytes, "missing": self.missing}
            array = load_for(spec, path, key, casting=self.casting, **options)
            features[bytes_key(name)] = spec.encode(array)
            nbytes += array.nbytes
        return example(features), nbytes


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            found.update(block)
    return found.hexdigest()
