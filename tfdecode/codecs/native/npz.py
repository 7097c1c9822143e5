"""npz: one array of the zip archive that numpy.savez writes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...dtypes import dtype_name
from ...errors import DecodeError, FileError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...formats import npz
from ...formats.contents import shown
from ...formats.sniff import ZIP_MAGIC as MAGIC
from ...formats.zlib_stream import compress_bound
from ...graph.casts import READ_AS, as_dtype
from ...graph.inflate import EXPANSION, inflate_bounded
from ...graph.rows import Rows, Status
from ...graph.substr import cut
from ..base import Container
from .file import templates_of
from .npy import Npy
from .template import Templates, decode_uniform
from .zip_member import MAX_MEMBERS, STORED, UTF_8, Member, find, find_rows

NPY = Npy()
#: Limit of a file: other members may have any size.
MAX_FILE_BYTES = 2**28
#: What a gzip file begins with: deflate, no name, no date (RFC 1952); and such a file of nothing.
GZIP = bytes.fromhex("1f8b08000000000000ff")
NOTHING = GZIP + b"\x03\x00" + bytes(8)
#: Bytes of the shortest deflate stream.
MIN_DEFLATED = 2
#: Version 4.5, the first with zip64; by Unix; readable by its owner; 1980-01-01, the first date.
VERSION, UNIX, MODE, DATE = 45, 3, 0o600 << 16, 33 << 16


@dataclass(frozen=True)
class Npz(Container):
    """One array of an archive by `numpy.savez` or `numpy.savez_compressed`.

    At most 64 members: that of the array is an ``.npy`` that `Npy` accepts, the others anything.

    Parameters
    ----------
    key : str
        Name of the array: that of its member without ``.npy``, 1 to 256 characters.

    Notes
    -----
    Format: PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", 6.3.10, and
    `numpy.lib.format`.

    TensorFlow's op has no output limit: a hostile member can inflate to 1032 times the array. A
    batch that could exceed 1 GiB is inflated one row at a time. A damaged deflated member fails the
    whole batch with a DataLossError. The graph does not compare the CRC of a stored member, which
    takes as long as inflating, and accepts several deflate streams that together hold the array.

    Examples
    --------
    >>> import io, numpy as np, tfdecode
    >>> file = io.BytesIO(); np.savez_compressed(file, pose=np.arange(3, dtype="uint8"))
    >>> tfdecode.ArraySpec((3,), "uint8", "npz:pose").decode(file.getvalue())
    array([0, 1, 2], dtype=uint8)
    """

    name = "npz"
    suffixes = (".npz",)
    contents = npz.contents
    magics = (MAGIC,)
    key: str

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or not 0 < len(self.key) <= 256:
            raise SpecError(
                f"codec npz: key is {self.key!r}, needs a text of 1 to 256 characters "
                "(savez calls arrays without a name arr_0, arr_1 ...)"
            )
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in self.key):
            raise SpecError(f"codec npz: no member can be named {self.key!r}")

    @property
    def member(self) -> bytes:
        """The name of the member."""
        return f"{self.key}.npy".encode()

    def templates(self, form: ArrayForm) -> Templates:
        """What the member can be."""
        return templates_of(NPY, form)

    def resolve(self, form: ArrayForm) -> BytesForm:
        form.require_fixed(self.name)
        if form.dtype in NPY.missing:
            advice = NPY.missing[form.dtype].replace("numpy.save", "numpy.savez")
            raise SpecError(f"codec npz: {advice.replace('|npy', '|npz')}")
        around = len(archive(self.member, b"", b"", STORED, 0))
        lengths = self.templates(form).lengths
        least = 98 + 2 * len(self.member) + max(MIN_DEFLATED, lengths[0] // EXPANSION)
        most = max(MAX_FILE_BYTES, around + lengths[-1])
        return BytesForm(
            least, most, lambda: self.filler(form), lambda data: self.found(data, form)
        )

    def bounded(self, form: ArrayForm) -> bool:
        return False  # a compressed file may inflate to 1032 times its length

    def inflates(self, form: ArrayForm) -> int:
        return self.templates(form).lengths[-1]

    def fits(self, form: ArrayForm, member: Member) -> bool:
        """Whether the sizes of a member are possible."""
        if member.size not in self.templates(form).lengths:
            return False
        return not member.deflated or MIN_DEFLATED <= member.packed <= compress_bound(member.size)

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        data = NPY.encode(x, form)
        return archive(self.member, data, data, STORED, zlib.crc32(data))

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        member = find(y, self.member)
        if member is None or not self.fits(form, member):
            raise DecodeError(
                f"payload has {len(y)} bytes, not {self.file(form)}{self.found(y, form)}"
            )
        data = y[member.start : member.start + member.packed]
        if member.deflated:
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                data = inflater.decompress(data, member.size + 1)
            except zlib.error as error:
                raise DecodeError(f"payload has a damaged member: {error}") from None
            if not inflater.eof or inflater.unused_data:
                raise DecodeError("payload has a member that is not one deflate stream")
        if struct.pack("<II", zlib.crc32(data), len(data)) != member.trailer:
            raise DecodeError("payload has a member whose CRC or size is wrong")
        return NPY.decode(data, form)

    def file(self, form: ArrayForm) -> str:
        """What a payload is, for messages."""
        return f"an .npz with {form} as {shown(self.key)}"

    def found(self, y: bytes, form: ArrayForm) -> str:
        """What a file holds instead, for the message: nothing of its text."""
        try:
            entries = npz.contents(y).entries
        except (FileError, SpecError):
            return ""
        mine = [entry for entry in entries if entry.key == self.key]
        if len(mine) != 1:
            return f": it holds {len(entries)} arrays, {len(mine)} of that name"
        try:
            name, shape = dtype_name(mine[0].dtype), list(mine[0].shape)
        except SpecError:
            return ""
        if (name, shape) != (form.dtype, list(form.max_shape)):
            return f": it holds {name} {shape}"
        return f"; an archive has {MAX_MEMBERS} members at most, no comment and no password"

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        templates, head = self.templates(form), self.templates(form).known[0].head
        read_as = READ_AS.get(form.dtype, form.dtype)
        good, member = find_rows(rows.data, self.member)
        sizes = tf.constant(templates.lengths, tf.int64)
        good &= tf.reduce_any(tf.equal(member.size[:, tf.newaxis], sizes), 1)
        sane = (member.packed >= MIN_DEFLATED) & (member.packed <= compress_bound(member.size))
        good &= tf.logical_not(member.deflated) | sane
        length = tf.strings.length(rows.data)
        message = f"has {{}} bytes, not {self.file(form)}"
        filler = self.filler(form)
        rows = rows.check(good, length, Status.HEADER, message).guard(filler)
        member = in_place_of_bad(member, rows.ok, find(filler, self.member))
        start = tf.reduce_max(tf.concat([member.start, [0]], 0))
        size = tf.strings.length(rows.data)
        # Stored members of one layout are cut from the rows as a tensor, unless the rest of the
        # file is large: 1.9 times a bare decode_raw of 32 pose maps, as for an .npy. Deflated
        # members take 1.04 to 1.09 times as long as inflating them and decode_raw.
        uniform = tf.reduce_all(tf.logical_not(member.deflated) & tf.equal(member.start, start))
        uniform &= tf.reduce_all(
            tf.equal(size, size[:1]) & (size <= 2 * templates.lengths[-1] + 512)
        )
        uniform &= tf.reduce_all(tf.equal(member.size, len(head) + templates.nbytes))
        uniform &= tf.reduce_all(tf.equal(cut(rows.data, member.start, len(head)), head))

        def at_once() -> Any:
            begin = tf.cast(start, tf.int32) + len(head)
            data = templates.shaped(decode_uniform(rows.data, begin, templates.nbytes, read_as))
            return [data, tf.ones_like(good)]

        def one_by_one() -> Any:
            members = Rows(members_of(rows.data, member, templates.lengths[-1]), rows.size)
            members = templates.decode_rows(members, read_as, NPY.filler(form), message)
            return [members.data, members.ok]

        data, known = tf.cond(uniform, at_once, one_by_one)
        data.set_shape([None, *form.max_shape])
        rows = rows.check(known, length, Status.HEADER, message)
        return as_dtype(replace(rows, data=data, unguarded=False), form.dtype)


def in_place_of_bad(member: Member, ok: Any, filler: Any) -> Member:
    """``member`` of each row, that of the filler in place of a bad one."""
    types = (tf.int64, tf.int64, tf.int64, tf.bool, tf.string)
    pairs = zip(member, filler, types, strict=True)
    return Member(*(tf.where(ok, one, tf.constant(other, dtype)) for one, other, dtype in pairs))


def members_of(payloads: Any, member: Member, most: int) -> Any:
    """The members themselves, strings ``[B]`` of up to ``most`` bytes, inflated."""
    data = cut(payloads, member.start, member.packed)

    def inflated(data: Any) -> Any:
        # The op compares CRC and size, as it would not those of a zlib stream.
        files = tf.strings.join([tf.fill(tf.shape(data), GZIP), data, member.trailer])
        files = tf.where(member.deflated, files, NOTHING)
        return inflate_bounded(files, "GZIP", most)

    def mixed() -> Any:
        short = tf.where(member.deflated, data, "")
        return tf.where(member.deflated, inflated(short), data)

    return tf.cond(
        tf.reduce_all(member.deflated),
        lambda: inflated(data),
        lambda: tf.cond(tf.reduce_any(member.deflated), mixed, lambda: data),
    )


def archive(name: bytes, data: bytes, packed: bytes, method: int, crc: int) -> bytes:
    """The archive of one member, to the byte what numpy.savez writes of it."""
    flags = 0 if name.isascii() else UTF_8
    about = struct.pack("<HHHII", VERSION, flags, method, DATE, crc)
    sizes = struct.pack("<HHQQ", 1, 16, len(data), len(packed))
    header = MAGIC + about + struct.pack("<IIHH", 2**32 - 1, 2**32 - 1, len(name), len(sizes))
    entry = b"PK\x01\x02" + bytes([VERSION, UNIX]) + about
    entry += struct.pack("<IIHHHHHII", len(packed), len(data), len(name), 0, 0, 0, 0, MODE, 0)
    at = len(header) + len(name) + len(sizes) + len(packed)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(entry) + len(name), at, 0)
    return b"".join([header, name, sizes, packed, entry, name, end])
