"""Forms: what the spec says about the data between two steps of a chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeAlias

import numpy as np

from .dtypes import ITEM_SIZES, numpy_dtype
from .errors import SpecError

Shape: TypeAlias = tuple[int | None, ...]

#: Bytes of an array and of its payload: string lengths, rounded up to whole blocks, are int32.
MAX_NBYTES = 2**31 - 2**10
#: The limit of NumPy 1.
MAX_RANK = 32


@dataclass(frozen=True)
class ArrayForm:
    """Arrays of one dtype and shape; one dimension may be ``None``, bounded by ``max_shape``."""

    shape: Shape
    dtype: str
    max_shape: tuple[int, ...]

    @classmethod
    def of(cls, shape: Shape, dtype: str, max_shape: Shape | None = None) -> ArrayForm:
        """The form of a spec; SpecError if ``shape`` and ``max_shape`` do not match."""
        if len(shape) > MAX_RANK:
            raise SpecError(f"shape has {len(shape)} dimensions, at most {MAX_RANK} are supported")
        unknown = [axis for axis, side in enumerate(shape) if side is None]
        if len(unknown) > 1:
            raise SpecError(
                f"shape {list(shape)} has {len(unknown)} None dimensions, at most 1 is supported"
            )
        if unknown and max_shape is None:
            raise SpecError(f"shape {list(shape)} has a None dimension; pass max_shape to bound it")
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
        form = cls(shape, dtype, tuple(int(side or 0) for side in bound))
        if unknown and form.stride == 0:
            raise SpecError(
                f"shape {list(shape)} has a dimension of 0, so the length of its None dimension is "
                "not known from a payload"
            )
        return form

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether arrays of this form can have that shape."""
        sides = zip(shape, self.shape, self.max_shape, strict=False)
        return len(shape) == len(self.shape) and all(
            got <= bound if side is None else got == side for got, side, bound in sides
        )

    @cached_property
    def unknown_axis(self) -> int | None:
        """The axis of the ``None`` dimension, if there is one."""
        return self.shape.index(None) if None in self.shape else None

    def require_fixed(self, codec: str) -> None:
        """SpecError if the shape has a ``None`` dimension, which ``codec`` does not support."""
        if self.unknown_axis is not None:
            raise SpecError(
                f"codec {codec}: {self} has a None dimension, which {codec} does not support; "
                "pack with raw or zlib instead"
            )

    @cached_property
    def stride(self) -> int:
        """Elements of one step of the ``None`` axis: the product of all other sides."""
        return prod(side for side in self.shape if side is not None)

    @cached_property
    def max_nbytes(self) -> int:
        """Bytes of the largest array of this form."""
        return prod(self.max_shape) * ITEM_SIZES[self.dtype]

    @cached_property
    def min_nbytes(self) -> int:
        """Bytes of the smallest array of this form."""
        return 0 if self.unknown_axis is not None else self.max_nbytes

    def zeros(self) -> np.ndarray:
        """The smallest array of this form (0 for ``None``), all zeros."""
        return np.zeros(self.shape_of(0), numpy_dtype(self.dtype))

    def shape_of(self, elements: int) -> tuple[int, ...]:
        """The shape of an array of that many elements."""
        return tuple(elements // self.stride if side is None else side for side in self.shape)

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
