"""The one family of exceptions: everything that tfdecode itself raises is a ``TfdecodeError``."""

from __future__ import annotations

LONGEST = 4000

# Advice of several errors: read on the command line and in Python, it names what to do in both.
RAISE_LIMIT = "raise the limit (--max-bytes, in Python max_bytes) if you trust the file"
PACK_ARRAY = "pack its array: tfdecode pack FILE, in Python the chain that tfdecode.infer finds"
PACK_ANEW = (
    "pack its array: tfdecode pack FILE --spec SPEC, in Python spec.encode(tfdecode.load(path))"
)


class TfdecodeError(Exception):
    """Base of every error that tfdecode raises; its message is one sentence made to be read."""

    def __init__(self, message: str) -> None:
        # It may quote a schema or a file of others, who can make a name of a megabyte.
        super().__init__(message if len(message) <= LONGEST else f"{message[:LONGEST]}...")


class SpecError(TfdecodeError, ValueError):
    """A spec, schema or chain that cannot be: unknown codec, impossible dtype, broken JSON."""


class EncodeError(TfdecodeError, ValueError):
    """An array outside the domain of its chain; names the value and its index."""


class DecodeError(TfdecodeError, ValueError):
    """A payload that is not what its spec says; states expected against got."""


class FileError(TfdecodeError, ValueError):
    """A file that cannot be read safely; says what is inside and what to do."""


class ExportError(TfdecodeError, RuntimeError):
    """A model that cannot be exported, or whose export a stock server could not run."""


class MissingExtraError(TfdecodeError, ImportError):
    """An optional library is not installed; names the extra that brings it."""
