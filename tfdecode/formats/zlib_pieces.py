"""Deflate of large data in pieces, of which a few are held at a time."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from isal import isal_zlib

from .zlib_stream import LAGS, Data, compress, noisy_cells, stored_and_coded

#: Bytes of a piece: a multiple of the cells that `noisy_cells` looks at together.
PIECE = 2**20


def pieces_of(x: np.ndarray, nbytes: int = PIECE) -> Iterator[Data]:
    """The bytes of ``x`` in C order, as they are in memory, ``nbytes`` at a time."""
    if x.flags.c_contiguous:
        flat = x.reshape(-1).view(np.uint8).data
        yield from (flat[at : at + nbytes] for at in range(0, len(flat), nbytes))
        return
    chunks: Iterable[Any] = np.nditer(
        x, ["external_loop", "buffered"], order="C", buffersize=max(1, nbytes // x.itemsize)
    )
    yield from rechunked((chunk.tobytes() for chunk in chunks), nbytes)


def rechunked(pieces: Iterable[Data], nbytes: int, rest: int = 1) -> Iterator[bytes]:
    """The same bytes, ``nbytes`` at a time; the last piece has at least ``rest`` if all have."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= nbytes + rest:
            yield bytes(held[:nbytes])
            del held[:nbytes]
    if held:
        yield bytes(held)


def compress_pieces(
    pieces: Callable[[], Iterable[Data]], nbytes: int, level: int, store: bool, out: io.BytesIO
) -> None:
    """Append to ``out`` a stream of ``nbytes`` bytes, as `zlib_stream` makes it of them at once.

    It is not the same to the byte: blocks end with pieces. Above level 3 all data is held.
    """
    start = out.tell()
    streams = (stored, coded) if store and level else (coded,)
    for stream in streams:
        out.seek(start)
        out.truncate()
        out.writelines(stream(pieces(), level))
        if out.tell() - start < nbytes:
            break  # cells that are coded one by one can grow


def coded(pieces: Iterable[Data], level: int) -> Iterator[bytes]:
    """A stream without stored blocks."""
    if level not in (1, 2, 3):
        yield compress(b"".join(pieces), level)
        return
    coder = isal_zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS)
    yield from (coder.compress(piece) for piece in pieces)
    yield coder.flush()


def stored(pieces: Iterable[Data], level: int) -> Iterator[Data]:
    """A stream that stores incompressible cells."""
    return stored_and_coded(with_noisy_cells(rechunked(pieces, PIECE, LAGS[-1])), level)


def with_noisy_cells(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, np.ndarray]]:
    """Each piece with its incompressible cells, which the bytes after it belong to."""
    first = before = b""
    for piece in pieces:
        if before:
            yield before, noisy_cells(before, piece[: LAGS[-1]])
        else:
            first = piece[: LAGS[-1]]  # as if the start followed the end
        before = piece
    if before:
        yield before, noisy_cells(before, first)
