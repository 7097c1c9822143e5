"""Data sets of many files: CPU to write them, and to read them in tf.data.

``python -m benchmarks.bench_bulk 10_000_000`` makes a plan of ten million names instead and runs
it by tasks that write nothing. It prints minutes and megabytes.
"""

from __future__ import annotations

import itertools
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import tfdecode as tfd
from tfdecode import bulk
from tfdecode.bulk.record import example, record

from .report import Table, track
from .targets import mark

FILES, ROUNDS = 20_000, 3
#: CPU a file as a multiple of load + encode, and an example of ``raw`` as one of bare decode_raw.
WRITE, READ = 1.25, 1.3
EXAMPLES, BATCH = 20_000, 32
#: Examples of a file, which is read again until there are enough: what begins an epoch is the same
#: for any number of them, and has a table of its own.
FILE = 2_000
#: Files of a shard in the plan of made-up names.
PLANNED = 20_000

Work = Callable[[], Any]


def label_map(index: int, dtype: str = "uint8", side: int = 1) -> np.ndarray:
    """A map [64 * side, 48 * side] of a few areas."""
    small = np.random.default_rng(index).integers(0, 23, (8, 6)).astype(dtype)
    return small.repeat(8 * side, 0).repeat(8 * side, 1)


def cpu() -> float:
    """Seconds of CPU that this process and those that it started and ended have taken."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ended = sum(one.ru_utime + one.ru_stime for one in used)
    # Linux: workers are children of a process that lives as long as this one.
    listed = (path.read_text().split() for path in Path("/proc/self/task").glob("*/children"))
    ticks = 0
    for pid in itertools.chain(*listed):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        ticks += sum(map(int, after_name.split()[11:15]))  # its own, and of its ended children
    return ended + ticks / os.sysconf("SC_CLK_TCK")


def costs(works: Mapping[str, Work], count: int, rounds: int) -> dict[str, float]:
    """Median microseconds of CPU for each of ``count`` items, the works in turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in track(range(rounds), "bulk"):
        for name, work in works.items():
            start = cpu()
            work()
            taken[name].append((cpu() - start) / count * 1e6)
    return {name: statistics.median(times) for name, times in taken.items()}


def writers(folder: Path, count: int) -> dict[str, Work]:
    """Ways to make records of ``count`` files."""
    files = [str(folder / f"{index:06d}.npy") for index in range(count)]
    for index, file in enumerate(files):
        np.save(file, label_map(index))
    spec = tfd.infer([label_map(index) for index in range(16)])
    out = folder / "out"
    out.mkdir()

    def floor() -> None:
        with (out / "floor").open("wb") as to:
            for file in files:
                with open(file, "rb") as source:
                    to.write(record(example({"array_bytes": source.read(), "file": file})))

    def packed() -> None:
        for file in files:
            spec.encode(tfd.load(file))

    def run(workers: int) -> None:
        for path in out.glob("*train*"):
            path.unlink()
        plan = bulk.plan(files, out / "train.tfrecord", spec, shards=min(8, count), seed=1)
        assert bulk.run(plan, workers)["examples"] == count

    return {
        "read the files, write them as records": floor,
        "load + encode": packed,
        "plan and run, one worker": lambda: run(1),
        "plan and run, two workers": lambda: run(2),
    }


def readers(folder: Path, count: int, first: bool = False) -> dict[str, Work]:
    """Ways to read ``count`` examples of float32 [128, 96] in batches, or the first batch."""
    import tensorflow as tf

    size = min(FILE, count)
    arrays = [label_map(index, "float32", 2) for index in range(size)]
    raw = tfd.ArraySpec((128, 96), "float32", "raw")
    specs = {"raw": raw, "infer": tfd.infer(arrays[:16])}
    payloads = {name: spec.encode for name, spec in specs.items()}
    payloads["parse_tensor"] = lambda x: tf.io.serialize_tensor(x).numpy()
    for name, encode in payloads.items():
        with (folder / name).open("wb") as file:
            for x in arrays:
                file.write(record(example({"array_bytes": encode(x)})))
    schemas = {name: tfd.Schema({"array": spec}) for name, spec in specs.items()}
    feature = schemas["raw"].feature_spec()

    def files(name: str) -> list[str]:
        return [str(folder / name)] * (count // size)

    def records(name: str) -> Any:
        return tf.data.TFRecordDataset(files(name))

    # As in `Schema.dataset`: tf.data does so by itself only for functions without state.
    tune = tf.data.AUTOTUNE
    parallel: Any = {"num_parallel_calls": tune}

    def bare(rows: Any) -> Any:
        values = tf.io.decode_raw(tf.io.parse_example(rows, feature)["array_bytes"], tf.float32)
        return {"array": tf.reshape(values, [-1, *raw.shape])}

    def parsed(row: Any) -> Any:
        value = tf.io.parse_single_example(row, feature)["array_bytes"]
        return {"array": tf.ensure_shape(tf.io.parse_tensor(value, tf.float32), raw.shape)}

    ways = {
        "parse_example + decode_raw + reshape": records("raw").batch(BATCH).map(bare, **parallel),
        "raw, Schema.dataset": schemas["raw"].dataset(files("raw"), BATCH),
        "parse_tensor of each, then batch": records("parse_tensor")
        .map(parsed, **parallel)
        .batch(BATCH),
        f"{specs['infer'].chain.text}, Schema.dataset": schemas["infer"].dataset(
            files("infer"), BATCH
        ),
    }
    ways = {
        name: dataset if "Schema" in name else dataset.prefetch(tune)
        for name, dataset in ways.items()
    }

    def read(dataset: Any) -> None:
        assert sum(int(batch["array"].shape[0]) for batch in dataset) == count

    def begin(dataset: Any) -> None:
        (batch,) = dataset.take(1)
        for one, x in zip(batch["array"].numpy(), arrays, strict=False):
            assert one.tobytes() == x.tobytes()

    for dataset in ways.values():  # the first time traces and starts threads
        begin(dataset)
    work = begin if first else read
    return {name: partial(work, dataset) for name, dataset in ways.items()}


def table(
    title: str, note: str, taken: Mapping[str, float], over: str, targets: Mapping[str, float]
) -> Table:
    """A row for each way: microseconds, and the multiple of the way ``over``."""
    rows = []
    for name, us in taken.items():
        ratio = us / taken[over]
        most = targets.get(name)
        met = "" if most is None else f"<= {most} {mark(ratio <= most)}"
        rows.append((name, f"{us:.0f}", f"{ratio:.2f}", met))
    return Table(title, note, ("way", "CPU, us", "ratio", "target"), rows)


def main() -> list[Table]:
    """Write and read data sets."""
    with tempfile.TemporaryDirectory() as folder:
        written = costs(writers(Path(folder), FILES), FILES, ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        ways = readers(Path(folder), EXAMPLES)
        taken = costs(ways, EXAMPLES, 2 * ROUNDS + 1)
        begun = costs(readers(Path(folder), EXAMPLES, first=True), 1, 2 * ROUNDS + 1)
    bare, raw, parse, chain = taken
    flat = {parse: taken[parse], chain: taken[chain]}
    return [
        table(
            "CPU to pack a file",
            f"{FILES:,} `.npy` files, uint8 [64,48] of label maps, into 8 shards: all processes.",
            written,
            "load + encode",
            {name: WRITE for name in written if name.startswith("plan")},
        ),
        table(
            "CPU to read an example of raw",
            f"float32 [128,96] in tf.data, batch {BATCH}, {EXAMPLES:,} examples an epoch.",
            {bare: taken[bare], raw: taken[raw]},
            bare,
            {raw: READ},
        ),
        table(
            "CPU to read an example of flat data",
            f"The same maps, by what `infer` proposes, batch {BATCH}.",
            flat,
            parse,
            {chain: 1},
        ),
        table(
            "CPU to begin an epoch",
            "To its first batch: tf.data prepares the graph each time, however long the epoch is.",
            begun,
            bare,
            {},
        ),
    ]


def planned(count: int) -> Iterator[tuple[str, float, float]]:
    """Plan made-up names, go through the shards, finish: each step, its minutes, the peak in MB."""
    start = time.perf_counter()

    def step(name: str) -> tuple[str, float, float]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return name, (time.perf_counter() - start) / 60, peak

    yield step("start")
    with tempfile.TemporaryDirectory() as folder:
        names = (f"/data/{i % 1000:03d}/{i * 7919 % count:09d}.npy" for i in range(count))
        out, spec = f"{folder}/train.tfrecord", tfd.ArraySpec((64, 48), "uint8")
        plan = bulk.plan(names, out, spec, shards=-(-count // PLANNED), seed=1)
        yield step(f"plan of {plan.examples:,} examples")

        def facts() -> Iterator[bulk.Facts]:
            for shard in plan:
                shard.path.touch()
                failures = [
                    bulk.shard.Failure(file=one.name, error="is empty")
                    for one in shard.examples[::100]
                ]
                yield {
                    "plan": shard.plan, "index": shard.index, "shard": shard.path.name,
                    "examples": len(shard.examples), "bytes": 0, "array_bytes": 0,
                    "sha256": "0" * 64, "time": shard.path.stat().st_mtime_ns,
                    "failures": failures, "pid": os.getpid(), "kept": False,
                }  # fmt: skip

        manifest = bulk.finish(plan, facts())
        assert manifest["examples"] == plan.examples
        yield step(f"{len(plan):,} shards, {len(manifest['failures']):,} failures, manifest")


if __name__ == "__main__":
    for step, minutes, megabytes in planned(int(float(sys.argv[1].replace("_", "")))):
        print(f"{step}: {minutes:.1f} min, {megabytes:.0f} MB", flush=True)
