"""The arrays that a chain is chosen for: their form, and the parts of large ones that are tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any

import numpy as np

from ..array_like import advice_on, as_array
from ..casts import blocks, checked_bool
from ..dtypes import dtype_name
from ..errors import EncodeError, SpecError, said
from ..files import load


def samples_of(arrays: Any, key: str | None) -> list[np.ndarray]:
    """The arrays as they are encoded: native, at least one."""
    if isinstance(arrays, PathLike):
        arrays = load(arrays, key)
    elif key is not None:
        raise SpecError("key= needs a pathlib.Path")
    if isinstance(arrays, str | bytes):
        raise SpecError("arrays is text, needs arrays or a pathlib.Path")
    found = list(arrays) if isinstance(arrays, list | tuple) else [arrays]
    if not found or any(isinstance(x, list | tuple | int | float | str | PathLike) for x in found):
        raise SpecError(
            "arrays needs a numpy array, a list of at least one, or a single pathlib.Path"
        )
    try:
        samples = [as_array(x) for x in found]
    except EncodeError as error:
        raise SpecError(str(error)) from None
    for x in samples:
        try:
            dtype_name(x.dtype)
        except SpecError as error:
            raise SpecError(f"{error}{advice_on(x)}") from None
    return [checked_bool(x.astype(x.dtype.newbyteorder("="), copy=False)) for x in samples]


def form_of(samples: Sequence[np.ndarray], max_shape: Sequence[int] | None) -> dict[str, Any]:
    """Dtype and shape of all samples, ``None`` for each dimension in which they differ."""
    dtypes = {dtype_name(sample.dtype) for sample in samples}
    ranks = {sample.ndim for sample in samples}
    if len(dtypes) > 1 or len(ranks) > 1:
        forms = {f"{sample.dtype} {list(sample.shape)}" for sample in samples}
        raise SpecError(f"arrays differ in dtype or rank: {', '.join(sorted(forms)[:5])}")
    sides = [set(column) for column in zip(*(sample.shape for sample in samples), strict=True)]
    shape = [side.pop() if len(side) == 1 else None for side in sides]
    if None in shape and max_shape is None:
        largest = tuple(max(sample.shape[axis] for sample in samples) for axis in range(len(shape)))
        axes = " and ".join(str(axis) for axis, side in enumerate(shape) if side is None)
        bound = said("max_shape=", "--max-shape")
        raise SpecError(
            f"arrays differ along dimension {axes}: {bound} says how large one can be, at least "
            f"{largest}, which bounds the memory of a row"
        )
    most = max_shape if None in shape else None
    return {"shape": shape, "dtype": dtypes.pop(), "max_shape": most}


def parts_of(samples: Sequence[np.ndarray], nbytes: int, slabs: int) -> list[np.ndarray]:
    """``samples`` if they have at most ``nbytes`` bytes in all, else slabs of about that many."""
    if sum(sample.nbytes for sample in samples) <= nbytes:
        return list(samples)
    some = [samples[at * len(samples) // slabs] for at in range(min(slabs, len(samples)))]
    each = slabs // len(some)
    return [slab for x in some for slab in slabs_of(x, nbytes // (each * len(some)), each)]


def mean_nbytes(arrays: Sequence[np.ndarray]) -> float:
    """Bytes of an array on the average."""
    return sum(x.nbytes for x in arrays) / len(arrays)


def slabs_of(x: np.ndarray, nbytes: int, count: int) -> list[np.ndarray]:
    """``x`` if it is that small, else ``count`` slabs of ``nbytes`` bytes at even distances.

    A slab is contiguous along each axis and whole along all but one, the first that is long enough.
    """
    if x.nbytes <= nbytes * count or not x.ndim:
        return [x]
    sides = [max(1, side * nbytes // x.nbytes) for side in x.shape]
    axis = next((axis for axis, side in enumerate(sides) if side > 1), int(np.argmax(x.shape)))
    room = x.shape[axis] - sides[axis]
    starts = [room // 2] if count == 1 else [room * at // (count - 1) for at in range(count)]
    along = np.moveaxis(x, axis, 0)
    slabs = [along[at : at + sides[axis]] for at in dict.fromkeys(starts)]
    return [np.moveaxis(slab, 0, axis) for slab in slabs]


def blocks_of(x: np.ndarray) -> Iterator[np.ndarray]:
    """All of ``x`` in blocks along the first axis."""
    if x.ndim < 2:  # a block would be of another form
        yield x
    else:
        yield from (x[block] for block in blocks(x))
