"""The values of an array: range, NaN and infinities, distinct values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...statistics import few, narrowest
from ..batch import Report
from ..show import number


def values(array: np.ndarray) -> Report:
    """Statistics; ``min`` and ``max`` are those of the finite values.

    ``distinct`` is None if there are more than 256, ``exact_in`` if it is the array's own dtype.
    """
    flat = array.ravel(order="K")  # a view, in Fortran order too
    real = real_numbers(flat)
    good = np.isfinite(real) if real.dtype.kind in "fc" else None
    finite = real if good is None or good.all() else real[good]
    ordered = bool(finite.size) and real.dtype.kind != "c"
    return {
        "min": finite.min().item() if ordered else None,
        "max": finite.max().item() if ordered else None,
        "nan": 0 if good is None else int(np.count_nonzero(np.isnan(real))),
        "inf": 0 if good is None else int(np.count_nonzero(np.isinf(real))),
        "distinct": None if (found := few(finite)) is None else len(found),
        "exact_in": narrowest(flat),
    }


def real_numbers(array: np.ndarray) -> np.ndarray:
    """``array`` in a native dtype that numpy can compare: bfloat16 as float32."""
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def range_and_remarks(found: Report, shape: Sequence[int]) -> list[str]:
    """Two cells of a table for people."""
    count = found["distinct"]
    if found["min"] is None:
        reach = "-"
    elif found["min"] == found["max"]:
        reach = number(found["min"])
    else:
        reach = f"{number(found['min'])}..{number(found['max'])}"
    remarks = []
    size = math.prod(shape)
    if count == 1 and size > 1 and not found["nan"] + found["inf"]:
        remarks.append("constant")
    elif count is not None and 1 < count <= size // 2:  # a few numbers are nearly always distinct
        remarks.append(f"{count} distinct")
    remarks += [f"{n:,} {word}" for n, word in ((found["nan"], "NaN"), (found["inf"], "inf")) if n]
    if found["exact_in"] is not None:
        remarks.append(f"exact in {found['exact_in']}")
    return [reach, ", ".join(remarks)]
