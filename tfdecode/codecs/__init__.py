"""The codecs: filters, containers and compressors, each in a file of its own.

>>> import tfdecode as tfd
>>> tfd.ArraySpec((2, 3), "float32", [tfd.codecs.AsType("uint8"), tfd.codecs.Zlib(level=9)])
ArraySpec((2, 3), 'float32', codecs='astype:uint8|raw|zlib:9|seal')
"""

from typing import TYPE_CHECKING, Any

from .base import Codec, Compressor, Container, Cost, Filter
from .registry import CODECS

if TYPE_CHECKING:
    from .compressors.seal import Seal
    from .compressors.zlib import Zlib
    from .compressors.zlib_bounded import ZlibBounded
    from .compressors.zstd import Zstd
    from .containers.png import Png
    from .containers.raw import Raw
    from .containers.sparse import Sparse
    from .filters.astype import AsType
    from .filters.delta import Delta
    from .filters.fixed_point import FixedPoint
    from .filters.onehot import OneHot
    from .filters.packbits import PackBits
    from .filters.shuffle import Shuffle
    from .filters.sortable import Sortable
    from .filters.transpose import Transpose
    from .native.csv import Csv
    from .native.mat.codec import Mat
    from .native.npy import Npy
    from .native.npz import Npz
    from .native.pkl import Pkl
    from .native.safetensors import Safetensors

__all__ = [
    "AsType",
    "Codec",
    "Compressor",
    "Container",
    "Cost",
    "Csv",
    "Delta",
    "Filter",
    "FixedPoint",
    "Mat",
    "Npy",
    "Npz",
    "OneHot",
    "PackBits",
    "Pkl",
    "Png",
    "Raw",
    "Safetensors",
    "Seal",
    "Shuffle",
    "Sortable",
    "Sparse",
    "Transpose",
    "Zlib",
    "ZlibBounded",
    "Zstd",
]


def __getattr__(name: str) -> Any:
    for codec, place in CODECS.built_in.items():
        if place.endswith(f":{name}"):
            return CODECS[codec]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
