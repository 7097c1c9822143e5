"""Hypothesis strategies: arrays of every dtype, shape, bit pattern and layout, and their specs."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tfdecode as tfd
from tests.common import PARTS, SPECIALS, Case, any_bits, layouts
from tfdecode.codecs.filters.astype import exact_cast
from tfdecode.dtypes import ITEM_SIZES, numpy_dtype

dtypes = st.sampled_from(list(ITEM_SIZES))
shapes = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@st.composite
def arrays(draw: st.DrawFn, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Arrays of any bits."""
    if dtype == "bool":
        return draw(npst.arrays(bool, shape))
    part, parts = PARTS.get(dtype, (dtype, 1))
    unsigned = np.dtype(f"u{ITEM_SIZES[part]}")
    elements = st.integers(0, 2 ** (8 * unsigned.itemsize) - 1)
    if part in SPECIALS:
        elements = st.sampled_from(SPECIALS[part]) | elements
    count = int(np.prod(shape, dtype=int)) * parts
    bits = draw(npst.arrays(unsigned, count, elements=elements))
    return bits.view(numpy_dtype(dtype)).reshape(shape)


@st.composite
def laid_out(draw: st.DrawFn, array: np.ndarray) -> np.ndarray:
    """``array`` in some memory layout and byte order."""
    return draw(st.sampled_from(list(layouts(array))))


CHAINS = [
    [],
    ["seal"],
    ["zlib"],
    ["zlib:1", "seal"],
    ["zlib:9"],
    ["deflate"],
    ["deflate", "zlib"],
    ["zstd"],
]


@st.composite
def specs_and_arrays(draw: st.DrawFn) -> tuple[tfd.ArraySpec, np.ndarray]:
    """A spec with any chain of this package, and an array of its domain."""
    dtype, shape = draw(dtypes), draw(shapes)
    filters, numbers, now = [], arrays(dtype, shape), dtype
    for _ in range(draw(st.integers(0, 2))):
        if shape and draw(st.booleans()):
            order = draw(st.permutations(range(len(shape))))
            filters.append("transpose:" + ",".join(map(str, order)))
            continue
        allowed = [name for name in ITEM_SIZES if "complex" not in name or "complex" in now]
        following = draw(st.sampled_from(allowed))
        if not exact_cast(now, following):
            most = 1 if "bool" in (dtype, now, following) else 127
            small = npst.arrays(np.uint8, shape, elements=st.integers(0, most))
            numbers = small.map(lambda x: x.astype(numpy_dtype(dtype)))
        filters.append(f"astype:{following}")
        now = following
    if any("bool" in name for name in filters):
        small = npst.arrays(np.uint8, shape, elements=st.integers(0, 1))
        numbers = small.map(lambda x: x.astype(numpy_dtype(dtype)))
    compressors = draw(st.sampled_from(CHAINS))
    chain = "|".join([*filters, "raw", *compressors])
    seal = None if "seal" in compressors else draw(st.sampled_from([None, False, True]))
    return tfd.ArraySpec(shape, dtype, chain, seal=seal), draw(numbers)


def arrays_of(case: Case) -> st.SearchStrategy[np.ndarray]:
    """Arrays that the spec of ``case`` can carry; a None dimension is of any length."""
    if case.make is not any_bits:
        return st.integers(0, 2**32).map(lambda seed: case.arrays(1, seed)[0])
    bound = case.max_shape or case.shape
    sides = [
        st.integers(0, most) if side is None else st.just(side)
        for side, most in zip(case.shape, bound, strict=True)
    ]
    return st.tuples(*sides).flatmap(lambda shape: arrays(case.dtype, shape))
