"""A file that gets its name when it is complete."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path


class Output:
    """Write a file under a hidden name next to ``path``; rename it if the block ends well.

    A name that ends in ``.gz`` is compressed. ``size`` and ``sha256`` are those of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = hidden(path, f"{os.urandom(8).hex()}.tmp")
        self._hash = hashlib.sha256()
        # 31: gzip, whose header then holds neither a time nor a name: the same bytes every time.
        self._gzip = zlib.compressobj(6, zlib.DEFLATED, 31) if path.suffix == ".gz" else None
        self.size = 0

    @property
    def sha256(self) -> str:
        """The hash of all bytes so far, in hexadecimal."""
        return self._hash.hexdigest()

    def __enter__(self) -> Output:
        self._file = self._temporary.open("xb", 2**20)
        return self

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._append(self._gzip.compress(data) if self._gzip else data)

    def _append(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)
        self._file.write(data)

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if error is None:
                if self._gzip:
                    self._append(self._gzip.flush())
                self._file.flush()
                os.fsync(
                    self._file.fileno()
                )  # a name must not survive a crash that its bytes don't
            self._file.close()
            if error is None:
                os.replace(self._temporary, self._path)
        finally:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


def hidden(path: Path, suffix: str) -> Path:
    """A name next to ``path`` that patterns such as ``train-*`` do not find."""
    return path.with_name(f".{path.name.lstrip('.')}.{suffix}")
