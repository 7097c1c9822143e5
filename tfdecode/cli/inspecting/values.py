"""What values an array holds: how far they reach, which are no numbers, how few they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...codecs.filters.astype import cast, survives
from ...dtypes import ITEM_SIZES, dtype_name, numpy_dtype
from ..show import number

#: Distinct values are counted up to here.
FEW = 256
#: Elements that are looked at together, so that copies stay small beside the array.
BLOCK = 2**20

#: What may hold the values of a wider dtype, the best choice first.
NARROW = ("uint8", "int8", "uint16", "int16", "float16", "bfloat16", "uint32", "int32", "float32")


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


def few(flat: np.ndarray) -> np.ndarray | None:
    """The distinct values in order; None where there are more than ``FEW``."""
    sample = np.unique(flat[:: max(1, flat.size // 2**16)])
    if len(sample) > FEW:
        return None
    for start in range(0, flat.size, BLOCK):
        sample = np.unique(np.concatenate([sample, flat[start : start + BLOCK]]))
        if len(sample) > FEW:
            return None
    return np.asarray(sample)


def narrowest(flat: np.ndarray) -> str | None:
    """The first of ``NARROW`` in which every value of a 1-D array survives bit for bit."""
    source = dtype_name(flat.dtype)
    for name in NARROW if flat.size else ():
        if ITEM_SIZES[name] >= ITEM_SIZES[source]:
            continue
        if source.startswith("u") and name.startswith("int"):
            continue  # the greatest numbers would wrap around and back
        if all(
            survives(block, cast(block, numpy_dtype(name))).all()
            for block in (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))
        ):
            return name
    return None


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
