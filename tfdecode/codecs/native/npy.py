"""npy: the file that numpy.save writes (specified in `numpy.lib.format`)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ...dtypes import ITEM_SIZES, from_little_endian, numpy_dtype
from ...errors import DecodeError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...formats import npy
from ...graph.by_row import each_row, elements, with_sides
from ...graph.casts import flat_numbers, transposed
from ...graph.rows import Rows, Status
from ...graph.substr import string_length
from ...graph.switch import cond, outlined
from ..containers.sides import check_sides, checked_shape, of_good_rows
from . import npy_sides
from .file import layouts
from .npy_sides import BEFORE_TEXT
from .sampled import SampledFile
from .template import Template


@dataclass(frozen=True)
class Npy(SampledFile):
    r"""An ``.npy`` file by any NumPy: versions 1 to 3, C or Fortran order, either byte order.

    Parameters
    ----------
    head, tail : str, default ""
        Base64 of all bytes before and after the numbers of a sample file, at most 16 KiB together.
        Files with the same bytes there are accepted too, and ``encode`` writes them.
        ``tfdecode.infer(path, as_is=True)`` fills them in if no known writer made the file.

    Notes
    -----
    Format: `numpy.lib.format`. If dimensions are ``None``, the header of each file says its sizes.
    Such files are little-endian, in either order.

    Examples
    --------
    >>> import io, numpy as np, tfdecode
    >>> file = io.BytesIO(); np.save(file, np.arange(3, dtype="uint8"))
    >>> tfdecode.ArraySpec((3,), "uint8", "npy").decode(file.getvalue())
    array([0, 1, 2], dtype=uint8)
    """

    name = "npy"
    suffixes = (".npy",)
    magics = (npy.MAGIC,)
    file = "an .npy file"
    contents = npy.contents
    missing = {  # noqa: RUF012
        "bfloat16": "numpy.save writes bfloat16 without its name; use astype:float32|npy for "
        "float32 files, or safetensors"
    }

    def resolve(self, form: ArrayForm) -> BytesForm:
        if not form.none_axes or form.dtype in self.missing:
            return super().resolve(form)
        if self.head:
            raise SpecError(
                f"codec npy: {form} has None dimensions, and head and tail are of files of one "
                "shape; leave them out"
            )
        low = BEFORE_TEXT[0] + len(npy_sides.text_of(form)) + 1
        high = BEFORE_TEXT[1] + npy_sides.MAX_TEXT + form.max_nbytes
        explain = partial(self.found, form=form)
        return BytesForm(low, high, lambda: self.filler(form), explain)

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        return super().encode(x, ArrayForm.of(x.shape, form.dtype))

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        if not form.none_axes:
            return super().decode(y, form)
        header = npy_sides.read_header(y, form)
        if header is None:
            raise self.unlike(y, form)
        start, fortran, sides = header
        shape = checked_shape(sides, form)
        needed = start + prod(shape) * ITEM_SIZES[form.dtype]
        if len(y) != needed:
            raise DecodeError(f"payload has {len(y)} bytes, its shape {list(shape)} needs {needed}")
        x = from_little_endian(y[start:], form.dtype)
        return x.reshape(shape, order="F" if fortran else "C")

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        if not form.none_axes:
            return super().decode_rows(rows, form)
        known, start, fortran, sides = npy_sides.read_row_headers(rows, form)
        length = string_length(rows.data)
        message = f"({{}} bytes) is not {self.file} of {form} by a known writer"
        rows = rows.check(known, length, Status.HEADER, message)
        rows = check_sides(rows, sides, form)
        needed = start + elements(of_good_rows(sides, rows), form) * ITEM_SIZES[form.dtype]
        message = "has {} bytes, its dimensions need {}"
        rows = rows.check(tf.equal(length, needed), (length, needed), Status.LENGTH, message)
        filler = self.filler(form)
        rows, start = rows.guard(filler), tf.where(rows.ok, start, len(filler))
        numbers = tf.strings.substr(rows.data, start, string_length(rows.data) - start)
        rows = with_sides(replace(rows, data=numbers), of_good_rows(sides, rows), form)
        return in_row_order(flat_numbers(rows, form.dtype), fortran, form)

    def templates(self, form: ArrayForm) -> list[Template]:
        known = []
        for fortran, big_endian in layouts(form):
            text = header_text(form, fortran, big_endian)
            axis = form.max_shape[-1 if fortran else 0] if form.max_shape else None
            # NumPy 1.23 and later leave 21 digits for one side to grow, up to 2**64 - 1.
            growing = text + " " * (21 - len(str(axis))) if axis is not None else text
            for version in (1, 2, 3):
                for padded, align in ((growing, 64), (text, 64), (text, 16)):  # 16: before 1.14
                    known.append(Template(head(padded, version, align), b"", fortran, big_endian))
        return known


def in_row_order(rows: Rows, fortran: Any, form: ArrayForm) -> Rows:
    """``rows`` of flat data, of which those of ``fortran`` are in Fortran order, in C order."""

    def one(y: Any, row: Any) -> Any:
        reverse = tf.range(len(form.shape), -1, -1)

        def in_c_order() -> Any:
            sides = tf.gather(tf.shape(y), reverse)  # the axis of the batch comes last
            return transposed(tf.reshape(y, sides), reverse)

        return tf.cond(fortran[row], in_c_order, lambda: y)

    def each() -> list[Any]:
        return [each_row(rows, form, form, one).data]

    (data,) = cond(tf.reduce_any(fortran), outlined(each), lambda: [rows.data])
    return replace(rows, data=data)


def header_text(form: ArrayForm, fortran: bool, big_endian: bool) -> str:
    """The dict of the header, as NumPy writes its ``repr``."""
    dtype = numpy_dtype(form.dtype).newbyteorder(">" if big_endian else "<").str
    return f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {form.max_shape!r}, }}"


def head(text: str, version: int, align: int) -> bytes:
    """Magic, version, length and text, padded so that the numbers begin at a multiple."""
    size = "<H" if version == 1 else "<I"
    before = len(npy.MAGIC) + 2 + struct.calcsize(size)
    padded = text + " " * (align - (before + len(text) + 1) % align) + "\n"
    return npy.MAGIC + bytes([version, 0]) + struct.pack(size, len(padded)) + padded.encode()
