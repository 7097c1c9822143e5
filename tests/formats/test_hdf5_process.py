"""libhdf5 runs in a child process: what it does with hostile files harms nobody, and it ends."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode
from tests.common import assert_same
from tfdecode.errors import FileError
from tfdecode.files import load, load_all
from tfdecode.formats import hdf5
from tfdecode.formats.hdf5 import process

h5py = pytest.importorskip("h5py")


@pytest.fixture(autouse=True)
def children(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The children of a test; each of them has ended when the test has."""
    started: list[subprocess.Popen[bytes]] = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(process.subprocess, "Popen", Recorded)
    yield started
    assert started
    assert all(child.returncode is not None for child in started)
    pipes = [pipe for child in started for pipe in (child.stdin, child.stdout) if pipe]
    assert all(pipe.closed for pipe in pipes)


def saved(**members: Any) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w", libver="earliest") as writer:
        for name, member in members.items():
            writer[name] = member
    return file.getvalue()


def with_endless_heap() -> bytes:
    """A file in which the free block of a heap is followed by itself: libhdf5 never ends."""
    data = bytearray(saved(x=np.arange(3.0)))
    start = data.index(b"HEAP")
    _, first, address = struct.unpack_from("<3Q", data, start + 8)
    struct.pack_into("<Q", data, address + first, first)
    return bytes(data)


def test_a_file_of_many_blocks_is_read_as_by_h5py(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=512) as writer:
        for index in range(200):
            writer[f"g{index % 7}/x{index}"] = np.arange(index)
        writer.create_dataset("big", data=np.arange(50000.0), chunks=(1000,), compression="lzf")
    assert path.stat().st_size > 2**18
    with h5py.File(path) as file:
        arrays = load_all(path)
        assert len(arrays) == 201
        for key, array in arrays.items():
            assert_same(array, file[key][()])


def test_nothing_in_the_current_directory_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ["runpy", "h5py", "numpy", "json", "struct", "sitecustomize"]:
        (tmp_path / f"{name}.py").write_text("import os; os._exit(7)")
    monkeypatch.chdir(tmp_path)
    assert hdf5.contents(saved(x=np.eye(2))).read().tolist() == [[1, 0], [0, 1]]


@pytest.mark.skipif(sys.platform != "linux", reason="others do not limit memory")
def test_memory_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_MEMORY", 2**26)
    with pytest.raises(FileError, match=r"memory allocation failed|cannot be read: libhdf5"):
        hdf5.contents(with_endless_heap())


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.kill(os.getpid(), 11)", "ended with SIGSEGV; the file may be damaged"),
        ("import os; os._exit(3)", r"gave no answer \(status 3\)"),
        ("print('a line of a library' * 9)", "gave no answer"),
        ("import os; os.write(1, b'R' + b'\\xff' * 16)", "gave no answer"),
        ("import os; os.write(1, b'D' + b'\\xff' * 16)", "gave no answer"),
        ("import os; os.write(1, b'D' + bytes([9]) + bytes(15) + b'[' * 9)", "gave no answer"),
    ],
)
def test_a_child_that_fails_is_an_error(
    code: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_CODE", code)
    with pytest.raises(FileError, match=f"^cannot be read: libhdf5 {reason}"):
        hdf5.contents(saved(x=1))


def test_the_child_limits_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resource")
    loop = process._CODE.replace('"__main__")', '"x")["limit"](0, 2**29)\nwhile True: pass')
    monkeypatch.setattr(process, "_CODE", loop)
    with pytest.raises(FileError, match="took more than 10 s for its structure"):
        hdf5.contents(saved(x=1))


def test_a_child_that_waits_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_CODE", "import time; time.sleep(600)")
    monkeypatch.setattr(process, "Timer", lambda _, end: threading.Timer(0.2, end))
    with pytest.raises(FileError, match="took more than 10 s"):
        hdf5.contents(saved(x=1))


def test_an_interrupt_leaves_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "_serve", interrupt)
    with pytest.raises(KeyboardInterrupt):
        hdf5.contents(saved(x=1))


@pytest.mark.skipif(os.name != "posix", reason="processes")
def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(saved(x=1))
    script = (
        "import os, sys; from tfdecode.formats.hdf5 import process\n"
        "def serve(child, data): print(child.pid, flush=True); os._exit(0)\n"
        "process._serve = serve\n"
        "import tfdecode; tfdecode.load(sys.argv[1])"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.h5")]
    child = int(subprocess.run(command, env=environment(), check=True, capture_output=True).stdout)
    for _ in range(200):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if (
            Path(f"/proc/{child}/stat").exists()
            and " Z " in Path(f"/proc/{child}/stat").read_text()
        ):
            return  # it has ended, and nobody asked for its status
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child lives on")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(next(iter(tfdecode.__path__))).parent)}


def test_the_parent_never_loads_libhdf5(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(saved(x=np.eye(2)))
    script = "import sys, tfdecode; tfdecode.load(sys.argv[1]); sys.exit('h5py' in sys.modules)"
    command = [sys.executable, "-c", script, str(tmp_path / "a.h5")]
    assert subprocess.run(command, env=environment()).returncode == 0
    assert load(tmp_path / "a.h5").tolist() == [[1, 0], [0, 1]]
