"""Forms: what the spec says about the data between two steps of a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, TypeAlias

import numpy as np

from .dtypes import ITEM_SIZES, numpy_dtype
from .errors import SpecError, said

Shape: TypeAlias = tuple[int | None, ...]

#: Bytes of an array and of its payload: string lengths, rounded up to whole blocks, are int32.
MAX_NBYTES = 2**31 - 2**10
#: The limit of NumPy 1.
MAX_RANK = 32


@dataclass(frozen=True)
class ArrayForm:
    """Arrays of one dtype and shape; dimensions may be ``None``, bounded by ``max_shape``."""

    shape: Shape
    dtype: str
    max_shape: tuple[int, ...]

    @classmethod
    def of(cls, shape: Shape, dtype: str, max_shape: Shape | None = None) -> ArrayForm:
        """The form of a spec; SpecError if ``shape`` and ``max_shape`` do not match."""
        if len(shape) > MAX_RANK:
            raise SpecError(f"shape has {len(shape)} dimensions, at most {MAX_RANK} are supported")
        if None in shape and max_shape is None:
            most = said("max_shape", "--max-shape")
            raise SpecError(f"shape {list(shape)} has a None dimension; pass {most} to bound it")
        bound = shape if max_shape is None else max_shape
        fits = len(bound) == len(shape) and all(
            limit is not None and (side is None or side == limit)
            for side, limit in zip(shape, bound, strict=True)
        )
        if not fits:
            raise SpecError(
                f"max_shape {list(bound)} does not match shape {list(shape)}: it needs a number "
                "for None and the same sides otherwise"
            )
        # Sides of 0 are left out: NumPy refuses a huge product of the other sides.
        nbytes = prod(side or 1 for side in bound) * ITEM_SIZES[dtype]
        if nbytes > MAX_NBYTES:
            size = f"{nbytes} bytes, at most {MAX_NBYTES} are supported"
            raise SpecError(f"shape {list(bound)} of {dtype} has {size}")
        return cls(shape, dtype, tuple(int(side or 0) for side in bound))

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether arrays of this form can have that shape."""
        sides = zip(shape, self.shape, self.max_shape, strict=False)
        return len(shape) == len(self.shape) and all(
            got <= bound if side is None else got == side for got, side, bound in sides
        )

    @cached_property
    def none_axes(self) -> tuple[int, ...]:
        """The axes of the ``None`` dimensions."""
        return tuple(axis for axis, side in enumerate(self.shape) if side is None)

    @property
    def unknown_axis(self) -> int | None:
        """The axis of the first ``None`` dimension, if there is one."""
        return self.none_axes[0] if self.none_axes else None

    @cached_property
    def sides_follow(self) -> bool:
        """Whether the number of elements tells the shape: then no payload states dimensions."""
        return not self.none_axes or (len(self.none_axes) == 1 and self.stride > 0)

    def require_fixed(self, codec: str) -> None:
        """SpecError if the shape has a ``None`` dimension, which ``codec`` does not support."""
        if self.none_axes:
            raise SpecError(
                f"codec {codec}: {self} has a None dimension, which {codec} does not support; "
                "use raw|zlib_bounded instead"
            )

    def require_sides_follow(self, codec: str) -> None:
        """SpecError unless the number of elements tells the shape, which ``codec`` needs."""
        if not self.sides_follow:
            raise SpecError(
                f"codec {codec}: {self} has several None dimensions, or one next to a 0; {codec} "
                "takes one; use raw|zlib_bounded or npy instead"
            )

    @cached_property
    def stride(self) -> int:
        """Elements for each step of the ``None`` axes: the product of all other sides."""
        return prod(side for side in self.shape if side is not None)

    @cached_property
    def max_nbytes(self) -> int:
        """Bytes of the largest array of this form."""
        return prod(self.max_shape) * ITEM_SIZES[self.dtype]

    @cached_property
    def min_nbytes(self) -> int:
        """Bytes of the smallest array of this form."""
        return 0 if self.none_axes else self.max_nbytes

    @cached_property
    def partition_nbytes(self) -> int:
        """Bytes of what splits the largest row of a tf.RaggedTensor: more than those of data."""
        if len(self.none_axes) < 2:
            return 0
        return 16 * prod(side or 1 for side in self.max_shape[: self.none_axes[-1]])

    def zeros(self) -> np.ndarray:
        """The smallest array of this form (0 for each ``None``), all zeros."""
        return np.zeros(self.shape_with([0] * len(self.none_axes)), numpy_dtype(self.dtype))

    def shape_with(self, sides: Iterable[Any]) -> tuple[Any, ...]:
        """The shape with those sizes for its ``None`` dimensions."""
        given = iter(sides)
        return tuple(next(given) if side is None else side for side in self.shape)

    def shape_of(self, elements: int) -> tuple[int, ...]:
        """The shape of an array of that many elements, if they tell it."""
        return self.shape_with([elements // self.stride] if self.none_axes else [])

    def __str__(self) -> str:
        return f"{self.dtype} {['None' if s is None else s for s in self.shape]}".replace("'", "")


@dataclass(frozen=True)
class BytesForm:
    """Byte strings of ``min_nbytes`` to ``max_nbytes`` bytes; ``filler`` returns a valid one."""

    min_nbytes: int
    max_nbytes: int
    filler: Callable[[], bytes]
    #: Describes a byte string of another length, for the message.
    explain: Callable[[bytes], str] = lambda data: ""

    def needs(self) -> str:
        """The valid lengths, for messages."""
        if self.min_nbytes == self.max_nbytes:
            return f"needs {self.max_nbytes}"
        return f"needs {self.min_nbytes} to {self.max_nbytes}"


Form: TypeAlias = ArrayForm | BytesForm
