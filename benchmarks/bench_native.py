"""Files of other programs in the graph, as they are, beside ops that check nothing."""

from __future__ import annotations

import io
import pickle
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import tensorflow as tf

import tfdecode as tfd

from . import graphs, targets
from .inputs import make
from .report import Table, track
from .runtime import medians, save

ROWS = 32
INPUTS = ("pose_discs", "segment_map", "keypoints.npy")
OF_TENSORFLOW = ("pose_discs", "depth", "keypoints.npy")


@dataclass(frozen=True)
class Native:
    """A file as its own program writes it, and what the least work on the same numbers is."""

    chain: str
    writer: str
    data: bytes
    floor: graphs.Decoder
    floor_data: bytes
    #: At most this multiple of the floor, at batch 32 and at batch 1.
    aims: tuple[float | None, float | None]


def files(x: np.ndarray) -> list[Native]:
    """``x`` in every format."""
    bare, raw = graphs.bare(x), x.tobytes()
    turned, columns = transposed(x), x.tobytes("F")
    plain = (targets.NATIVE, None)
    return [
        Native("npy", "numpy.save", saved(np.save, x), bare, raw, targets.NPY),
        Native("pkl", "pickle.dumps", pickle.dumps(x), bare, raw, plain),
        Native("safetensors:x", "as safetensors", in_safetensors(x), bare, raw, plain),
        Native("npz:x", "numpy.savez", saved(np.savez, x=x), bare, raw, plain),
        Native(
            "npz:x", "numpy.savez_compressed", saved(np.savez_compressed, x=x),
            inflated(bare), zlib.compress(raw), (targets.NPZ, None),
        ),
        Native("mat:x", "savemat", in_mat(x, False), turned, columns, (targets.MAT, None)),
        Native(
            "mat:x", "savemat, compressed", in_mat(x, True),
            inflated(turned), zlib.compress(columns), (targets.MAT, None),
        ),
    ]  # fmt: skip


def messages(x: np.ndarray) -> list[Native]:
    """``x`` in the formats that an op of TensorFlow reads, one file at a time."""
    message = tf.io.serialize_tensor(x).numpy()
    parsed = graphs.parse_tensor(x)
    found = [
        Native(
            "tensor_proto", "tf.io.serialize_tensor", message, parsed, message,
            (targets.TENSOR_PROTO, None),
        )
    ]  # fmt: skip
    if x.dtype in ("uint8", "uint16") and x.ndim == 2:
        image = tf.io.encode_png(x[..., np.newaxis]).numpy()
        plain = graphs.mapped(
            lambda b: tf.io.decode_png(b, 1, x.dtype)[..., 0], x.shape, tf.as_dtype(x.dtype)
        )
        about = ("png_image", "tf.io.encode_png", image, plain, image, (targets.PNG_IMAGE, None))
        found.append(Native(*about))
    return found


def saved(function: Any, *arrays: np.ndarray, **named: np.ndarray) -> bytes:
    """What a writer of files makes."""
    file = io.BytesIO()
    function(file, *arrays, **named)
    return file.getvalue()


def in_safetensors(x: np.ndarray) -> bytes:
    """The bytes are those of the library, as tests compare."""
    return tfd.ArraySpec(x.shape, x.dtype, "safetensors:x").encode(x)


def in_mat(x: np.ndarray, compressed: bool) -> bytes:
    """By scipy."""
    file = io.BytesIO()
    scipy.io.savemat(file, {"x": x}, do_compression=compressed)
    return file.getvalue()


def transposed(x: np.ndarray) -> graphs.Decoder:
    """``decode_raw``, ``reshape`` and ``transpose`` of numbers in column order."""
    order = [0, *range(x.ndim, 0, -1)]
    shape = [-1, *reversed(x.shape)]
    return lambda b: tf.transpose(tf.reshape(tf.io.decode_raw(b, x.dtype), shape), order)


def inflated(floor: graphs.Decoder) -> graphs.Decoder:
    """``floor`` after ``decode_compressed``."""
    return lambda b: floor(tf.io.decode_compressed(b, "ZLIB"))


def table_rows(inputs: tuple[str, ...], formats: Callable[..., list[Native]]) -> list[list[str]]:
    """A row for each input in each of its formats."""
    arrays = {name: make(name) for name in inputs}
    return [
        [f"{name} {x.dtype} {list(x.shape)}", *row]
        for name, x in track(arrays.items(), "native")
        for row in measure(x, formats(x))
    ]


def measure(x: np.ndarray, natives: list[Native]) -> list[list[str]]:
    """A row for each file."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        models = []
        for place, native in enumerate(natives):
            spec = tfd.ArraySpec(x.shape, x.dtype, codecs=native.chain)
            decoders = {"own": (spec.decode_tensor, native.data)}
            decoders["floor"] = (native.floor, native.floor_data)
            for name, (decode, data) in decoders.items():
                got = tf.function(decode)(tf.constant([data])).numpy()
                assert got.tobytes() == x.tobytes()
                file = folder / f"{place}.{name}"
                file.write_bytes(data)
                model = save(decode, folder / f"{place}.{name}.model")
                models.append((model, "serving_default", {"b": [file]}))
        many = medians(min(201, max(9, 2**28 // (ROWS * x.nbytes))), ROWS, models)
        one = medians(min(1001, max(31, 2**26 // x.nbytes)), 1, models)
    cells = []
    for place, native in enumerate(natives):
        row = [native.chain, native.writer, f"{len(native.data):,}"]
        for times, aim in zip((many, one), native.aims, strict=True):
            own, floor = times[2 * place : 2 * place + 2]
            row += [f"{own:,.0f}", f"{own / floor:.2f}"]
            row += [f"{aim}", targets.mark(own / floor <= aim)] if aim else ["", ""]
        cells.append(row)
    return cells


def main() -> list[Table]:
    """Some arrays, each in every format."""
    timed = [f"{size}{what}" for size in (f"batch {ROWS}", "batch 1") for what in ("", ", us")]
    columns = [(timed[1], timed[0], "target", ""), (timed[3], timed[2], "target", "")]
    head = ("input", "chain", "writer", "bytes", *columns[0], *columns[1])
    return [
        Table(
            "Files of other programs",
            "Saved models in the C program, all of an input in turns. Multiples of the least work "
            "on the same numbers with nothing checked: `decode_raw` and `reshape`; of `.mat`, "
            "which is in column order, a `transpose` too; of deflated files "
            "`decode_compressed` of one zlib stream before that.",
            head,
            table_rows(INPUTS, files),
            words=3,
        ),
        Table(
            "Files that TensorFlow reads",
            "As above, but multiples of `map_fn` over the op that reads such a file: "
            "`parse_tensor`, `decode_png`. It fails the batch on a bad row.",
            head,
            table_rows(OF_TENSORFLOW, messages),
            words=3,
        ),
    ]
