"""What the containers of image files share: sizes, and images of one batch that differ in size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...errors import SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm
from ...graph.by_row import with_sides
from ...graph.casts import flat_numbers
from ...graph.images import decode_images
from ...graph.raw_bytes import raw_string
from ...graph.rows import Rows
from .sides import check_sides, of_good_rows


def check_form(codec: str, form: ArrayForm, max_side: int, max_pixels: int) -> None:
    """SpecError unless files can have the sizes of ``form``, and their headers tell those left."""
    height, width = form.max_shape[:2]
    if any(axis > 1 for axis in form.none_axes):
        raise SpecError(
            f"codec {codec}: {form} needs a number of channels: only height and width can be None"
        )
    if not 0 < min(height, width) <= max(height, width) <= max_side:
        raise SpecError(f"codec {codec}: {form} needs sides of 1 to {max_side}")
    if height * width > max_pixels:
        raise SpecError(f"codec {codec}: {form} has more than {max_pixels} pixels")


def check_image_sides(rows: Rows, sizes: list[Any], form: ArrayForm) -> tuple[Rows, Any]:
    """Check the height and width of each row, int64 ``[B]``; those of ``None`` axes."""
    sides = tf.stack([sizes[axis] for axis in form.none_axes], 1)
    rows = check_sides(rows, sides, form)
    return rows, of_good_rows(sides, rows)


def varied_images(
    function: Callable[..., Any], rows: Rows, sides: Any, form: ArrayForm, nbytes: int, *data: Any
) -> Rows:
    """Images of those ``sides``: ``function`` decodes a row of ``data`` to pixels."""

    def one(*row: Any) -> Any:
        pixels = function(*row)
        return raw_string(pixels, tf.size(pixels) * pixels.dtype.size)

    rows = decode_images(one, rows, nbytes, *data)
    # The image in place of a bad row has elements.
    rows = replace(rows, unguarded=True).guard(b"")
    return flat_numbers(with_sides(rows, of_good_rows(sides, rows), form), form.dtype)
