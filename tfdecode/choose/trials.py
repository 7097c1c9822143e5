"""Trying chains on samples: what each makes of them, by their bytes and by the cost model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..codecs.base import AnyCodec, Compressor, Container, Filter
from ..codecs.chain_text import chain_text, parse
from ..codecs.containers.raw import Raw
from ..errors import EncodeError, SpecError
from ..form import ArrayForm, Form
from ..spec import ArraySpec
from .costs import trial
from .propose import encoded
from .samples import blocks_of

#: The share of what a body makes that zlib must leave for noise to be looked for.
NOISY = 1 / 16


@dataclass(frozen=True)
class Candidate:
    """A chain that was tried: what it makes of an array, on the average of the samples."""

    spec: ArraySpec
    payload_bytes: float
    encode_seconds: float  #: by the cost model
    decode_seconds: float  #: by the cost model, for one row of a batch

    @cached_property
    def chain(self) -> str:
        """Its text."""
        return self.spec.chain.text

    @cached_property
    def body(self) -> str:
        """Its filters and its container."""
        codecs = self.spec.chains[0].codecs
        return chain_text([codec for codec in codecs if codec.kind != "compressor"])

    @cached_property
    def domain(self) -> str:
        """What it can carry, in words; "" for every array."""
        return self.spec.domain

    @property
    def effort(self) -> float:
        """The greatest effort of its codecs."""
        return max(codec.effort for codec in self.spec.chains[0].codecs)

    @property
    def sent_bytes(self) -> float:
        """Its payload, after a tag if it needs another chain beside it."""
        return self.payload_bytes + bool(self.domain)

    def cost(self, bandwidth: float) -> float:
        """Seconds from an array on the client to the tensor in the graph."""
        return self.encode_seconds + self.payload_bytes / bandwidth + self.decode_seconds


@dataclass
class Trials:
    """Bodies, of filters and a container, before each compressor, on parts of the samples."""

    parts: Sequence[np.ndarray]
    fields: dict[str, Any]  #: of the spec: the form of whole samples
    scale: float  #: bytes of a sample over those of a part
    compressors: Sequence[type[Compressor]]
    trusted: bool
    hasty: bool  #: whether compressors must be fast: arrays are so large that others take seconds
    done: dict[tuple[str, bool], Candidate | None] = field(default_factory=dict)

    def attempts(self, body: str) -> Iterator[Candidate]:
        """What a body makes of the samples by itself and before each compressor, if it can."""
        bare = self.tried(body, self.trusted)
        if bare is None:
            return
        if bare.spec.chains[0].container.compresses:  # so it is sealed as compressed data is
            yield from self.all_of([f"{body}|seal"])
            return
        yield bare
        for codec in self.compressors:
            texts = codec.efforts.get("fastest", ()) if self.hasty else codec.trials
            packed = list(self.all_of(f"{body}|{text}" for text in texts))
            yield from packed
            least = min((one.payload_bytes for one in packed), default=0.0)
            if least > NOISY * bare.payload_bytes:
                yield from self.all_of(f"{body}|{text}" for text in codec.trials_incompressible)

    def efforts(self, body: str, prefer: str) -> Iterator[Candidate]:
        """What a body makes before the compressors as this preference sets them."""
        texts = (text for codec in self.compressors for text in codec.efforts.get(prefer, ()))
        return self.all_of(f"{body}|{text}" for text in texts)

    def baselines(self, bodies: Sequence[str]) -> list[Candidate]:
        """What anyone would try first: ``raw``, and these bodies deflated at a few levels."""
        texts = [text for codec in self.compressors for text in codec.baselines]
        texts = [text for text in texts if not self.hasty or parse(text)[-1].effort < 1]
        packed = (f"{body}|{text}" for body in bodies for text in texts)
        return list(self.all_of(["raw", *packed]))

    def plain(self, found: Iterable[Candidate]) -> Candidate | None:
        """What ``zlib`` alone makes, proposed or not: a "balanced" chain beats it.

        Of scaled pixels it is what ``zlib`` makes of the pixels: they get the chain of the pixels.
        """
        first = [one.spec.chains[0].codecs[0] for one in found]
        form = ArraySpec(**self.fields).chain.form
        narrow = [codec for codec in first if narrows(codec, form)]
        if any(isinstance(codec, Filter) and codec.supersedes for codec in first):
            narrow = []  # these have no rival without them
        bodies = {chain_text([*step, Raw()]) for step in ([], *([codec] for codec in narrow))}
        tried = filter(None, (self.tried(f"{body}|zlib", True) for body in sorted(bodies)))
        return min(tried, key=lambda one: one.payload_bytes, default=None)

    def all_of(self, chains: Iterable[str]) -> Iterator[Candidate]:
        """The candidates of those chains that can be proposed."""
        return filter(None, (self.tried(chain, self.trusted) for chain in chains))

    def tried(self, chain: str, trusted: bool) -> Candidate | None:
        """What a chain makes; None if it cannot carry all parts, or is not bounded."""
        if (chain, trusted) not in self.done:
            try:
                self.done[chain, trusted] = self.candidate(chain, trusted)
            except (EncodeError, SpecError):
                self.done[chain, trusted] = None
        return self.done[chain, trusted]

    def candidate(self, chain: str, trusted: bool) -> Candidate | None:
        """As ``tried``; EncodeError or SpecError if it cannot carry all parts."""
        spec = ArraySpec(**self.fields, codecs=chain)
        if not (trusted or spec.bounded):
            return None
        rows = []
        for part in self.parts:
            takes = spec.chain.form.takes(part.shape)
            own = spec if takes else ArraySpec(part.shape, spec.dtype, chain)
            payload, *seconds = trial(own.chains[0], part)
            rows.append((len(payload), *seconds))
        means = (sum(column) / len(rows) for column in zip(*rows, strict=True))
        return Candidate(spec, *(self.scale * mean for mean in means))


def narrows(codec: AnyCodec, form: Form) -> bool:
    """Whether a step stores the values of an array in fewer bytes."""
    if not isinstance(codec, Filter) or codec.stage != "values":
        return False
    assert isinstance(form, ArrayForm)
    return codec.resolve(form).max_nbytes < form.max_nbytes


class Carried:
    """Whether chains carry all of some arrays, by the steps that cannot carry everything."""

    def __init__(self, samples: Sequence[np.ndarray]) -> None:
        self.samples = samples
        self.known: dict[str, bool] = {"": True}

    def __call__(self, one: Candidate) -> bool:
        chain = one.spec.chains[0]
        steps = list(chain.codecs)
        limited = [bool(c.domain(form)) for c, form in zip(steps, chain.forms, strict=False)]
        while limited and not limited.pop():
            steps.pop()
        text = chain_text(steps)
        if text not in self.known:
            self.known[text] = all(carries(steps, x) for x in self.samples)
        return self.known[text]


def carries(steps: Sequence[AnyCodec], x: np.ndarray) -> bool:
    """Whether these steps take ``x``, which is tried in blocks if they are filters."""
    whole = any(isinstance(codec, Container) for codec in steps)
    for blocks in ((x,),) if whole else (blocks_of(x), (x,)):
        try:
            for block in blocks:
                encoded(steps, [block])
        except SpecError:
            continue  # of a block alone
        except EncodeError:
            return False
        return True
    return False
