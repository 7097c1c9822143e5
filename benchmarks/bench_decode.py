"""Decoding in the graph, as a multiple of bare ``decode_raw`` and ``reshape`` of the same array."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

import tfdecode as tfd

from . import graphs, peers, targets
from .chains import CHAINS, codec_names
from .inputs import KINDS, SCALED, make, variants
from .report import Table, track
from .runtime import medians, save

ROWS, VARIANTS = 32, 2
INPUTS = (*KINDS, "mask_480x640", *SCALED)
#: The decoder of what `infer` picks, for an array that is not among those measured.
PICKED = "infer"


@dataclass(frozen=True)
class Job:
    """A decoder, the payloads it is fed with, and what must come out (None: not the array)."""

    decode: graphs.Decoder
    payloads: list[bytes]
    arrays: list[np.ndarray] | None

    def write(self, folder: Path) -> tuple[Path, str, Mapping[str, list[Path]]]:
        """The model and the files of its payloads, for ``medians``."""
        folder.mkdir()
        if self.arrays:
            got = tf.function(self.decode)(tf.constant(self.payloads)).numpy()
            assert got.tobytes() == np.stack(self.arrays).tobytes()
        files = [folder / str(row) for row in range(len(self.payloads))]
        for file, payload in zip(files, self.payloads, strict=True):
            file.write_bytes(payload)
        return save(self.decode, folder / "model"), "serving_default", {"b": files}


def jobs(arrays: list[np.ndarray], specs: Mapping[str, tfd.ArraySpec]) -> dict[str, Job]:
    """By name, the floor first; ``decode_png`` comes after the chain whose payloads it takes."""
    x = arrays[0]
    found = {"bare": Job(graphs.bare(x), [y.tobytes() for y in arrays], arrays)}
    encoders = peers.encoders(x)
    decoders = {"serialize_tensor": graphs.parse_tensor, "TFDS zlib": graphs.tfds_zlib}
    for peer, decoder in decoders.items():
        if peer in encoders:
            found[peer] = Job(decoder(x), [encoders[peer](y) for y in arrays], arrays)
    for name, spec in specs.items():
        payloads = [spec.encode(y) for y in arrays]
        found[name] = Job(spec.decode_tensor, payloads, arrays)
        if "png" in codec_names(name) and "decode_png" not in found:
            found["decode_png"] = Job(graphs.decode_png(spec), payloads, None)
    return found


def picked(name: str) -> tfd.ArraySpec:
    """What `infer` makes of another variant."""
    return tfd.infer(make(name, VARIANTS))


def measure(name: str) -> tuple[int, dict[str, tuple[float, float, int]]]:
    """Bytes of the array, and decoder -> us at batch 32, us at batch 1, payload bytes."""
    arrays = variants(name, VARIANTS)
    x = arrays[0]
    nbytes = x.nbytes
    specs = {chain: tfd.ArraySpec(x.shape, x.dtype, codecs=chain) for chain in CHAINS[name]}
    found = jobs(arrays, {**specs, PICKED: picked(name)})
    with tempfile.TemporaryDirectory() as temporary:
        models = [job.write(Path(temporary, str(i))) for i, job in enumerate(found.values())]
        many = medians(min(201, max(9, 2**28 // (ROWS * nbytes))), ROWS, models)
        one = [(model, signature, {"b": feed["b"][:1]}) for model, signature, feed in models]
        single = medians(min(1001, max(31, 2**26 // nbytes)), 1, one)
    sizes = [len(job.payloads[0]) for job in found.values()]
    return nbytes, dict(zip(found, zip(many, single, sizes, strict=True), strict=True))


def chain_row(name: str, chain: str, done: Mapping[str, tuple[float, float, int]]) -> list[str]:
    """One chain on one input, beside the floor and TFDS zlib."""
    floor, own = done["bare"], done[chain]
    many, one = (own[i] / floor[i] for i in (0, 1))
    target = targets.decode(name, chain)
    aim = [f"{target}", targets.mark(many <= target)] if target else ["", ""]
    tfds = done.get("TFDS zlib")
    beside = [f"{own[2] / tfds[2]:.2f}", f"{own[0] / tfds[0]:.2f}"] if tfds else ["", ""]
    return [name, chain, f"{own[2]:,}", f"{many:.2f}", *aim, f"{one:.2f}", *beside]


def picked_row(name: str, done: Mapping[str, tuple[float, float, int]]) -> list[str]:
    """What `infer` picked beside TFDS zlib."""
    own, tfds = done[PICKED], done["TFDS zlib"]
    size, time = own[2] / tfds[2], own[0] / tfds[0]
    mark = targets.mark(size < 1 and time < 1)
    text = " or ".join(chain.text for chain in picked(name).chains)
    return [name, text, f"{own[2]:,}", f"{size:.2f}", f"{time:.2f}", mark]


def peer_row(name: str, nbytes: int, done: Mapping[str, tuple[float, float, int]]) -> list[str]:
    """The floor in microseconds, and the others as multiples of it."""
    floor = done["bare"]
    cells = [
        f"{done[peer][i] / floor[i]:.2f}" if peer in done else ""
        for i in (0, 1)
        for peer in ("serialize_tensor", "TFDS zlib", "decode_png")
    ]
    return [name, f"{nbytes:,}", f"{floor[0]:,.0f}", *cells[:3], f"{floor[1]:.1f}", *cells[3:]]


def main() -> list[Table]:
    """The kinds, each with its chains and the peers in one C program."""
    done = {name: measure(name) for name in track(INPUTS, "decode")}
    listed = [(name, chain) for name in done for chain in CHAINS[name]]
    where = (
        f"Saved models in the C program, all of an input in turns; {VARIANTS} arrays fill the rows "
        "of a batch. Multiples of bare `decode_raw` and `reshape`, which checks nothing."
    )
    others = ("parse_tensor", "TFDS zlib", "decode_png")
    return [
        Table(
            "Chains in the graph",
            f"{where} On the right, at batch 32, the payload and the time as multiples of TFDS "
            "zlib's.",
            ("input", "chain", "bytes", f"batch {ROWS}", "target", "", "batch 1",
             "bytes / TFDS", "time / TFDS"),
            [chain_row(name, chain, done[name][1]) for name, chain in listed],
            words=2,
        ),
        Table(
            "What infer picks",
            f"{where} `infer` with its defaults (balanced, any TensorFlow from 2.12 on) saw one "
            "array more of the kind, none of those measured. Met is smaller and faster to decode "
            f"at batch {ROWS} than TFDS zlib.",
            ("input", "chains", "bytes", "bytes / TFDS", "time / TFDS", "target"),
            [picked_row(name, by) for name, (_, by) in done.items() if "TFDS zlib" in by],
            words=2,
        ),
        Table(
            "Others in the graph",
            f"{where} parse_tensor and decode_png by `map_fn`, TFDS zlib by its own "
            "`decode_batch_example`. decode_png takes the files of the first png chain above and "
            f"stops at their pixels: no cast, no channels put in order.{peers.absent()}",
            ("input", "array bytes", f"bare, batch {ROWS}, us", *others, "bare, batch 1, us",
             *others),
            [peer_row(name, nbytes, by) for name, (nbytes, by) in done.items()],
        ),
    ]  # fmt: skip
