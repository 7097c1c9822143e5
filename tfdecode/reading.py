"""The one place that opens a file of a user: only regular files, and never more than a limit."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias

from .errors import FileError, TfdecodeError, shown
from .sources import Held, Source

StrPath: TypeAlias = "str | os.PathLike[str]"

#: Bytes of a file that one call of the system reads: that of Linux stops before 2 GiB.
UNBUFFERED = 2**24

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
    if isinstance(path, Held) and path.size <= limit:
        return path.data
    with failures_of(path):
        file, size = _opened(path, UNBUFFERED)
        with file:
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
        file, size = _opened(path, 0)
    with file:
        yield file, size


def _opened(path: StrPath, unbuffered: int) -> tuple[Any, int]:
    """The same; a file of fewer bytes than ``unbuffered`` has no buffer, which costs 5 us."""
    if isinstance(path, Source):
        return path.open(), path.size or 0
    check_regular(path, os.stat(check_type(path)).st_mode)
    descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        status = os.fstat(descriptor)
        check_regular(path, status.st_mode)  # it may be another file than a moment ago
    except BaseException:
        os.close(descriptor)
        raise
    size = status.st_size
    file = io.FileIO(descriptor) if 0 < size < unbuffered else os.fdopen(descriptor, "rb")
    return file, size


def size_of(path: StrPath) -> int:
    """The bytes of a file; 0 if it cannot be read, which who opens it says."""
    try:
        return (path.size or 0) if isinstance(path, Source) else os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def part(file: BinaryIO, count: int) -> bytes:
    """At most ``count`` bytes, fewer at the end of the file; a file of /proc may have none yet."""
    return file.read(count) or b""


class Slices:
    """A regular file of which only the bytes that are asked for are read, each time anew.

    It is opened for each slice, so it needs no closing; FileError if it is another file by then.
    Not a memory map: the process would be killed if the file became shorter, and an array would
    change with it.
    """

    def __init__(self, path: StrPath, begin: int = 0) -> None:
        self.path, self.begin = path, begin
        self.identity: tuple[int, ...] = ()
        if isinstance(path, Source):
            self.size = max((path.size or 0) - begin, 0)
            return
        with opened(path) as (file, size):
            self.size, self.identity = max(size - begin, 0), _identity(file)

    def __len__(self) -> int:
        return self.size

    def after(self, begin: int) -> Slices:
        """The same without the bytes before ``begin``."""
        return Slices(self.path, self.begin + begin)

    def __getitem__(self, piece: slice) -> bytes:
        start, stop, step = piece.indices(self.size)
        assert step == 1
        if isinstance(self.path, Source):
            return self.path.part(self.begin + start, self.begin + max(start, stop))
        with opened(self.path) as (file, _), failures_of(self.path):
            if _identity(file) != self.identity:
                raise FileError(f"{name(self.path)}: has changed since it was listed")
            file.seek(self.begin + start)
            return part(file, max(stop - start, 0))

    def stream(self) -> io.BufferedReader:
        """The bytes as a file in which one can seek."""
        return io.BufferedReader(_Stream(self), 2**16)


class _Stream(io.RawIOBase):
    def __init__(self, data: Slices) -> None:
        self.data = data
        self.at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at}.get(whence, len(self.data))
        if self.at < 0:
            raise OSError(errno.EINVAL, "seeks to a negative offset")
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        found = self.data[self.at : self.at + len(buffer)]
        buffer[: len(found)] = found
        self.at += len(found)
        return len(found)


def _identity(file: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


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


class failures_of:  # a generator as context manager takes three times as long
    """Failures to read ``path`` as a FileError that names it and says why."""

    __slots__ = ("_path",)

    def __init__(self, path: StrPath) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, TfdecodeError):
            return
        if isinstance(error, OSError | ValueError):  # ValueError: a path with a null character
            raise FileError(
                f"{name(self._path)}: cannot be read: {reason(error, self._path)}"
            ) from None
        if isinstance(error, MemoryError):
            raise FileError(f"{name(self._path)}: does not fit into memory") from None


def reason(error: OSError | ValueError, path: StrPath) -> str:
    """Why a file cannot be opened, in words."""
    text = os.fspath(path)
    if isinstance(error, FileNotFoundError):
        check_url(text)
        if os.path.islink(text):
            return f"No such file: it is a link to {shown(os.readlink(text), 200)}"
    return getattr(error, "strerror", None) or str(error)


def check_tree(directory: StrPath) -> None:
    """FileError if a directory for a library holds a pipe or a device, which would block."""
    for folder, _, files in os.walk(directory):
        for file in files:
            path = os.path.join(folder, file)
            with failures_of(path):
                check_regular(path, os.stat(path).st_mode)


def check_url(text: str) -> None:
    """FileError if the name of a missing file is a URL, of which pathlib keeps one slash."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) and not os.path.exists(text):
        raise FileError(f"{shown(text, 200)}: is not on this machine; download it first")


def name(path: StrPath) -> str:
    """The path as one short printable piece of a message."""
    return shown(os.fspath(path), 200)
