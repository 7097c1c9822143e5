"""Keys of dicts in a pickle, and the paths made of them: ``S1/7/R``, or exactly ``['S1'][7].R``.

A path is written as Python writes it, ``['S1'][7].R``, only if the short form could be mistaken.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ...errors import FileError
from .arrays import Found, array_of, bytes_of, name_of, text_of
from .unpickler import Call, Global, Set

# A key may be shared by all items of a file, so that the work on one is bounded.
_CHARACTERS = 256
_PARTS = 16
_BITS = 256
_DATES = {("datetime", "date"), ("datetime", "datetime")}


class Written(NamedTuple):
    """A key that is an object, such as an Enum, by the text that stands for it."""

    text: str

    def __repr__(self) -> str:
        return self.text


class Unwritten(NamedTuple):
    """A key that has no text, and why."""

    reason: str


Node: TypeAlias = "tuple[Node | None, str, object]"
"""The container, what kind of step leads on (``[`` or ``.``), and the key or attribute."""


def key_of(record: object) -> object:
    """The key that a record stands for, as a value of Python whose text tells it from others."""
    try:
        return _key(record, [_PARTS])
    except FileError as error:
        return Unwritten(str(error))


def _key(record: object, room: list[int]) -> object:
    room[0] -= 1
    if room[0] < 0:
        raise FileError(f"a key of more than {_PARTS} parts")
    if record is None or type(record) in (bool, float):
        return record
    if type(record) is int and record.bit_length() <= _BITS:
        return record
    if isinstance(record, (str, memoryview)):
        if len(record) > _CHARACTERS:
            raise FileError(f"a key of {len(record)} characters")
        return record if isinstance(record, str) else bytes(record)
    if type(record) is tuple:
        return tuple(_key(part, room) for part in record)
    if isinstance(record, Global):
        return Written(record.name[:_CHARACTERS])
    if isinstance(record, Call) and record.bare:
        return _object(record, room)
    if isinstance(record, Set):
        raise FileError("a key that is a set, which has no order")
    raise FileError("a key that is no text, number or tuple")


def _object(record: Call, room: list[int]) -> object:
    text = text_of(record)
    if text is not None:
        return text
    found = array_of(record)
    if isinstance(found, Found) and not found.stored:
        value = found.read()
        # The shortest text of a float32; as a float64 it would have 17 digits.
        return float(str(value)) if value.dtype.kind == "f" else value.item()
    if name_of(record.function) in _DATES and len(record.args) == 1:
        return _date(bytes_of(record.args[0]) or b"")
    if found is not None or not isinstance(record.function, Global):
        raise FileError("a key that is no text, number or tuple")
    arguments = ", ".join(repr(_key(part, room)) for part in record.args)
    if len(arguments) > _CHARACTERS:
        raise FileError(f"a key of {len(arguments)} characters")
    return Written(f"{record.function.name[:_CHARACTERS]}({arguments})")


def _date(raw: bytes) -> Written:
    """A date or a time as ISO 8601 writes it, from the bytes that `datetime` pickles."""
    if len(raw) not in (4, 10):
        raise FileError("a key that is a damaged date")
    year, (month, day, *clock) = int.from_bytes(raw[:2], "big"), raw[2:]
    date = f"{year:04}-{month:02}-{day:02}"
    if not clock:
        return Written(date)
    fraction = int.from_bytes(raw[7:], "big")
    time = ":".join(f"{part:02}" for part in clock[:3])
    return Written(f"{date} {time}" + (f".{fraction:06}" if fraction else ""))


def short(key: object) -> str:
    """A key as one segment of a path: ``S1``, ``7``, ``0.5``, ``S1,7``."""
    if type(key) is str:
        return key
    if type(key) is tuple and key:
        return ",".join(f"({short(part)})" if type(part) is tuple else short(part) for part in key)
    return repr(key)


def joined(node: Node | None) -> str:
    """The short form of a path: ``S1/7.R``."""
    steps: list[str] = []
    while node is not None:
        outer, kind, key = node
        steps.append(short(key) if outer is None else f"{'/' if kind == '[' else '.'}{short(key)}")
        node = outer
    return "".join(reversed(steps))


def exact(node: Node | None) -> str:
    """The path as Python writes it, which no other key of the file has: ``['S1'][7].R``."""
    steps = []
    while node is not None:
        node, kind, key = node
        name = key if type(key) is str and key.isidentifier() else repr(key)
        steps.append(f".{name}" if kind == "." else f"[{key!r}]")
    return "".join(reversed(steps))
