"""Whether a data set is what its manifest says, without TensorFlow."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from .. import reading
from ..dataset import MAX_MANIFEST, data_set_of
from ..errors import FileError, TfdecodeError
from ..names import bytes_key
from ..schema import MAX_BYTES, Schema
from ..sources import Remote, place
from .manifest import Manifest, ShardFacts, leftovers, manifest_path, schema_path
from .record import features_of, records

_MANIFEST = ".manifest.json"
#: Bytes that are read at a time.
_BLOCK = 2**20


class Problem(TypedDict):
    """What is wrong with a file of a data set."""

    file: str
    problem: str


class Verified(TypedDict):
    """What `verify` found."""

    manifest: str
    shards: int
    examples: int
    bytes: int
    decoded: int  #: examples of which every array was decoded
    failures: int  #: files that could not be packed when the data set was made
    problems: list[Problem]


def verify(
    data_set: str | os.PathLike[str],
    *,
    every: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Verified:
    """Compare the shards of a data set with its manifest, and decode examples.

    Of each shard, the number of bytes, the SHA-256 and the number of examples are compared, and the
    first and the last example are decoded. A file that is called as a shard but is not one, of a
    run with another number of shards, is a problem too.

    Parameters
    ----------
    data_set : str or os.PathLike
        Its manifest, ``train.tfrecord.manifest.json``, or its name, ``train.tfrecord``.
    every : bool, default False
        Decode all examples.
    progress : callable, optional
        Called with a number of bytes when these have been read.

    Returns
    -------
    Verified
        A dict; its ``"problems"`` are empty if all is well.

    Raises
    ------
    FileError, SpecError
        If the manifest or the schema cannot be read.

    Examples
    --------
    >>> import tempfile, numpy as np, tfdecode as tfd
    >>> from tfdecode import bulk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/0.npy", np.zeros((2, 3), "uint8"))
    ...     spec, out = tfd.ArraySpec((2, 3), "uint8"), f"{folder}/train.tfrecord"
    ...     _ = bulk.run(bulk.plan([f"{folder}/0.npy"], out, spec))
    ...     found = bulk.verify(out)
    >>> found["examples"], found["decoded"], found["problems"]
    (1, 1, [])
    """
    path = manifest_of(data_set)
    manifest = read_manifest(path)
    out = path.with_name(path.name.removesuffix(_MANIFEST))
    schema = Schema.from_json(reading.read(schema_path(out), MAX_BYTES))
    found: Verified = {
        "manifest": str(path),
        "shards": len(manifest["shards"]),
        "examples": manifest["examples"],
        "bytes": manifest["bytes"],
        "decoded": 0,
        "failures": len(manifest["failures"]),
        "problems": [],
    }
    for one in manifest["shards"]:
        shard = _Shard(path.with_name(one["shard"]), one, schema, manifest["features"], progress)
        try:
            found["decoded"] += shard.check(every)
        except (TfdecodeError, OSError, MemoryError) as error:
            problem = str(error).removeprefix(f"{reading.name(shard.path)}: ")
            found["problems"].append({"file": str(shard.path), "problem": problem})
    with contextlib.suppress(FileError):  # a web server lists nothing
        for name in leftovers(out, [one["shard"] for one in manifest["shards"]]):
            problem = "is not one of the shards, perhaps one of an earlier run; delete it"
            found["problems"].append({"file": str(path.with_name(name)), "problem": problem})
    for key in ("examples", "bytes"):
        total, said = sum(one[key] for one in manifest["shards"]), manifest[key]
        if total != said:
            problem = f"says {said} {key}, but its shards have {total}"
            found["problems"].append({"file": str(path), "problem": problem})
    return found


def manifest_of(data_set: str | os.PathLike[str]) -> Path | Remote:
    """The manifest of a data set that is named by it, by its own name or by a shard."""
    path = place(data_set)
    if path.name.endswith(_MANIFEST):
        return path
    return manifest_path(path.with_name(data_set_of(path.name).name))


def read_manifest(path: Path | Remote) -> Manifest:
    """The content of a manifest; FileError if it is none."""
    try:
        found: Manifest = json.loads(reading.read(path, MAX_MANIFEST))
        numbers = [found["examples"], found["bytes"]]
        for one in found["shards"]:
            name = one["shard"]
            if not name or Path(name).name != name or not isinstance(one["sha256"], str):
                raise ValueError("a shard has no plain name or no hash")
            numbers += one["examples"], one["bytes"]
        if not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise ValueError("a number of examples or bytes is no whole number")
        if not found["shards"] or not isinstance(found["failures"], list):
            raise ValueError("it has no shards or no list of failures")
        if not all(isinstance(one["missing"], int) for one in found["features"].values()):
            raise ValueError("a feature does not say how many examples lack it")
    except FileError as error:
        if isinstance(path, Remote) or path.exists():
            raise
        raise FileError(f"{error}; verify needs a data set that pack --tfrecord wrote") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(f"{path}: is not the manifest of a data set ({error})") from None
    return found


class _Shard:
    def __init__(
        self,
        path: Path | Remote,
        facts: ShardFacts,
        schema: Schema,
        features: dict[str, Any],
        progress: Callable[[int], object] | None,
    ) -> None:
        self.path, self.facts, self.schema, self.features = path, facts, schema, features
        self.progress = progress or (lambda _: None)

    def check(self, every: bool) -> int:
        """How many examples were decoded; FileError says what is wrong."""
        count = decoded = 0
        last = b""
        with reading.opened(self.path) as (file, size), reading.failures_of(self.path):
            if size != self.facts["bytes"]:
                raise FileError(f"has {size} bytes, the manifest says {self.facts['bytes']}")
            hashed = _Hashed(file, self.progress)
            wrong: FileError | None = None
            try:
                for count, last in enumerate(records(hashed, size, self.path.suffix == ".gz"), 1):
                    if every or count == 1:
                        self._decode(last, count)
                        decoded += 1
                if count > decoded:
                    self._decode(last, count)
                    decoded += 1
            except FileError as error:
                wrong = error
            while hashed.read(_BLOCK):
                pass
        if hashed.sha256 != self.facts["sha256"]:
            raise FileError(
                "has another SHA-256 than the manifest says, so it is damaged or changed"
            )
        if wrong is not None:
            raise wrong
        if count != self.facts["examples"]:
            raise FileError(f"has {count} examples, the manifest says {self.facts['examples']}")
        return decoded

    def _decode(self, record: bytes, number: int) -> None:
        """FileError if the example does not hold what schema and manifest say."""
        what = f"example {number:,}"
        try:
            found = features_of(record)
            for name, kind in self.features.items():
                if name not in found and not kind["missing"]:
                    raise FileError(f"has no feature {name}")
            for name, spec in self.schema.items():
                what = f"example {number:,}, input {name}"
                payloads = found.get(bytes_key(name))
                if payloads is None or len(payloads) != 1:
                    raise FileError("has no payload")
                spec.decode(payloads[0])
        except (TfdecodeError, KeyError, TypeError) as error:
            raise FileError(f"{what}: {error}") from None


class _Hashed:
    """A file whose hash is computed as it is read."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], object]) -> None:
        self._file, self._progress, self._hash = file, progress, hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self._hash.update(data)
        self._progress(len(data))
        return data
