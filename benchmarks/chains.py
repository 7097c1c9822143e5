"""What of tfdecode is measured: the chains of each input. A new chain is one more word here."""

from __future__ import annotations

from .inputs import LARGE

#: Input -> chains. All of them carry every variant of their input.
TEXT = {
    "pose_discs": (
        "raw zlib astype:int8|zlib:2 astype:int8|zlib:9 astype:int8|deflate:2 "
        "transpose:2,0,1|astype:int8|zlib:9 astype:int8|zstd astype:int8|png "
        "transpose:2,0,1|astype:int8|zstd:19"
    ),
    "pose_gaussians_cut": (
        "raw zlib transpose:2,0,1|zlib:9 transpose:2,0,1|zstd:19 png png:level=9"
    ),
    "pose_gaussians": "raw zlib transpose:2,0,1|zlib:9 transpose:2,0,1|zstd:19 png png:level=9",
    "segment_map": (
        "raw zlib astype:uint8|zlib:2 astype:uint8|zlib:9 astype:uint8|deflate:2 "
        "transpose:1,0|astype:uint8|zlib:9 astype:uint8|zstd astype:uint8|zstd:19 "
        "astype:uint8|png"
    ),
    "depth": "raw zlib deflate:2 zstd png png:level=9",
    "log_mel": "raw zlib deflate:2 zstd png png:level=9",
    "embedding": "raw zlib:2 zlib deflate:2 zstd png",
    "flow": "raw zlib transpose:2,0,1|zlib:9 transpose:2,0,1|zstd:19 png png:level=9",
    "lidar": "raw zlib transpose:1,0|zlib:9 transpose:1,0|zstd:19 png png:level=9",
    "lidar_mm": "raw zlib transpose:1,0|zlib:9 transpose:1,0|zstd:19 png",
    "one_hot": (
        "raw zlib astype:bool|zlib:2 astype:bool|zlib:9 astype:bool|deflate:2 "
        "transpose:2,0,1|astype:bool|zlib:9 astype:bool|zstd astype:bool|png "
        "transpose:2,0,1|astype:bool|zstd:19"
    ),
    "one_hot_bool": (
        "raw zlib:2 zlib:9 transpose:2,1,0|zlib:9 deflate:2 zstd png transpose:2,0,1|zstd:19"
    ),
    "tokens": "raw zlib astype:uint16|zlib:9 astype:uint16|deflate astype:uint16|zstd:19",
    "ct": "raw zlib deflate:2 zstd png png:level=9",
    **dict.fromkeys(
        LARGE,
        "raw zlib:2 zlib:9 transpose:1,0|zlib:9 deflate:2 zstd zstd:19 png png:level=9",
    ),
    "mel_fortran.npy": "raw zlib transpose:1,0|zlib zstd png png:level=9",
    "color150.mat": "raw zlib:2 zlib:9 zstd:19",
    "h36m_body3d.npz": "raw zlib:9 zstd:19 png",
    "keypoints.npy": "raw zlib:9 transpose:2,0,1|zlib:9 transpose:2,0,1|zstd:19",
}
CHAINS = {name: text.split() for name, text in TEXT.items()}
#: How the pose maps of a request are packed.
REQUEST = ["astype:int8|zlib", "astype:int8|zlib:2", "astype:int8|zstd", "astype:int8|png"]


def codec_names(chain: str) -> list[str]:
    """The codecs of a chain text, their options left out."""
    return [step.partition(":")[0] for step in chain.split("|")]


def any_tensorflow(chain: str) -> bool:
    """Whether every TensorFlow from 2.12 on decodes ``chain``; else 2.20 is the first."""
    return "zstd" not in codec_names(chain)
