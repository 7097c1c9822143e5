"""What went wrong, as one line on stderr."""

from __future__ import annotations

import os
import sys
from typing import Any

from ..errors import FileError


class UsageError(Exception):
    """An invalid command line: exit status 2."""


def complain(command: str | None, text: str) -> None:
    """Write ``text`` to stderr as one line under the name of the command."""
    name = f"tfdecode {command}" if command else "tfdecode"
    print(f"{name}: {one_line(text)}", file=sys.stderr)


def note(text: str) -> None:
    """Write what is worth knowing but not an error to stderr."""
    print(noted(text), file=sys.stderr)


def noted(text: str) -> str:
    """The line of a note."""
    return f"note: {one_line(text)}"


def reason(error: BaseException, path: str | os.PathLike[str] | None = None) -> str:
    """The message of ``error``, with the file that it is about as prefix."""
    if isinstance(error, FileError):  # names its file itself
        return str(error)
    if isinstance(error, MemoryError):
        text = "does not fit into memory" if path is not None else "out of memory"
    elif isinstance(error, OSError):
        path = path_of(error.filename) if error.filename else path
        text = error.strerror or str(error)
    else:
        text = str(error)
    if path is None or text.startswith(f"{os.fspath(path)}: "):
        return text
    return f"{os.fspath(path)}: {text}"


def path_of(name: Any) -> str:
    """The ``filename`` of an OSError, which may be bytes or a number, as text."""
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)


def one_line(text: str) -> str:
    """``text`` with control characters escaped: names of files and models come from others."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
