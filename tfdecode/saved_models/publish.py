"""A model under construction, and the version directory that it becomes."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from ..errors import ExportError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows, where leftovers of killed exports stay
    fcntl = None

#: Servers read the number of a version as int64.
MAX_VERSION = 2**63 - 1


def publish(build: Callable[[Path], None], base: Path, version: int | None) -> Path:
    """Call ``build`` with a path to write a model to; if that succeeds, make it a version."""
    with workspace(base) as folder:
        build(folder / "model")
        return rename(folder / "model", base, version)


@contextlib.contextmanager
def workspace(base: Path) -> Iterator[Path]:
    """A directory to build in, on the file system of the versions, under a name servers ignore.

    Nothing of it is left afterwards.
    """
    if base.is_file():
        raise ExportError(f"{base} is a file; pass the directory of the versions")
    if (base / "saved_model.pb").exists():
        raise ExportError(f"{base} is a SavedModel; pass the directory of its versions")
    existed = base.exists()
    try:
        base.mkdir(parents=True, exist_ok=True)
        temporary, lock = made(base)
    except OSError as error:
        raise ExportError(f"{base}: cannot be written: {error.strerror}") from None
    try:
        yield temporary
    except OSError as error:
        raise ExportError(f"{base}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        release(lock)
        if not existed:
            with contextlib.suppress(OSError):  # not empty: a version is in it
                base.rmdir()


def made(base: Path) -> tuple[Path, int | None]:
    """A new directory to build in, locked while this process lives; those of dead ones go."""
    with locked(base, wait=True):  # between making and locking it nobody may sweep it
        for left in base.glob(".tfdecode-*"):
            with locked(left) as free:
                if free:
                    shutil.rmtree(left, ignore_errors=True)
        # Servers look at directories with a number for a name only.
        temporary = Path(tempfile.mkdtemp(prefix=".tfdecode-", dir=base))
        return temporary, acquire(temporary)


@contextlib.contextmanager
def locked(directory: Path, wait: bool = False) -> Iterator[bool]:
    """Hold the lock of a directory; whether it was free."""
    lock = acquire(directory, wait)
    try:
        yield lock is not None
    finally:
        release(lock)


def acquire(directory: Path, wait: bool = False) -> int | None:
    """Lock a directory until it is released or this process ends; None if it cannot be locked."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # another process has it, or the file system has no locks
        os.close(descriptor)
        return None
    return descriptor


def release(lock: int | None) -> None:
    """Give back what ``acquire`` returned."""
    if lock is not None:
        os.close(lock)


def rename(built: Path, base: Path, version: int | None) -> Path:
    """Rename to a version directory, atomically: both are on the same file system."""
    while True:
        numbers = [int(p.name) for p in base.iterdir() if p.name.isdecimal()]
        number = version if version is not None else max(numbers, default=0) + 1
        if number > MAX_VERSION:
            raise ExportError(f"{base} has version {number - 1}, the last that servers read")
        target = base / str(number)
        try:
            if target.exists():  # an empty directory would be replaced
                raise FileExistsError
            os.rename(built, target)
            return target
        except OSError as error:
            if error.errno not in (None, errno.EEXIST, errno.ENOTEMPTY):
                raise
            if version is not None:
                raise ExportError(f"{target} exists: versions are never overwritten") from None
            # Another export took the number: the next one.
