"""Send arrays that are not images to a TensorFlow model as small byte strings.

A client encodes arrays without TensorFlow; the graph decodes them with stock ops, bit for bit.

>>> import numpy as np, tfdecode as tfd
>>> spec = tfd.ArraySpec((256, 192), "float64", codecs="astype:uint8|zlib")
>>> spec.decode(spec.encode(np.zeros((256, 192)))).shape
(256, 192)
"""

from typing import TYPE_CHECKING, Any

from .errors import (
    DecodeError,
    EncodeError,
    ExportError,
    FileError,
    MissingExtraError,
    SkippedWarning,
    SpecError,
    TfdecodeError,
)

if TYPE_CHECKING:  # from the modules: type checkers take a package's infer for its module infer
    from . import codecs
    from .choose.infer import infer
    from .codecs.chain_text import one_of
    from .codecs.registry import register_codec
    from .files import load, load_all
    from .graph.rows import Status
    from .saved_models.check import check
    from .saved_models.convert import convert
    from .saved_models.export import export
    from .saved_models.wrap import wrap
    from .schema import Schema
    from .serving.warm_up import warm_up
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
    "SkippedWarning",
    "SpecError",
    "Status",
    "TfdecodeError",
    "check",
    "codecs",
    "convert",
    "export",
    "infer",
    "load",
    "load_all",
    "one_of",
    "register_codec",
    "warm_up",
    "wrap",
]

# Imported when first used: a client that only packs should not wait for infer and export, and
# --help not for NumPy, which takes three times as long as the rest.
_WHERE = {
    "ArraySpec": "spec",
    "Schema": "schema",
    "Status": "graph.rows",
    "check": "saved_models.check",
    "codecs": "",
    "convert": "saved_models.convert",
    "export": "saved_models.export",
    "infer": "choose.infer",
    "load": "files",
    "load_all": "files",
    "one_of": "codecs.chain_text",
    "register_codec": "codecs.registry",
    "warm_up": "serving.warm_up",
    "wrap": "saved_models.wrap",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{_WHERE[name] or name}", __name__)
    globals()[name] = value = getattr(module, name) if _WHERE[name] else module
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
