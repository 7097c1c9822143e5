"""safetensors: a file with one tensor, as the library of that name writes it."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

from ...errors import SpecError
from ...form import ArrayForm
from ...formats import safetensors
from .file import check_key, templates_of
from .sampled import SampledFile
from .template import Template

DTYPES = {
    "bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8",
    "uint16": "U16", "uint32": "U32", "uint64": "U64", "float16": "F16", "bfloat16": "BF16",
    "float32": "F32", "float64": "F64", "complex64": "C64",
}  # fmt: skip


@dataclass(frozen=True)
class Safetensors(SampledFile):
    r"""A safetensors file with one tensor, saved from NumPy, PyTorch, TensorFlow, JAX or MLX.

    Parameters
    ----------
    key : str
        Name of the tensor, 1 to 256 characters. It must be the only tensor.
    head, tail : str, default ""
        Base64 of the bytes before and after the numbers of a sample file, as for `Npy`.

    Notes
    -----
    Format: https://github.com/huggingface/safetensors#format.

    Examples
    --------
    >>> import numpy as np, tfdecode
    >>> tfdecode.ArraySpec((3,), "uint8", "safetensors:x").encode(np.arange(3, dtype="uint8"))[8:]
    b'{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}   \x00\x01\x02'
    """

    name = "safetensors"
    suffixes = (".safetensors",)
    file = "a .safetensors file"
    contents = safetensors.contents
    missing = {  # noqa: RUF012
        "complex128": "safetensors has no complex128; use npy, or save real and imaginary parts as "
        "float64"
    }
    key: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_key(self.name, self.key, 256)
        if self.key == "__metadata__" or any("\ud800" <= char <= "\udfff" for char in self.key):
            raise SpecError(f"codec safetensors: no tensor can be named {self.key!r}")

    def begins(self, form: ArrayForm) -> tuple[bytes, ...]:
        return tuple(sorted({template.head[:10] for template in templates_of(self, form).known}))

    def templates(self, form: ArrayForm) -> list[Template]:
        known = []
        for written_by in (None, "pt", "np", "tf", "flax", "mlx"):
            header: dict[str, Any] = {}
            if written_by is not None:
                header["__metadata__"] = {"format": written_by}
            header[self.key] = {
                "dtype": DTYPES[form.dtype],
                "shape": form.max_shape,
                "data_offsets": [0, form.max_nbytes],
            }
            text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
            # Versions before 0.3 did not pad.
            for padded in (text + b" " * (-len(text) % 8), text):
                known.append(Template(struct.pack("<Q", len(padded)) + padded))
        return known
