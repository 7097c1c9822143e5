"""A plan: which examples go into which shard of a data set."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy.typing as npt

from ..conversion import Casting
from ..dataset import FILE
from ..dtypes import dtype_name
from ..errors import FileError, SpecError, TfdecodeError
from ..formats.contents import MAX_BYTES
from ..reading import check_type
from ..schema import Schema
from ..spec import ArraySpec
from .features import NoRow
from .reader import Reader
from .record import BYTES, FLOAT, INT64, Value
from .shard import NO_ROW, Example, Part, Shard

#: A file, or a file and the key of one of its arrays.
File = str | os.PathLike[str] | tuple[str | os.PathLike[str], str | None] | Part
#: One example: the file of the only input, or a file for each input.
Source = File | Mapping[str, File]

#: A shard of about this size is read in a second and loses little work when it fails.
SHARD_BYTES = 150 * 10**6
#: Files to load when the number of shards is reckoned.
SAMPLED = 16
_DTYPES = {BYTES: "string", FLOAT: "float32", INT64: "int64"}
#: Bytes by which a seed sorts.
_DIGEST = 16
_dumped = json.JSONEncoder(sort_keys=True).encode


def plan(
    files: Iterable[Source],
    out: str | os.PathLike[str],
    schema: Schema | ArraySpec,
    *,
    shards: int | None = None,
    least: int = 1,
    single: bool = False,
    seed: int | None = None,
    features: Mapping[str, Mapping[str, Value]] | None = None,
    split_axis: Literal[0] | None = None,
    name: str = "array",
    casting: Casting = "equiv",
    max_bytes: int = MAX_BYTES,
    missing: Literal["nan"] | None = None,
    dtype: npt.DTypeLike | None = None,
    shape: Sequence[int] | None = None,
) -> Plan:
    """Cut a list of files into the shards of one TFRecord data set.

    The list may have millions of files: it is sorted on disk, never held in memory.

    Parameters
    ----------
    files : iterable of str, os.PathLike, (file, key) or mapping of str to one of them
        What becomes one example each: a file, or a file for each input of the schema. The feature
        ``file`` holds its name, of the first input if there are several files. The same file twice
        is one example.
    out : str or os.PathLike
        The name of the data set, ``train.tfrecord``, or ``train.tfrecord.gz`` to compress it: its
        shards are ``train-00000-of-00008.tfrecord`` and so on in the same directory.
    schema : Schema or ArraySpec
        How the arrays are packed; a spec alone is that of one input.
    shards : int, optional
        How many shards; by default so many that one has about 150 MB, reckoned from a few files.
    least : int, default 1
        At least so many by default, if there are so many examples: as many as there are workers.
    single : bool, default False
        Write one file that is called ``out``, instead of shards. It is written by one process, and
        anew by every run.
    seed : int, optional
        Shuffle the examples over all shards, the same way for the same seed. By default they are in
        the order of their names.
    features : mapping of str to mapping, optional
        Name of an example -> more features of it: labels, weights. Whole numbers become int64,
        floats float32, texts and bytes strings.
    split_axis : {0}, optional
        Make an example of each row, ``array[0]``, ``array[1]`` and so on, of each file, and call it
        ``file#row``; the schema is that of a row. A file without rows, and one of which two inputs
        have different numbers of rows, are reported as failures. Only the rows of a shard are
        read of an ``.npy`` in C order, and of ``.h5`` only their chunks; of other files a shard
        reads the whole array.
    name : str, default "array"
        The input's name if ``schema`` is a spec.
    casting : {"no", "equiv", "same_kind", "unsafe"}
        Which changes the conversion to the dtype of the spec may make; see `tfdecode.load`.
    max_bytes, missing, dtype, shape
        How files are read; see `tfdecode.load`.

    Returns
    -------
    Plan
        A sequence of `Shard`. The same arguments give the same plan, in any order of the files.

    Raises
    ------
    SpecError
        If there are no files, a file is missing for an input, one name has different files, a
        feature has different types, or no example has features although some are given.
    FileError
        If the directory of temporary files is full.

    Examples
    --------
    >>> import tempfile, numpy as np, tfdecode as tfd
    >>> from tfdecode import bulk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for index in range(4):
    ...         np.save(f"{folder}/{index}.npy", np.full((2, 3), index, "uint8"))
    ...     files = [f"{folder}/{index}.npy" for index in range(4)]
    ...     spec = tfd.ArraySpec((2, 3), "uint8")
    ...     shards = bulk.plan(files, f"{folder}/train.tfrecord", spec, shards=2, seed=1)
    ...     manifest = bulk.finish(shards, [shard.write() for shard in shards])
    >>> manifest["examples"], [shard["examples"] for shard in manifest["shards"]]
    (4, [2, 2])
    """
    if isinstance(schema, ArraySpec):
        schema = Schema({name: schema})
    if FILE in schema or FILE in schema.feature_keys().values():
        raise SpecError(f"input {FILE!r} has the name of the feature that holds the file's name")
    if not len(schema):
        raise SpecError("the schema has no input")
    if shards is not None and (not isinstance(shards, int) or not 0 < shards < 10**5):
        raise SpecError(f"shards is {shards!r}, needs a whole number from 1 to 99999")
    if isinstance(files, str | bytes | os.PathLike):
        raise SpecError(f"files is {files!r}, needs a list of files")
    if single and shards not in (None, 1):
        raise SpecError(f"shards is {shards}, but single asks for one file")
    if not single and Path(out).name.find(".tfrecord") < 1:
        raise SpecError(f"{os.fspath(out)!r} needs a name with .tfrecord, as train.tfrecord")
    reader: dict[str, Any] = {"casting": casting, "max_bytes": max_bytes, "missing": missing}
    if dtype is not None:
        reader["dtype"] = dtype if isinstance(dtype, str) else dtype_name(dtype)
    if shape is not None:
        reader["shape"] = list(shape)
    if split_axis not in (None, 0):
        raise SpecError(f"split_axis is {split_axis!r}, needs 0 or None")
    if split_axis is not None:
        files = _rows(files, schema, Reader(len(schema), reader))
    settings = {"out": Path(out).name, "seed": seed, "reader": reader, "single": single}
    found = Plan(os.fspath(out), schema, settings)
    try:
        found._fill(files, features or {})
    except sqlite3.Error as error:
        raise FileError(
            f"{found.out}: the list of files cannot be sorted on disk: {error}; set SQLITE_TMPDIR "
            "to a directory with more space"
        ) from None
    found._cut(1 if single else shards, least)
    return found


class Plan(Sequence[Shard]):
    """The shards of a data set, made when they are asked for; see `plan`.

    Attributes
    ----------
    out : str
        The name of the data set.
    schema : Schema
        How its arrays are packed.
    examples : int
        How many examples are planned.
    features : dict of str to dict
        Name of a feature -> its ``"dtype"``, its ``"length"`` (None for a scalar, -1 if lengths
        differ), and how many examples are ``"missing"`` it.
    id : str
        Equal for equal plans.
    single : bool
        Whether it is one file that is called ``out``, not shards.
    """

    def __init__(self, out: str, schema: Schema, settings: Mapping[str, Any]) -> None:
        self.out, self.schema, self.examples = out, schema, 0
        self.features: dict[str, dict[str, Any]] = {}
        self.id = ""
        self.single: bool = settings["single"]
        self._settings, self._text, self._inputs = settings, schema.to_json(), list(schema)
        self._shards = 1
        self._featured = 0
        # Without a name SQLite makes a private file, which goes with the connection.
        self._rows = sqlite3.connect("", check_same_thread=False, isolation_level=None)

    def __len__(self) -> int:
        return self._shards

    @overload
    def __getitem__(self, index: int) -> Shard: ...
    @overload
    def __getitem__(self, index: slice) -> list[Shard]: ...

    def __getitem__(self, index: int | slice) -> Shard | list[Shard]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"shard {index} of {len(self)}")
        index %= len(self)
        first, last = (self.examples * end // len(self) for end in (index, index + 1))
        return self._shard(index, tuple(self._read(first, last)))

    def _shard(self, index: int, examples: tuple[Example, ...]) -> Shard:
        reader = self._settings["reader"]
        out = self.out, index, len(self), self.id, self._text
        return Shard(*out, examples, reader, self.single)

    def _read(self, first: int, last: int) -> Iterator[Example]:
        rows = "SELECT row FROM example WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
        for (row,) in self._rows.execute(rows, (first, last)):
            plain = isinstance(row, bytes)
            yield _plain(row, self._inputs) if plain else Example.from_list(json.loads(row))

    def _fill(self, files: Iterable[Source], features: Mapping[str, Mapping[str, Value]]) -> None:
        """Sort the examples, without those that are there twice."""
        unsorted = self._rows.cursor()
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -65536"):
            unsorted.execute(f"PRAGMA {setting}")  # nothing to recover; at most 64 MiB of memory
        unsorted.execute("CREATE TABLE unsorted (place BLOB, row TEXT)")
        unsorted.execute("BEGIN")
        unsorted.executemany("INSERT INTO unsorted VALUES (?, ?)", self._placed(files, features))
        unsorted.execute("CREATE TABLE example (row TEXT)")
        unsorted.executemany("INSERT INTO example VALUES (?)", self._distinct())
        unsorted.execute("COMMIT")
        unsorted.execute("DROP TABLE unsorted")
        if not self.examples:
            raise SpecError("there are no files to pack")
        if features and not self._featured:
            (name, *_), *_ = self._read(0, 1)
            raise SpecError(
                f"features are for {next(iter(features))!r} and others that are no examples; an "
                f"example is named {name!r}"
            )

    def _placed(
        self, files: Iterable[Source], features: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[tuple[bytes, str | None]]:
        """What examples are sorted by, and their JSON; None for a file and nothing else."""
        clash = {FILE, *self.schema.feature_keys().values(), *self.schema}
        seed = self._settings["seed"]
        key = str(seed).encode()[:64]
        lacking, first = 0, None
        for source in files:
            arrays = _arrays(source, self._inputs)
            path, inner, row = next(iter(arrays.values()))
            several = len(arrays) > 1 and all(other.path == path for other in arrays.values())
            file = name = path if inner is None or several else f"{path}#{inner}"
            if row is not None and row != NO_ROW:
                name = f"{file}#{row}"
            own = None
            try:
                own = None if row == NO_ROW else features.get(name)
            except NoRow as error:
                lacking, first = lacking + 1, first or error
            self._featured += own is not None
            one = Example(name, arrays, own or {})
            if taken := clash.intersection(one.features):
                raise SpecError(f"feature {min(taken)!r} has the name of an input or of {FILE!r}")
            place = os.fsencode(file) + (b"" if row is None else b"#%012d" % row)
            if seed is not None:
                place = hashlib.blake2b(place, digest_size=_DIGEST, key=key).digest() + place
            plain = inner is None and row is None and not one.features and len(arrays) == 1
            yield place, None if plain else _dumped(one.to_list())
        if first is not None:
            more = f"; {lacking - 1:,} more have none" if lacking > 1 else ""
            raise FileError(f"{first}{more}")

    def _distinct(self) -> Iterator[tuple[str | bytes]]:
        """The rows in order, each once; sets the number of examples and the id of the plan."""
        settings = json.dumps([self._settings, self._text], sort_keys=True)
        every = hashlib.sha256(settings.encode())
        begin = 0 if self._settings["seed"] is None else _DIGEST
        last = before = None
        for place, row in self._rows.execute("SELECT place, row FROM unsorted ORDER BY place, row"):
            if place == last:
                if row != before:
                    name = json.loads(row)[0]
                    raise SpecError(f"{name} is given twice, with different files of its inputs")
                continue
            last, before = place, row
            if row is None:
                row = place[begin:]
            elif not row.endswith("{}]"):
                self._describe(*json.loads(row))
            every.update(b"%b\0" % (row if isinstance(row, bytes) else row.encode()))
            self.examples += 1
            yield (row,)
        for one in self.features.values():
            one["missing"] = self.examples - one.pop("examples")
            del one["first"]
        self.id = every.hexdigest()

    def _describe(self, example: str, _: Any, more: Mapping[str, tuple[int, bool, Any]]) -> None:
        """Add the features of an example to what is known of them."""
        for feature, (found, scalar, values) in more.items():
            dtype, length = _DTYPES[found], None if scalar else len(values)
            known = self.features.setdefault(
                feature, {"dtype": dtype, "length": length, "examples": 0, "first": example}
            )
            if known["dtype"] != dtype:
                raise SpecError(
                    f"feature {feature} is {known['dtype']} for {known['first']}, but {dtype} for "
                    f"{example}"
                )
            known["length"] = length if length == known["length"] else -1
            known["examples"] += 1

    def _cut(self, shards: int | None, least: int) -> None:
        """Set the number of shards, the given one or one that suits the size of the examples."""
        if shards is None:
            step = max(1, self.examples // SAMPLED)
            sampled = (next(self._read(i, i + 1)) for i in range(0, self.examples, step)[:SAMPLED])
            sizes = list(self._shard(0, ()).measure(sampled))
            total = sum(sizes) / max(1, len(sizes)) * self.examples
            shards = min(self.examples, max(1, least, round(total / SHARD_BYTES)))
        if shards > self.examples:
            counted = f"{self.examples} example{'s' * (self.examples > 1)}"
            errors = self._shard(0, ()).unsplit(self._read(0, self.examples))
            reason = next((f"; {error}" for error in errors), "")
            raise SpecError(f"{shards} shards are more than the {counted}{reason}")
        self._shards = shards
        self.id = hashlib.sha256(f"{self.id} {shards}".encode()).hexdigest()


def _rows(files: Iterable[Source], schema: Schema, reader: Reader) -> Iterator[Source]:
    """A source for each row of the arrays of each source."""
    inputs = list(schema)
    for source in files:
        arrays = _arrays(source, inputs)
        try:
            counts = {reader.rows(part.path, part.key) for part in arrays.values()}
        except (TfdecodeError, OSError, MemoryError):
            counts = set()
        count = counts.pop() if len(counts) == 1 else None
        for row in range(count) if count else (NO_ROW,):  # the task that reads it says why
            yield {name: part._replace(row=row) for name, part in arrays.items()}


def _arrays(source: Source, inputs: list[str]) -> dict[str, Part]:
    """The file and key of each input."""
    if not isinstance(source, Mapping):
        if len(inputs) > 1:
            listed = ", ".join(inputs)
            raise SpecError(f"{source!r} is one file, but there are several inputs: {listed}")
        return {inputs[0]: _part(source)}
    if set(source) != set(inputs):
        raise SpecError(f"an example has files for {list(source)}, needs {inputs}")
    return {name: _part(source[name]) for name in inputs}


def _part(given: File) -> Part:
    path, *rest = given if isinstance(given, tuple) else (given,)
    return Part(os.fspath(check_type(path)), *rest)


def _plain(row: bytes, inputs: list[str]) -> Example:
    path = os.fsdecode(row)
    return Example(path, {inputs[0]: Part(path)}, {})
