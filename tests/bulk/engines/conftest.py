"""What the engines share: slow workers that find this checkout, and the files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.bulk.engines.data import Files, make

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> str:
    """The search path of workers."""
    path = os.pathsep.join(map(str, [HERE.parent / "slow", HERE.parents[2]]))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return make(tmp_path)
