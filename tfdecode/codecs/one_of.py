"""one_of: several chains for one input; each payload shows which of them packed it.

The first of these rules that applies selects the chain of a payload:

1. It begins with a magic number of four bytes or more (a PNG, an ``.npy``): the first chain whose
   payloads begin with it.
2. It has the length of all payloads of a chain: that chain. A small zlib stream can be as long as a
   raw array; then the seal decides.
3. Its first byte is a tag, 0xA0 plus the index of the chain; the payload of the chain follows.
4. It begins with a shorter magic number (a zlib stream): the first chain with that one.

``encode`` adds a tag only if the chain is not selected without it. So a model that gets a second
chain still accepts the payloads of clients that know the first one alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np

from ..errors import DecodeError, EncodeError, SpecError
from ..extras import tensorflow as tf
from ..form import ArrayForm, BytesForm
from ..graph import ragged
from ..graph.by_row import elements, with_sides
from ..graph.casts import as_bits, movable
from ..graph.rows import Check, Rows, Status
from ..graph.switch import cond, outlined, shared, switch
from .chain import Chain
from .chain_text import brief
from .compressors.seal import Seal

#: The tag of the first chain. No text begins with it: UTF-8 has such bytes only inside characters.
TAG, MAX_CHAINS = 0xA0, 32
#: A magic number of four bytes is not found by chance.
MIN_SURE_MAGIC = 4


@dataclass(frozen=True)
class OneOf:
    """Chains of the same form, in the order of their tags; it has the interface of a Chain."""

    chains: tuple[Chain, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.chains) <= MAX_CHAINS:
            raise SpecError(f"one_of has {len(self.chains)} chains, needs 2 to {MAX_CHAINS}")
        texts = [chain.text for chain in self.chains]
        for text in texts:
            if texts.count(text) > 1:
                raise SpecError(f"one_of has the chain {brief(text)!r} twice")
        for chain in self.unreached:
            others = [self.chains[self.magics[magic]] for magic in chain.magics]
            first = next((other for other in others if other.native), None)
            if first:  # payloads without a magic number, as of csv, have their tag
                raise SpecError(
                    f"one_of: {brief(chain.text)!r} can never be selected: its files begin with "
                    f"the same bytes as those of {brief(first.text)!r}; remove one of them, or use "
                    "two inputs"
                )

    @property
    def form(self) -> ArrayForm:
        """The form of the arrays."""
        return self.chains[0].form

    @cached_property
    def payload(self) -> BytesForm:
        """The form of the payloads."""
        forms = [chain.payload for chain in self.chains]
        low, high = min(form.min_nbytes for form in forms), max(form.max_nbytes for form in forms)
        return BytesForm(low, high + 1, self.filler)

    @property
    def text(self) -> str:
        """The chains as text."""
        return " or ".join(chain.text for chain in self.chains)

    @cached_property
    def lengths(self) -> dict[int, int]:
        """The length that all payloads of a chain have -> the first such chain."""
        forms = reversed([*enumerate(chain.payload for chain in self.chains)])
        if not self.form.sides_follow:  # a payload that states dimensions has a tag
            return {}
        return {f.max_nbytes: i for i, f in forms if f.min_nbytes == f.max_nbytes}

    @cached_property
    def magics(self) -> dict[bytes, int]:
        """Magic number, the longest first -> the first chain whose payloads begin with it."""
        found = {m: i for i, chain in reversed([*enumerate(self.chains)]) for m in chain.magics}
        return dict(sorted(found.items(), key=lambda item: -len(item[0])))

    @property
    def unreached(self) -> list[Chain]:
        """The native chains that only a tag selects: files sent unchanged are not recognised."""
        reached = {*self.magics.values(), *self.lengths.values()}
        return [c for i, c in enumerate(self.chains) if c.native and i not in reached]

    # -- numpy --------------------------------------------------------------------------------

    def encode(self, x: np.ndarray) -> bytes:
        """The smallest payload of ``x``; EncodeError if it is outside of the domain of all."""
        payloads, refused = [], []
        for index, chain in enumerate(self.chains):
            try:
                payloads.append(self.with_tag(index, chain.encode(x)))
            except EncodeError as error:
                refused.append(f"{brief(chain.text)}: {error}")
        if not payloads:
            raise EncodeError(f"no chain can encode the array: {'; '.join(refused)}")
        return min(payloads, key=len)

    def with_tag(self, index: int, payload: bytes) -> bytes:
        """``payload`` of a chain, with a tag if needed; EncodeError if the tag does not help."""
        for sent in (payload, bytes([TAG + index]) + payload):
            if self.chain_of(sent) == (index, payload):
                return sent
        raise EncodeError("its payload has the length of the payloads of another chain")

    def chain_of(self, payload: bytes) -> tuple[int | None, bytes]:
        """The index of the payload's chain, and the payload without a tag."""
        magic = next((magic for magic in self.magics if payload.startswith(magic)), b"")
        by_magic = self.magics.get(magic)
        if len(magic) >= MIN_SURE_MAGIC:
            return by_magic, payload
        if (by_length := self.lengths.get(len(payload))) is not None:
            sealed = by_magic is not None and self.chains[by_magic].matches_seal(payload)
            return (by_magic if sealed else by_length), payload
        if payload and TAG <= payload[0] < TAG + len(self.chains):
            return payload[0] - TAG, payload[1:]
        return by_magic, payload

    def chosen(self, payload: bytes) -> tuple[Chain, bytes]:
        """The chain and the payload without a tag; DecodeError if it matches no chain."""
        index, plain = self.chain_of(payload)
        if index is None:
            raise DecodeError(
                f"payload has {len(payload)} bytes that match none of the chains {brief(self.text)}"
                + "".join(f"; files of {brief(c.text)} are not recognised" for c in self.unreached)
            )
        return self.chains[index], plain

    def decode(self, payload: bytes) -> np.ndarray:
        """The array of ``payload``; DecodeError if it is not valid."""
        chain, plain = self.chosen(payload)
        try:
            return chain.decode(plain)
        except DecodeError as error:
            raise DecodeError(f"{error} (packed by {brief(chain.text)})") from None

    def filler(self) -> bytes:
        """A constant good payload as it is sent, with a tag if it needs one."""
        for index, chain in enumerate(self.chains):
            with suppress(EncodeError):
                return self.with_tag(index, chain.payload.filler())
        raise SpecError(f"one_of has no payload that selects one of the chains {brief(self.text)}")

    # -- graph --------------------------------------------------------------------------------

    def decode_rows(self, payloads: Any, size: Any) -> Rows:
        """Strings ``[B]`` to decoded rows: by one branch of a `switch`, or in groups if mixed."""
        rows = Rows(payloads, size)
        chosen, tagged = outlined(partial(self.route, payloads))()
        known = chosen >= 0
        message = f"has {{}} bytes that match none of the chains {brief(self.text)}"
        length = tf.strings.length(payloads)
        rows = rows.check(known, length, Status.HEADER, message).guard(
            self.chains[0].payload.filler()
        )
        chosen = tf.maximum(chosen, 0)
        decode = [self.decoder(chain) for chain in self.chains]
        same = tf.reduce_all(tf.equal(chosen, chosen[:1]))
        first = tf.cast(tf.reduce_max(tf.concat([chosen[:1], [0]], 0)), tf.int32)
        uniform = [partial(one, rows.data, tagged) for one in decode]
        mixed = partial(self.decode_groups, decode, rows.data, tagged, chosen)
        outputs = switch(tf.where(same, first, len(decode)), *uniform, mixed)
        data, sides, status, _, text = outputs
        check = Check(tf.equal(status, int(Status.GOOD)), status, lambda row: text)
        ok = tf.logical_and(known, check.passed)
        rows = Rows(as_bits(data, self.form.dtype), size, ok=ok, checks=(*rows.checks, check))
        return with_sides(rows, sides, self.form) if self.form.none_axes else rows

    def route(self, payloads: Any) -> tuple[Any, Any]:
        """The index of each row's chain or -1, and whether it has a tag: int32 and bool ``[B]``."""
        length = tf.strings.length(payloads)
        by_magic = tf.fill(tf.shape(payloads), -1)
        sure = tf.fill(tf.shape(payloads), False)
        for size in sorted({len(magic) for magic in self.magics}):  # the longest overrides
            head = tf.strings.substr(payloads, 0, size)
            for index in range(len(self.chains)):
                mine = [m for m, i in self.magics.items() if i == index and len(m) == size]
                if mine:
                    begins = tf.reduce_any(tf.equal(head[:, tf.newaxis], mine), 1)
                    by_magic = tf.where(begins, index, by_magic)
                    sure |= begins & (size >= MIN_SURE_MAGIC)
        first = tf.io.decode_raw(tf.strings.substr(payloads, 0, 1), tf.uint8, fixed_length=1)
        by_tag = tf.cast(tf.reshape(first, tf.shape(payloads)), tf.int32) - TAG
        tagged = (by_tag >= 0) & (by_tag < len(self.chains)) & ~sure
        chosen = tf.where(tagged, by_tag, by_magic)
        for nbytes, index in self.lengths.items():
            fits = tf.equal(length, nbytes) & ~sure
            fits &= ~self.sealed_by_another(payloads, fits, by_magic)
            chosen, tagged = tf.where(fits, index, chosen), tagged & ~fits
        return chosen, tagged

    def sealed_by_another(self, payloads: Any, fits: Any, by_magic: Any) -> Any:
        """bool ``[B]``: rows of ``fits`` that have the seal of the chain of their magic number."""
        found = tf.zeros_like(fits)
        for index in set(self.magics.values()):
            seal, bound = self.chains[index].codecs[-1], self.chains[index].payload.max_nbytes
            if isinstance(seal, Seal):
                unsure = fits & tf.equal(by_magic, index)

                def matches(seal: Seal = seal, bound: int = bound) -> list[Any]:
                    return [seal.open_rows(payloads, bound)[1]]

                (matching,) = cond(
                    tf.reduce_any(unsure), outlined(matches), partial(list, [unsure])
                )
                found |= unsure & matching
        return found

    def decoder(self, chain: Chain) -> Callable[..., Any]:
        """A function of payloads ``[B]`` of one chain and whether they have a tag.

        It returns data, sides, status, the first bad row and its message.
        """

        def decode(payloads: Any, tagged: Any) -> list[Any]:
            size = tf.shape(payloads)[0]

            def stripped() -> list[Any]:
                start = tf.cast(tagged, tf.int32)
                return [tf.strings.substr(payloads, start, tf.strings.length(payloads) - start)]

            (plain,) = cond(tf.reduce_any(tagged), stripped, lambda: [payloads])
            rows = chain.decode_rows(plain, size)
            none = [tf.cast(size, tf.int64), tf.constant("")]
            bad, text = none
            if rows.ok is not None:
                bad, text = cond(tf.reduce_all(rows.ok), lambda: none, rows.first_bad)
            sides = tf.zeros([0], tf.int64) if rows.sides is None else rows.sides
            text = tf.strings.join([text, f" (packed by {brief(chain.text)})"])
            return [movable(rows.data), sides, rows.status(), bad, text]

        # One function for the branches that call it: the same for all rows, or mixed.
        return shared(decode, [tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.bool)])

    def decode_groups(
        self, decode: list[Callable[[Any, Any], Any]], payloads: Any, tagged: Any, chosen: Any
    ) -> Any:
        """Decode the rows of each chain as a group, and restore the order of the batch."""
        size = tf.shape(payloads, out_type=tf.int64)[:1]
        indices, groups, first_bad = [], [], []
        for chain, one in enumerate(decode):
            index = tf.reshape(tf.where(tf.equal(chosen, chain)), [-1])
            group = one(tf.gather(payloads, index), tf.gather(tagged, index))
            indices.append(tf.cast(index, tf.int32))
            groups.append(group)
            first_bad.append(tf.gather(tf.concat([index, size], 0), group[3]))
        data, sides, status, _, texts = zip(*groups, strict=True)
        text = tf.gather(tf.stack(texts), tf.argmin(tf.stack(first_bad)))
        if self.form.none_axes:
            data = ragged.stitch(indices, data, [elements(some, self.form) for some in sides])
            sides = tf.dynamic_stitch(indices, sides)
        else:
            data, sides = tf.dynamic_stitch(indices, data), tf.zeros([0], tf.int64)
        return [data, sides, tf.dynamic_stitch(indices, status), tf.reduce_min(first_bad), text]

    @property
    def encodes_all(self) -> bool:
        """Whether the graph side can encode every array: ``encode_rows`` checks nothing."""
        return False

    def encode_rows(self, data: Any, size: Any) -> Rows:
        """A tensor ``[B, *shape]`` to payloads, each by the first chain that can carry its row.

        A row is left to a later chain that carries every array in fewer bytes. Rows that no chain
        can carry are marked.
        """
        none = [tf.fill([size], ""), tf.fill([size], False)]
        payloads, done = none
        for index, chain in enumerate(self.chains):
            later = [c.payload for c in self.chains[index + 1 :] if c.encodes_all]
            bounds = [form.max_nbytes for form in later if form.min_nbytes == form.max_nbytes]

            def encode(
                index: int = index,
                chain: Chain = chain,
                bound: int = min(bounds, default=-1),
                payloads: Any = payloads,
                done: Any = done,
            ) -> list[Any]:
                rows = chain.encode_rows(data, size)
                sent, fits = self.with_tags(index, rows.data)
                if rows.ok is not None:
                    fits &= rows.ok
                if bound >= 0:
                    fits &= tf.strings.length(sent) <= bound
                return [tf.where(done, payloads, sent), done | fits]

            if index:
                some = tf.reduce_all(done)
                payloads, done = cond(some, partial(list, [payloads, done]), outlined(encode))
            else:
                payloads, done = encode()
        count = tf.fill([size], prod(self.form.max_shape))
        message = "has {} elements, some of them with values that none of the chains can carry"
        return Rows(payloads, size).check(done, count, Status.VALUE, message)

    def with_tags(self, index: int, payloads: Any) -> tuple[Any, Any]:
        """As ``with_tag`` for payloads ``[B]``: what is sent, and whether it tells the chain."""
        plain, tagged = self.route(payloads)
        mine = tf.equal(plain, index) & ~tagged
        sent = tf.strings.join([bytes([TAG + index]), payloads])
        chosen, tagged = self.route(sent)
        return tf.where(mine, payloads, sent), mine | (tf.equal(chosen, index) & tagged)
