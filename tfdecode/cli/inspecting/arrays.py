"""Array files: a row for each array, or for many of one form, and what else is in the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import reading
from ...choose.as_is import spec_of_array
from ...codecs.chain_text import brief
from ...errors import FileError
from ...files import load, naming, opened
from ...formats import npy
from ...formats.contents import Contents, Entry
from .. import show
from ..batch import Report
from ..failure import one_line
from ..show import dimensions, fields, number, say, table
from .values import range_and_remarks, values

#: Arrays whose values are read, and rows that are printed; ``--all`` reads and prints all.
READ, SHOWN = 1000, 20
#: Arrays for which a chain that reads the file is tried: each trial decodes the whole file.
TRIED = 3
#: Bytes that hold the header of an .npy.
HEADER = 2**17
#: Names of a line, if several are told together.
NAMED = 5


def report(
    path: Path, key: str | None, max_bytes: int, every: bool = False, **options: Any
) -> Report:
    """What an array file holds, or its ``key``; at most ``max_bytes`` of values are read."""
    found, data, contents = large_npy(path, max_bytes) or opened(path, **options)
    entries = [entry for entry in contents.entries if key is None or entry.key == key]
    if not entries and key is not None:
        absent(path, contents, key)
    left = max_bytes
    rows, broken = [], []
    named = Counter(entry.key for entry in contents.entries)
    read, tried = (len(entries), len(entries)) if every else (READ, TRIED)
    for index, entry in enumerate(entries):
        if index % 100 == 0 and show.SHOWN:
            show.SHOWN[-1](f"{path.name}: array {index:,} of {len(entries):,}")
        row = row_of(entry)
        rows.append(row)
        if index >= read:
            row["not_read"] = f"only the first {READ:,} are; --all reads each"
        elif entry.nbytes > left:
            row["not_read"] = "see --max-bytes"
        else:
            left -= entry.nbytes
            try:
                array = entry.read()
                row["order"] = "C" if array.flags.c_contiguous else "Fortran"
                row["values"] = values(array)
            except FileError as error:
                row["error"] = one_line(str(error))
                broken.append(f"{path}: {error}")
                continue
            if index < tried and named[entry.key] == 1:
                try:
                    row["as_is"] = spec_of_array(found, data, array, entry.key).chain.text
                except FileError as error:
                    row["as_is_refused"] = one_line(str(error))
                    if len(entries) > SHOWN and not every:  # the reason is likely that of all
                        tried = 0
    others = [{"key": k, "what": what} for k, what in contents.others.items()]
    result: dict[str, Any] = {
        "file": str(path),
        "kind": "arrays",
        "format": found,
        "file_bytes": path.stat().st_size,
        "columns": list(getattr(contents, "names", ())),
        "arrays": rows,
        "others": others if key is None else [],
    }
    if broken:
        result["error"] = broken[0]
    return result


def large_npy(path: Path, limit: int) -> tuple[str, bytes, Contents] | None:
    """What ``opened`` gives of an .npy of more bytes than may be read: by its header alone."""
    with reading.opened(path) as (file, size), naming(path):
        beginning = reading.part(file, HEADER) if size > limit else b""
        if not beginning.startswith(npy.MAGIC):
            return None
        header, begin = npy.read_header(beginning)
        if header.refusal:
            return "npy", b"", Contents([], {"": header.refusal})
        entry = Entry("", header.dtype, header.shape, lambda: load(path))
        if size != begin + entry.nbytes:
            raise FileError(f"has {size - begin} bytes of data where {entry} needs {entry.nbytes}")
        return "npy", b"", Contents([entry])


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
        "not_read": None,
        "as_is": None,
        "as_is_refused": None,
    }


def absent(path: Path, contents: Contents, key: str) -> None:
    """FileError that lists the keys of the file."""
    try:
        contents.read(key)
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def print_report(found: Report, every: bool = False) -> None:
    """Print the table: a row for each array, or for each form if there are many."""
    arrays, others = found["arrays"], found["others"]
    count = f"{len(arrays):,} array{'' if len(arrays) == 1 else 's'}"
    fields([(found["file"], f"{count}, {found['file_bytes']:,} bytes")])
    if found["columns"]:
        fields([("columns", names_of(found["columns"], len(found["columns"]) if every else 20))])
    rows = forms(arrays) if len(arrays) > SHOWN and not every else [[one] for one in arrays]
    shown = rows if every else rows[:SHOWN]
    if shown:
        table(COLUMNS, [cells(row) for row in shown], right=("bytes",))
    if len(rows) > len(shown):
        more = sum(map(len, rows[len(shown) :]))
        say(f"... and {more:,} more arrays of {len(rows) - len(shown):,} forms; --all lists each")
    elif len(rows) < len(arrays):
        say("a row for each form; --all lists each array")
    print_as_is(arrays, every)
    if others:
        say("also in the file:")
        print_others(others, every)


def forms(arrays: Sequence[Report]) -> list[list[Report]]:
    """The arrays by dtype and shape; by dtype and rank if that are still many."""
    for shape in (dimensions, len):
        groups: dict[Any, list[Report]] = {}
        for row in arrays:
            form = row["dtype"], row["big_endian"], "error" in row, shape(row["shape"])
            groups.setdefault(form, []).append(row)
        if len(groups) <= SHOWN:
            break
    return list(groups.values())


def print_as_is(arrays: Sequence[Report], every: bool) -> None:
    """Whether a graph can read the file directly, and with which chain."""
    said: dict[str, list[Report]] = {}
    for row in arrays:
        if row["as_is"] or row["as_is_refused"]:
            said.setdefault(as_is_line(row, "KEY"), []).append(row)
    lines = []
    for line, rows in said.items():
        keys = [row["key"] for row in rows]
        name = f"as it is, {names_of(keys)}" if any(keys) else "as it is"
        lines.append((name, line if len(rows) > 1 else as_is_line(rows[0], keys[0])))
    fields(lines)
    tried = sum(map(len, said.values()))
    if said and tried < len(arrays) and not every:
        say(f"tried as it is for {tried} of {len(arrays):,} arrays; --all tries each")


def as_is_line(row: Report, key: str) -> str:
    """Whether a graph can read the file directly, and with which chain; ``key`` is told for its."""
    if not row["as_is"]:
        return f"no: it {row['as_is_refused']}"
    if not row["key"]:
        return f"a graph reads this file with {brief(row['as_is'])}: pack FILE --as-is"
    codec, colon, options = brief(row["as_is"]).partition(":")
    chain = codec + colon + options.replace(row["key"], key, 1)
    return f"a graph reads this file with {chain}: pack FILE#{key} --as-is"


def print_others(others: Sequence[Report], every: bool) -> None:
    """What was not read: each reason once, with the names that it is true of."""
    reasons: dict[str, list[str]] = {}
    for other in others:
        reasons.setdefault(other["what"], []).append(other["key"])
    shown = list(reasons.items())[: None if every else SHOWN]
    fields([(f"  {names_of(keys, len(keys) if every else NAMED)}", what) for what, keys in shown])
    if len(reasons) > len(shown):
        left = sum(len(keys) for keys in list(reasons.values())[len(shown) :])
        say(f"  ... and {left:,} more; --all lists them")


def names_of(keys: Sequence[str], most: int = NAMED) -> str:
    """Names in a line, the first of them if there are many."""
    more = f" and {len(keys) - most:,} more" if len(keys) > most else ""
    return ", ".join(key or "-" for key in keys[:most]) + more


COLUMNS = ("key", "dtype", "shape", "bytes", "order", "range", "values")


def cells(rows: Sequence[Report]) -> list[str]:
    """Arrays of one form as a row of the table."""
    first, last = rows[0], rows[-1]
    several = len(rows) > 1
    orders = dict.fromkeys(row["order"] for row in rows if row["order"])
    return [
        f"{first['key']} .. {last['key']} ({len(rows):,})" if several else first["key"] or "-",
        f"{first['dtype']}{', big-endian' if first['big_endian'] else ''}",
        dimensions([span(sides) for sides in zip(*(row["shape"] for row in rows), strict=True)]),
        f"{sum(row['bytes'] for row in rows):,}",
        " and ".join(orders) or "-",
        *(of_several(rows) if several else of_one(first)),
    ]


def span(sides: Sequence[int]) -> Any:
    """A dimension that may differ between arrays."""
    return sides[0] if min(sides) == max(sides) else f"{min(sides)}..{max(sides)}"


def of_one(row: Report) -> list[str]:
    """The range of an array and what its values are, or why they were not read."""
    if row["values"]:
        return range_and_remarks(row["values"], row["shape"])
    return ["-", "damaged" if "error" in row else f"not read: {row['not_read']}"]


def of_several(rows: Sequence[Report]) -> list[str]:
    """The range of several arrays, and how many were not read."""
    read = [row["values"] for row in rows if row["values"]]
    ranges = [found for found in read if found["min"] is not None]
    reach = "-"
    if ranges:
        low, high = (f(found[f.__name__] for found in ranges) for f in (min, max))
        reach = number(low) if low == high else f"{number(low)}..{number(high)}"
    remarks = [
        f"{count:,} {word}"
        for name, word in (("nan", "NaN"), ("inf", "inf"))
        if (count := sum(found[name] for found in read))
    ]
    narrow = {found["exact_in"] for found in read}
    if len(narrow) == 1 and None not in narrow and len(read) == len(rows):
        remarks.append(f"exact in {narrow.pop()}")
    damaged = sum("error" in row for row in rows)
    if damaged:
        remarks.append("damaged")
    elif len(read) < len(rows):
        unread = next(row["not_read"] for row in rows if not row["values"])
        remarks.append(f"{len(rows) - len(read):,} not read: {unread}")
    return [reach, ", ".join(remarks)]
