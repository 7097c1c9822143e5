"""Columns of a table of Spark: what is packed of them, and the columns of a data set.

This is pyarrow alone; what needs Spark is in `spark_source`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dataset import FILE
from ..errors import EncodeError, SpecError
from ..extras import LazyModule
from ..names import bytes_key
from ..schema import Schema

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql.types import StructType
else:
    pyarrow = LazyModule("pyarrow", "spark")

#: Spark's type of each dtype, which holds all its values.
TYPES = {
    "bool": "boolean", "int8": "tinyint", "uint8": "smallint", "int16": "smallint",
    "uint16": "int", "int32": "int", "uint32": "bigint", "int64": "bigint", "float16": "float",
    "bfloat16": "float", "float32": "float", "float64": "double",
}  # fmt: skip
#: Spark's types of features, and how the manifest calls them.
FEATURES = {
    **dict.fromkeys(("boolean", "tinyint", "smallint", "int", "bigint"), "int64"),
    **dict.fromkeys(("float", "double"), "float32"),
    **dict.fromkeys(("string", "binary"), "string"),
}
READ_AS = {"int64": "bigint", "float32": "float", "string": "binary"}
#: What is known of a feature: see `Plan.features`.
Known = dict[str, dict[str, Any]]


def kinds_of(columns: StructType, specs: Schema) -> dict[str, str]:
    """Of each input "binary" or "array", of each feature its dtype; SpecError if one has none."""
    types = {column.name: column.dataType.simpleString() for column in columns}
    clash = {*specs.feature_keys().values()}
    kinds = {}
    for name in specs:
        if name not in types:
            raise SpecError(f"there is no column {name}; the columns are {', '.join(types)}")
        item = types[name].replace("array<", "").rstrip(">")
        if types[name] != "binary" and item not in {*TYPES.values()}:
            vector = ", which vector_to_array makes of it" * (types[name] == "vector")
            raise SpecError(
                f"column {name} is {types[name]}; needs binary, or arrays of numbers{vector}"
            )
        kinds[name] = "binary" if types[name] == "binary" else "array"
    if types.get(FILE, "string") != "string":
        raise SpecError(f"column {FILE} is {types[FILE]}; needs string, the name of an example")
    for name, kind in types.items():
        if name in specs or name == FILE:
            continue
        item = kind.removeprefix("array<").removesuffix(">")
        if item not in FEATURES or name in clash:
            why = "is called as an input" if name in clash else f"is {kind}"
            raise SpecError(f"column {name} {why}; needs another name, or a cast, or drop it")
        kinds[name] = FEATURES[item]
    return kinds


def rows_of(batch: pyarrow.RecordBatch) -> Iterator[dict[str, Any]]:
    """The scalars of each row by column."""
    for row in zip(*batch.columns, strict=True):
        yield dict(zip(batch.schema.names, row, strict=True))


def array_of(value: Any, shape: Sequence[int | None]) -> np.ndarray:
    """A number, a list of them, or lists in lists; a list may be an array of ``shape``, flat."""
    lists = pyarrow.types.is_list, pyarrow.types.is_large_list
    if not any(is_list(value.type) for is_list in lists):
        scalar: np.ndarray = pyarrow.array([value.as_py()], value.type).to_numpy(False)
        return scalar.reshape(())
    values, sides = value.values, [len(value.values)]
    while any(is_list(values.type) for is_list in lists):
        axis = len(sides)
        unseen = shape[axis] if axis < len(shape) else None  # of an array without rows
        lengths = {*values.value_lengths().to_pylist()} or {unseen or 0}
        if len(lengths) > 1 or None in lengths:
            raise EncodeError(f"the lists of axis {axis} differ in length")
        sides.append(lengths.pop())
        values = values.flatten()
    if values.null_count:
        raise EncodeError(f"has {values.null_count} nulls")
    array: np.ndarray = values.to_numpy(zero_copy_only=False).reshape(sides)
    known = [side for side in shape if side is not None]
    if len(sides) == 1 != len(shape) == len(known) and array.size == np.prod(known):
        return array.reshape(known)
    return array


def merge(known: Known, feature: str, dtype: str, length: int | None, count: int = 1) -> None:
    """Add examples of a feature to what is known of it."""
    one = known.setdefault(feature, {"dtype": dtype, "length": length, "examples": 0})
    one["length"] = length if one["length"] == length else -1
    one["examples"] += count


def batch_of(
    rows: list[dict[str, list[Any]]], specs: Schema, features: Known
) -> pyarrow.RecordBatch:
    """The columns of examples: their names, their features, and their arrays as nested lists."""
    names = [row[FILE][0].decode(errors="backslashreplace") for row in rows]
    columns = {FILE: pyarrow.array(names)}
    for name, kind in features.items():
        scalar = kind["length"] is None
        values = [row.get(name) or None for row in rows]
        item = {"int64": pyarrow.int64(), "float32": pyarrow.float32()}
        of = item.get(kind["dtype"], pyarrow.binary())
        if scalar:
            values = [value and value[0] for value in values]
        columns[name] = pyarrow.array(values, of if scalar else pyarrow.list_(of))
    for name, spec in specs.items():
        columns[name] = lists_of([spec.decode(row[bytes_key(name)][0]) for row in rows])
    return pyarrow.RecordBatch.from_pydict(columns)


def lists_of(arrays: list[np.ndarray]) -> pyarrow.Array:
    """A column of arrays of one dtype, as lists in lists."""
    held = {"smallint": "int16", "int": "int32", "bigint": "int64", "float": "float32"}
    dtype = arrays[0].dtype.name
    flat = np.concatenate([array.reshape(-1) for array in arrays])
    values = pyarrow.array(flat.astype(held.get(TYPES[dtype], dtype)))
    for axis in reversed(range(arrays[0].ndim)):
        counts = [int(np.prod(array.shape[:axis])) for array in arrays]
        lengths = np.repeat([array.shape[axis] for array in arrays], counts)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("int32")
        values = pyarrow.ListArray.from_arrays(pyarrow.array(offsets), values)
    return values
