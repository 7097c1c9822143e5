"""examples/jax_model.py: the served model answers as the JAX model does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.saved_models.session import ServingSession

pytest.importorskip("jax")
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("by", ["export", "orbax"])
def test_a_jax_model_is_served(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "orbax":
        pytest.importorskip("orbax.export")
    monkeypatch.syspath_prepend(EXAMPLES)
    from jax_model import PARAMETERS, SPEC, predict

    program = [sys.executable, EXAMPLES / "jax_model.py", tmp_path / "m"]
    subprocess.run([*program, *(["--orbax"] if by == "orbax" else [])], check=True, timeout=300)
    version = tmp_path / "m" if by == "orbax" else tmp_path / "m" / "1"
    arrays = np.random.default_rng(0).integers(-1, 2, (3, *SPEC.shape)).astype("float32")
    with ServingSession(version) as session:
        rows = [SPEC.encode(array) for array in arrays]
        got = session.run("serving_default", {"pose_map_bytes": rows})["score"]
    assert np.allclose(got, predict(PARAMETERS, arrays)["score"], rtol=1e-6)
    assert tfd.check(version).ok
