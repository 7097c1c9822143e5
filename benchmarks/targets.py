"""The targets of the project; tables show each next to its result."""

from __future__ import annotations

from .chains import codec_names
from .inputs import LARGE

#: Input -> payload bytes at most, unsealed: decoded by any TensorFlow from 2.12 on, and from 2.20.
SIZES = {
    "pose_discs": (200, 130),
    "pose_gaussians_cut": (3000, 1500),
    "pose_gaussians": (900_000, 840_000),
    "segment_map": (1200, 960),
    "depth": (250_000, 245_000),
    "log_mel": (392_000, 390_000),
    "embedding": (3700, 3620),
    "flow": (138_000, 135_000),
    "lidar": (172_000, 165_000),
    "lidar_mm": (58_000, 52_000),
    "one_hot": (1150, 940),
    "one_hot_bool": (1150, 940),
    "tokens": (970, 970),
    "ct": (155_000, 153_000),
}
#: Inputs of few values in large areas.
FLAT = ("pose_discs", "segment_map", "one_hot", "one_hot_bool", *LARGE)
#: MB/s of the array at least, for chains of flat inputs.
FLAT_ENCODE = 1000
#: How many times as fast as cv2.imencode png has to encode flat inputs, at no larger size.
PNG_SPEEDUP = 3
#: A request with payloads against one with JSON lists.
REQUEST_SPEEDUP = 10
#: A batch of masks against its JSON lists: the share of the bytes.
ANSWER_SHARE = 0.02
#: Native files as multiples of the least work on their numbers, batch 32; npy at batch 1 too.
NATIVE, MAT, NPZ = 2.3, 1.3, 1.1
NPY = (NATIVE, 1.1)
#: As multiples of ``map_fn`` over the op of TensorFlow that reads the same file, batch 32.
TENSOR_PROTO, PNG_IMAGE = 1.0, 1.5
COMPRESSORS = {"zlib", "zlib_bounded", "zstd"}
#: Filters that make flat inputs narrow before a compressor.
NARROW = {"onehot", "packbits", "astype"}


def decode(name: str, chain: str) -> float | None:
    """At most how many times as long as bare decode_raw + reshape, batch 32; None: no target."""
    codecs = set(codec_names(chain))
    if "delta" in codecs:
        return 15
    if "shuffle" in codecs:
        return 7
    if codecs == {"raw"}:
        return 1.05
    if name in FLAT:
        narrow = codecs & NARROW and codecs & COMPRESSORS
        return 4 if "png" in codecs else 1.5 if narrow else None
    return None


def mark(met: bool) -> str:
    """How tables say it."""
    return "met" if met else "**missed**"
