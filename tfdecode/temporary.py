"""Temporary files that are locked while they are written: who cleans up leaves them alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:
    fcntl = None

#: Whether an open file keeps its lock while it is renamed; Windows renames no open file.
RENAMES_OPEN = fcntl is not None
_BUFFER = 2**20
# Zero if the system has no such flag. Writable: NFS gives no exclusive lock otherwise.
_FLAGS = sum(getattr(os, flag, 0) for flag in ("O_RDWR", "O_NONBLOCK", "O_NOFOLLOW", "O_NOCTTY"))


def create(named: Callable[[str], Path]) -> tuple[Path, BinaryIO]:
    """A new file, locked until it is closed, and its path, which ``named`` makes of 16 digits."""
    while True:
        path = named(os.urandom(8).hex())
        try:
            file = path.open("xb", _BUFFER)
            try:
                if fcntl is None or (_locked(file.fileno()) and path.exists()):
                    return path, file
            except OSError:  # a file system without locks, where nothing is removed either
                return path, file
            file.close()  # removed before it was locked
        except OSError:
            raise
        except BaseException:  # Ctrl-C, which can come as soon as the file is there
            path.unlink(missing_ok=True)
            raise


def remove_abandoned(path: Path) -> None:
    """Remove a temporary file, unless a process still writes it or it cannot be locked."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(path, _FLAGS)
        try:
            if _locked(descriptor):
                path.unlink()
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Lock a file until it is closed; False if somebody else has locked it."""
    assert fcntl is not None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
