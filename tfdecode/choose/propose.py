"""Which chains could suit an array: the part in front of the compressor, from what its values are.

Nothing here has to be right: every proposal is tried, and one that cannot carry the array is
dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from ..codecs.registry import CODECS
from ..dtypes import ITEM_SIZES, numpy_dtype
from .values import background, few, narrowest, one_hot, scales_of

#: What the JavaScript client of ``examples/js`` packs too.
PORTABLE = {"transpose", "astype", "raw", "png", "zlib", "seal"}
#: The share of the commonest value from which on the others alone are sent.
SPARSE = 0.9
#: Without its spec, which its client has.
PNG = "png:describe=false"
#: libpng goes row by row: an array [16384, 4] took 58 times as long as decode_raw.
NARROW_IMAGE = 16
#: A last axis of up to so many numbers is one of channels or coordinates.
CHANNELS = 32


def proposals(samples: Sequence[np.ndarray], *, portable: bool = False) -> list[str]:
    """Chain texts without a compressor, of filters and a container, each once."""
    known = PORTABLE if portable else set(CODECS)
    texts = dict.fromkeys("|".join(steps) for steps in bodies(samples))
    return [text for text in texts if names(text) <= known]


def names(chain: str) -> set[str]:
    """The codecs of a chain text."""
    return {step.partition(":")[0] for step in chain.split("|")}


def bodies(samples: Sequence[np.ndarray]) -> Iterator[list[str]]:
    """The steps of each proposal."""
    first = samples[0]
    dtype, rank = first.dtype.name, first.ndim
    yield ["raw"]
    flat = np.concatenate([sample.ravel() for sample in samples])
    if not flat.size:
        return
    if all(one_hot(sample) for sample in samples):
        for layout in layouts(rank - 1, first.shape[:-1]):
            yield ["onehot", *layout, "raw"]
        if rank == 3:
            yield ["onehot", PNG]
    narrow = narrowest(flat)
    integers = dtype == "bool" or "int" in dtype
    carriers: list[tuple[list[str], str]] = [([], dtype)]
    if narrow is not None:
        carriers.append(([f"astype:{narrow}"], narrow))
    for steps, carrier in carriers:
        small = ITEM_SIZES[carrier] == 1
        if small:
            yield from flat_maps(steps, first.shape, flat, carrier)
        elif carrier is carriers[-1][1]:  # a narrower one, where there is one, is never worse
            yield from smooth(steps, first.shape, carrier)
    yield from sparse(carriers, first.shape, flat)
    if not integers and "complex" not in dtype and narrow is None:
        # Of each place of a short last axis, as x, y, z and intensity have units of their own.
        places = first.shape[-1] if rank > 1 and first.shape[-1] <= CHANNELS else 1
        columns = flat.astype(numpy_dtype(dtype)).reshape(-1, places)
        scales = scales_of(columns)
        if scales is not None:
            limit = (np.abs(columns.astype(np.float64)).max(0) * scales).max()
            whole = "int16" if limit < 2**15 else "int32"
            text = ",".join(map(str, scales if len(set(scales)) > 1 else scales[:1]))
            yield from smooth([f"fixed_point:{text},dtype={whole}"], first.shape, whole)


def layouts(rank: int, shape: Sequence[int]) -> list[list[str]]:
    """Orders of the axes worth trying: as it is, transposed, channels first."""
    if rank == 2:
        return [[], ["transpose:1,0"]]
    if rank == 3:
        return [["transpose:2,0,1"], ["transpose:2,1,0"], []]
    if rank > 3:
        return [["transpose:" + ",".join(map(str, [rank - 1, *range(rank - 1)]))], []]
    return [[]]


def flat_maps(
    steps: list[str], shape: Sequence[int], flat: np.ndarray, carrier: str
) -> Iterator[list[str]]:
    """Of elements of one byte: labels, masks, images."""
    rank = len(shape)
    for layout in layouts(rank, shape):
        yield [*steps, *layout, "raw"]
    if rank > 1 and shape[1] >= NARROW_IMAGE:
        yield [*steps, PNG]
    values = few(flat.real if flat.dtype.kind == "c" else flat)
    if values is None:
        for axes in deltas(rank, shape):
            yield [*steps, f"delta:{axes},zigzag=true", "raw"]
    else:
        for layout in layouts(rank, shape)[:2]:
            if values[0] >= 0 and values[-1] <= 1:
                yield [*steps, *layout, "packbits", "raw"]


def smooth(steps: list[str], shape: Sequence[int], carrier: str) -> Iterator[list[str]]:
    """Of elements of several bytes: depth, spectra, coordinates."""
    rank = len(shape)
    complex_numbers = "complex" in carrier
    yield [*steps, "raw"]
    orderly = [] if "int" in carrier or complex_numbers else ["sortable"]
    for at, layout in enumerate(layouts(rank, shape)):
        if not at:  # not in planes: of maps that are mostly zero the noise lies in runs
            yield [*steps, *layout, "raw"]
        yield [*steps, *layout, "shuffle", "raw"]
        if not complex_numbers:
            moved = [shape[axis] for axis in order_of(layout, rank)]
            for axes in deltas(rank, moved):
                predictor = f"delta:{axes},zigzag=true"
                yield [*steps, *orderly, *layout, predictor, "shuffle", "raw"]
    if rank > 1 and shape[1] >= NARROW_IMAGE:
        yield [*steps, PNG]


def order_of(layout: list[str], rank: int) -> list[int]:
    """The axes as ``layout`` puts them."""
    if not layout:
        return list(range(rank))
    return [int(axis) for axis in layout[0].partition(":")[2].split(",")]


def deltas(rank: int, shape: Sequence[int]) -> list[str]:
    """Axes to take differences along: those of maps, lines and columns, and both."""
    if rank == 0:
        return []
    if rank == 1:
        return ["0"]
    if shape[-1] <= CHANNELS < shape[0] or (rank > 2 and shape[-1] <= CHANNELS):
        return [str(rank - 2)] if rank == 2 else [str(rank - 3), f"{rank - 3},{rank - 2}"]
    if shape[-2] <= CHANNELS < shape[-1]:
        return [str(rank - 1)]
    return [str(rank - 2), str(rank - 1), f"{rank - 2},{rank - 1}"]


def sparse(
    carriers: Sequence[tuple[list[str], str]], shape: Sequence[int], flat: np.ndarray
) -> Iterator[list[str]]:
    """Where nearly all elements are the same."""
    if flat.dtype.name == "bfloat16" or flat.dtype.kind == "c":
        return
    with np.errstate(all="ignore"):
        value, share = background(flat)
    if share < SPARSE or not np.isfinite(value):
        return
    for steps, carrier in carriers:
        options = [] if value == 0 else [f"background={json.dumps(value_in(value, carrier))}"]
        wide = ITEM_SIZES[carrier] > 1
        for palette in ([], ["palette=true"]) if wide else ([],):
            text = ",".join([*options, *palette])
            for layout in layouts(len(shape), shape):
                yield [*steps, *layout, f"sparse:{text}" if text else "sparse"]


def value_in(value: float, carrier: str) -> float | int:
    """``value`` as JSON has it for that dtype."""
    return float(value) if "float" in carrier else int(value)
