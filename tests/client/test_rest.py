"""Rest and AsyncRest: the answers of the model in this process, over HTTP, whatever the server."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd

tf = pytest.importorskip("tensorflow")
pytest.importorskip("httpx2")

from tfdecode.client import AsyncRest, Rest, request, response  # noqa: E402
from tfdecode.client.answer import Sent, arrays_of, error_of, joined, refusal  # noqa: E402
from tfdecode.client.endpoint import Answer  # noqa: E402
from tfdecode.client.signature import Tensor  # noqa: E402

from .common import ARRAYS, INPUTS, POSE, SIZE, SIZES, WORDS, check, one  # noqa: E402
from .server import Server, serving  # noqa: E402


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    with serving(model) as running:
        yield running


@pytest.fixture(autouse=True)
def forgotten(server: Server) -> None:
    server.requests.clear()


@pytest.mark.parametrize("suffix", ["", ":predict", "/versions/1", "/labels/stable:predict"])
def test_the_url_is_enough(server: Server, expected: dict[str, Any], suffix: str) -> None:
    with Rest(server.url + suffix) as client:
        check(client.predict(INPUTS), expected)
        check(client.predict(one(1)), {name: value[1:2] for name, value in expected.items()})
        schema, inputs, outputs = client.describe()
    assert dict(schema) == {"pose": POSE, "size": SIZE}
    assert set(inputs) == {"pose_bytes", "size_bytes", "word", "weight"} and set(outputs) == set(
        expected
    )
    paths = [path.rpartition("/m")[2] for path, _, _ in server.requests]
    assert len(paths) == 4, "asked for the metadata and the schema once"


def test_a_managed_endpoint_takes_rows(server: Server, expected: dict[str, Any]) -> None:
    url = f"{server.url.rpartition('/v1')[0]}/invocations"
    headers = {"Authorization": "Bearer secret"}
    schema = tfd.Schema({"pose": POSE, "size": SIZE})
    with Rest(url, schema, headers=headers, max_body_bytes=700, gzip=True) as client:
        got = client.predict(INPUTS)
    assert all(
        np.array_equal(got[name], expected[name], equal_nan=True) for name in ("sum", "size")
    )
    assert got["word_bytes"].tolist() == WORDS
    assert len(server.requests) > 1
    for path, sent, body in server.requests:
        assert path == "/invocations" and sent["Authorization"] == "Bearer secret"
        plain = gzip.decompress(body)
        assert len(plain) <= 700 and "instances" in json.loads(plain)


@pytest.mark.parametrize(("budget", "parts"), [(260, 5), (400, 3), (700, 1), (None, 1)])
def test_a_large_batch_is_sent_in_parts(
    server: Server, expected: dict[str, Any], budget: int | None, parts: int
) -> None:
    with Rest(server.url, max_body_bytes=budget) as client:
        check(client.predict(INPUTS), expected)
    bodies = [body for path, _, body in server.requests if b"pose_bytes" in body]
    assert all(budget is None or len(body) <= budget for body in bodies)
    assert len(bodies) == (1 if budget is None else len(bodies)) and (
        budget != 600 or len(bodies) > 2
    )
    with (
        Rest(server.url, max_body_bytes=150) as client,
        pytest.raises(tfd.EncodeError, match="row 0"),
    ):
        client.predict(INPUTS)


def test_many_requests_are_answered_in_order(server: Server, expected: dict[str, Any]) -> None:
    many = [one(index % 5) for index in range(40)]
    counted: list[int] = []
    with Rest(server.url) as client:
        got = list(client.predict_each(iter(many), max_in_flight=6, progress=counted.append))
    assert counted == list(range(1, 41))

    async def ask() -> list[dict[str, Any]]:
        async with AsyncRest(server.url) as client:
            return [out async for out in client.predict_each(iter(many), max_in_flight=6)]

    for outputs in (got, asyncio.run(ask())):
        assert len(outputs) == 40
        for index, out in enumerate(outputs):
            check(out, {name: value[index % 5 : index % 5 + 1] for name, value in expected.items()})


def test_an_error_may_come_in_the_place_of_an_answer(
    server: Server, expected: dict[str, Any]
) -> None:
    many = [one(0), {**one(1), "pose": b"bad"}, one(2)]

    async def ask() -> list[Any]:
        async with AsyncRest(server.url) as client:
            each = client.predict_each(many, max_in_flight=2, return_exceptions=True)
            return [answer async for answer in each]

    with Rest(server.url) as client:
        sync = list(client.predict_each(many, max_in_flight=2, return_exceptions=True))
    for answers in (sync, asyncio.run(ask())):
        for index in (0, 2):
            want = {name: value[index : index + 1] for name, value in expected.items()}
            check(answers[index], want)
        assert isinstance(answers[1], tfd.errors.RefusedError)


def test_limits_below_one_are_refused() -> None:
    for kind in (Rest, AsyncRest):
        with pytest.raises(tfd.SpecError, match="max_in_flight is 0, needs 1 or more"):
            kind("http://localhost/v1/models/m").predict_each([], max_in_flight=0)
        with pytest.raises(tfd.SpecError, match="max_body_bytes is -1, needs 1 or more"):
            kind("http://localhost/v1/models/m", max_body_bytes=-1)


def test_an_array_of_one_dimension_more_is_a_batch(
    server: Server, expected: dict[str, Any], tmp_path: Path
) -> None:
    np.save(tmp_path / "poses.npy", np.stack(ARRAYS).astype("float64"))
    with Rest(server.url) as client:
        for poses in (np.stack(ARRAYS), tmp_path / "poses.npy"):
            check(client.predict({**INPUTS, "pose": poses}), expected)
        with pytest.raises(tfd.EncodeError, match=r"shape \[3, 2\]"):
            client.predict({**INPUTS, "pose": np.zeros((5, 3, 2), "float32")})


def test_a_refusal_of_a_part_names_the_row_of_the_batch(server: Server) -> None:
    with Rest(server.url, max_body_bytes=400) as client, pytest.raises(tfd.DecodeError) as error:
        client.predict({**INPUTS, "pose": [*ARRAYS[:3], b"bad", ARRAYS[4]]})
    assert isinstance(error.value, tfd.errors.RefusedError) and error.value.row == 3
    assert "in the part from row" in str(error.value)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"pose": np.zeros((2, 2), "float32")}, tfd.EncodeError, "pose"),
        ({"pose": "pose.pkl"}, tfd.EncodeError, "text"),
        ({"poze": ARRAYS[0]}, tfd.SpecError, "poze"),
        ({"size": SIZES[:2]}, tfd.SpecError, "number of rows"),
        ({"weight": np.float64(1)}, tfd.EncodeError, "float64"),
        ({"word": Path("gone")}, tfd.FileError, "gone"),
    ],
)
def test_mistakes_are_found_before_anything_is_sent(
    server: Server, changed: dict[str, Any], error: type, words: str
) -> None:
    with Rest(server.url) as client:
        client.describe()
        before = len(server.requests)
        with pytest.raises(error, match=words):
            client.predict({**one(0), **changed})
    assert len(server.requests) == before


def test_a_busy_server_is_asked_again_only_if_wanted(
    server: Server, expected: dict[str, Any]
) -> None:
    with Rest(server.url) as client:
        client.describe()
        server.busy = [503]
        with pytest.raises(tfd.errors.ServerError, match="HTTP 503: busy") as error:
            client.predict(INPUTS)
        assert error.value.status == 503
    with Rest(server.url, retries=2) as client:
        client.describe()
        server.busy = [503, 429]
        check(client.predict(INPUTS), expected)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_fails_to_describe_its_model_is_asked_again(
    server: Server, expected: dict[str, Any], status: int
) -> None:
    """The inputs that a schema does not have are not known without."""
    with Rest(server.url) as other:
        schema, _, _ = other.describe()
    with Rest(server.url, schema) as client:
        server.busy = [status]
        assert set(client.describe()[1]) == {"pose_bytes", "size_bytes"}
        check(client.predict(INPUTS), expected)
        assert set(client.describe()[1]) == {"pose_bytes", "size_bytes", "word", "weight"}


def test_a_busy_server_that_is_asked_for_its_schema(server: Server) -> None:
    server.busy = [503, 503]
    with (
        Rest(server.url) as client,
        pytest.raises(tfd.errors.ServerError, match="HTTP 503: busy") as error,
    ):
        client.describe()
    assert error.value.status == 503


def test_a_thread_that_failed_does_not_replace_what_another_was_told(server: Server) -> None:
    with Rest(server.url) as other:
        schema, _, _ = other.describe()
    with Rest(server.url, schema) as client:
        slow = client._describe()
        slow.send(None)  # type: ignore[arg-type]
        client.describe()
        with pytest.raises(StopIteration):
            slow.send([Answer(503, b"busy", {})])
        assert "word" in client._described()[1]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "a page of HTML, which is not from the server of the model"),
        (b"<x", "is not JSON"),
        (b" ", "is empty"),
        (b"[]", "not a JSON object"),
        (b'{"outputs": {"sum": "x"}}', "has outputs"),
        (b'{"other": 1}', "no outputs"),
        (b'{"predictions": [{"sum": 1}, {"other": 1}]}', "row 1 of the answer has other outputs"),
    ],
)
def test_strange_answers(server: Server, monkeypatch, body: bytes, words: str) -> None:
    with Rest(server.url) as client:
        client.describe()
        monkeypatch.setattr(client, "_send", lambda request: Answer(200, body, {}))
        with pytest.raises(tfd.errors.ServerError, match=words):
            client.predict(INPUTS)


def test_a_row_that_a_server_names_may_be_any_text() -> None:
    pose = Tensor("pose", "pose_bytes", "string", (None,), POSE)
    sent = Sent(2, {"pose_bytes": pose}, {"pose_bytes": np.array([b"bad"] * 4, object)})
    for digits, row in (("3", 5), ("9" * 5000, None)):
        text = f"assertion failed: [pose_bytes: row {digits} has 3 bytes]"
        error = refusal(text, 400, "HTTP 400", sent)
        assert isinstance(error, tfd.errors.RefusedError) and error.row == row
    start = time.monotonic()
    refusal("assertion failed: [" * 10**6, 400, "HTTP 400")
    assert time.monotonic() - start < 5


PAGE = (
    "a page of HTML%s, which is not from the server of the model: check the URL, and the proxy if "
    "there is one"
)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"error": "of TensorFlow Serving"}', "of TensorFlow Serving"),
        (b'{"error": {"code": 400, "message": "of Vertex AI", "status": "X"}}', "of Vertex AI"),
        (b'{"message": "of a gateway"}', "of a gateway"),
        (b'{"detail": "of FastAPI"}', "of FastAPI"),
        (b'[{"error": {"message": "of a stream"}}]', "of a stream"),
        (b'["list"]', '["list"]'),
        (b"[]", "[]"),
        (b"of\nanything", "of anything"),
        (b" ", "I'm a Teapot"),
        (
            b"<!doctype html><title>\n502 &lt;Bad&gt;</title>" + b"<p>x" * 999,
            PAGE % " that says '502 <Bad>'",
        ),
        (b"\n<HTML><body><h1>Down</h1>", PAGE % " that says 'Down'"),
        (b"<html><title></title>\xff", PAGE % ""),
    ],
)
def test_the_sentence_of_an_error_whoever_says_it(body: bytes, sentence: str) -> None:
    assert str(error_of(418, body, {})) == f"HTTP 418: {sentence}"


@pytest.mark.parametrize("by_rows", [False, True])
def test_a_large_batch_is_held_once_more_as_its_body(by_rows: bool) -> None:
    payloads = [bytes(10_000)] * 500
    schema = tfd.Schema({"x": tfd.ArraySpec((10_000,), "uint8")})
    request(schema, {"x": payloads[:1]})
    tracemalloc.start()
    try:
        body = request(schema, {"x": payloads}, by_rows=by_rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(json.loads(body)["instances" if by_rows else "inputs"]) in (1, 500)
    assert peak < 1.25 * len(body)


def test_an_answer_has_a_limit(server: Server, monkeypatch) -> None:
    monkeypatch.setattr("tfdecode.client.endpoint.MAX_ANSWER", 10)
    with Rest(server.url) as client, pytest.raises(tfd.errors.ServerError, match="more than 10"):
        client.predict(INPUTS)


def test_after_close_it_says_so(server: Server) -> None:
    with Rest(server.url) as client:
        client.describe()
    with pytest.raises(tfd.errors.ServerError, match="the client was closed"):
        client.predict(INPUTS)


def test_tasks_that_fail_together_leave_nothing_to_asyncio(caplog) -> None:
    async def ask() -> None:
        async with AsyncRest("http://127.0.0.1:9/v1/models/m") as client:
            async for _ in client.predict_each([INPUTS] * 8):
                pass

    with pytest.raises(tfd.errors.ServerError, match="no answer"):
        asyncio.run(ask())
    gc.collect()
    assert not caplog.records


def test_a_schema_that_is_too_long_is_not_read(server: Server, monkeypatch) -> None:
    monkeypatch.setattr(Server, "predict", lambda *_: {"outputs": "x" * 2**24})
    with Rest(server.url) as client, pytest.raises(tfd.errors.ServerError, match="more than"):
        client.describe()


@pytest.mark.parametrize("texts", ([], [1.5]))
def test_a_schema_that_is_no_text(server: Server, monkeypatch, texts: list[Any]) -> None:
    monkeypatch.setattr(Server, "predict", lambda *_: {"outputs": texts})
    with Rest(server.url) as client, pytest.raises(tfd.errors.ServerError, match="not a text"):
        client.describe()


@pytest.mark.parametrize("value", ('{"b64": "AAE="}', '"x"', "null", '[[{"b64": "AAE="}]]'))
def test_an_encoded_output_that_is_no_list_of_payloads(value: str) -> None:
    schema = tfd.Schema({}, outputs={"mask": tfd.ArraySpec((2,), "uint8")})
    with pytest.raises(tfd.errors.ServerError, match=r"output mask.* of the answer is no"):
        response(schema, f'{{"outputs": {{"mask_bytes": {value}}}}}'.encode())


def test_urls_and_headers() -> None:
    for url in ("localhost:8501/v1/models/m", "file:///etc/passwd", "models/pose", ""):
        with pytest.raises(tfd.SpecError, match="not an http"):
            Rest(url)
    for url in (
        "http://host:port/v1/models/m",
        "http://host/v1/models/m\n",
        "http://host/\udcff",
        "http://a..b/v1/models/m",
        f"http://{'a' * 64}.b/v1/models/m",
    ):
        with pytest.raises(tfd.SpecError, match="is not a URL"):
            Rest(url)
    with pytest.raises(tfd.SpecError, match="header 'X'"):
        Rest("http://localhost", headers={"X": "\u2603"})


def test_a_slash_behind_the_name_of_a_model(server: Server) -> None:
    with Rest(f"{server.url}/") as client:
        assert client.describe()[0]


@pytest.mark.parametrize("value", [b"null", b"[null, 3]", b'[1, {"a": 2}]', b'["a", null]'])
def test_an_answer_holds_numbers_or_texts(value: bytes) -> None:
    with pytest.raises(tfd.errors.ServerError, match="other values than"):
        arrays_of(b'{"outputs": {"x": %b}}' % value, None)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_is_a_number_of_seconds(timeout: float) -> None:
    for ask in (Rest, AsyncRest):
        with pytest.raises(tfd.SpecError, match="needs seconds above 0"):
            ask("http://localhost/v1/models/m", timeout=timeout)


def test_no_request_of_many_is_taken_for_their_end(server: Server) -> None:
    many: list[Any] = [one(0), None, one(2)]
    with Rest(server.url) as client, pytest.raises(AttributeError):
        list(client.predict_each(many))


def test_payloads_of_a_list_may_be_any_bytes(server: Server, expected: dict[str, Any]) -> None:
    poses = [POSE.encode(array) for array in ARRAYS]
    for kind in (bytearray, memoryview):
        with Rest(server.url) as client:
            check(client.predict({**INPUTS, "pose": list(map(kind, poses))}), expected)


@pytest.mark.parametrize("shapes", [[(1,), (3,)], [(2,), ()]])
def test_parts_with_other_rows_than_were_sent_are_not_put_together(shapes: Any) -> None:
    parts = [{"y": np.zeros(shape)} for shape in shapes]
    with pytest.raises(tfd.errors.ServerError, match="for a part of 2 rows"):
        joined(parts, [2, 2])
