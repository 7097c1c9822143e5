"""infer: tries the chains that could suit given arrays, and takes the one that costs least."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..codecs.chain_text import to_text
from ..dtypes import dtype_name
from ..errors import EncodeError, MissingExtraError, SpecError
from ..spec import ArraySpec
from .as_is import spec_of_file
from .costs import trial
from .propose import names, proposals

#: Bytes per second of the wire that each preference minds.
WIRES = {"smallest": 1e3, "balanced": 1e7, "fastest": 1e9}
#: What every body is tried with, and the best ones of a preference; zstd where TensorFlow knows it.
STORED_BLOCKS = "zlib:3,store_incompressible=true"
PACKED = ("zlib", STORED_BLOCKS, "zstd")
EFFORT = {"smallest": ("zlib:12", "zstd:19"), "fastest": ("zlib:2", "zstd:1")}
ZSTD_FROM = (2, 20)
#: The share of what a body makes that zlib must leave for noise to be looked for.
NOISY = 1 / 16
#: Bytes of each sample that all bodies are tried on; how many of them on whole arrays, and how many
#: with the effort that the preference asks for.
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
    as_is: bool = False,
) -> ArraySpec:
    """The spec that suits an array, several of a kind, or a file.

    Parameters
    ----------
    arrays : an array, a list of arrays that differ in at most one dimension, or a `pathlib.Path`
    prefer : "smallest" payloads; "fastest" to encode and decode; or "balanced", which is smaller
        than zlib and decodes faster where a chain is both
    min_tensorflow : the oldest version that the model has to run in; from "2.20" on there is zstd
    portable : only chains that the JavaScript client packs too
    bandwidth : bytes per second of the wire, in place of what ``prefer`` takes it for: what is
        minimised is the time to encode, send and decode
    key : which array of a file that has several
    max_shape : needed where the arrays differ in a dimension, which becomes ``None``
    label : of the spec
    fallback : whether to add a second chain under ``one_of`` when the best one cannot carry every
        array of this dtype and shape
    as_is : of a file: the spec under which all of its bytes are the payload, untouched; only
        ``key`` and ``label`` go with it

    Raises SpecError for arrays that one spec cannot be of, FileError for a file.

    >>> labels = np.kron(np.arange(6.0).reshape(2, 3), np.ones((32, 32)))
    >>> len(infer(labels).encode(labels)) < labels.nbytes / 50
    True

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels.npy")
    ...     np.save(path, labels)
    ...     spec = infer(path, as_is=True)
    ...     spec, bool((spec.decode(path.read_bytes()) == labels).all())
    (ArraySpec((64, 96), 'float64', codecs='npy'), True)
    """
    if as_is:
        if not isinstance(arrays, Path):
            raise SpecError("as_is is of one file: arrays needs one pathlib.Path")
        if max_shape is not None:
            raise SpecError("max_shape with as_is: a file is known by its whole shape")
        if (prefer, min_tensorflow, portable, bandwidth) != ("balanced", "2.12", False, None):
            raise SpecError(
                "prefer, min_tensorflow, portable and bandwidth are of chains, which as_is does "
                "not choose"
            )
        return spec_of_file(arrays, key, label=label)[0]
    candidates = rank(
        arrays,
        prefer=prefer,
        min_tensorflow=min_tensorflow,
        portable=portable,
        bandwidth=bandwidth,
        key=key,
        max_shape=max_shape,
        label=label,
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
) -> list[Candidate]:
    """The chains that were tried on whole arrays, the best one first: see `infer`.

    At least one of them carries every array.
    """
    if prefer not in WIRES:
        raise SpecError(f"prefer is {prefer!r}, known: {', '.join(WIRES)}")
    if bandwidth is not None and not (isinstance(bandwidth, int | float) and bandwidth > 0):
        raise SpecError(f"bandwidth is {bandwidth!r}, needs bytes per second")
    samples = samples_of(arrays, key)
    fields = {**form_of(samples, max_shape), "label": label}
    ArraySpec(**fields)  # a SpecError that is of the arrays and of no chain
    zstd = version(min_tensorflow) >= ZSTD_FROM and not portable
    packed, effort = (
        [one for one in found if zstd or not one.startswith("zstd")]
        for found in (PACKED, EFFORT.get(prefer, ()))
    )
    wire = WIRES[prefer] if bandwidth is None else bandwidth
    parts = [middle(sample) for sample in samples[:4]]
    bodies = proposals(samples, portable=portable)
    rough = [found for body in bodies for found in attempts(body, packed, parts, {})]
    balanced = prefer == "balanced" and bandwidth is None
    rough = by_cost(rough, wire, balanced=balanced)
    bodies = unique(rough)
    totals = unique(candidate for candidate in rough if not candidate.domain)
    chosen = dict.fromkeys(["raw", *bodies[:BEST], *totals[:2]])
    whole = [found for body in chosen for found in attempts(body, packed, samples, fields)]
    if prefer != "balanced":
        # Great effort takes a second for some megabytes, so only the best bodies get it.
        whole.sort(key=lambda candidate: candidate.cost(wire))
        bodies = unique(whole)[:FINAL]
        whole += [found for body in bodies for found in attempts(body, effort, samples, fields)]
    once = list({candidate.chain: candidate for candidate in whole}.values())
    return by_cost(once, wire, balanced=balanced)


def attempts(
    body: str, packed: Sequence[str], samples: Sequence[np.ndarray], fields: dict[str, Any]
) -> Iterator[Candidate]:
    """What a body makes of the samples by itself and before each compressor, where it can.

    A PNG is deflated as it is, and sealed as all that is inflated.
    """
    whole, noisy = 0.0, False
    for last in ("seal",) if "png" in names(body) else ("", *packed):
        if last == STORED_BLOCKS and not noisy:
            continue
        found = tried(f"{body}|{last}" if last else body, samples, fields)
        if not found:
            return
        if not last:
            whole = found.payload_bytes
        elif last == "zlib":
            noisy = found.payload_bytes > NOISY * whole
        yield found


def by_cost(candidates: list[Candidate], wire: float, *, balanced: bool) -> list[Candidate]:
    """The cheapest first; ``balanced`` puts those before all others that beat zlib both ways."""
    candidates = sorted(candidates, key=lambda candidate: candidate.cost(wire))
    plain = next((one for one in candidates if one.chain == "raw|zlib|seal"), None)
    if not balanced or plain is None:
        return candidates
    return sorted(candidates, key=lambda one: not better(one, plain))


def better(one: Candidate, plain: Candidate) -> bool:
    """Whether a candidate is smaller than ``plain`` and faster to decode than by ``map_fn``."""
    smaller = one.payload_bytes < plain.payload_bytes
    return smaller and one.decode_seconds <= FASTER * (plain.decode_seconds + MAP_FN)


def tried(chain: str, samples: Sequence[np.ndarray], fields: dict[str, Any]) -> Candidate | None:
    """What a chain makes of the samples; None where it cannot carry them all."""
    sizes, encode, decode = [], [], []
    try:
        for sample in samples:
            spec = ArraySpec(
                **{"shape": sample.shape, "dtype": sample.dtype.name, **fields}, codecs=chain
            )
            payload, packing, unpacking = trial(spec.chains[0], sample)
            sizes.append(len(payload))
            encode.append(packing)
            decode.append(unpacking)
    except (EncodeError, SpecError, MissingExtraError):
        return None
    return Candidate(spec, *(sum(column) / len(samples) for column in (sizes, encode, decode)))


def unique(candidates: Iterable[Candidate]) -> list[str]:
    """The bodies of candidates, in their order."""
    return list(dict.fromkeys(body_of(candidate) for candidate in candidates))


def body_of(candidate: Candidate) -> str:
    """A candidate's chain without its compressor and seal."""
    return "|".join(to_text(c) for c in candidate.spec.chains[0].codecs if c.kind != "compressor")


def samples_of(arrays: Any, key: str | None) -> list[np.ndarray]:
    """The arrays as they are encoded: native, at least one."""
    if isinstance(arrays, Path):
        from ..files import load

        arrays = load(arrays, key)
    elif key is not None:
        raise SpecError("key is of files, and no pathlib.Path was given")
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
    bound = None if None not in shape else max_shape
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
