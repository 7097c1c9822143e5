"""The inputs of a command line: files, directories, a list of files, standard input."""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from hashlib import blake2b
from heapq import nsmallest
from itertools import chain
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import NamedTuple, NoReturn, TypeVar, cast
from urllib.parse import quote

from .. import reading
from ..errors import FileError
from ..sources import Remote, is_url, place
from .failure import UsageError, note
from .source import DASH, parse_path_key
from .write import named_path

Item = TypeVar("Item")
#: Payloads and their specs, which no one takes for left out.
OWN = (".tfd", ".tfd.json")
#: The files that stand for standard input.
SPOOLED: set[Path] = set()
ONCE = "standard input (-) can be read only once"
#: Bytes of a line of ``--files-from``; Linux has no longer paths.
MAX_LINE = 2**13
#: Bytes of names that are kept in memory.
SPOOLED_BYTES = 2**26
#: Bytes that are read of standard input.
MAX_STDIN = 2**32


class Input(NamedTuple):
    """A file that is read, which of its arrays, and the name of the output below ``-o``."""

    path: Path
    key: str | None
    place: Path

    @classmethod
    def at(cls, path: str, key: str | None) -> Input:
        """A file, or the object at a URL, of which no output is named after it."""
        return cls(cast(Path, place(path)), key, Path())


def add_inputs(parser: argparse.ArgumentParser, metavar: str, what: str) -> None:
    """Files, and ``--files-from``."""
    add = parser.add_argument
    text = f"{what}; a directory for all in it and below that is not hidden; - for standard input"
    add("files", nargs="*", metavar=metavar, help=text)
    listed = "read more of these arguments from LIST, one a line; - for standard input"
    add("--files-from", metavar="LIST", help=listed)


def inputs_of(
    arguments: argparse.Namespace, metavar: str, wanted: Callable[[Path], bool], what: str
) -> list[Input]:
    """All inputs of a command line; of directories those that are ``wanted``, called ``what``."""
    return list(each_input(arguments, metavar, wanted, what))


def each_input(
    arguments: argparse.Namespace, metavar: str, wanted: Callable[[Path], bool], what: str
) -> Iterator[Input]:
    """The same one by one: a list of files may have millions."""
    if arguments.files_from == DASH and DASH in arguments.files:
        raise UsageError("argument --files-from: standard input cannot be both a list and a file")
    if not arguments.files and arguments.files_from is None:
        raise UsageError(f"the following arguments are required: {metavar} or --files-from LIST")
    key = getattr(arguments, "key", None)
    spooled = False
    if arguments.files.count(DASH) > 1:
        raise UsageError(ONCE)
    for text in chain(arguments.files, listed(arguments.files_from)):
        if text == DASH and spooled:
            raise UsageError(ONCE)
        spooled |= text == DASH
        if is_url(text) and getattr(arguments, "tfrecord", None) is not None:
            yield from objects_at(text, key)
            continue
        yield from inputs_in(text, key, wanted, what)


def objects_at(text: str, key: str | None) -> Iterator[Input]:
    """The object at ``URL[#KEY]``, or those that a pattern stands for."""
    url, mark, own = text.partition("#")
    if mark and key is not None:
        raise UsageError("argument --key: not allowed with a FILE that has a #KEY")
    found = Remote(url).matches() if "*" in url else [url]
    yield from (Input.at(one, own if mark else key) for one in found)


def inputs_in(
    text: str, key: str | None, wanted: Callable[[Path], bool], what: str
) -> Iterator[Input]:
    """The input that an argument names, or those in a directory."""
    if text == DASH:
        yield Input(standard_input(), key, Path("stdin"))
        return
    try:
        path, own = parse_path_key(text)
        if os.path.isdir(path) and path.name in ("", ".."):
            path = path.absolute()
        named_path(str(path))
    except argparse.ArgumentTypeError as error:
        raise UsageError(str(error)) from None
    if own is not None and key is not None:
        raise UsageError("argument --key: not allowed with a FILE that has a #KEY")
    chosen = key if own is None else own
    if not os.path.isdir(path):  # unlike Path.is_dir it takes a name of any length
        reading.check_url(text)
        # Injective, and without a "/": two keys never share an output.
        suffix = "" if chosen is None else f".{quote(chosen, safe=',=()[] +')}"
        yield Input(path, chosen, Path(f"{path.name}{suffix}"))
        return
    if own is not None:
        raise UsageError(f"{path} is a directory, so it has no array #{own}")
    files = sorted(files_below(path))
    good = [file for file in files if wanted(file) and reading.is_regular(file)]
    if not good:
        raise FileError(f"{reading.name(path)}: is a directory without {what}")
    taken = set(good)
    others = [file for file in files if file not in taken and not file.name.endswith(OWN)]
    left = Counter(file.suffix or file.name for file in others)
    if left:
        order = sorted(left, key=lambda suffix: (-left[suffix], suffix))
        kinds = ", ".join(f"{left[suffix]} {suffix}" for suffix in order[:8])
        more = f" and {len(left) - 8} other kinds" if len(left) > 8 else ""
        total = len(good) + len(others)
        note(f"{path}: {len(good)} of {total} files are taken; left out: {kinds}{more}")
    for file in good:
        below = file.relative_to(path)
        ending = "" if key is None else f".{quote(key, safe=',=()[] +')}"
        yield Input(file, key, below.with_name(f"{below.name}{ending}"))


def files_below(directory: Path) -> Iterator[Path]:
    """The files of a directory and below, without what is hidden: ``.git``, ``._map.npy``.

    FileError if one of the directories cannot be read: its files would be missing without a word.
    """

    def refuse(error: OSError) -> NoReturn:
        raise FileError(f"{error.filename}: cannot be read: {error.strerror}")

    for folder, below, names in os.walk(directory, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".") and name != "__MACOSX"]
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def listed(source: str | None) -> Iterator[str]:
    """The lines of ``--files-from``, without empty ones."""
    if source is None:
        return
    lists = False
    with nullcontext((sys.stdin.buffer, 0)) if source == DASH else reading.opened(source) as opened:
        while line := opened[0].readline(MAX_LINE):
            if b"\0" in line or len(line) == MAX_LINE:
                what = "a zero byte" if b"\0" in line else f"a line of {MAX_LINE} bytes"
                raise FileError(f"{source}: has {what}, so it is not a list of files, one a line")
            if text := line.rstrip(b"\n").removesuffix(b"\r"):
                lists = True
                yield os.fsdecode(text)
    if not lists:
        raise FileError(f"{source}: lists no file")


class Spool:
    """Files and keys that are read more than once: on disk, if there are many."""

    def __init__(self, pairs: Iterable[tuple[str, str | None]]) -> None:
        self._file = SpooledTemporaryFile(  # noqa: SIM115
            SPOOLED_BYTES, "w+", encoding="ascii"
        )
        for pair in pairs:
            self._file.write(f"{json.dumps(pair)}\n")

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        self._file.seek(0)
        for line in self._file:
            path, key = json.loads(line)
            yield path, key


def sampled(items: Iterable[Item], count: int) -> list[Item]:
    """Some of many items, in their order, chosen by what they are."""
    hashed = ((blake2b(ascii(one).encode()).digest(), n, one) for n, one in enumerate(items))
    found = nsmallest(count, hashed, key=lambda row: row[:2])
    return [one for _, _, one in sorted(found, key=lambda row: row[1])]


def standard_input() -> Path:
    """A file with all bytes of standard input, removed at the end of the program."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("standard input (-) is a terminal; send a file into it: < FILE")
    import tempfile

    folder = tempfile.mkdtemp(prefix="tfdecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "stdin")
    SPOOLED.add(path)
    with path.open("wb") as file:
        while piece := sys.stdin.buffer.read(2**20):
            if file.tell() + len(piece) > MAX_STDIN:
                raise FileError(f"standard input has more than {MAX_STDIN} bytes")
            file.write(piece)
    return path


def shown_path(path: Path) -> str:
    """The name of an input in reports and messages."""
    return DASH if path in SPOOLED else str(path)


def to_stdout(data: bytes) -> None:
    """Write bytes to standard output; UsageError if it is a terminal."""
    if sys.stdout.isatty():
        raise UsageError("argument -o: standard output (-) is a terminal; redirect it: > FILE")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def needs_one_output(arguments: argparse.Namespace, inputs: Sequence[Input], needs: str) -> None:
    """UsageError unless ``-o -`` stands for the output of one file; ``needs`` is an option."""
    if len(inputs) != 1:
        raise UsageError("argument -o: standard output (-) takes one file")
    if needs and getattr(arguments, needs) is None:
        raise UsageError(
            f"argument -o: standard output (-) needs --{needs}, for only the payload goes there"
        )
    if arguments.json:
        raise UsageError("argument --json: not allowed with -o -, which is standard output too")
