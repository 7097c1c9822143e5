"""Bodies of requests in TensorFlow Serving's REST format.

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EncodeError, SpecError
from .signature import Tensor, check_rows
from .text import to_base64, to_json

#: What the server's JSON parser does not convert to a tensor.
NOT_IN_JSON = ("uint16", "float16", "bfloat16", "complex64", "complex128")

#: The rows of each input as JSON text; one text for an input without a batch dimension.
Rows = dict[str, list[bytes] | bytes]


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


def _text(value: Any) -> bytes:
    """A row as JSON: base64 for bytes, nested lists for numbers."""
    if isinstance(value, bytes):  # base64 needs no escapes
        return b'{"b64":"%b"}' % to_base64(value)
    if isinstance(value, str):
        return json.dumps(value).encode()
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        if array.ndim:
            return b"[%b]" % b",".join(_text(item) for item in array)
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
    single = {key: text for key, text in rows.items() if isinstance(text, bytes)}
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
    for last in cuts(costs, None if max_body_bytes is None else max_body_bytes - empty, "a body"):
        part = {key: texts[first:last] for key, texts in batched.items()}
        yield first, format_(signature, part, single)
        first = last


def cuts(costs: Sequence[int], budget: int | None, what: str) -> Iterator[int]:
    """The ends of the parts whose costs fit the budget of ``what``."""
    total = 0
    for index, cost in enumerate(costs):
        if budget is not None and cost > budget:
            raise EncodeError(f"row {index} needs {cost} bytes of {what}, {budget} are left for it")
        if budget is not None and total + cost > budget:
            yield index
            total = 0
        total += cost
    yield len(costs)


def _columns(
    signature: str, batched: Mapping[str, Sequence[bytes]], single: Mapping[str, bytes]
) -> bytes:
    columns = {**{key: b"[%b]" % b",".join(texts) for key, texts in batched.items()}, **single}
    return b'{%b,"inputs":%b}' % (_signature(signature), _object(columns))


def _instances(
    signature: str, batched: Mapping[str, Sequence[bytes]], _: Mapping[str, bytes]
) -> bytes:
    rows = zip(*batched.values(), strict=True)
    texts = (_object(dict(zip(batched, row, strict=True))) for row in rows)
    # Vertex AI knows no signature_name and refuses what it does not know.
    named = b"" if signature == "serving_default" else b"%b," % _signature(signature)
    return b'{%b"instances":[%b]}' % (named, b",".join(texts))


def _signature(name: str) -> bytes:
    return b'"signature_name":%b' % json.dumps(name).encode()


def _object(texts: Mapping[str, bytes]) -> bytes:
    pairs = (b"%b:%b" % (json.dumps(key).encode(), text) for key, text in texts.items())
    return b"{%b}" % b",".join(pairs)
