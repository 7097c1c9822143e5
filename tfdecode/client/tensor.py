"""Arrays as TensorProto messages and back, without TensorFlow."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dtypes import ITEM_SIZES, numpy_dtype
from ..errors import EncodeError, ServerError, shown
from ..extras import LazyModule
from .signature import DTYPES

messages: Any = LazyModule("tfdecode.client.proto.serving_pb2", "grpc")

#: Where a server writes the numbers of a dtype if not in ``tensor_content``.
FIELDS = {
    **dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16"), "int_val"),
    **dict.fromkeys(("float16", "bfloat16"), "half_val"),
    "bool": "bool_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "float32": "float_val",
    "float64": "double_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
}


def to_message(array: npt.NDArray[Any], dtype: str, message: Any = None) -> Any:
    """The TensorProto of an array of that dtype, or of bytes and texts for ``"string"``.

    ``message`` is filled if it is given: a batch has megabytes, which a copy would double.
    """
    kind = next(name for name, known in DTYPES.items() if known == dtype)
    message = messages.Tensor() if message is None else message
    message.dtype = messages.DataType.Value(kind)
    for side in array.shape:
        message.tensor_shape.dim.add(size=side)
    if dtype != "string":
        stored = numpy_dtype(dtype)
        little = np.asarray(array, stored.newbyteorder("<") if stored.itemsize > 1 else stored)
        message.tensor_content = little.tobytes()
        return message
    for item in array.ravel():
        if not isinstance(item, bytes | str):
            raise EncodeError(f"a tensor of strings has bytes and texts, not {type(item).__name__}")
        message.string_val.append(item.encode() if isinstance(item, str) else item)
    return message


def from_message(name: str, message: Any, max_bytes: int) -> npt.NDArray[Any]:
    """The array of a TensorProto of output ``name``; ServerError if it is not one."""
    name = shown(name)
    shape = tuple(side.size for side in message.tensor_shape.dim)
    dtype = dtype_of(message.dtype)
    if min(shape, default=0) < 0 or message.tensor_shape.unknown_rank or dtype is None:
        raise ServerError(f"output {name} of the answer has dtype {message.dtype}, shape {shape}")
    size = prod(shape)
    if size * ITEM_SIZES.get(dtype, 0) > max_bytes:
        raise ServerError(f"output {name} of the answer has more than {max_bytes} bytes")
    if dtype == "string":
        texts = np.empty(len(message.string_val), object)
        texts[:] = message.string_val
        return _shaped(name, texts, shape)
    stored = numpy_dtype(dtype)
    content = message.tensor_content
    if content:
        if len(content) != size * stored.itemsize:
            raise ServerError(f"output {name} of the answer has {len(content)} bytes, not {shape}")
        little = stored.newbyteorder("<") if stored.itemsize > 1 else stored
        return _reshaped(name, np.frombuffer(content, little).astype(stored), shape)
    return _shaped(name, _numbers(getattr(message, FIELDS[dtype]), dtype), shape)


def dtype_of(number: int) -> str | None:
    """NumPy's name of a DataType, or ``"string"``; None if there is no such dtype."""
    try:
        return DTYPES.get(messages.DataType.Name(number))
    except ValueError:
        return None


def _numbers(values: Any, dtype: str) -> npt.NDArray[Any]:
    if dtype in ("float16", "bfloat16"):  # their bits as integers
        return np.array(values, "uint16").view(numpy_dtype(dtype))
    if dtype.startswith("complex"):  # real and imaginary parts in turn
        half = "float32" if dtype == "complex64" else "float64"
        return np.array(values[: len(values) // 2 * 2], half).view(dtype)
    return np.array(values, numpy_dtype(dtype))


def _shaped(name: str, values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """``values`` in that shape; the last stands for all that follow, as in any TensorProto."""
    size = prod(shape)
    if len(values) > size or (size and not len(values)):
        raise ServerError(f"output {name} of the answer has {len(values)} values, not {shape}")
    if len(values) < size:
        if values.dtype == object:
            raise ServerError(f"output {name} of the answer has {len(values)} texts, not {shape}")
        filled = np.full(size, values[-1])
        filled[: len(values)] = values
        values = filled
    return _reshaped(name, values, shape)


def _reshaped(name: str, values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    try:
        return values.reshape(shape)
    except ValueError:  # too many dimensions, or 0 by more than an address has
        sides = f"{len(shape)} dimensions" if len(shape) > 8 else f"shape {shape}"
        raise ServerError(f"output {name} of the answer has {sides}") from None
