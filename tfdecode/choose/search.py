"""The search of `infer`: all bodies on a small part of the samples, the best ones on more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..codecs.base import AnyCodec, Compressor
from .order import in_order
from .propose import proposals, transposes
from .samples import mean_nbytes, parts_of
from .trials import Candidate, Carried, Trials

#: Bytes of the samples to try the best bodies on: all up to here, else so many in `SLABS` slabs.
WHOLE, SLABS = 2**22, 8
#: Bytes to try all bodies on, in up to so many slabs.
ROUGH, ROUGH_SLABS = 2**19, 4
#: Bodies to try on more; of these to try with full effort.
BEST, FINAL = 4, 2
#: Bytes of an array above which only "smallest" tries compressors that take more than a second.
HASTY = 2**25


@dataclass(frozen=True)
class Search:
    """A search for chains of these codecs that suit samples of one form."""

    samples: Sequence[np.ndarray]
    fields: dict[str, Any]  #: of the spec
    codecs: Sequence[type[AnyCodec]]
    trusted: bool
    prefer: str
    bandwidth: float | None

    def run(self) -> list[Candidate]:
        """The chains that were tried on most and carry all samples, the best first."""
        parts = parts_of(self.samples, WHOLE, SLABS)
        found = self.ranked(parts, parts)
        if sum(x.nbytes for x in parts) == sum(x.nbytes for x in self.samples):
            return found
        carried = Carried(self.samples)
        if not carried(found[0]):  # the parts are unlike the rest: propose by all values
            found = self.ranked(self.samples, parts)
        return [one for one in found if carried(one)]

    def ranked(self, known: Sequence[np.ndarray], parts: Sequence[np.ndarray]) -> list[Candidate]:
        """Chains that the values of ``known`` suggest, tried on ``parts``, the best first."""
        small = parts_of(parts, ROUGH, min(ROUGH_SLABS, len(parts)))
        rough = whole = self.trials(small)  # which remember what they tried
        if mean_nbytes(small) < mean_nbytes(parts) or len(small) < len(parts):
            whole = self.trials(parts)
        plain = ["raw", *transposes(known, self.codecs)]
        compared = rough.baselines(plain)
        bodies = proposals(known, small, self.codecs)
        found = [*compared, *(one for body in bodies for one in rough.attempts(body))]
        found = self.in_order(found, compared, rough)
        by_size = sorted(found, key=lambda one: one.sent_bytes)
        totals = [one for one in found if not one.domain]
        best = [*bodies_of(found)[:BEST], *bodies_of(by_size)[:FINAL], *bodies_of(totals)[:2]]
        # Of all transposes the one that suits the part: each takes as long to deflate as ``raw``.
        transposed = (one for one in by_size if one in compared and one.body != "raw")
        plain = ["raw", *bodies_of(transposed)[:1]]
        compared = whole.baselines(plain)
        tried = (one for body in dict.fromkeys(["raw", *best]) for one in whole.attempts(body))
        found = [*compared, *tried]
        if self.prefer != "balanced":
            # Great effort takes a second for some megabytes, so only the best bodies get it.
            for body in bodies_of(self.in_order(found, compared, whole))[:FINAL]:
                found += whole.efforts(body, self.prefer)
        return self.in_order(found, compared, whole)

    def trials(self, parts: Sequence[np.ndarray]) -> Trials:
        """Trials on parts of the samples."""
        compressors = [codec for codec in self.codecs if issubclass(codec, Compressor)]
        scale = mean_nbytes(self.samples) / (mean_nbytes(parts) or 1)
        hasty = self.prefer != "smallest" and mean_nbytes(self.samples) > HASTY
        return Trials(parts, self.fields, scale or 1, compressors, self.trusted, hasty)

    def in_order(
        self, found: Iterable[Candidate], compared: Sequence[Candidate], trials: Trials
    ) -> list[Candidate]:
        """The candidates, each chain once, the best first."""
        once = list({one.chain: one for one in found}.values())
        return in_order(once, compared, self.prefer, self.bandwidth, trials.plain(once))


def bodies_of(candidates: Iterable[Candidate]) -> list[str]:
    """The bodies of candidates in their order, each once."""
    return list(dict.fromkeys(one.body for one in candidates))
