"""What decoding costs: a model of each codec, as measured by ``tfdecode bench --calibrate``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..codecs.base import AnyCodec
from ..codecs.chain import Chain
from ..formats.zlib_stream import coded


@dataclass(frozen=True)
class Cost:
    """Of one codec in the graph: nanoseconds for each byte that it makes, and that it takes.

    A filter makes elements, whatever their bytes, but for those that move bytes; what zlib takes is
    codes (`taken_by`).
    """

    made: float
    taken: float = 0.0


#: Chosen by hand near what fits the `decode` table of ``benchmarks/RESULTS.md`` best (two cores,
#: TensorFlow 2.21, batch 32). Real ones differ by half, and `delta` takes a third along short
#: axes of what it does along a long one.
COSTS = {
    "raw": Cost(0.14),
    "transpose": Cost(1.2),
    "astype": Cost(0.3),
    "sortable": Cost(1.2),
    "delta": Cost(4.0),
    "shuffle": Cost(0.28),
    "fixed_point": Cost(2.0),
    "onehot": Cost(0.12),
    "packbits": Cost(0.25),
    "sparse": Cost(0.2, 0.8),
    "png": Cost(0.75, 5.1),
    "zlib": Cost(0.5, 1.5),
    "zlib_bounded": Cost(0.6, 5.0),
    "zstd": Cost(0.3, 0.8),
    "seal": Cost(0.0, 0.6),
}
OTHER = Cost(1.0)
#: Codes in two bytes of deflate, of data that it shrinks to less than two thirds.
CODES = 3
#: Filters whose work is that of their bytes.
BY_BYTE = {"shuffle"}
#: The same to encode in numpy, of compressors at their middle levels. Measured once and not at each
#: choice: the same array has to get the same chain.
ENCODE = {
    "raw": Cost(0.05),
    "transpose": Cost(0.8),
    "astype": Cost(0.8),
    "sortable": Cost(1.5),
    "delta": Cost(1.5),
    "shuffle": Cost(0.4),
    "fixed_point": Cost(8.0),
    "onehot": Cost(1.0),
    "packbits": Cost(0.5),
    "sparse": Cost(1.0, 2.0),
    "png": Cost(0.8, 4.0),
    "zlib": Cost(2.0, 10.0),
    "zlib_bounded": Cost(2.2, 10.0),
    "zstd": Cost(0.6, 6.0),
    "seal": Cost(0.0, 1.0),
}
#: Up to which level -> how many times that.
EFFORT = ((3, 0.4), (9, 1.0), (99, 30.0))
#: What a row costs that is not in proportion to its bytes, in seconds, for each step.
STEP = 2e-6


def place() -> Path:
    """Where ``tfdecode bench --calibrate`` leaves what it measured."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(cache, "tfdecode", "costs-2.json")  # in the first, zlib took bytes and not codes


def save(costs: Mapping[str, Cost]) -> Path:
    """Keep the costs of this machine, for `infer` from the next process on; where they lie."""
    file = place()
    file.parent.mkdir(parents=True, exist_ok=True)
    table = {name: [cost.made, cost.taken] for name, cost in costs.items()}
    file.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return file


@lru_cache(maxsize=1)
def known() -> dict[str, Cost]:
    """The costs of this machine where it was calibrated, else those measured once."""
    try:
        table = json.loads(place().read_bytes())
        return COSTS | {name: Cost(*map(float, pair)) for name, pair in table.items()}
    except (
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        RuntimeError,
    ):  # none, or nothing that we wrote
        return COSTS


def trial(chain: Chain, x: np.ndarray) -> tuple[bytes, float, float]:
    """The payload of ``x``, and the seconds that encoding and decoding it take by the model."""
    encode = decode = 0.0
    value: object = x
    for codec, form in zip(chain.codecs, chain.forms, strict=False):
        made = len(value) if isinstance(value, bytes) else size_of(np.asarray(value), codec)
        value = codec.encode(value, form)
        taken = packed = 0
        if isinstance(value, bytes):
            taken, packed = taken_by(codec.name, value, made), len(value)
        cost = known().get(codec.name, OTHER)
        decode += STEP + 1e-9 * (cost.made * made + cost.taken * taken)
        packing = ENCODE.get(codec.name, OTHER)
        effort = next(times for most, times in EFFORT if level_of(codec) <= most)
        encode += 1e-9 * effort * (packing.made * made + packing.taken * packed)
    assert isinstance(value, bytes)
    return value, encode, decode


def taken_by(codec: str, payload: bytes, made: int) -> int:
    """What a codec takes of a payload that it makes ``made`` bytes of, as it is counted.

    Of zlib the codes: they take inflating as long whether they have five bits or nine, and bytes in
    stored blocks have none. Of noise they are the bytes that are made.
    """
    if codec != "zlib":
        return len(payload)
    own = coded(payload)
    return max(0, min(CODES * own // 2, made - (len(payload) - own)))


def level_of(codec: AnyCodec) -> int:
    """How hard a codec tries, on zlib's scale; those without levels are in its middle."""
    level: int = getattr(codec, "level", 6)
    return 6 if codec.name == "png" or (codec.name == "zstd" and level == 3) else level


def size_of(array: np.ndarray, codec: AnyCodec | type[AnyCodec]) -> int:
    """What a codec makes, as it is counted."""
    by_element = codec.kind == "filter" and codec.name not in BY_BYTE
    return array.size if by_element else array.nbytes
