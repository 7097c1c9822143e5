"""Every codec by its name: the one line that a new codec adds."""

from __future__ import annotations

from .base import AnyCodec
from .compressors.deflate import Deflate
from .compressors.seal import Seal
from .compressors.zlib import Zlib
from .compressors.zstd import Zstd
from .containers.png import Png
from .containers.raw import Raw
from .filters.astype import AsType
from .filters.transpose import Transpose

CODECS: dict[str, type[AnyCodec]] = {
    codec.name: codec
    for codec in (
        Transpose,
        AsType,
        Raw,
        Png,
        Zlib,
        Deflate,
        Zstd,
        Seal,
    )
}
