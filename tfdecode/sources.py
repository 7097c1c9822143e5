"""What is read and is no file of this machine: bytes, and objects at URLs through fsspec.

A URL never becomes a `pathlib.Path`, which makes ``s3:/bucket/x`` of ``s3://bucket/x``.
"""

from __future__ import annotations

import io
import os
import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from .errors import FileError, TfdecodeError, shown
from .extras import LazyModule

_fsspec: Any = LazyModule("fsspec", "urls")
#: Not the drive of Windows, which has one letter.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Source(os.PathLike[str]):
    """Something that can be read; its path is the name by which errors call it."""

    @abstractmethod
    def open(self) -> BinaryIO:
        """A file with all bytes."""

    @abstractmethod
    def part(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` up to ``stop``."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The last component of the path, whose suffix says the format."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many bytes there are, if that is known."""


@dataclass(frozen=True)
class Held(Source):
    """Bytes in memory."""

    label: str
    data: bytes

    def __fspath__(self) -> str:
        return self.label

    @property
    def name(self) -> str:
        return os.path.basename(self.label)

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self) -> BinaryIO:
        return io.BytesIO(self.data)

    def part(self, start: int, stop: int) -> bytes:
        return self.data[start:stop]


@dataclass(frozen=True)
class Remote(Source):
    """An object at a URL, with what of `pathlib.Path` a data set needs."""

    url: str

    def __fspath__(self) -> str:
        return self.url

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        path = self.url.partition("?")[0] if self.url.startswith("http") else self.url
        return path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """As that of a path."""
        return Path(self.name).suffix

    def with_name(self, name: str) -> Remote:
        """The object of another name next to it."""
        return Remote(f"{self.url.rpartition('/')[0]}/{name}")

    @cached_property
    def _place(self) -> tuple[Any, str]:
        with self._failures("read"):
            fs, path = _fsspec.core.url_to_fs(self.url)
            return fs, path

    @cached_property
    def size(self) -> int | None:
        fs, path = self._place
        with self._failures("read"):
            found: int | None = fs.size(path)
            return found

    def open(self) -> BinaryIO:
        fs, path = self._place
        with self._failures("read"):
            file: BinaryIO = fs.open(path, "rb")
            return file

    def part(self, start: int, stop: int) -> bytes:
        fs, path = self._place
        with self._failures("read"):
            data: bytes = fs.cat_file(path, start, stop) if stop > start else b""
            return data

    def size_now(self) -> int | None:
        """The size, not that of a listing from before another process wrote the object."""
        fs, path = self._place
        with self._failures("read"):
            fs.invalidate_cache(path.rpartition("/")[0])
        return Remote(self.url).size

    def put(self, file: Path) -> None:
        """Write the whole object at once: an object store has no rename."""
        fs, path = self._place
        with self._failures("written"):
            fs.put_file(str(file), path)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove it."""
        fs, path = self._place
        with self._failures("removed"):
            if not missing_ok or fs.exists(path):
                fs.rm_file(path)

    def exists(self) -> bool:
        """Whether it is there."""
        fs, path = self._place
        with self._failures("read"):
            return bool(fs.exists(path))

    def siblings(self) -> list[Remote]:
        """What is next to it."""
        fs, path = self._place
        with self._failures("read"):
            found = fs.ls(path.rpartition("/")[0], detail=False, refresh=True)
        return [self.with_name(one.rstrip("/").rpartition("/")[2]) for one in found]

    def matches(self) -> list[str]:
        """The URLs that it stands for, if it is a pattern with wildcards."""
        fs, path = self._place
        with self._failures("read"):
            found = sorted(fs.glob(path))
        if not found:
            raise FileError(f"{shown(self.url, 200)}: no object matches")
        return [fs.unstrip_protocol(one) for one in found]

    @contextmanager
    def _failures(self, verb: str) -> Iterator[None]:
        try:
            yield
        except TfdecodeError:
            raise
        except Exception as error:  # each file system of fsspec raises its own
            missing = isinstance(error, FileNotFoundError)
            why = "there is no such object" if missing else str(error) or type(error).__name__
            raise FileError(f"{shown(self.url, 200)}: cannot be {verb}: {why}") from None


def is_url(text: str) -> bool:
    """Whether a text is a URL, not the path of a file."""
    return bool(_URL.match(text))


def place(path: str | os.PathLike[str]) -> Path | Remote:
    """A path, or the object at a URL."""
    text = os.fspath(path)
    return Remote(text) if is_url(text) else Path(text)


def size_of(path: Path | Remote) -> int | None:
    """How many bytes it has now; OSError or FileError if it is not there."""
    return path.size_now() if isinstance(path, Remote) else path.stat().st_size


def held(source: Any, limit: int) -> str | os.PathLike[str]:
    """Bytes, or what is left of a binary file, as a `Source`; a path as it is."""
    if isinstance(source, bytes | bytearray | memoryview):
        return Held("bytes", bytes(source))
    if not hasattr(source, "read"):
        path: str | os.PathLike[str] = source
        return path
    name = getattr(source, "name", None)
    label = name if isinstance(name, str) and name else "file"
    data = source.read(limit + 1)
    if not isinstance(data, bytes):
        raise TypeError(f"{label} is a file of text, needs one opened in binary mode")
    return Held(label, data)
