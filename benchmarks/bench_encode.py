"""How fast arrays are packed: the chains of tfdecode, and others on the same array in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import tfdecode as tfd

from . import peers, targets
from .chains import CHAINS, codec_names
from .inputs import FILES, KINDS, LARGE, make
from .report import Table, track
from .timing import medians

SECONDS = 4.0


@dataclass(frozen=True)
class Packed:
    """How one packer did on one input."""

    nbytes: int
    ms: float
    array: int  # bytes of the array

    @property
    def speed(self) -> float:
        """MB/s of the array."""
        return self.array / self.ms / 1e3


def measure(name: str) -> dict[str, Packed]:
    """Packer -> what it did: the peers and the chains of one input."""
    x = make(name)
    works: dict[str, Callable[[], bytes]] = {
        peer: partial(encode, x) for peer, encode in peers.encoders(x).items()
    }
    for chain in CHAINS[name]:
        works[chain] = partial(tfd.ArraySpec(x.shape, x.dtype, codecs=chain).encode, x)
    ms = medians(works, SECONDS)
    return {packer: Packed(len(works[packer]()), ms[packer], x.nbytes) for packer in works}


def beside(chain: Packed, other: Packed | None) -> list[str]:
    """Cells: how many times as fast as the other, and its size as a multiple."""
    if other is None:
        return ["", ""]
    return [f"{other.ms / chain.ms:.2f}", f"{chain.nbytes / other.nbytes:.2f}"]


def chain_row(name: str, chain: str, done: Mapping[str, Packed]) -> list[str]:
    """One chain on one input."""
    own = done[chain]
    mark = ""
    if name in targets.FLAT and chain != "raw":
        mark = targets.mark(own.speed >= targets.FLAT_ENCODE)
    cells = [f"{own.nbytes:,}", f"{own.ms:.3f}", f"{own.speed:,.0f}", mark]
    return [
        name,
        chain,
        *cells,
        *beside(own, done.get("cv2 PNG")),
        *beside(own, done.get("TFDS zlib")),
    ]


def flat_row(name: str, chain: str, done: Mapping[str, Packed]) -> list[str]:
    """png against cv2 on one flat input: the two alone, and among all packers."""
    x = make(name)
    spec = tfd.ArraySpec(x.shape, x.dtype, codecs=chain)
    works = {"cv2": partial(peers.encoders(x)["cv2 PNG"], x), "png": partial(spec.encode, x)}
    ms = medians(works, SECONDS / 4)
    own, cv2 = done[chain], done["cv2 PNG"]
    speedups = ms["cv2"] / ms["png"], cv2.ms / own.ms
    met = min(speedups) >= targets.PNG_SPEEDUP and own.nbytes <= cv2.nbytes
    sizes = [f"{cv2.nbytes:,}", f"{own.nbytes:,}", f"{own.nbytes / cv2.nbytes:.2f}"]
    times = [f"{ms['cv2']:.3f}", f"{ms['png']:.3f}", *(f"{speedup:.2f}" for speedup in speedups)]
    return [name, chain, *sizes, *times, targets.mark(met)]


def main() -> list[Table]:
    """Every input: kinds, large flat maps and files."""
    done = {name: measure(name) for name in track([*KINDS, *LARGE, *FILES], "encode")}
    listed = [(name, chain) for name in done for chain in CHAINS[name]]
    flat = [
        flat_row(name, chain, done[name])
        for name, chain in listed
        if name in targets.FLAT and "png" in codec_names(chain) and "cv2 PNG" in done[name]
    ]
    turns = "One array after the other in one Python process, all packers of an input in turns."
    speeds = [
        (name, *(f"{by[peer].speed:,.0f}" if peer in by else "" for peer in peers.INSTALLED))
        for name, by in done.items()
    ]
    return [
        Table(
            "png of flat arrays beside cv2.imencode",
            "In one Python process, in turns. Both start from the array: casting labels to bytes "
            "and stacking channels counts for both. The times are of the two by themselves; the "
            "last ratio is among all packers of the input, as in the tables below, and differs. "
            f"Met is at least {targets.PNG_SPEEDUP} times as fast in both ways, and no larger. "
            "tfdecode's files carry their spec as text, some 200 bytes." + peers.absent(),
            ("input", "chain", *("cv2, bytes", "png, bytes", "ratio"),
             *("cv2, ms", "png, ms", "times as fast", "among all"), "target"),
            flat,
            words=2,
        ),
        Table(
            "Chains",
            f"{turns} MB/s are of the array. Beside cv2 PNG and TFDS zlib: how many times as fast, "
            "and the size as a multiple of theirs. The target, for flat inputs, is "
            f"{targets.FLAT_ENCODE} MB/s.",
            ("input", "chain", "bytes", "ms", "MB/s", "target",
             *("cv2: speed", "size", "TFDS: speed", "size")),
            [chain_row(name, chain, done[name]) for name, chain in listed],
            words=2,
        ),
        Table(
            "Others, MB/s of the array",
            f"{turns} Blosc with the best of its three shuffles at level 1 and 9, on all cores; "
            "orjson reads numpy's memory.",
            ("input", *peers.INSTALLED),
            speeds,
        ),
    ]  # fmt: skip
