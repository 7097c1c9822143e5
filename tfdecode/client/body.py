"""Bodies of requests in TensorFlow Serving's REST format.

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import EncodeError, SpecError, said
from .signature import Tensor, check_rows
from .text import to_base64, to_json

#: What the server's JSON parser does not convert to a tensor.
NOT_IN_JSON = ("uint16", "float16", "bfloat16", "complex64", "complex128")


class Base64:
    """The JSON text of a payload, made when it is written: a large batch is not held twice more."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def __len__(self) -> int:
        return len(b'{"b64":""}') + (len(self.payload) + 2) // 3 * 4

    def __bytes__(self) -> bytes:
        return b'{"b64":"%b"}' % to_base64(self.payload)  # base64 needs no escapes


Text: TypeAlias = "bytes | Base64"
#: The rows of each input as JSON text; one text for an input without a batch dimension.
Rows: TypeAlias = "dict[str, list[Text] | Text]"


def rows_of(inputs: Mapping[str, Tensor], arrays: Mapping[str, npt.NDArray[Any]]) -> Rows:
    """The JSON text of each row of each input."""
    found: Rows = {}
    for key, array in arrays.items():
        if inputs[key].dtype in NOT_IN_JSON:
            raise EncodeError(
                f"input {inputs[key].name} is {inputs[key].dtype}, which the server does not read "
                "from JSON; it needs a byte input, or gRPC"
            )
        found[key] = [_text(row) for row in array] if inputs[key].batched else _text(array)
    return found


def _text(value: Any) -> Text:
    """A row as JSON: base64 for bytes, nested lists for numbers."""
    if isinstance(value, bytes):
        return Base64(value)
    if isinstance(value, str):
        return json.dumps(value).encode()
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        if array.ndim:
            return b"[%b]" % b",".join(bytes(_text(item)) for item in array)
        if isinstance(array.item(), bytes | str):
            return _text(array.item())
    if array.dtype.kind not in "biuf":
        raise EncodeError(f"JSON has numbers and texts, not {type(value).__name__}")
    return to_json(array)


def bodies(
    signature: str, rows: Rows, *, by_rows: bool, max_body_bytes: int | None
) -> Iterator[tuple[int, bytes]]:
    """The bodies that carry all rows, each of at most ``max_body_bytes``, after their first row.

    Parameters
    ----------
    signature : str
        The signature to run.
    rows : dict
        What `rows_of` returned.
    by_rows : bool
        Row format, ``{"instances": [{...}, {...}]}``, which managed endpoints read too; else the
        smaller column format, ``{"inputs": {...}}``.
    max_body_bytes : int or None
        The budget of a body; EncodeError if one row does not fit.
    """
    single = {key: text for key, text in rows.items() if not isinstance(text, list)}
    batched = {key: texts for key, texts in rows.items() if isinstance(texts, list)}
    if by_rows and single:
        raise SpecError(
            f"input {next(iter(single))} has no batch dimension, so it cannot be sent in rows"
        )
    if not batched:
        yield 0, _columns(signature, {}, single)
        return
    check_rows({key: len(texts) for key, texts in batched.items()})
    format_ = _instances if by_rows else _columns
    empty = len(format_(signature, {key: [] for key in batched}, single))
    keys = sum(len(json.dumps(key)) + 2 for key in batched) if by_rows else 0
    costs = [
        sum(map(len, row)) + len(row) + keys + 2 for row in zip(*batched.values(), strict=True)
    ]
    first = 0
    budget = None if max_body_bytes is None else max_body_bytes - empty
    for last in cuts(costs, budget, "a body", said("max_body_bytes", "--max-body-bytes")):
        part = {key: texts[first:last] for key, texts in batched.items()}
        yield first, format_(signature, part, single)
        first = last


def cuts(costs: Sequence[int], budget: int | None, what: str, limit: str) -> Iterator[int]:
    """The ends of the parts whose costs fit the budget of ``what``."""
    total = 0
    for index, cost in enumerate(costs):
        if budget is not None and cost > budget:
            raise EncodeError(
                f"row {index} needs {cost} bytes of {what}, {max(budget, 0)} are left for it; "
                f"raise {limit}"
            )
        if budget is not None and total + cost > budget:
            yield index
            total = 0
        total += cost
    yield len(costs)


def _columns(
    signature: str, batched: Mapping[str, Sequence[Text]], single: Mapping[str, Text]
) -> bytes:
    columns = {key: _list([text] for text in texts) for key, texts in batched.items()}
    others = {key: [text] for key, text in single.items()}
    head = [b"{", _signature(signature), b',"inputs":']
    return _joined(chain(head, _object({**columns, **others}), [b"}"]))


def _instances(
    signature: str, batched: Mapping[str, Sequence[Text]], _: Mapping[str, Text]
) -> bytes:
    rows = (
        _object({key: [text] for key, text in zip(batched, row, strict=True)})
        for row in zip(*batched.values(), strict=True)
    )
    # Vertex AI knows no signature_name and refuses what it does not know.
    named = [] if signature == "serving_default" else [_signature(signature), b","]
    return _joined(chain([b"{", *named, b'"instances":'], _list(rows), [b"}"]))


def _signature(name: str) -> bytes:
    return b'"signature_name":%b' % json.dumps(name).encode()


def _list(items: Iterable[Iterable[Text]]) -> Iterator[Text]:
    """The pieces of a JSON list of what has these pieces."""
    yield b"["
    for index, pieces in enumerate(items):
        if index:
            yield b","
        yield from pieces
    yield b"]"


def _object(values: Mapping[str, Iterable[Text]]) -> Iterator[Text]:
    """The pieces of a JSON object of what has these pieces."""
    yield b"{"
    for index, (key, pieces) in enumerate(values.items()):
        yield b"%b%b:" % (b"," if index else b"", json.dumps(key).encode())
        yield from pieces
    yield b"}"


def _joined(pieces: Iterable[Text]) -> bytes:
    body = io.BytesIO()
    for piece in pieces:
        body.write(bytes(piece))
    return body.getvalue()
