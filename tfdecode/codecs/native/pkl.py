"""pkl: the pickle of one numpy array, bare or the only value of a dict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...dtypes import numpy_dtype
from ...errors import SpecError
from ...form import ArrayForm
from ...formats import pkl
from ...formats.sniff import PICKLE_MAGICS
from .file import check_key, layouts
from .pickle_writers import Array, around, writers
from .sampled import SampledFile
from .template import Template

#: Texts of the pickle itself: if the key is the same object, the pickler refers back to it.
RESERVED_KEYS = ("numpy", "ndarray", "dtype", "C", "F", "<", ">", "|")


@dataclass(frozen=True)
class Pkl(SampledFile):
    """A pickled array, or a dict with exactly one; never unpickled.

    Files by `pickle.dump` with NumPy 1 or 2 are accepted: protocols 3 to 5, or 2 by Python 2. Both
    sides compare every byte around the numbers with those of known writers; nothing is executed.

    Parameters
    ----------
    key : str, optional
        Key of the array in the dict, 1 to 128 characters. Without it, the pickle is the array.
    head, tail : str, default ""
        Base64 of the bytes before and after the numbers of a sample file, as for `Npy`.

    Notes
    -----
    Format: Python's `pickletools`; PEP 3154 (protocol 4), PEP 574 (protocol 5).

    Examples
    --------
    >>> import pickle, numpy as np, tfdecode
    >>> file = pickle.dumps({"pose": np.arange(3, dtype="uint8")})
    >>> tfdecode.ArraySpec((3,), "uint8", "pkl:pose").decode(file)
    array([0, 1, 2], dtype=uint8)
    """

    name = "pkl"
    suffixes = (".pkl", ".pickle", ".p")
    as_is_advice = (
        "a pickle of protocol 0, 1 or 2 by Python 3 stores numbers as text; save it with "
        "pickle.dump(array, file, protocol=4)"
    )
    magics = PICKLE_MAGICS
    file = "a pickle"
    contents = pkl.contents
    key: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.key is None:
            return
        check_key(self.name, self.key, 128)
        reserved = self.key in RESERVED_KEYS and not self.head
        if reserved or any("\ud800" <= char <= "\udfff" for char in self.key):
            raise SpecError(
                f"codec pkl: key {self.key!r} is not supported (it is also a text of the pickle "
                "itself, or not valid Unicode); use another key"
            )

    @classmethod
    def file_configurations(cls, key: str, data: bytes) -> list[dict[str, Any]]:
        bare = [{"name": cls.name}]
        return [*bare, {"name": cls.name, "key": key}] if key else bare

    def templates(self, form: ArrayForm) -> list[Template]:
        known: list[Template] = []
        if self.key in RESERVED_KEYS:  # only a sample shows how it is written
            return known
        for fortran, big_endian in layouts(form):
            order = "|" if numpy_dtype(form.dtype).itemsize == 1 else ">" if big_endian else "<"
            dtype = numpy_dtype(form.dtype)
            code = "ml_dtypes", "bfloat16"
            array = Array(
                code if form.dtype == "bfloat16" else dtype.str[1:],
                order,
                form.max_shape,
                fortran,
                form.max_nbytes,
                self.key,
            )
            for writer in writers(form.max_nbytes):
                head, tail = around(array, writer)
                known.append(Template(head, tail, fortran, big_endian))
        return known

    def advice(self, data: bytes) -> str:
        if data[1] == 2:
            return "protocol 2 by Python 3 stores numbers as text; use protocol 3 or later"
        return super().advice(data)
