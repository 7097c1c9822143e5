"""Fixtures of several tests: the decoders of every case of the table, traced and reloaded."""

from __future__ import annotations

import os
from functools import cache
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of the models of the table, which are made once in a process."""
    for item in items:
        if "group_traced" in getattr(item, "fixturenames", ()):
            item.add_marker("cases")


@pytest.fixture(scope="session")
def group_traced() -> Any:
    """The decoders of a group of the table by its name, traced when first asked for."""
    from tests.codecs.cases import GROUPS
    from tests.reloaded import Decoders

    return cache(lambda name: Decoders({case.key: case.spec for case in GROUPS[name]}))


@pytest.fixture(scope="session")
def group_saved(group_traced: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The SavedModel of a group, whose signature ``every_case`` decodes all of it."""
    from tests.reloaded import saved

    def model(name: str) -> Path:
        signatures = {"every_case": group_traced(name).every_case()}
        return saved(group_traced(name), tmp_path_factory.mktemp(name), signatures)

    return cache(model)


@pytest.fixture(scope="session")
def traced(group_traced: Any) -> Any:
    """A traced function for each case of the table: ``traced.tensor[case.key](payloads)``."""
    from tests.codecs.cases import GROUP_OF
    from tests.reloaded import OnDemand

    return OnDemand(lambda key: group_traced(GROUP_OF[key]))


@pytest.fixture(scope="session")
def reloaded(group_saved: Any) -> Any:
    """``traced``, saved and loaded again: what the optimizer makes of it."""
    import tensorflow as tf

    from tests.codecs.cases import GROUP_OF
    from tests.reloaded import OnDemand

    load = cache(lambda name: tf.saved_model.load(str(group_saved(name))))
    return OnDemand(lambda key: load(GROUP_OF[key]))


@pytest.fixture(scope="session")
def program() -> Path:
    """The C program that serves a SavedModel without Python."""
    from runtime.build import NoCompiler, build

    try:
        return build()
    except NoCompiler as error:
        pytest.skip(f"NOTHING SERVED WITHOUT PYTHON WAS TESTED: {error}")
