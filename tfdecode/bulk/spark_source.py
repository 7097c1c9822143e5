"""``spark.write.format("tfdecode")``: arrays or files in the columns of a table, as a data set.

Each partition of the table becomes a shard. Import it by `tfdecode.bulk.register`.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow
from pyspark import TaskContext
from pyspark.sql.datasource import (
    DataSource,
    DataSourceArrowWriter,
    DataSourceReader,
    InputPartition,
    WriterCommitMessage,
)
from pyspark.sql.types import StructType

from ..casts import checked_bool
from ..conversion import converted
from ..dataset import FILE
from ..errors import EncodeError, FileError, SpecError, TfdecodeError
from ..files import form_for, load, naming
from ..names import bytes_key
from ..reading import failures_of, opened
from ..schema import Schema
from ..sources import Held, is_url
from ..spec import ArraySpec
from .manifest import finish, manifest_path, schema_path
from .output import Output
from .record import Value, example, features_of, record, records
from .shard import Facts, Failure, Shard, nothing
from .verify import read_manifest

#: Spark's type of each dtype, which holds all its values.
TYPES = {
    "bool": "boolean", "int8": "tinyint", "uint8": "smallint", "int16": "smallint",
    "uint16": "int", "int32": "int", "uint32": "bigint", "int64": "bigint", "float16": "float",
    "bfloat16": "float", "float32": "float", "float64": "double",
}  # fmt: skip
#: Spark's types of features, and how the manifest calls them.
FEATURES = {
    **dict.fromkeys(("boolean", "tinyint", "smallint", "int", "bigint"), "int64"),
    **dict.fromkeys(("float", "double"), "float32"),
    **dict.fromkeys(("string", "binary"), "string"),
}
READ_AS = {"int64": "bigint", "float32": "float", "string": "binary"}
#: Examples of a batch that is read.
BATCH = 64
#: What is known of a feature: see `Plan.features`.
Known = dict[str, dict[str, Any]]


class DataSet(DataSource):
    """A data set of TFRecord files, by its name: ``save("/data/train.tfrecord")``."""

    @classmethod
    def name(cls) -> str:
        """The word for ``format``."""
        return "tfdecode"

    @property
    def out(self) -> Path:
        """The name of the data set."""
        path = self.options.get("path", "").removeprefix("file:")
        if is_url(path):
            raise SpecError(f"path is {path!r}, needs a directory that all workers see, not a URL")
        if Path(path).name.find(".tfrecord") < 1:
            raise SpecError(
                f"path is {path!r}, needs a name with .tfrecord, as /data/train.tfrecord"
            )
        return Path(path)

    def writer(self, schema: StructType, overwrite: bool) -> Writer:
        """Check the columns; SpecError says which one cannot be written."""
        return Writer(self.out, self.options, schema, overwrite)

    def schema(self) -> str:
        """The columns of a data set that is read."""
        specs = Schema.load(schema_path(self.out))
        features = read_manifest(manifest_path(self.out))["features"]
        columns = {FILE: "string"}
        for name, kind in features.items():
            one = READ_AS[kind["dtype"]]
            columns[name] = one if kind["length"] is None else f"array<{one}>"
        for name, spec in specs.items():
            if spec.dtype not in TYPES:
                raise SpecError(f"input {name} is {spec.dtype}, for which Spark has no type")
            columns[name] = TYPES[spec.dtype]
            for _ in spec.shape:
                columns[name] = f"array<{columns[name]}>"
        return ", ".join(f"`{name.replace('`', '``')}` {kind}" for name, kind in columns.items())

    def reader(self, schema: StructType) -> Shards:
        """The examples with their arrays decoded."""
        return Shards(self.out)


@dataclass
class Written(WriterCommitMessage):
    """What a task wrote: its facts, the name of its file, and what is known of features."""

    partition: int
    part: str
    facts: Facts
    known: Known


class Writer(DataSourceArrowWriter):
    """Writes a hidden file for each partition, which all get their names in the end."""

    def __init__(self, out: Path, options: Any, columns: StructType, overwrite: bool) -> None:
        self.out, self.key, self.overwrite = out, options.get("key"), overwrite
        self.specs = specs_of(options)
        self.casting = options.get("casting", "equiv")
        self.job = os.urandom(8).hex()
        self.kinds = kinds_of(columns, self.specs)
        if not overwrite and manifest_path(out).exists():
            raise FileError(f'{manifest_path(out)} is there already; mode("overwrite") replaces it')

    def write(self, batches: Iterator[pyarrow.RecordBatch]) -> Written:
        """Write the rows of a partition; runs on a worker."""
        partition = TaskContext.get().partitionId()
        stem, dot, suffix = self.out.name.partition(".tfrecord")
        attempt = f"{self.job}-{partition}-{os.urandom(4).hex()}"
        part = self.out.with_name(f".{stem}-{attempt}{dot}{suffix}")
        known: Known = {}
        failures: list[Failure] = []
        count = nbytes = 0
        with Output(part) as out:
            for row in (row for batch in batches for row in rows_of(batch)):
                name = f"partition {partition}, row {count + len(failures)}"
                name = name if row.get(FILE) is None else row[FILE].as_py()
                try:
                    data, size, lengths = self._pack(row, name)
                except (TfdecodeError, OSError, MemoryError) as error:
                    failures.append({"file": name, "error": str(error) or type(error).__name__})
                    continue
                out.write(record(data))
                count, nbytes = count + 1, nbytes + size
                for feature, length in lengths.items():
                    merge(known, feature, self.kinds[feature], length)
        if not count:
            part.unlink()
        facts: Facts = {
            "plan": "", "index": partition, "shard": "", "examples": count, "bytes": out.size,
            "array_bytes": nbytes, "sha256": out.sha256, "failures": failures,
            "pid": os.getpid(), "kept": False,
        }  # fmt: skip
        return Written(partition, part.name if count else "", facts, known)

    def _pack(self, row: dict[str, Any], name: str) -> tuple[bytes, int, dict[str, int | None]]:
        """The example of a row, the bytes of its arrays, and the lengths of its features."""
        features: dict[str, Value] = {FILE: name}
        nbytes, lengths = 0, {}
        for input_, spec in self.specs.items():
            value = row[input_]
            if not value.is_valid:
                raise EncodeError(f"column {input_} is null")
            if self.kinds[input_] == "binary":
                file = Held(name, value.as_py())
                array = checked_bool(load(file, self.key, **form_for(spec, name)))
            else:
                array = array_of(value, spec.shape)
            with naming(name):
                array = converted(array, spec.dtype, self.casting)
            features[bytes_key(input_)] = spec.encode(array)
            nbytes += array.nbytes
        for feature, value in row.items():
            if feature in self.specs or feature == FILE or not value.is_valid:
                continue
            values = value.as_py()
            if values != []:
                features[feature] = values
                lengths[feature] = len(values) if isinstance(values, list) else None
        return example(features), nbytes, lengths

    def commit(self, messages: Sequence[Written | None]) -> None:
        """Give the files their names; schema and manifest come last."""
        parts = sorted(filter(None, messages), key=lambda one: one.partition)
        failures = [failure for one in parts for failure in one.facts["failures"]]
        full = [one for one in parts if one.part]
        if not full:
            raise (
                nothing(str(self.out), len(failures), failures)
                if failures
                else FileError(f"{self.out}: the table has no rows")
            )
        schema = self.specs.to_json()
        hashes = [schema, *(one.facts["sha256"] for one in full)]
        plan = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
        for one in full:  # before the old data set goes
            path = self.out.with_name(one.part)
            if not path.exists():
                raise FileError(
                    f"{path}: is not on this machine; all workers need to write to a directory "
                    "that it sees"
                )
        manifest_path(self.out).unlink(missing_ok=True)
        stem, dot, suffix = self.out.name.partition(".tfrecord")
        digits = "[0-9]" * 5
        for old in self.out.parent.glob(f"{glob.escape(stem)}-{digits}-of-{digits}{dot}{suffix}"):
            old.unlink()
        known: Known = {}
        done: list[Facts] = []
        shards = [
            Shard(str(self.out), index, len(full), plan, schema, (), {})
            for index in range(len(full))
        ]
        for shard, one in zip(shards, full, strict=True):
            os.replace(self.out.with_name(one.part), shard.path)
            for feature, kind in one.known.items():
                merge(known, feature, kind["dtype"], kind["length"], kind["examples"])
            place = {"plan": plan, "index": shard.index, "shard": shard.path.name, "failures": []}
            done.append(cast(Facts, {**one.facts, **place}))
        done[0]["failures"] = failures
        total = sum(one["examples"] for one in done)
        for kind in known.values():
            kind["missing"] = total - kind.pop("examples")
        finish(shards, done, {name: known[name] for name in self.kinds if name in known})
        self._sweep()

    def abort(self, messages: Sequence[Written | None]) -> None:
        """Remove what was written."""
        self._sweep()

    def _sweep(self) -> None:
        for left in self.out.parent.glob(f".*-{self.job}-*"):
            left.unlink(missing_ok=True)


class Shards(DataSourceReader):
    """Reads a data set: a partition for each shard."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def partitions(self) -> list[InputPartition]:
        """The shards of the manifest."""
        shards = read_manifest(manifest_path(self.out))["shards"]
        return [InputPartition((one["shard"], one["bytes"])) for one in shards]

    def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
        """The examples of a shard."""
        specs = Schema.load(schema_path(self.out))
        kinds = read_manifest(manifest_path(self.out))["features"]
        shard, size = partition.value
        path = self.out.with_name(shard)
        with opened(path) as (file, found), failures_of(path):
            if found != size:
                raise FileError(f"{path}: has {found} bytes, the manifest says {size}")
            rows = []
            for data in records(file, size, path.suffix == ".gz"):
                rows.append(features_of(data))
                if len(rows) == BATCH:
                    yield _batch(rows, specs, kinds)
                    rows = []
            if rows:
                yield _batch(rows, specs, kinds)


def specs_of(options: Any) -> Schema:
    """The specs that the options give: ``schema``, or ``spec`` and ``name``."""
    if ("schema" in options) == ("spec" in options):
        raise SpecError("needs one of the options schema and spec, the text of to_json()")
    if "schema" in options:
        specs = Schema.from_json(options["schema"])
    else:
        specs = Schema({options.get("name", "array"): ArraySpec.from_json(options["spec"])})
    if FILE in specs or not len(specs):
        raise SpecError(f"the schema has no input, or one that is called {FILE!r}")
    return specs


def kinds_of(columns: StructType, specs: Schema) -> dict[str, str]:
    """Of each input "binary" or "array", of each feature its dtype; SpecError if one has none."""
    types = {column.name: column.dataType.simpleString() for column in columns}
    clash = {*specs.feature_keys().values()}
    kinds = {}
    for name in specs:
        if name not in types:
            raise SpecError(f"there is no column {name}; the columns are {', '.join(types)}")
        item = types[name].replace("array<", "").rstrip(">")
        if types[name] != "binary" and item not in {*TYPES.values()}:
            raise SpecError(f"column {name} is {types[name]}; needs binary, or arrays of numbers")
        kinds[name] = "binary" if types[name] == "binary" else "array"
    if types.get(FILE, "string") != "string":
        raise SpecError(f"column {FILE} is {types[FILE]}; needs string, the name of an example")
    for name, kind in types.items():
        if name in specs or name == FILE:
            continue
        item = kind.removeprefix("array<").removesuffix(">")
        if item not in FEATURES or name in clash:
            why = "is called as an input" if name in clash else f"is {kind}"
            raise SpecError(f"column {name} {why}; needs another name, or a cast, or drop it")
        kinds[name] = FEATURES[item]
    return kinds


def rows_of(batch: pyarrow.RecordBatch) -> Iterator[dict[str, Any]]:
    """The scalars of each row by column."""
    for index in range(batch.num_rows):
        yield {name: batch[name][index] for name in batch.schema.names}


def array_of(value: Any, shape: Sequence[int | None]) -> np.ndarray:
    """A number, a list of them, or lists in lists; a list may be an array of ``shape``, flat."""
    lists = pyarrow.types.is_list, pyarrow.types.is_large_list
    if not any(is_list(value.type) for is_list in lists):
        scalar: np.ndarray = pyarrow.array([value.as_py()], value.type).to_numpy(False)
        return scalar.reshape(())
    values, sides = value.values, [len(value.values)]
    while any(is_list(values.type) for is_list in lists):
        lengths = {*values.value_lengths().to_pylist()} or {0}
        if len(lengths) > 1 or None in lengths:
            raise EncodeError(f"the lists of axis {len(sides)} differ in length")
        sides.append(lengths.pop())
        values = values.flatten()
    if values.null_count:
        raise EncodeError(f"has {values.null_count} nulls")
    array: np.ndarray = values.to_numpy(zero_copy_only=False).reshape(sides)
    known = [side for side in shape if side is not None]
    if len(sides) == 1 != len(shape) == len(known) and array.size == np.prod(known):
        return array.reshape(known)
    return array


def merge(known: Known, feature: str, dtype: str, length: int | None, count: int = 1) -> None:
    """Add examples of a feature to what is known of it."""
    one = known.setdefault(feature, {"dtype": dtype, "length": length, "examples": 0})
    one["length"] = length if one["length"] == length else -1
    one["examples"] += count


def _batch(rows: list[dict[str, list[Any]]], specs: Schema, features: Known) -> pyarrow.RecordBatch:
    columns = {FILE: pyarrow.array([os.fsdecode(row[FILE][0]) for row in rows])}
    for name, kind in features.items():
        scalar = kind["length"] is None
        values = [row.get(name) or None for row in rows]
        item = {"int64": pyarrow.int64(), "float32": pyarrow.float32()}
        of = item.get(kind["dtype"], pyarrow.binary())
        if scalar:
            values = [value and value[0] for value in values]
        columns[name] = pyarrow.array(values, of if scalar else pyarrow.list_(of))
    for name, spec in specs.items():
        columns[name] = _arrays([spec.decode(row[bytes_key(name)][0]) for row in rows])
    return pyarrow.RecordBatch.from_pydict(columns)


def _arrays(arrays: list[np.ndarray]) -> pyarrow.Array:
    """Lists in lists."""
    held = {"smallint": "int16", "int": "int32", "bigint": "int64", "float": "float32"}
    dtype = arrays[0].dtype.name
    flat = np.concatenate([array.reshape(-1) for array in arrays])
    values = pyarrow.array(flat.astype(held.get(TYPES[dtype], dtype)))
    for axis in reversed(range(arrays[0].ndim)):
        counts = [int(np.prod(array.shape[:axis])) for array in arrays]
        lengths = np.repeat([array.shape[axis] for array in arrays], counts)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("int32")
        values = pyarrow.ListArray.from_arrays(pyarrow.array(offsets), values)
    return values
