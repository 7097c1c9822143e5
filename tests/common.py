"""Shared by the codec tests: a row of the table of cases, arrays to try, and common checks."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

import tfdecode as tfd
from tfdecode.dtypes import ITEM_SIZES, numpy_dtype

Maker = Callable[[np.random.Generator, tuple[int, ...], str], np.ndarray]

#: Bit patterns that a careless conversion loses, by dtype: NaNs with a payload, signalling and
#: negative ones, both zeros, infinities, the smallest and the largest subnormal number.
SPECIALS = {
    "float16": [0x7E01, 0x7C01, 0xFE55, 0x8000, 0, 0x7C00, 0xFC00, 1, 0x83FF],
    "bfloat16": [0x7FC1, 0x7F81, 0xFFD5, 0x8000, 0, 0x7F80, 0xFF80, 1, 0x807F],
    "float32": [
        *(0x7FC00001, 0x7F800001, 0xFFC12345, 0x80000000, 0),
        *(0x7F800000, 0xFF800000, 1, 0x807FFFFF),
    ],
    "float64": [
        *(0x7FF8000000000001, 0x7FF0000000000001, 0xFFF8123456789ABC, 0x8000000000000000, 0),
        *(0x7FF0000000000000, 0xFFF0000000000000, 1, 0x800FFFFFFFFFFFFF),
    ],
}
PARTS = {"complex64": ("float32", 2), "complex128": ("float64", 2)}


def any_bits(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Random bits, some of them ``SPECIALS``."""
    part, parts = PARTS.get(dtype, (dtype, 1))
    count = int(np.prod(shape, dtype=int)) * parts
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    unsigned = np.dtype(f"u{ITEM_SIZES[part]}")
    bits = np.frombuffer(rng.bytes(count * ITEM_SIZES[part]), unsigned).copy()
    if part in SPECIALS:
        some = rng.random(count) < 0.4
        bits[some] = rng.choice(np.array(SPECIALS[part], unsigned), some.sum())
    return bits.view(numpy_dtype(dtype)).reshape(shape)


def integers(low: int, high: int) -> Maker:
    """Integers from ``low`` to ``high``."""

    def make(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return rng.integers(low, high, shape, np.int64, endpoint=True).astype(numpy_dtype(dtype))

    return make


def exact_in(dtype: str) -> Maker:
    """Values of any bits that are exact in ``dtype``, without NaN."""

    def make(rng: np.random.Generator, shape: tuple[int, ...], target: str) -> np.ndarray:
        values = any_bits(rng, shape, dtype)
        with np.errstate(invalid="ignore"):
            values[np.isnan(values)] = 1
            return values.astype(numpy_dtype(target))

    return make


def multiples(low: int, high: int, *scale: float) -> Maker:
    """Integers from ``low`` to ``high``, divided by the scale of each index of the last axis."""

    def make(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        numbers = rng.integers(low, high, shape, endpoint=True) / np.float64(scale)
        return numbers.astype("f8" if dtype == "float64" else "f4").astype(dtype).reshape(shape)

    return make


def centred(low: int, high: int, scale: Any, offset: Any, *, each: bool = False) -> Maker:
    """Integers over a scale, plus an offset, rounded once or, by ``each``, twice."""

    def make(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        short = "f4" if dtype == "float16" else dtype
        q = rng.integers(low, high, shape, endpoint=True) / np.float64(scale)
        o = np.float64(offset)
        if each:
            q, o = (x.astype(short).astype(dtype) for x in (q, o))
        return np.asarray(q + o).astype(short).astype(dtype)

    return make


def few(values: int) -> Maker:
    """Elements of any bits, of that many different values."""

    def make(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return any_bits(rng, (values,), dtype)[rng.integers(0, values, shape)]

    return make


def among(table: np.ndarray, axis: int | None = None) -> Maker:
    """Elements of a table, or of one for each index of an axis."""

    def make(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        places = rng.integers(0, table.shape[-1], shape)
        if axis is None:
            return table[places]
        return table[np.indices(shape, sparse=True)[axis], places]

    return make


def one_hot(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """A single 1 along the last axis."""
    return np.eye(shape[-1], dtype=numpy_dtype(dtype))[rng.integers(0, shape[-1], shape[:-1])]


def spots(background: float, values: int | None = None) -> Maker:
    """Some elements of any bits, or with that many different values, in a background."""

    def make(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        array = np.full(shape, background).astype(numpy_dtype(dtype))
        some = rng.random(shape) < 0.2 * rng.integers(0, 2)
        count = int(some.sum())
        if values is None:
            array[some] = any_bits(rng, (count,), dtype)
        else:
            array[some] = any_bits(rng, (values,), dtype)[rng.integers(0, values, count)]
        return array

    return make


def constant(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """One value in all elements, which compresses best."""
    return np.full(shape, rng.integers(0, 2)).astype(numpy_dtype(dtype))


@dataclass(frozen=True)
class Case:
    """A row of the table of codecs: a spec, and arrays that it must carry or refuse."""

    codecs: str
    shape: tuple[int | None, ...]
    dtype: str
    make: Maker = any_bits
    #: Arrays outside the domain; EncodeError must name the given text.
    refused: tuple[tuple[Any, str], ...] = ()
    max_shape: tuple[int, ...] | None = None
    label: str = ""
    seal: bool | None = None

    @property
    def spec(self) -> tfd.ArraySpec:
        return tfd.ArraySpec(
            self.shape,
            self.dtype,
            self.codecs,
            max_shape=self.max_shape,
            label=self.label,
            seal=self.seal,
        )

    def __str__(self) -> str:
        shape = "x".join("None" if side is None else str(side) for side in self.shape)
        seal = {None: "", True: " sealed", False: " unsealed"}[self.seal]
        return f"{self.codecs} {self.dtype}[{shape}]{seal}{self.label}"

    @property
    def key(self) -> str:
        """The name of this case in a saved model."""
        return "".join(c if c.isalnum() else "_" for c in str(self))

    def arrays(self, count: int, seed: int = 0, length: int | None = None) -> list[np.ndarray]:
        """Arrays of the domain; a None dimension is of ``length``, or each its own."""
        rng = np.random.default_rng([seed, *self.key.encode()])
        bound = self.max_shape or self.shape
        arrays = []
        for _ in range(count):
            sides = zip(self.shape, bound, strict=True)
            chosen = [rng.integers(0, 1 + most) for side, most in sides if side is None]
            given = iter(chosen if length is None else [length] * len(chosen))
            shape = tuple(int(next(given)) if s is None else s for s in self.shape)
            arrays.append(self.make(rng, shape, self.dtype))
        return arrays


def assert_same(got: Any, expected: np.ndarray) -> None:
    """``got``, an array or a tensor, has the dtype, the shape and every bit of ``expected``."""
    got = np.asarray(got)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    assert got.tobytes() == expected.tobytes()


def file_by(write: Callable[..., Any], /, *args: Any, **options: Any) -> bytes:
    """What a function such as `numpy.save` writes into a file."""
    file = io.BytesIO()
    write(file, *args, **options)
    return file.getvalue()


def layouts(array: np.ndarray) -> Iterator[np.ndarray]:
    """Views with other memory layouts; each equals ``array`` bit for bit."""
    yield array
    yield np.asfortranarray(array) if array.ndim else array
    backwards = (slice(None, None, -1),) * array.ndim
    yield array[backwards].copy()[backwards]
    wide = np.zeros(tuple(2 * side for side in array.shape), array.dtype)
    every_other = (slice(None, None, 2),) * array.ndim
    wide[every_other] = array
    yield wide[every_other]
    swapped = array.dtype.newbyteorder(">")
    yield array.view(bits_dtype(array)).byteswap().view(swapped)
    read_only = array.copy()
    read_only.flags.writeable = False
    yield read_only


def bits_dtype(array: np.ndarray) -> np.dtype:
    """A dtype whose bytes numpy can swap: every numpy swaps uint16, not every one bfloat16."""
    return np.dtype(np.uint16) if array.dtype == ml_dtypes.bfloat16 else array.dtype


def check_encode_decode(spec: tfd.ArraySpec, array: np.ndarray) -> bytes:
    """Check that ``array`` is encoded and decoded by numpy bit for bit; return the payload."""
    payload = spec.encode(array)
    assert type(payload) is bytes
    decoded = spec.decode(payload)
    assert_same(decoded, array)
    assert decoded.flags.writeable and decoded.flags.c_contiguous and decoded.dtype.isnative
    for view in (bytearray(payload), memoryview(payload)):
        assert_same(spec.decode(view), array)
    return payload


def check_config(spec: tfd.ArraySpec) -> None:
    """Check that JSON, a dict, chain text and ``repr`` recreate ``spec``."""
    again = [
        tfd.ArraySpec.from_json(spec.to_json()),
        tfd.ArraySpec.from_dict(json.loads(json.dumps(spec.to_dict()))),
        pickle.loads(pickle.dumps(spec)),
        tfd.ArraySpec(
            spec.shape,
            spec.dtype,
            spec.chain.text,
            max_shape=spec.max_shape,
            label=spec.label,
            seal=None if len(spec.chains) > 1 else spec.seal,
        ),
    ]
    if "=..." not in repr(spec):  # which leaves out the bytes of a sample
        again.append(eval(repr(spec), {"ArraySpec": tfd.ArraySpec}))
    for other in again:
        assert other == spec and hash(other) == hash(spec)
        assert other.fingerprint == spec.fingerprint
        assert repr(other) == repr(spec)
        assert other.to_json() == spec.to_json()
    for codec in (codec for chain in spec.chains for codec in chain.codecs):
        assert type(codec).from_dict(codec.to_dict()) == codec
