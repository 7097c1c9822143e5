"""The table of cases: add rows for a new codec here, and all tests of chains run on them."""

from __future__ import annotations

import base64
import os
import re

import numpy as np

from tests.common import (
    Case,
    among,
    centred,
    constant,
    exact_in,
    few,
    integers,
    multiples,
    one_hot,
    spots,
)
from tfdecode.dtypes import ITEM_SIZES

#: One dtype of each width and kind, for codecs that treat them alike.
SOME = ("bool", "int8", "uint16", "bfloat16", "float32", "float64", "complex128")

#: What a palette takes: elements of 2 to 8 bytes.
PALETTE = [dtype for dtype, size in ITEM_SIZES.items() if 2 <= size <= 8]

ALL = (
    # raw: every dtype, every kind of shape
    *(Case("raw", (2, 3), dtype) for dtype in ITEM_SIZES),
    Case("raw", (), "float32"),
    Case("raw", (), "bool"),
    Case("raw", (0,), "float64"),
    Case("raw", (2, 0, 3), "bool"),
    Case("raw", (1,), "uint8"),
    Case("raw", (2, 3, 1, 4), "uint16"),
    Case("raw", (40, 30), "float32"),
    Case("raw|seal", (2, 3), "float32"),
    Case("raw|seal", (2, 3), "bool"),
    Case("raw", (None, 2), "bfloat16", max_shape=(5, 2)),
    Case("raw", (None,), "float32", max_shape=(6,)),
    Case("raw", (2, None, 3), "int16", max_shape=(2, 4, 3)),
    Case("raw", (2, 3, None), "bool", max_shape=(2, 3, 4)),
    Case("raw|seal", (None,), "uint8", max_shape=(9,)),
    Case("raw", (None, 2, None), "float32", max_shape=(3, 2, 4)),
    Case("raw", (None, 0), "int16", max_shape=(3, 0)),
    # transpose
    Case("transpose:1,0", (2, 3), "complex128"),
    Case("transpose:2,0,1", (2, 3, 4), "bfloat16"),
    Case("transpose:3,1,0,2", (2, 1, 3, 4), "bool"),
    Case("transpose:1,0|transpose:1,0", (2, 3), "uint32"),
    # a last axis of few bytes, which is interleaved
    *(
        Case("transpose:1,0", (5, channels), dtype)
        for dtype, channels in (
            ("uint8", 2),
            ("int8", 4),
            ("float16", 2),
            ("bfloat16", 2),
            ("float32", 2),
            ("uint32", 2),
        )
    ),
    Case("transpose:2,0,1", (130, 140, 2), "float16"),
    Case("transpose:2,0,1", (90, 100, 4), "uint8"),
    Case("transpose:1,0", (None, 2), "bfloat16", max_shape=(9000, 2)),
    Case("transpose:2,0,1", (0, 3, 2), "int16"),
    Case("transpose:1,0", (None, 2), "int32", max_shape=(4, 2)),
    Case("transpose:0", (4,), "int8"),
    Case("transpose:1,0", (0, 3), "float32"),
    Case("transpose:1,0", (None, 3), "uint64", max_shape=(4, 3)),
    Case("transpose:2,0,1", (2, None, 3), "float16", max_shape=(2, 4, 3)),
    Case("transpose:1,2,0|zlib", (2, 3, None), "complex64", max_shape=(2, 3, 4)),
    # astype: integers
    Case(
        "astype:uint8",
        (2, 3),
        "float32",
        integers(0, 255),
        refused=(
            (np.full((2, 3), 1.5, "f4"), "1.5 at index [0, 0] (6 in all)"),
            (np.float32([[0, 1, 2], [3, 4, 256]]), "256.0 at index [1, 2]"),
            (np.float32([[0, 1, 2], [3, -1, 0]]), "-1.0 at index [1, 1]"),
            (np.float32([[0, -0.0, 2], [3, 1, 0]]), "-0.0 at index [0, 1]"),
            (np.float32([[np.nan, 0, 2], [3, 1, 0]]), "nan at index [0, 0]"),
            (np.float32([[np.inf, 0, 2], [3, 1, 0]]), "inf at index [0, 0]"),
        ),
    ),
    Case("astype:int16", (3,), "float64", integers(-32768, 32767)),
    Case("astype:int64", (3,), "float64", integers(-(2**53), 2**53)),
    Case(
        "astype:uint64",
        (2,),
        "float32",
        integers(0, 2**24),
        refused=((np.float32([0, 2.0**64]), "at index [1]"),),
    ),
    Case(
        "astype:int32",
        (2,),
        "float32",
        integers(-(2**24), 2**24),
        refused=((np.float32([0, 2.0**31]), "at index [1]"),),
    ),
    Case("astype:uint8", (3,), "int64", integers(0, 255)),
    Case(
        "astype:int8",
        (3,),
        "uint64",
        integers(0, 127),
        refused=((np.uint64([2**64 - 1, 1, 2]), "18446744073709551615 at index [0]"),),
    ),
    Case(
        "astype:uint64",
        (3,),
        "int64",
        integers(0, 2**63 - 1),
        refused=((np.int64([0, -1, 2]), "-1 at index [1]"),),
    ),
    Case("astype:uint32", (3,), "int32", integers(0, 2**31 - 1)),
    Case("astype:int64", (3,), "uint8"),
    Case(
        "astype:bool",
        (5,),
        "float32",
        integers(0, 1),
        refused=((np.float32([0, 1, 2, 0, 0]), "2.0 at index [2] (1 in all)"),),
    ),
    Case("astype:uint8", (5,), "bool"),
    Case("astype:uint8", (3,), "bfloat16", integers(0, 255)),
    Case("astype:uint16", (3,), "float16", integers(0, 2048)),
    Case("astype:int16", (3,), "complex64", integers(-99, 99)),
    Case("astype:int32", (3,), "complex128", integers(-99999, 99999)),
    Case("astype:float32", (3,), "int16"),
    Case("astype:float64", (3,), "int64", integers(-(2**53), 2**53)),
    # astype: floats in floats, the subnormal ones too
    Case(
        "astype:float32",
        (40,),
        "float64",
        exact_in("float32"),
        refused=((np.full(40, 0.1), "0.1 at index [0] (40 in all)"),),
    ),
    Case("astype:float32", (40,), "float64", exact_in("float32"), seal=True),
    Case("astype:bfloat16", (40,), "float64", exact_in("bfloat16"), seal=True),
    Case("astype:float16", (40,), "float16"),
    Case("astype:bfloat16", (40,), "bfloat16"),
    Case("astype:float16", (40,), "float64", exact_in("float16")),
    Case("astype:float16", (40,), "float32", exact_in("float16")),
    Case("astype:bfloat16", (40,), "float32", exact_in("bfloat16")),
    Case("astype:float64", (40,), "float32", exact_in("float32")),
    Case("astype:float64", (40,), "bfloat16", exact_in("bfloat16"), seal=True),
    Case("astype:float32", (40,), "float16", exact_in("float16")),
    Case("astype:float32", (40,), "complex128", exact_in("float32"), seal=True),
    Case("astype:complex64", (40,), "complex128", exact_in("float32"), seal=True),
    Case("astype:uint8", (None, 2), "float32", integers(0, 255), max_shape=(4, 2)),
    Case("astype:float32", (None,), "float64", exact_in("float32"), max_shape=(40,)),
    # fixed_point
    Case(
        "fixed_point:100,dtype=int16",
        (3,),
        "float32",
        multiples(-(2**15), 2**15 - 1, 100),
        refused=(
            (np.float32([0.01, 0.011, 0.5]), "0.01099999994"),
            (np.float32([0.01, 0.02, -0.0]), "-0.0 at index [2] (1 in all)"),
            (np.float32([np.nan, 0.02, 1]), "nan at index [0] (1 in all)"),
            (np.float32([0, -np.inf, 1]), "-inf at index [1] (1 in all)"),
            (np.float32([0, 327.68, 1]), "at index [1] (1 in all)"),
            (np.float32([0, np.nextafter(np.float32(0.01), 1), 1]), "at index [1] (1 in all)"),
        ),
    ),
    Case(
        "fixed_point:1000,1000,100,dtype=int32",
        (40, 3),
        "float32",
        multiples(-9999999, 9999999, 1000, 1000, 100),
    ),
    Case("fixed_point:3,0.1,dtype=uint32", (40, 2), "float64", multiples(0, 2**32 - 1, 3, 0.1)),
    Case("fixed_point:2000,dtype=int64", (2, 3), "float64", multiples(-(2**40), 2**40, 2000)),
    Case("fixed_point:10000000,dtype=int32", (999,), "float16", multiples(-900, 900, 10**7)),
    Case("fixed_point:10,dtype=int8", (), "float16", multiples(-128, 127, 10)),
    Case("fixed_point:1000000,dtype=uint16", (99, 99), "float32", multiples(0, 2**16 - 1, 10**6)),
    Case("fixed_point:8,dtype=uint64", (0, 3), "float32"),
    Case(
        "fixed_point:10,dtype=uint8", (None, 2), "float32", multiples(0, 255, 10), max_shape=(9, 2)
    ),
    Case(
        "fixed_point:1,7,dtype=int16|zlib",
        (2, None, 2),
        "float64",
        multiples(-999, 999, 1, 7),
        max_shape=(2, 5, 2),
    ),
    # fixed_point with an offset
    Case(
        "fixed_point:127.5,dtype=uint8,offset=-1",
        (40, 30),
        "float32",
        centred(0, 255, 127.5, -1),
        refused=(
            (np.full((40, 30), -0.0, "f4"), "-0.0 at index [0, 0] (1200 in all)"),
            (np.full((40, 30), 1.1, "f4"), "127.5, plus -1: 1.10"),
            (
                np.resize(np.arange(256, dtype="f4") / np.float32(127.5) - 1, (40, 30)),
                "they are with rounding=each",
            ),
        ),
    ),
    Case(
        "fixed_point:127.5,dtype=uint8,offset=-1,rounding=each",
        (40, 30),
        "float32",
        centred(0, 255, 127.5, -1, each=True),
        refused=(
            (
                np.resize((np.arange(256) / 127.5 - 1).astype("f4"), (40, 30)),
                "they are with rounding=once",
            ),
        ),
    ),
    Case(
        "fixed_point:255,dtype=int16,offset=[-0.485, -0.456, 0],rounding=each",
        (9, 3),
        "float32",
        centred(-999, 999, 255, (-0.485, -0.456, 0), each=True),
    ),
    Case(
        "fixed_point:1,0.3,dtype=int64,offset=[273.15, -99]",
        (None, 2),
        "float64",
        centred(-(2**40), 2**40, (1, 0.3), (273.15, -99)),
        max_shape=(9, 2),
    ),
    Case(
        "fixed_point:254.99999620601,dtype=uint16,offset=-0.5,rounding=each",
        (900,),
        "float32",
        centred(0, 2**16 - 1, 254.99999620601, -0.5, each=True),
    ),
    *(
        Case(
            f"fixed_point:10,dtype=int16,offset=-3.3,rounding={rounding}",
            (None, 7),
            "float16",
            centred(-900, 900, 10, -3.3, each=rounding == "each"),
            max_shape=(30, 7),
        )
        for rounding in ("once", "each")
    ),
    Case("fixed_point:8,dtype=int8,offset=1000000000000000", (0, 2), "float64"),
    # palette, with its table in the payload
    *(Case("palette", (20, 30), dtype, few(9)) for dtype in PALETTE),
    Case(
        "palette:axis=2|png|seal",
        (20, 30, 3),
        "float32",
        few(200),
        refused=(
            (np.arange(1800, dtype="f4").reshape(20, 30, 3), "600 different values at index 0 of"),
        ),
    ),
    Case("palette:axis=0|delta:1,2|zlib_bounded", (3, 40, 50), "float16", few(256)),
    Case(
        "palette:5000|seal",
        (99, 99),
        "int64",
        few(5000),
        refused=((np.arange(9801).reshape(99, 99), "9801 different"),),
    ),
    Case("palette:300,axis=1", (700, 2), "bfloat16", few(300)),
    Case("palette", (), "float64"),
    Case("palette:3", (2, 0), "uint32"),
    Case("palette", (None, 3), "float32", few(256), max_shape=(200, 3)),
    Case("palette:17,axis=0|zlib", (3, None), "int16", few(17), max_shape=(3, 50)),
    Case("palette:1000,axis=2", (None, 5, 2), "uint64", few(99), max_shape=(9, 5, 2)),
    # palette, with its table in the spec
    *(
        Case(
            f'palette:table="{base64.b64encode(table.tobytes()).decode()}"{axis}',
            shape,
            table.dtype.name,
            among(table, 1 if axis else None),
            max_shape=tuple(side or 7 for side in shape) if None in shape else None,
            refused=()
            if None in shape
            else ((np.full(shape, 5.5, table.dtype), "5.5 at index [0"),),
        )
        for table, axis, shape in (
            (np.array([0, -0.0, np.nan, np.inf, 1e-40, 0], "f4"), "", (5, 6)),
            (np.arange(256 * 3, dtype="f8").reshape(3, 256), ",axis=1", (9, 3, 7)),
            (np.arange(900, dtype="i4").reshape(3, 300) * -7, ",axis=1", (9, 3, None)),
            (np.arange(900, dtype="u2").reshape(3, 300) * 7, ",axis=1", (None, 3, 2)),
            (np.arange(257, dtype="f4") / 3, "", (None, 2)),
        )
    ),
    # sortable
    *(Case("sortable", (40,), dtype) for dtype in ("float16", "bfloat16", "float32", "float64")),
    Case("sortable", (), "float16"),
    Case("sortable", (0, 2), "float64"),
    Case("sortable", (99, 99), "float32"),
    Case("sortable|zlib", (None, 2), "bfloat16", max_shape=(9, 2)),
    # delta: planes cut out as they lie and brought together first, in blocks and not, padded
    *(Case("delta:0", (5,), dtype) for dtype in ITEM_SIZES if "int" in dtype),
    *(Case("delta:1,zigzag=true", (3, 4), f"{sign}int{n}") for sign in ("", "u") for n in (8, 64)),
    Case("delta:0,1", (3, 4), "int16"),
    Case("delta:2,0,zigzag=true", (3, 2, 5), "uint32"),
    Case("delta:0", (1, 3), "int64"),
    Case("delta:1", (3, 0), "int8"),
    Case("delta:0", (100, 40), "uint16"),
    Case("delta:1,0,zigzag=true", (53, 70), "int32"),
    Case("delta:1", (2, 3001, 3), "uint8"),
    Case("delta:1", (200, 100), "uint16"),
    Case("delta:0,1,zigzag=true", (97, 113), "uint64"),
    Case("delta:0", (9000,), "int32"),
    Case("delta:0", (None,), "int16", max_shape=(60,)),
    Case("delta:0,zigzag=true", (None, 4), "uint32", max_shape=(40, 4)),
    Case("delta:0|zlib", (20, None), "uint8", max_shape=(20, 9)),
    Case("delta:2,0", (3, None, 70), "int64", max_shape=(3, 5, 70)),
    # shuffle
    *(Case("shuffle", (2, 3), dtype) for dtype in SOME if ITEM_SIZES[dtype] > 1),
    Case("shuffle", (), "float64"),
    Case("shuffle", (0, 2), "uint16"),
    Case("shuffle", (99, 99), "uint32"),
    Case("shuffle|transpose:1,2,0", (99, 99), "float16"),
    Case("shuffle|zlib", (None, 2), "int64", max_shape=(9, 2)),
    Case("shuffle", (2, None), "bfloat16", max_shape=(2, 9)),
    # zlib, sealed as it is by default, and not
    Case("zlib", (2, 3), "float32"),
    Case("zlib:9", (20, 30, 4), "float32", constant),
    Case("zlib:0", (20, 30), "uint16"),
    Case("zlib:12", (20, 30), "uint16", constant, seal=False),
    Case("zlib", (), "complex64"),
    Case("zlib", (0, 2), "int8"),
    Case("zlib", (None, 2), "int32", max_shape=(50, 2)),
    Case("zlib", (2, 3), "float32", label="other"),
    Case(
        "zlib:max_packed=60",
        (30, 30),
        "uint8",
        constant,
        refused=((np.random.default_rng(0).integers(0, 255, (30, 30), "u1"), "allows 60"),),
    ),
    Case("zlib:level=1,max_packed=99", (30, 30), "uint8", constant, seal=False),
    Case("zlib", (2, 3), "float32", seal=False),
    Case("zlib", (300,), "uint8", seal=False),
    Case("zlib", (20, 30), "float32", constant, seal=False),
    Case("zlib", (0,), "float32", seal=False),
    Case("zlib", (2, None), "uint8", max_shape=(2, 700), seal=False),
    Case("shuffle|zlib:3,store_incompressible=true", (40, 90), "float32"),
    Case("zlib:store_incompressible=true", (None, 5), "float64", max_shape=(900, 5), seal=False),
    Case("zlib|zlib", (20, 30), "uint8", constant, seal=False),
    # zlib_bounded
    Case("zlib_bounded", (2, 3), "float32"),
    Case("zlib_bounded:9", (20, 30, 4), "float32", constant),
    Case("zlib_bounded:0", (20, 30), "uint16"),
    Case("zlib_bounded:12", (20, 30), "uint16"),
    Case("zlib_bounded", (), "complex64"),
    Case("zlib_bounded", (0, 2), "int8"),
    Case("zlib_bounded", (150, 151), "uint8", constant),
    Case("zlib_bounded", (None, 2), "int32", max_shape=(50, 2)),
    Case("zlib_bounded", (None, 100), "float32", max_shape=(50, 100)),
    Case("zlib_bounded", (2, 3), "float32", seal=False),
    Case("zlib_bounded:2", (120, 80), "uint8", constant, seal=False),
    Case("zlib_bounded", (0,), "float32", seal=False),
    Case("zlib_bounded", (2, None), "uint8", max_shape=(2, 7000), seal=False),
    Case("zlib_bounded|zlib", (20, 30), "uint8", constant, seal=False),
    Case("zlib|zlib_bounded|seal", (20, 30), "uint8", constant),
    # zstd
    Case("zstd", (2, 3), "float32"),
    Case("zstd:22", (20, 30, 4), "float32", constant),
    Case("zstd:1", (), "complex64"),
    Case("zstd", (0, 2), "int8"),
    Case("zstd", (None, 2), "int32", max_shape=(50, 2)),
    Case("zstd", (2, 3), "float32", seal=False),
    Case("zstd", (300,), "uint8", seal=False),
    Case("zstd", (150, 160), "float32", constant, seal=False),
    Case("zstd", (0,), "float32", seal=False),
    Case("zstd", (2, None), "uint8", max_shape=(2, 70000), seal=False),
    Case("zstd|zlib_bounded", (20, 30), "uint8", constant, seal=False),
    Case("zlib|zstd|seal", (20, 30), "uint8", constant),
    # png
    *(Case("png|seal", (3, 4, 2), dtype) for dtype in ("bool", "uint8", "int16", "float32")),
    *(Case("png|seal", (2, 3), dtype) for dtype in ("bfloat16", "uint32", "float64")),
    Case("png|seal", (5, 2, 3), "complex128"),
    Case("png", (), "float32"),
    Case("png", (7,), "uint16"),
    Case("png", (0, 3), "int64"),
    Case("png", (2, 3, 2, 2), "int8"),
    Case("png:describe=false", (4, 5), "uint8", constant),
    Case("png:level=9|seal", (40, 30, 3), "uint8", constant),
    Case("png:interleaved", (4, 5, 3), "uint8"),
    Case("png:interleaved|seal", (4, 5, 4), "int8"),
    Case("png:interleaved", (4, 5, 1), "float16"),
    Case("astype:uint8|png|seal", (4, 5, 3), "float32", integers(0, 255)),
    # npy
    *(Case("npy", (2, 3), dtype) for dtype in ("bool", "int8", "uint16", "float32", "complex128")),
    Case("npy", (), "uint32"),
    Case("npy", (0, 3), "int16"),
    Case("npy", (1, 4, 1), "uint64"),
    Case("npy|seal", (40, 30), "float32"),
    Case("npy|zlib", (4, 5), "float64"),
    Case("transpose:1,0|astype:uint8|npy", (4, 5), "float32", integers(0, 255)),
    # npz
    *(Case("npz:pose", (2, 3), dtype) for dtype in ("bool", "float32", "uint64")),
    Case("npz:arr_0", (), "complex64"),
    Case('npz:"a, b"', (0, 3), "int16"),
    Case("npz:pose|seal", (40, 30), "float16"),
    # csv
    Case(
        "csv",
        (2, 3),
        "float32",
        exact_in("float32"),
        refused=(
            (
                np.array([[0, 0, 0], [0, 0x7FC00001, 0]], "u4").view("f4"),
                "at index [1, 1] cannot be written as text (1 such",
            ),
            (
                -np.full((2, 3), np.nan, "f4"),
                "0xffc00000 at index [0, 0] cannot be written as text (6 such",
            ),
        ),
    ),
    Case("csv", (7,), "float64", exact_in("float64")),
    Case('csv:" ",header=2|seal', (20, 3), "float64", exact_in("float64")),
    Case("csv:;", (None, 4), "float32", exact_in("float32"), max_shape=(9, 4)),
    Case('csv:"\\t"|zlib', (0, 3), "float32", exact_in("float32")),
    Case("astype:float64|csv", (4, 5), "int32"),
    # safetensors
    *(Case("safetensors:x", (2, 3), dtype) for dtype in ("bool", "bfloat16", "uint32", "float32")),
    Case('safetensors:"a|b, \\"c\\""', (), "int64"),
    Case("safetensors:pose|seal", (0, 3), "complex64"),
    # png_image
    Case("png_image", (4, 5), "bool"),
    Case("png_image|seal", (40, 30, 3), "uint8", constant),
    Case("png_image", (4, 5), "uint16"),
    Case("png_image:labels=true", (4, 5, 1), "uint8"),
    # jpeg: what comes back bit for bit
    Case(
        "jpeg",
        (4, 5, 3),
        "uint8",
        constant,
        ((np.arange(60, dtype="u1").reshape(4, 5, 3) * 37, "at index ["),),
    ),
    Case("astype:uint8|jpeg", (9, 8), "float32", constant),
    # tensor_proto
    *(Case("tensor_proto", (2, 3), dtype) for dtype in ("bool", "float32")),
    Case("tensor_proto", (), "uint16"),
    Case("tensor_proto|seal", (0, 3), "complex64"),
    Case("tensor_proto", (2, None), "int32", max_shape=(2, 300)),
    Case("tensor_proto|zlib", (None,), "bfloat16", max_shape=(9,)),
    # pkl
    *(Case("pkl", (2, 3), dtype) for dtype in ("bool", "uint16", "float32", "bfloat16")),
    Case("pkl:pose", (2, 1, 3, 4), "int32"),
    Case("pkl", (), "uint8"),
    Case("pkl", (0,), "float64"),
    Case("pkl:key=pose|seal", (300,), "complex64"),
    Case("pkl", (130, 128), "float32"),
    # mat
    *(
        Case("mat:S", (2, 3), dtype)
        for dtype in ("bool", "complex64", "int16", "uint32", "float64")
    ),
    Case("mat:pose_map", (), "float32"),
    Case("mat:S", (5,), "uint8"),
    Case("mat:S", (0, 3), "int64"),
    Case("mat:S", (4, 3, 2, 1), "uint64"),
    Case("mat:S|seal", (70, 80), "float64"),
    Case("mat:pose|zlib", (90, 100), "float32"),
    Case("astype:float64|mat:S", (5, 6), "int32"),
    # one_of
    Case("astype:uint8|png|seal or raw", (4, 5), "float32", integers(0, 255)),
    Case("astype:uint8|zlib or zlib or raw", (4, 50), "float32"),
    Case(
        "astype:uint8|zlib_bounded or transpose:1,0|raw|seal", (40, 50), "float32", integers(0, 3)
    ),
    Case(
        "astype:bool|raw|seal or astype:uint8|png|seal",
        (4, 5),
        "int16",
        integers(0, 255),
        refused=((np.full((4, 5), 256, "i2"), "no chain can encode the array: astype:bool"),),
    ),
    Case("raw or zlib", (None, 5), "int32", max_shape=(30, 5)),
    Case("astype:uint8|zlib or raw|seal", (2, None), "float32", constant, max_shape=(2, 300)),
    # onehot
    *(Case("onehot", (4, 3), dtype, one_hot, seal=True) for dtype in SOME),
    Case(
        "onehot",
        (2, 3),
        "float32",
        one_hot,
        refused=(
            (np.zeros((2, 3), "f4"), "0 ones at index [0] (2 in all)"),
            (np.float32([[1, 0, 0], [1, 0, 1]]), "2 ones at index [1] (1 in all)"),
            (np.float32([[1, 0, 1], [0, 0, 0]]), "2 ones at index [0] (2 in all)"),
            (np.float32([[1, 0, 0], [0, 2, 0]]), "2.0 at index [1, 1] (1 in all)"),
            (np.float32([[1, -0.0, 0], [0, 1, 0]]), "-0.0 at index [0, 1] (1 in all)"),
            (np.float32([[1, 0, 0], [np.nan, 1, 0]]), "nan at index [1, 0] (1 in all)"),
        ),
    ),
    Case(
        "onehot",
        (3, 2),
        "complex128",
        one_hot,
        refused=((np.array([[1, 0], [0, 1j], [1, 0]]), "1j at index [1, 1] (1 in all)"),),
    ),
    Case("onehot", (5,), "uint8", one_hot),
    Case("onehot", (3, 1), "int16", one_hot),
    Case("onehot", (0, 3), "float32", one_hot),
    Case("onehot", (7, 20), "float32", one_hot),
    Case("onehot", (3, 256), "bool", one_hot),
    Case("onehot", (3, 257), "float16", one_hot),
    Case("onehot", (2, 40000), "uint32", one_hot, seal=True),
    Case("onehot", (None, 20), "uint64", one_hot, max_shape=(6, 20)),
    Case("onehot|zlib", (2, None, 3), "bfloat16", one_hot, max_shape=(2, 5, 3)),
    Case("onehot|astype:uint16|png", (4, 5, 9), "float64", one_hot, seal=True),
    Case("npy or pkl or safetensors:x or png|seal or raw", (4, 5), "float32"),
    # packbits
    Case("packbits", (9,), "bool"),
    Case("packbits", (11, 19), "bool"),
    Case("packbits", (256, 256), "bool"),
    Case("packbits", (256, 256), "uint8", integers(0, 1)),
    Case("packbits", (2, 16_385), "int8", integers(0, 1)),
    Case("packbits|zlib", (150, 220), "bool", seal=False),
    Case("astype:uint8|packbits|zlib", (5, 7), "float32", integers(0, 1)),
    Case("packbits", (33, 1000), "uint32", integers(0, 1)),
    Case("packbits", (0, 3), "uint64"),
    Case("packbits", (), "bool"),
    # sparse
    *(Case("sparse:1", (6, 7), dtype, spots(1), seal=False) for dtype in SOME),
    *(Case("sparse:palette=true", (6, 7), dtype, seal=False) for dtype in SOME),
    Case("sparse|seal", (6, 7), "float32", spots(0)),
    Case("sparse|seal", (9,), "bool"),
    Case("sparse:palette=true", (6, 7), "complex128", spots(0, 5), seal=True),
    Case("sparse", (), "float64"),
    Case("sparse", (0, 3), "float32"),
    Case("sparse:palette=true", (3, 0), "bool"),
    Case("sparse:-3", (2, 3), "int16"),
    Case("sparse:0.1", (2, 50), "float16", spots(0.1), seal=False),
    Case("sparse", (7, 30, 4), "uint16", spots(0)),
    Case(
        "sparse:-1,palette=true|zlib",
        (40, 30),
        "float32",
        spots(-1, 200),
        refused=(
            (np.arange(1200, dtype="f4").reshape(40, 30), "1200 records with the background -1"),
            (np.pad(np.float32(range(290)), (0, 910), constant_values=-1).reshape(40, 30), "291 d"),
        ),
    ),
    Case("sparse:palette=true|zlib", (30, 20), "int64", spots(0, 9), seal=False),
    Case("transpose:2,0,1|sparse|zlib", (5, 6, 3), "float32", spots(0)),
    Case("onehot|sparse|zlib", (20, 9), "float32", one_hot),
    # all of them
    Case("transpose:2,0,1|astype:uint8|zlib:9", (4, 5, 3), "float32", integers(0, 3)),
    Case("sortable|transpose:2,0,1|delta:1,2,zigzag=true|shuffle|zlib", (50, 60, 2), "float16"),
    Case("sortable|delta:0,zigzag=true|shuffle|zlib", (None, 4), "float32", max_shape=(9, 4)),
    Case("sortable|delta:0|shuffle|png|seal", (50, 60), "float64"),
    Case("transpose:1,0|astype:bool|zlib", (None, 3), "float64", integers(0, 1), max_shape=(9, 3)),
)


def grouped(cases: tuple[Case, ...]) -> dict[str, list[Case]]:
    """Cases by the codec that their chains begin with."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(re.split(r"[|: ]", case.codecs)[0], []).append(case)
    return groups


def thinned(cases: tuple[Case, ...], most: int = 6) -> tuple[Case, ...]:
    """Some of the cases that begin with each codec: to test a model of all of them takes 20 GB."""
    kept = {
        id(group[index * len(group) // most]) if len(group) > most else id(group[index])
        for group in grouped(cases).values()
        for index in range(min(most, len(group)))
    }
    return tuple(case for case in cases if id(case) in kept or " or " in case.codecs)


#: With ALL_CASES set in the environment every one is tested, which takes an hour.
CASES = ALL if os.environ.get("ALL_CASES") else thinned(ALL)
#: The cases of one saved model, and the name of the group of each ``case.key``.
GROUPS = grouped(CASES)
GROUP_OF = {case.key: name for name, cases in GROUPS.items() for case in cases}
