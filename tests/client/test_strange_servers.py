"""Rest, AsyncRest and Grpc with servers, proxies and programs that are not what they expect."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd

pytest.importorskip("httpx2")

from tfdecode.client import AsyncRest, Rest
from tfdecode.errors import ServerError

SPEC = tfd.ArraySpec((3,), "float32", "zlib")
SCHEMA, INPUTS = tfd.Schema({"x": SPEC}), {"x": np.arange(3, dtype="float32")}
BODY = b'{"outputs":{"y":[1.5]}}'
FORM = {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": "-1"}]}}
SIGNATURE = {"inputs": {"x_bytes": FORM}, "outputs": {"y": {**FORM, "dtype": "DT_FLOAT"}}}
METADATA = json.dumps(
    {"metadata": {"signature_def": {"signature_def": {"serving_default": SIGNATURE}}}}
).encode()

#: The pieces of an answer: bytes to send, seconds to wait.
Pieces = list[Any]


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return f"{head}\r\n\r\n".encode() + body


class Strange:
    """Answers each request for a prediction by the next pieces, and then closes."""

    def __init__(self, *answers: Pieces) -> None:
        self.answers, self.heads = list(answers), [b""][:0]
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1/models/m"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:  # closed
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while line := lines.readline():
                head = line
                while (line := lines.readline()) not in (b"\r\n", b""):
                    head += line
                lengths = [
                    w for w in head.lower().split(b"\r\n") if w.startswith(b"content-length")
                ]
                body = lines.read(int(lengths[0].split(b":")[1]) if lengths else 0)
                self.heads.append(head)
                if b"/metadata" in head:
                    connection.sendall(http("200 OK", METADATA))
                    continue
                # Of the last answer for ever; the length of the body tells who asked.
                pieces = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                for piece in pieces:
                    if isinstance(piece, float):
                        time.sleep(piece)
                    else:
                        connection.sendall(piece.replace(b"LEN", b"%3d" % len(body)))
                if pieces[-1] == b"":
                    return

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def strange() -> Iterator[Callable[..., Strange]]:
    running: list[Strange] = []

    def start(*answers: Pieces) -> Strange:
        running.append(Strange(*answers))
        return running[-1]

    yield start
    for one in running:
        one.close()


def ask(url: str, **options: Any) -> list[Any]:
    """The answers, or errors, of both clients."""

    def once() -> Any:
        with Rest(url, SCHEMA, **options) as client:
            return client.predict(INPUTS)["y"]

    async def later() -> Any:
        async with AsyncRest(url, SCHEMA, **options) as client:
            return (await client.predict(INPUTS))["y"]

    found: list[Any] = []
    for call in (once, lambda: asyncio.run(later())):
        try:
            found.append(call())
        except tfd.TfdecodeError as error:
            found.append(error)
    return found


OK = http("200 OK", BODY)
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"ou\r\n'


@pytest.mark.parametrize(
    "pieces",
    [
        [OK],
        [OK[:30], 0.05, OK[30:]],
        [b"HTTP/1.1 200 OK\r\n\r\n" + BODY, b""],
        [b"HTTP/1.0 200 OK\r\n\r\n" + BODY, b""],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + OK],
        [CHUNKED, b"13\r\n" + BODY[4:] + b"\r\n0\r\n\r\n"],
        [http("200 OK", gzip.compress(BODY), "Content-Encoding: gzip")],
    ],
)
def test_an_answer_may_come_in_any_form_of_http(strange: Any, pieces: Pieces) -> None:
    assert [answer.tolist() for answer in ask(strange(pieces).url)] == [[1.5], [1.5]]


@pytest.mark.parametrize(
    ("pieces", "status", "words"),
    [
        ([http("502 Bad Gateway", b"<html><h1>502</h1>")], 502, "a page of HTML that says"),
        ([http("200 OK", b"<!DOCTYPE html><p>")], None, "the answer is a page of HTML, which"),
        ([http("500 Internal Server Error")], 500, "HTTP 500: Internal Server Error"),
        ([http("302 Found", b"<html>", "Location: https://h/x")], 302, "it sends to https://h/x,"),
        ([http("429 Too Many", b"{}", "Retry-After: 3600")], 429, "it asks to wait 3600 s"),
        ([0.6, OK], None, "nothing came within 0.3 s; raise the timeout"),
        ([OK[:-5], 0.6, OK[-5:]], None, "nothing came within 0.3 s; raise the timeout"),
        ([OK[:-5], b""], None, "closed connection without sending complete message"),
        ([CHUNKED, b""], None, "closed connection without sending complete message"),
        ([b""], None, "disconnected"),
        ([b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", 0.1], None, "illegal .* is this its gRPC port"),
        ([http("200 OK", b'{"outputs":{"z":[1]}}')], None, r"outputs \['z'\], expected \['y'\]"),
    ],
)  # fmt: skip
def test_another_answer_is_one_sentence(
    strange: Any, pieces: Pieces, status: int | None, words: str
) -> None:
    for error in ask(strange(pieces).url, timeout=0.3, retries=1):
        assert isinstance(error, ServerError) and error.status == status
        with pytest.raises(ServerError, match=words):
            raise error
        assert str(error).isprintable() and len(str(error)) < 300


def test_a_new_try_waits_as_long_as_the_server_asks(strange: Any) -> None:
    server = strange([http("503 Busy", b"", "Retry-After: 1")], [OK])
    start = time.monotonic()
    with Rest(server.url, SCHEMA, retries=1) as client:
        assert client.predict(INPUTS)["y"].tolist() == [1.5]
    assert time.monotonic() - start > 0.9


@pytest.mark.parametrize("ending", ["?key=secret", ":predict?key=secret", "/metadata?key=secret#x"])
def test_a_query_stays_behind_the_path_and_out_of_messages(strange: Any, ending: str) -> None:
    server = strange([http("200 OK", b"<")])
    url = server.url.replace("http://", "http://user:secret@") + ending
    for error in ask(url):
        assert "secret" not in str(error)
    lines = [head.split(b"\r\n")[0].decode() for head in server.heads]
    assert (
        lines
        == [
            "GET /v1/models/m/metadata?key=secret HTTP/1.1",
            "POST /v1/models/m:predict?key=secret HTTP/1.1",
        ]
        * 2
    )
    assert all(b"uthorization: Basic " in head for head in server.heads)
    server.close()
    for error in ask(url.replace("127.0.0.1", "127.0.0.1.invalid")):
        assert isinstance(error, ServerError) and "secret" not in str(error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout": None}, "timeout is None, needs seconds above 0"),
        ({"retries": "2"}, "retries is '2', needs 0 or more"),
        ({"max_body_bytes": 1.5}, "max_body_bytes is 1.5, needs 1 or more"),
        ({"headers": [("a", "b")]}, "headers is list, needs a dict"),
        ({"headers": {"a": 1}}, "header 'a' is int, needs a text"),
        ({"headers": {"a b": "c"}}, "'a b' is not a name of a header"),
        ({"verify": None}, "verify is None, needs True, False, a file"),
        ({"verify": "gone.pem"}, "gone.pem: cannot be read as certificates: No such file"),
        ({"verify": __file__}, "cannot be read as certificates: it holds no certificates"),
        ({"schema": {"x": SPEC}}, r"schema is dict, needs a tfdecode\.Schema"),
        ({"url": None}, "url is NoneType, needs a text"),
        ({"url": "http://h:99999/v1/models/m"}, "has port 99999, needs 1 to 65535"),
        ({"url": "http://h/v1/models/"}, "names no model"),
    ],
)
def test_an_option_of_another_kind_is_one_sentence(options: dict[str, Any], words: str) -> None:
    given = {"url": "https://localhost/v1/models/m", **options}
    for kind in (Rest, AsyncRest):
        with pytest.raises((tfd.SpecError, tfd.FileError), match=words):
            kind(**given)


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://127.0.0.1:9", "sends it by a proxy: NO_PROXY excludes hosts"),
        ("http://a..b:9", "names a proxy whose host is no name|sends it by a proxy"),
        ("ftp://h", "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY. names no proxy"),
        ("socks5://h", "needs the package socksio"),
    ],
)
def test_a_proxy_of_the_environment(
    strange: Any, monkeypatch: pytest.MonkeyPatch, proxy: str, words: str
) -> None:
    url = strange([OK]).url
    monkeypatch.setenv("http_proxy", proxy)
    for error in ask(url):
        with pytest.raises(tfd.TfdecodeError, match=words):
            raise error
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    if proxy.startswith("http:"):
        assert [answer.tolist() for answer in ask(url)] == [[1.5], [1.5]]


def test_a_certificate_that_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of OpenSSL, without a server that needs a certificate."""
    import httpx2

    reason = "certificate verify failed: self-signed certificate (_ssl.c:1006)"
    with Rest("https://localhost/v1/models/m", verify=ssl.create_default_context()) as client:

        def send(**message: Any) -> Any:
            raise httpx2.ConnectError(f"[SSL: CERTIFICATE_VERIFY_FAILED] {reason}")

        monkeypatch.setattr(client._client, "stream", send)
        words = "not trusted: self-signed certificate; verify= takes a file of those to trust$"
        with pytest.raises(ServerError, match=words):
            client.predict(INPUTS)


def test_a_client_for_asyncio_outlives_its_loop(strange: Any) -> None:
    client = AsyncRest(strange([OK]).url, SCHEMA)
    for _ in range(3):
        assert asyncio.run(client.predict(INPUTS))["y"].tolist() == [1.5]
    assert len(client._clients) == 1


def test_many_requests_wait_for_a_connection_as_long_as_it_takes(strange: Any) -> None:
    async def all_at_once() -> list[Any]:
        async with AsyncRest(strange([1.0, OK]).url, SCHEMA, timeout=2.0) as client:
            await client.describe()
            return await asyncio.gather(*(client.predict(INPUTS) for _ in range(201)))

    assert len(asyncio.run(all_at_once())) == 201


def test_other_tasks_go_on_while_arrays_are_encoded(
    strange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sleep stands for the work."""
    encode = tfd.ArraySpec.encode

    def slow(spec: Any, array: Any) -> bytes:
        time.sleep(0.4)
        return encode(spec, array)

    monkeypatch.setattr(tfd.ArraySpec, "encode", slow)

    async def ticks() -> int:
        async with AsyncRest(strange([OK]).url, SCHEMA) as client:
            await client.describe()
            counted, task = 0, asyncio.create_task(client.predict(INPUTS))
            while not task.done():
                counted += 1
                await asyncio.sleep(0.01)
            await task
        return counted

    assert asyncio.run(ticks()) > 5


def test_a_part_that_fails_ends_the_others(strange: Any) -> None:
    server = strange([http("200 OK", b"", "Content-Length: 9"), b""], [5.0, OK])

    async def in_parts() -> None:
        async with AsyncRest(server.url, SCHEMA, max_body_bytes=150) as client:
            with pytest.raises(ServerError):
                await client.predict({"x": [INPUTS["x"]] * 4})
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(in_parts())


def test_a_client_that_is_closed_just_before_it_sends(
    strange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another thread, when this one has the connections already."""
    with Rest(strange([OK]).url, SCHEMA) as client:
        client.describe()
        message = client._message
        monkeypatch.setattr(client, "_message", lambda request: client.close() or message(request))
        with pytest.raises(ServerError, match="the client was closed"):
            client.predict(INPUTS)


FORK = """
import multiprocessing, sys
import numpy as np, tfdecode as tfd
from tfdecode.client import Rest

client = Rest(sys.argv[1], tfd.Schema({"x": tfd.ArraySpec((3,), "float32", "zlib")}))
rows = [np.zeros(3, "float32")]

def alone(count):
    ready.wait()
    return {client.predict({"x": rows * count})["y"].tolist()[0] for _ in range(5)}

client.predict({"x": rows})
context = multiprocessing.get_context("fork")
ready = context.Barrier(3)
with context.Pool(3) as pool:
    print(*map(len, pool.map(alone, (1, 2, 3), chunksize=1)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_processes_that_are_forked_get_no_answers_of_others(strange: Any) -> None:
    server = strange([0.05, http("200 OK", b'{"outputs":{"y":[LEN]}}')])
    command = [sys.executable, "-c", FORK, server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["1"] * 3
