"""Fixtures for all tests: the models that decode every case of the table, traced and reloaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.common", "tests.saved_models")

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
    from tests.saved_models import Decoders

    return Decoders({case.key: case.spec for case in CASES})


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``reloaded`` lies as a SavedModel, its signature ``every_case`` decoding all cases."""
    return tmp_path_factory.mktemp("every_case")


@pytest.fixture(scope="session")
def reloaded(traced: Any, model_directory: Path) -> Any:
    """``traced``, saved and loaded again: what the optimizer makes of it."""
    import tensorflow as tf

    from tests.codecs.cases import CASES
    from tests.saved_models import save

    @tf.function(autograph=False)
    def every_case(**payloads: Any) -> Any:
        keys = {case.key: f"{case.key}_bytes" for case in CASES}
        return {
            case.key: case.spec.decode_tensor(payloads[keys[case.key]], name=keys[case.key])
            for case in CASES
        }

    keys = [f"{case.key}_bytes" for case in CASES]
    inputs = {key: tf.TensorSpec([None], tf.string, key) for key in keys}
    signature = every_case.get_concrete_function(**inputs)
    return save(traced, model_directory, {"every_case": signature})


@pytest.fixture(scope="session")
def program() -> Path:
    """The C program that serves a SavedModel without Python."""
    from tests.runtime.build import NoCompiler, build

    try:
        return build()
    except NoCompiler as error:
        pytest.skip(f"NOTHING SERVED WITHOUT PYTHON WAS TESTED: {error}")
