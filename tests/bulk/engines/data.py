"""Files of which one in twenty is damaged, and the proof that a data set has all others, once."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import pickle
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tfdecode as tfd
from tfdecode import bulk
from tfdecode.bulk.record import features_of, records

GUIDE = Path(__file__).parents[3] / "docs" / "guide-training.md"
SPEC = tfd.ArraySpec((32, 24), "uint8", "zlib")
SHARDS = 12


class Files(NamedTuple):
    """Arrays by the names of good files, the names of damaged ones, and where to write."""

    good: dict[str, np.ndarray]
    bad: set[str]
    out: Path

    @property
    def names(self) -> list[str]:
        return [*self.good, *self.bad]

    def plan(self) -> bulk.Plan:
        return bulk.plan(self.names, self.out, SPEC, shards=SHARDS, seed=1)

    def prove(self, manifest: bulk.manifest.Manifest) -> None:
        """Each good file is there once and bit for bit, each bad one is named, nothing else is."""
        found: dict[str, np.ndarray] = {}
        for one in manifest["shards"]:
            path = self.out.with_name(one["shard"])
            assert hashlib.sha256(path.read_bytes()).hexdigest() == one["sha256"]
            with path.open("rb") as file:
                features = [features_of(data) for data in records(file, one["bytes"])]
            for example in features:
                name = os.fsdecode(example["file"][0])
                assert name not in found
                found[name] = SPEC.decode(example["array_bytes"][0])
        assert found.keys() == self.good.keys() and manifest["examples"] == len(found)
        assert all(np.array_equal(found[name], array) for name, array in self.good.items())
        assert {one["file"] for one in manifest["failures"]} == self.bad
        assert len(manifest["failures"]) == len(self.bad) > 0
        assert json.loads(bulk.manifest.manifest_path(self.out).read_text()) == manifest
        names = {one["shard"] for one in manifest["shards"]}
        ends = {f"{self.out.name}.json", f"{self.out.name}.manifest.json"}
        assert {path.name for path in self.out.parent.iterdir()} == names | ends
        self.prove_bytes(manifest)

    def prove_bytes(self, manifest: bulk.manifest.Manifest) -> None:
        """One process writes the same bytes."""
        alone = self.out.parents[1] / "alone" / self.out.name
        alone.parent.mkdir(exist_ok=True)
        again = bulk.run(bulk.plan(self.names, alone, SPEC, shards=SHARDS, seed=1))
        assert again["shards"] == manifest["shards"]


def make(folder: Path, count: int = 900) -> Files:
    """Write the files."""
    good, bad = {}, set()
    (folder / "out").mkdir(parents=True)
    for index in range(count):
        array = np.random.default_rng(index).integers(0, 5, (32, 24), "uint8")
        path = folder / "in" / str(index % 7) / f"{index:06d}.{('npy', 'pkl')[index % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            (np.save if path.suffix == ".npy" else lambda f, a: pickle.dump(a, f))(file, array)
        if index % 20:
            good[str(path)] = array
            continue
        data = path.read_bytes()
        damage = (data[: len(data) // 2], b"", b"<html>404</html>", None)[index // 20 % 4]
        bad.add(str(path))
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage)
    return Files(good, bad, folder / "out" / "train.tfrecord")


def recipe(word: str, changes: dict[str, object], **names: Any) -> Any:
    """Run the block of the guide that has a word, with other names of files; its manifest."""
    blocks = re.findall(r"^```text\n((?:.*\n)*?)```$", GUIDE.read_text(), re.MULTILINE)
    (code,) = [block for block in blocks if word in block]
    for text, other in changes.items():
        assert text in code
        code = code.replace(text, str(other))
    exec(compile(code, GUIDE, "exec"), names)
    return names.get("manifest")


def below(match: str, root: int | None = None) -> list[int]:
    """The processes below one, this one by default, whose command line matches."""
    listed = subprocess.run(["ps", "-ewwo", "pid,ppid,args"], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    tree, size = {root or os.getpid()}, 0
    while size < len(tree):
        size = len(tree)
        tree |= {int(pid) for pid, parent, _ in rows if int(parent) in tree}
    tree.discard(os.getpid())
    return sorted(int(pid) for pid, _, args in rows if int(pid) in tree and re.search(match, args))


@contextmanager
def killing(files: Files, victims: Callable[[], list[int]], shards: int = 2) -> Iterator[None]:
    """SIGKILL of processes when so many shards are written and another one is half written."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        folder = files.out.parent
        while not over.wait(0.01):
            found = victims()  # first, because ps takes longer than a shard
            half = glob.glob(f"{folder}/.*.tmp")
            if len(list(folder.glob("train-*"))) >= shards and half:
                for pid in found:
                    os.kill(pid, 9)
                    killed.append(pid)
                if killed:
                    return

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert killed, "the run was over before anything was killed"


def until(done: Callable[[], object], seconds: float = 120) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)
