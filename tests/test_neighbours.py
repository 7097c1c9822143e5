"""The law of neighbours: a row of any length is the same alone and in every mix, bit for bit.

In a model that was saved and loaded, and in a server without Python.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import settings

import tfdecode as tfd
from tfdecode.layouts import decoded, lengths_key
from tfdecode.saved_models.session import ServingSession

Specs = dict[str, tfd.ArraySpec]


def spec(codecs: str, dtype: str = "float32", shape: Any = (None, 3), most: int = 7) -> Any:
    bound = tuple(most if side is None else side for side in shape)
    return tfd.ArraySpec(shape, dtype, codecs, max_shape=bound)


SPECS: Specs = {
    "raw": spec("raw"),
    "last": spec("transpose:1,0|delta:0|zlib", "int16", (3, None)),
    "unsealed": tfd.ArraySpec((None, 3), "int32", "zlib", max_shape=(7, 3), seal=False),
    "bounded": spec("astype:uint8|zlib_bounded"),
    "either": spec("astype:uint8|zlib or raw"),
    "sparse": spec("sparse", "uint16", (2, None, 3)),
    "file": spec("npy", "float32", (None, 2, None)),
    "images": spec("raw|seal", "uint8", (None, None, 2)),
}
#: Rows: of each spec, some lengths, and as many payloads that no chain takes.
LENGTHS, BAD = (0, 1, 2, 5, 7, 7, 3), 2
#: Mixes, 1000 in the profile "thorough", and rows of the largest.
MIXES, MOST = settings().max_examples, 5
THOROUGH = MIXES >= 1000
if THOROUGH:  # tracing it takes long
    SPECS["pictures"] = spec("png|seal", "uint8", (None, None, 3))
MODES = {"error": 0, "mask": BAD}
each_mode = pytest.mark.parametrize("mode", MODES)


def rows_of(spec: tfd.ArraySpec, seed: int) -> list[bytes]:
    """A good payload of each length, then bad ones."""
    rng = np.random.default_rng(seed)
    least = 1 if "png" in spec.chain.text else 0  # an image has a pixel
    sizes = [(max(n, least), max(7 - n, least)) for n in LENGTHS]
    shapes = [spec.chain.form.shape_with(size) for size in sizes]
    good = [spec.encode(rng.integers(0, 200, shape).astype(spec.dtype)) for shape in shapes]
    return [*good, b"\xff" + good[3][:-2], b"?"]


class Mixed(tf.Module):
    """Decoders of a batch, and of each row of indices as a batch."""

    def __init__(self, mode: Any) -> None:
        super().__init__()
        self.mode = mode
        self.strings = {name: tf.TensorSpec([None], tf.string, name) for name in SPECS}
        self.batch = tf.function(self.decode, autograph=False).get_concrete_function(**self.strings)

    def decode(self, **payloads: Any) -> dict[str, Any]:
        """Padded with zeros, or ragged in turn and then padded, with its numbers of elements."""
        results: dict[str, Any] = {}
        for number, (name, spec) in enumerate(SPECS.items()):
            layout: Any = ("ragged", "padded")[number % 2]
            steps = None if self.mode == "mask" else 3  # each has a cost, which one mode shows
            options: Any = {"on_invalid": self.mode, "max_rows": steps}
            got, status = decoded(name, spec, layout, payloads[name], **options)
            if layout == "ragged":
                tensor, axes = got[name], range(1, len(spec.shape) + 1)
                got[name] = tensor.to_tensor(shape=[None, *spec.chain.form.max_shape])
                ones = tf.ones_like(tensor, tf.int32)
                got[lengths_key(name)] = tf.reduce_sum(ones, axis=list(axes))
            results |= got | ({f"{name}_status": status} if status is not None else {})
        return results

    def mixes(self, picks: Any, **pools: Any) -> dict[str, Any]:
        def one(pick: Any) -> dict[str, Any]:
            pick = tf.boolean_mask(pick, pick >= 0)
            results = self.batch(**{name: tf.gather(pool, pick) for name, pool in pools.items()})
            return {name: filled(x, MOST) for name, x in results.items()}

        kinds = {
            name: tf.TensorSpec([MOST, *x.shape[1:]], x.dtype)
            for name, x in self.batch.structured_outputs.items()
        }
        results: dict[str, Any] = tf.map_fn(one, picks, fn_output_signature=kinds)
        return results


def filled(batch: Any, count: int) -> Any:
    """The batch, with rows of zeros up to ``count``."""
    shape = tf.shape(batch)
    none = tf.zeros(tf.concat([[count - shape[0]], shape[1:]], 0), batch.dtype)
    return tf.concat([batch, none], 0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory, signatures = tmp_path_factory.mktemp("mixed"), {}
    for mode in MODES:
        mixed = Mixed(mode)
        mixes = tf.function(mixed.mixes, autograph=False)
        picks = tf.TensorSpec([None, MOST], tf.int32, "picks")
        signatures[mode] = mixed.batch
        signatures[f"{mode}_mixes"] = mixes.get_concrete_function(picks=picks, **mixed.strings)
    tf.saved_model.save(tf.Module(), str(directory), signatures=signatures)
    assert tfd.check(directory).ok
    return directory


@pytest.fixture(scope="module")
def session(saved: Path) -> Iterator[ServingSession]:
    with ServingSession(saved) as session:
        yield session


POOLS = {name: rows_of(spec, seed) for seed, (name, spec) in enumerate(SPECS.items())}


def random_picks(mode: str) -> np.ndarray:
    """``[MIXES, MOST]`` int32: the rows of each mix, at least one; -1 is no row."""
    rng = np.random.default_rng(MODES[mode])
    picks = rng.integers(0, len(LENGTHS) + MODES[mode], (MIXES, MOST), np.int32)
    picks[np.arange(MOST) >= rng.integers(1, MOST + 1, (MIXES, 1))] = -1
    return picks


@pytest.fixture(scope="module")
def rows_alone(session: ServingSession) -> dict[str, dict[str, np.ndarray]]:
    """By mode: what each row is when it is its own batch."""
    found = {}
    for mode, bad in MODES.items():
        feeds = [{n: [pool[row]] for n, pool in POOLS.items()} for row in range(len(LENGTHS) + bad)]
        runs = [session.run(mode, feed) for feed in feeds]
        found[mode] = {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}
    return found


@each_mode
def test_a_row_alone_is_its_array_and_zeros(mode: str, rows_alone: Any) -> None:
    alone, good = rows_alone[mode], len(LENGTHS)
    for name, spec in SPECS.items():
        for row, length in enumerate(LENGTHS):
            array, codecs = spec.decode(POOLS[name][row]), spec.chain.text
            inside = tuple(map(slice, array.shape))
            assert alone[name][row][inside].tobytes() == array.tobytes()
            assert np.count_nonzero(alone[name][row]) == np.count_nonzero(array)
            sides = [side for side, known in zip(array.shape, spec.shape, strict=True) if not known]
            told = alone[lengths_key(name)][row].ravel().tolist()
            assert told in ([array.size], sides) and sides[0] == max(length, "png" in codecs)
        if mode == "mask":
            status = alone[f"{name}_status"]
            assert (status != 0).tolist() == [False] * good + [True] * BAD
            assert not alone[name][good:].any() and not alone[lengths_key(name)][good:].any()


@each_mode
def test_in_a_model_that_was_saved_and_loaded(
    mode: str, session: ServingSession, rows_alone: Any
) -> None:
    alone = rows_alone[mode]
    for pick in random_picks(mode):
        pick = pick[pick >= 0]
        feeds = {name: [pool[row] for row in pick] for name, pool in POOLS.items()}
        for name, got in session.run(mode, feeds).items():
            assert got.tobytes() == alone[name][pick].tobytes(), (name, pick)


@pytest.mark.parametrize("mode", MODES if THOROUGH else ["mask"])
def test_in_a_server_without_python(
    mode: str, rows_alone: Any, saved: Path, program: Path, tmp_path: Path
) -> None:
    picks, out = random_picks(mode), tmp_path / "out"
    np.save(tmp_path / "picks.npy", picks)
    words: list[Any] = [
        program,
        "run",
        saved,
        f"{mode}_mixes",
        "-o",
        out,
        f"picks={tmp_path}/picks.npy",
    ]
    for name, pool in POOLS.items():
        files = [tmp_path / f"{name}.{row}" for row in range(len(LENGTHS) + MODES[mode])]
        for file, payload in zip(files, pool, strict=False):
            file.write_bytes(payload)
        words.append(f"{name}={','.join(map(str, files))}")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, rows in rows_alone[mode].items():
        got = np.load(out / f"{name}.npy")
        assert got[picks >= 0].tobytes() == rows[picks[picks >= 0]].tobytes(), name
