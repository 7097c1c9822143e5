"""Every codec by its name: the one line that a new codec adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from .base import AnyCodec


class Registry(Mapping[str, type[AnyCodec]]):
    """Codecs, each imported when it is first asked for: all of them take as long as numpy."""

    def __init__(self, places: dict[str, str]) -> None:
        self.places = places

    def __getitem__(self, name: str) -> type[AnyCodec]:
        module, _, codec = self.places[name].partition(":")
        found: type[AnyCodec] = getattr(import_module(f".{module}", __package__), codec)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


#: The containers whose payloads are files of other programs, which a client may send untouched.
NATIVE = ("npy", "npz", "mat", "pkl", "safetensors", "csv")

CODECS = Registry(
    {
        "transpose": "filters.transpose:Transpose",
        "astype": "filters.astype:AsType",
        "fixed_point": "filters.fixed_point:FixedPoint",
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
        "csv": "native.csv:Csv",
        "safetensors": "native.safetensors:Safetensors",
        "pkl": "native.pkl:Pkl",
        "mat": "native.mat.codec:Mat",
        "zlib": "compressors.zlib:Zlib",
        "zlib_bounded": "compressors.zlib_bounded:ZlibBounded",
        "zstd": "compressors.zstd:Zstd",
        "seal": "compressors.seal:Seal",
    }
)
