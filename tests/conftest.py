"""Fixtures of several tests: the decoders of every case of the table, traced and reloaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.common", "tests.reloaded")

settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "thorough", settings.get_profile("ci"), derandomize=False, max_examples=1000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def traced() -> Any:
    """A tf.function for each case of the table: ``traced.tensor[case.key](payloads)``."""
    from tests.codecs.cases import CASES
    from tests.reloaded import Decoders

    return Decoders({case.key: case.spec for case in CASES})


@pytest.fixture(scope="session")
def reloaded(traced: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``traced``, saved and loaded again: what the optimizer makes of it."""
    from tests.reloaded import save

    return save(traced, tmp_path_factory.mktemp("every_case"))


@pytest.fixture(scope="session")
def program() -> Path:
    """The C program that serves a SavedModel without Python."""
    from runtime.build import NoCompiler, build

    try:
        return build()
    except NoCompiler as error:
        pytest.skip(f"NOTHING SERVED WITHOUT PYTHON WAS TESTED: {error}")
