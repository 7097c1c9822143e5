"""What people hand over in the place of arrays: read, or told how to convert."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from .errors import EncodeError

#: What to do with strings.
STRINGS = (
    "a payload carries numbers: give the model strings as they are, as an input "
    "tf.TensorSpec([None], tf.string) of export, or their ids in a vocabulary"
)


def as_array(value: Any) -> np.ndarray:
    """``value`` as NumPy reads it; EncodeError if that is no array of numbers, with what to call.

    Objects of other libraries are taken if NumPy reads them without changing a value: eager tensors
    of TensorFlow, PyTorch and JAX, arrays of xarray, columns of pandas.

    >>> as_array({"x": 1})
    Traceback (most recent call last):
      ...
    tfdecode.errors.EncodeError: array is dict, needs an array of numbers; pass one of its values
    """
    masked = sys.modules.get("numpy.ma")  # which NumPy 2 imports when used: 8 ms
    if masked and isinstance(value, masked.MaskedArray):
        raise EncodeError("array is masked; payloads have no mask. Call array.filled() first")
    advice = "" if isinstance(value, np.ndarray) else _advice(value)
    if advice:
        raise EncodeError(f"array is {_named(value)}{advice}")
    try:
        x = np.asarray(value)
    except ValueError:
        raise EncodeError(
            "array is a list of rows of different shapes, needs an array; encode each row by a "
            "spec with a None dimension, or pad them"
        ) from None
    except Exception as error:  # whatever __array__ of another library raises
        how = _converter(value)
        raise EncodeError(f"array is {_named(value)}, which NumPy cannot read{how}") from error
    if x.dtype.kind in "OSUT" and not isinstance(value, np.ndarray):
        raise EncodeError(f"array is {_named(value)}, needs an array of numbers{advice_on(x)}")
    return x


def advice_on(x: np.ndarray) -> str:
    """What to do with an array of a dtype that no spec has; "" if there is nothing to say."""
    if x.dtype.kind in "SUT" or (x.dtype.kind == "O" and _texts(x)):
        return f"; {STRINGS}"
    if x.dtype.kind == "O":
        return _of_objects(x)
    if x.dtype.names is not None:
        return f"; encode each field: array[{x.dtype.names[0]!r}]"
    return "; encode its numbers: array.view('int64')" if x.dtype.kind in "Mm" else ""


def _named(value: Any) -> str:
    """The type of an object as its library calls it."""
    kind, library = type(value).__name__, _library(value)
    return kind if library in ("", "builtins", "numpy", "pathlib") else f"{library} {kind}"


def _library(value: Any) -> str:
    return (type(value).__module__ or "").partition(".")[0]


def _advice(value: Any) -> str:
    """What to call on an object that is not an array; "" if NumPy may read it."""
    library, kind = _library(value), type(value).__name__
    if isinstance(value, str | os.PathLike):
        return ", needs an array of numbers; read a file first: tfdecode.load(path)"
    if library == "scipy" and hasattr(value, "toarray"):
        return "; make it dense: array.toarray()"
    if kind in ("SparseTensor", "IndexedSlices"):
        return "; make it dense: tf.sparse.to_dense(array).numpy()"
    if kind == "RaggedTensor":
        return "; encode each row by a spec with a None dimension, or pad it: array.to_tensor()"
    if kind in ("SymbolicTensor", "KerasTensor") or (library == "tensorflow" and kind == "Tensor"):
        return " of a graph, without values; encode in the graph: spec.encode_tensor(tensor)"
    if library == "pandas" and kind == "DataFrame":
        return _of_table(value)
    if kind == "Dataset" and library == "xarray":
        return "; pass the values of one variable: array[name].values"
    if isinstance(value, dict):
        return ", needs an array of numbers; pass one of its values"
    return ""


def _of_table(table: Any) -> str:
    """The same for a DataFrame, whose columns may differ in dtype."""
    kinds = {str(name): dtype for name, dtype in table.dtypes.items()}
    texts = [name for name, dtype in kinds.items() if getattr(dtype, "kind", "O") not in "biufc"]
    if texts:
        named = ", ".join(texts[:5])
        return f" with columns that are no numbers: {named}; leave them out: array.drop(columns=)"
    dtypes = sorted({str(dtype) for dtype in kinds.values()})
    if len(dtypes) > 1:
        return f" with columns of {', '.join(dtypes)}; make one dtype: array.to_numpy('float64')"
    return ""


def _converter(value: Any) -> str:
    """How an object becomes an array that NumPy itself does not read."""
    if _library(value) == "torch":
        return "; call array.detach().cpu().numpy() first (of bfloat16, array.float() before it)"
    return "; convert it to a numpy array first"


def _texts(x: np.ndarray) -> bool:
    """Whether an object array is one of strings."""
    return bool(x.size) and all(isinstance(item, str | bytes) for item in x.reshape(-1)[:100])


def _of_objects(x: np.ndarray) -> str:
    """What to do with an array of objects."""
    first = x.reshape(-1)[0] if x.size else None
    if isinstance(first, np.ndarray | list | tuple):
        return "; encode each of the arrays in it, by a spec with a None dimension"
    if x.ndim and (first is None or isinstance(first, int | float | complex | np.generic)):
        return "; make them numbers: array.astype('float64')"
    return ""
