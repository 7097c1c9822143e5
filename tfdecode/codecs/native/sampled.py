"""Native files of unknown writers: the bytes before and after the numbers come from a sample."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...dtypes import dtype_name
from ...errors import FileError, SpecError
from ...form import ArrayForm
from ..base import from_base64
from .file import NativeFile, templates_of
from .template import Template

#: Most bytes before and after the numbers: every copy of the spec and the graph contain them.
MAX_AROUND_NBYTES = 2**14
#: Most bytes of the numbers: a stranger's spec is checked by reading a file as long.
MAX_SAMPLE_NBYTES = 2**26
#: Bytes by which `one_of` recognises a file.
PREFIX_NBYTES = 16


@dataclass(frozen=True)
class SampledFile(NativeFile):
    """A native file by a known writer, or with the ``head`` and ``tail`` of a sample, in base64."""

    head: str = field(default="", kw_only=True)
    tail: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        sides = [decoded(self.name, side, getattr(self, side)) for side in ("head", "tail")]
        if sides[1] and not sides[0]:
            raise SpecError(f"codec {self.name}: a tail needs the head of the same sample")
        if sum(map(len, sides)) > MAX_AROUND_NBYTES:
            raise SpecError(
                f"codec {self.name}: head and tail have {sum(map(len, sides))} bytes, at most "
                f"{MAX_AROUND_NBYTES} can be; save the array in a file of its own"
            )

    @classmethod
    def options(cls) -> list[Any]:
        """Those of the format come first: a bare value is the key."""
        return sorted(super().options(), key=lambda option: option.name in ("head", "tail"))

    @property
    def around(self) -> int:
        """How many bytes of the sample the spec contains."""
        return len(base64.b64decode(self.head)) + len(base64.b64decode(self.tail))

    def accepted(self, form: ArrayForm) -> list[Template]:
        if not self.head:
            return self.templates(form)
        return [self.of_sample(form), *self.templates(form)]

    def begins(self, form: ArrayForm) -> tuple[bytes, ...]:
        if not self.head:
            return super().begins(form)
        return (templates_of(self, form).known[0].head[:PREFIX_NBYTES], *super().begins(form))

    def read(self, y: bytes) -> np.ndarray:
        """The array of a file: a sample may hold others beside the one of ``key``."""
        return type(self).contents(y).read(getattr(self, "key", None) if self.head else None)

    def advice(self, data: bytes) -> str:
        differs = "around its numbers it is not like the sample; " if self.head else ""
        return differs + super().advice(data)

    def of_sample(self, form: ArrayForm) -> Template:
        """The sample's template; SpecError unless the reader finds the array between its sides."""
        if form.max_nbytes > MAX_SAMPLE_NBYTES:
            raise SpecError(
                f"codec {self.name}: {form} has {form.max_nbytes} bytes, head and tail can be "
                f"given for at most {MAX_SAMPLE_NBYTES}"
            )
        head, tail = base64.b64decode(self.head), base64.b64decode(self.tail)
        data = b"".join([head, bytes(form.max_nbytes), tail])
        wrong = f"codec {self.name}: head and tail are not around the numbers of {self.file}"
        try:
            found = self.read(data)
            got = f"{dtype_name(found.dtype)} {list(found.shape)}"
        except FileError as error:
            raise SpecError(f"{wrong}: it {error}") from None
        if got != str(form):
            raise SpecError(f"{wrong}: it holds {got}, the array is {form}")
        if found.size and offset_in(found, data) != len(head):
            raise SpecError(f"{wrong}: its array is at another offset")
        if not (found.flags.c_contiguous or found.flags.f_contiguous):
            raise SpecError(f"{wrong}: they are in another order; save np.ascontiguousarray of it")
        swaps = form.dtype != "bfloat16"  # whose order numpy does not know
        big_endian = swaps and found.dtype != found.dtype.newbyteorder("<")
        return Template(head, tail, not found.flags.c_contiguous, big_endian)


def offset_in(array: np.ndarray, data: bytes) -> int | None:
    """The offset in ``data`` of a contiguous ``array`` that is a view of it."""
    if not array.nbytes:
        return len(data)
    base = np.frombuffer(data, np.uint8)
    start: int = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return start if 0 <= start <= len(data) - array.nbytes else None


def decoded(name: str, side: str, text: object) -> bytes:
    """The bytes of ``head`` or ``tail``; SpecError if it is not base64 in its one form."""
    if isinstance(text, str) and len(text) > 2 * MAX_AROUND_NBYTES:
        raise SpecError(
            f"codec {name}: {side} has {len(text)} characters; head and tail together can have "
            f"at most {MAX_AROUND_NBYTES} bytes; save the array in a file of its own"
        )
    return from_base64(f"{name}: {side}", text, MAX_AROUND_NBYTES)


def encoded(data: bytes) -> str:
    """Bytes as ``head`` and ``tail`` hold them."""
    return base64.b64encode(data).decode()
