"""JSON of requests and answers as tensors, by the rules of TensorFlow Serving.

Rules and sentences are those of tensorflow_serving/util/json_tensor.cc.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from .served import Arrays, Refusal

#: What is converted, and the Python type of the JSON that it is converted of.
CONVERTED: dict[str, Any] = {
    **dict.fromkeys(("float32", "float64"), (int, float)),
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"), int),
    "bool": bool,
    "string": str,
}


def invalid(text: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", text)


def read(body: bytes, inputs_of: Callable[[str], Mapping[str, Any]]) -> tuple[str, Arrays, bool]:
    """The signature, the tensors, and whether they are in row format."""
    try:
        request = json.loads(body.decode("utf-8", "surrogateescape"))
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg}. at offset: {error.pos}") from None
    if not isinstance(request, dict):
        raise invalid(f"JSON Value: {shown(request)} Is not object")
    signature = request.get("signature_name", "")
    if not isinstance(signature, str):
        text = "not formatted correctly. 'signature_name' key must be a string value."
        raise invalid(f"JSON Value: {shown(request)} {text}")
    inputs = inputs_of(signature)
    if "instances" in request and "inputs" in request:
        text = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist"
        raise invalid(f"JSON Value: {shown(request)} {text}")
    if "instances" in request:
        return signature, of_rows(request["instances"], inputs), True
    if "inputs" in request:
        return signature, of_columns(request["inputs"], inputs), False
    raise invalid("Missing 'inputs' or 'instances' key")


def of_rows(instances: Any, inputs: Mapping[str, Any]) -> Arrays:
    if not isinstance(instances, list):
        raise invalid(f"JSON Value: {shown(instances)} Excepting 'instances' to be an list/array")
    if not instances:
        raise invalid("JSON Value: [] No values in 'instances' array")
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        text = "expecting list of objects as multiple input tensors required as per tensorinfo_map"
        raise invalid(f"instances is a plain list, but {text}")
    named = is_object(instances[0])
    columns: dict[str, list[np.ndarray]] = {}
    for index, row in enumerate(instances):
        if named != is_object(row):
            got = (
                "Expecting object but got list" if named else "Expecting value/list but got object"
            )
            raise invalid(f"{got} at item {index} of input list")
        where = f"Failed to process element: {index}"
        for key, value in (row if named else {next(iter(inputs)): row}).items():
            try:
                add_item(columns.setdefault(key, []), key, value, inputs)
            except Refusal as error:
                key_of = f" key: {key}" if named else ""
                cause = f"Error: {error.code}: {error.text}"
                raise invalid(f"{where}{key_of} of 'instances' list. {cause}") from None
        if named and set(row) != set(inputs):
            text = f"JSON object: {shown(row)} keys must be equal to: {','.join(sorted(inputs))}"
            raise invalid(f"{where} of 'instances' list. {text}")
    return {key: np.stack(column) for key, column in columns.items()}


def add_item(column: list[np.ndarray], key: str, value: Any, inputs: Mapping[str, Any]) -> None:
    """Add what a row has for an input; all rows must have the same shape."""
    if key not in inputs:
        raise invalid(f"JSON object: does not have named input: {key}")
    item = tensor(value, inputs[key].dtype)
    if column and column[0].size != item.size:
        raise invalid(f"Expecting tensor size: {column[0].size} but got: {item.size}")
    if column and column[0].shape != item.shape:
        shapes = (f"[{','.join(map(str, one.shape))}]" for one in (column[0], item))
        raise invalid("Expecting shape {} but got: {}".format(*shapes))
    column.append(item)


def of_columns(values: Any, inputs: Mapping[str, Any]) -> Arrays:
    if not is_object(values):
        if len(inputs) > 1:
            text = "expecting an object as multiple input tensors required as per tensorinfo_map"
            raise invalid(f"inputs is a plain value/list, but {text}")
        return {key: tensor(values, info.dtype) for key, info in inputs.items()}
    found = {}
    for key, info in inputs.items():  # others are ignored
        if key not in values:
            raise invalid(f"Missing named input: {key} in 'inputs' object.")
        found[key] = tensor(values[key], info.dtype)
    return found


def tensor(value: Any, dtype: int) -> np.ndarray:
    """The tensor of a JSON value: its first elements tell its shape."""
    kind = tf.as_dtype(dtype)
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        if not first:
            break
        first = first[0]
    if kind.is_floating and kind.name in CONVERTED:  # faster than value by value
        try:
            array = np.asarray(value)
            if array.dtype.kind in "iuf":
                return array.astype(kind.as_numpy_dtype)
        except ValueError:
            pass  # it has another sentence below
    flat: list[Any] = []
    fill(value, 0, shape, kind.name, flat)
    out = np.empty(len(flat), object if kind == tf.string else kind.as_numpy_dtype)
    out[:] = flat
    return out.reshape(shape)


def fill(value: Any, level: int, shape: list[int], dtype: str, flat: list[Any]) -> None:
    """Append the elements of a value to ``flat``."""
    if not isinstance(value, list):
        if level != len(shape):
            where = f"found at incorrect level: {level + 1} in the JSON DOM"
            raise invalid(f"JSON Value: {shown(value)} {where}. Expected at level: {len(shape)}")
        flat.append(element(value, dtype))
        return
    if level >= len(shape):
        text = f"Encountered list at unexpected level: {level} expected < {len(shape)}"
        raise invalid(text)
    if len(value) != shape[level]:
        text = f"size: {len(value)} at level: {level} expected size: {shape[level]}"
        raise invalid(f"Encountered list at unexpected {text}")
    for item in value:
        fill(item, level + 1, shape, dtype, flat)


def element(value: Any, dtype: str) -> Any:
    if isinstance(value, dict) and dtype == "string":
        return unescaped(value)
    if not isinstance(value, dict) and dtype not in CONVERTED:
        text = f"Conversion of JSON Value: {shown(value)} to type: {dtype}"
        raise Refusal("UNIMPLEMENTED", text)
    wanted = CONVERTED.get(dtype, ())
    if not isinstance(value, wanted) or (isinstance(value, bool) and dtype != "bool"):
        kind = TYPES[type(value)]
        text = f"JSON Value: {shown(value)} Type: {kind} is not of expected type: {dtype}"
        raise invalid(text)
    return value.encode("utf-8", "surrogateescape") if dtype == "string" else value


TYPES = {dict: "Object", list: "Array", str: "String", type(None): "Null"}
TYPES |= {int: "Number", float: "Number", bool: "True"}


def is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def is_base64(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def unescaped(value: dict[str, Any]) -> bytes:
    """As absl::Base64Unescape: white space is skipped, padding may be left out."""
    if not is_base64(value):
        raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    text = re.sub(r"\s", "", value["b64"])
    plain = text.rstrip("=")
    padded = plain + "=" * (-len(plain) % 4)
    right = re.fullmatch(r"[A-Za-z0-9+/]*", plain) and len(plain) % 4 != 1
    if not right or text not in (plain, padded):
        raise invalid("Unable to base64 decode")
    return base64.b64decode(padded)


def shown(value: Any) -> str:
    return json.dumps(value)


def write(outputs: Arrays, by_rows: bool) -> dict[str, Any]:
    """The answer; one output has no name."""
    values = {key: listed(key, array) for key, array in outputs.items()}
    single = len(values) == 1
    if not by_rows:
        return {"outputs": next(iter(values.values())) if single else values}
    sizes = {len(array) if array.ndim else None for array in outputs.values()}
    if None in sizes:
        raise invalid("Tensor name: has no shape information")
    if len(sizes) > 1:
        raise invalid("Tensor name: has inconsistent batch size")
    if single:
        return {"predictions": next(iter(values.values()))}
    rows = zip(*values.values(), strict=True)
    return {"predictions": [dict(zip(values, row, strict=True)) for row in rows]}


def listed(key: str, value: np.ndarray) -> Any:
    if value.dtype != object:
        name = value.dtype.name
        if name not in CONVERTED:
            kind = "half" if name == "float16" else name
            raise invalid(f"Failed to write JSON value for tensor type: {kind}")
        return value.tolist()
    if value.ndim:
        return [listed(key, np.array(item, object)) for item in value]
    item = value.item()
    return {"b64": base64.b64encode(item).decode()} if key.endswith("_bytes") else item.decode()
