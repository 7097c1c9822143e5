"""Arrays as ``.npy`` and ``.npz`` files, without a pickle in them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from ..errors import EncodeError


def savable(array: np.ndarray) -> np.ndarray:
    """``array`` in a dtype of ``.npy``: bfloat16 as float32 (keeps all bits), bytes as ``S``."""
    if array.dtype.name == "bfloat16":
        bits = array.view(np.uint16).astype(np.uint32) << np.uint32(16)
        return np.asarray(bits).view(np.float32)
    if array.dtype.kind == "O":
        strings = array.astype("S")
        if not np.array_equal(strings.astype("O"), array):
            raise EncodeError("holds byte strings that end in a zero byte, which numpy cannot save")
        return strings
    return array


def save_npy(file: BinaryIO, array: np.ndarray) -> None:
    """Write one ``.npy``."""
    np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def save_npz(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an ``.npz``; unlike ``numpy.savez`` it takes an array named ``file``."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # its own date, so that equal arrays give
            member.compress_type = zipfile.ZIP_DEFLATED  # equal files
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
