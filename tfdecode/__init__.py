"""Getting arrays that are not images into a TensorFlow graph.

Pack arrays into bytes on a client (numpy, no TensorFlow) and decode them inside the graph with
stock ops only, bit for bit.

>>> import numpy as np, tfdecode as tfd
>>> spec = tfd.ArraySpec((256, 192), "float64", codecs="astype:uint8|zlib")
>>> payload = spec.encode(np.zeros((256, 192)))
>>> spec.decode(payload).shape
(256, 192)
"""

from .errors import (
    DecodeError,
    EncodeError,
    ExportError,
    FileError,
    MissingExtraError,
    SpecError,
    TfdecodeError,
)
from .export import check, export
from .files import load, load_all
from .graph.rows import Status
from .schema import Schema
from .spec import ArraySpec

__version__ = "0.1.0"

__all__ = [
    "ArraySpec",
    "DecodeError",
    "EncodeError",
    "ExportError",
    "FileError",
    "MissingExtraError",
    "Schema",
    "SpecError",
    "Status",
    "TfdecodeError",
    "check",
    "export",
    "load",
    "load_all",
]
