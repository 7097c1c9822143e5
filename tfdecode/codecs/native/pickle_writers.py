"""Builds the pickle bytes before and after an array's data, as NumPy and Python versions do.

Sources: `numpy.ndarray.__reduce_ex__`, PEP 307, PEP 3154, PEP 574 and the opcode table of
`pickletools`. Nothing is pickled here and no pickle is read.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

#: Bytes from which on a pickler writes data outside of its frames, and the least that it frames.
_FRAME, _LEAST_FRAME = 2**16, 4


@dataclass(frozen=True)
class Writer:
    """A pickler and a NumPy, as far as their pickles of arrays differ."""

    protocol: int
    #: NumPy 2 renamed its modules.
    core: str = "numpy._core"
    #: NumPy wrote ``dtype(code, 0, 1)`` up to version 1.19.
    booleans: bool = True
    #: Of protocol 5: "writable" or "readonly", or "none" of a view that is not contiguous.
    buffer: str = "none"
    #: Python 2 has two picklers, of which the one in C notes less in its memo.
    pickler: str = "3"
    #: Python 3.4 to 3.6 put data of any length into one frame with all the rest.
    one_frame: bool = False


def writers(nbytes: int) -> Iterator[Writer]:
    """Every known writer of arrays of ``nbytes`` that does not turn them into text."""
    for core, booleans in (("numpy._core", True), ("numpy.core", True), ("numpy.core", False)):
        numpy = Writer(4, core, booleans)
        yield numpy
        yield replace(numpy, protocol=3)
        yield replace(numpy, protocol=5)
        # A frame that a buffer and what follows fill up ends at odd offsets.
        if not _FRAME - 256 <= nbytes < _FRAME:
            for buffer in ("writable", "readonly"):
                yield replace(numpy, protocol=5, buffer=buffer)
        if nbytes >= _FRAME and core == "numpy.core":
            yield replace(numpy, one_frame=True)
    for pickler in ("2 cPickle", "2 pickle"):
        yield Writer(2, "numpy.core", False, pickler=pickler)


@dataclass(frozen=True)
class Array:
    """An array as its pickle describes it."""

    #: Kind and item size, as "f4", or a module and a name in it.
    code: str | tuple[str, str]
    #: "<", ">" or, of elements of one byte, "|".
    order: str
    shape: tuple[int, ...]
    fortran: bool
    nbytes: int
    #: The only key of a dict that holds the array.
    key: str | None = None


def around(array: Array, writer: Writer) -> tuple[bytes, bytes]:
    """The bytes before and after the data of ``array`` in a pickle by ``writer``."""
    pickled = _Pickled(writer)
    if array.key is not None:
        pickled.add(pickle.EMPTY_DICT).note()
        pickled.text(array.key).note()
    if writer.buffer == "none":
        pickled.name(f"{writer.core}.multiarray", "_reconstruct")
        pickled.name("numpy", "ndarray")
        pickled.integer(0).add(pickle.TUPLE1).note("other")
        pickled.byte_string(b"b").note("other")
        pickled.add(pickle.TUPLE3).note("other").add(pickle.REDUCE).note()
        pickled.add(pickle.MARK).integer(1)
        _shape(pickled, array)
        _dtype(pickled, array, writer)
        pickled.add(pickle.NEWTRUE if array.fortran else pickle.NEWFALSE)
        pickled.numbers(array.nbytes).note("other")
        pickled.add(pickle.TUPLE).note("other").add(pickle.BUILD)
    else:
        pickled.name(f"{writer.core}.numeric", "_frombuffer")
        pickled.add(pickle.MARK)
        pickled.numbers(array.nbytes).note()
        _dtype(pickled, array, writer)
        _shape(pickled, array)
        pickled.text("F" if array.fortran else "C").note()
        pickled.add(pickle.TUPLE).note().add(pickle.REDUCE).note()
    if array.key is not None:
        pickled.add(pickle.SETITEM)
    return pickled.add(pickle.STOP).parts(array.nbytes)


def _shape(pickled: _Pickled, array: Array) -> None:
    rank = len(array.shape)
    opcodes = [pickle.EMPTY_TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.TUPLE]
    pickled.add(pickle.MARK if rank > 3 else b"")
    for side in array.shape:
        pickled.integer(side)
    pickled.add(opcodes[min(rank, 4)])
    if rank:
        pickled.note("other")


def _dtype(pickled: _Pickled, array: Array, writer: Writer) -> None:
    pickled.name("numpy", "dtype")
    if isinstance(array.code, str):
        pickled.text(array.code).note("other")
        size, alignment, flags = -1, -1, 0
    else:
        pickled.name(*array.code)
        size, alignment, flags = 2, 2, 64  # of bfloat16
    if writer.booleans:
        pickled.add(pickle.NEWFALSE + pickle.NEWTRUE)
    else:
        pickled.integer(0).integer(1)
    pickled.add(pickle.TUPLE3).note("other").add(pickle.REDUCE).note()
    pickled.add(pickle.MARK).integer(3).text(array.order).note("other").add(pickle.NONE * 3)
    for number in (size, alignment, flags):
        pickled.integer(number)
    pickled.add(pickle.TUPLE).note("other").add(pickle.BUILD)


@dataclass
class _Pickled:
    """The opcodes so far; the array's bytes follow those of ``data``."""

    writer: Writer
    before: bytes = b""
    data: bytes = b""
    after: bytes = b""
    noted: int = 0
    names: dict[str, int] = field(default_factory=dict)

    def add(self, opcodes: bytes) -> _Pickled:
        if self.data:
            self.after += opcodes
        else:
            self.before += opcodes
        return self

    def note(self, what: Literal["always", "other"] = "always") -> _Pickled:
        """Put the last object into the memo; cPickle leaves out what nothing else refers to."""
        if self.writer.pickler == "2 cPickle":
            self.noted += what == "always"  # it counts from 1
            return self if what == "other" else self.add(pickle.BINPUT + bytes([self.noted]))
        self.noted += 1
        if self.writer.protocol >= 4:
            return self.add(pickle.MEMOIZE)
        return self.add(pickle.BINPUT + bytes([self.noted - 1]))

    def name(self, module: str, name: str) -> None:
        """A global; from protocol 4 on by two texts, each written once."""
        if self.writer.protocol < 4:
            self.add(pickle.GLOBAL + f"{module}\n{name}\n".encode()).note()
            return
        for text in (module, name):
            if text in self.names:
                self.add(pickle.BINGET + bytes([self.names[text]]))
            else:
                self.names[text] = self.noted
                self.text(text).note()
        self.add(pickle.STACK_GLOBAL).note()

    def text(self, text: str) -> _Pickled:
        encoded = text.encode()
        if self.writer.pickler != "3":
            return self.byte_string(encoded)
        if self.writer.protocol >= 4 and len(encoded) < 256:
            return self.add(pickle.SHORT_BINUNICODE + bytes([len(encoded)]) + encoded)
        return self.add(pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded)

    def byte_string(self, data: bytes) -> _Pickled:
        return self.add(self.bytes_opcode(len(data)) + data)

    def bytes_opcode(self, length: int) -> bytes:
        if self.writer.pickler == "3":
            short, long = pickle.SHORT_BINBYTES, pickle.BINBYTES
        else:
            short, long = pickle.SHORT_BINSTRING, pickle.BINSTRING
        return short + bytes([length]) if length < 256 else long + struct.pack("<I", length)

    def integer(self, number: int) -> _Pickled:
        if 0 <= number < 2**8:
            return self.add(pickle.BININT1 + bytes([number]))
        if 0 <= number < 2**16:
            return self.add(pickle.BININT2 + struct.pack("<H", number))
        return self.add(pickle.BININT + struct.pack("<i", number))

    def numbers(self, nbytes: int) -> _Pickled:
        """The opcode of the data; later opcodes follow the data."""
        if self.writer.buffer == "writable":
            self.data = pickle.BYTEARRAY8 + struct.pack("<Q", nbytes)
        else:
            self.data = self.bytes_opcode(nbytes)
        return self

    def parts(self, nbytes: int) -> tuple[bytes, bytes]:
        """All bytes before and after the data, with protocol and frames."""
        protocol = pickle.PROTO + bytes([self.writer.protocol])
        before, data, after = self.before, self.data, self.after
        if self.writer.protocol < 4:
            return protocol + before + data, after
        if nbytes >= _FRAME and not self.writer.one_frame:
            return protocol + _framed(before) + data, _framed(after)
        length = len(before) + len(data) + nbytes + len(after)
        return protocol + pickle.FRAME + struct.pack("<Q", length) + before + data, after


def _framed(opcodes: bytes) -> bytes:
    if len(opcodes) < _LEAST_FRAME:
        return opcodes
    return pickle.FRAME + struct.pack("<Q", len(opcodes)) + opcodes
