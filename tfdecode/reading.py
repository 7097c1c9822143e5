"""The one place that opens a file of a user: only regular files, and never more than a limit."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias

from .errors import FileError, TfdecodeError, shown

StrPath: TypeAlias = "str | os.PathLike[str]"

# Zero if the system has no such flag; O_BINARY is of Windows alone.
_FLAGS = sum(getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
_KINDS = [
    (stat.S_ISDIR, "is a directory, not a file"),
    (stat.S_ISFIFO, "is not a regular file but a pipe; save its content to a file first"),
    (stat.S_ISSOCK, "is not a regular file but a socket"),
    (stat.S_ISCHR, "is not a regular file but a device"),
    (stat.S_ISBLK, "is not a regular file but a device"),
]


def read(path: StrPath, limit: int, advice: str = "") -> bytes:
    """All bytes of a regular file; FileError if it has more than ``limit``, followed by advice."""
    with opened(path) as (file, size), failures_of(path):
        if size <= limit:
            data = part(file, size + 1)
            if len(data) > size:  # it grew, or is one of /proc, which have no size
                data += part(file, limit + 1 - len(data))
            if len(data) <= limit:
                return data
            size = len(data)
        advice = f"; {advice}" if advice else ""
        raise FileError(f"{name(path)}: has {size} bytes, more than the limit of {limit}{advice}")


@contextmanager
def opened(path: StrPath) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file, opened for reading, and its size; FileError names it if it is not one.

    Opening never blocks. The caller reads with a limit of its own: see `part`.
    """
    with failures_of(path):
        check_regular(path, os.stat(check_type(path)).st_mode)
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        check_regular(path, status.st_mode)  # it may be another file than a moment ago
        yield file, status.st_size


def part(file: BinaryIO, count: int) -> bytes:
    """At most ``count`` bytes, fewer at the end of the file; a file of /proc may have none yet."""
    return file.read(count) or b""


def is_regular(path: StrPath) -> bool:
    """Whether there is a regular file of this name, which can be opened without blocking."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def check_type(path: Any) -> StrPath:
    """``path``; TypeError unless it is a path of text."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        hint = "; os.fsdecode(path) makes it one" if isinstance(path, bytes) else ""
        raise TypeError(f"path is {type(path).__name__}, needs a str or os.PathLike{hint}")
    return path


def check_regular(path: StrPath, mode: int) -> None:
    """FileError unless ``mode`` is that of a regular file: a pipe blocks, a device never ends."""
    if not stat.S_ISREG(mode):
        kinds = (text for is_kind, text in _KINDS if is_kind(mode))
        raise FileError(f"{name(path)}: {next(kinds, 'is not a regular file')}")


@contextmanager
def failures_of(path: StrPath) -> Iterator[None]:
    """Failures to read ``path`` as a FileError that names it and says why."""
    try:
        yield
    except TfdecodeError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise FileError(f"{name(path)}: cannot be read: {reason(error, path)}") from None
    except MemoryError:
        raise FileError(f"{name(path)}: does not fit into memory") from None


def reason(error: OSError | ValueError, path: StrPath) -> str:
    """Why a file cannot be opened, in words."""
    text = os.fspath(path)
    if isinstance(error, FileNotFoundError):
        check_url(text)
        if os.path.islink(text):
            return f"No such file: it is a link to {shown(os.readlink(text), 200)}"
    return getattr(error, "strerror", None) or str(error)


def check_url(text: str) -> None:
    """FileError if the name of a missing file is a URL, of which pathlib keeps one slash."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) and not os.path.exists(text):
        raise FileError(f"{shown(text, 200)}: is not on this machine; download it first")


def name(path: StrPath) -> str:
    """The path as one short printable piece of a message."""
    return shown(os.fspath(path), 200)
