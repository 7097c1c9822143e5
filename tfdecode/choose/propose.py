"""Which chains could suit an array, without compressors: each codec is asked what it proposes.

Filters are found stage by stage, on what earlier ones make of samples; `infer` tries each chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..codecs.base import STAGES, AnyCodec, Container, Filter
from ..codecs.chain_text import chain_text, parse
from ..errors import EncodeError, SpecError
from ..form import ArrayForm
from ..statistics import Statistics


@dataclass(frozen=True)
class Branch:
    """Filters that were chosen, and what is known of the arrays after them."""

    codecs: tuple[AnyCodec, ...]
    statistics: Statistics


def proposals(
    samples: Sequence[np.ndarray], parts: Sequence[np.ndarray], codecs: Sequence[type[AnyCodec]]
) -> list[str]:
    """Chain texts, ``raw`` first: from values of ``samples``, with filters applied to ``parts``."""
    filters = [codec for codec in codecs if issubclass(codec, Filter)]
    containers = [codec for codec in codecs if issubclass(codec, Container)]
    branches = [Branch((), Statistics(samples))]
    for stage in STAGES if all(part.size for part in parts) else ():
        asked = [codec for codec in filters if codec.stage == stage]
        branches = [new for branch in branches for new in with_stage(branch, asked, stage, parts)]
    found = dict.fromkeys(["raw"])
    for branch in branches:
        for container in containers:
            for text in container.proposals(branch.statistics):
                found[chain_text((*branch.codecs, *parse(text)))] = None
    return list(found)


def transposes(samples: Sequence[np.ndarray], codecs: Sequence[type[AnyCodec]]) -> list[str]:
    """Chain texts of the samples in other orders of their axes, and else as they are."""
    filters = [codec for codec in codecs if issubclass(codec, Filter) and codec.stage == "axes"]
    texts = (text for codec in filters for text in codec.proposals(Statistics(samples)))
    return [f"{text}|raw" for text in texts]


def with_stage(
    branch: Branch, filters: Sequence[type[Filter]], stage: str, parts: Sequence[np.ndarray]
) -> Iterator[Branch]:
    """``branch`` as it is, unless a filter supersedes that, and with each filter of a stage."""
    longer, superseded = [], False
    for codec in filters:
        for text in codec.proposals(branch.statistics):
            *steps, _ = parse(text)  # the last one is the default container
            try:
                after = encoded(steps, branch.statistics.samples if branch.codecs else parts)
            except (EncodeError, SpecError):
                continue
            longer.append(Branch((*branch.codecs, *steps), Statistics(after, stage)))
            superseded |= codec.supersedes
    if not superseded:
        yield branch
    yield from longer


def encoded(steps: Sequence[AnyCodec], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """``arrays`` after these filters."""
    for step in steps:
        forms = [ArrayForm.of(x.shape, x.dtype.name, x.shape) for x in arrays]
        for form in forms:
            step.resolve(form)
        arrays = [step.encode(x, form) for x, form in zip(arrays, forms, strict=True)]
    return list(arrays)
