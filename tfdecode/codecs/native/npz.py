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
from ...graph.inflate import EXPANSION, inflate_untrusted
from ...graph.rows import Rows, Status
from ...graph.substr import cut
from ...graph.switch import cond, outlined
from ..base import Container
from .file import check_key, templates_of
from .npy import Npy
from .template import Templates, decode_uniform
from .zip_member import MAX_MEMBERS, STORED, UTF_8, Member, find, find_rows

NPY = Npy()
#: Limit of a file: other members may have any size.
MAX_FILE_BYTES = 2**28
#: What a zlib stream begins with (RFC 1950): its checksum may be missing at the end of the data.
ZLIB = b"\x78\x9c"
#: Bytes of the shortest deflate stream.
MIN_DEFLATED = 2
#: Version 4.5, the first with zip64; by Unix; readable by its owner; 1980-01-01, the first date.
VERSION, UNIX, MODE, DATE = 45, 3, 0o600 << 16, 33 << 16


@dataclass(frozen=True)
class Npz(Container):
    """One array of an archive by `numpy.savez` or `numpy.savez_compressed`.

    At most 1024 members: that of the array is an ``.npy`` that `Npy` accepts, the others anything.

    Parameters
    ----------
    key : str
        Name of the array: that of its member without ``.npy``, 1 to 256 characters.

    Notes
    -----
    Format: PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", 6.3.10, and
    `numpy.lib.format`.

    TensorFlow's op has no output limit: a hostile member can take 2,100 times its length, which is
    at most about that of the array. Rows are inflated one after the other if four could take more
    than 1 GiB. A damaged member makes a bad row. The CRC of a deflated member is compared, but not
    that of a stored one, which would take as long in a graph as inflating; `tfdecode.load` does it.

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
        unnamed = " (savez calls arrays without a name arr_0, arr_1 ...)"
        check_key(self.name, self.key, 256, unnamed)
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
        return False  # a compressed file can take 2,100 times its length

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
            # As the op, which does not tell where a stream ends; the CRC shows whether it is whole.
            try:
                data = zlib.decompressobj().decompress(ZLIB + data, member.size + 1)
            except zlib.error as error:
                raise DecodeError(f"payload has a damaged member: {error}") from None
            if struct.pack("<II", zlib.crc32(data), len(data)) != member.trailer:
                raise DecodeError("payload has a member whose CRC or size is wrong")
        elif len(data) != member.size:
            raise DecodeError("payload has a member whose size is wrong")
        return NPY.decode(data, form)

    def file(self, form: ArrayForm) -> str:
        """What a payload is, for messages."""
        return f"an .npz with {form} as {shown(self.key)}"

    def found(self, y: bytes, form: ArrayForm) -> str:
        """What a file holds instead, for the message: nothing of its text."""
        try:
            listing = npz.contents(y, max_bytes=0)  # no pickle is inflated
        except (FileError, SpecError):
            return ""
        entries = listing.entries
        pickles = (name for name, what in listing.others.items() if what.startswith("object array"))
        if any(self.key.startswith(name) for name in pickles):
            return ": the array is in the pickle of an object array, which no graph reads"
        mine = [entry for entry in entries if entry.key == self.key]
        if len(mine) != 1:
            return f": it holds {len(entries)} arrays, {len(mine)} of that name"
        try:
            name, shape = dtype_name(mine[0].dtype), list(mine[0].shape)
        except SpecError:
            return ""
        if (name, shape) != (form.dtype, list(form.max_shape)):
            return f": it holds {name} {shape}"
        count = int.from_bytes(y[-12:-10], "little")  # of the directory, if there is no comment
        if count > MAX_MEMBERS:
            return f"; it has {count} members, the graph looks through {MAX_MEMBERS} at most"
        return "; the graph reads archives without a comment and without a password"

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        templates, payloads = self.templates(form), rows.data
        head, read_as = templates.known[0].head, READ_AS.get(form.dtype, form.dtype)
        length = tf.strings.length(payloads)

        def located() -> list[Any]:
            good, member = find_rows(payloads, self.member)
            sizes = tf.constant(templates.lengths, tf.int64)
            good &= tf.reduce_any(tf.equal(member.size[:, tf.newaxis], sizes), 1)
            sane = (member.packed >= MIN_DEFLATED) & (member.packed <= compress_bound(member.size))
            good &= tf.logical_not(member.deflated) | sane
            # Stored members of one layout are cut from the rows as a tensor, unless the rest of the
            # file is large: 1.9 times a bare decode_raw of 32 pose maps, as for an .npy.
            start = tf.reduce_max(tf.concat([member.start, [0]], 0))
            fits = good & tf.logical_not(member.deflated) & tf.equal(member.start, start)
            fits &= tf.equal(length, length[:1]) & (length <= 2 * templates.lengths[-1] + 512)
            fits &= tf.equal(member.size, len(head) + templates.nbytes)
            fits &= tf.equal(cut(payloads, member.start, len(head)), head)
            return [good, tf.reduce_all(fits), tf.cast(start, tf.int32), *member]

        good, uniform, start, *fields = outlined(located)()
        filler = self.filler(form)
        message = f"has {{}} bytes, not {self.file(form)}"
        rows = rows.check(good, length, Status.HEADER, message).guard(filler)

        def at_once() -> list[Any]:
            data = decode_uniform(rows.data, start + len(head), templates.nbytes, read_as)
            return [data, tf.ones_like(good), False]

        def one_by_one() -> list[Any]:
            member = in_place_of_bad(Member(*fields), rows.ok, find(filler, self.member))
            members = members_of(rows.data, member, templates.lengths[-1])
            return templates.numbers_of(members, read_as, NPY.filler(form))

        uniform &= tf.reduce_all(rows.ok)
        data, known, column_order = cond(uniform, at_once, outlined(one_by_one))
        data = templates.in_row_order(data, column_order)
        rows = rows.check(known, length, Status.HEADER, message)
        return as_dtype(replace(rows, data=data, unguarded=False), form.dtype)


def in_place_of_bad(member: Member, ok: Any, filler: Any) -> Member:
    """``member`` of each row, that of the filler in place of a bad one."""
    types = (tf.int64, tf.int64, tf.int64, tf.bool, tf.string)
    pairs = zip(member, filler, types, strict=True)
    return Member(*(tf.where(ok, one, tf.constant(other, dtype)) for one, other, dtype in pairs))


def members_of(payloads: Any, member: Member, most: int) -> Any:
    """The members themselves, strings ``[B]`` of up to ``most`` bytes; empty if damaged."""
    data = cut(payloads, member.start, member.packed)

    def inflated() -> list[Any]:
        streams = tf.strings.join([ZLIB, tf.where(member.deflated, data, "")])
        files, _ = inflate_untrusted(streams, "ZLIB", most, member.trailer)
        return [tf.where(member.deflated, files, data)]

    return cond(tf.reduce_any(member.deflated), inflated, lambda: [data])[0]


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
