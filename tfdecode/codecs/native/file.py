"""Base class of containers whose payloads are files of other programs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np

from ...casts import checked_bool
from ...dtypes import ITEM_SIZES, dtype_name, little_endian, numpy_dtype
from ...errors import PACK_ANEW, DecodeError, FileError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...graph.casts import READ_AS, as_dtype
from ...graph.raw_bytes import raw_bytes
from ...graph.rows import Rows
from ..base import Container
from .template import Template, Templates


@dataclass(frozen=True)
class NativeFile(Container):
    """A file format in which shape, dtype and writer fix all bytes but the data: ``templates``."""

    #: What a file is called in messages.
    file: ClassVar[str]
    #: What to do about dtypes that the format does not have.
    missing: ClassVar[dict[str, str]] = {}

    @abstractmethod
    def templates(self, form: ArrayForm) -> list[Template]:
        """The bytes before and after the data by known writers; ``encode`` writes the first."""

    def accepted(self, form: ArrayForm) -> list[Template]:
        """The templates that are accepted."""
        return self.templates(form)

    def read(self, y: bytes) -> np.ndarray:
        """The array of a file."""
        return type(self).contents(y).read()

    def advice(self, data: bytes) -> str:
        """What to do about a readable file that matches no template."""
        return PACK_ANEW

    def resolve(self, form: ArrayForm) -> BytesForm:
        if form.dtype in self.missing:
            raise SpecError(f"codec {self.name}: {self.missing[form.dtype]}")
        form.require_fixed(self.name)
        lengths = templates_of(self, form).lengths
        return BytesForm(
            lengths[0], lengths[-1], lambda: self.filler(form), lambda data: self.found(data, form)
        )

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        template = templates_of(self, form).known[0]
        numbers = checked_bool(little_endian(x))
        if template.big_endian:
            numbers = numbers.byteswap()
        if template.fortran:
            numbers = np.ascontiguousarray(numbers.T)
        return b"".join([template.head, numbers.reshape(-1).view(np.uint8).data, template.tail])

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        template = templates_of(self, form).of(y)
        if template is None:
            raise self.unlike(y, form)
        return copied(self.read(y), form)

    def unlike(self, y: bytes, form: ArrayForm) -> DecodeError:
        """The error of a payload that matches no template."""
        what = f"payload ({len(y)} bytes) is not {self.file} of {form} by a known writer"
        return DecodeError(f"{what}{self.found(y, form)}")

    def found(self, y: bytes, form: ArrayForm) -> str:
        """What a file that matches no template holds, for the message: nothing of its text."""
        try:
            x = self.read(y)
            name, shape = dtype_name(x.dtype), list(x.shape)
        except (FileError, SpecError):
            return ""
        if (name, shape) != (form.dtype, list(form.max_shape)):
            return f": it holds {name} {shape}"
        return f"; {self.advice(y)}"

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        templates = templates_of(self, form)
        message = f"({{}} bytes) is not {self.file} of {form} by a known writer"
        read_as = READ_AS.get(form.dtype, form.dtype)
        rows = templates.decode_rows(rows, read_as, self.filler(form), message)
        return as_dtype(rows, form.dtype)

    def encode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        template = templates_of(self, form).known[0]
        if template.fortran or template.big_endian:
            raise SpecError(
                f"codec {self.name}: its sample is in Fortran order or big-endian, and such files "
                f"are not written in a graph; give the output {self.name} without head and tail"
            )
        numbers = raw_bytes(rows.data, form.max_nbytes)
        return replace(rows, data=tf.strings.join([template.head, numbers, template.tail]))


def check_key(codec: str, key: object, most: int, advice: str = "") -> None:
    """SpecError unless ``key`` is a text of 1 to ``most`` characters."""
    if not isinstance(key, str) or not 0 < len(key) <= most:
        needs = f"needs a text of 1 to {most} characters{advice}"
        raise SpecError(f"codec {codec}: key is {key!r}, {needs}")


def copied(x: np.ndarray, form: ArrayForm) -> np.ndarray:
    """A view of a file as an array of its own; DecodeError for a bool other than 0 and 1."""
    x = x.astype(numpy_dtype(form.dtype), order="C")
    if form.dtype == "bool" and x.size and int(x.view(np.uint8).max()) > 1:
        raise DecodeError("payload holds bytes other than 0 and 1, needs bool")
    return x


@lru_cache(256)
def templates_of(codec: NativeFile, form: ArrayForm) -> Templates:
    """The templates without repetitions, cached: those of a pickle take milliseconds."""
    known = tuple(dict.fromkeys(codec.accepted(form)))
    return Templates(known, form.max_shape, ITEM_SIZES[form.dtype])


def layouts(form: ArrayForm) -> list[tuple[bool, bool]]:
    """(fortran, big_endian) of files of ``form``; NumPy notes Fortran order if it matters."""
    matrix = sum(side != 1 for side in form.max_shape) > 1 and 0 not in form.max_shape
    swaps = ITEM_SIZES[form.dtype] > 1 and form.dtype != "bfloat16"
    orders, ends = ([False, True] if both else [False] for both in (matrix, swaps))
    return [(fortran, big_endian) for fortran in orders for big_endian in ends]
