"""Headers of ``.npy`` files whose arrays differ in size: one pattern for numpy and the graph."""

from __future__ import annotations

import re
from typing import Any

from ...dtypes import numpy_dtype
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...formats.npy import MAGIC
from ...graph.rows import Rows
from ...graph.substr import cut, string_length

#: Bytes of a header's text: NumPy writes 118 for three axes.
MAX_TEXT = 1024
#: Bytes before the text of version 1, and of versions 2 and 3.
BEFORE_TEXT = 10, 12
#: More digits than a size can have, and fewer than would overflow an int64.
SIZE = "(0|[1-9][0-9]{0,11})"


def text_of(form: ArrayForm, fortran: object = False, sides: Any = None) -> str:
    """The dict of the header of an array with those ``sides``, or the pattern of one."""
    shown = [str(side) for side in form.shape_with(iter(sides or [0] * len(form.none_axes)))]
    shape = ", ".join(shown) + "," * (len(shown) == 1)
    dtype = numpy_dtype(form.dtype).newbyteorder("<").str
    return f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': ({shape}), }}"


def pattern_of(form: ArrayForm) -> str:
    """A pattern for Python and RE2: its groups are the order, then the sizes that vary."""
    plain = re.escape(text_of(form, "ORDER", ["SIZE"] * len(form.none_axes)))
    return plain.replace("ORDER", "(True|False)").replace("SIZE", SIZE) + " *\n"


def read_header(y: bytes, form: ArrayForm) -> tuple[int, bool, list[int]] | None:
    """Where the numbers begin, whether they are in Fortran order, and the sizes; or None."""
    start = BEFORE_TEXT[y[6:7] != b"\1"]
    size = int.from_bytes(y[8:start], "little")
    known = y[:6] == MAGIC and y[6:8] in (b"\1\0", b"\2\0", b"\3\0") and size <= MAX_TEXT
    text = y[start : start + size]
    match = re.fullmatch(pattern_of(form).encode(), text) if known and len(text) == size else None
    if match is None:
        return None
    order, *sides = match.groups()
    return start + size, order == b"True", [int(side) for side in sides]


def read_row_headers(rows: Rows, form: ArrayForm) -> tuple[Any, Any, Any, Any]:
    """As ``read_header``: which rows have such a header, and what it says, 0 for the others.

    bool, int64 and bool ``[B]``, and the sizes, int64 ``[B, k]``.
    """
    length, pattern = string_length(rows.data), pattern_of(form)
    head = tf.io.decode_raw(rows.data, tf.uint8, fixed_length=12)
    head = tf.cast(tf.reshape(head, tf.stack([rows.size, 12])), tf.int64)
    version = head[:, 6]
    old = tf.equal(version, 1)
    start = tf.where(old, *(tf.constant(number, tf.int64) for number in BEFORE_TEXT))
    low = head[:, 8] + 2**8 * head[:, 9]
    size = tf.where(old, low, low + 2**16 * head[:, 10] + 2**24 * head[:, 11])
    known = tf.reduce_all(tf.equal(head[:, :6], list(MAGIC)), 1) & tf.equal(head[:, 7], 0)
    known &= (version >= 1) & (version <= 3) & (size <= MAX_TEXT) & (start + size <= length)
    text = cut(rows.data, start, tf.where(known, size, 0))
    known &= tf.strings.regex_full_match(text, pattern)
    text = tf.where(known, text, text_of(form) + "\n")
    order, *sides = (
        tf.strings.regex_replace(text, pattern, rf"\{group}", replace_global=False)
        for group in range(1, 2 + len(form.none_axes))
    )
    numbers = [tf.strings.to_number(side, tf.int64) for side in sides]
    return known, tf.where(known, start + size, 0), tf.equal(order, "True"), tf.stack(numbers, 1)
