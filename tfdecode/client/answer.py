"""Answers of a server as arrays, and its errors as exceptions."""

from __future__ import annotations

import binascii
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from html import unescape
from http.client import responses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..dtypes import numpy_dtype
from ..errors import (
    DecodeError,
    RefusedError,
    ServerError,
    SpecError,
    TfdecodeError,
    asserted,
    shown,
)
from ..names import bytes_key
from ..schema import Schema
from .signature import Tensor
from .text import from_base64, from_json


def arrays_of(body: bytes, outputs: Mapping[str, Tensor] | None) -> dict[str, npt.NDArray[Any]]:
    """The outputs of an answer in row or column format, by name; ServerError if it is another.

    ``outputs`` says their names and dtypes; without it, JSON decides.
    """
    answer = _json(body)
    if "outputs" in answer:
        values = answer["outputs"]
    elif isinstance(answer.get("predictions"), list):
        values = _by_column(answer["predictions"])
    else:
        start = shown(body[:200].decode(errors="replace"))
        raise ServerError(f"the answer has no outputs: {start}")
    alone = next(iter(outputs)) if outputs and len(outputs) == 1 else None
    if not isinstance(values, dict) or (alone is not None and set(values) == {"b64"}):
        values = {alone or "output_0": values}  # one output comes without its name
    if outputs and set(values) != set(outputs):
        raise ServerError(f"the answer has outputs {list(values)}, expected {list(outputs)}")
    return {
        name: _array(name, value, outputs[name].dtype if outputs else None)
        for name, value in values.items()
    }


def decoded(outputs: dict[str, npt.NDArray[Any]], schema: Schema) -> dict[str, npt.NDArray[Any]]:
    """The outputs, with those that the model encodes decoded to arrays ``[B, *shape]``."""
    found = dict(outputs)
    for name, spec in schema.outputs.items():
        rows = found.get(bytes_key(name))
        if rows is None or rows.dtype.kind in "biufcV":  # the array, by a signature of arrays
            continue
        del found[bytes_key(name)]
        if rows.ndim != 1:
            raise ServerError(f"output {name} of the answer is no list of payloads")
        empty = np.zeros((0, *(side or 0 for side in spec.shape)), numpy_dtype(spec.dtype))
        try:
            found[name] = np.stack([spec.decode(row) for row in rows]) if len(rows) else empty
        except ValueError as error:  # a DecodeError, or rows of different lengths
            raise ServerError(f"output {name} of the answer: {error}") from None
    return found


def joined(
    parts: list[dict[str, npt.NDArray[Any]]], sizes: Iterable[int]
) -> dict[str, npt.NDArray[Any]]:
    """The outputs of a batch that was sent in parts of these numbers of rows."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if any(set(part) != set(first) for part in parts):
        raise ServerError("the answers to the parts of the batch have different outputs")
    for part, size in zip(parts, sizes, strict=True):
        for name, array in part.items():
            if array.ndim == 0 or len(array) != size:
                raise ServerError(
                    f"output {name} has shape {list(array.shape)} for a part of {size} rows, so a "
                    "batch cannot be sent in parts; send fewer rows"
                )
    try:
        return {name: np.concatenate([part[name] for part in parts]) for name in first}
    except ValueError as error:
        raise ServerError(f"the answers to the parts of the batch do not fit: {error}") from None


def _by_column(rows: list[Any]) -> Any:
    """Rows that are objects of outputs as an object of columns; other rows are a column."""
    if not rows or not all(isinstance(row, dict) and "b64" not in row for row in rows):
        return rows
    for index, row in enumerate(rows):
        if set(row) != set(rows[0]):
            raise ServerError(f"row {index} of the answer has other outputs than row 0")
    return {name: [row[name] for row in rows] for name in rows[0]}


def _array(name: str, value: Any, dtype: str | None) -> npt.NDArray[Any]:
    try:
        if dtype == "string" or (dtype is None and _first(value) in (dict, str)):
            texts: npt.NDArray[Any] = np.array(value, object)
            texts.ravel()[:] = [_bytes(item) for item in texts.ravel()]
            return texts
        with np.errstate(invalid="ignore"):
            array = np.asarray(value, None if dtype is None else numpy_dtype(dtype))
        if dtype is None and array.dtype.kind not in "biuf":
            raise ValueError("it has other values than numbers and texts")
        if dtype is not None and array.dtype.kind in "biu":  # NumPy cuts 1.5 to 1; "no" is True
            plain = np.asarray(value)
            whole = plain.dtype.kind == "U" and array.dtype.kind != "b"  # as protobufs write int64
            if not whole and not np.array_equal(plain, array):
                raise ValueError(f"it has values that {dtype} does not hold")
        return array
    except (ValueError, TypeError, OverflowError) as error:
        raise ServerError(f"output {name} of the answer is not an array: {error}") from None


def _first(value: Any) -> type:
    while isinstance(value, list) and value:
        value = value[0]
    return type(value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return from_base64(value["b64"])
    except (KeyError, TypeError):
        raise ValueError("it has other values than texts and b64 objects") from None
    except binascii.Error as error:
        raise ValueError(f"bytes are not base64: {error}") from None


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer = from_json(body)
    except (ValueError, RecursionError) as error:
        if page := page_of(body):
            raise ServerError(f"the answer is {page}") from None
        start = shown(body[:80].decode(errors="replace"))
        words = f"is not JSON ({error}): {start}" if body.strip() else "is empty"
        raise ServerError(f"the answer {words}") from None
    if not isinstance(answer, dict):
        raise ServerError("the answer is not a JSON object")
    return answer


#: The DT_ name and the shape of each input or output.
Forms = dict[str, tuple[str, "tuple[int | None, ...] | None"]]


def signatures_of(body: bytes) -> dict[str, tuple[Forms, Forms]]:
    """Inputs and outputs of each signature, from the answer of a server's metadata endpoint."""
    try:
        return {
            name: tuple(
                {key: _form(info) for key, info in signature.get(side, {}).items()}
                for side in ("inputs", "outputs")
            )  # type: ignore[misc]
            for name, signature in _json(body)["metadata"]["signature_def"]["signature_def"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ServerError(f"the server's metadata cannot be read: {error!r}") from None


def signature_of(name: str, signatures: Mapping[str, tuple[Forms, Forms]]) -> tuple[Forms, Forms]:
    """The inputs and outputs of one of them; SpecError lists those that there are."""
    if name not in signatures:
        known = ", ".join(map(shown, sorted(signatures)))
        raise SpecError(f"the model has no signature {name!r}; it has {known}")
    return signatures[name]


def _form(info: Mapping[str, Any]) -> tuple[str, tuple[int | None, ...] | None]:
    shape = info["tensor_shape"]
    if shape.get("unknown_rank"):
        return str(info["dtype"]), None
    sizes = [int(side["size"]) for side in shape.get("dim", [])]
    return str(info["dtype"]), tuple(None if size < 0 else size for size in sizes)


#: Characters that are read of the sentence of a server.
MAX_TEXT = 20_000
#: How pages of HTML begin, and their title or first heading.
PAGE = re.compile(
    r"\s*(?:<!--.{0,1000}?-->\s*)?<(?:!doctype\s+html|html|head|body|h1|title)\b", re.I | re.S
)
TITLE = re.compile(r"<(title|h1)\b[^>]{0,1000}>([^<]{1,1000})<", re.I)


class Sent(NamedTuple):
    """What a request carried."""

    #: Its first row, of a batch that was sent in parts.
    first: int
    inputs: Mapping[str, Tensor]
    #: The rows of the request, by signature key.
    arrays: Mapping[str, npt.NDArray[Any]]

    @property
    def rows(self) -> int:
        """How many rows it carried; 1 if no input has a batch dimension."""
        return next((len(a) for key, a in self.arrays.items() if self.inputs[key].batched), 1)

    def refused(self, key: str, row: int) -> int | None:
        """The row of the batch that an answer may mean: one that the spec refuses too, else None.

        A server merges requests, so ``row`` may count the rows of others.
        """
        spec, rows = self.inputs[key].spec, self.arrays[key]
        if spec is None or rows.ndim != 1:
            return None
        for index in sorted(range(len(rows)), key=lambda index: index != row):
            try:
                spec.decode(rows[index])
            except DecodeError:
                return self.first + index
            except TfdecodeError:  # an image without the library that reads it
                continue
        return None


def sent_parts(
    inputs: Mapping[str, Tensor], arrays: Mapping[str, npt.NDArray[Any]], firsts: Sequence[int]
) -> list[Sent]:
    """What each of the requests carries that begin at these rows."""
    return [
        Sent(
            first,
            inputs,
            {k: rows[first:last] if inputs[k].batched else rows for k, rows in arrays.items()},
        )
        for first, last in zip(firsts, [*firsts[1:], None], strict=True)
    ]


def error_of(
    status: int, body: bytes, headers: Mapping[str, str], sent: Sent | None = None
) -> ServerError:
    """The exception for an HTTP status that is not 200, to a request that carried ``sent``."""
    text = sentence_of(status, body)
    if 300 <= status < 400 and "location" in headers:
        text = f"it sends to {headers['location'][:1000]}, where this client does not follow"
    elif wait := asked_to_wait(headers):
        text += f"; it asks to wait {wait:g} s"
    return refusal(text, status, f"HTTP {status}", sent)


def sentence_of(status: int, body: bytes) -> str:
    """What a server says about an error."""
    try:
        answer = from_json(body)
        answer = answer[0] if isinstance(answer, list) else answer
        # Vertex AI has an object with a message there, a gateway often a message alone.
        text = answer.get("error") or answer.get("message") or answer["detail"]
        return str(text["message"] if isinstance(text, dict) else text)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        text = page_of(body) or body[:500].decode(errors="replace").strip()
        return text or responses.get(status, "no text")


def page_of(body: bytes) -> str | None:
    """What to say of a page of HTML, which a proxy sends or another server; None if it is none."""
    start = body[:MAX_TEXT].decode(errors="replace")
    if not PAGE.match(start):
        return None
    found = TITLE.search(start)
    title = " ".join(unescape(found[2]).split()) if found else ""
    said = f" that says {shown(title)!r}" if title else ""
    return (
        f"a page of HTML{said}, which is not from the server of the model: check the URL, and the "
        "proxy if there is one"
    )


def asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds of a header ``Retry-After``; None if there is none."""
    text = headers.get("retry-after", "")
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        return max(0.0, round(parsedate_to_datetime(text).timestamp() - time.time()))
    except (ValueError, TypeError, OverflowError):
        return None


def refusal(text: str, status: int, prefix: str, sent: Sent | None = None) -> ServerError:
    """The exception for a server's sentence, a RefusedError if that names an input of ``sent``."""
    text = text[:MAX_TEXT]
    said = asserted(text)
    sentence = shown(" ".join(text.split()) if said is None else said, 1000)
    named = None if said is None else re.match(r"(\w+): (?:row (\d{1,18}) )?", said)
    part = f", in the part from row {sent.first} on" if sent and sent.first else ""
    message = f"{prefix}{part}: {sentence}"
    if sent is None or named is None or named[1] not in sent.arrays:
        return ServerError(message, status)
    if named[2] is None:
        return RefusedError(message, status, named[1])
    row = sent.refused(named[1], int(named[2]))
    if row is None and sent.inputs[named[1]].spec is not None:
        message += "; this client found no invalid row in its own request"
    elif row not in (None, sent.first + int(named[2])):
        message += f"; in this request row {row} is invalid"
    return RefusedError(message, status, named[1], row)
