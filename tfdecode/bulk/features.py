"""Labels and weights of examples, from a table whose rows have the names of files."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from math import inf, isinf
from pathlib import Path, PurePath
from typing import Any

from .. import reading
from ..dataset import FILE
from ..errors import FileError, shown
from ..extras import LazyModule
from ..formats.notation import is_missing
from .record import Value

#: Bytes of a table.
MAX_TABLE = 2**30
_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(
    r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf)", re.I
)

_parquet: Any = LazyModule("pyarrow.parquet", "parquet")

Row = dict[str, Value]


def read_features(path: str | os.PathLike[str]) -> Features:
    """Read the features of examples from a CSV or a Parquet file, for `plan`.

    Parameters
    ----------
    path : str or os.PathLike
        ``META.csv``, with commas, semicolons or tabs, or ``META.parquet``, which needs the extra
        ``parquet``. The column ``file``, or else the first one, has the names of files: the whole
        path, the end of it, or the name without its suffix. Each other column is a feature.

    Returns
    -------
    Features
        Name of an example -> its features, as `plan` takes them. In a CSV, a column of whole
        numbers is int64, one of numbers float32, any other strings: ``007``, ``0,5``. An empty
        cell in a column of numbers (also NA and how else programs write it), and a null, leave the
        feature out.

    Raises
    ------
    FileError
        If it is not such a table. `Features.get` raises it for an example that has no row.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels.csv")
    ...     _ = path.write_text("file,label,person\\n1.npy,3,ann\\n2.npy,5,007\\n")
    ...     features = read_features(path)
    >>> features.get("maps/2.npy")
    {'label': 5, 'person': '007'}
    """
    path = Path(path)
    header, rows = (_of_parquet if path.suffix.lower() in (".parquet", ".pq") else _of_csv)(path)
    if len(header) < 2:
        raise FileError(f"{path}: needs a header, with the file's name and at least one feature")
    if "" in header:
        without = "a column without a name; in pandas, leave the index out: to_csv(index=False)"
        raise FileError(f"{path}: has {without}")
    if len(set(header)) < len(header):
        raise FileError(f"{path}: has two columns of one name")
    names = header.index(FILE) if FILE in header else 0
    found: dict[str, Row] = {}
    for cells in rows:
        name = cells[names]
        if isinstance(name, str) and name:
            name = str(PurePath(name))  # find writes ./a.npy
        if not isinstance(name, str) or not name or name in found:
            what = f"two rows for {name}" if name in found else f"no file name but {name!r}"
            raise FileError(f"{path}: has {what}")
        pairs = zip(header, cells, strict=True)
        found[name] = {key: value for key, value in pairs if value is not None and value != []}
        del found[name][header[names]]
    return Features(path, header[names], found)


class NoRow(FileError):
    """An example has no row in the table."""


class Features(Mapping[str, Row]):
    """The rows of a table by the names of files, which `get` takes as examples are called."""

    def __init__(self, path: Path, column: str, rows: Mapping[str, Row]) -> None:
        self._path, self._column, self._rows = path, column, rows
        self._used: dict[str, str] = {}

    def __getitem__(self, name: str) -> Row:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, name: str, default: Any = None) -> Row:
        """The row of an example; FileError if it has none, or shares it with another file."""
        for known in _names(name):
            if known in self._rows:
                file = name.partition("#")[0]
                other = self._used.setdefault(known, file)
                # One file may have two names: a.npy, ./a.npy.
                if other != file and os.path.abspath(other) != os.path.abspath(file):
                    raise FileError(
                        f"{self._path}: the row {known!r} is for {other} and for {file}; write "
                        "more of the path into the table"
                    )
                return self._rows[known]
        raise NoRow(f"{self._path}: has no row for {name}; column {self._column!r} has file names")


def _names(example: str) -> Iterator[str]:
    """What a table may call an example: its path or the end of it, without suffix or key too."""
    file, mark, _ = example.partition("#")
    for name in (example, file) if mark else (example,):
        yield name
        parts = PurePath(name).parts
        yield from (os.path.join(*parts[start:]) for start in range(len(parts)))
        yield PurePath(name).stem
        yield os.path.abspath(name)


def _of_csv(path: Path) -> tuple[list[str], Iterator[Sequence[Any]]]:
    data = reading.read(path, MAX_TABLE, "it is not a table of features")
    try:
        text = data.decode("utf-8-sig")
        first = text[: text.find("\n")]
        comma = next((sign for sign in ",;\t" if sign in first), ",")
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=comma))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: is not a CSV in UTF-8 ({error}); save it as UTF-8") from None
    header, *rows = lines or [[]]
    wrong = next((n for n, row in enumerate(rows, 2) if row and len(row) != len(header)), None)
    if wrong is not None:
        raise FileError(f"{path}: line {wrong} has another number of cells than the header")
    columns = list(zip(*filter(None, rows), strict=True))
    names = header.index(FILE) if FILE in header else 0
    try:
        typed = [c if n == names else _typed(c) for n, c in enumerate(columns)]
    except ValueError as error:
        raise FileError(f"{path}: {error}") from None
    return header, zip(*typed, strict=True)


def _typed(cells: Sequence[str]) -> Sequence[Any]:
    """The cells of a column as the type that all of them have; None for missing numbers."""
    given = [cell for cell in cells if not is_missing(cell)]
    for of, pattern in ((int, _WHOLE), (float, _NUMBER)):
        if given and all(map(pattern.fullmatch, given)):
            return [_number(cell, of) if pattern.fullmatch(cell) else None for cell in cells]
    return cells


def _number(cell: str, of: type[int] | type[float]) -> int | float:
    """The number of a cell; ValueError if it fits nothing: Python makes inf of 1e400."""
    # Python refuses to read an integer of more than 4300 digits.
    number = inf if len(cell) > 1000 else of(cell)
    fits = -(2**63) <= number < 2**63 if of is int else "inf" in cell.lower() or not isinf(number)
    if not fits:
        raise ValueError(f"{shown(cell)} fits neither int64 nor float32")
    return number


def _of_parquet(path: Path) -> tuple[list[str], Iterator[Sequence[Any]]]:
    read = _parquet.read_table
    data = reading.read(path, MAX_TABLE, "it is not a table of features")
    import pyarrow

    try:
        table = read(pyarrow.BufferReader(data))
    except pyarrow.ArrowException as error:
        raise FileError(f"{path}: is not a Parquet file ({error})") from None
    for field in table.schema:
        if not _taken(field.type):
            raise FileError(
                f"{path}: column {field.name} is {field.type}; needs numbers, texts, bytes or "
                "lists of them"
            )
    return list(table.column_names), (
        row
        for batch in table.to_batches()
        for row in zip(*map(_values, batch.columns), strict=True)
    )


def _taken(kind: Any) -> bool:
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _taken(kind.value_type)
    if types.is_dictionary(kind):
        return _taken(kind.value_type)
    numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    texts = types.is_string(kind) or types.is_large_string(kind)
    return bool(numbers or texts or types.is_binary(kind) or types.is_large_binary(kind))


def _values(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return values
