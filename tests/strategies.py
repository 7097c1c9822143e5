"""Hypothesis strategies: arrays of every dtype, shape, bit pattern and layout, and their specs."""

from __future__ import annotations

import base64

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tfdecode as tfd
from tests.common import PARTS, SPECIALS, Case, any_bits, layouts
from tfdecode.casts import always_exact
from tfdecode.dtypes import ITEM_SIZES, little_endian, numpy_dtype

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
    ["zlib:3,store_incompressible=true"],
    ["zlib_bounded"],
    ["zlib_bounded", "zlib"],
    ["zstd"],
]


@st.composite
def total_filters(draw: st.DrawFn, dtype: str, axes: int) -> list[str]:
    """Filters that carry every array of ``dtype``, each as it can stand behind those before it."""
    filters = []
    if dtype in ("float16", "bfloat16", "float32", "float64") and draw(st.booleans()):
        filters.append("sortable")
        dtype = f"uint{8 * ITEM_SIZES[dtype]}"
    if axes and "int" in dtype and draw(st.booleans()):
        chosen = draw(st.permutations(range(axes)))[: draw(st.integers(1, axes))]
        zigzag = draw(st.sampled_from(["", ",zigzag=true", ",zigzag=false"]))
        filters.append("delta:" + ",".join(map(str, chosen)) + zigzag)
    if dtype == "bool" and draw(st.integers(0, 3)) == 0:
        filters.append("packbits")
        dtype = "uint8"
    if ITEM_SIZES[dtype] > 1 and draw(st.booleans()):
        filters.append("shuffle")
        dtype = "uint8"
    return filters


@st.composite
def specs_and_arrays(draw: st.DrawFn) -> tuple[tfd.ArraySpec, np.ndarray]:
    """A spec with any chain of this package, and an array of its domain."""
    labels = draw(st.integers(0, 3)) == 0
    dtype, shape = "uint8" if labels else draw(dtypes), draw(shapes)
    filters, numbers, now = [], arrays(dtype, shape), dtype
    for _ in range(draw(st.integers(0, 2))):
        if shape and draw(st.booleans()):
            order = draw(st.permutations(range(len(shape))))
            filters.append("transpose:" + ",".join(map(str, order)))
            continue
        allowed = [name for name in ITEM_SIZES if "complex" not in name or "complex" in now]
        following = draw(st.sampled_from(allowed))
        if not always_exact(now, following):
            most = 1 if "bool" in (dtype, now, following) else 127
            small = npst.arrays(np.uint8, shape, elements=st.integers(0, most))
            numbers = small.map(lambda x: x.astype(numpy_dtype(dtype)))
        filters.append(f"astype:{following}")
        now = following
    if any("bool" in name for name in filters):
        small = npst.arrays(np.uint8, shape, elements=st.integers(0, 1))
        numbers = small.map(lambda x: x.astype(numpy_dtype(dtype)))
    filters += draw(total_filters(now, len(shape)))
    compressors = draw(st.sampled_from(CHAINS))
    containers = ["raw", "raw", "pkl"]
    # An archive may be long: under zlib a request could have only a few rows.
    if "bfloat16" not in (dtype, now) and compressors in ([], ["seal"]):
        containers.append("npz:pose")
    if now not in ("float16", "bfloat16"):
        containers.append("mat:S")
    if not any("shuffle" in step for step in filters) and np.prod(shape) <= 64:
        containers += ["sparse:1", "sparse:palette=true"]  # take few elements that are dense
    container = draw(st.sampled_from(containers))
    chain = "|".join([*filters, container, *compressors])
    seal = None if "seal" in compressors else draw(st.sampled_from([None, False, True]))
    array = draw(numbers)
    if labels:
        places = draw(st.integers(1, 256))
        dtype, shape, chain = draw(dtypes), (*shape, places), f"onehot|{chain}"
        array = np.eye(places, dtype=numpy_dtype(dtype))[array.astype(int) % places]
    elif dtype == "uint8" and draw(st.booleans()):
        wide = [name for name, size in ITEM_SIZES.items() if 2 <= size <= 8]
        dtype = draw(st.sampled_from(wide))
        table = any_bits(np.random.default_rng(draw(st.integers(0, 99))), (256,), dtype)
        text = base64.b64encode(little_endian(table).tobytes()).decode()
        array, chain = table[array], f'palette:table="{text}"|{chain}'
    elif dtype in ("int8", "int16", "uint8", "uint16") and draw(st.booleans()):
        scale, whole = draw(st.sampled_from([1, 3, 10, 100, 1000, 0.5, 0.3])), dtype
        dtype = draw(st.sampled_from(["float32", "float64", *["float16"] * ("8" in whole)]))
        array = (array / np.float64(scale)).astype("f8" if dtype == "float64" else "f4")
        array, chain = array.astype(dtype), f"fixed_point:{scale},dtype={whole}|{chain}"
    return tfd.ArraySpec(shape, dtype, chain, seal=seal), array


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
