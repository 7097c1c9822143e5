"""Bodies of requests and arrays of answers, for who sends them otherwise."""

from __future__ import annotations

from ..schema import Schema
from .answer import arrays_of, decoded, signature_of, signatures_of
from .body import bodies, rows_of
from .inputs import Inputs, Outputs, prepare
from .signature import chosen, schema_inputs, tensors, with_given


def request(
    schema: Schema, inputs: Inputs, *, signature: str | None = None, by_rows: bool = False
) -> bytes:
    """The body of one request to TensorFlow Serving, as JSON.

    Parameters
    ----------
    schema : Schema
        What the model takes; other inputs are sent as they are given.
    inputs : mapping
        What `InProcess.predict` takes: arrays, payloads or `pathlib.Path` of files by input name,
        one example or a list of them.
    signature : str, optional
        The signature to run, by default that of the schema. SpecError if the schema is of others.
    by_rows : bool, default False
        The row format, ``{"instances": [...]}``, instead of ``{"inputs": {...}}``.

    Returns
    -------
    bytes
        To post to ``http://HOST:8501/v1/models/NAME:predict``.

    Raises
    ------
    SpecError, EncodeError, FileError
        If an input is unknown, missing, outside the domain of its spec or cannot be read.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> schema = tfd.Schema({"size": tfd.ArraySpec((2,), "uint8")})
    >>> request(schema, {"size": np.array([1, 2], "uint8")})
    b'{"signature_name":"serving_default","inputs":{"size_bytes":[{"b64":"AQI="}]}}'
    """
    signature = chosen(schema, signature)
    known = with_given(schema_inputs(schema.signature(signature)), inputs)
    prepared = prepare(inputs, known, signature)
    arrays = {key: one.array for key, one in prepared.items()}
    ((_, body),) = bodies(signature, rows_of(known, arrays), by_rows=by_rows, max_body_bytes=None)
    return body


def response(schema: Schema, body: bytes, *, metadata: bytes | None = None) -> Outputs:
    """The arrays of an answer of TensorFlow Serving, by output name.

    JSON does not say the dtype of an output, nor its name if it is the only one. `Rest` reads both
    from the server's metadata. Without them a fraction is float64, and one output ``output_0``.

    Parameters
    ----------
    schema : Schema
        Its outputs are decoded. Of several signatures, pass ``schema.signature(name)``.
    body : bytes
        The body of the answer, in either format.
    metadata : bytes, optional
        The body of the answer to ``GET /v1/models/NAME/metadata``: the arrays are then those of
        `Rest`, by name and dtype.

    Raises
    ------
    ServerError
        If it is not an answer with outputs, or not with those of the metadata.
    SpecError
        If the model of the metadata does not have the signature of the schema.

    Examples
    --------
    >>> import tfdecode as tfd
    >>> response(tfd.Schema({}), b'{"outputs": {"score": [[0.5]]}}')
    {'score': array([[0.5]])}
    """
    outputs = None
    if metadata is not None:
        outputs = tensors(
            signature_of(chosen(schema, None), signatures_of(metadata))[1], Schema({})
        )
    return decoded(arrays_of(body, outputs), schema)
