"""The offset of a member in a zip archive (PKWARE APPNOTE 6.3.10), by the same rules on both sides.

The archive begins with a member and ends with the directory and its end record: no comment, no
other bytes, no zip64 directory (which is for archives of 4 GiB or of 65536 members). The sizes in
the directory count: a member written to a pipe has zeros or 0xFFFFFFFF in its own header.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...extras import tensorflow as tf
from ...formats.sniff import ZIP_MAGIC as MAGIC
from ...graph.substr import cut
from ...graph.switch import cond

#: Members of an archive: a walk through a directory of more is refused. Each takes 28 us of CPU.
MAX_MEMBERS = 1024
#: Methods of compression.
STORED, DEFLATED = 0, 8
#: Allowed flags: the encoder's effort, sizes after the data, a name in UTF-8.
FLAGS, UTF_8 = 0b1000_0000_1110, 0b1000_0000_0000
#: The version of a reader that a member may need.
NEEDS = 63


@dataclass(frozen=True)
class Record:
    """A record of an archive: its first four bytes, its length, offset and length of each field."""

    signature: bytes
    size: int
    fields: dict[str, tuple[int, int]]

    def read(self, data: bytes, offset: int) -> dict[str, int] | None:
        """The fields of the record at ``offset``; None if there is none."""
        text = data[offset : offset + self.size]
        if len(text) != self.size or text[:4] != self.signature:
            return None
        return {
            name: int.from_bytes(text[start : start + size], "little")
            for name, (start, size) in self.fields.items()
        }

    def read_rows(self, strings: Any, offset: Any) -> tuple[Any, dict[str, Any]]:
        """The same for each string: whether one is there, bool, and fields, int64 ``[B]``."""
        text = cut(strings, offset, self.size)
        found = tf.equal(tf.strings.substr(text, 0, 4), self.signature)
        found &= tf.equal(tf.strings.length(text), self.size)
        # All fields by one product, exact in float64, because their offsets are not aligned.
        weights = np.zeros((self.size, len(self.fields)))
        for column, (start, size) in enumerate(self.fields.values()):
            weights[start : start + size, column] = 256.0 ** np.arange(size)
        numbers = tf.io.decode_raw(text, tf.uint8, fixed_length=self.size)
        fields = tf.cast(tf.matmul(tf.cast(numbers, tf.float64), weights), tf.int64)
        return found, dict(zip(self.fields, tf.unstack(fields, axis=1), strict=True))


END = Record(b"PK\x05\x06", 22, {
    "disks": (4, 4), "here": (8, 2), "members": (10, 2), "size": (12, 4), "at": (16, 4),
    "comment": (20, 2),
})  # fmt: skip
ENTRY = Record(b"PK\x01\x02", 46, {
    "needs": (6, 1), "flags": (8, 2), "method": (10, 2), "packed": (20, 4), "size": (24, 4),
    "name": (28, 2), "extra": (30, 2), "comment": (32, 2), "at": (42, 4),
})  # fmt: skip
HEADER = Record(MAGIC, 30, {"name": (26, 2), "extra": (28, 2)})


class Member(NamedTuple):
    """A member: of one archive, or of each row int64 ``[B]`` and ``deflated`` bool ``[B]``."""

    start: Any  # of its data
    packed: Any  # bytes of its data
    size: Any  # bytes that these inflate to
    deflated: Any
    #: CRC-32 and size as in the directory: a gzip file ends with them.
    trailer: Any


def find(data: bytes, name: bytes) -> Member | None:
    """The only member ``name``, stored or deflated; None if there is none, or no archive."""
    first_end = len(data) - END.size
    end = END.read(data, max(0, first_end)) if data.startswith(MAGIC) else None
    if end is None or end["disks"] or end["comment"] or end["here"] != end["members"]:
        return None
    if not 1 <= end["members"] <= MAX_MEMBERS or end["at"] + end["size"] != first_end:
        return None
    offset, hits = end["at"], []
    for _ in range(end["members"]):
        entry = ENTRY.read(data, offset)
        if entry is None:
            return None
        if data[offset + ENTRY.size :][: entry["name"]] == name:
            hits.append(offset)
        offset = entry_end(offset, entry)
    entry = ENTRY.read(data, hits[0]) if len(hits) == 1 and offset == first_end else None
    if entry is None or entry["method"] not in (STORED, DEFLATED) or entry["needs"] > NEEDS:
        return None
    if entry["flags"] & ~FLAGS or (not name.isascii() and not entry["flags"] & UTF_8):
        return None
    if entry["method"] == STORED and entry["packed"] != entry["size"]:
        return None
    header = HEADER.read(data, entry["at"])
    if header is None or data[entry["at"] + HEADER.size :][: header["name"]] != name:
        return None
    start = entry["at"] + HEADER.size + header["name"] + header["extra"]
    if start + entry["packed"] > end["at"]:
        return None
    trailer = data[hits[0] + 16 :][:4] + data[hits[0] + 24 :][:4]
    return Member(start, entry["packed"], entry["size"], entry["method"] == DEFLATED, trailer)


def find_rows(payloads: Any, name: bytes) -> tuple[Any, Member]:
    """Strings ``[B]`` -> whether ``find`` finds one, bool ``[B]``, and where (else any number)."""
    length = tf.cast(tf.strings.length(payloads), tf.int64)
    first_end = tf.maximum(length - END.size, 0)
    good, end = END.read_rows(payloads, first_end)
    good &= tf.equal(tf.strings.substr(payloads, 0, len(MAGIC)), MAGIC)
    good &= tf.equal(end["disks"], 0) & tf.equal(end["comment"], 0)
    good &= tf.equal(end["here"], end["members"])
    good &= (end["members"] >= 1) & (end["members"] <= MAX_MEMBERS)
    # A row cannot claim more steps of the walk than it has bytes for.
    good &= end["members"] * ENTRY.size <= end["size"]
    good &= tf.equal(end["at"] + end["size"], first_end)
    members = tf.where(good, end["members"], 0)

    def walk() -> list[Any]:
        start = end["at"]
        most = tf.reduce_max(tf.concat([members, [0]], 0))
        zeros = tf.zeros_like(start)

        def step(turn: Any, offset: Any, hit_at: Any, hits: Any, valid: Any) -> Any:
            live = turn < members
            found, entry = ENTRY.read_rows(payloads, offset)
            hit = live & found & is_named(payloads, offset + ENTRY.size, entry["name"], name)
            after = tf.where(live, entry_end(offset, entry), offset)
            hits += tf.cast(hit, tf.int64)
            return turn + 1, after, tf.where(hit, offset, hit_at), hits, valid & (found | ~live)

        state = [tf.zeros([], tf.int64), start, zeros, zeros, tf.ones_like(start, tf.bool)]
        # A hostile directory takes at most 1024 steps after the end of a row: no overflow.
        _, after, hit_at, hits, valid = tf.while_loop(lambda turn, *_: turn < most, step, state)
        return [hit_at, valid & tf.equal(hits, 1), after]

    # What savez writes of one array: its entry is the first of the directory.
    single = [end["at"], tf.ones_like(good), tf.fill(tf.shape(length), np.int64(-1))]
    entry_at, once, entries_end = cond(tf.reduce_all(members <= 1), lambda: single, walk)
    found, entry = ENTRY.read_rows(payloads, entry_at)
    entries_end = tf.where(entries_end < 0, entry_end(entry_at, entry), entries_end)
    good &= once & found & tf.equal(entries_end, first_end)
    good &= is_named(payloads, entry_at + ENTRY.size, entry["name"], name)
    good &= tf.equal(tf.bitwise.bitwise_and(entry["flags"], 0xFFFF - FLAGS), 0)
    if not name.isascii():
        good &= tf.not_equal(tf.bitwise.bitwise_and(entry["flags"], UTF_8), 0)
    deflated = tf.equal(entry["method"], DEFLATED)
    stored = tf.equal(entry["method"], STORED) & tf.equal(entry["packed"], entry["size"])
    good &= (entry["needs"] <= NEEDS) & (deflated | stored)
    found, header = HEADER.read_rows(payloads, entry["at"])
    good &= found & is_named(payloads, entry["at"] + HEADER.size, header["name"], name)
    start = entry["at"] + HEADER.size + header["name"] + header["extra"]
    good &= start + entry["packed"] <= end["at"]
    crc, size = cut(payloads, entry_at + 16, 4), cut(payloads, entry_at + 24, 4)
    trailer = tf.strings.join([crc, size])
    return good, Member(start, entry["packed"], entry["size"], deflated, trailer)


def entry_end(offset: Any, entry: dict[str, Any]) -> Any:
    """The offset after the entry of the directory at ``offset``."""
    return offset + ENTRY.size + entry["name"] + entry["extra"] + entry["comment"]


def is_named(strings: Any, offset: Any, length: Any, name: bytes) -> Any:
    """Whether ``name`` is the text of ``length`` bytes at ``offset``."""
    return tf.equal(length, len(name)) & tf.equal(cut(strings, offset, len(name)), name)
