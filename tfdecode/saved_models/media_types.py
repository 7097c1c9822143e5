"""Encoded images as inputs: a media type, ``image/png``, in place of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ExportError, SpecError, said
from ..spec import ArraySpec

#: The chain that decodes files of each; of both by how they begin.
MEDIA_TYPES = {"image/png": "png_image", "image/jpeg": "jpeg", "image/*": "png_image or jpeg"}
#: The dtypes that pixels have, in a PNG those of 16 bits and of 1 bit too.
PIXELS = ("uint8", "uint16", "bool")


def is_media_type(value: Any) -> bool:
    """Whether ``value`` is text like a media type of images, known or not."""
    return isinstance(value, str) and value.startswith("image/")


def image_spec(name: str, text: str, given: Any, cast: Mapping[str, Any]) -> ArraySpec:
    """The spec of an input that is sent as encoded images; ExportError if there is none.

    Parameters
    ----------
    name : str
        The input.
    text : str
        ``image/png``, ``image/jpeg`` or ``image/*``. With ``;max_shape=HEIGHT,WIDTH,CHANNELS``
        after it, sizes that the model leaves open are those of each image.
    given : tf.TensorSpec or None
        What the model takes.
    cast : mapping of str to dtype
        The inputs whose pixels are cast to the dtype that the model takes.
    """
    kind, _, options = text.partition(";")
    if kind not in MEDIA_TYPES:
        raise ExportError(f"input {name} is {text!r}, needs one of {', '.join(MEDIA_TYPES)}")
    if given is None:
        raise ExportError(f"the model does not say the shape of input {name}: pass a spec")
    dtype = given.dtype.name
    if dtype == "string":
        raise ExportError(f"input {name} takes strings: the model decodes them by itself")
    if dtype not in PIXELS:
        if name not in cast:
            scaled = f"fixed_point:255,dtype=uint8|{MEDIA_TYPES[kind].split()[0]}"
            whole = said(f"cast={{{name!r}: {dtype!r}}}", f"--cast {name}")
            spec = said(
                f"an ArraySpec of {dtype} with codecs={scaled!r}", f"--input {name}='{scaled}'"
            )
            raise ExportError(
                f"input {name} is {dtype}, and pixels are uint8: pass {whole} if the model takes "
                f"0 to 255; if it takes 0 to 1, pass {spec}"
            )
        dtype = "uint8"
    shape, bound = sides_of(name, kind, given.shape, max_shape_of(name, options))
    try:
        return ArraySpec(shape, dtype, MEDIA_TYPES[kind], max_shape=bound)
    except SpecError as error:
        raise ExportError(f"input {name} cannot be {kind}: {error}") from None


def max_shape_of(name: str, options: str) -> list[int] | None:
    """The sizes after ``max_shape=``; None if there are none."""
    if not options:
        return None
    key, _, value = options.strip().partition("=")
    sides = [part.strip() for part in value.split(",")]
    if key != "max_shape" or not all(side.isdecimal() and len(side) < 10 for side in sides):
        raise ExportError(
            f"input {name} has the option {options!r}, needs max_shape=HEIGHT,WIDTH,CHANNELS"
        )
    return [int(side) for side in sides]


def sides_of(
    name: str, kind: str, given: Any, bound: list[int] | None
) -> tuple[list[int | None], list[int] | None]:
    """The shape and the largest shape of one image, without the batch that the model takes."""
    if given.rank is None:
        sides: list[int | None] = [None] * (len(bound) if bound else 3)
    else:
        sides = given.as_list()
        # [H, W] and [H, W, 3] are one image; [B, H, W] is a batch of grey ones.
        alone = len(sides) == 2 or (len(sides) == 3 and sides[2] in (1, 2, 3, 4))
        sides = sides if alone else sides[1:]
    if None not in sides:
        return sides, None
    if bound is None:
        words = ", ".join(map(str, sides))
        raise ExportError(
            f"input {name} has images [{words}] in the model: say the largest, "
            f"'{kind};max_shape=1024,1024,3', or pass a spec"
        )
    # A file tells height and width; the number of channels is one of the spec.
    channels = [most if side is None else side for side, most in zip(sides, bound, strict=False)][
        2:
    ]
    return [*sides[:2], *channels], bound


def resolved(
    inputs: Mapping[str, Any], known: Mapping[str, Any], cast: Mapping[str, Any]
) -> dict[str, Any]:
    """The inputs, with specs in place of media types; ``known`` has what the model takes."""
    return {
        name: image_spec(name, value, known.get(name), cast) if is_media_type(value) else value
        for name, value in inputs.items()
    }
