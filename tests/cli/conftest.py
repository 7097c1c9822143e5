"""The working directory of the tests of ``pack``."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.cli.common import POSE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files to pack."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pose.pkl").write_bytes(pickle.dumps(POSE))
    np.save("depth.npy", np.array([[0.5, 1.0], [2.0, 3.0]]))
    np.savez("maps.npz", pose=POSE, labels=np.array([0.0, 7.0]))
    return tmp_path
