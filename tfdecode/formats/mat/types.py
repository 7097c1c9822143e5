"""MATLAB's codes: types of data elements and classes of matrices ("MAT-File Format", chapter 1)."""

from __future__ import annotations

from ...dtypes import ITEM_SIZES

#: Types of the elements of a file: a matrix, and a zlib stream of one.
MATRIX, COMPRESSED = 14, 15
#: Type in which numbers are stored -> dtype.
STORAGE = {
    1: "int8", 2: "uint8", 3: "int16", 4: "uint16", 5: "int32", 6: "uint32", 7: "float32",
    9: "float64", 12: "int64", 13: "uint64",
}  # fmt: skip
#: Class of a numeric matrix -> dtype.
CLASSES = {
    6: "float64", 7: "float32", 8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32",
    13: "uint32", 14: "int64", 15: "uint64",
}  # fmt: skip
OTHER_CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function_handle",
    17: "object",
}  # fmt: skip
#: dtype -> class, and dtype -> type in which `encode` stores its numbers.
CLASS_OF = {dtype: code for code, dtype in CLASSES.items()}
TYPE_OF = {dtype: code for code, dtype in STORAGE.items()}
#: Version and byte order, bytes 124 to 127 of a little-endian file and of a big-endian one.
VERSION, BIG_ENDIAN = b"\x00\x01IM", b"\x01\x00MI"
#: Positions of bits in the flags of a matrix.
LOGICAL, COMPLEX = 9, 11


def storage_nbytes(storage: int) -> int:
    """Bytes of one number stored as a type."""
    return ITEM_SIZES[STORAGE[storage]]


def class_nbytes(matlab_class: int) -> int:
    """Bytes of one number of a class."""
    return ITEM_SIZES[CLASSES[matlab_class]]


def carries(matlab_class: int, storage: int) -> bool:
    """Whether numbers of a class may be stored as a type: not wider, and no integer as a float."""
    if matlab_class not in CLASSES or storage not in STORAGE:
        return False
    if storage_nbytes(storage) > class_nbytes(matlab_class):
        return False
    return "float" not in STORAGE[storage] or "float" in CLASSES[matlab_class]
