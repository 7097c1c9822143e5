"""What is known of an array or of its bytes between two steps of a chain."""

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

#: Of one array and of its payload: TensorFlow counts the bytes of a string in an int32, in which
#: sums rounded up to whole blocks must fit too.
MAX_NBYTES = 2**31 - 2**10
#: What every numpy can hold, from 1.24 on.
MAX_RANK = 32


@dataclass(frozen=True)
class ArrayForm:
    """Arrays of one dtype and shape; one dimension may be ``None``, at most as in ``max_shape``."""

    shape: Shape
    dtype: str
    max_shape: tuple[int, ...]

    @classmethod
    def of(cls, shape: Shape, dtype: str, max_shape: Shape | None = None) -> ArrayForm:
        """The form of a spec; SpecError where ``shape`` and ``max_shape`` do not fit."""
        if len(shape) > MAX_RANK:
            raise SpecError(f"shape has {len(shape)} dimensions, at most {MAX_RANK} can be")
        unknown = [axis for axis, side in enumerate(shape) if side is None]
        if len(unknown) > 1:
            raise SpecError(
                f"shape {list(shape)} has {len(unknown)} None dimensions, at most 1 can be"
            )
        if unknown and max_shape is None:
            raise SpecError(
                f"shape {list(shape)} has a None dimension and needs a max_shape that bounds it"
            )
        bound = shape if max_shape is None else max_shape
        fits = len(bound) == len(shape) and all(
            most is not None and (side is None or side == most)
            for side, most in zip(shape, bound, strict=True)
        )
        if not fits:
            raise SpecError(
                f"max_shape {list(bound)} does not bound shape {list(shape)}: same rank, "
                "same sides, a number for each None"
            )
        # A side of 0 does not make the others small: numpy multiplies them all the same.
        nbytes = prod(side or 1 for side in bound) * ITEM_SIZES[dtype]
        if nbytes > MAX_NBYTES:
            raise SpecError(
                f"shape {list(bound)} of {dtype} has {nbytes} bytes, at most {MAX_NBYTES} can be"
            )
        form = cls(shape, dtype, tuple(int(side or 0) for side in bound))
        if unknown and form.stride == 0:
            raise SpecError(
                f"shape {list(shape)} has a 0 beside its None: the None cannot be known"
            )
        return form

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether an array can have that shape."""
        sides = zip(shape, self.shape, self.max_shape, strict=False)
        return len(shape) == len(self.shape) and all(
            got <= most if side is None else got == side for got, side, most in sides
        )

    @cached_property
    def unknown_axis(self) -> int | None:
        """The axis whose side is ``None``."""
        return self.shape.index(None) if None in self.shape else None

    @cached_property
    def stride(self) -> int:
        """Elements in one step of the ``None`` axis: the product of all other sides."""
        return prod(side for side in self.shape if side is not None)

    @cached_property
    def max_nbytes(self) -> int:
        """Bytes of the largest array of this form."""
        return prod(self.max_shape) * ITEM_SIZES[self.dtype]

    @cached_property
    def min_nbytes(self) -> int:
        """Bytes of the smallest array of this form."""
        return 0 if self.unknown_axis is not None else self.max_nbytes

    @property
    def least_shape(self) -> tuple[int, ...]:
        """The shape with 0 for ``None``: what a filler has."""
        return tuple(0 if side is None else side for side in self.shape)

    def zeros(self) -> np.ndarray:
        """The smallest array of this form, all zeros."""
        return np.zeros(self.least_shape, numpy_dtype(self.dtype))

    def shape_of(self, elements: int) -> tuple[int, ...]:
        """The whole shape of an array with so many elements."""
        return tuple(elements // self.stride if side is None else side for side in self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} {['None' if s is None else s for s in self.shape]}".replace("'", "")


@dataclass(frozen=True)
class BytesForm:
    """Byte strings of ``min_nbytes`` to ``max_nbytes`` bytes, one of which ``filler`` makes."""

    min_nbytes: int
    max_nbytes: int
    filler: Callable[[], bytes]
    #: What a byte string that is none of these holds instead, for the message.
    explain: Callable[[bytes], str] = lambda data: ""

    def needs(self) -> str:
        """The lengths in words, for messages."""
        if self.min_nbytes == self.max_nbytes:
            return f"needs {self.max_nbytes}"
        return f"needs {self.min_nbytes} to {self.max_nbytes}"


Form: TypeAlias = ArrayForm | BytesForm
