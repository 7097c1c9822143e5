"""Array files: a row for each array, and what else is in the file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ...choose.as_is import spec_of_array
from ...codecs.chain_text import brief
from ...errors import FileError
from ...files import opened
from ...formats.contents import Contents, Entry
from ..batch import Report
from ..failure import one_line
from ..show import dimensions, fields, say, table
from .values import range_and_remarks, values

#: Arrays whose values are read, and rows that are printed; ``--json`` lists all arrays.
READ, SHOWN = 1000, 100
#: Arrays for which a chain that reads the file is tried: each trial decodes the whole file.
PROVEN = 8


def report(path: Path, key: str | None, max_bytes: int) -> Report:
    """What an array file holds, or its ``key``; at most ``max_bytes`` of values are read."""
    found, data, contents = opened(path)
    entries = [entry for entry in contents.entries if key is None or entry.key == key]
    if not entries and key is not None:
        missing(path, contents, key)
    left = max_bytes
    rows, broken = [], []
    named = Counter(entry.key for entry in contents.entries)
    for index, entry in enumerate(entries):
        row = row_of(entry)
        if entry.nbytes <= left and index < READ:
            left -= entry.nbytes
            try:
                array = entry.read()
                row["order"] = "C" if array.flags.c_contiguous else "Fortran"
                row["values"] = values(array)
            except FileError as error:
                row["error"] = one_line(str(error))
                broken.append(f"{path}: {error}")
            if index < PROVEN and "error" not in row and named[entry.key] == 1:
                try:
                    row["as_is"] = spec_of_array(found, data, array, entry.key).chain.text
                except FileError as error:
                    row["as_is_refused"] = one_line(str(error))
        rows.append(row)
    others = [{"key": k, "what": what} for k, what in contents.others.items()]
    result: dict[str, Any] = {
        "file": str(path),
        "kind": "arrays",
        "file_bytes": path.stat().st_size,
        "arrays": rows,
        "others": others if key is None else [],
    }
    if broken:
        result["error"] = broken[0]
    return result


def row_of(entry: Entry) -> dict[str, Any]:
    """What is known of an array before it is decoded."""
    return {
        "key": entry.key,
        "dtype": entry.dtype.name,
        "big_endian": entry.dtype.byteorder == ">",
        "shape": list(entry.shape),
        "bytes": entry.nbytes,
        "order": None,
        "values": None,
        "as_is": None,
        "as_is_refused": None,
    }


def missing(path: Path, contents: Contents, key: str) -> None:
    """FileError that lists the keys of the file."""
    try:
        contents.read(key)
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def print_report(found: Report) -> None:
    """Print the table."""
    arrays, others = found["arrays"], found["others"]
    count = f"{len(arrays)} array{'' if len(arrays) == 1 else 's'}"
    fields([(found["file"], f"{count}, {found['file_bytes']:,} bytes")])
    rows = [cells(row) for row in arrays[:SHOWN]]
    if rows:
        table(COLUMNS, rows, right=("bytes",))
    fields([as_is_line(row) for row in arrays[:PROVEN]])
    if len(arrays) > SHOWN:
        say(f"... and {len(arrays) - SHOWN:,} more arrays, which --json lists")
    if others:
        say("also in the file:")
        fields([(f"  {other['key'] or '-'}", other["what"]) for other in others[:SHOWN]])
    if len(others) > SHOWN:
        say(f"  ... and {len(others) - SHOWN:,} more, which --json lists")


def as_is_line(row: Report) -> tuple[str, str]:
    """Whether a graph can read the file directly, and with which chain."""
    name = f"as it is, {row['key']}" if row["key"] else "as it is"
    if row["as_is"]:
        file = f"FILE#{row['key']}" if row["key"] else "FILE"
        return name, f"a graph reads this file with {brief(row['as_is'])}: pack {file} --as-is"
    return name, f"no: it {row['as_is_refused']}" if row["as_is_refused"] else ""


COLUMNS = ("key", "dtype", "shape", "bytes", "order", "range", "values")


def cells(row: Report) -> list[str]:
    """One array as a row of the table."""
    if row["values"]:
        last = range_and_remarks(row["values"], row["shape"])
    else:
        last = ["-", "damaged" if "error" in row else "not read: see --max-bytes"]
    return [
        row["key"] or "-",
        f"{row['dtype']}{' big-endian' if row['big_endian'] else ''}",
        dimensions(row["shape"]),
        f"{row['bytes']:,}",
        row["order"] or "-",
        *last,
    ]
