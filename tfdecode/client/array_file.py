"""ArrayFile: one array of a file, as the input of a client."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..conversion import Casting
from ..files import has_suffix
from ..formats.contents import MAX_BYTES

#: The suffix of files that hold a payload.
PAYLOAD_SUFFIX = ".tfd"


@dataclass(frozen=True)
class ArrayFile:
    """One array of a file that may hold several, as the input of a client.

    Parameters
    ----------
    path : str or os.PathLike
        The file, in a format that `tfdecode.load` reads.
    key : str, optional
        Which array, needed if there are several.
    max_bytes : int, default 2 GiB
        Most bytes that the array may have.
    missing : {"nan"}, optional
        Read missing cells of a table as NaN.
    casting : {"no", "equiv", "same_kind", "unsafe"}
        Which changes the conversion to the dtype of the input may make; see `tfdecode.load`.
    """

    path: Path
    key: str | None
    max_bytes: int
    missing: Literal["nan"] | None
    casting: Casting

    def __init__(
        self,
        path: str | os.PathLike[str],
        key: str | None = None,
        max_bytes: int = MAX_BYTES,
        missing: Literal["nan"] | None = None,
        casting: Casting = "equiv",
    ) -> None:
        object.__setattr__(self, "path", Path(path))  # frozen
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "max_bytes", max_bytes)
        object.__setattr__(self, "missing", missing)
        object.__setattr__(self, "casting", casting)

    @property
    def listed(self) -> bool:
        """Whether its array is sent to an input that nobody described: graphs decode images."""
        return has_suffix(self.path) and self.path.suffix.lower() not in (PAYLOAD_SUFFIX, ".png")

    @property
    def reading(self) -> dict[str, Any]:
        """The options of `load` that say what the file holds."""
        return {"max_bytes": self.max_bytes, "missing": self.missing}
