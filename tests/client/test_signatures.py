"""Which signature clients and commands run if nobody says it: the one that takes payloads."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd

tf = pytest.importorskip("tensorflow")
pytest.importorskip("httpx2")
pytest.importorskip("grpc")
pytest.importorskip("tensorflow_serving.apis")

from tfdecode.cli import main  # noqa: E402
from tfdecode.client import AsyncRest, Grpc, InProcess, Rest, request, response  # noqa: E402
from tfdecode.client.signature import ANY, Tensor  # noqa: E402

from .common import ARRAYS, POSE  # noqa: E402
from .grpc_server import serving as serving_grpc  # noqa: E402
from .server import serving  # noqa: E402

EXPECTED = np.stack(ARRAYS).sum((1, 2))


class Theirs(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3], tf.float32, name="pose")])
    def __call__(self, pose: Any) -> Any:
        return {"sum": tf.reduce_sum(pose, [1, 2])}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("theirs")
    tf.saved_model.save(Theirs(), str(path))
    return path


@pytest.fixture(scope="module")
def wrapped(theirs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tfd.wrap(theirs, tmp_path_factory.mktemp("wrapped"), {"pose": POSE})


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    return tfd.export(Theirs(), folder, {"pose": POSE}, signature="scores")


def check(got: dict[str, Any]) -> None:
    assert np.allclose(got["sum"], EXPECTED, atol=1e-6)


@pytest.mark.parametrize(("model", "name"), [("wrapped", "bytes"), ("exported", "scores")])
def test_every_client_and_command_runs_the_only_one(
    request: pytest.FixtureRequest,
    model: str,
    name: str,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    path: Path = request.getfixturevalue(model)
    schema = tfd.Schema.load(path)
    assert schema.name == name and dict(schema) == {"pose": POSE}
    np.savez(tmp_path / "poses.npz", **{str(i): array for i, array in enumerate(ARRAYS)})
    files = [f"pose={tmp_path / 'poses.npz'}#{i}" for i in range(len(ARRAYS))]
    (tmp_path / "schema.json").write_text(schema.to_json())

    async def ask(url: str) -> dict[str, Any]:
        async with AsyncRest(url) as client:
            assert (await client.describe())[0].name == name
            return await client.predict({"pose": ARRAYS})

    with serving(path) as rest, serving_grpc(path) as (_, port):
        target = f"127.0.0.1:{port}/v1/models/m"
        for client in (InProcess(path), Rest(rest.url), Rest(rest.url, schema), Grpc(target)):
            with client:
                check(client.predict({"pose": ARRAYS}))
                assert client.signature == name and client.schema.name == name
                assert set(client.describe()[1]) == {"pose_bytes"}
        check(asyncio.run(ask(rest.url)))
        for rows in ([], ["--rows"]):
            assert main(["request", str(tmp_path / "schema.json"), *files, *rows]) == 0
            body = capfdbinary.readouterr().out
            assert json.loads(body)["signature_name"] == name
            with urllib.request.urlopen(f"{rest.url}:predict", body) as answer:
                text = answer.read()
            with urllib.request.urlopen(f"{rest.url}/metadata") as answer:
                told = response(schema, text, metadata=answer.read())
            check(told)
            assert told["sum"].dtype == np.float32
            (untold,) = response(schema, text).values()
            check({"sum": untold})
        for where in (str(path), rest.url, f"grpc://{target}"):
            assert main(["predict", where, *files, "--json"]) == 0
            assert json.loads(capfdbinary.readouterr().out)["signature"] == name
            assert main(["schema", where]) == 0
            assert b"pose_bytes" in capfdbinary.readouterr().out
        assert main(["schema", rest.url, "--json"]) == 0
        assert tfd.Schema.from_json(capfdbinary.readouterr().out).name == name
    assert (
        b"\x1a%c%b" % (len(name), name.encode())
        in tfd.warm_up(path, {"pose": ARRAYS[0]}).read_bytes()
    )


def test_the_signature_of_arrays_is_asked_by_name(wrapped: Path) -> None:
    with InProcess(wrapped, "serving_default") as client:
        check(client.predict({"pose": np.stack(ARRAYS)}))
        assert client.schema.max_batch_size is None  # which is for payloads


def test_wrapped_as_the_default_it_needs_no_name(theirs: Path, tmp_path: Path) -> None:
    path = tfd.wrap(theirs, tmp_path, {"pose": POSE}, replace_default=True)
    schema = tfd.Schema.load(path)
    assert schema.name is None and not schema.signatures
    with InProcess(path) as client:
        assert client.signature == "serving_default"
        check(client.predict({"pose": ARRAYS}))


def test_a_wrapped_export_has_both(tmp_path: Path) -> None:
    own = tfd.export(Theirs(), tmp_path / "own", {"pose": POSE}, arrays_signature="plain")
    other = tfd.ArraySpec((2, 3), "float32", "png")
    both = tfd.wrap(own, tmp_path / "both", {"pose": other}, source="plain")
    schema = tfd.Schema.load(both)
    assert {name: dict(one) for name, one in schema.signatures.items()} == {
        "serving_default": {"pose": POSE},
        "bytes": {"pose": other},
    }
    with serving(both) as server:
        for name, spec in (("serving_default", POSE), ("bytes", other)):
            with Rest(server.url, signature=name) as client:
                check(client.predict({"pose": ARRAYS}))
                assert client.schema["pose"] == spec
        with Rest(server.url) as client:
            check(client.predict({"pose": ARRAYS}))
            assert client.signature == "serving_default"


def test_a_schema_of_before_signatures_had_names(wrapped: Path, tmp_path: Path) -> None:
    """It is that of any signature, and wrapping anew finds out which."""
    old = tfd.Schema.from_json(tfd.Schema(dict(tfd.Schema.load(wrapped))).to_json())
    assert old.name is None
    body = request(old, {"pose": ARRAYS}, signature="bytes")
    assert json.loads(body)["signature_name"] == "bytes"
    again = tmp_path / "1"
    shutil.copytree(wrapped, again)
    old.save(again / "assets.extra" / "tfdecode.json")
    path = tfd.wrap(again, tmp_path / "twice", {"pose": POSE}, signature="more")
    assert list(tfd.Schema.load(path).signatures) == ["bytes", "more"]


def test_an_array_for_an_input_that_nobody_described_is_called_one() -> None:
    assert str(Tensor("z", "z", ANY, None)) == "z (array of any shape)"
