"""What values an array holds: how far they reach, which are no numbers, how few they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...statistics import few, narrowest
from ..show import number


def values(array: np.ndarray) -> dict[str, Any]:
    """Facts about the values; ``min`` and ``max`` are those of the finite ones.

    ``distinct`` is None where there are more than 256, ``exact_in`` the narrowest dtype that holds
    every value with every bit (None: no narrower one).

    >>> values(np.array([0.0, 7.0, np.nan]))["max"]
    7.0
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
    """``array`` in a native dtype that numpy orders: bfloat16 as float32."""
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def spoken(facts: dict[str, Any], shape: Sequence[int]) -> list[str]:
    """Range and remarks for people: two cells of a table."""
    count = facts["distinct"]
    if facts["min"] is None:
        reach = "-"
    elif facts["min"] == facts["max"]:
        reach = number(facts["min"])
    else:
        reach = f"{number(facts['min'])}..{number(facts['max'])}"
    remarks = []
    size = math.prod(shape)
    if count == 1 and size > 1 and not facts["nan"] + facts["inf"]:
        remarks.append("constant")
    elif count is not None and 1 < count <= size // 2:  # a few numbers are nearly always distinct
        remarks.append(f"{count} distinct")
    remarks += [f"{facts[kind]:,} {word}" for kind, word in ODD.items() if facts[kind]]
    if facts["exact_in"] is not None:
        remarks.append(f"exact in {facts['exact_in']}")
    return [reach, ", ".join(remarks)]


#: Values that are no finite numbers, as people call them.
ODD = {"nan": "NaN", "inf": "inf"}
