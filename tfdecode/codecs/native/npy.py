"""npy: the file that numpy.save writes (specified in `numpy.lib.format`)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ...dtypes import numpy_dtype
from ...form import ArrayForm
from ...formats import npy
from .file import layouts
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
    Format: `numpy.lib.format`.

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
