"""Random specs of all codecs, and changed payloads of each: structure-aware, with checksums mended.

``differences`` is the law: what numpy takes the graph takes, with the same bits, and the reverse; a
bad row is zeros and leaves its neighbours as they are.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

import tfdecode as tfd
from tfdecode.codecs.chain import Chain
from tfdecode.dtypes import ITEM_SIZES, numpy_dtype
from tfdecode.form import BytesForm
from tfdecode.formats.png import chunk

#: What headers, lengths and counts are changed to.
NUMBERS = tuple(
    number.to_bytes(width, order)
    for width in (2, 4, 8)
    for order in ("little", "big")
    for number in (0, 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1, 2 ** (8 * width - 1) - 1)
)
#: The table is 0, 1, 2 of float32.
PALETTE_IN_SPEC = 'palette:table="AAAAAAAAgD8AAABA"'
FILTERS = (
    "transpose:1,0", "transpose:0,1", "astype:uint8", "astype:int16", "astype:float16",
    "astype:bfloat16", "astype:float32", "astype:float64", "astype:bool", "astype:int64",
    "fixed_point:10,dtype=int16", "fixed_point:2,dtype=uint8,offset=-1,rounding=each", "sortable",
    "palette", "palette:3,axis=1", "palette:300,axis=0", PALETTE_IN_SPEC, "delta:0",
    "delta:0,zigzag=true", "delta:1,0", "shuffle", "onehot", "packbits",
)  # fmt: skip
CONTAINERS = (
    "raw", "raw", "raw", "png", "png:interleaved", "png:describe=false", "sparse",
    "sparse:1,palette=true", "npy", "npz:a", "mat:a", "csv", "csv:header=1", "safetensors:a", "pkl",
    "pkl:key=a", "tensor_proto", "png_image", "png_image:labels=true",
)  # fmt: skip
COMPRESSORS = ("", "", "", "zlib", "zlib:0", "zlib_bounded", "zstd", "zlib|zlib_bounded", "seal")
SHAPES: tuple[tuple[int | None, ...], ...] = (
    (), (1,), (7,), (3, 4), (0, 3), (2, 3, 3), (None,), (None, 3), (2, None), (300,),
    (None, None), (None, 2, None), (None, None, 3), (None, 0),
)  # fmt: skip


def random_spec(rng: np.random.Generator) -> tuple[tfd.ArraySpec, list[np.ndarray]]:
    """A spec of random codecs that go together, and arrays that it carries."""

    def some(pool: Any) -> Any:
        return pool[rng.integers(len(pool))]

    while True:
        shape, dtype = some(SHAPES), some(list(ITEM_SIZES))
        chains = []
        for _ in range(1 if rng.random() < 0.7 else 2):
            filters = [some(FILTERS) for _ in range(rng.integers(3))]
            steps = [*filters, some(CONTAINERS), some(COMPRESSORS)]
            chains.append("|".join(filter(None, steps)))
        bound = [4 if side is None else side for side in shape]
        seal = None if rng.random() < 0.3 or "seal" in chains[0] else False
        try:
            spec = tfd.ArraySpec(
                shape,
                dtype,
                " or ".join(chains),
                seal=seal,
                max_shape=bound if None in shape else None,
            )
            arrays = [random_array(spec, rng) for _ in range(3)]
            for array in arrays:
                spec.encode(array)
        except (tfd.SpecError, tfd.EncodeError):
            continue
        return spec, arrays


def random_array(spec: tfd.ArraySpec, rng: np.random.Generator) -> np.ndarray:
    """Zeros and ones, one-hot if there is a last axis: most chains carry these."""
    shape = tuple(int(rng.integers(0, 5)) if side is None else side for side in spec.shape)
    x = rng.integers(0, 2, shape)
    if "onehot" in spec.chain.text and shape and shape[-1]:
        x = np.eye(shape[-1], dtype=int)[rng.integers(0, shape[-1], shape[:-1])]
    return np.asarray(x).astype(numpy_dtype(spec.dtype))


def changed(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """``data`` after one to three changes, each of a kind that damage or malice makes."""
    result = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        start, end = sorted(int(at) for at in rng.integers(0, len(result) + 1, 2))
        kind = rng.integers(9)
        if kind <= 2 and result:  # a bit
            result[min(start, len(result) - 1)] ^= 1 << int(rng.integers(8))
        elif kind == 3:  # a number
            number = NUMBERS[rng.integers(len(NUMBERS))]
            result[start : start + len(number)] = number
        elif kind == 4:
            result[start:end] = rng.bytes(end - start)
        elif kind == 5:
            del result[start:end]
        elif kind == 6:
            result[start:start] = result[start:end]
        elif kind == 7:  # the end of another payload
            result[start:] = others[rng.integers(len(others))][start:]
        else:
            result[start:start] = rng.bytes(int(rng.integers(1, 9)))
    return bytes(result)


Change = Callable[[bytes], bytes]


def inside_png(data: bytes, change: Change) -> bytes:
    """Another stream, or other rows in a stream, with the right length and CRC."""
    at = data.index(b"IDAT") - 4
    end = at + 12 + int.from_bytes(data[at : at + 4], "big")
    stream = data[at + 8 : end - 4]
    new = change(stream)
    if len(new) % 2:
        new = zlib.compress(change(zlib.decompress(stream)))
    return data[:at] + chunk(b"IDAT", new) + data[end:]


def inside_npz(data: bytes, change: Change) -> bytes:
    """Another member, deflated or stored, in an archive with the right CRC."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = archive.namelist()[0]
        member = change(archive.read(name))
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if len(member) % 2 else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, member)
    return file.getvalue()


def inside_mat(data: bytes, change: Change) -> bytes:
    """Another variable, compressed: its stream has the right length."""
    stream = zlib.compress(change(data[128:]))
    return data[:128] + struct.pack("<II", 15, len(stream)) + stream


def inside_zlib_bounded(data: bytes, change: Change) -> bytes:
    """Another stream with the right CRC."""
    stream = change(data[:-4])
    return stream + struct.pack(">I", zlib.crc32(b"IDAT" + stream))


def inside_zlib(data: bytes, change: Change) -> bytes:
    """Other bytes in a good stream, with something after it that ends in its checksum or not."""
    inner = change(zlib.decompress(data))
    end = struct.pack(">I", zlib.adler32(inner))
    return zlib.compress(inner) + [b"", b"", b"more", b"more" + end][len(inner) % 4]


INSIDE = {
    "png": inside_png,
    "png_image": inside_png,
    "npz": inside_npz,
    "mat": inside_mat,
    "zlib": inside_zlib,
    "zlib_bounded": inside_zlib_bounded,
}


def mutants(
    spec: tfd.ArraySpec, good: list[bytes], count: int, rng: np.random.Generator
) -> Iterator[bytes]:
    """Changed payloads; with a seal, changed after it was added."""

    def change(data: bytes) -> bytes:
        return changed(data, good, rng)

    for _ in range(count):
        payload = good[rng.integers(len(good))]
        chain, plain = spec.chain.chosen(payload)
        name = chain.codecs[-1].name
        try:
            if name in INSIDE and rng.random() < 0.4:
                yield INSIDE[name](plain, change)
            elif rng.random() < 0.3:
                yield under(chain, plain, change, rng)
            else:
                yield change(payload)
        except (zlib.error, ValueError, struct.error, IndexError, zipfile.BadZipFile):
            yield change(payload)
        except tfd.TfdecodeError:
            continue


def under(chain: Chain, payload: bytes, change: Change, rng: np.random.Generator) -> bytes:
    """A payload whose bytes were changed before they were compressed, but not those of a seal."""
    steps = [
        (c, f) for c, f in zip(chain.codecs, chain.forms, strict=False) if isinstance(f, BytesForm)
    ]
    if not steps or chain.sealed:
        return change(payload)
    data: Any = payload
    undone = []
    for codec, form in reversed(steps[rng.integers(len(steps)) :]):
        data = codec.decode(data, form)
        undone.append((codec, form))
    data = change(data)
    for codec, form in reversed(undone):
        data = codec.encode(data, form)
    return bytes(data)


def differences(
    spec: tfd.ArraySpec, decode: Any, good: list[bytes], rows: list[bytes]
) -> list[str]:
    """What is wrong with how numpy and ``decode`` (of a batch, with a status) take ``rows``."""
    batch = [good[0], *rows, good[1]]
    found = []
    try:
        decoded, status = decode(tf.constant(batch))
    except tf.errors.OpError as error:
        return [f"{spec!r}: the batch fails: {error.message[:200]}"]
    decoded, status = decoded.numpy(), status.numpy()
    if len(decoded) != len(batch) or status.shape != (len(batch),):
        return [f"{spec!r}: {len(batch)} rows give {decoded.shape}"]
    for row, got, code in zip(batch, decoded, status, strict=True):
        try:
            expected = spec.decode(row)
        except tfd.DecodeError as error:
            if code == 0:
                found.append(f"{spec!r}: only the graph takes {row.hex()}: {error}")
            elif code and got.tobytes().strip(b"\0"):
                found.append(f"{spec!r}: a bad row is not zero: {row.hex()}")
            continue
        if spec.seal and row not in good:
            found.append(f"{spec!r}: both take a changed row under a seal: {row.hex()}")
        kept = got[tuple(slice(side) for side in expected.shape)]
        if code:
            found.append(f"{spec!r}: only numpy takes {row.hex()}: status {code}")
        elif kept.tobytes() != expected.tobytes() or kept.shape != expected.shape:
            found.append(f"{spec!r}: other values: {row.hex()}")
    return found
