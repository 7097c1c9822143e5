"""Arrays of many files, one after another or row by row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from .. import reading
from ..casts import checked_bool
from ..conversion import Casting, converted
from ..errors import FileError
from ..files import LARGE, by_headers, form_for, listing, naming, read_one
from ..formats.contents import MAX_BYTES, Array, Contents
from ..sources import Remote, is_url
from ..spec import ArraySpec

#: How many files are kept of which only the headers were read, or which are small.
SMALL = 64


class Reader:
    """Reads arrays of many files in the dtypes of specs; lists a file once for all its arrays.

    ``count`` is how many files it remembers, besides small ones and headers; ``options`` are those
    of `load`. A path may be a URL.
    """

    def __init__(self, count: int, options: Mapping[str, Any]) -> None:
        self._missing: Literal["nan"] | None = options.get("missing")
        self._form = {k: options[k] for k in ("dtype", "shape") if options.get(k) is not None}
        self._casting: Casting = options.get("casting", "equiv")
        self._max_bytes: int = options.get("max_bytes", MAX_BYTES)
        self._listed = lru_cache(count)(self._list)
        self._light = lru_cache(SMALL)(self._list_small)
        self._whole = lru_cache(count)(self._read)

    def read(
        self, spec: ArraySpec | None, path: str, key: str | None = None, row: int | None = None
    ) -> Array:
        """The array of a file, or one row of it, in the dtype of the spec; raises as `load`."""
        form = {**(form_for(spec, path, row is not None) if spec else {}), **self._form}
        shape = None if form.get("shape") is None else tuple(form["shape"])
        source = path, form.get("dtype"), shape
        if row is None:
            array = self._read(*source, key)
        else:
            with naming(path):
                entry = self._split(*source).entry(key)
                if not entry.shape or row >= entry.shape[0]:
                    raise FileError(f"has no row {row}: {entry}")
                # Chunks without data take no byte of the file, but memory.
                if entry.read_row and entry.row_nbytes <= self._max_bytes:
                    array = entry.read_row(row)
                else:
                    array = self._whole(*source, key)[row]
        with naming(path):
            dtype = spec.dtype if spec else form.get("dtype", array.dtype)
            return converted(checked_bool(array), dtype, self._casting)

    def rows(self, path: str, key: str | None = None) -> int | None:
        """How many rows the array of a file has; None if it is a scalar."""
        shape = self._form.get("shape")
        contents = self._split(path, self._form.get("dtype"), shape and tuple(shape))
        with naming(path):
            entry = contents.entry(key)
        return entry.shape[0] if entry.shape else None

    def _read(
        self, path: str, dtype: str | None, shape: tuple[int, ...] | None, key: str | None
    ) -> Array:
        contents = self._listed(path, dtype, shape)
        return read_one(contents, path, key, dtype, self._casting, self._max_bytes)

    def _split(self, path: str, dtype: str | None, shape: tuple[int, ...] | None) -> Contents:
        """What a file holds whose rows are read in any order, with those of other files."""
        return self._light(path, dtype, shape) or self._listed(path, dtype, shape)

    def _list_small(
        self, path: str, dtype: str | None, shape: tuple[int, ...] | None
    ) -> Contents | None:
        light = by_headers(_source(path), self._max_bytes) if shape is None else None
        small = light is None and len(reading.Slices(_source(path))) < LARGE
        return self._list(path, dtype, shape) if small else light

    def _list(self, path: str, dtype: str | None, shape: tuple[int, ...] | None) -> Contents:
        options: Any = {"max_bytes": self._max_bytes, "missing": self._missing}
        return listing(_source(path), dtype=dtype, shape=shape, **options)


def _source(path: str) -> str | Remote:
    return Remote(path) if "://" in path and is_url(path) else path
