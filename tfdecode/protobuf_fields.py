"""Fields of protocol buffers, for messages that need neither TensorFlow nor their library.

Source: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterable


def field(number: int, data: bytes) -> bytes:
    """A field that has a length: its tag, its length, its bytes.

    Examples
    --------
    >>> field(1, b"abc")
    b'\\n\\x03abc'
    """
    return head(number, len(data)) + data


def head(number: int, size: int) -> bytes:
    """What comes before the bytes of such a field.

    Examples
    --------
    >>> head(1, 200)
    b'\\n\\xc8\\x01'
    """
    tag = number << 3 | 2
    return bytes((tag, size)) if tag < 128 > size else varints((tag, size))


def varints(numbers: Iterable[int]) -> bytes:
    """Each number in groups of 7 bits, the lowest first; the last one has no high bit."""
    out = bytearray()
    for number in numbers:
        # Negative numbers are stored as unsigned ones.
        rest = number if number >= 0 else number % 2**64
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
    return bytes(out)
