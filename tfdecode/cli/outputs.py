"""The outputs of a model: their form, statistics and values, and which rows are masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..graph.rows import Status
from .batch import Report
from .show import plain

STATISTICS = ("min", "mean", "max")
#: Numbers of an output, and bytes of a text, that are printed.
PRINTED, TEXT = 16, 200


def masked_rows(outputs: Mapping[str, np.ndarray], told: bool = True) -> dict[int, str]:
    """Invalid rows of a model that was exported with ``on_invalid="mask"``, and why.

    If no server ``told`` the dtypes of outputs, the whole numbers of its JSON are int64.
    """
    status = outputs.get("status")
    dtypes = (np.int32,) if told else (np.int32, np.int64)
    if status is None or status.dtype not in dtypes or status.ndim != 1:
        return {}
    names = {int(code): code.name for code in Status}
    return {row: names.get(int(code), str(code)) for row, code in enumerate(status) if code}


def output_report(name: str, array: np.ndarray, values: bool = False) -> Report:
    """The dtype, shape and statistics of an output for JSON, and its value if wanted and short."""
    string = array.dtype.kind == "O"
    low = mean = high = None
    if array.size and not string and array.dtype.kind != "c":
        # float64 for what numpy has no statistics of: bool, bfloat16, and sums beyond float16.
        exact = array if array.dtype.kind in "iu" else array.astype(np.float64)
        low, high = exact.min().item(), exact.max().item()
        mean = float(np.mean(exact, dtype=np.float64))
    dtype, shape = "string" if string else array.dtype.name, list(array.shape)
    form = {"name": name, "dtype": dtype, "shape": shape}
    value = {"value": value_of(array)} if values else {}
    return {**form, "min": low, "mean": mean, "max": high, **value}


def for_json(report: Report) -> Report:
    """A report without NaN and infinity, which JSON does not have."""
    return {key: plain(value) for key, value in report.items()}


def value_of(array: np.ndarray) -> Any:
    """The value for JSON: nested lists, None for NaN, infinity and what is not printed."""
    if array.size > PRINTED or array.dtype.kind == "c":
        return None
    if array.dtype.kind in "OS":
        texts = [bytes(item) for item in array.ravel().tolist()]
        if any(len(text) > TEXT for text in texts):
            return None
        try:
            found = np.array([text.decode() for text in texts], object)
        except UnicodeDecodeError:
            return None
    else:
        exact = array if array.dtype.kind in "iub" else array.astype(np.float64)
        found = np.array([plain(item) for item in exact.ravel().tolist()], object)
    return found.reshape(array.shape).tolist()
