"""Array files: a row for each array, and what else lies in the file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ...choose.as_is import spec_of_array
from ...codecs.chain_text import brief
from ...errors import FileError
from ...files import opened
from ...formats.contents import Contents, Entry
from ..batch import Facts
from ..failure import one_line
from ..show import dimensions, fields, say, table
from .values import spoken, values

#: Arrays whose values are read, and rows that people are shown: JSON lists all arrays.
READ, SHOWN = 1000, 100
#: Arrays for which a chain that reads the file itself is looked for: each takes the whole file.
PROVEN = 8


def facts(path: Path, key: str | None, max_bytes: int) -> Facts:
    """What an array file holds, or one array of it.

    Values are read, in the order of the file, while they have no more than ``max_bytes`` in all.
    """
    found, data, contents = opened(path)
    entries = [entry for entry in contents.entries if key is None or entry.key == key]
    if not entries and key is not None:
        missing(path, contents, key)
    room = max_bytes
    told, broken = [], []
    named = Counter(entry.key for entry in contents.entries)
    for index, entry in enumerate(entries):
        row = form(entry)
        if entry.nbytes <= room and index < READ:
            room -= entry.nbytes
            try:
                array = entry.read()
                row |= {"order": order(array), "values": values(array)}
            except FileError as error:
                row["error"] = one_line(str(error))
                broken.append(f"{path}: {error}")
            if index < PROVEN and "error" not in row and named[entry.key] == 1:
                row |= as_it_is(found, data, array, entry.key)
        told.append(row)
    others = [{"key": k, "what": what} for k, what in contents.others.items()]
    facts = {
        "file": str(path),
        "kind": "arrays",
        "file_bytes": path.stat().st_size,
        "arrays": told,
        "others": others if key is None else [],
    }
    return {**facts, "error": broken[0]} if broken else facts


def as_it_is(found: str, data: bytes, array: np.ndarray, key: str) -> Facts:
    """The chain by which the file itself is the payload of an array in it, or why there is none."""
    try:
        spec = spec_of_array(found, data, array, key)
    except FileError as error:
        return {"as_is_refused": one_line(str(error))}
    return {"as_is": spec.chain.text}


def form(entry: Entry) -> Facts:
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
    """FileError that lists what there is in place of ``key``."""
    try:
        contents.read(key)
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def order(array: np.ndarray) -> str:
    """How the elements lie in the file."""
    return "C" if array.flags.c_contiguous else "Fortran"


def show(found: Facts) -> None:
    """The table."""
    arrays, others = found["arrays"], found["others"]
    count = f"{len(arrays)} array{'' if len(arrays) == 1 else 's'}"
    fields([(found["file"], f"{count}, a file of {found['file_bytes']:,} bytes")])
    rows = [cells(row) for row in arrays[:SHOWN]]
    if rows:
        table(COLUMNS, rows, right=("bytes",))
    fields([as_is(row) for row in arrays[:PROVEN]])
    if len(arrays) > SHOWN:
        say(f"... and {len(arrays) - SHOWN:,} more arrays, which --json lists")
    if others:
        say("also in the file:")
        fields([(f"  {other['key'] or '-'}", other["what"]) for other in others[:SHOWN]])
    if len(others) > SHOWN:
        say(f"  ... and {len(others) - SHOWN:,} more, which --json lists")


def as_is(row: Facts) -> tuple[str, str]:
    """Whether a graph reads the file itself, and by which chain."""
    name = f"as it is, {row['key']}" if row["key"] else "as it is"
    if row["as_is"]:
        file = f"FILE#{row['key']}" if row["key"] else "FILE"
        return name, f"{brief(row['as_is'])} reads this file: pack {file} --as-is"
    return name, f"no: it {row['as_is_refused']}" if row["as_is_refused"] else ""


COLUMNS = ("key", "dtype", "shape", "bytes", "order", "range", "values")


def cells(row: dict[str, Any]) -> list[str]:
    """One array as a row of the table."""
    told = (
        spoken(row["values"], row["shape"])
        if row["values"]
        else ["-", "damaged" if "error" in row else ""]
    )
    if row["values"] is None and "error" not in row:
        told[1] = "not read: see --max-bytes"
    return [
        row["key"] or "-",
        f"{row['dtype']}{' big-endian' if row['big_endian'] else ''}",
        dimensions(row["shape"]),
        f"{row['bytes']:,}",
        row["order"] or "-",
        *told,
    ]
