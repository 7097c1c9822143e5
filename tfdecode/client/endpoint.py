"""What is asked of a server over HTTP and what its answers mean, without sending anything."""

from __future__ import annotations

import gzip as gzip_format
import os
import ssl
import urllib.request
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from ..errors import MissingExtraError, ServerError, SpecError, said
from ..extras import LazyModule
from ..schema import MAX_BYTES, SIGNATURE, Schema
from .answer import (
    Forms,
    arrays_of,
    asked_to_wait,
    decoded,
    error_of,
    joined,
    sent_parts,
    signature_of,
    signatures_of,
)
from .body import bodies, rows_of
from .inputs import Inputs, Outputs, PreparedInput, prepare
from .options import check_headers, check_port, check_timeout, check_whole, model_of, trusted
from .signature import Tensor, chosen, of_signature, schema_inputs, tensors, with_given

httpx2: Any = LazyModule("httpx2", "client")

Result = TypeVar("Result")

#: Answers of a server that is busy; a later request may get another.
BUSY = (429, 503)
#: Seconds to wait before the first new try; each wait is twice as long as the one before.
FIRST_WAIT, LONGEST_WAIT = 0.1, 10.0
#: Most bytes of an answer, inflated: those of the largest message of gRPC.
MAX_ANSWER = 2**31 - 1
PROXIES = "the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY)"


@dataclass(frozen=True)
class Request:
    """A request to send, and the largest answer to read."""

    url: Any  #: an ``httpx2.URL``
    body: bytes | None = None  #: None for GET
    max_bytes: int | None = None


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]  #: in any case of their letters


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
        verify: bool | str | os.PathLike[str] | ssl.SSLContext = True,
        max_body_bytes: int | None = None,
        gzip: bool = False,
        retries: int = 0,
    ) -> None:
        if not isinstance(url, str):
            raise SpecError(f"url is {type(url).__name__}, needs a text")
        try:
            self._given = httpx2.URL(url).copy_with(fragment=None)
        except (httpx2.InvalidURL, ValueError) as error:
            raise SpecError(f"{url!r} is not a URL: {error}") from None
        scheme = self._given.scheme
        if scheme not in ("http", "https") or not self._given.host:
            raise SpecError(f"{url!r} is not an http or https URL")
        labels = self._given.raw_host.removesuffix(b".").split(b".")
        if not all(0 < len(label) < 64 for label in labels):  # which sockets refuse
            raise SpecError(f"{url!r} is not a URL: its host is no name, such as a.example.com")
        check_port(url, self._given.port)
        check_headers({} if headers is None else headers)
        check_timeout(timeout)
        check_whole("retries", retries, 0)
        if max_body_bytes is not None:
            check_whole(said("max_body_bytes", "--max-body-bytes"), max_body_bytes, 1)
        self.url, self.signature, self.schema = url, chosen(schema, signature), schema
        self._signature = signature  # as given: else the schema says it
        #: TensorFlow Serving, and KServe's protocol 1: the model's own path, which can be asked.
        self._model = model_of(self._given.raw_path.decode().partition("?")[0])
        if self._model is not None and self._model.endswith("/v1/models"):
            raise SpecError(f"{url!r} names no model, needs .../v1/models/NAME")
        self._predict_url = self._of_model(":predict") if self._model else self._given
        self._headers, self._timeout = dict(headers or {}), timeout
        self._trusted = trusted(verify, scheme == "https")
        #: By where their connections can be used, see ``_place``.
        self._clients: dict[Any, Any] = {}
        self._closed = False
        self._max_body_bytes, self._gzip, self._retries = max_body_bytes, gzip, retries
        self._inputs: dict[str, Tensor] | None = None
        self._told = False  # a server that fails to describe its model is asked again
        self._outputs: dict[str, Tensor] | None = None

    def _of_model(self, ending: str) -> Any:
        """A URL of the model, with the query that was given."""
        query = self._given.query
        target = f"{self._model}{ending}".encode() + (b"?" + query if query else b"")
        return self._given.copy_with(raw_path=target)

    def _open(self, **options: Any) -> Any:
        raise NotImplementedError

    def _place(self) -> tuple[Any, ...]:
        """Where connections can be used: not in a forked process, whose answers would be mixed."""
        return (os.getpid(),)

    @property
    def _client(self) -> Any:
        """The client of the HTTP library, with connections that can be used here."""
        if self._closed:
            raise ServerError(f"{shown_url(self._given)}: the client was closed")
        place = self._place()
        if (client := self._clients.get(place)) is None:
            for other in list(self._clients):
                if other[0] != place[0] or any(loop.is_closed() for loop in other[1:]):
                    self._clients.pop(other, None)
            # A request may wait for another one to leave a connection to it.
            timeout = httpx2.Timeout(self._timeout, pool=None)
            try:
                opened = self._open(timeout=timeout, verify=self._trusted)
            except ImportError:
                raise MissingExtraError(
                    f"{PROXIES} names a SOCKS proxy, which needs the package socksio"
                ) from None
            except (ValueError, httpx2.InvalidURL) as error:
                raise SpecError(f"{PROXIES} names no proxy: {error}") from None
            except OSError as error:
                raise SpecError(
                    f"the certificates to trust cannot be read ({error.strerror}): does the "
                    "environment (SSL_CERT_FILE, SSL_CERT_DIR) name them?"
                ) from None
            client = self._clients.setdefault(place, opened)
        return client

    def _describe(self) -> Dialogue[None]:
        """Ask once for the schema and for the inputs and outputs of the signature."""
        if self._told:
            return
        signatures: dict[str, tuple[Forms, Forms]] = {}
        failed = False
        if self._model is not None:
            (answer,) = yield [Request(self._of_model("/metadata"), max_bytes=MAX_BYTES)]
            if answer.status == 200:
                signatures = signatures_of(answer.body)
            elif answer.status in (401, 403) or (answer.status == 404 and self.schema is None):
                raise error_of(*answer)
            failed = answer.status == 429 or answer.status >= 500
        schema = self.schema
        if schema is None:
            told = SIGNATURE in signatures or not signatures
            schema = (yield from self._ask_schema()) if told else Schema({})
        if self._told:  # meanwhile, by another thread, whose answer may be better
            return
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
        (answer,) = yield [self._post(body, 8 * MAX_BYTES)]
        url = shown_url(self._given)
        if answer.status in BUSY:
            raise error_of(*answer)
        if answer.status != 200:
            advice = said("pass schema=", "pass --schema FILE")
            if self._model is None and not self._given.path.strip("/"):
                advice = f"the URL of a model is {url.rstrip('/')}/v1/models/NAME"
            elif self._model is None and answer.status in (400, 404):
                advice += (
                    ", or, if this is TensorFlow Serving, the URL http://HOST:8501/v1/models/NAME"
                )
            raise SpecError(f"{url} does not tell its schema ({error_of(*answer)}); {advice}")
        # From a server: limited and checked.
        arrays = arrays_of(answer.body, None).values()
        texts = [item for array in arrays for item in np.ravel(array)]
        if not texts or not isinstance(texts[0], bytes):
            raise ServerError(f"{url}: the answer to {SIGNATURE} is not a text")
        return Schema.from_json(texts[0])

    def _prepared(self, inputs: Inputs) -> dict[str, PreparedInput]:
        return prepare(inputs, self._known(inputs), self.signature)

    def _predict(self, inputs: Inputs) -> Dialogue[Outputs]:
        return (yield from self._ask(self._prepared(inputs)))

    def _known(self, inputs: Inputs) -> dict[str, Tensor]:
        """The inputs of the model; if it does not say its outputs, it does not say all of them."""
        assert self._inputs is not None
        return self._inputs if self._outputs is not None else with_given(self._inputs, inputs)

    def _ask(self, prepared: Mapping[str, PreparedInput]) -> Dialogue[Outputs]:
        """Ask for the answer to inputs, of a model that is described already."""
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
                f"send fewer rows, or raise {said('max_body_bytes', '--max-body-bytes')}"
            )
        answers = yield [self._post(body, MAX_ANSWER) for _, body in parts]
        results = []
        sent = sent_parts(known, arrays, [first for first, _ in parts])
        for part, answer in zip(sent, answers, strict=True):
            if answer.status != 200:
                raise error_of(*answer, part)
            results.append(arrays_of(answer.body, self._outputs))
        assert self.schema is not None
        return decoded(joined(results, [part.rows for part in sent]), self.schema)

    def _post(self, body: bytes, max_bytes: int) -> Request:
        if self._gzip:
            body = gzip_format.compress(body, 1, mtime=0)
        return Request(self._predict_url, body, max_bytes)

    def _message(self, request: Request) -> dict[str, Any]:
        """The arguments of the HTTP library for a request."""
        if request.body is None:
            return {"method": "GET", "url": request.url, "headers": self._headers}
        headers = {"Content-Type": "application/json", **self._headers}
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
        return {"method": "POST", "url": request.url, "headers": headers, "content": request.body}

    def _waits(self) -> Iterator[float]:
        """Seconds to wait before each new try."""
        for tried in range(self._retries):
            yield min(FIRST_WAIT * 2**tried, LONGEST_WAIT)

    def _wait(self, waits: Iterator[float], answer: Answer) -> float | None:
        """Seconds to wait before a new try; None if the answer is the last one."""
        asked = asked_to_wait(answer.headers) or 0.0
        if answer.status not in BUSY or asked > LONGEST_WAIT:
            return None
        wait = next(waits, None)
        return None if wait is None else max(wait, asked)

    def _unreachable(self, request: Request, error: Exception) -> ServerError:
        text = " ".join(str(error).split()) or type(error).__name__
        secure = request.url.scheme == "https"
        if self._closed:
            text = "the client was closed"
        elif isinstance(error, httpx2.ConnectTimeout):
            text = f"no connection within {self._timeout:g} s"
            text += "; if it does not speak TLS, the URL is http://" if secure else ""
        elif isinstance(error, httpx2.TimeoutException):
            text = f"nothing came within {self._timeout:g} s; raise the timeout to wait longer"
        elif isinstance(error, UnicodeError):  # of a name to look up, which is not that of the URL
            text = f"{PROXIES} names a proxy whose host is no name"
        elif isinstance(error, httpx2.ProxyError):
            text = f"the proxy says {text}; {PROXIES} names it"
        elif "CERTIFICATE_VERIFY_FAILED" in text:
            why = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
            text = f"its certificate is not trusted: {why}; verify= takes a file of those to trust"
        elif isinstance(error, httpx2.ConnectError):
            text += "; is a server running there, and is this its REST port?"
            if "SSL" in text:
                text += " If it does not speak TLS, the URL is http://"
            elif by_proxy(request.url):
                text += f" {PROXIES} sends it by a proxy: NO_PROXY excludes hosts"
        elif isinstance(error, httpx2.ReadError | httpx2.WriteError):
            text = f"the connection was broken ({text})"
            text += "" if secure else "; if the port speaks TLS, the URL is https://"
        elif text.startswith("illegal"):  # no line of HTTP/1.1, such as a frame of HTTP/2
            text += "; is this its gRPC port?"
        return ServerError(f"{shown_url(request.url)}: no answer: {text}")


def by_proxy(url: Any) -> bool:
    """Whether the environment names a proxy for a URL."""
    named = urllib.request.getproxies()
    return bool({url.scheme, "all"} & set(named)) and not urllib.request.proxy_bypass(url.host)


def shown_url(url: Any) -> str:
    """A URL for messages: without user, password and query, which may hold a key."""
    hidden = {"username": None, "password": None, "query": None, "fragment": None}
    return str(url.copy_with(**hidden))
