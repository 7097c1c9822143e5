"""Writing outputs: where they go, never over an input, and never half of one."""

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
    """An argument that names a file; ``.``, ``/`` and nothing do not."""
    path = Path(text)
    if not path.name:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a file")
    return path


def outputs(inputs: Sequence[Path], out: str | None, rename: Callable[[str], str]) -> list[Path]:
    """The output of each input: beside it or, with ``-o``, in that directory or that file.

    ``out`` is the file itself for one input, and a directory for several, or when it ends in ``/``
    or is an existing directory; such a directory is made. UsageError where ``out`` is a file for
    several inputs.
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
    """UsageError where an output is an input, stands twice, or is no regular file."""
    identities = {identity: path for path in inputs if (identity := identity_of(path))}
    seen = set()
    for path in written:
        identity = identity_of(path)
        if identity in identities:
            raise UsageError(f"{path} would be overwritten, it is the input {identities[identity]}")
        place = (os.path.realpath(path.parent), path.name)
        if place in seen:
            raise UsageError(f"two inputs would both be written to {path}")
        seen.add(place)
        if path.exists() and not path.is_file():  # renaming over a device would remove it
            raise UsageError(f"cannot write {path}: it is not a regular file")


def identity_of(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common; None where there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def write_files(writers: Mapping[Path, Writer]) -> None:
    """Write files whole or not at all: all of them beside their places first, then renamed."""
    temporary: dict[Path, Path] = {}
    try:
        for path, write in writers.items():
            temporary[path] = path.with_name(f".tfdecode-{os.urandom(8).hex()}.tmp")
            try:
                with temporary[path].open("xb") as file:
                    write(file)
            except FileNotFoundError as error:
                folder = str(path.parent)
                raise OSError(error.errno, "the folder does not exist; make it", folder) from None
            except OSError as error:  # in the words of the place that was asked for
                raise OSError(error.errno, error.strerror or str(error), str(path)) from None
        for path in writers:
            os.replace(temporary[path], path)
            del temporary[path]
    finally:
        for left in temporary.values():
            with contextlib.suppress(OSError):
                left.unlink()
