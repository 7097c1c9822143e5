"""Every codec by its name: the one line that a new codec adds."""

from __future__ import annotations

from .base import AnyCodec
from .compressors.deflate import Deflate
from .compressors.seal import Seal
from .compressors.zlib import Zlib
from .compressors.zstd import Zstd
from .containers.csv import Csv
from .containers.mat import Mat
from .containers.npy import Npy
from .containers.npz import Npz
from .containers.pkl import Pkl
from .containers.png import Png
from .containers.raw import Raw
from .containers.safetensors import Safetensors
from .containers.sparse import Sparse
from .filters.astype import AsType
from .filters.bitshuffle import BitShuffle
from .filters.delta import Delta
from .filters.fixed_point import FixedPoint
from .filters.onehot import OneHot
from .filters.ordered import Ordered
from .filters.packbits import PackBits
from .filters.shuffle import Shuffle
from .filters.transpose import Transpose

CODECS: dict[str, type[AnyCodec]] = {
    codec.name: codec
    for codec in (
        Transpose,
        AsType,
        FixedPoint,
        Ordered,
        Delta,
        Shuffle,
        BitShuffle,
        OneHot,
        PackBits,
        Raw,
        Png,
        Sparse,
        Npy,
        Npz,
        Csv,
        Safetensors,
        Pkl,
        Mat,
        Zlib,
        Deflate,
        Zstd,
        Seal,
    )
}
