"""Numbers as text, a row a line: ``.csv``, ``.tsv`` and what `numpy.savetxt` writes (RFC 4180)."""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import nan
from typing import ClassVar, Literal, NamedTuple, NoReturn

import numpy as np

from ..errors import RAISE_LIMIT, FileError
from .contents import MAX_BYTES, Array, Contents, Entry, shown
from .notation import ERROR_VALUE, is_missing, is_name, is_number, is_text, number, problem

# A cell takes some 60 bytes while its line is read: these bound what a line can take.
_CELLS = 2**20
_LINE = 2**25
# Lines above the numbers: a text of words is no table.
_ABOVE = 1000
# Cells that are looked at, to tell columns of words: each can take 50 us.
_ASKED = 2**15
_EXACT = 2**53
_TEXT = "column of text; give it numbers, such as the index of each word"
_SHOWN = 20
_FILL = (
    "if the value is missing, read it as NaN by --missing nan, in Python "
    'tfdecode.load(path, missing="nan")'
)


class Layout(NamedTuple):
    """How a table is written: what its lines are before the numbers are read."""

    #: Between cells; None for any white space.
    mark: str | None
    #: The names of the columns, or none.
    names: Sequence[str]
    #: The lines of titles and names: numbers begin after line ``skip``, and `first` is their first.
    skip: int
    first: int
    columns: int
    #: Whether each line ends in a mark, after which there is no cell.
    trailing: bool
    #: The columns of words, which are left out.
    texts: Sequence[int] = ()


@dataclass(frozen=True)
class Table(Contents):
    """The one matrix of a text, and the ``names`` of its columns; others are columns of words."""

    names: Sequence[str] = ()
    partial: ClassVar[bool] = True

    def read(self, key: str | None = None, *, max_bytes: int = MAX_BYTES) -> Array:
        """The matrix; for the name of a column, a `FileError` says where it is."""
        if key and key in self.names:
            take = f"read the whole matrix and take [:, {list(self.names).index(key)}]"
            raise FileError(f"holds no array named {shown(key)}: it is a column; {take}")
        return super().read(key, max_bytes=max_bytes)


def contents(
    data: bytes, *, max_bytes: int = MAX_BYTES, missing: Literal["nan"] | None = None
) -> Table:
    """One float64 matrix ``[rows, columns]``; each cell is read as Python's ``float`` reads it.

    Always float64 of two dimensions: the values of today do not decide the dtype of tomorrow. An
    integer that float64 does not hold exactly is an error. Cells are separated by tab, ``;``, ``,``
    or, if the first line of numbers has none of them, by white space. Lines before that one are
    skipped if all their cells are names: words that begin with a letter and are no data in another
    notation, as 0,5 or 12:30 are. So are empty lines and those that begin with ``#`` or ``%``. If
    columns have names, those of words are left out.
    """
    if missing not in (None, "nan"):
        raise FileError(f'missing is {missing!r}, needs None or "nan"')
    try:
        layout = layout_of(data)
        layout = layout._replace(texts=_texts(data, layout))
        numbers = _parse(data, layout, max_bytes, missing is not None)
    except UnicodeDecodeError:
        what = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "no UTF-8"
        raise FileError(f"is {what} text; save it as UTF-8") from None
    entry = Entry("", numbers.dtype, numbers.shape, lambda: numbers)
    others = {layout.names[at] or f"column {at + 1}": _TEXT for at in layout.texts}
    names = [name for at, name in enumerate(layout.names) if at not in layout.texts]
    return Table([entry], others, names=names)


def layout_of(data: bytes) -> Layout:
    """How a text is written; FileError if its first line that is no header cannot be a row."""
    if b"\0" in data[:4096] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise FileError("is no text: it has null bytes")
    mark: str | None = None
    header: tuple[int, str] | None = None
    skip = 0
    for count, (first, line) in enumerate(_lines(data, "#")):
        if count >= _ABOVE:
            raise FileError(f"holds no row of numbers in its first {_ABOVE} lines")
        if line[0] == "%":
            skip = first
            continue
        if stated := re.fullmatch(r'"?sep=([^\w\s]|\t)"?\s*', line):
            mark, skip = stated[1], first
            continue
        own = mark or _mark(line)
        cells = [cell for cell in _cells(first, line, own) if not cell.isspace() and cell]
        if cells and all(map(is_name, cells)):
            header, skip = (first, line), first
            continue
        break
    else:
        raise FileError("holds no row of numbers" + (" below its header" if header else ""))
    mark = own
    cells = _cells(first, line, mark)
    names = _names(header, first, mark, len(cells)) if header else []
    trailing = bool(mark) and len(cells) > 1 and not cells[-1].strip()
    if trailing and (not names or not names[-1]):
        trailing = all(line.rstrip(" \r\n").endswith(mark or "") for _, line in _data(data, first))
    else:
        trailing = False
    columns = len(cells) - trailing
    if not skip and not cells[0].strip() and _are_indices(cells[1:]):
        raise FileError(
            f"line {first} may be numbers, or the header that pandas writes for columns without "
            "names; give them names, or write header=False and index=False"
        )
    return Layout(mark, names[:columns], skip, first, columns, trailing)


def _names(header: tuple[int, str], first: int, mark: str | None, columns: int) -> list[str]:
    """The names of the columns by the last line above the numbers; none if it is a title."""
    number, line = header
    names = [cell.strip() for cell in _cells(number, line, mark)]
    if len(names) == columns:
        return names
    # R gives the names of the rows no name.
    if len(names) == columns - 1 and (len(names) > 1 or '"' in line):
        return ["", *names]
    if mark and mark in line:
        raise FileError(
            f"line {number} has {len(names)} names where line {first} has {columns} cells"
        )
    return []


def _parse(data: bytes, layout: Layout, max_bytes: int, fill: bool) -> Array:
    # float() also takes 1_000 and the digits of every script, which no program writes into a table.
    read = float if data.isascii() and b"_" not in data else number
    numbers = array("d")
    columns, kept = layout.columns, _kept(layout)
    for line, cells in rows(data, layout):
        if len(cells) != columns:
            start = f"line {layout.first}" if line > layout.first else "it"
            raise FileError(f"line {line} has {len(cells)} cells where {start} has {columns}")
        done = len(numbers)
        try:
            numbers.extend(map(read, [cells[at] for at in kept] if layout.texts else cells))
        except ValueError:
            del numbers[done:]
            numbers.extend(_filled(layout, line, cells, fill))
        if 8 * len(numbers) > max_bytes:
            raise FileError(
                f"the array decodes to more than the limit of {max_bytes} bytes; {RAISE_LIMIT}"
            )
    matrix = np.frombuffer(numbers).reshape(-1, len(kept))
    _check_integers(data, layout, matrix)
    return matrix


def _texts(data: bytes, layout: Layout) -> list[int]:
    """The columns of words, if columns have names: the first cell that tells is one."""
    unknown = list(range(layout.columns)) if layout.names else []
    texts, left = [], _ASKED
    for _, cells in rows(data, layout):
        kinds = {at: is_text(cells[at]) for at in unknown[:left] if at < len(cells)}
        texts += [at for at, text in kinds.items() if text]
        left -= len(kinds)
        if not (unknown := [at for at in unknown if kinds.get(at) is None]) or left <= 0:
            break
    return sorted(texts) if len(texts) < layout.columns else []


def _kept(layout: Layout) -> list[int]:
    """The columns of numbers."""
    return [at for at in range(layout.columns) if at not in layout.texts]


def rows(data: bytes, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line of numbers; a quoted cell must end in its line."""
    for place, line in _data(data, layout.first):
        cells = _cells(place, line, layout.mark)
        yield place, cells[:-1] if layout.trailing else cells


def _data(data: bytes, first: int) -> Iterator[tuple[int, str]]:
    return ((place, line) for place, line in _lines(data) if place >= first)


def _lines(data: bytes, comments: str = "#%") -> Iterator[tuple[int, str]]:
    """The lines that are neither empty nor begin so, with their numbers from 1 on."""
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=None)
    number = 0
    while line := text.readline(_LINE):
        if len(line) == _LINE:
            raise FileError(f"has a line of more than {_LINE} characters, so it is no table")
        number += 1
        comment = line[0] in comments and not re.match(ERROR_VALUE, line)
        if not comment and not line.isspace():
            yield number, line


def _mark(line: str) -> str | None:
    return next((mark for mark in "\t;," if mark in line), None)


def _cells(number: int, line: str, mark: str | None) -> list[str]:
    if mark is None and '"' in line:
        quoted = re.finditer(r'"([^"]*)"(?!\S)|(\S+)', line)
        cells = [found[1] or found[2] or "" for found in islice(quoted, _CELLS + 1)]
    elif mark is None:
        cells = line.split(None, _CELLS)
    elif line.count(mark) >= _CELLS:
        cells = [""] * (_CELLS + 1)
    elif '"' in line:
        try:
            cells = next(csv.reader([line], delimiter=mark, skipinitialspace=True, strict=True))
        except csv.Error as error:
            ends = "unexpected end" in str(error)
            what = "a quoted cell that does not end in it" if ends else str(error)
            raise FileError(f"is no table: line {number} has {what}") from None
    else:
        cells = line.split(mark)
    if len(cells) > _CELLS:
        raise FileError(f"has a line of more than {_CELLS} cells; save the array by numpy.save")
    return cells


def _are_indices(cells: Sequence[str]) -> bool:
    """Whether these are 0, 1, 2 and so on."""
    return bool(cells) and [cell.strip() for cell in cells] == list(map(str, range(len(cells))))


def _filled(layout: Layout, line: int, cells: list[str], fill: bool) -> Iterator[float]:
    """The numbers of a line in which some are missing, as NaN; FileError for any other cell."""
    for at in _kept(layout):
        cell = cells[at]
        if is_number(cell):
            yield number(cell)
        elif fill and is_missing(cell):
            yield nan
        else:
            _refuse(layout, line, at + 1, cell.strip())


def _refuse(layout: Layout, line: int, column: int, cell: str) -> NoReturn:
    where = f"line {line}, column {column} is"
    if not cell:
        raise FileError(f"{where} empty; {_FILL}")
    if is_missing(cell):
        raise FileError(f"{where} {shown(cell, _SHOWN)}; {_FILL}")
    advice = problem(cell)
    if advice:
        named = line == layout.first and not layout.names and any(map(str.isalpha, cell))
        header = "; if the line is a header, begin each name with a letter" if named else ""
        raise FileError(f"{where} no number: {shown(cell, _SHOWN)} {advice}{header}")
    header = ", or the line if it is a header" if line == layout.first else ""
    raise FileError(f"{where} no number: {shown(cell, _SHOWN)}; leave the column out{header}")


def _check_integers(data: bytes, layout: Layout, matrix: Array) -> None:
    """Integers beyond 2**53 are looked at again: float64 has not all of them."""
    large = np.any((matrix >= _EXACT) | (matrix <= -_EXACT), axis=1).tolist()
    if not any(large):
        return
    kept = _kept(layout)
    for (line, cells), suspect, values in zip(rows(data, layout), large, matrix, strict=True):
        for at, value in zip(kept, values.tolist(), strict=True) if suspect else ():
            digits = cells[at].strip().lstrip("+-")
            # Python refuses to parse more digits, and float64 has no integer of as many.
            if digits.isdecimal() and (len(digits) > 309 or int(cells[at]) != value):
                raise FileError(
                    f"line {line}, column {at + 1} is an integer that float64 does not hold; "
                    "save the array by numpy.save, or write a decimal point to have it rounded"
                )
