"""The main job on real input: pack two files, serve a model that takes them, compare every bit.

Renders ``pose.pkl`` and ``segment.mat``, packs both, exports a small encoder-decoder with byte
inputs, answers a request from the payloads in TensorFlow and in a C program without Python, checks
that both answers equal the model fed with the arrays, and prints bytes and times beside JSON lists.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `runtime` and `benchmarks`

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import render
from rich.console import Console
from rich.table import Table

import tfdecode as tfd
from benchmarks import rest, timing
from runtime.build import build
from tfdecode.saved_models.session import ServingSession

HERE = Path(__file__).parent
MODELS = HERE.parent / "build" / "demo"
SPECS = {
    "pose_map": tfd.ArraySpec((256, 192, 18), "float32", codecs="astype:int8|zlib_bounded:9"),
    "segment_map": tfd.ArraySpec((256, 192), "float64", codecs="astype:uint8|zlib_bounded:9"),
}


def model() -> keras.Model:
    """A small encoder-decoder: two maps in, an image [256, 192, 3] out."""
    keras.utils.set_random_seed(1)
    pose = keras.Input((256, 192, 18), name="pose_map", dtype="float32")
    segment = keras.Input((256, 192), name="segment_map", dtype="float64")
    labels = keras.ops.one_hot(keras.ops.cast(segment, "int32"), 23, dtype="float32")
    x = keras.layers.Concatenate()([pose, labels])
    for filters in (8, 16):
        x = keras.layers.Conv2D(filters, 4, strides=2, padding="same", activation="relu")(x)
    for filters in (16, 8):
        x = keras.layers.Conv2DTranspose(filters, 4, strides=2, padding="same")(x)
        x = keras.layers.ReLU()(x)
    image = keras.layers.Conv2D(3, 3, padding="same", activation="tanh")(x)
    return keras.Model([pose, segment], {"image": image})


def in_c_program(version: Path, payloads: dict[str, bytes], folder: Path) -> tuple[Any, float]:
    """The image that the C program answers, and its median time in milliseconds."""
    program = build()
    inputs = []
    for name, payload in payloads.items():
        (folder / name).write_bytes(payload)
        inputs.append(f"{name}_bytes={folder / name}")
    job = [str(version), "serving_default"]
    subprocess.run([program, "run", *job, "-o", folder / "out", *inputs], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    bench = subprocess.run([program, "bench", "9", *job, *inputs], check=True,
                           capture_output=True, text=True)  # fmt: skip
    return np.load(folder / "out" / "image.npy"), float(bench.stdout.split("\t")[1]) / 1e3


def main() -> int:
    """Run the demo; 0 if all three answers are the same bits."""
    # Without a terminal rich assumes 80 columns and cuts the chains off.
    console = Console() if sys.stdout.isatty() else Console(width=140)
    render.main()
    arrays = {
        "pose_map": tfd.load(HERE / "pose.pkl"),
        "segment_map": tfd.load(HERE / "segment.mat", "labels"),
    }
    payloads = {name: spec.encode(arrays[name]) for name, spec in SPECS.items()}

    files = Table(title="packed")
    for column in ("file", "array", "chain", "array bytes", "file bytes", "payload bytes"):
        files.add_column(column, justify="right" if "bytes" in column else "left")
    for name, file in zip(SPECS, ("pose.pkl", "segment.mat"), strict=True):
        spec, size = SPECS[name], (HERE / file).stat().st_size
        sizes = (f"{n:,}" for n in (arrays[name].nbytes, size, len(payloads[name])))
        files.add_row(f"examples/{file}", str(spec.chain.form), spec.chain.text, *sizes)
    console.print(files)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        version = tfd.export(model(), MODELS, inputs=SPECS)
        with ServingSession(version) as session:
            row = {name: array[None] for name, array in arrays.items()}
            direct = session.run("arrays", row)["image"]

            def body() -> str:
                packed = {f"{n}_bytes": [s.encode(arrays[n])] for n, s in SPECS.items()}
                return rest.payloads_body(packed)

            def answer(body: str) -> Any:
                return session.run("serving_default", rest.read_payloads(body))["image"]

            def body_lists() -> str:
                return rest.lists_body(row)

            def answer_lists(body: str) -> Any:
                parsed = rest.read_lists(body, {name: s.dtype for name, s in SPECS.items()})
                return session.run("arrays", parsed)["image"]

            rows = [("JSON lists", body_lists, answer_lists), ("tfdecode", body, answer)]
            table = Table(title="one request, from arrays to the answer (medians of 9)")
            for column in ("request", "body bytes", "make body, ms", "parse and answer, ms"):
                table.add_column(column, justify="left" if column == "request" else "right")
            for name, make, reply in rows:
                text = make()
                works = {"make": make, "answer": partial(reply, text)}
                took = timing.medians(works, seconds=0, least=9)
                table.add_row(name, f"{len(text):,}", *(f"{ms:.1f}" for ms in took.values()))
            packed = answer(body())
        c_image, c_ms = in_c_program(version, payloads, folder)
        table.add_row("tfdecode, C program", "", "", f"{c_ms:.1f}")
        console.print(table)

    failed = 0
    for name, image in (("TensorFlow", packed), ("the C program", c_image)):
        same = image.shape == direct.shape and image.tobytes() == direct.tobytes()
        failed += not same
        verdict = "equal, bit for bit," if same else "[red]NOT equal[/red]"
        console.print(f"{name}: answers from payloads are {verdict} to those from the arrays")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
