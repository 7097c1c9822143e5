"""The exceptions of tfdecode; each of them is a ``TfdecodeError``. And its one warning."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_MESSAGE_LENGTH = 4000

# Advice that several errors give, for the command line and for Python.
RAISE_LIMIT = "raise the limit (--max-bytes, in Python max_bytes) if you trust the file"
PACK_ARRAY = "pack its array: tfdecode pack FILE, in Python the spec of tfdecode.infer(array)"
PACK_ANEW = (
    "pack its array: tfdecode pack FILE --spec SPEC, in Python spec.encode(tfdecode.load(path))"
)


def shown(name: str, limit: int = 80) -> str:
    """A name of a file or out of one, as one short printable piece of a message."""
    text = name if name.isprintable() else ascii(name[:limit])
    return text if len(text) <= limit else text[:limit] + "..."


#: The options of the command line that runs, in whose words messages speak; none in a library.
OPTIONS: set[str] = set()


def said(python: str, option: str = "") -> str:
    """For messages: what Python says, or the option of the command line that runs, if it has it.

    Chosen before names are put into the message, so that a name always stays as it is. Without an
    option, a command line says nothing.
    """
    if not OPTIONS:
        return python
    return option if not option or OPTIONS.intersection(option.split()) else f"in Python {python}"


def meant(word: object, known: Iterable[str]) -> str:
    """For messages: " (did you mean 'zlib'?)" if ``word`` is close to one that is ``known``."""
    import difflib  # only for messages

    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(str(word).lower()[:64], names, 1, 0.7)
    return f" (did you mean {names[close[0]]!r}?)" if close else ""


def asserted(text: str) -> str | None:
    """The sentence in the message of a failed op ``Assert``, in one line; None for other errors.

    >>> asserted("assertion failed: [x: row 3 has 3 bytes] [[{{node Assert}}]]")
    'x: row 3 has 3 bytes'
    """
    found = re.search(r"assertion failed: \[(.*?)\]\s*(?:\[|\n|$)", text, re.DOTALL)
    if found is None:
        return None
    # The op escapes quotes.
    return " ".join(found[1].replace('\\"', '"').replace("\\'", "'").split())


class TfdecodeError(Exception):
    """Base class of all errors that tfdecode raises."""

    def __init__(self, message: str) -> None:
        # A message can quote a name from an untrusted schema or file, which may have megabytes.
        cut = len(message) > MAX_MESSAGE_LENGTH
        super().__init__(f"{message[:MAX_MESSAGE_LENGTH]}..." if cut else message)


class SpecError(TfdecodeError, ValueError):
    """A spec, schema or chain is invalid: an unknown codec, an unsupported dtype, broken JSON."""


class EncodeError(TfdecodeError, ValueError):
    """An array is outside the domain of its chain; the message states the value and its index."""


class DecodeError(TfdecodeError, ValueError):
    """A payload does not match its spec; the message states what was expected and what it got."""


class FileError(TfdecodeError, ValueError):
    """A file cannot be read safely; the message says what it contains and what to do."""


class SkippedWarning(UserWarning):
    """Parts of a file were left out; ``skipped`` maps each of them to the reason."""

    def __init__(self, message: str, skipped: dict[str, str]) -> None:
        super().__init__(message)
        self.skipped = skipped


class ExportError(TfdecodeError, RuntimeError):
    """A model cannot be exported, or stock TensorFlow Serving could not run the result."""


class MissingExtraError(TfdecodeError, ImportError):
    """An optional library is not installed; the message names the extra to install."""


class ServerError(TfdecodeError, RuntimeError):
    """A server answered with an error, or not at all.

    Attributes
    ----------
    status : int or None
        The HTTP status, or the number of gRPC's code, which is below 17.
    input : str or None
        The signature key of the input that the server's message names.
    row : int or None
        The row of the batch that it names, or another row of that input that is invalid: a server
        can merge the requests of several clients. None if the client finds no invalid row in what
        it sent.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        input: str | None = None,
        row: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.input, self.row = status, input, row


class RefusedError(ServerError, DecodeError):
    """A model refused a payload; ``input`` and ``row`` say which."""
