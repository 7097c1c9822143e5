"""Rest and AsyncRest: ask a server over HTTP, with arrays and files in and arrays out."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from typing import Any, Literal, overload

from ..errors import ServerError, TfdecodeError
from .each import END, IN_FLIGHT, EachInput, check_in_flight
from .endpoint import (
    Answer,
    Description,
    Dialogue,
    Endpoint,
    Request,
    Result,
    httpx2,
    shown_url,
)
from .inputs import Inputs, Outputs, PreparedInput


class Rest(Endpoint, EachInput):
    """Ask a server over HTTP.

    Connections are kept open and used again; an instance can be used by several threads, and by
    processes that are forked. Redirects are not followed.

    Parameters
    ----------
    url : str
        The model: ``http://host:8501/v1/models/pose``, also with ``/versions/3`` or
        ``/labels/stable``, of TensorFlow Serving or KServe. Another URL is posted to as it is, with
        a body of ``instances``, as Vertex AI and SageMaker take it.
    schema : Schema, optional
        By default the server is asked for it.
    signature : str, optional
        The signature to run, by default that of the schema, else ``serving_default``.
    headers : mapping of str to str, optional
        For example ``{"Authorization": "Bearer ..."}``.
    timeout : float, default 60
        Seconds to wait for a connection, and for each part of an answer.
    verify : bool, str, os.PathLike or ssl.SSLContext, default True
        Whether to check certificates, or the file of those to trust. An SSLContext can also hold a
        certificate of the client.
    max_body_bytes : int, optional
        The largest body that the endpoint takes, before gzip: 1,500,000 for Vertex AI, 6,000,000
        for SageMaker. A larger batch is sent in several requests at once.
    gzip : bool, default False
        Compress bodies. Payloads are small already; lists are not.
    retries : int, default 0
        How often to try again if there is no connection, or the server is busy (429, 503). A wait
        that the server asks for (``Retry-After``) is kept up to 10 s.

    Raises
    ------
    SpecError
        If the URL is not one, or another argument cannot be used.
    FileError
        If ``verify`` is a file without certificates.

    Examples
    --------
    >>> import pathlib
    >>> def ask() -> None:
    ...     with Rest("http://localhost:8501/v1/models/pose") as model:
    ...         outputs = model.predict({"pose_map": pathlib.Path("pose.pkl")})
    """

    def _open(self, **options: Any) -> Any:
        return httpx2.Client(**options)

    def prepare(self, inputs: Inputs) -> dict[str, PreparedInput]:
        """Encode inputs without asking for an answer: the first half of ``predict``."""
        self.describe()
        return self._prepared(inputs)

    def run(self, prepared: Mapping[str, PreparedInput]) -> Outputs:
        """Ask for the answer to prepared inputs: the second half of ``predict``."""
        self.describe()
        return self._run(self._ask(prepared))

    def describe(self) -> Description:
        """The schema, the inputs and the outputs (None if the endpoint does not say them)."""
        self._run(self._describe())
        return self._described()

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if (client := self._clients.pop(self._place(), None)) is not None:
            client.close()

    def _run(self, dialogue: Dialogue[Result]) -> Result:
        answers: Any = None
        while True:
            done, value = stepped(dialogue, answers)
            if done:
                result: Result = value
                return result
            answers = self._send_all(value)

    def _send_all(self, requests: list[Request]) -> list[Answer]:
        if len(requests) == 1:
            return [self._send(requests[0])]
        with ThreadPoolExecutor(min(len(requests), IN_FLIGHT)) as pool:
            return list(pool.map(self._send, requests))

    def _send(self, request: Request) -> Answer:
        waits = self._waits()
        while True:
            try:
                with self._client.stream(**self._message(request)) as response:
                    body = _limited(response.iter_bytes(), request)
                answer = Answer(response.status_code, body, response.headers)
                if (wait := self._wait(waits, answer)) is None:
                    return answer
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                if (wait := next(waits, None)) is None:
                    raise self._unreachable(request, error) from None
            except (httpx2.HTTPError, UnicodeError) as error:
                raise self._unreachable(request, error) from None
            except RuntimeError as error:  # another thread has closed the client just now
                if isinstance(error, ServerError) or not self._closed:
                    raise
                raise self._unreachable(request, error) from None
            time.sleep(wait)


def _limited(chunks: Iterable[bytes], request: Request) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        _check_size(body, request)
    return bytes(body)


def _check_size(body: bytearray, request: Request) -> None:
    if request.max_bytes is not None and len(body) > request.max_bytes:
        raise ServerError(
            f"{shown_url(request.url)}: the answer has more than {request.max_bytes} bytes"
        )


class AsyncRest(Endpoint):
    """`Rest` for asyncio: the same parameters, and methods to await.

    Arrays are encoded in threads, so that other tasks go on. An instance can be used by several
    event loops, one after the other or in threads.

    Examples
    --------
    >>> import pathlib
    >>> async def ask() -> None:
    ...     async with AsyncRest("http://localhost:8501/v1/models/pose") as model:
    ...         outputs = await model.predict({"pose_map": pathlib.Path("pose.pkl")})
    """

    def _open(self, **options: Any) -> Any:
        return httpx2.AsyncClient(**options)

    def _place(self) -> tuple[Any, ...]:
        return (*super()._place(), asyncio.get_running_loop())

    async def predict(self, inputs: Inputs) -> Outputs:
        """Run the signature on one example or on a list of them; see `Rest.predict`."""
        await self.describe()
        return await self._run(self._predict(inputs))

    @overload
    def predict_each(
        self,
        many: Iterable[Inputs],
        *,
        max_in_flight: int = ...,
        progress: Callable[[int], object] | None = ...,
        return_exceptions: Literal[False] = ...,
    ) -> AsyncIterator[Outputs]: ...
    @overload
    def predict_each(
        self,
        many: Iterable[Inputs],
        *,
        max_in_flight: int = ...,
        progress: Callable[[int], object] | None = ...,
        return_exceptions: bool,
    ) -> AsyncIterator[Outputs | TfdecodeError]: ...

    def predict_each(
        self,
        many: Iterable[Inputs],
        *,
        max_in_flight: int = IN_FLIGHT,
        progress: Callable[[int], object] | None = None,
        return_exceptions: bool = False,
    ) -> AsyncIterator[Outputs] | AsyncIterator[Outputs | TfdecodeError]:
        """Run the signature on each of many inputs; see `Rest.predict_each`."""
        check_in_flight(max_in_flight)
        return self._each(many, max_in_flight, progress, return_exceptions)

    async def _each(
        self,
        many: Iterable[Inputs],
        max_in_flight: int,
        progress: Callable[[int], object] | None,
        return_exceptions: bool,
    ) -> AsyncIterator[Any]:
        waiting: deque[asyncio.Task[Outputs]] = deque()
        done = 0
        try:
            for inputs in chain(many, repeat(END)):
                if inputs is not END:
                    waiting.append(asyncio.create_task(self.predict(inputs)))
                    if len(waiting) < max_in_flight:
                        continue
                elif not waiting:
                    return
                try:
                    answer: Outputs | TfdecodeError = await waiting.popleft()
                except TfdecodeError as error:
                    if not return_exceptions:
                        raise
                    answer = error
                yield answer
                done += 1
                if progress:
                    progress(done)
        finally:
            await cancelled(waiting)

    async def describe(self) -> Description:
        """The schema, the inputs and the outputs; see `Rest.describe`."""
        if not self._told:
            await self._run(self._describe())
        return self._described()

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if (client := self._clients.pop(self._place(), None)) is not None:
            await client.aclose()

    async def __aenter__(self) -> AsyncRest:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _run(self, dialogue: Dialogue[Result]) -> Result:
        """Its steps in threads: to encode or read megabytes would hold up all other tasks."""
        answers: Any = None
        while True:
            done, value = await asyncio.to_thread(stepped, dialogue, answers)
            if done:
                result: Result = value
                return result
            answers = await self._send_all(value)

    async def _send_all(self, requests: list[Request]) -> list[Answer]:
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def one(request: Request) -> Answer:
            async with gate:
                return await self._send(request)

        tasks = [asyncio.create_task(one(request)) for request in requests]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            await cancelled(tasks)

    async def _send(self, request: Request) -> Answer:
        waits = self._waits()
        while True:
            try:
                async with self._client.stream(**self._message(request)) as response:
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        _check_size(body, request)
                answer = Answer(response.status_code, bytes(body), response.headers)
                if (wait := self._wait(waits, answer)) is None:
                    return answer
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                if (wait := next(waits, None)) is None:
                    raise self._unreachable(request, error) from None
            except (httpx2.HTTPError, UnicodeError) as error:
                raise self._unreachable(request, error) from None
            await asyncio.sleep(wait)


async def cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel those that are not done, and wait until all are."""
    for task in tasks:
        task.cancel()
    # Else asyncio would print the errors of those that have failed already.
    await asyncio.gather(*tasks, return_exceptions=True)


def stepped(dialogue: Dialogue[Any], answers: list[Answer] | None) -> tuple[bool, Any]:
    """Whether a dialogue is done, and its result, else its next requests."""
    try:
        return False, dialogue.send(answers)  # type: ignore[arg-type]  # None at first
    except StopIteration as end:  # which no task can raise
        return True, end.value
