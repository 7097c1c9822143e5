"""one_of: several chains for one input, each payload of which says by which one it was packed.

A payload belongs to the first chain whose payloads begin like it by four bytes or more (a PNG, an
``.npy``); else, if it is exactly as long as all payloads of a chain are, to that one; else to the
chain of its tag, a first byte of 0xA0 plus the chain's place, with what the chain made behind it;
else to the first chain whose payloads begin like it by fewer bytes (a zlib stream). A chain's
payload goes without a tag where that leads back to the chain: so what clients of a plain spec have
always sent is understood by a model that learns a second chain. A small zlib stream can be as long
as a raw array: then the seal tells which it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import DecodeError, EncodeError, SpecError
from ..extras import tensorflow as tf
from ..form import ArrayForm, BytesForm
from ..graph import ragged
from ..graph.rows import Check, Rows, Status
from ..graph.switch import switch
from .chain import Chain
from .chain_text import brief
from .compressors.seal import Seal

#: The first byte of a tagged payload of the first chain. The bytes up to 0xBF only continue a
#: character of UTF-8, so no text begins with them.
TAG, MAX_CHAINS = 0xA0, 32
#: Bytes of a beginning that no other payload has by chance.
LONG = 4


@dataclass(frozen=True)
class OneOf:
    """Chains of the same form, in the order of their tags; it stands where a Chain does."""

    chains: tuple[Chain, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.chains) <= MAX_CHAINS:
            raise SpecError(f"one_of has {len(self.chains)} chains, needs 2 to {MAX_CHAINS}")
        texts = [chain.text for chain in self.chains]
        for text in texts:
            if texts.count(text) > 1:
                raise SpecError(f"one_of has the chain {brief(text)!r} twice")
        for chain in self.unreached:
            takers = [self.chains[self.magics[magic]] for magic in chain.magics]
            first = next((taker for taker in takers if taker.native), None)
            if first:  # else its payloads, as those of csv, have their tag
                raise SpecError(
                    f"one_of: no file can be told to be of {brief(chain.text)!r}, all begin as "
                    f"those of {brief(first.text)!r} before it; leave one out, or give each an "
                    "input of its own"
                )

    @property
    def form(self) -> ArrayForm:
        """Of the arrays."""
        return self.chains[0].form

    @cached_property
    def payload(self) -> BytesForm:
        """What the payloads can be."""
        forms = [chain.payload for chain in self.chains]
        least, most = min(form.min_nbytes for form in forms), max(form.max_nbytes for form in forms)
        return BytesForm(least, most + 1, forms[0].filler)

    @property
    def text(self) -> str:
        """The chains as text."""
        return " or ".join(chain.text for chain in self.chains)

    @cached_property
    def lengths(self) -> dict[int, int]:
        """The one length that payloads of a chain have -> the first such chain."""
        forms = [chain.payload for chain in self.chains]
        return {
            f.max_nbytes: i
            for i, f in reversed([*enumerate(forms)])
            if f.min_nbytes == f.max_nbytes
        }

    @cached_property
    def magics(self) -> dict[bytes, int]:
        """What payloads of a chain begin with, the longest first -> the first such chain."""
        found = {m: i for i, chain in reversed([*enumerate(self.chains)]) for m in chain.magics}
        return dict(sorted(found.items(), key=lambda item: -len(item[0])))

    @property
    def unreached(self) -> list[Chain]:
        """The native chains to which no file leads as it is, only the tag that ``encode`` adds."""
        reached = {*self.magics.values(), *self.lengths.values()}
        return [c for i, c in enumerate(self.chains) if c.native and i not in reached]

    # -- numpy --------------------------------------------------------------------------------

    def encode(self, x: np.ndarray) -> bytes:
        """The smallest payload that one of the chains makes of ``x``, the first of equally small.

        EncodeError outside the domain of all of them.
        """
        best: bytes | None = None
        refused = []
        for index, chain in enumerate(self.chains):
            try:
                payload = self.marked(index, chain.encode(x))
            except EncodeError as error:
                refused.append(f"{brief(chain.text)}: {error}")
                continue
            if best is None or len(payload) < len(best):
                best = payload
        if best is None:
            raise EncodeError(f"no chain can carry the array: {'; '.join(refused)}")
        return best

    def marked(self, index: int, payload: bytes) -> bytes:
        """``payload`` of a chain as it is where it leads back to it, else with its tag.

        EncodeError where neither does: by chance it is as long as all payloads of another chain.
        """
        for sent in (payload, bytes([TAG + index]) + payload):
            if self.chain_of(sent) == (index, payload):
                return sent
        raise EncodeError("its payload is as long as those of another chain")

    def chain_of(self, payload: bytes) -> tuple[int | None, bytes]:
        """The place of the payload's chain, and the payload without a tag."""
        magic = next((magic for magic in self.magics if payload.startswith(magic)), b"")
        begun = self.magics.get(magic)
        if len(magic) >= LONG:
            return begun, payload
        if (exact := self.lengths.get(len(payload))) is not None:
            sealed = begun is not None and self.chains[begun].matches_seal(payload)
            return (begun if sealed else exact), payload
        if payload and TAG <= payload[0] < TAG + len(self.chains):
            return payload[0] - TAG, payload[1:]
        return begun, payload

    def chosen(self, payload: bytes) -> tuple[Chain, bytes]:
        """The chain of the payload, and that without a tag; DecodeError where it is of none."""
        index, plain = self.chain_of(payload)
        if index is None:
            raise DecodeError(
                f"payload has {len(payload)} bytes of none of the chains {brief(self.text)}"
                + "".join(f"; no file tells that it is {brief(c.text)}" for c in self.unreached)
            )
        return self.chains[index], plain

    def decode(self, payload: bytes) -> np.ndarray:
        """The array of ``payload``; DecodeError where it cannot be one."""
        chain, plain = self.chosen(payload)
        try:
            return chain.decode(plain)
        except DecodeError as error:
            raise DecodeError(f"{error} (packed by {brief(chain.text)})") from None

    # -- graph --------------------------------------------------------------------------------

    def decode_rows(self, payloads: Any, size: Any) -> Rows:
        """Strings ``[B]`` to decoded rows, nothing raised yet.

        Where one chain packed the whole batch it costs next to nothing: only that branch of a Case
        runs, which is not lowered, for branches that are not taken cost up to 13 times the decoding
        where they are. Others are decoded in a group for each chain, and stitched.
        """
        rows = Rows(payloads, size)
        chosen, tagged = self.route(payloads)
        known = chosen >= 0
        message = f"has {{}} bytes of none of the chains {brief(self.text)}"
        length = tf.strings.length(payloads)
        rows = rows.check(known, length, Status.HEADER, message).guard(self.payload.filler())
        chosen = tf.maximum(chosen, 0)
        decode = [self.decoder(chain) for chain in self.chains]
        same = tf.reduce_all(tf.equal(chosen, chosen[:1]))
        first = tf.cast(tf.reduce_max(tf.concat([chosen[:1], [0]], 0)), tf.int32)

        def mixed(payloads: Any, tagged: Any, chosen: Any) -> Any:
            return self.stitched(decode, payloads, tagged, chosen)

        def alone(one: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
            return lambda payloads, tagged, chosen: one(payloads, tagged)

        branches = [*map(alone, decode), mixed]
        branch = tf.where(same, first, len(decode))
        outputs = switch(branch, branches, [rows.data, tagged, chosen], self.signature)
        data, lengths, status, _, text = outputs
        lengths = None if self.form.unknown_axis is None else lengths
        check = Check(tf.equal(status, int(Status.GOOD)), status, lambda row: text)
        ok = tf.logical_and(known, check.passed)
        return Rows(data, size, lengths, ok=ok, checks=(*rows.checks, check))

    def route(self, payloads: Any) -> tuple[Any, Any]:
        """The place of each row's chain or -1, and whether it has a tag: int32 and bool ``[B]``."""
        length = tf.strings.length(payloads)
        begun = tf.fill(tf.shape(payloads), -1)
        sure = tf.fill(tf.shape(payloads), False)
        for size in sorted({len(magic) for magic in self.magics}):  # the longest is put in last
            head = tf.strings.substr(payloads, 0, size)
            for index in range(len(self.chains)):
                mine = [m for m, i in self.magics.items() if i == index and len(m) == size]
                if mine:
                    begins = tf.reduce_any(tf.equal(head[:, tf.newaxis], mine), 1)
                    begun = tf.where(begins, index, begun)
                    sure |= begins & (size >= LONG)
        first = tf.io.decode_raw(tf.strings.substr(payloads, 0, 1), tf.uint8, fixed_length=1)
        place = tf.cast(tf.reshape(first, tf.shape(payloads)), tf.int32) - TAG
        tagged = (place >= 0) & (place < len(self.chains)) & ~sure
        chosen = tf.where(tagged, place, begun)
        for exact, index in self.lengths.items():
            fits = tf.equal(length, exact) & ~sure
            fits &= ~self.sealed_by_another(payloads, fits, begun)
            chosen, tagged = tf.where(fits, index, chosen), tagged & ~fits
        return chosen, tagged

    def sealed_by_another(self, payloads: Any, fits: Any, begun: Any) -> Any:
        """Of the rows that are as long as all of a chain: those with the seal of the chain that
        they begin like, bool ``[B]``.
        """
        found = tf.zeros_like(fits)
        for index in set(self.magics.values()):
            seal, most = self.chains[index].codecs[-1], self.chains[index].payload.max_nbytes
            if isinstance(seal, Seal):
                asked = fits & tf.equal(begun, index)

                def matches(seal: Seal = seal, most: int = most) -> Any:
                    return seal.opened(payloads, most)[1]

                found |= asked & tf.cond(tf.reduce_any(asked), matches, lambda a=asked: a)
        return found

    @property
    def signature(self) -> list[Any]:
        """What decoding a group gives: data, lengths, status, the first bad row, its message."""
        varies = self.form.unknown_axis is not None
        return [
            tf.TensorSpec([None] if varies else [None, *self.form.shape], self.form.dtype),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([], tf.string),
        ]

    def decoder(self, chain: Chain) -> Callable[[Any, Any], Any]:
        """The rows of one chain: payloads and whether they are tagged -> as ``signature``."""

        def decode(payloads: Any, tagged: Any) -> Any:
            size = tf.shape(payloads)[0]

            def stripped() -> Any:
                start = tf.cast(tagged, tf.int32)
                return tf.strings.substr(payloads, start, tf.strings.length(payloads) - start)

            plain = tf.cond(tf.reduce_any(tagged), stripped, lambda: payloads)
            rows = chain.decode_rows(plain, size)
            none = tf.cast(size, tf.int64), tf.constant("")
            bad, text = none
            if rows.ok is not None:
                bad, text = tf.cond(tf.reduce_all(rows.ok), lambda: none, rows.first_bad)
            lengths = tf.zeros([0], tf.int64) if rows.lengths is None else rows.lengths
            text = tf.strings.join([text, f" (packed by {brief(chain.text)})"])
            return [rows.data, lengths, rows.status(), bad, text]

        if tf.executing_eagerly():  # where it would be traced anew at each call
            return decode
        # A function of the graph, as two branches call it: half of the nodes and of the time to
        # trace and load them, for five native formats 1 s of 6.
        traced: Callable[[Any, Any], Any] = tf.function(decode, autograph=False)
        return traced

    def stitched(
        self, decode: list[Callable[[Any, Any], Any]], payloads: Any, tagged: Any, chosen: Any
    ) -> Any:
        """Each chain's group decoded by it, and the rows put in their places again."""
        size = tf.shape(payloads, out_type=tf.int64)[:1]
        places, groups, firsts = [], [], []
        for index, one in enumerate(decode):
            place = tf.reshape(tf.where(tf.equal(chosen, index)), [-1])
            group = one(tf.gather(payloads, place), tf.gather(tagged, place))
            places.append(tf.cast(place, tf.int32))
            groups.append(group)
            firsts.append(tf.gather(tf.concat([place, size], 0), group[3]))
        data, lengths, status, _, texts = zip(*groups, strict=True)
        worst = tf.argmin(tf.stack(firsts))
        text = tf.gather(tf.stack(texts), worst)
        if self.form.unknown_axis is None:
            whole, lengths = tf.dynamic_stitch(places, data), tf.zeros([0], tf.int64)
        else:
            whole, lengths = ragged.stitched(places, data, lengths)
        return [whole, lengths, tf.dynamic_stitch(places, status), tf.reduce_min(firsts), text]

    def encode_rows(self, data: Any, size: Any) -> Rows:
        """SpecError: which chain is the smallest is not looked for in a graph."""
        raise SpecError(
            f"one_of cannot encode in a graph: give an output one of {brief(self.text)}"
        )
