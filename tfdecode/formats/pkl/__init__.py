"""Arrays in a pickle, recognised among inert records and built from checked numbers only.

NumPy's own unpickling is never used, not even for an allow-list of its names: a dtype whose pickled
state lies about its flags gives an object array over bytes of the file, and reading it crashes.
The forms are those that `numpy.ndarray.__reduce_ex__` has written from NumPy 1 and Python 2 on.
"""

from __future__ import annotations

from ...errors import FileError
from ..contents import MAX_BYTES, Contents
from .unpickler import Opcodes, Pickled, unpickle
from .walk import Walk

# A record costs some 128 bytes, so that a limit on opcodes is one on memory.
_OPCODE_BYTES = 128
_OPCODES = 2**20


class Reader:
    """Reads all pickles of one file, so that its limits hold for them together.

    Parameters
    ----------
    nbytes : int
        Length of the file.
    max_bytes : int
        Decoded bytes that a read may yield, which bound the records as well.
    """

    def __init__(self, nbytes: int, max_bytes: int) -> None:
        self.opcodes = Opcodes(max(_OPCODES, max_bytes // _OPCODE_BYTES))
        self.listing = Walk(nbytes)

    def read(self, data: bytes, start: int = 0) -> Pickled:
        """The records of the pickle at byte ``start``."""
        return unpickle(data, self.opcodes, start)

    def try_walk(self, data: bytes, start: int, key: str) -> None:
        """List the pickle at byte ``start`` under ``key``; if it cannot be read, why."""
        before = len(self.listing.found)
        try:
            pickled = self.read(data, start)
            if pickled.end != len(data):
                raise FileError(f"has {len(data) - pickled.end} more bytes after it")
            self.listing.walk(pickled, (None, "[", key))
        except FileError as error:
            self.listing.stack.clear()
            del self.listing.found[before:]
            self.listing.add(key, f"object array whose pickle {error}")


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The arrays in dicts, lists, tuples, object arrays and objects; a key is the path to one.

    The path joins keys and indices by ``/`` and attributes by a dot: ``S1,7/poses/0.R`` is
    ``data["S1", 7]["poses"][0].R``. If two paths look alike, both are written as Python would:
    ``[1]`` and ``['1']``. A bare array has the key ``""``. Pickles that follow each other in one
    file are items ``0``, ``1`` and so on.
    """
    reader = Reader(len(data), max_bytes)
    pickles = [reader.read(data)]
    while pickles[-1].end < len(data):
        try:
            pickles.append(reader.read(data, pickles[-1].end))
        except FileError:
            if not reader.opcodes.left:
                raise
            left = len(data) - pickles[-1].end
            raise FileError(
                f"has {left} more bytes after the pickle; save all arrays by one pickle.dump of a "
                "dict"
            ) from None
    for index, pickled in enumerate(pickles):
        reader.listing.walk(pickled, (None, "[", index) if len(pickles) > 1 else None)
    return reader.listing.contents()
