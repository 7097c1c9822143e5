"""What of tfdecode is measured: the chains of each input. A new chain is one more word here."""

from __future__ import annotations

from .inputs import LARGE

#: Of noise: decodes faster than what codes it.
STORED_BLOCKS = "zlib:3,store_incompressible=true"
#: Scaled pictures -> the filter that gives their pixels.
SCALED_VALUES = {
    "photo_unit": "fixed_point:255,dtype=uint8",
    "photo_signed": "fixed_point:127.5,dtype=uint8,offset=-1,rounding=each",
    "photo_standardized": "palette:axis=2",
    "photo_whitened": "palette",
}
#: Input -> chains. All of them carry every variant of their input.
TEXT = {
    "pose_discs": (
        "raw zlib astype:int8|zlib:2 astype:int8|zlib:3 astype:int8|zlib "
        "astype:int8|zlib_bounded:2 astype:int8|zstd astype:int8|png "
        "transpose:2,0,1|astype:int8|sparse:-1|zlib:12 "
        "transpose:2,0,1|astype:int8|sparse:-1|zstd:19"
    ),
    "pose_gaussians_cut": (
        "raw zlib transpose:2,0,1|zstd:19 transpose:2,0,1|sparse|zlib:12 "
        "transpose:2,0,1|sparse:palette=true|zlib:12 transpose:2,0,1|sparse:palette=true|zstd:19"
    ),
    "pose_gaussians": (
        f"raw zlib png transpose:2,0,1|{STORED_BLOCKS} "
        "sortable|transpose:2,0,1|delta:1,2,zigzag=true|shuffle|zlib "
        "sortable|transpose:2,0,1|delta:1,2,zigzag=true|shuffle|zlib:12 "
        "sortable|transpose:2,0,1|delta:1,2,zigzag=true|shuffle|zstd:19"
    ),
    "segment_map": (
        "raw zlib astype:uint8|zlib:2 astype:uint8|zlib "
        "astype:uint8|zlib_bounded:2 astype:uint8|zstd "
        "astype:uint8|transpose:1,0|zlib:12 astype:uint8|zstd:19 astype:uint8|png"
    ),
    "depth": (
        f"raw zlib png shuffle|{STORED_BLOCKS} shuffle|zstd "
        "delta:1,zigzag=true|shuffle|zlib delta:1,zigzag=true|shuffle|zstd "
        "delta:1,zigzag=true|shuffle|zlib:12 delta:1,zigzag=true|shuffle|zstd:19"
    ),
    "log_mel": (
        f"raw zlib png shuffle|{STORED_BLOCKS} shuffle|zstd "
        "sortable|delta:1,zigzag=true|shuffle|zlib sortable|delta:1,zigzag=true|shuffle|zlib:12 "
        "sortable|delta:1,zigzag=true|shuffle|zstd:19"
    ),
    "embedding": (f"raw zlib shuffle|zlib shuffle|{STORED_BLOCKS} shuffle|zstd:19 shuffle|zstd"),
    "flow": (
        f"raw zlib png transpose:2,0,1|shuffle|{STORED_BLOCKS} "
        "sortable|transpose:2,0,1|delta:1,2,zigzag=true|shuffle|zlib "
        "sortable|transpose:2,0,1|delta:1,2,zigzag=true|shuffle|zlib:12 "
        "sortable|transpose:2,0,1|delta:1,2,zigzag=true|shuffle|zstd:19"
    ),
    "lidar": (
        f"raw zlib transpose:1,0|shuffle|{STORED_BLOCKS} transpose:1,0|shuffle|zstd "
        "sortable|transpose:1,0|delta:1,zigzag=true|shuffle|zlib "
        "sortable|transpose:1,0|delta:1,zigzag=true|shuffle|zlib:12 "
        "sortable|transpose:1,0|delta:1,zigzag=true|shuffle|zstd:19"
    ),
    "lidar_mm": (
        f"raw zlib fixed_point:1000,1000,1000,100,dtype=int32|shuffle|{STORED_BLOCKS} "
        "fixed_point:1000,1000,1000,100,dtype=int32|transpose:1,0|delta:1,zigzag=true|shuffle|zlib "
        "fixed_point:1000,1000,1000,100,dtype=int32|transpose:1,0|delta:1,zigzag=true|shuffle"
        "|zlib:12 "
        "fixed_point:1000,1000,1000,100,dtype=int32|transpose:1,0|delta:1,zigzag=true|shuffle"
        "|zstd:19"
    ),
    "one_hot": (
        "raw zlib onehot|zlib:2 onehot|zlib onehot|zlib_bounded:2 onehot|zstd onehot|png "
        "onehot|transpose:1,0|zlib:12 onehot|zstd:19"
    ),
    "one_hot_bool": (
        "raw zlib onehot|zlib:2 onehot|zlib onehot|zstd onehot|png "
        "onehot|transpose:1,0|zlib:12 onehot|zstd:19"
    ),
    "tokens": "raw zlib astype:uint16|zlib:9 astype:uint16|zlib_bounded astype:uint16|zstd:19",
    "ct": (
        f"raw zlib png shuffle|{STORED_BLOCKS} shuffle|zstd "
        "delta:0,1,zigzag=true|shuffle|zlib delta:0,1,zigzag=true|shuffle|zstd "
        "delta:0,1,zigzag=true|shuffle|zlib:12 delta:0,1,zigzag=true|shuffle|zstd:19"
    ),
    **dict.fromkeys(
        LARGE,
        "raw zlib:2 zlib transpose:1,0|zlib:12 zlib_bounded:2 zstd zstd:19 png png:level=9",
    ),
    **dict.fromkeys(
        ("mask_480x640", "mask_1024x1024"),
        "raw zlib:2 zlib zlib_bounded:2 packbits|raw packbits|zlib:2 packbits|zlib "
        "packbits|zlib_bounded:2 packbits|zstd packbits|zlib:12 png png:level=9",
    ),
    "photo_uint8": "raw zlib png png:level=9 delta:0|zlib:12",
    **{
        name: f"raw zlib {values}|raw {values}|zlib_bounded {values}|png {values}|png:level=9 "
        f"{values}|delta:0|zlib:12"
        for name, values in SCALED_VALUES.items()
    },
    "mel_fortran.npy": (
        "raw zlib png transpose:1,0|shuffle|zstd sortable|delta:1,zigzag=true|shuffle|zlib:12"
    ),
    "color150.mat": "raw zlib:2 zlib:9 zstd:19",
    "h36m_body3d.npz": "raw zlib:9 zstd:19 shuffle|zlib:12",
    "keypoints.npy": "raw zlib:9 transpose:2,0,1|zlib:12 transpose:2,0,1|zstd:19",
}
CHAINS = {name: text.split() for name, text in TEXT.items()}
#: How the pose maps of a request are packed.
REQUEST = ["astype:int8|zlib_bounded", "astype:int8|zlib", "astype:int8|zstd", "astype:int8|png"]


def codec_names(chain: str) -> list[str]:
    """The codecs of a chain text, their options left out."""
    return [step.partition(":")[0] for step in chain.split("|")]


def any_tensorflow(chain: str) -> bool:
    """Whether every TensorFlow from 2.12 on decodes ``chain``; else 2.20 is the first."""
    return "zstd" not in codec_names(chain)
