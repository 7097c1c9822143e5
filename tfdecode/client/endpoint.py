"""What is asked of a server over HTTP and what its answers mean, without sending anything."""

from __future__ import annotations

import gzip as gzip_format
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ..errors import ServerError, SpecError
from ..extras import LazyModule
from ..schema import MAX_BYTES, SIGNATURE, Schema
from .answer import (
    Forms,
    arrays_of,
    decoded,
    error_of,
    joined,
    sent_parts,
    signature_of,
    signatures_of,
)
from .body import bodies, rows_of
from .inputs import Inputs, Outputs, PreparedInput, prepare
from .signature import Tensor, chosen, of_signature, schema_inputs, tensors, with_given

httpx2: Any = LazyModule("httpx2", "client")

Result = TypeVar("Result")

#: Answers of a server that is busy; a later request may get another.
BUSY = (429, 503)
#: Seconds to wait before the first new try; each wait is twice as long as the one before.
FIRST_WAIT, LONGEST_WAIT = 0.1, 10.0
#: Most bytes of an answer, inflated: those of the largest message of gRPC.
MAX_ANSWER = 2**31 - 1


@dataclass(frozen=True)
class Request:
    """A request to send, and the largest answer to read."""

    url: str
    body: bytes | None = None  #: None for GET
    max_bytes: int | None = None


#: The status and the body of an answer.
Answer = tuple[int, bytes]
#: The schema of a signature, its inputs, and its outputs if they are known.
Description: TypeAlias = "tuple[Schema, dict[str, Tensor], dict[str, Tensor] | None]"
#: A dialogue with a server: it yields requests that may be sent at once, and is sent their answers.
Dialogue = Generator[list[Request], list[Answer], Result]


class Endpoint:
    """A model behind a URL; its dialogues yield requests and are sent the answers."""

    def __init__(
        self,
        url: str,
        schema: Schema | None = None,
        *,
        signature: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        verify: bool | str = True,
        max_body_bytes: int | None = None,
        gzip: bool = False,
        retries: int = 0,
    ) -> None:
        try:
            parts = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError) as error:
            raise SpecError(f"{url!r} is not a URL: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.host:
            raise SpecError(f"{url!r} is not an http or https URL")
        check_headers(headers or {})
        check_timeout(timeout)
        if retries < 0:
            raise SpecError(f"retries is {retries}, needs 0 or more")
        if max_body_bytes is not None and max_body_bytes < 1:
            raise SpecError(f"max_body_bytes is {max_body_bytes}, needs 1 or more")
        self.url, self.signature, self.schema = url, chosen(schema, signature), schema
        self._signature = signature  # as given: else the schema says it
        #: TensorFlow Serving, and KServe's protocol 1: the model's own URL, which has more to ask.
        model = url.removesuffix(":predict").rstrip("/")
        self._model = model if "/v1/models/" in parts.path else None
        self._predict_url = f"{self._model}:predict" if self._model else url
        self._headers = dict(headers or {})
        self._client = self._open(timeout=timeout, verify=verify)
        self._max_body_bytes, self._gzip, self._retries = max_body_bytes, gzip, retries
        self._inputs: dict[str, Tensor] | None = None
        self._told = False  # a server that fails to describe its model is asked again
        self._outputs: dict[str, Tensor] | None = None

    def _open(self, **options: Any) -> Any:
        raise NotImplementedError

    def _describe(self) -> Dialogue[None]:
        """Ask once for the schema and for the inputs and outputs of the signature."""
        if self._told:
            return
        signatures: dict[str, tuple[Forms, Forms]] = {}
        failed = False
        if self._model is not None:
            ((status, body),) = yield [Request(f"{self._model}/metadata", max_bytes=MAX_BYTES)]
            if status == 200:
                signatures = signatures_of(body)
            elif status in (401, 403) or (status == 404 and self.schema is None):
                raise error_of(status, body)
            failed = status == 429 or status >= 500
        schema = self.schema
        if schema is None:
            told = SIGNATURE in signatures or not signatures
            schema = (yield from self._ask_schema()) if told else Schema({})
        self.signature = chosen(schema, self._signature)
        schema = of_signature(schema, self.signature)
        if not signatures:  # an endpoint that does not describe itself
            self.schema, self._inputs = schema, schema_inputs(schema)
            self._told = not failed
            return
        inputs, outputs = signature_of(self.signature, signatures)
        # The inputs last: other threads may be here too.
        self.schema, self._outputs = schema, tensors(outputs, Schema({}))
        self._inputs = tensors(inputs, schema)
        self._told = True

    def _described(self) -> Description:
        assert self.schema is not None and self._inputs is not None
        return self.schema, self._inputs, self._outputs

    def _ask_schema(self) -> Dialogue[Schema]:
        body = b'{"signature_name":"%b","inputs":{"batch":["-"]}}' % SIGNATURE.encode()
        ((status, answer),) = yield [Request(self._predict_url, body, 8 * MAX_BYTES)]
        if status != 200:
            advice = "pass schema="
            if self._model is None and not httpx2.URL(self.url).path.strip("/"):
                advice = f"the URL of a model is {self.url.rstrip('/')}/v1/models/NAME"
            elif self._model is None and status in (400, 404):
                advice += (
                    ", or, if this is TensorFlow Serving, the URL http://HOST:8501/v1/models/NAME"
                )
            raise SpecError(
                f"{self.url} does not tell its schema ({error_of(status, answer)}); {advice}"
            )
        # From a server: limited and checked.
        texts = [item for array in arrays_of(answer, None).values() for item in np.ravel(array)]
        if not texts or not isinstance(texts[0], bytes):
            raise ServerError(f"{self.url}: the answer to {SIGNATURE} is not a text")
        return Schema.from_json(texts[0])

    def _prepare(self, inputs: Inputs) -> Dialogue[dict[str, PreparedInput]]:
        yield from self._describe()
        known = self._known(inputs)
        return prepare(inputs, known, self.signature)

    def _known(self, inputs: Inputs) -> dict[str, Tensor]:
        """The inputs of the model; if it does not say its outputs, it does not say all of them."""
        assert self._inputs is not None
        return self._inputs if self._outputs is not None else with_given(self._inputs, inputs)

    def _ask(self, prepared: Mapping[str, PreparedInput]) -> Dialogue[Outputs]:
        yield from self._describe()
        arrays = {key: one.array for key, one in prepared.items()}
        known = self._known(arrays)
        parts = list(
            bodies(
                self.signature,
                rows_of(known, arrays),
                by_rows=self._model is None,
                max_body_bytes=self._max_body_bytes,
            )
        )
        single = [key for key, one in (self._outputs or {}).items() if not one.batched]
        if len(parts) > 1 and single:
            raise SpecError(
                f"output {single[0]} has no batch dimension, so a batch cannot be sent in parts; "
                "send fewer rows, or raise max_body_bytes"
            )
        answers = yield [Request(self._predict_url, body, MAX_ANSWER) for _, body in parts]
        results = []
        sent = sent_parts(known, arrays, [first for first, _ in parts])
        for part, (status, body) in zip(sent, answers, strict=True):
            if status != 200:
                raise error_of(status, body, part)
            results.append(arrays_of(body, self._outputs))
        assert self.schema is not None
        return decoded(joined(results, [part.rows for part in sent]), self.schema)

    def _message(self, request: Request) -> dict[str, Any]:
        """The arguments of the HTTP library for a request."""
        if self._client.is_closed:
            raise ServerError(f"{self.url}: the client was closed")
        if request.body is None:
            return {"method": "GET", "url": request.url, "headers": self._headers}
        headers, body = {"Content-Type": "application/json", **self._headers}, request.body
        if self._gzip:
            headers["Content-Encoding"], body = "gzip", gzip_format.compress(body, 1, mtime=0)
        return {"method": "POST", "url": request.url, "headers": headers, "content": body}

    def _waits(self) -> Iterator[float]:
        """Seconds to wait before each new try."""
        for tried in range(self._retries):
            yield min(FIRST_WAIT * 2**tried, LONGEST_WAIT)

    def _unreachable(self, request: Request, error: Exception) -> ServerError:
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, httpx2.ConnectError):
            text += "; is a server running there, and is this its REST port?"
        elif text.startswith("illegal"):  # no line of HTTP/1.1, such as a frame of HTTP/2
            text += "; is this its gRPC port?"
        return ServerError(f"{request.url}: no answer: {text}")


def check_timeout(timeout: float) -> None:
    """SpecError unless sockets take it."""
    if not 0 < timeout < 1e9:
        raise SpecError(f"timeout is {timeout}, needs seconds above 0 and below 1e9")


def check_headers(headers: Mapping[str, str]) -> None:
    """SpecError for a header that cannot be sent, or would become several."""
    for name, value in headers.items():
        if not f"{name}{value}".isascii() or not f"{name}{value}".isprintable():
            raise SpecError(f"header {name!r} has other characters than those of ASCII")
