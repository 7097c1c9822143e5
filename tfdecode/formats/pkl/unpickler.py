"""Pickle opcodes read into inert records: nothing named in a file is imported, called or set.

Sources: PEP 307, PEP 3154, PEP 574 and the opcode table of `pickletools`.

Dicts become `Dict` and sets `Set` because even *hashing* a key of a file is unsafe: 60 nested pairs
``(t, t)`` take 2**60 steps, and 100,000 nested tuples overflow the C stack.
"""

from __future__ import annotations

import codecs
import pickle
import re
import struct
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeAlias

from ...errors import RAISE_LIMIT, FileError
from ..contents import shown

_NAME = 200


class Global:
    """A name that the file would import."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __str__(self) -> str:
        # Cut first: a million calls may share one name of a megabyte.
        return shown(f"{self.module[:_NAME]}.{self.name[:_NAME]}")


class Call:
    """An object that the file would make: the callable, its arguments, and what is done to it."""

    __slots__ = ("args", "function", "items", "new", "pairs", "state")

    def __init__(self, function: object, args: tuple[object, ...], new: bool = False) -> None:
        self.function, self.args, self.new = function, args, new
        self.state: object = None
        self.items: list[object] | None = None
        self.pairs: list[tuple[object, object]] | None = None

    @property
    def bare(self) -> bool:
        """Whether the callable and its arguments are all there is."""
        return self.state is None and self.items is None and self.pairs is None


class Dict:
    """A dict as its pairs in file order; a key that comes twice is there twice."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[object, object]] = []


class Set:
    """A set or frozenset as its items in file order."""

    __slots__ = ("items",)

    def __init__(self, items: list[object]) -> None:
        self.items = items


class Opcodes:
    """How many more opcodes may be read, by all pickles of a file together."""

    def __init__(self, most: int) -> None:
        self.most = self.left = most

    def exceeded(self) -> FileError:
        """The error of a file that has more."""
        return FileError(
            f"is a pickle of more than {self.most} opcodes; save the arrays by numpy.savez, or "
            f"{RAISE_LIMIT}"
        )


class Pickled(NamedTuple):
    """The records of one pickle, where it ends, and the ids of those that it refers back to."""

    value: object
    end: int
    shared: set[int]


def unpickle(data: bytes, opcodes: Opcodes, start: int = 0) -> Pickled:
    """The records of the pickle at byte ``start``; `FileError` if it is damaged."""
    unpickler = _Unpickler(_Cursor(data, start))
    try:
        value = unpickler.run(opcodes)
    except FileError:
        raise
    except Exception as error:  # opcodes in an impossible order raise nearly anything
        where = unpickler.cursor.position
        raise FileError(f"is not a whole pickle ({type(error).__name__} at byte {where})") from None
    return Pickled(value, unpickler.cursor.position, unpickler.shared)


class _Cursor:
    """Reads the bytes that are there: no opcode can make it allocate by a length it only claims."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.view, self.position = data, memoryview(data), position

    def _advance(self, count: int) -> int:
        start, left = self.position, len(self.data) - self.position
        if not 0 <= count <= left:
            raise FileError(
                f"is a truncated pickle: byte {start} asks for {count} bytes, {left} are left"
            )
        self.position += count
        return start

    def read(self, count: int) -> bytes:
        start = self._advance(count)
        return self.data[start : self.position]

    def take(self, count: int) -> memoryview:
        """Like `read`, but a view: an array's bytes are not copied."""
        start = self._advance(count)
        return self.view[start : self.position]

    def readline(self) -> bytes:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise FileError(f"is a truncated pickle: the line at byte {self.position} has no end")
        return self.read(end + 1 - self.position)


# Python refuses to parse longer decimals from 3.10.7 on; before, the time grows quadratically.
_MAX_DIGITS = 4300
# From this length on a Python 2 str is an array's bytes, never a key, a dtype or a name.
_LONG_STRING = 256
_BAD_ESCAPE = re.compile(rb"\\(?![\n'\"nrtx])")

_Load: TypeAlias = Callable[[Any], None]


# The pure Python class and not the C one: its memo is a dict, so that LONG_BINPUT 0x10000000 (a
# pickle of 7 bytes) costs 100 bytes; the C unpickler grew its memo to 4.2 GB for the same pickle.
class _Unpickler(pickle._Unpickler):
    """The standard library's stack machine, with a record in place of every opcode that acts."""

    # Its own copy, filled below with the opcodes allowed: those of a later Python are refused.
    dispatch: ClassVar[dict[int, _Load]] = {}
    memo: dict[int, Any]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, cursor: _Cursor) -> None:
        super().__init__(cursor, encoding="latin1")
        self.cursor = cursor
        self.stack: list[Any] = []
        self.metastack: list[list[Any]] = []
        self.shared: set[int] = set()

    def again(self, value: object) -> object:
        """Note that ``value`` is in the file twice."""
        if isinstance(value, (list, tuple, Dict, Call)):
            self.shared.add(id(value))
        return value

    def run(self, opcodes: Opcodes) -> object:
        """Execute the opcodes up to STOP; frames are only a hint for reading and ignored."""
        self.read, self.readline = self.cursor.read, self.cursor.readline
        self.append = self.stack.append
        cursor, data, left = self.cursor, self.cursor.data, opcodes.left
        try:
            while left:
                left -= 1
                # In place: a call of cursor.read for each opcode takes a quarter of the time.
                where = cursor.position
                if where == len(data):
                    cursor.read(1)  # raises
                opcode = data[where]
                cursor.position = where + 1
                if opcode in _PUSH:
                    value = _PUSH[opcode](self)  # FROZENSET replaces self.append
                    self.append(value)
                elif opcode in self.dispatch:
                    self.dispatch[opcode](self)
                elif opcode == _STOP:
                    return self.stack.pop()
                else:
                    problem = f"is not a pickle: byte {where} is not an allowed opcode"
                    raise FileError(_REFUSED.get(opcode, problem))
        finally:
            opcodes.left = left
        raise opcodes.exceeded()

    def find_class(self, module: str, name: str) -> Any:
        """Record the name; called by the inherited GLOBAL and STACK_GLOBAL."""
        if module.startswith("joblib."):
            raise FileError("is written by joblib.dump; save the array by numpy.save")
        return Global(module, name)


_STOP = pickle.STOP[0]


def _opcode(*opcodes: bytes) -> Callable[[_Load], _Load]:
    def register(load: _Load) -> _Load:
        for opcode in opcodes:
            _Unpickler.dispatch[opcode[0]] = load
        return load

    return register


# These only move values between the file, the stack and the memo.
_INHERITED = """
    PROTO NONE NEWFALSE NEWTRUE BININT BININT1 BININT2 LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE
    BINUNICODE8 SHORT_BINUNICODE TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST GLOBAL
    STACK_GLOBAL POP POP_MARK BINPUT LONG_BINPUT MEMOIZE MARK
"""
for _name in _INHERITED.split():
    _code = getattr(pickle, _name)[0]
    _Unpickler.dispatch[_code] = pickle._Unpickler.dispatch[_code]


def _number(unpickler: _Unpickler, form: str) -> int:
    number: int = struct.unpack(form, unpickler.cursor.read(struct.calcsize(form)))[0]
    return number


def _take(unpickler: _Unpickler, form: str) -> memoryview:
    """Bytes after their length."""
    return unpickler.cursor.take(_number(unpickler, form))


def _line(unpickler: _Unpickler) -> bytes:
    return unpickler.cursor.readline()[:-1]


def _integer(digits: bytes) -> int:
    if len(digits) > _MAX_DIGITS:
        raise FileError(f"is a pickle with an integer of {len(digits)} digits")
    return int(digits)


@_opcode(pickle.FRAME)
def _frame(self: _Unpickler) -> None:
    length = _number(self, "<Q")
    if length > len(self.cursor.data) - self.cursor.position:
        raise FileError(f"is a truncated pickle: a frame of {length} bytes is cut")


@_opcode(pickle.INT, pickle.LONG)
def _decimal(self: _Unpickler) -> None:
    line = _line(self)
    flags = {b"00": False, b"01": True}  # INT writes False and True so, since protocol 0
    self.append(flags[line] if line in flags else _integer(line.removesuffix(b"L")))


@_opcode(pickle.PUT)
def _put(self: _Unpickler) -> None:
    self.memo[_integer(_line(self))] = self.stack[-1]


@_opcode(pickle.STRING)
def _string(self: _Unpickler) -> None:
    line = _line(self).strip()
    if len(line) < 2 or line[0] != line[-1] or line[0] not in b"\"'":
        raise FileError("is a damaged pickle: a string without quotes")
    if _BAD_ESCAPE.search(line.replace(rb"\\", b"")):
        raise FileError("is a damaged pickle: a string with an unknown escape")
    self.append(_python2_string(memoryview(codecs.escape_decode(line[1:-1])[0])))


def _python2_string(raw: memoryview) -> str | memoryview:
    return raw if len(raw) >= _LONG_STRING else str(raw, "latin1")


@_opcode(pickle.DICT)
def _dict(self: _Unpickler) -> None:
    items = self.pop_mark()
    self.append(Dict())
    _set_pairs(self.stack[-1], items)


@_opcode(pickle.APPEND)
def _append(self: _Unpickler) -> None:
    item = self.stack.pop()
    _extend(self.stack[-1], [item])


@_opcode(pickle.APPENDS, pickle.ADDITEMS)
def _appends(self: _Unpickler) -> None:
    items = self.pop_mark()
    _extend(self.stack[-1], items)


@_opcode(pickle.SETITEM)
def _setitem(self: _Unpickler) -> None:
    value, key = self.stack.pop(), self.stack.pop()
    _set_pairs(self.stack[-1], [key, value])


@_opcode(pickle.SETITEMS)
def _setitems(self: _Unpickler) -> None:
    items = self.pop_mark()
    _set_pairs(self.stack[-1], items)


def _extend(target: object, items: list[object]) -> None:
    if isinstance(target, Call) and target.items is None:
        target.items = []
    if isinstance(target, (Call, Set)):
        target = target.items
    if not isinstance(target, list):
        raise FileError("is a damaged pickle: APPEND on a non-list")
    target.extend(items)


def _set_pairs(target: object, items: list[object]) -> None:
    if isinstance(target, Call) and target.pairs is None:
        target.pairs = []
    if not isinstance(target, (Dict, Call)) or target.pairs is None or len(items) % 2:
        raise FileError("is a damaged pickle: SETITEM on a non-dict")
    target.pairs.extend(zip(items[::2], items[1::2], strict=True))


@_opcode(pickle.REDUCE)
def _call(self: _Unpickler) -> None:
    args, function = self.stack.pop(), self.stack.pop()
    if type(args) is not tuple:
        raise FileError("is a damaged pickle: a call without a tuple of arguments")
    self.append(Call(function, args))


@_opcode(pickle.NEWOBJ)
def _new(self: _Unpickler) -> None:
    _call(self)
    self.stack[-1].new = True


@_opcode(pickle.NEWOBJ_EX)
def _call_with_keywords(self: _Unpickler) -> None:
    keywords, args, function = self.stack.pop(), self.stack.pop(), self.stack.pop()
    self.append(Call(function, (args, keywords)))


@_opcode(pickle.INST)
def _instance(self: _Unpickler) -> None:
    module, name = (str(_line(self), "utf-8") for _ in range(2))
    args = tuple(self.pop_mark())  # replaces self.append
    self.append(Call(self.find_class(module, name), args))


@_opcode(pickle.OBJ)
def _object(self: _Unpickler) -> None:
    function, *args = self.pop_mark()
    self.append(Call(function, tuple(args)))


@_opcode(pickle.BUILD)
def _build(self: _Unpickler) -> None:
    state, target = self.stack.pop(), self.stack[-1]
    if not isinstance(target, Call) or target.state is not None:
        raise FileError("is a damaged pickle: BUILD on an object without state")
    target.state = state


# The opcodes that push what they read or make. (The inherited BYTEARRAY8 allocates any length.)
_PUSH: dict[int, Callable[[_Unpickler], object]] = {
    pickle.DUP[0]: lambda self: self.again(self.stack[-1]),
    pickle.GET[0]: lambda self: self.again(self.memo[_integer(_line(self))]),
    pickle.BINGET[0]: lambda self: self.again(self.memo[_number(self, "<B")]),
    pickle.LONG_BINGET[0]: lambda self: self.again(self.memo[_number(self, "<I")]),
    pickle.BINSTRING[0]: lambda self: _python2_string(_take(self, "<i")),
    pickle.SHORT_BINSTRING[0]: lambda self: _python2_string(_take(self, "<B")),
    pickle.SHORT_BINBYTES[0]: lambda self: _take(self, "<B"),
    pickle.BINBYTES[0]: lambda self: _take(self, "<I"),
    pickle.BINBYTES8[0]: lambda self: _take(self, "<Q"),
    pickle.BYTEARRAY8[0]: lambda self: _take(self, "<Q"),
    pickle.EMPTY_DICT[0]: lambda self: Dict(),
    pickle.EMPTY_SET[0]: lambda self: Set([]),
    pickle.FROZENSET[0]: lambda self: Set(self.pop_mark()),
}


_OUT_OF_BAND = "refers to buffers outside of the pickle; save it without a buffer_callback"
_PERSISTENT = "refers to objects outside of the pickle, as torch.save does; save NumPy arrays"
_EXTENSION = "names objects by copyreg extension codes; save the arrays by numpy.savez"
_REFUSED = dict.fromkeys(pickle.PERSID + pickle.BINPERSID, _PERSISTENT)
_REFUSED |= dict.fromkeys(pickle.NEXT_BUFFER + pickle.READONLY_BUFFER, _OUT_OF_BAND)
_REFUSED |= dict.fromkeys(pickle.EXT1 + pickle.EXT2 + pickle.EXT4, _EXTENSION)
