"""Builds the program that serves a SavedModel without Python, against the TensorFlow wheel."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent
CACHE = SOURCE.parent / "build" / "runtime"
COMPILERS = ("gcc", "cc", "clang")
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")
LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
#: Wheels before 2.11 have the C API in a library that needs the symbols of a Python, any will do.
OLD_LIBRARIES = ("python/_pywrap_tensorflow_internal.so", "libtensorflow_framework.so.2")
DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tf-nightly", "tf-nightly-cpu")


class NoCompiler(RuntimeError):
    """There is no C compiler to build with."""


def find_tensorflow() -> pathlib.Path:
    """The folder of the installed package, found without the seconds an import takes."""
    spec = importlib.util.find_spec("tensorflow")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = pathlib.Path(location)
        if all((folder / library).is_file() for library in LIBRARIES):
            return folder
    raise RuntimeError("no TensorFlow wheel with " + " and ".join(LIBRARIES) + " is installed")


def tensorflow_version() -> str:
    for name in DISTRIBUTIONS:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


def libraries(tensorflow: pathlib.Path) -> list[str]:
    """Where a package has the C API, as arguments of the linker."""
    new = (tensorflow / LIBRARIES[0]).is_file()
    files = [tensorflow / library for library in (LIBRARIES if new else OLD_LIBRARIES)]
    options = [f"-Wl,-rpath,{folder}" for folder in sorted({file.parent for file in files})]
    if not new:  # its Python has one symbol that newer ones have not, and it is never read
        python = f"-lpython{sys.version_info.major}.{sys.version_info.minor}"
        options += ["-Wl,--no-as-needed,--defsym=_Py_CheckRecursionLimit=main", python]
    return [*options, *map(str, files)]


def build(
    directory: pathlib.Path | None = None, tensorflow: pathlib.Path | None = None
) -> pathlib.Path:
    """Path of the program, built into `directory` unless it is there already.

    `tensorflow` is the folder of a package, by default of the installed one.
    """
    directory = (directory or CACHE).resolve()
    version = str(tensorflow) if tensorflow else tensorflow_version()
    tensorflow = tensorflow or find_tensorflow()
    sources = sorted(SOURCE.glob("*.[ch]"))
    digest = hashlib.sha256()
    for text in (version, str(tensorflow), *FLAGS):
        digest.update(text.encode() + b"\0")
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    program = directory / f"runtime-{digest.hexdigest()[:16]}"
    if program.is_file():
        return program

    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise NoCompiler("no C compiler found: " + ", ".join(COMPILERS))
    directory.mkdir(parents=True, exist_ok=True)
    # Built aside and renamed: another process may be building, or running, the same program.
    with tempfile.TemporaryDirectory(dir=directory) as aside:
        built = pathlib.Path(aside) / program.name
        command = [
            *(compiler, *FLAGS, "-isystem", str(tensorflow / "include")),
            *(str(source) for source in sources if source.suffix == ".c"),
            *libraries(tensorflow),
            *("-o", str(built)),
        ]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace"
        )
        if done.returncode != 0:
            raise RuntimeError(f"{compiler} failed:\n{done.stderr.strip()}")
        os.replace(built, program)
    return program


if __name__ == "__main__":
    print(build())
