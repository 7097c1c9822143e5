"""Native files of writers that are not known: what is around the numbers is taken from a sample."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...dtypes import dtype_name
from ...errors import FileError, SpecError
from ...form import ArrayForm
from .file import NativeFile, templates_of
from .template import Template

#: Most bytes around the numbers: they stand in every copy of the spec and in the graph.
MOST = 2**14
#: Most bytes of the numbers: a spec may come from a stranger, and its proof takes a file as long.
LARGEST = 2**26
#: Bytes that a file is known by among those of other chains.
BEGINNING = 16


@dataclass(frozen=True)
class SampledFile(NativeFile):
    """A native file that may also be one like a sample.

    Parameters
    ----------
    head, tail : in base64, all that stands before and behind the numbers in the sample, 16 KiB at
        most. Files that are the same around their numbers are taken too, and ``encode`` writes
        such. `tfdecode.infer` of a file, with ``as_is=True``, finds them.
    """

    head: str = field(default="", kw_only=True)
    tail: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        sides = [decoded(self.name, side, getattr(self, side)) for side in ("head", "tail")]
        if sides[1] and not sides[0]:
            raise SpecError(f"codec {self.name}: a tail needs the head of the same sample")
        if sum(map(len, sides)) > MOST:
            raise SpecError(
                f"codec {self.name}: head and tail have {sum(map(len, sides))} bytes, at most "
                f"{MOST} can be; save the array in a file of its own"
            )

    @classmethod
    def options(cls) -> list[Any]:
        """Those of the format come first: a bare value is the key."""
        return sorted(super().options(), key=lambda option: option.name in ("head", "tail"))

    @property
    def around(self) -> int:
        """How many bytes of the sample stand in the spec."""
        return len(base64.b64decode(self.head)) + len(base64.b64decode(self.tail))

    def accepted(self, form: ArrayForm) -> list[Template]:
        if not self.head:
            return self.templates(form)
        return [self.of_sample(form), *self.templates(form)]

    def begins(self, form: ArrayForm) -> tuple[bytes, ...]:
        if not self.head:
            return super().begins(form)
        return (templates_of(self, form).known[0].head[:BEGINNING], *super().begins(form))

    def read(self, y: bytes) -> np.ndarray:
        """The array of a file: a sample may hold others beside the one of ``key``."""
        return type(self).contents(y).read(getattr(self, "key", None) if self.head else None)

    def advice(self, data: bytes) -> str:
        differs = "around its numbers it is not like the sample; " if self.head else ""
        return differs + super().advice(data)

    def of_sample(self, form: ArrayForm) -> Template:
        """The template of the sample, proven by the format's reader on numbers that are 0.

        SpecError where what it reads is not, all of it and in one piece, what is between head and
        tail.
        """
        if form.max_nbytes > LARGEST:
            raise SpecError(
                f"codec {self.name}: {form} has {form.max_nbytes} bytes, head and tail can be "
                f"given for at most {LARGEST}"
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
        if found.size and place_of(found, data) != len(head):
            raise SpecError(f"{wrong}: its array is in another place")
        if not (found.flags.c_contiguous or found.flags.f_contiguous):
            raise SpecError(f"{wrong}: they are in another order; save np.ascontiguousarray of it")
        swaps = form.dtype != "bfloat16"  # whose order numpy does not know
        big_endian = swaps and found.dtype != found.dtype.newbyteorder("<")
        return Template(head, tail, not found.flags.c_contiguous, big_endian)


def place_of(array: np.ndarray, data: bytes) -> int | None:
    """Where the numbers of ``array``, in one piece, begin in ``data`` if it is a view of that."""
    if not array.nbytes:
        return len(data)
    base = np.frombuffer(data, np.uint8)
    start: int = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return start if 0 <= start <= len(data) - array.nbytes else None


def decoded(name: str, side: str, text: object) -> bytes:
    """The bytes of ``head`` or ``tail``; SpecError for what is no base64 in its one form."""
    # 4 characters for each 3 bytes; a text that is much too long is not looked at.
    if isinstance(text, str) and len(text) <= 2 * MOST:
        try:
            data = base64.b64decode(text, validate=True)
            if base64.b64encode(data).decode() == text:
                return data
        except (binascii.Error, ValueError):
            pass
    elif isinstance(text, str):
        raise SpecError(
            f"codec {name}: {side} has {len(text)} characters, at most {MOST} bytes can stand "
            "around the numbers; save the array in a file of its own"
        )
    left_out = " ('...' stands for bytes left out: take the spec as JSON)" if text == "..." else ""
    raise SpecError(f"codec {name}: {side} is no base64 with its padding{left_out}")


def encoded(data: bytes) -> str:
    """Bytes as ``head`` and ``tail`` hold them."""
    return base64.b64encode(data).decode()
