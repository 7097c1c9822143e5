"""The models that the tests of clients ask, their answers, and servers in other processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tfdecode as tfd

from .common import INPUTS, POSE, SIZE
from .model_server import PROGRAM, VARIABLE, ModelServer, programs


def answer(pose: Any, size: Any, word: Any, weight: Any) -> dict[str, Any]:
    import tensorflow as tf

    return {
        "sum": tf.reduce_sum(pose, [1, 2]) * weight,
        "size": tf.cast(size, tf.int32),
        "word_bytes": word,
        "pose": pose,
    }


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tf = pytest.importorskip("tensorflow")
    inputs = {
        "pose": POSE,
        "size": SIZE,
        "word": tf.TensorSpec([None], tf.string),
        "weight": tf.TensorSpec([None], tf.float32),
    }
    return tfd.export(
        answer, tmp_path_factory.mktemp("models"), inputs=inputs, arrays_signature=None
    )


@pytest.fixture(scope="session")
def expected(model: Path) -> dict[str, Any]:
    from tfdecode.client import InProcess

    with InProcess(model) as process:
        return process.predict(INPUTS)


@pytest.fixture(scope="session")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Directories of models: ours, one with a packed output, and two that others saved."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("served")
    mask = tfd.ArraySpec((2, 3), "bool")
    tfd.export(
        lambda pose: {"mask": pose > 0},
        folder / "mask",
        {"pose": POSE},
        {"mask": mask},
        arrays_signature=None,
        warmup=False,
    )

    def save(name: str, dtype: Any) -> None:
        module = tf.Module()
        spec = tf.TensorSpec([None, 2], dtype, name="x")
        function = tf.function(lambda x: {"y": tf.cast(x, tf.float32) * 2}, [spec])
        tf.saved_model.save(module, str(folder / name / "1"), signatures=function)

    save("floats", tf.float32)
    save("depth", tf.uint16)
    return {"m": model.parent, **{path.name: path for path in folder.iterdir()}}


@pytest.fixture(scope="session", params=list(programs()))
def model_server(
    request: pytest.FixtureRequest, served: dict[str, Path], tmp_path_factory: Any
) -> Iterator[ModelServer]:
    """A server that merges requests, in a process of its own."""
    pytest.importorskip("tensorflow_serving.apis")
    program, folder = programs()[request.param], tmp_path_factory.mktemp("config")
    with ModelServer.of_models(program, served, folder) as server:
        TESTED.add(request.param)
        yield server


#: The servers that were started.
TESTED: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Any:
    """Show the log of the server of a test that failed."""
    report = yield
    server = getattr(item, "funcargs", {}).get("model_server")
    if report.failed and server is not None:
        report.sections.append((f"log of {server.program}", server.logged()))
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which server the clients were tested against."""
    if {PROGRAM, "stand-in"} == TESTED:
        text = f"the clients were tested against {programs()[PROGRAM][0]} and the stand-in"
    elif TESTED:
        text = (
            "the clients were tested against the stand-in of the tests, not against TensorFlow "
            f"Serving: no {PROGRAM} is on PATH, and {VARIABLE} names none"
        )
    else:
        return
    terminalreporter.write_line(text)
