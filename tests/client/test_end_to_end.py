"""Every client against a server in another process, which merges the requests of several clients.

It is started as the operator's guide says. If ``tensorflow_model_server`` is on PATH, or
TFDECODE_MODEL_SERVER names it, each test runs against it too.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd

tf = pytest.importorskip("tensorflow")
pytest.importorskip("httpx2")
pytest.importorskip("grpc")

from tfdecode.client import ArrayFile, AsyncRest, Grpc, Rest  # noqa: E402

from .common import ARRAYS, INPUTS, WORDS, check, one  # noqa: E402
from .model_server import ModelServer  # noqa: E402

#: Instances of a client; while its server is killed, fewer.
COUNT, FEW = 1000, 400


class Awaited:
    """`AsyncRest` with the methods of the others."""

    def __init__(self, url: str, **options: Any) -> None:
        self.open = lambda: AsyncRest(url, **options)

    def predict(self, inputs: Any) -> Any:
        return asyncio.run(self._predict(inputs))

    async def _predict(self, inputs: Any) -> Any:
        async with self.open() as client:
            return await client.predict(inputs)

    def predict_each(self, many: Iterable[Any], **options: Any) -> Iterator[Any]:
        async def ask() -> None:
            async with self.open() as client:
                async for outputs in client.predict_each(many, **options):
                    answers.append(outputs)

        answers: list[Any] = []
        try:
            asyncio.run(ask())
        finally:
            yield from answers

    def __enter__(self) -> Awaited:
        return self

    def __exit__(self, *_: object) -> None:
        pass


CLIENTS: dict[str, Any] = {
    "Rest": lambda server, name, **options: Rest(server.rest(name), **options),
    "AsyncRest": lambda server, name, **options: Awaited(server.rest(name), **options),
    "Grpc": lambda server, name, **options: Grpc(server.grpc(name), **options),
}


@pytest.fixture(params=CLIENTS)
def ask(request: pytest.FixtureRequest, model_server: ModelServer) -> Any:
    """Opens a client of a model by its name."""
    return lambda name, **options: CLIENTS[request.param](model_server, name, **options)


@pytest.mark.parametrize("place", ["m", "m/versions/1", "m/labels/stable"])
def test_the_address_is_enough(ask: Any, expected: dict[str, Any], place: str) -> None:
    with ask(place) as client:
        check(client.predict(INPUTS), expected)
        check(client.predict(one(1)), {name: value[1:2] for name, value in expected.items()})


def test_encoded_outputs_are_decoded(ask: Any) -> None:
    with ask("mask") as client:
        check(client.predict({"pose": ARRAYS}), {"mask": np.stack(ARRAYS) > 0})


def test_files(ask: Any, expected: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "pose.npz", a=ARRAYS[0], b=ARRAYS[1].astype("float64"))
    (tmp_path / "word.txt").write_bytes(WORDS[0])
    files = [ArrayFile(tmp_path / "pose.npz", key) for key in "ab"]
    inputs = {**{k: v[:2] for k, v in INPUTS.items()}, "pose": files}
    inputs["word"] = [tmp_path / "word.txt", WORDS[1]]
    with ask("m") as client:
        check(client.predict(inputs), {name: value[:2] for name, value in expected.items()})


def test_a_model_without_a_schema(ask: Any) -> None:
    x = np.array([0.1, np.float32(1 / 3)], "float32")
    with ask("floats") as client:
        assert client.predict({"x": x})["y"].tobytes() == (x * 2)[None].tobytes()


def test_uint16_has_no_json(ask: Any, request: pytest.FixtureRequest) -> None:
    with ask("depth") as client:
        if "Grpc" in request.node.name:
            assert client.predict({"x": np.uint16([1, 4472])})["y"].tolist() == [[2, 8944]]
            return
        words = "uint16, which the server does not read from JSON"
        with pytest.raises(tfd.EncodeError, match=words):
            client.predict({"x": np.zeros(2, "uint16")})


def test_a_refusal_names_input_and_row(ask: Any) -> None:
    with ask("m") as client, pytest.raises(tfd.DecodeError) as error:
        client.predict({**INPUTS, "pose": [*ARRAYS[:3], b"bad", ARRAYS[4]]})
    found = error.value
    assert isinstance(found, tfd.errors.RefusedError)
    assert (found.input, found.row) == ("pose_bytes", 3)
    assert "row 3 has 3 bytes" in str(found) and "\n" not in str(found)


def test_models_and_signatures_that_are_not_there(ask: Any) -> None:
    with ask("gone") as client, pytest.raises(tfd.errors.ServerError, match="not found") as error:
        client.predict(INPUTS)
    assert error.value.status in (404, 5)
    with ask("m", signature="gone") as client, pytest.raises(tfd.SpecError, match="'gone'"):
        client.predict(INPUTS)


def numbered(index: int) -> dict[str, Any]:
    """An instance that is no other one."""
    return {
        "pose": np.full((2, 3), index, "float32"),
        "size": np.array(index, "uint16"),
        "word": str(index).encode(),
        "weight": np.float32(1),
    }


def numbers(outputs: Iterable[dict[str, Any]]) -> list[int]:
    """The number of the instance that each answer is for; -1 if it is for none."""
    found = []
    for out in outputs:
        (index,) = out["size"].tolist()
        answer = out["sum"].tolist(), out["word_bytes"].tolist(), out["pose"].tolist()
        right = [6.0 * index], [str(index).encode()], np.full((1, 2, 3), index).tolist()
        found.append(index if answer == right else -1)
    return found


def test_of_a_thousand_instances_none_is_lost_doubled_or_swapped(ask: Any) -> None:
    with ask("m") as client:
        found = client.predict_each(map(numbered, range(COUNT)), max_in_flight=32)
        assert numbers(found) == list(range(COUNT))


def test_a_server_that_is_killed_and_started_again(model_server: ModelServer) -> None:
    """All clients are in the middle of their instances, and ask again for those not answered."""
    clients = {name: make(model_server, "m", timeout=60) for name, make in CLIENTS.items()}
    middle = threading.Barrier(len(clients), model_server.kill, timeout=120)

    def ask(client: Any) -> tuple[list[Any], Exception | None]:
        answers: list[Any] = []
        try:
            for outputs in client.predict_each(instances(), max_in_flight=8):
                answers.append(outputs)
        except Exception as error:
            return answers, error
        return answers, None

    def instances() -> Iterator[dict[str, Any]]:
        for index in range(FEW):
            if index == FEW // 2:
                middle.wait()
            yield numbered(index)

    try:
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(ask, clients.values()))
    finally:
        model_server.start()
    for client, (answers, error) in zip(clients.values(), found, strict=True):
        assert isinstance(error, tfd.errors.ServerError), error
        assert "no answer" in str(error) and str(error).isprintable()
        assert 0 < len(answers) < FEW
        with client:
            rest = client.predict_each(map(numbered, range(len(answers), FEW)))
            assert numbers([*answers, *rest]) == list(range(FEW))


@pytest.mark.parametrize("name", ["Rest", "Grpc"])
def test_no_tensorflow_is_imported(model_server: ModelServer, name: str) -> None:
    url = model_server.rest("m") if name == "Rest" else model_server.grpc("m")
    program = f"""
import sys, numpy as np
from tfdecode.client import {name}
with {name}({url!r}) as client:
    outputs = client.predict({{"pose": np.ones((2, 3), "float32"), "size": np.array(7, "uint16"),
                               "word": b"w", "weight": np.float32(2)}})
print(outputs["sum"].tolist(), outputs["size"].tolist(), "tensorflow" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[12.0] [7] False\n", done.stderr
