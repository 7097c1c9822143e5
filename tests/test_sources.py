"""Bytes, binary files and URLs: read like files, written at once, never through a path."""

from __future__ import annotations

import functools
import http.server
import io
import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tests.common import assert_same, file_by
from tfdecode import bulk, sources
from tfdecode.cli import main

ARRAYS = [np.full((4, 3), index, "uint8") for index in range(5)]
SPEC = tfd.ArraySpec((4, 3), "uint8")


def saved(array: np.ndarray, write=np.save) -> bytes:
    return file_by(write, array)


# -- bytes and binary files ------------------------------------------------------------------------


def test_bytes_and_binary_files_are_read(tmp_path: Path) -> None:
    data = saved(ARRAYS[1])
    (tmp_path / "x.npy").write_bytes(data)
    table = io.BytesIO(b"1,2\n3,4\n")
    table.name = "table.csv"
    assert_same(tfd.load(data), ARRAYS[1])
    assert_same(tfd.load(memoryview(data), dtype="float32"), ARRAYS[1].astype("float32"))
    assert_same(tfd.load(table), np.array([[1.0, 2], [3, 4]]))
    with (tmp_path / "x.npy").open("rb") as file:
        assert_same(tfd.load(file), ARRAYS[1])
    large = {"a": np.zeros((600, 600)), "b": np.arange(9)}
    found = tfd.load_all(saved(large["a"], lambda file, _: np.savez(file, **large)))
    assert found.keys() == large.keys() and all(np.array_equal(found[k], large[k]) for k in large)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(tfd.FileError, match="bytes: has an unknown suffix"):
        tfd.load(b"neither")
    with pytest.raises(tfd.FileError, match="bytes: is empty"):
        tfd.load(b"")
    named = io.BytesIO(b"neither")
    named.name = "x.npy"
    with pytest.raises(tfd.FileError, match=r"x\.npy: is named \.npy but holds"):
        tfd.load(named)
    with pytest.raises(TypeError, match="is a file of text"):
        tfd.load(io.StringIO("1,2"))
    with pytest.raises(tfd.FileError, match="bytes: the array decodes to 12 bytes, more than"):
        tfd.load(saved(ARRAYS[0]), max_bytes=11)


def test_a_url_is_no_path_of_load() -> None:
    with pytest.raises(tfd.FileError, match="is not on this machine"):
        tfd.load("memory://here/x.npy")


@pytest.mark.parametrize("text", ["C:/x", "a/b://c", "x.npy", "c://x", "/memory://x"])
def test_what_is_no_url(text: str) -> None:
    assert not sources.is_url(text) and isinstance(sources.place(text), Path)


# -- URLs ------------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[object]:
    """The file system memory://, with five arrays and a broken one."""
    fsspec = pytest.importorskip("fsspec")
    fs = fsspec.filesystem("memory")
    for index, array in enumerate(ARRAYS):
        fs.pipe_file(f"/maps/{index}.npy", saved(array))
    fs.pipe_file("/maps/bad.npy", b"<html>")
    yield fs
    fs.store.clear()


FILES = [f"memory://maps/{name}.npy" for name in (*range(5), "bad", "gone")]
OUT = "memory://out/train.tfrecord"


def names(fs) -> set[str]:
    return {name.rpartition("/")[2] for name in fs.ls("/out", detail=False)}


@pytest.mark.parametrize("out", [OUT, f"{OUT}.gz"])
def test_a_plan_of_urls(memory, out: str, tmp_path: Path) -> None:
    plan = bulk.plan(FILES, out, SPEC, shards=2, seed=1)
    manifest = bulk.run(plan)
    assert manifest["examples"] == 5
    reasons = {one["file"]: one["error"] for one in manifest["failures"]}
    assert "holds" in reasons["memory://maps/bad.npy"]
    assert reasons["memory://maps/gone.npy"].endswith("cannot be read: there is no such object")
    end = out.partition(".tfrecord")[2]
    shards = {f"train-0000{index}-of-00002.tfrecord{end}" for index in (0, 1)}
    whole = {f"train.tfrecord{end}.json", f"train.tfrecord{end}.manifest.json"}
    assert names(memory) == shards | whole
    assert bulk.verify(out, every=True)["decoded"] == 5
    local = bulk.plan(FILES, tmp_path / out.rpartition("/")[2], SPEC, shards=2, seed=1)
    bulk.run(local)
    for shard in local:
        assert memory.cat_file(f"/out/{shard.path.name}") == shard.path.read_bytes()


def test_what_a_worker_wrote_is_not_looked_up_in_an_old_listing(memory, monkeypatch) -> None:
    """s3fs and others keep listings, as that of a pattern in the directory of the data set."""
    old = {"/out/train-00000-of-00001.tfrecord": 3}
    now = memory.info
    monkeypatch.setattr(
        type(memory), "info",
        lambda _, path, **more: {**now(path, **more), "size": old.get(path, now(path)["size"])},
    )  # fmt: skip
    monkeypatch.setattr(type(memory), "invalidate_cache", lambda *_: old.clear())
    assert bulk.run(bulk.plan(FILES, OUT, SPEC, shards=1))["examples"] == 5


def test_a_run_at_a_url_is_resumed(memory) -> None:
    plan = bulk.plan(FILES, OUT, SPEC, shards=2)
    plan[1].write()
    memory.pipe_file("/out/.train-00000-of-00009.tfrecord.json", b"of an earlier plan")
    kept: list[bool] = []
    bulk.run(plan, progress=lambda one: kept.append(one["kept"]))
    assert kept == [False, True] and len(names(memory)) == 4
    assert bulk.run(plan)["examples"] == 5
    memory.pipe_file("/out/train-00001-of-00002.tfrecord", b"cut")
    assert bulk.verify(OUT)["problems"][0]["file"] == "memory://out/train-00001-of-00002.tfrecord"
    again: list[bool] = []
    bulk.run(plan, progress=lambda one: again.append(one["kept"]))
    assert again == [False, False] and bulk.verify(OUT)["problems"] == []


def test_rows_of_a_large_object(memory) -> None:
    rows = np.arange(3 * 2**20, dtype="uint32").reshape(-1, 1024)
    memory.pipe_file("/maps/rows.npy", saved(rows))
    spec = tfd.ArraySpec((1024,), "uint32")
    plan = bulk.plan(["memory://maps/rows.npy"], OUT, spec, single=True, split_axis=0)
    assert bulk.run(plan)["examples"] == 3072
    assert bulk.verify(OUT)["problems"] == []


def test_what_a_killed_run_left_of_an_object_is_removed(memory, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plan = bulk.plan(FILES, OUT, SPEC, shards=1)
    left = tmp_path / f".{plan[0].path.name}.{'0' * 16}.tmp"
    other = tmp_path / f".x{plan[0].path.name}.{'0' * 16}.tmp"
    for path in (left, other):
        path.touch()
    bulk.run(plan)
    assert list(tmp_path.iterdir()) == [other]


def test_the_command_line_takes_urls(memory, monkeypatch, capsys, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("meta.csv").write_text("file,x\n" + "".join(f"{n}.npy,1\n" for n in (*range(5), "bad")))
    command = ["pack", "memory://maps/*.npy", "--tfrecord", OUT, "--features", "meta.csv"]
    assert main([*command, "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["examples"] == 5 and "maps/bad.npy: is named" in err
    assert main(["verify", OUT]) == 0
    Path("list").write_text("memory://maps/1.npy\nmemory://maps/2.npy\n")
    assert main(["pack", "--files-from", "list", "--tfrecord", OUT, "--shards", "1"]) == 0
    assert main(["pack", "memory://no/*.npy", "--tfrecord", OUT]) == 1
    assert "memory://no/*.npy: no object matches" in capsys.readouterr().err
    assert main(["pack", "memory://maps/1.npy"]) == 1
    assert "is not on this machine; download it first" in capsys.readouterr().err


def test_objects_of_a_web_server(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    for index, array in enumerate(ARRAYS):
        np.save(tmp_path / f"{index}.npy", array)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        files = [f"{base}/{name}.npy?token=1" for name in (0, 1, "gone")]
        manifest = bulk.run(bulk.plan(files, tmp_path / "x.tfrecord", SPEC, single=True))
        server.shutdown()
    assert manifest["examples"] == 2
    assert "gone.npy" in manifest["failures"][0]["error"]


def test_without_fsspec_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(tfd.FileError, match="with its extra 'urls'"):
        bulk.run(bulk.plan(FILES, "train.tfrecord", SPEC, single=True))
