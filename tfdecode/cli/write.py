"""Writing outputs: their paths, never over an input, and never half of one."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from .failure import UsageError

Writer = Callable[[BinaryIO], object]


def named_path(text: str) -> Path:
    """An argument that names a file; ``.``, ``/`` and the empty string do not."""
    path = Path(text)
    if not path.name:
        raise argparse.ArgumentTypeError(f"{text!r} is not a file name")
    return path


def outputs(inputs: Sequence[Path], out: str | None, rename: Callable[[str], str]) -> list[Path]:
    """The output path of each input: next to it or, with ``-o``, that directory or that file.

    ``out`` is a file only for one input, and not if it ends in ``/`` or is an existing directory.
    """
    if not out:
        return [path.with_name(rename(path.name)) for path in inputs]
    directory = Path(out)
    if len(inputs) == 1 and not out.endswith(("/", os.sep)) and not directory.is_dir():
        return [directory]
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"argument -o: {out} is a file, not a directory")
    directory.mkdir(parents=True, exist_ok=True)
    return [directory / rename(path.name) for path in inputs]


def refuse_overwriting(inputs: Iterable[Path], written: Sequence[Path]) -> None:
    """UsageError if an output is an input, occurs twice, or is not a regular file."""
    identities = {identity: path for path in inputs if (identity := identity_of(path))}
    seen = set()
    for path in written:
        identity = identity_of(path)
        if identity in identities:
            raise UsageError(
                f"{path} is also an input ({identities[identity]}); refusing to overwrite it"
            )
        resolved = (os.path.realpath(path.parent), path.name)
        if resolved in seen:
            raise UsageError(f"two inputs would both be written to {path}")
        seen.add(resolved)
        if path.exists() and not path.is_file():  # renaming over a device would remove it
            raise UsageError(f"cannot write {path}: it is not a regular file")


def identity_of(path: Path) -> tuple[int, int] | None:
    """Device and inode, equal for two names of one file; None if there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def write_files(writers: Mapping[Path, Writer | bytes]) -> None:
    """Write all files or none: into temporary files in the same directories, then renamed."""
    temporary: dict[Path, Path] = {}
    try:
        for path, write in writers.items():
            temporary[path] = path.with_name(f".tfdecode-{os.urandom(8).hex()}.tmp")
            try:
                with temporary[path].open("xb") as file:
                    file.write(write) if isinstance(write, bytes) else write(file)
            except FileNotFoundError as error:
                missing = "the directory does not exist"
                raise OSError(error.errno, missing, str(path.parent)) from None
            except OSError as error:  # name the file that was asked for, not the temporary one
                raise OSError(error.errno, error.strerror or str(error), str(path)) from None
        for path in writers:
            os.replace(temporary[path], path)
            del temporary[path]
    finally:
        for left in temporary.values():
            with contextlib.suppress(OSError):
                left.unlink()
