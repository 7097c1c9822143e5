"""How many bytes each input takes: as JSON, as others pack it, and by the chains of tfdecode."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tfdecode as tfd
from tfdecode.saved_models.limits import NOT_IN_JSON

from . import peers, targets
from .chains import CHAINS, any_tensorflow
from .inputs import FILES, KINDS, SCALED, variants
from .plots import plot_sizes
from .report import Table, track

VARIANTS = 3
PLOT = Path(__file__).with_name("sizes.png")
PEERS = ("JSON", "serialize_tensor", "TFDS zlib", "Blosc zstd 9", "cv2 PNG")


def mean(sizes: list[int]) -> int:
    """Bytes on average, rounded."""
    return round(sum(sizes) / len(sizes))


def peer_sizes(arrays: list[np.ndarray]) -> dict[str, int]:
    """Mean bytes by peer, for the peers that support these arrays."""
    encoders = peers.encoders(arrays[0])
    return {
        peer: mean([len(encoders[peer](x)) for x in arrays]) for peer in PEERS if peer in encoders
    }


def chain_sizes(arrays: list[np.ndarray], chains: list[str]) -> dict[str, tuple[int, int]]:
    """Mean payload bytes by chain, and how many of them are the seal."""
    sizes = {}
    for chain in chains:
        spec = tfd.ArraySpec(arrays[0].shape, arrays[0].dtype, codecs=chain)
        seal = 8 if spec.seal else 0
        sizes[chain] = mean([len(spec.encode(x)) for x in arrays]), seal
    return sizes


def beside_target(sizes: dict[str, tuple[int, int]], target: int) -> list[str]:
    """Cells: the smallest, its chain, the target, whether it is met."""
    chain = min(sizes, key=lambda chain: sizes[chain][0])
    size, seal = sizes[chain]
    met = targets.mark(size - seal <= target)
    return [f"{size:,}", chain, f"{target:,}", f"{met} {(size - seal) / target:.2f}x"]


def main() -> list[Table]:
    """The kinds that have targets, scaled pictures, and real files."""
    shown = [peer for peer in PEERS if peer in peers.INSTALLED]
    packed, aims, bars = [], [], {}
    for name in track([*KINDS, *SCALED, *FILES], "sizes"):
        arrays = variants(name, VARIANTS)
        x = arrays[0]
        others = peer_sizes(arrays)
        chains = chain_sizes(arrays, CHAINS[name])
        smallest = min(chains, key=lambda chain: chains[chain][0])
        title = f"{name} {x.dtype} {list(x.shape)}"
        cells = [f"{others[peer]:,}" if peer in others else "" for peer in shown]
        if x.dtype.name in NOT_IN_JSON:
            cells[shown.index("JSON")] += " (refused)"
        packed.append((title, smallest, f"{x.nbytes:,}", *cells, f"{chains[smallest][0]:,}"))
        if name not in SCALED:  # the plot has no room for more
            bars[name] = {**others, "tfdecode": chains[smallest][0]}
        if name in targets.SIZES:
            total = {chain: size for chain, size in chains.items() if any_tensorflow(chain)}
            anywhere, newest = targets.SIZES[name]
            row = [name, *beside_target(total, anywhere), *beside_target(chains, newest)]
            aims.append(row)
    plot_sizes(bars, PLOT)
    alike = f"Bytes, the mean of {VARIANTS} variants (a file has one)."
    note = (
        f"{alike} Of tfdecode the smallest chain in `chains.py`, as it is sent: 8 bytes are the "
        "seal, after every compressor, and zstd needs TensorFlow 2.20. JSON is "
        "`json.dumps(x.tolist())`, refused by TensorFlow Serving for uint16 and float16; Blosc, "
        "which no graph decodes, the best of its three shuffles; "
        "cv2 PNG with the channels stacked and small whole numbers cast to bytes."
        f"{peers.absent()}\n\n![Bytes of each input](sizes.png)"
    )
    columns = ("input", "chain", "array", *shown, "tfdecode")
    second = ("smallest", "chain", "target", "without seal")
    return [
        Table("Bytes of one array", note, columns, packed, words=2),
        Table(
            "Bytes beside the targets",
            f"{alike} On the left chains that TensorFlow decodes from 2.12 on, on the right those "
            "from 2.20 on too. The targets leave out the seal, and so do the marks.",
            ("input", *second, "TF 2.20+", *second[1:]),
            aims,
        ),
    ]
