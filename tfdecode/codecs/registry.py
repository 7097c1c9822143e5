"""Every codec by its name. A new codec adds one line here, or registers itself from outside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from ..errors import SpecError
from .base import STAGES, AnyCodec, Compressor, Container, Filter

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: The entry points of installed packages that bring codecs: name of the codec = module:Class.
ENTRY_POINTS = "tfdecode.codecs"

AnyClass = TypeVar("AnyClass", bound=type[AnyCodec])


class Registry(Mapping[str, type[AnyCodec]]):
    """Name -> codec class. A built-in class is imported on first use: all take as long as numpy.

    A codec of an entry point is found by its name and by the files that it reads. Iteration leaves
    these codecs out, so that what is installed does not change what `infer` proposes.
    """

    def __init__(self, built_in: dict[str, str]) -> None:
        self.built_in = built_in
        self.registered: dict[str, type[AnyCodec]] = {}
        self._imported: dict[str, type[AnyCodec]] = {}

    def __getitem__(self, name: str) -> type[AnyCodec]:
        if name in self.registered:
            return self.registered[name]
        if name in self._imported:  # import_module takes 5 us even if there is nothing to import
            return self._imported[name]
        if name in self.built_in:
            module, _, codec = self.built_in[name].partition(":")
            found: type[AnyCodec] = getattr(import_module(f".{module}", __package__), codec)
            self._imported[name] = found
            return found
        for point in entry_points():
            if point.name == name:
                try:
                    return checked(point.load(), name)
                except Exception as error:  # whatever another package raises when it is imported
                    raise SpecError(
                        f"codec {name} of {point.value} cannot be used: {error}"
                    ) from error
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter({**self.built_in, **self.registered})

    def __len__(self) -> int:
        return len({**self.built_in, **self.registered})

    def register(self, codec: type[AnyCodec]) -> None:
        """Add a codec; SpecError if another one has its name."""
        checked(codec, getattr(codec, "name", None))
        known = self.registered.get(codec.name)
        if codec.name in self.built_in or known not in (None, codec):
            raise SpecError(f"another codec is registered under the name {codec.name!r}")
        self.registered[codec.name] = codec

    def native(self) -> Iterator[type[Container]]:
        """The containers whose payloads are files of other programs, those of packages too."""
        for name in dict.fromkeys([*self, *(point.name for point in entry_points())]):
            try:
                codec = self[name]
            except SpecError:  # a broken package must not keep other files from being read
                continue
            if issubclass(codec, Container) and codec.suffixes:
                yield codec

    def container(self, name: str) -> type[Container]:
        """The container of that name."""
        codec = self[name]
        assert issubclass(codec, Container)
        return codec

    def by_suffix(self, suffix: str) -> type[Container] | None:
        """The native container whose files have that suffix, as ``".npy"``."""
        first = suffix[1:]  # most formats are called so: only one module is imported
        if first in self.built_in or first in self.registered:
            codec = self[first]
            if issubclass(codec, Container) and suffix in codec.suffixes:
                return codec
        return next((codec for codec in self.native() if suffix in codec.suffixes), None)


@cache
def entry_points() -> Sequence[EntryPoint]:
    """The codecs of installed packages, not imported yet."""
    from importlib.metadata import entry_points  # 20 ms: only if no known codec has the name

    return tuple(entry_points(group=ENTRY_POINTS))


def checked(codec: object, name: object) -> type[AnyCodec]:
    """``codec``; SpecError unless it is a class that can be registered under ``name``."""
    kinds = (Filter, Container, Compressor)
    if not isinstance(codec, type) or not issubclass(codec, kinds) or not frozen(codec):
        base = "Filter, Container or Compressor of tfdecode.codecs"
        raise SpecError(f"codec {codec!r} is not a frozen dataclass derived from {base}")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise SpecError(f"codec name {name!r} needs lower-case letters, digits and _, at most 64")
    if missing := sorted(codec.__abstractmethods__):
        raise SpecError(f"codec {name!r} does not define {', '.join(missing)}")
    suffixes = codec.suffixes if issubclass(codec, Container) else ()
    lower = isinstance(suffixes, tuple) and all(re.fullmatch(r"\.[^A-Z.]+", s) for s in suffixes)
    if not lower or (suffixes and not hasattr(codec, "contents")):
        raise SpecError(
            f"codec {name!r} needs suffixes as a tuple of lower-case texts, as ('.npy',), and "
            "contents, which reads these files"
        )
    if not isinstance(codec.magics, tuple) or not all(codec.magics):
        raise SpecError(f"codec {name!r} needs magics as a tuple of bytes, none of them empty")
    if issubclass(codec, Filter) and codec.stage not in STAGES:
        raise SpecError(f"codec {name!r} has stage {codec.stage!r}, known: {', '.join(STAGES)}")
    if codec.name != name:
        raise SpecError(f"codec {codec.__name__} is named {codec.name!r}, not {name!r}")
    return codec


def frozen(codec: type) -> bool:
    """Whether a class itself, not only its base, is a frozen dataclass."""
    parameters = vars(codec).get("__dataclass_params__")
    return parameters is not None and bool(parameters.frozen)


CODECS = Registry(
    {
        "transpose": "filters.transpose:Transpose",
        "astype": "filters.astype:AsType",
        "fixed_point": "filters.fixed_point:FixedPoint",
        "palette": "filters.palette:Palette",
        "sortable": "filters.sortable:Sortable",
        "delta": "filters.delta:Delta",
        "shuffle": "filters.shuffle:Shuffle",
        "onehot": "filters.onehot:OneHot",
        "packbits": "filters.packbits:PackBits",
        "raw": "containers.raw:Raw",
        "png": "containers.png:Png",
        "sparse": "containers.sparse:Sparse",
        "npy": "native.npy:Npy",
        "npz": "native.npz:Npz",
        "mat": "native.mat.codec:Mat",
        "csv": "native.csv:Csv",
        "safetensors": "native.safetensors:Safetensors",
        "pkl": "native.pkl:Pkl",
        "png_image": "native.png_image:PngImage",
        "jpeg": "native.jpeg:Jpeg",
        "tensor_proto": "native.tensor_proto:TensorProto",
        "zlib": "compressors.zlib:Zlib",
        "zlib_bounded": "compressors.zlib_bounded:ZlibBounded",
        "zstd": "compressors.zstd:Zstd",
        "seal": "compressors.seal:Seal",
    }
)


def register_codec(codec: AnyClass) -> AnyClass:
    """Make a codec known by its name: in chain text, JSON, `infer`, `load` and ``pack``.

    A package can register its codecs without a call, too: by entry points of the group
    ``tfdecode.codecs``, ``name = "module:Class"``. These are found by name and by file suffix;
    `infer` proposes only built-in codecs and those that the program registered.

    Parameters
    ----------
    codec : type
        A frozen dataclass derived from `tfdecode.codecs.Filter`, `Container` or `Compressor`. It is
        returned, so that this is a decorator as well.

    Raises
    ------
    SpecError
        If the class cannot be a codec, or if another codec has its name.

    Examples
    --------
    >>> from dataclasses import dataclass, replace
    >>> import numpy as np, tfdecode as tfd
    >>> @tfd.register_codec
    ... @dataclass(frozen=True)
    ... class Invert(tfd.codecs.Filter):
    ...     name = "invert"
    ...     def resolve(self, form): return form
    ...     def encode(self, x, form): return ~x
    ...     def decode(self, y, form): return ~y
    ...     def decode_rows(self, rows, form): return replace(rows, data=~rows.data)
    >>> tfd.ArraySpec((2,), "bool", "invert").encode(np.array([True, False]))
    b'\\x00\\x01'
    """
    CODECS.register(codec)
    return codec
