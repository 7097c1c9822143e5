"""What each codec costs to decode, beside the figure that its class declares for `infer`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfdecode.choose.costs import size_of
from tfdecode.cli.measure import Decoder, medians
from tfdecode.codecs import Cost
from tfdecode.codecs.registry import CODECS

from .report import Table, track


def sizes(chain: str, decoder: Decoder) -> tuple[int, int, int]:
    """The units of the codec's array side and packed side, and the bytes of ``raw`` beside it."""
    *front, last = chain.split("|")
    nbytes = decoder.array.nbytes
    if front and last == "raw":  # a filter
        return size_of(decoder.array, CODECS[front[0].partition(":")[0]]), 0, nbytes
    packed = CODECS[last.partition(":")[0]].packed_nbytes(decoder.payload, nbytes)
    return nbytes, packed, nbytes if front else 0


def measured(chain: str, arrays: Sequence[np.ndarray], raw: float) -> Cost:
    """The cost of one codec, what ``raw`` costs left out."""
    decoders = [Decoder(chain, array) for array in arrays]
    return solved([sizes(chain, one) for one in decoders], medians(decoders), raw)


def solved(sizes: Sequence[tuple[int, int, int]], times: Sequence[float], plain: float) -> Cost:
    """The cost that explains the times, of two arrays also that per packed byte."""
    rest = np.array([took - plain * raw for took, (_, _, raw) in zip(times, sizes, strict=True)])
    output, packed = (np.array([size[column] for size in sizes], float) for column in (0, 1))
    if len(sizes) > 1:
        both = np.linalg.lstsq(np.stack([output, packed], 1), rest, rcond=None)[0]
        if (both >= 0).all():
            return Cost(*both.tolist())
    return Cost(max(0.0, float(rest @ output / (output @ output))))  # noise: by the output alone


def inputs() -> dict[str, np.ndarray]:
    """Flat and noisy arrays of the kinds that the probes need."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[:256, :192]
    labels = (np.hypot(x - 90, y - 120) // 9 % 7).astype(np.uint8)
    noise = random.integers(0, 60, (256, 192), np.uint8)
    mask = (labels == 3).astype(np.float32) * (x < 100)
    floats = random.normal(size=(256, 192)).astype(np.float32)
    return {
        "labels": labels,
        "noise": noise,
        "maps": np.stack([labels] * 8, -1).astype(np.float32),
        "floats": floats,
        "depth": (900 + 3 * y + noise).astype(np.uint16),
        "metres": np.round(floats, 3) + 0,  # no -0.0
        "one-hot": np.eye(8, dtype=np.float32)[labels],
        "mask": mask,
        "dots": np.where(noise == 0, np.float32(1), mask),
    }


def probes_of(a: dict[str, np.ndarray]) -> dict[str, tuple[str, list[np.ndarray]]]:
    """Codec -> a chain of it and of ``raw``, and one array, or two that pack differently."""
    packed = [a["labels"], a["noise"]]
    return {
        "raw": ("raw", [a["maps"]]),
        "transpose": ("transpose:2,0,1|raw", [a["maps"]]),
        "astype": ("astype:uint8|raw", [a["maps"]]),
        "sortable": ("sortable|raw", [a["floats"]]),
        "delta": ("delta:0,zigzag=true|raw", [a["depth"]]),
        "shuffle": ("shuffle|raw", [a["floats"]]),
        "fixed_point": ("fixed_point:1000,dtype=int32|raw", [a["metres"]]),
        "palette": ("palette|raw", [(a["labels"] / np.float32(3))]),
        "onehot": ("onehot|raw", [a["one-hot"]]),
        "packbits": ("packbits|raw", [a["mask"] > 0]),
        "sparse": ("sparse", [a["mask"], a["dots"]]),
        "png": ("png:describe=false", packed),
        "zlib": ("raw|zlib", packed),
        "zlib_bounded": ("raw|zlib_bounded", packed),
        "zstd": ("raw|zstd", packed),
        "seal": ("raw|seal", [a["maps"]]),
    }


def main() -> list[Table]:
    """Every codec of the probes."""
    probes = probes_of(inputs())
    raw = measured(*probes["raw"], 0.0).per_output
    rows = []
    for name, (chain, arrays) in track(list(probes.items()), "costs"):
        cost = Cost(raw) if name == "raw" else measured(chain, arrays, raw)
        declared = CODECS[name].decode_cost
        numbers = (cost.per_output, declared.per_output, cost.per_input, declared.per_input)
        rows.append([name, *(f"{number:.2f}" for number in numbers)])
    note = (
        "Nanoseconds per unit of output (bytes; elements for filters other than `shuffle`) and per "
        "packed byte, by themselves and as `Codec.decode_cost` declares them. The declared figures "
        "fit whole chains of the decode table; one codec by itself differs from them by half and "
        "more. `infer` uses the declared ones on every machine."
    )
    columns = ("codec", "ns per output", "declared", "ns per packed byte", "declared, packed")
    return [Table("Costs", note, columns, rows)]
