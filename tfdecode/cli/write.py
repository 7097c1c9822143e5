"""Writing outputs: their paths, never over an input, and never half of one."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO

from ..temporary import RENAMES_OPEN, create, remove_abandoned
from .failure import UsageError

Writer = Callable[[BinaryIO], object]
#: Names of temporary files, which a killed process leaves.
PREFIX, SUFFIX = ".tfdecode-", ".tmp"


def named_path(text: str) -> Path:
    """An argument that names a file; ``.``, ``/`` and the empty string do not."""
    path = Path(text)
    if not path.name:
        raise argparse.ArgumentTypeError(f"{text!r} is not a file name")
    return path


def outputs(
    inputs: Sequence[tuple[Path, Path]], out: str | None, rename: Callable[[str], str]
) -> list[Path]:
    """The output path of each input: next to it or, with ``-o``, that directory or that file.

    An input is its path and its place below the directory. ``out`` is a file only for one input,
    and not if it ends in ``/`` or is an existing directory.
    """
    if not out:
        return [path.with_name(rename(place.name)) for path, place in inputs]
    directory = Path(out)
    if len(inputs) == 1 and not out.endswith(("/", os.sep)) and not directory.is_dir():
        return [directory]
    for parent in (directory, *{directory / place.parent for _, place in inputs}):
        make_directory(parent)
    return [directory / place.parent / rename(place.name) for _, place in inputs]


def make_directory(path: Path) -> None:
    """Make the directory of ``-o``; UsageError if a file has its name."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"argument -o: {path} is a file, not a directory")
    path.mkdir(parents=True, exist_ok=True)


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


def refuse_other_suffix(out: Path, many: bool) -> None:
    """UsageError for an archive that would not end in .npz, such as a model's name by mistake."""
    if out.suffix.lower() != ".npz":
        each = f", or {out}/ for a file for each example" if many else ""
        raise UsageError(f"argument -o: {out} does not end in .npz; write {out}.npz{each}")


def identity_of(path: Path) -> tuple[int, int] | None:
    """Device and inode, equal for two names of one file; None if there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


@cache
def sweep(directory: Path) -> None:
    """Remove the temporary files that killed processes left in a directory; once a process."""
    for path in directory.glob(f"{PREFIX}{'[0-9a-f]' * 16}{SUFFIX}"):
        remove_abandoned(path)


def temporary_file(path: Path) -> tuple[Path, BinaryIO]:
    """A new file next to ``path``, locked so that no other process sweeps it."""
    sweep(path.parent)
    return create(lambda digits: path.with_name(f"{PREFIX}{digits}{SUFFIX}"))


def write_files(writers: Mapping[Path, Writer | bytes]) -> None:
    """Write all files or none: into temporary files in the same directories, then renamed."""
    temporary: dict[Path, Path] = {}
    try:
        with contextlib.ExitStack() as opened:  # and so locked, until they are renamed
            for path, write in writers.items():
                try:
                    temporary[path], file = temporary_file(path)
                    opened.enter_context(file)
                    file.write(write) if isinstance(write, bytes) else write(file)
                    file.flush()
                except FileNotFoundError as error:
                    missing = "the directory does not exist"
                    raise OSError(error.errno, missing, str(path.parent)) from None
                except OSError as error:  # name the file that was asked for
                    raise OSError(error.errno, error.strerror or str(error), str(path)) from None
            if not RENAMES_OPEN:
                opened.close()
            for path in writers:
                os.replace(temporary[path], path)
                del temporary[path]
    finally:
        for left in temporary.values():
            with contextlib.suppress(OSError):
                left.unlink()
