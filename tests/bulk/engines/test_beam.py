"""Apache Beam, whose local runner does not try again: nothing is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bulk.engines.data import Files, recipe
from tfdecode import bulk

pytest.importorskip("apache_beam")


def test_beam(files: Files, tmp_path: Path) -> None:
    from apache_beam.options.pipeline_options import PipelineOptions

    arguments = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    names = {"bulk": bulk, "plan": files.plan(), "options": PipelineOptions(arguments)}
    changes = {"/data/facts": tmp_path / "facts"}
    files.prove(recipe("import apache_beam", changes, **names))
