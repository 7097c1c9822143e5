"""infer: tries the chains that could suit given arrays, and takes the one that costs least."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..codecs.base import Compressor
from ..codecs.chain_text import chain_text
from ..codecs.registry import CODECS
from ..dtypes import dtype_name
from ..errors import EncodeError, SpecError
from ..files import load
from ..spec import ArraySpec
from .as_is import spec_of_file
from .costs import trial
from .propose import proposals

#: Bytes per second of the network that each preference assumes.
BANDWIDTHS = {"smallest": 1e3, "balanced": 1e7, "fastest": 1e9}
#: The share of what a body makes that zlib must leave for noise to be looked for.
NOISY = 1 / 16
#: Bytes of each sample to try all bodies on; bodies to try on whole arrays, and with full effort.
SAMPLE, BEST, FINAL = 2**19, 4, 2
#: Seconds that ``tf.map_fn``, by which zlib is commonly decoded, takes for a row.
MAP_FN = 7e-6
#: The share of zlib's time that a chain may take by the model, which is not exact, to be faster.
FASTER = 0.9


@dataclass(frozen=True)
class Candidate:
    """A chain that was tried: what it makes of an array, on the average of the samples."""

    spec: ArraySpec
    payload_bytes: float
    encode_seconds: float  #: by the cost model
    decode_seconds: float  #: by the cost model, for one row of a batch

    @property
    def chain(self) -> str:
        """Its text."""
        return self.spec.chain.text

    @property
    def domain(self) -> str:
        """What it can carry, in words; "" for every array."""
        return self.spec.domain

    def cost(self, bandwidth: float) -> float:
        """Seconds from an array on the client to the tensor in the graph."""
        return self.encode_seconds + self.payload_bytes / bandwidth + self.decode_seconds


def infer(
    arrays: Any,
    *,
    prefer: str = "balanced",
    min_tensorflow: str = "2.12",
    portable: bool = False,
    bandwidth: float | None = None,
    key: str | None = None,
    max_shape: Sequence[int] | None = None,
    label: str = "",
    fallback: bool = True,
    trusted: bool = False,
    as_is: bool = False,
) -> ArraySpec:
    """Choose the spec that suits an array, several arrays of a kind, or a file.

    The result follows from the arguments alone: no cache and no property of the machine changes it.

    Parameters
    ----------
    arrays : numpy.ndarray, sequence of numpy.ndarray, or os.PathLike
        Samples. Several may differ in one dimension, which becomes ``None``. A file is a
        `pathlib.Path`, never a ``str``.
    prefer : {"balanced", "smallest", "fastest"}
        The goal. "balanced" is smaller than zlib and decodes faster, if a chain is both.
    min_tensorflow : str, default "2.12"
        The oldest TensorFlow version that must run the model. ``zstd`` needs "2.20".
    portable : bool, default False
        Use only codecs that the JavaScript client supports.
    bandwidth : float, optional
        Bytes per second of the network, for which the time to encode, send and decode is minimised.
    key : str, optional
        Which array of a file that has several.
    max_shape : sequence of int, optional
        The largest shape, needed if the samples differ in a dimension.
    label : str, default ""
        The label of the spec.
    fallback : bool, default True
        If the best chain cannot encode every array of this form, add a second one (`one_of`).
    trusted : bool, default False
        Whether you trust all clients. If so, chains are proposed in which a hostile payload can
        take more memory than the spec says (`ArraySpec.bounded`): ``zlib`` on rows above 32 KiB.
    as_is : bool, default False
        Find the spec under which a whole file is the payload; takes only ``key`` and ``label``.

    Returns
    -------
    ArraySpec
        Bounded unless ``trusted`` or ``as_is``.

    Raises
    ------
    SpecError
        If one spec cannot describe all arrays.
    FileError
        If the file cannot be read.

    Examples
    --------
    >>> labels = np.kron(np.arange(6.0).reshape(2, 3), np.ones((32, 32)))
    >>> len(infer(labels).encode(labels)) < labels.nbytes / 50
    True
    """
    if as_is:
        if not isinstance(arrays, PathLike):
            raise SpecError("as_is=True needs a single pathlib.Path")
        if max_shape is not None:
            raise SpecError("max_shape= has no effect with as_is=True: a file has one shape")
        if (prefer, min_tensorflow, portable, bandwidth) != ("balanced", "2.12", False, None):
            names = "prefer, min_tensorflow, portable and bandwidth"
            raise SpecError(f"{names} have no effect with as_is=True")
        return spec_of_file(Path(arrays), key, label=label)[0]
    candidates = rank(
        arrays,
        prefer=prefer,
        min_tensorflow=min_tensorflow,
        portable=portable,
        bandwidth=bandwidth,
        key=key,
        max_shape=max_shape,
        label=label,
        trusted=trusted,
    )
    best = candidates[0]
    if not fallback or not best.domain:
        return best.spec
    total = next(candidate for candidate in candidates if not candidate.domain)
    return ArraySpec.joined([best.spec, total.spec])


def rank(
    arrays: Any,
    *,
    prefer: str = "balanced",
    min_tensorflow: str = "2.12",
    portable: bool = False,
    bandwidth: float | None = None,
    key: str | None = None,
    max_shape: Sequence[int] | None = None,
    label: str = "",
    trusted: bool = False,
) -> list[Candidate]:
    """The chains tried on whole arrays, the best first; at least one carries every array."""
    if prefer not in BANDWIDTHS:
        raise SpecError(f"prefer is {prefer!r}, known: {', '.join(BANDWIDTHS)}")
    if bandwidth is not None and not (isinstance(bandwidth, int | float) and bandwidth > 0):
        raise SpecError(f"bandwidth is {bandwidth!r}, needs bytes per second")
    samples = samples_of(arrays, key)
    fields = {**form_of(samples, max_shape), "label": label}
    ArraySpec(**fields)  # a SpecError that is of the arrays and of no chain
    release = version(min_tensorflow)
    compressors = [
        codec
        for codec in CODECS.values()
        if issubclass(codec, Compressor)
        and codec.min_tensorflow <= release
        and (codec.portable or not portable)
    ]
    speed = BANDWIDTHS[prefer] if bandwidth is None else bandwidth
    balanced = prefer == "balanced" and bandwidth is None
    parts = [middle(sample) for sample in samples[:4]]
    rough, whole = (Trials(x, f, compressors, trusted) for x, f in ((parts, {}), (samples, fields)))
    bodies = proposals(samples, parts, portable=portable)
    candidates = [found for body in bodies for found in rough.attempts(body)]
    candidates = by_cost(candidates, speed, rough.plain() if balanced else None)
    totals = unique(candidate for candidate in candidates if not candidate.domain)
    chosen = dict.fromkeys(["raw", *unique(candidates)[:BEST], *totals[:2]])
    candidates = [found for body in chosen for found in whole.attempts(body)]
    if prefer != "balanced":
        # Great effort takes a second for some megabytes, so only the best bodies get it.
        candidates.sort(key=lambda candidate: candidate.cost(speed))
        for body in unique(candidates)[:FINAL]:
            candidates += whole.efforts(body, prefer)
    once = list({candidate.chain: candidate for candidate in candidates}.values())
    return by_cost(once, speed, whole.plain() if balanced else None)


@dataclass(frozen=True)
class Trials:
    """Trying chains on samples: bodies, of filters and a container, before each compressor."""

    samples: Sequence[np.ndarray]
    fields: dict[str, Any]
    compressors: Sequence[type[Compressor]]
    trusted: bool

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
            packed = list(self.all_of(f"{body}|{text}" for text in codec.trials))
            yield from packed
            least = min((one.payload_bytes for one in packed), default=0.0)
            if least > NOISY * bare.payload_bytes:
                yield from self.all_of(f"{body}|{text}" for text in codec.trials_incompressible)

    def efforts(self, body: str, prefer: str) -> Iterator[Candidate]:
        """What a body makes before the compressors as this preference sets them."""
        texts = (text for codec in self.compressors for text in codec.efforts.get(prefer, ()))
        return self.all_of(f"{body}|{text}" for text in texts)

    def plain(self) -> Candidate | None:
        """What ``zlib`` alone makes, proposed or not: a "balanced" chain beats it."""
        return self.tried("raw|zlib", True)

    def all_of(self, chains: Iterable[str]) -> Iterator[Candidate]:
        """The candidates of those chains that can be proposed."""
        return filter(None, (self.tried(chain, self.trusted) for chain in chains))

    def tried(self, chain: str, trusted: bool) -> Candidate | None:
        """What a chain makes; None if it cannot carry all samples, or is not bounded."""
        rows = []
        try:
            for sample in self.samples:
                form = {"shape": sample.shape, "dtype": sample.dtype.name, **self.fields}
                spec = ArraySpec(**form, codecs=chain)
                if not (trusted or spec.bounded):
                    return None
                payload, *seconds = trial(spec.chains[0], sample)
                rows.append((len(payload), *seconds))
        except (EncodeError, SpecError):
            return None
        return Candidate(spec, *(sum(column) / len(rows) for column in zip(*rows, strict=True)))


def by_cost(
    candidates: list[Candidate], bandwidth: float, plain: Candidate | None
) -> list[Candidate]:
    """The cheapest first; those that are smaller and faster than ``plain`` before all others."""

    def key(one: Candidate) -> tuple[bool, float]:
        better = plain is not None and (
            one.payload_bytes < plain.payload_bytes
            and one.decode_seconds <= FASTER * (plain.decode_seconds + MAP_FN)  # by tf.map_fn
        )
        return not better, one.cost(bandwidth)

    return sorted(candidates, key=key)


def unique(candidates: Iterable[Candidate]) -> list[str]:
    """The filters and containers of candidates as chain text, in their order, each once."""
    steps = (
        [codec for codec in candidate.spec.chains[0].codecs if codec.kind != "compressor"]
        for candidate in candidates
    )
    return list(dict.fromkeys(map(chain_text, steps)))


def samples_of(arrays: Any, key: str | None) -> list[np.ndarray]:
    """The arrays as they are encoded: native, at least one."""
    if isinstance(arrays, PathLike):
        arrays = load(arrays, key)
    elif key is not None:
        raise SpecError("key= needs a pathlib.Path")
    if isinstance(arrays, str | bytes):
        raise SpecError("arrays is text, needs arrays or a pathlib.Path")
    found = list(arrays) if isinstance(arrays, list | tuple) else [arrays]
    if not found or any(not isinstance(x, np.ndarray | np.generic) for x in found):
        raise SpecError(
            "arrays needs a numpy array, a list of at least one, or a single pathlib.Path"
        )
    samples = [np.asarray(x) for x in found]
    return [x.astype(x.dtype.newbyteorder("="), copy=False) for x in samples]


def form_of(samples: Sequence[np.ndarray], max_shape: Sequence[int] | None) -> dict[str, Any]:
    """Dtype and shape of all samples, ``None`` for the dimension in which they differ."""
    dtypes = {dtype_name(sample.dtype) for sample in samples}
    ranks = {sample.ndim for sample in samples}
    if len(dtypes) > 1 or len(ranks) > 1:
        forms = {f"{sample.dtype} {list(sample.shape)}" for sample in samples}
        raise SpecError(f"arrays differ in more than a dimension: {', '.join(sorted(forms)[:5])}")
    sides = [set(column) for column in zip(*(sample.shape for sample in samples), strict=True)]
    shape = [side.pop() if len(side) == 1 else None for side in sides]
    if None in shape and max_shape is None:
        raise SpecError(
            f"arrays differ along dimension {shape.index(None)}: max_shape= says how long one "
            "can be, which bounds the memory of a row"
        )
    bound = max_shape if None in shape else None
    return {"shape": shape, "dtype": dtypes.pop(), "max_shape": bound}


def middle(x: np.ndarray) -> np.ndarray:
    """``x``, or of a large array the slab in its middle."""
    if x.nbytes <= SAMPLE or not x.ndim:
        return x
    count = max(1, len(x) * SAMPLE // x.nbytes)
    start = (len(x) - count) // 2
    return x[start : start + count]


def version(text: str) -> tuple[int, int]:
    """Major and minor number of a TensorFlow version."""
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) < 2 or not all(part.isdecimal() for part in parts[:2]):
        raise SpecError(f"min_tensorflow is {text!r}, needs a version as '2.12'")
    return int(parts[0]), int(parts[1])
