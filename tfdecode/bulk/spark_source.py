"""``spark.write.format("tfdecode")``: arrays or files in the columns of a table, as a data set.

Each partition of the table becomes a shard. Import it by `tfdecode.bulk.register`.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

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
from ..temporary import remove_abandoned
from .manifest import finish, manifest_path, schema_path
from .output import Output
from .record import Value, example, features_of, record, records
from .shard import Facts, Failure, Shard, nothing
from .spark_columns import READ_AS, TYPES, Known, array_of, batch_of, kinds_of, merge, rows_of
from .verify import read_manifest

#: Examples of a batch that is read.
BATCH = 64


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
        self._refuse_another()

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
                name = FILE in row and row[FILE].as_py()  # may be null
                name = name or f"partition {partition}, row {count + len(failures)}"
                try:
                    data, size, lengths = self._pack(row, name)
                except (TfdecodeError, OSError, MemoryError) as error:
                    failures.append({"file": name, "error": str(error) or type(error).__name__})
                    continue
                out.write(record(data))
                count, nbytes = count + 1, nbytes + size
                for feature, length in lengths.items():
                    merge(known, feature, self.kinds[feature], length)
        time = part.stat().st_mtime_ns
        if not count:
            part.unlink()
        facts: Facts = {
            "plan": "", "index": partition, "shard": "", "examples": count, "bytes": out.size,
            "array_bytes": nbytes, "sha256": out.sha256, "time": time, "failures": failures,
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
        parts, shards = self._shards(messages)
        failures = [failure for one in messages if one for failure in one.facts["failures"]]
        if not shards:
            raise (
                nothing(str(self.out), len(failures), failures)
                if failures
                else FileError(f"{self.out}: the table has no rows")
            )
        for one in parts:  # before the old data set goes
            path = self.out.with_name(one.part)
            if not path.exists():
                raise FileError(
                    f"{path}: is not on this machine; all workers need to write to a directory "
                    f"that it sees, and nobody else may write {self.out.name} at the same time"
                )
        self._refuse_another()  # somebody else may have been faster
        manifest_path(self.out).unlink(missing_ok=True)
        stem, dot, suffix = self.out.name.partition(".tfrecord")
        digits = "[0-9]" * 5
        for old in self.out.parent.glob(f"{glob.escape(stem)}-{digits}-of-{digits}{dot}{suffix}"):
            old.unlink()
        known: Known = {}
        done: list[Facts] = []
        for shard, one in zip(shards, parts, strict=True):
            os.replace(self.out.with_name(one.part), shard.path)
            for feature, kind in one.known.items():
                merge(known, feature, kind["dtype"], kind["length"], kind["examples"])
            place = {"plan": shard.plan, "index": shard.index, "shard": shard.path.name}
            done.append(cast(Facts, {**one.facts, **place, "failures": []}))
        done[0]["failures"] = failures
        total = sum(one["examples"] for one in done)
        for kind in known.values():
            kind["missing"] = total - kind.pop("examples")
        finish(shards, done, {name: known[name] for name in self.kinds if name in known})
        self._sweep("[0-9a-f]" * 16)  # what a driver left that was killed, too

    def abort(self, messages: Sequence[Written | None]) -> None:
        """Remove what was written, also what has its name because `commit` did not end."""
        parts, shards = self._shards(messages)
        manifest = manifest_path(self.out)
        if shards and (not manifest.exists() or read_manifest(manifest)["plan"] == shards[0].plan):
            manifest.unlink(missing_ok=True)
            schema = schema_path(self.out)
            for shard, one in zip(shards, parts, strict=True):
                if shard.path.exists() and shard.matches(one.facts):
                    schema.unlink(missing_ok=True)
                    shard.path.unlink()
        self._sweep(self.job)

    def _shards(self, messages: Sequence[Written | None]) -> tuple[list[Written], list[Shard]]:
        """What tasks wrote that has rows, in order, and the shards that this becomes."""
        parts = sorted((one for one in messages if one and one.part), key=attrgetter("partition"))
        schema = self.specs.to_json()
        hashes = [schema, *(one.facts["sha256"] for one in parts)]
        plan = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
        of = len(parts)
        return parts, [Shard(str(self.out), i, of, plan, schema, (), {}) for i in range(of)]

    def _refuse_another(self) -> None:
        if not self.overwrite and manifest_path(self.out).exists():
            raise FileError(
                f"{manifest_path(self.out)} is there already, and rows cannot be added to a data "
                'set; mode("overwrite") replaces it'
            )

    def _sweep(self, job: str) -> None:
        """Remove the hidden files of a job, or of all by a pattern."""
        stem = glob.escape(self.out.name.partition(".tfrecord")[0])
        for left in self.out.parent.glob(f".{stem}-{job}-*.tfrecord*"):
            if job != self.job and left.suffix == ".tmp":  # somebody may write it now
                remove_abandoned(left)
            else:
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
                    yield batch_of(rows, specs, kinds)
                    rows = []
            if rows:
                yield batch_of(rows, specs, kinds)


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
