"""Spark Connect: in a process of its own, which then has no other Spark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import tfdecode as tfd
from tests.bulk.engines.data import Files, below, killing
from tfdecode import bulk

pytest.importorskip("pyspark")
from pyspark.sql import SparkSession


@contextmanager
def session(_: str) -> Iterator[SparkSession]:
    made = SparkSession.builder.remote("local[2]").getOrCreate()
    try:
        yield made
    finally:
        made.stop()


def test_spark_connect(files: Files) -> None:
    with (
        session("connect") as made,
        killing(files, lambda: below("pyspark.daemon")[-1:]),
        pytest.raises(tfd.FileError, match="run again"),  # its server is local[2]
    ):
        bulk.run(files.plan(), made)
    with session("connect") as made:
        told: list[int] = []
        manifest = bulk.run(files.plan(), made, lambda facts: told.append(facts["index"]))
    files.prove(manifest)
