"""Releases of TensorFlow, as people write them."""

from __future__ import annotations

from .errors import SpecError

#: The oldest that runs any decoder of this package.
OLDEST = (2, 3)


def release(text: str, what: str = "min_tensorflow") -> tuple[int, int]:
    """Major and minor number of a release; SpecError if it does not decode, or is no text."""
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) < 2 or not all(part.isdecimal() for part in parts[:2]):
        raise SpecError(f"{what} is {text!r}, needs a version as '2.12'")
    found = int(parts[0][:9]), int(parts[1][:9])
    if found < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise SpecError(f"{what} is {text!r}, the oldest release that decodes is {oldest}")
    return found
