"""The format "tfdecode" of Spark: tables to data sets and back."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tests.bulk.engines.data import SPEC, Files, recipe
from tfdecode import bulk

pyspark = pytest.importorskip("pyspark")
from pyspark.sql import SparkSession  # noqa: E402

POSE = tfd.ArraySpec((2, 3), "float32", "zlib")


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    options = {
        "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1", "spark.log.level": "OFF",
        "spark.ui.showConsoleProgress": "false",
    }  # fmt: skip
    session = SparkSession.builder.master("local[2,4]").config(map=options).getOrCreate()
    bulk.register(session)
    yield session
    session.stop()


def manifest(out: Path) -> bulk.manifest.Manifest:
    return json.loads(bulk.manifest.manifest_path(out).read_text())


def test_arrays_labels_and_back(spark: SparkSession, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = rng.standard_normal((40, 2, 3)).astype("float32")
    arrays[5, 1, 1] = np.nan
    features = [(i, i / 4 if i % 3 else None, [i] * (i % 4), f"p{i}é") for i in range(40)]
    rows = [
        (f"row {i}", a.tolist(), a.reshape(-1).tolist(), *features[i]) for i, a in enumerate(arrays)
    ]
    rows[7] = (*rows[7][:1], [[1.0, 2.0, 3.0], [1.0]], *rows[7][2:])
    rows[8] = (*rows[8][:2], None, *rows[8][3:])
    rows[9] = (*rows[9][:1], [[1.0, 2.0]], *rows[9][2:])
    kinds = "file string, pose array<array<float>>, flat array<double>, label int, weight double"
    table = spark.createDataFrame(rows, f"{kinds}, box array<bigint>, person string")
    schema = tfd.Schema({"pose": POSE, "flat": POSE})
    out = tmp_path / "train.tfrecord"
    write = table.repartitionByRange(3, "label").write.format("tfdecode").mode("append")
    write.option("schema", schema.to_json()).save(str(out))
    made = manifest(out)
    assert made["examples"] == 37 and len(made["shards"]) == 3
    reasons = {one["file"]: one["error"] for one in made["failures"]}
    assert reasons.keys() == {"row 7", "row 8", "row 9"}
    assert "differ in length" in reasons["row 7"] and "flat is null" in reasons["row 8"]
    assert "shape" in reasons["row 9"]
    assert made["features"] == {
        "label": {"dtype": "int64", "length": None, "missing": 0},
        "weight": {"dtype": "float32", "length": None, "missing": 13},
        "box": {"dtype": "int64", "length": -1, "missing": 9},
        "person": {"dtype": "string", "length": None, "missing": 0},
    }
    assert bulk.verify(out, every=True)["problems"] == []
    names = {one["shard"] for one in made["shards"]}
    assert {path.name for path in tmp_path.iterdir()} == {
        *names, "train.tfrecord.json", "train.tfrecord.manifest.json",
    }  # fmt: skip

    back = spark.read.format("tfdecode").load(str(out))
    assert back.schema.simpleString() == (
        "struct<file:string,label:bigint,weight:float,box:array<bigint>,person:binary,"
        "pose:array<array<float>>,flat:array<array<float>>>"
    )
    found = back.orderBy("label").collect()
    assert [row.label for row in found] == [i for i in range(40) if i not in (7, 8, 9)]
    for row in found:
        np.testing.assert_array_equal(np.array(row.pose, "float32"), arrays[row.label])
        np.testing.assert_array_equal(np.array(row.flat, "float32"), arrays[row.label])
        assert row.file == f"row {row.label}" and row.person == f"p{row.label}é".encode()
        assert row.box == ([row.label] * (row.label % 4) or None)
        assert row.weight == (row.label / 4 if row.label % 3 else None)

    again = tmp_path / "again" / "train.tfrecord.gz"
    again.parent.mkdir()
    copy = back.drop("person").write.format("tfdecode").mode("append")
    copy.option("schema", schema.to_json()).save(str(again))
    assert bulk.verify(again, every=True)["problems"] == [] and manifest(again)["examples"] == 37


def test_files_in_a_column(spark: SparkSession, files: Files) -> None:
    # Spark leaves out empty files.
    there = [name for name in files.names if Path(name).exists() and Path(name).stat().st_size]
    people = spark.createDataFrame(
        [(f"file:{name}", index % 3) for index, name in enumerate(there)], "file string, person int"
    )
    folder = Path(there[0]).parents[1]
    changes = {"/data/maps/": f"{folder}/*/", "/data/train.tfrecord": files.out, "128": "4"}
    recipe("bulk.register", changes, bulk=bulk, spark=spark, people=people, spec=SPEC)
    made = manifest(files.out)
    bad = files.bad.intersection(there)
    assert {one["file"].removeprefix("file:") for one in made["failures"]} == bad
    assert all("/tmp/tmp" not in one["error"] for one in made["failures"])
    assert made["examples"] == len(files.good) and len(made["shards"]) == 4
    rows = spark.read.format("tfdecode").load(str(files.out)).collect()
    assert len(rows) == len(files.good)
    for row in rows:
        np.testing.assert_array_equal(row.labels, files.good[row.file.removeprefix("file:")])


def test_a_data_set_is_replaced_only_if_asked_for(spark: SparkSession, tmp_path: Path) -> None:
    out = tmp_path / "train.tfrecord"
    table = spark.createDataFrame([([1.0] * 6,)] * 9, "array array<float>").repartition(3)

    def save(mode: str, parts: int) -> None:
        write = table.coalesce(parts).write.format("tfdecode").mode(mode)
        write.option("spec", POSE.to_json()).save(str(out))

    save("append", 3)
    with pytest.raises(Exception, match="rows cannot be added"):
        save("append", 1)
    assert len(manifest(out)["shards"]) == 3
    with pytest.raises(Exception, match=r"use either the .Append. or .Overwrite. mode"):
        save("errorifexists", 1)
    save("overwrite", 1)
    back = spark.read.format("tfdecode").load(str(out))  # a data set can be made of itself
    write = back.write.format("tfdecode").mode("overwrite").option("spec", POSE.to_json())
    write.save(str(out))
    assert manifest(out)["examples"] == 9
    assert bulk.verify(out)["problems"] == [] and len(list(tmp_path.iterdir())) == 3


def test_a_failed_write_leaves_nothing(spark: SparkSession, tmp_path: Path) -> None:
    table = spark.createDataFrame([(i,) for i in range(9)], "array int").repartition(3)
    write = table.write.format("tfdecode").mode("append")
    out = tmp_path / "train.tfrecord"
    with pytest.raises(Exception, match="none of the 9"):
        write.option("spec", POSE.to_json()).save(str(out))
    bad = table.selectExpr("assert_true(array < 8) IS NULL AS ok", "array(array * 1.0f) AS array")
    spec = tfd.ArraySpec((1,), "float32").to_json()
    with pytest.raises(Exception, match="is not true"):
        bad.write.format("tfdecode").mode("append").option("spec", spec).save(str(out))
    assert list(tmp_path.iterdir()) == []


def saved(out: Path) -> set[str]:
    return {path.name for path in out.parent.iterdir()}


#: Where a commit ends: the name that a file does not get.
ENDS = ["train-00000-of-00003.tfrecord", "train-00002-of-00003.tfrecord", "train.tfrecord.json",
        "train.tfrecord.manifest.json"]  # fmt: skip


@pytest.mark.parametrize(("end", "how"), [*zip(ENDS, ["error", "kill"] * 2, strict=True)])
def test_a_commit_that_fails_shows_nothing(
    spark: SparkSession, tmp_path: Path, end: str, how: str
) -> None:
    spark.dataSource.register(failing(end, how))
    out = tmp_path / "train.tfrecord"
    table = spark.createDataFrame([([float(i)] * 6,) for i in range(9)], "array array<float>")
    write = table.repartition(3).write.mode("append").option("spec", POSE.to_json())
    with pytest.raises(Exception, match="no space" if how == "error" else None):
        write.format("failing").save(str(out))
    assert not [name for name in saved(out) if not name.startswith(".")]
    write.format("tfdecode").save(str(out))
    assert manifest(out)["examples"] == 9 and len(saved(out)) == 5


def test_a_killed_driver_is_replaced_by_the_next_write(spark: SparkSession, tmp_path: Path) -> None:
    spark.dataSource.register(failing(ENDS[1], "kill", aborts=False))
    out = tmp_path / "train.tfrecord"
    table = spark.createDataFrame([([float(i)] * 6,) for i in range(9)], "array array<float>")
    write = table.repartition(3).write.mode("append").option("spec", POSE.to_json())
    with pytest.raises(Exception):  # noqa: B017
        write.format("failing").save(str(out))
    visible = {name for name in saved(out) if not name.startswith(".")}
    assert visible and len(saved(out)) == 3 and not bulk.manifest.manifest_path(out).exists()
    with pytest.raises(tfd.FileError):
        bulk.verify(out)
    write.format("tfdecode").save(str(out))
    assert manifest(out)["examples"] == 9 and len(saved(out)) == 5
    assert bulk.verify(out, every=True)["problems"] == []


def failing(end: str, how: str, aborts: bool = True) -> Any:
    """The format "failing", whose commit ends before a file gets its name."""
    from tfdecode.bulk.spark_source import DataSet, Writer

    class FailingWriter(Writer):  # a local class is sent whole
        def commit(self, messages: Any) -> None:
            replace = os.replace

            def ends(source: Any, target: Any) -> None:
                if str(target).endswith(f"/{end}"):
                    if how == "kill":
                        os.kill(os.getpid(), 9)
                    raise OSError(28, "no space", str(target))
                replace(source, target)

            os.replace = ends
            try:
                super().commit(messages)
            finally:
                os.replace = replace

        def abort(self, messages: Any) -> None:
            if aborts:
                super().abort(messages)

    class Failing(DataSet):
        @classmethod
        def name(cls) -> str:
            return "failing"

        def writer(self, schema: Any, overwrite: bool) -> Any:
            return FailingWriter(self.out, self.options, schema, overwrite)

    return Failing


def test_of_two_writes_at_once_the_first_wins(spark: SparkSession, tmp_path: Path) -> None:
    from pyspark.sql.types import ArrayType, FloatType, StructField, StructType

    from tfdecode.bulk.spark_source import Writer, Written

    out = tmp_path / "train.tfrecord"
    columns = StructType([StructField("array", ArrayType(FloatType()))])
    second = {
        overwrite: Writer(out, {"spec": POSE.to_json()}, columns, overwrite)
        for overwrite in (False, True)
    }
    table = spark.createDataFrame([([1.0] * 6,)], "array array<float>")
    part = tmp_path / f".train-{second[True].job}-0-01234567.tfrecord"
    part.write_bytes(b"written meanwhile")
    table.write.format("tfdecode").mode("append").option("spec", POSE.to_json()).save(str(out))
    facts: Any = {"failures": [], "sha256": ""}
    message = [Written(0, part.name, facts, {})]
    with pytest.raises(tfd.FileError, match=r"nobody else may write train\.tfrecord"):
        second[True].commit(message)
    second[True].abort(message)
    part.write_bytes(b"written meanwhile")
    with pytest.raises(tfd.FileError, match="cannot be added"):
        second[False].commit(message)
    second[False].abort(message)
    part.unlink()
    assert bulk.verify(out, every=True)["problems"] == [] and len(saved(out)) == 3


def test_shards_on_another_machine_replace_nothing(tmp_path: Path) -> None:
    from pyspark.sql.types import ArrayType, FloatType, StructField, StructType

    from tfdecode.bulk.spark_source import Writer, Written

    out = tmp_path / "train.tfrecord"
    np.save(tmp_path / "x.npy", np.zeros((2, 3), "float32"))
    bulk.run(bulk.plan([tmp_path / "x.npy"], out, POSE))
    columns = StructType([StructField("array", ArrayType(FloatType()))])
    writer = Writer(out, {"spec": POSE.to_json()}, columns, True)
    facts: Any = {"failures": [], "sha256": ""}
    with pytest.raises(tfd.FileError, match="all workers need to write to a directory"):
        writer.commit([Written(0, ".train-1-0-1.tfrecord", facts, {})])
    assert bulk.verify(out)["problems"] == []


def test_what_is_no_array_or_feature_is_named(spark: SparkSession, tmp_path: Path) -> None:
    inf, nan = float("inf"), float("nan")
    rows = [
        ("good", [nan, inf, -0.0, 0.0, 1.0, 2.0], nan, [1]),
        ("null inside", [1.0, None, 1.0, 1.0, 1.0, 1.0], 1.0, [1]),
        ("null tag", [1.0] * 6, 1.0, [1, None]),
        ("large", [1.0] * 6, 1e300, None),
        ("short", [1.0] * 5, 1.0, None),
        (None, None, 1.0, None),
        (None, [1.0] * 6, None, []),
    ]
    table = spark.createDataFrame(
        rows, "file string, array array<float>, label double, tags array<int>"
    )
    out = tmp_path / "train.tfrecord"
    write = table.coalesce(1).write.format("tfdecode").mode("append")
    write.option("spec", POSE.to_json()).save(str(out))
    reasons = {one["file"]: one["error"] for one in manifest(out)["failures"]}
    assert manifest(out)["examples"] == 2 and len(reasons) == 5
    assert "1 nulls" in reasons["null inside"] and "NoneType" in reasons["null tag"]
    assert "does not fit float32" in reasons["large"] and "shape" in reasons["short"]
    assert {"column array is null"} == {reasons[name] for name in reasons if "partition 0" in name}
    found = {row.file: row for row in spark.read.format("tfdecode").load(str(out)).collect()}
    array = np.array(found["good"].array, "float32")
    assert array.tobytes() == np.array(rows[0][1], "float32").reshape(2, 3).tobytes()
    assert np.isnan(found["good"].label) and found["good"].tags == [1]
    (unnamed,) = found.keys() - {"good"}
    assert unnamed.startswith("partition 0, row ")
    assert found[unnamed].label is None and found[unnamed].tags is None


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "no column array; the columns are x": ("x int", {"spec": POSE.to_json()}),
    "column when is timestamp": ("array array<float>, when timestamp", {"spec": POSE.to_json()}),
    "decimal.*needs binary, or arrays of numbers": (
        "array array<decimal(9,2)>",
        {"spec": POSE.to_json()},
    ),
    "column array is string": ("array string", {"spec": POSE.to_json()}),
    "column file is int": ("array binary, file int", {"spec": POSE.to_json()}),
    "called as an input": ("array binary, array_bytes int", {"spec": POSE.to_json()}),
    "one of the options schema and spec": ("array binary", {}),
    "not a URL": ("array binary", {"spec": POSE.to_json(), "path": "s3://b/train.tfrecord"}),
    "needs a name with .tfrecord": ("array binary", {"spec": POSE.to_json(), "path": "/tmp/x"}),
}


def test_vectors_are_refused_by_a_word_that_helps(spark: SparkSession, tmp_path: Path) -> None:
    from pyspark.ml.functions import vector_to_array
    from pyspark.ml.linalg import Vectors

    table = spark.createDataFrame([(Vectors.dense(range(6)),)], ["array"])
    out = tmp_path / "train.tfrecord"

    def save(table: Any) -> None:
        write = table.write.format("tfdecode").mode("append").option("spec", POSE.to_json())
        write.save(str(out))

    with pytest.raises(Exception, match=r"column array is vector.*vector_to_array"):
        save(table)
    save(table.withColumn("array", vector_to_array("array")))
    assert manifest(out)["examples"] == 1


@pytest.mark.parametrize("message", WRONG)
def test_wrong_tables_are_refused(spark: SparkSession, tmp_path: Path, message: str) -> None:
    columns, options = WRONG[message]
    write = spark.createDataFrame([], columns).write.format("tfdecode").mode("append")
    with pytest.raises(Exception, match=message):
        write.options(**{"path": str(tmp_path / "train.tfrecord"), **options}).save()
