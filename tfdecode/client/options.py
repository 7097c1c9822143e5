"""What is checked of the options of clients before anything is sent."""

from __future__ import annotations

import math
import os
import re
import ssl
from collections.abc import Mapping

from ..errors import FileError, SpecError

#: The characters of a header's name (RFC 9110, token).
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
MAX_PORT = 65_535


def check_timeout(timeout: object) -> None:
    """SpecError unless sockets take it."""
    if not isinstance(timeout, int | float) or not 0 < timeout < 1e9:
        raise SpecError(f"timeout is {timeout!r}, needs seconds above 0 and below 1e9")


def check_whole(name: str, value: object, least: int, most: float = math.inf) -> None:
    """SpecError unless an option is a whole number in that range."""
    if not isinstance(value, int) or not least <= value <= most:
        wanted = f"{least} or more" if most == math.inf else f"{least} to {most}"
        raise SpecError(f"{name} is {value!r}, needs {wanted}")


def check_port(place: str, port: int | None) -> None:
    """SpecError for a number that the system would take modulo 65536."""
    if port is not None and not 0 < port <= MAX_PORT:
        raise SpecError(f"{place!r} has port {port}, needs 1 to {MAX_PORT}")


def check_headers(headers: object) -> None:
    """SpecError for a header that cannot be sent, or would become several."""
    if not isinstance(headers, Mapping):
        raise SpecError(f"headers is {type(headers).__name__}, needs a dict of texts by name")
    for name, value in headers.items():
        if not isinstance(name, str) or HEADER_NAME.fullmatch(name) is None:
            raise SpecError(f"{name!r} is not a name of a header")
        if not isinstance(value, str):
            raise SpecError(f"header {name!r} is {type(value).__name__}, needs a text")
        if not value.isascii() or not value.isprintable():
            raise SpecError(f"header {name!r} has other characters than those of ASCII")


def trusted(verify: object, tls: bool) -> bool | ssl.SSLContext:
    """What the HTTP library takes for ``verify``; FileError for a file without certificates.

    Without TLS there is nothing to verify, and the certificates of the system take 25 ms to read.
    """
    if isinstance(verify, str | os.PathLike):
        path = os.fspath(verify)
        try:
            if os.path.isdir(path):
                return ssl.create_default_context(capath=path)
            return ssl.create_default_context(cafile=path)
        except OSError as error:  # an SSLError is one
            why = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
            raise FileError(f"{path}: cannot be read as certificates: {why}") from None
    if not isinstance(verify, bool | ssl.SSLContext):
        raise SpecError(
            f"verify is {verify!r}, needs True, False, a file of certificates or an SSLContext"
        )
    return verify if tls else False


def model_of(place: str) -> str | None:
    """The part of a URL without query that names a model; None if it is of another endpoint.

    >>> model_of("http://localhost:8501/v1/models/pose:predict")
    'http://localhost:8501/v1/models/pose'
    """
    if "/v1/models/" not in place:
        return None
    return place.removesuffix(":predict").removesuffix("/metadata").rstrip("/")
