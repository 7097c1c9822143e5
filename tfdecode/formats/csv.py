"""Numbers as text, a row a line: ``.csv``, ``.tsv`` and what `numpy.savetxt` writes (RFC 4180)."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterator

import numpy as np

from ..errors import RAISE_LIMIT, FileError
from .contents import MAX_BYTES, Array, Contents, Entry, shown

# A cell takes some 60 bytes while its line is read: these bound what a line can take.
_CELLS = 2**20
_LINE = 2**25
_EXACT = 2**53
_SHOWN = 20


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """One float64 matrix ``[rows, columns]``; each cell is read as Python's ``float`` reads it.

    Always float64 of two dimensions: the values of today do not decide the dtype of tomorrow. An
    integer that float64 does not hold exactly is an error. Cells are separated by tab, ``;``, ``,``
    or, if the first line has none of them, by white space. That line is skipped if none of its
    cells is a number; so are empty lines and those that begin with ``#``.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileError("is UTF-16 text; save it as UTF-8")
    if b"\0" in data[:4096]:
        raise FileError("is no text: it has null bytes")
    try:
        names, numbers = _parse(data, max_bytes)
    except UnicodeDecodeError:
        raise FileError("is no UTF-8 text; save it as UTF-8") from None
    except csv.Error as error:
        raise FileError(f"is no table: {error}") from None
    others = {
        name: f"a column; read the whole matrix and take [:, {index}]"
        for index, name in enumerate(names)
    }
    return Contents([Entry("", numbers.dtype, numbers.shape, lambda: numbers)], others)


def _parse(data: bytes, max_bytes: int) -> tuple[list[str], Array]:
    # float() also takes 1_000 and the digits of every script, which no program writes into a table.
    read = float if data.isascii() and b"_" not in data else _number
    names: list[str] = []
    numbers = array("d")
    columns = rows = 0
    for line, cells in _rows(data):
        if not columns:
            columns = len(cells)
            if not any(map(_is_number, cells)) and all(map(str.strip, cells)):
                names = [cell.strip() for cell in cells]
                continue
        if len(cells) != columns:
            raise FileError(f"line {line} has {len(cells)} cells where the first has {columns}")
        try:
            numbers.extend(map(read, cells))
        except ValueError:
            raise _no_number(line, cells) from None
        rows += 1
        if 8 * len(numbers) > max_bytes:
            raise FileError(
                f"the array decodes to more than the limit of {max_bytes} bytes; {RAISE_LIMIT}"
            )
    if not rows:
        raise FileError("holds no row of numbers" + (" below its header" if names else ""))
    matrix = np.frombuffer(numbers).reshape(rows, columns)
    _check_integers(data, matrix, skip=bool(names))
    return names, matrix


def _rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that may be a row; a quoted cell must end in its line."""
    mark: str | None = None
    for number, line in _lines(data):
        if not number:
            mark = next((mark for mark in "\t;," if mark in line), None)
            continue
        if mark is None:
            cells = line.split(None, _CELLS)
        elif line.count(mark) >= _CELLS:
            cells = [""] * (_CELLS + 1)
        elif '"' in line:
            cells = next(csv.reader([line], delimiter=mark, skipinitialspace=True, strict=True))
        else:
            cells = line.split(mark)
        if len(cells) > _CELLS:
            raise FileError(f"has a line of more than {_CELLS} cells; save the array by numpy.save")
        yield number, cells


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """The lines that may be rows with their numbers from 1 on, and the first one before, as 0."""
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=None)
    number, began = 0, False
    while line := text.readline(_LINE):
        if len(line) == _LINE:
            raise FileError(f"has a line of more than {_LINE} characters, so it is no table")
        number += 1
        if line.startswith("#") or line.isspace():
            continue
        if not began:
            began = True
            yield 0, line
        yield number, line


def _number(cell: str) -> float:
    if "_" in cell or not cell.isascii():
        raise ValueError
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def _no_number(line: int, cells: list[str]) -> FileError:
    column = next(index for index, cell in enumerate(cells) if not _is_number(cell))
    cell = cells[column].strip()
    where = f"line {line}, column {column + 1}"
    if not cell:
        return FileError(f"{where} is empty; fill it (nan is a number)")
    advice = "write decimals with a point" if "," in cell else "leave the column out"
    return FileError(f"{where} is no number: {shown(cell, _SHOWN)}; {advice}")


def _check_integers(data: bytes, matrix: Array, skip: bool) -> None:
    """Integers beyond 2**53 are looked at again: float64 has not all of them."""
    large = np.any((matrix >= _EXACT) | (matrix <= -_EXACT), axis=1).tolist()
    if not any(large):
        return
    rows = _rows(data)
    if skip:
        next(rows)
    for (line, cells), suspect, values in zip(rows, large, matrix, strict=True):
        for column, cell in enumerate(cells) if suspect else ():
            digits = cell.strip().lstrip("+-")
            # Python refuses to parse more digits, and float64 has no integer of as many.
            if digits.isdecimal() and (len(digits) > 309 or int(cell) != float(values[column])):
                raise FileError(
                    f"line {line}, column {column + 1} is an integer that float64 does not hold; "
                    "save the array by numpy.save, or write a decimal point to have it rounded"
                )
