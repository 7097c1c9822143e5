"""Runs `survey` on a file in a child process with limits, and answers its reads.

If the child crashes, hangs or takes too much, that is a `FileError`; no child is left over. Each
file costs about 0.15 s of CPU time, most of it the import of h5py. The child is no sandbox: it
limits what libhdf5 can take, not what code could do that a hostile file made libhdf5 run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from multiprocessing.spawn import get_executable
from pathlib import Path
from threading import Event, Timer
from typing import Any

from ...errors import FileError
from ...extras import missing_extra
from ...reading import Slices

# The same as in `survey`, which cannot be imported here: it imports h5py.
_HEAD = struct.Struct("<cQQ")
_READ, _DONE, _FAILED = b"R", b"D", b"F"
# Bytes besides those of the file. 100,000 datasets take 200 MB; in a damaged heap libhdf5 1.14 goes
# on as long as there is memory.
_MEMORY = 2**29
# CPU seconds, at least and for each byte. 100,000 datasets are 40 MB and take 13 s.
_SECONDS, _BYTES_A_SECOND = 10, 2**20
# What the child may say, at least and for each byte of the file.
_ANSWER, _ANSWER_A_BYTE = 2**22, 32
# The path comes first: until then it begins with the current directory, which may hold anything.
_CODE = """import sys
program, *sys.path[:] = sys.argv[6:]
import runpy
runpy.run_path(program, run_name="__main__")"""


def surveyed(data: memoryview | Slices, matlab: bool) -> dict[str, Any]:
    """What `survey.survey` returns for the bytes of a file."""
    if importlib.util.find_spec("h5py") is None:
        raise missing_extra("h5py", "hdf5")
    seconds = _SECONDS + len(data) // _BYTES_A_SECOND
    # Each chunk in the file takes 8 bytes of its index at least.
    chunks = max(2**16, len(data) // 8)
    memory = _MEMORY + len(data)
    limits = [str(number) for number in (len(data), int(matlab), chunks, seconds, memory)]
    program = str(Path(__file__).with_name("survey.py"))
    command = [get_executable(), "-c", _CODE, *limits, program, *filter(None, sys.path)]
    pipes: dict[str, Any] = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
    try:
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment, **pipes)
    except OSError as error:
        reason = f"none can be started: {error.strerror}"
        raise FileError(f"is HDF5, which is read in a process of its own; {reason}") from None
    late = Event()

    def end() -> None:
        late.set()
        child.kill()

    timer = Timer(60 + 10 * seconds, end)
    timer.daemon = True
    with child:
        try:
            timer.start()
            answer = _serve(child, data)
            if answer is None:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(10)  # it is dying: by which signal is known a moment later
        finally:
            timer.cancel()
            child.kill()
    if answer is None:
        raise FileError(f"cannot be read: libhdf5 {_end(child.returncode, late.is_set(), seconds)}")
    return answer


def _serve(child: subprocess.Popen[bytes], data: memoryview | Slices) -> dict[str, Any] | None:
    """What the child found, None if it ended before that."""
    assert child.stdin and child.stdout
    with suppress(BrokenPipeError):
        while len(head := child.stdout.read(_HEAD.size)) == _HEAD.size:
            kind, first, second = _HEAD.unpack(head)
            if kind == _READ and first + second <= len(data):
                child.stdin.write(data[first : first + second])
                child.stdin.flush()
                continue
            if kind not in (_DONE, _FAILED) or first > _ANSWER + _ANSWER_A_BYTE * len(data):
                break
            text = child.stdout.read(first)
            if len(text) < first:
                break
            if kind == _FAILED:
                raise FileError(text.decode("latin-1"))
            with suppress(ValueError, RecursionError):
                answer = json.loads(text)
                return answer if isinstance(answer, dict) else None
    return None


def _end(status: int | None, late: bool, seconds: int) -> str:
    """How a child ended that found nothing."""
    name = signal.Signals(-status).name if status and status < 0 else ""
    if late or name == "SIGXCPU":
        return f"took more than {seconds} s for its structure; the file may be damaged"
    ends = f"ended with {name}" if name else f"gave no answer (status {status})"
    return f"{ends}; the file may be damaged"
