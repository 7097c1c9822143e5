"""A chain of codecs: any filters, one container, any compressors; it encodes and decodes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ..casts import checked_bool
from ..dtypes import as_stored
from ..errors import DecodeError, SpecError
from ..extras import tensorflow as tf
from ..form import MAX_NBYTES, ArrayForm, BytesForm, Form
from ..graph.rows import Rows, Status
from .base import AnyCodec, Compressor, Container
from .chain_text import brief, chain_text
from .compressors.seal import SEAL_NBYTES, Seal
from .containers.raw import Raw

#: Bytes of an array that is not copied for each step of ``raw`` and a compressor.
LARGE = 2**24


#: How many times as long as payloads can be a file is that is read to explain the refusal: arrays
#: of another dtype are up to 16 times as large.
EXPLAINED = 16


@dataclass(frozen=True)
class Chain:
    """The codecs of one spec, in the order of encoding, and the forms between them."""

    codecs: tuple[AnyCodec, ...]
    form: ArrayForm
    #: The form before each codec, and after the last one: that of the payloads.
    forms: tuple[Form, ...] = field(init=False)

    def __post_init__(self) -> None:
        forms: list[Form] = [self.form]
        for codec in self.codecs:
            form = codec.resolve(forms[-1])
            if isinstance(form, BytesForm) and form.max_nbytes > MAX_NBYTES:
                raise SpecError(
                    f"chain {brief(self.text)!r} needs {form.max_nbytes} bytes for {self.form}, "
                    f"at most {MAX_NBYTES} fit a string tensor"
                )
            forms.append(form)
        object.__setattr__(self, "forms", tuple(forms))

    @property
    def payload(self) -> BytesForm:
        """The form of the payloads."""
        form = self.forms[-1]
        assert isinstance(form, BytesForm)
        return form

    @property
    def text(self) -> str:
        """The chain as text."""
        return chain_text(self.codecs)

    @property
    def sealed(self) -> bool:
        """Whether the last step is a seal."""
        return isinstance(self.codecs[-1], Seal)

    def matches_seal(self, payload: bytes) -> bool:
        """Whether ``payload`` ends with the seal of this chain."""
        seal = self.codecs[-1]
        return isinstance(seal, Seal) and payload[-SEAL_NBYTES:] == seal.tag(payload[:-SEAL_NBYTES])

    @property
    def native(self) -> bool:
        """Whether the payloads are unchanged files of other programs."""
        codec = self.codecs[-1]
        return isinstance(codec, Container) and bool(codec.suffixes)

    @property
    def container(self) -> Container:
        """The step that makes bytes of an array."""
        return next(codec for codec in self.codecs if isinstance(codec, Container))

    @property
    def packs(self) -> bool:
        """Whether it has a compressor other than a seal."""
        return any(codec.kind == "compressor" for codec in self.codecs if codec.name != "seal")

    @property
    def domain(self) -> str:
        """The arrays that it can encode, in words; "" for all."""
        words = (c.domain(form) for c, form in zip(self.codecs, self.forms, strict=False))
        return "; ".join(filter(None, words))

    @property
    def magics(self) -> tuple[bytes, ...]:
        """Every payload begins with one of these; empty if that is not known."""
        return next(c.begins(form) for c, form in self.backwards() if c.name != "seal")

    def encode(self, x: np.ndarray) -> bytes:
        """The payload of ``x``; EncodeError outside the domain."""
        value: Any = x
        steps = list(zip(self.codecs, self.forms, strict=False))
        while steps:
            packed = in_pieces(value, steps)
            if packed is None:
                codec, form = steps.pop(0)
                packed = codec.encode(value, form)
            value = packed
        assert isinstance(value, bytes)
        return value

    def decode(self, payload: bytes) -> np.ndarray:
        """The array of ``payload``; DecodeError if it is not valid."""
        _, x = deque(self.undo(payload), maxlen=1).pop()
        assert isinstance(x, np.ndarray)
        return x

    def chosen(self, payload: bytes) -> tuple[Chain, bytes]:
        """The chain of ``payload``, and the payload without a tag, as in `one_of`."""
        return self, payload

    def undo(self, payload: bytes) -> Iterator[tuple[AnyCodec, bytes | np.ndarray]]:
        """Each codec, the last one first, with its decoded output; raises as ``decode`` does."""
        value: Any = payload
        check_length(value, self.payload, "payload has {} bytes")
        for codec, form in self.backwards():
            value = codec.decode(value, form)
            if isinstance(form, BytesForm):
                check_length(value, form, f"payload has {{}} bytes after {codec.name} is decoded")
            yield codec, value

    def decode_rows(self, payloads: Any, size: Any) -> Rows:
        """Strings ``[B]`` to decoded rows; bad rows are marked, nothing is raised."""
        rows = check_lengths(Rows(payloads, size), self.payload, "has {} bytes")
        for codec, form in self.backwards():
            rows = codec.decode_rows(rows, form)
            if isinstance(form, ArrayForm) and rows.lengths is not None and rows.sides is None:
                # A codec from outside that takes one None dimension can leave them out.
                rows = replace(rows, sides=(rows.lengths // form.stride)[:, None])
            if isinstance(form, BytesForm):
                rows = check_lengths(rows, form, f"has {{}} bytes after {codec.name} is decoded")
        return rows

    def encode_rows(self, data: Any, size: Any) -> Rows:
        """A tensor ``[B, *shape]`` to payloads; rows outside the domain are marked.

        SpecError if a codec cannot encode in a graph.
        """
        rows = Rows(data, size)
        for codec, form in zip(self.codecs, self.forms, strict=False):
            rows = codec.encode_rows(rows, form)
        return rows

    @property
    def encodes_all(self) -> bool:
        """Whether the graph side can encode every array: ``encode_rows`` checks nothing."""
        return not self.domain

    def backwards(self) -> Iterator[tuple[AnyCodec, Form]]:
        """Each codec with the form before it, in the order of decoding."""
        return zip(reversed(self.codecs), reversed(self.forms[:-1]), strict=True)


def in_pieces(x: Any, steps: list[tuple[AnyCodec, Form]]) -> bytes | None:
    """What ``raw``, a compressor and a seal, which it takes from ``steps``, make of a large array.

    None if other steps come first. The array is not copied as a whole: ``raw`` and the image of
    ``zlib_bounded`` are two copies, a checksum and a seal at the end two more of the payload.
    """
    if len(steps) < 2 or not isinstance(steps[0][0], Raw) or x.nbytes <= LARGE:
        return None
    if isinstance(steps[0][1], ArrayForm) and not steps[0][1].sides_follow:
        return None
    packer, form = steps[1]
    if not isinstance(packer, Compressor) or not isinstance(form, BytesForm):
        return None
    from ..formats.zlib_pieces import pieces_of  # deflate takes 5 ms to import

    x = as_stored(checked_bool(x))
    packed = packer.encode_pieces(partial(pieces_of, x), x.nbytes, form)
    if packed is None:
        return None
    del steps[:2]
    if steps and isinstance(seal := steps[0][0], Seal):
        del steps[0]
        packed.write(seal.tag(packed.getvalue()))
    return packed.getvalue()


def check_length(value: bytes, form: BytesForm, message: str) -> None:
    """DecodeError unless ``value`` has a length that ``form`` allows."""
    if not form.min_nbytes <= len(value) <= form.max_nbytes:
        # To tell what a file holds takes more than its length: only of what can be a mistake.
        mistake = len(value) <= EXPLAINED * form.max_nbytes + 2**12
        found = (form.explain(value) or looks_like(value)) if mistake else ""
        raise DecodeError(f"{message.format(len(value))}, {form.needs()}{found}")


def looks_like(value: bytes) -> str:
    """What file was taken for a payload, for the message; nothing of its text."""
    from ..formats.sniff import sniff  # not at the top: clients start without it

    kind = sniff(value)
    # Compressed and png payloads begin as such files do.
    if kind is None or kind.name.startswith(("zlib", "Zstandard", "a PNG")):
        return ""
    return f"; it looks like {re.split(';| that begins', kind.name)[0]}"


def check_lengths(rows: Rows, form: BytesForm, message: str) -> Rows:
    """Narrow ``rows`` to those with a length that ``form`` allows."""
    length = tf.strings.length(rows.data)
    fits = tf.equal(length, form.max_nbytes)
    if form.min_nbytes != form.max_nbytes:
        fits = (length >= form.min_nbytes) & (length <= form.max_nbytes)
    return rows.check(fits, length, Status.LENGTH, f"{message}, {form.needs()}")
