"""Refusals by a server that merges requests: they name a row only of the request that has it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tfdecode as tfd

pytest.importorskip("tensorflow")
pytest.importorskip("httpx2")
pytest.importorskip("grpc")
pytest.importorskip("tensorflow_serving")

from tests.client import grpc_server, server
from tests.client.common import ARRAYS, INPUTS, POSE
from tests.client.served import Batching, Models
from tfdecode.client import Grpc, Rest


@pytest.fixture(params=["rest", "grpc"])
def client(request: pytest.FixtureRequest, model: Path) -> Iterator[Any]:
    """A client of a server that waits until it has eight rows."""
    models = Models({"m": {1: model}}, batching=Batching((8,), 60))
    schema = tfd.Schema.load(model)
    if request.param == "rest":
        with server.serving(models) as running, Rest(running.url, schema) as found:
            yield found
    else:
        with (
            grpc_server.serving(models) as (_, port),
            Grpc(f"localhost:{port}/v1/models/m", schema=schema) as found,
        ):
            yield found


def refused(client: Any, batches: list[list[Any]]) -> list[Any]:
    """The error of each request, of all at the same time."""

    def ask(poses: list[Any]) -> Any:
        others = {name: values[: len(poses)] for name, values in INPUTS.items()}
        with pytest.raises(tfd.errors.RefusedError) as error:
            client.predict({**others, "pose": poses})
        return error.value

    with ThreadPoolExecutor() as pool:
        return list(pool.map(ask, batches))


def test_the_row_is_one_that_was_sent_and_is_invalid(client: Any) -> None:
    good, bad = refused(client, [ARRAYS, [ARRAYS[0], b"bad", ARRAYS[2]]])
    assert (good.input, good.row) == ("pose_bytes", None)
    assert "this client found no invalid row in its own request" in str(good)
    assert (bad.input, bad.row) == ("pose_bytes", 1)


def test_each_of_two_bad_requests_names_its_own_row(client: Any) -> None:
    sealed = POSE.encode(ARRAYS[0])[:-1] + b"!"
    errors = refused(client, [[*ARRAYS[:4], b"bad"], [*ARRAYS[:2], sealed]])
    assert [error.row for error in errors] == [4, 2]
    assert any(f"in this request row {error.row} is invalid" in str(error) for error in errors)
