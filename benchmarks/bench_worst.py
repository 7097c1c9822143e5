"""The worst payloads of what `infer` proposes: how much memory a batch of them takes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import zlib

import tfdecode as tfd
from tfdecode.form import BytesForm
from tfdecode.formats.png import END, chunk

from .bench_memory import peak
from .inputs import KINDS, make
from .report import Table, track

ROWS = 32


def bomb(nbytes: int) -> bytes:
    """A zlib stream of ``nbytes`` that inflates to nearly 1032 times as much, all zeros."""
    coder = zlib.compressobj(9)
    pieces, size, zeros = [], 0, bytes(2**20)
    while size < nbytes - 2048:
        pieces.append(coder.compress(zeros) + coder.flush(zlib.Z_SYNC_FLUSH))
        size += len(pieces[-1])
    pieces.append(coder.flush())
    return b"".join(pieces)[:nbytes]


def worst(spec: tfd.ArraySpec, good: bytes) -> bytes:
    """The longest payload of the first chain that holds a bomb, sealed with the spec."""
    *steps, seal = spec.chains[0].codecs
    form = spec.chains[0].forms[-2]
    if seal.name != "seal":
        return good  # nothing is compressed
    assert isinstance(form, BytesForm)
    size = form.max_nbytes
    if steps[-1].name == "png":
        head = good[: good.index(b"IDAT") - 4]
        packed = head + chunk(b"IDAT", bomb(size - len(head) - len(END) - 12)) + END
    elif steps[-1].name == "zlib_bounded":
        packed = chunk(b"IDAT", bomb(size - 4))[8:]
    elif steps[-1].name == "zlib":
        packed = bomb(size)
    else:
        return good
    return seal.encode(packed, form)


def child(name: str, trusted: bool) -> None:
    """Decode a batch of the worst rows in this process; print the growth and the decoded bytes."""
    import tensorflow as tf

    x = make(name, 0)
    spec = tfd.infer(x, trusted=trusted)
    good = spec.encode(x)
    count = 1 if trusted else ROWS
    rows = tf.constant([worst(spec, good)] * count)
    signature = [tf.TensorSpec([None], tf.string)]
    decode = tf.function(spec.decode_checked, input_signature=signature)
    decode(tf.constant([good]))
    before = peak()
    with contextlib.suppress(tf.errors.OpError):  # a stream that its op refuses
        decode(rows)
    print(json.dumps([peak() - before, count * x.nbytes, spec.chain.text]))


def main() -> list[Table]:
    """Each input in a process of its own, as `infer` proposes it untrusted and trusted."""
    rows = []
    for name in track(list(KINDS), "worst"):
        cells: list[str] = []
        for trusted in (False, True):
            words = [sys.executable, "-m", "benchmarks.bench_worst", name, str(int(trusted))]
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
            run = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
            grown, nbytes, chain = json.loads(run.stdout)
            cells += [chain] if not trusted else []
            cells += [f"{nbytes / 1e6:.2f}", f"{grown / 1e6:.0f}"]
        rows.append([name, *cells])
    note = (
        "Growth of the resident size, in MB, while rows are decoded that hold a deflate bomb as "
        f"long as the spec allows, sealed by someone who has the spec: {ROWS} rows of what `infer` "
        "proposes, and a single row of what it proposes with `trusted=True`, next to the bytes of "
        "the decoded arrays."
    )
    columns = ("input", "chain", "arrays", "memory", "trusted: 1 array", "memory")
    return [Table("Worst payloads", note, columns, rows, words=2)]


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2] == "1")
