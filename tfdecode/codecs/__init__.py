"""The codecs: filters, containers and compressors, each in a file of its own.

>>> import tfdecode as tfd
>>> tfd.ArraySpec((2, 3), "float32", [tfd.codecs.AsType("uint8"), tfd.codecs.Zlib(level=9)])
ArraySpec((2, 3), 'float32', codecs='astype:uint8|raw|zlib:9|seal')
"""

from typing import TYPE_CHECKING, Any

from .base import Codec as Codec
from .base import Compressor as Compressor
from .base import Container as Container
from .base import Cost as Cost
from .base import Filter as Filter
from .registry import CODECS

if TYPE_CHECKING:
    from .compressors.seal import Seal as Seal
    from .compressors.zlib import Zlib as Zlib
    from .compressors.zlib_bounded import ZlibBounded as ZlibBounded
    from .compressors.zstd import Zstd as Zstd
    from .containers.png import Png as Png
    from .containers.raw import Raw as Raw
    from .containers.sparse import Sparse as Sparse
    from .filters.astype import AsType as AsType
    from .filters.delta import Delta as Delta
    from .filters.fixed_point import FixedPoint as FixedPoint
    from .filters.onehot import OneHot as OneHot
    from .filters.packbits import PackBits as PackBits
    from .filters.palette import Palette as Palette
    from .filters.shuffle import Shuffle as Shuffle
    from .filters.sortable import Sortable as Sortable
    from .filters.transpose import Transpose as Transpose
    from .native.csv import Csv as Csv
    from .native.jpeg import Jpeg as Jpeg
    from .native.mat.codec import Mat as Mat
    from .native.npy import Npy as Npy
    from .native.npz import Npz as Npz
    from .native.pkl import Pkl as Pkl
    from .native.png_image import PngImage as PngImage
    from .native.safetensors import Safetensors as Safetensors
    from .native.tensor_proto import TensorProto as TensorProto

_CLASSES = {place.partition(":")[2]: name for name, place in CODECS.built_in.items()}
__all__ = ["Codec", "Compressor", "Container", "Cost", "Filter", *_CLASSES]


def __getattr__(name: str) -> Any:
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return CODECS[_CLASSES[name]]
