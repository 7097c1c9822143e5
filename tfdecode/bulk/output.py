"""A file that gets its name when it is complete."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import tempfile
import zlib
from pathlib import Path

from ..sources import Remote
from ..temporary import RENAMES_OPEN, create, remove_abandoned


class Output:
    """Write a file under a hidden name next to ``path``; rename it if the block ends well.

    An object at a URL is written to a temporary file of this machine, and then at once. A name that
    ends in ``.gz`` is compressed. ``size`` and ``sha256`` are those of the file. Its time is when
    it was begun, so an input that changes meanwhile is newer.
    """

    def __init__(self, path: Path | Remote) -> None:
        self._path = path
        self._folder = Path(tempfile.gettempdir()) if isinstance(path, Remote) else path.parent
        self._hash = hashlib.sha256()
        # 31: gzip, whose header then holds neither a time nor a name: the same bytes every time.
        self._gzip = zlib.compressobj(6, zlib.DEFLATED, 31) if path.suffix == ".gz" else None
        self.size = 0

    @property
    def sha256(self) -> str:
        """The hash of all bytes so far, in hexadecimal."""
        return self._hash.hexdigest()

    def __enter__(self) -> Output:
        if isinstance(self._path, Remote):  # nobody else looks there for what a killed run left
            digits = "[0-9a-f]" * 16
            for path in self._folder.glob(hidden(glob.escape(self._path.name), f"{digits}.tmp")):
                remove_abandoned(path)
        try:
            self._temporary, self._file = create(
                lambda digits: self._folder / hidden(self._path.name, f"{digits}.tmp")
            )
            self._begin = os.fstat(self._file.fileno()).st_mtime_ns
        except FileNotFoundError as error:
            missing = "the directory does not exist"
            raise OSError(error.errno, missing, str(self._folder)) from None
        except OSError as error:
            raise self._named(error) from None
        return self

    def _named(self, error: OSError) -> OSError:
        """The error with the name of the file that was asked for."""
        return OSError(error.errno, error.strerror or str(error), str(self._path))

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._append(self._gzip.compress(data) if self._gzip else data)

    def _append(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise self._named(error) from None

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if error is None:
                if self._gzip:
                    self._append(self._gzip.flush())
                self._file.flush()
                # A name must not survive a crash that its bytes do not.
                os.fsync(self._file.fileno())
                if not RENAMES_OPEN:
                    self._file.close()
                with contextlib.suppress(OSError):  # a file system that sets no times
                    os.utime(self._temporary, ns=(self._begin, self._begin))
                if isinstance(self._path, Remote):
                    self._path.put(self._temporary)
                else:  # still locked, or `finish` of another run could remove it now
                    os.replace(self._temporary, self._path)
        except OSError as failed:
            raise self._named(failed) from None
        finally:
            with contextlib.suppress(OSError):  # of a full disk, once more
                self._file.close()
            self._temporary.unlink(missing_ok=True)


def hidden(name: str, suffix: str) -> str:
    """A name for a file next to that one, which patterns such as ``train-*`` do not find."""
    return f".{name.lstrip('.')}.{suffix}"
