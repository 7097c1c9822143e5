"""Apache Beam, whose local runner does not try again: nothing is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bulk.engines.data import Files
from tfdecode import bulk

beam = pytest.importorskip("apache_beam")


def test_beam(files: Files, tmp_path: Path) -> None:
    plan = files.plan()
    options = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    with beam.Pipeline(argv=options) as pipeline:
        facts = pipeline | beam.Create(plan) | beam.Reshuffle() | beam.Map(bulk.Shard.write)
        facts | beam.Map(json.dumps) | beam.io.WriteToText(str(tmp_path / "facts"))
    lines = [line for path in tmp_path.glob("facts*") for line in path.read_text().splitlines()]
    files.prove(bulk.finish(plan, map(json.loads, lines)))
