"""Clients and a server in another process: from the array to the answer, and what to install."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tfdecode as tfd
from tfdecode.client import Grpc, Rest

from . import targets
from .inputs import variants
from .report import Table, track
from .timing import medians

ROOT = Path(__file__).parents[1]
INPUTS = ("pose_discs", "depth", "flow", "log_mel")
BATCHES = (1, 4)
SECONDS, ROUNDS = 8.0, 5
#: Mbit/s of the links for which the time is computed.
LINKS = (1000, 100, 20)
LISTS, PAYLOADS = "JSON lists, json", "Rest, payloads"
EXTRAS = {
    "tfdecode": "from tfdecode.client import request",
    "tfdecode[client]": "from tfdecode.client import Rest",
    "tfdecode[grpc]": "from tfdecode.client import Grpc; import grpc",
}


@dataclass
class Way:
    """A way to ask: ``ask`` takes the arrays of a batch; ``sent`` is the bytes of the request."""

    ask: Callable[[], np.ndarray]
    sent: int = 0


def by_rest(client: Rest, arrays: Any) -> Way:
    """A request of `Rest`; the bytes are those of its body."""
    way = Way(lambda: client.predict({"x": arrays})["score"])
    message = client._message

    def counted(request: Any) -> dict[str, Any]:
        arguments = message(request)
        way.sent = len(arguments.get("content", b""))
        return arguments

    client._message = counted  # type: ignore[method-assign]
    return way


def by_grpc(client: Grpc, arrays: Any) -> Way:
    """A request of `Grpc`; the bytes are those of its message."""
    way = Way(lambda: client.predict({"x": arrays})["score"])
    send = client._send

    def counted(method: Any, request: Any) -> Any:
        way.sent = request.ByteSize()
        return send(method, request)

    client._send = counted  # type: ignore[method-assign]
    return way


def by_json(url: str, batch: np.ndarray) -> Way:
    """What is written without a library for it: ``tolist`` and ``json`` on a kept connection."""
    import httpx2

    client = httpx2.Client(timeout=60)

    def ask() -> np.ndarray:
        body = json.dumps({"signature_name": "arrays", "inputs": {"x": batch.tolist()}}).encode()
        way.sent = len(body)
        answer = client.post(f"{url}:predict", content=body)
        return np.asarray(answer.raise_for_status().json()["outputs"], np.float32)

    way = Way(ask)
    return way


def ways_of(server: Any, name: str, spec: tfd.ArraySpec, batch: np.ndarray) -> dict[str, Way]:
    """Every way that the server takes; JSON has no uint16 and no float16."""
    url, target, rows = server.rest(name), server.grpc(name), list(batch)
    ways = {PAYLOADS: by_rest(Rest(url), rows), "Grpc, payloads": by_grpc(Grpc(target), rows)}
    ways["Grpc, tensors"] = by_grpc(Grpc(target, signature="arrays"), rows)
    if spec.dtype not in ("uint16", "float16"):
        ways[LISTS] = by_json(url, batch)
        ways["JSON lists, Rest"] = by_rest(Rest(url, signature="arrays"), rows)
        zipped = Rest(url, signature="arrays", gzip=True)
        ways["JSON lists, Rest, gzip"] = by_rest(zipped, rows)
    return ways


def rows_of(
    name: str, batch: int, sent: Mapping[str, int], times: Mapping[str, float]
) -> list[list[str]]:
    """The cells of each way; times are milliseconds."""
    rows = []
    for way, size in sent.items():
        links = [times[way] + size * 8 / (mbit * 1000) for mbit in LINKS]
        ratio = times[LISTS] / times[way] if LISTS in times else None
        faster = "" if ratio is None else f"{ratio:.1f}"
        # Of flat values: measured floats shrink little.
        wanted = ratio is not None and way == PAYLOADS and name == "pose_discs"
        mark = targets.mark(ratio >= targets.REQUEST_SPEEDUP) if wanted and ratio else ""
        cells = [f"{size:,}", f"{times[way]:.1f}", *(f"{ms:,.0f}" for ms in links), faster, mark]
        rows.append([f"{name}, {batch}", way, *cells])
    if LISTS not in times:
        cells = ["refused: TensorFlow Serving reads no such JSON", *[""] * (len(LINKS) + 3)]
        rows.append([f"{name}, {batch}", LISTS, *cells])
    return rows


@contextmanager
def serving(arrays: Mapping[str, list[np.ndarray]]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A server of a model for each input, and their specs: what `infer` chooses for the arrays."""
    import tensorflow as tf

    from tests.client.model_server import ModelServer, programs

    def model(x: Any) -> dict[str, Any]:
        flat = tf.reshape(tf.cast(x, tf.float32), [tf.shape(x)[0], -1])
        return {"score": tf.reduce_mean(flat, 1)}

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        specs = {name: tfd.infer(some) for name, some in arrays.items()}
        for name, spec in specs.items():
            tfd.export(model, folder / name, {"x": spec}, warmup=False)
        *_, program = programs().values()  # TensorFlow Serving itself, if it is there
        models = {name: folder / name for name in specs}
        with ModelServer.of_models(program, models, folder, timeout_micros=0) as server:
            yield server, specs


def requests(seconds: float = SECONDS) -> Table:
    """All ways to ask about each input; every answer must be the same."""
    arrays = {name: variants(name, max(BATCHES)) for name in INPUTS}
    rows: list[list[str]] = []
    with serving(arrays) as (server, specs):
        program = Path(server.program[0]).name
        for name, size in track([(n, b) for n in INPUTS for b in BATCHES], "clients"):
            ways = ways_of(server, name, specs[name], np.stack(arrays[name][:size]))
            answers = {way: one.ask().tobytes() for way, one in ways.items()}
            assert len(set(answers.values())) == 1, name
            times = medians({way: one.ask for way, one in ways.items()}, seconds, least=3)
            rows += rows_of(name, size, {way: one.sent for way, one in ways.items()}, times)
    chosen = "; ".join(f"{name}: `{spec.chain.text}`" for name, spec in specs.items())
    stand_in = "" if program == "tensorflow_model_server" else (
        ", here the stand-in of the tests, which is Python and reads JSON by `json`"
    )  # fmt: skip
    note = (
        f"A server in another process of the same machine{stand_in}. The model is a mean over each "
        "array; answers have a number for each row. `json` is `json.dumps(x.tolist())`, the others "
        "are the classes of `tfdecode.client`; gzip is at level 1; tensors go as `tensor_content`. "
        f"The times for a link are computed: the time measured without one, and the bytes of the "
        f"request. Times faster is against {LISTS}, target {targets.REQUEST_SPEEDUP} for pose maps "
        f"of discs. Chains are those that `infer` chooses: {chosen}."
    )
    links = [f"{mbit:,} Mbit/s, ms" for mbit in LINKS]
    columns = ("input, batch", "way", "bytes", "no link, ms", *links, "times faster", "target")
    return Table("From the array to the answer of a server", note, columns, rows, 2)


def installs(extras: Mapping[str, str] = EXTRAS, rounds: int = ROUNDS) -> Table:
    """The wheel in empty environments, with each extra of clients."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pip = [sys.executable, "-I", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", "--no-deps", "-w", temporary, str(ROOT)], check=True)
        (wheel,) = folder.glob("*.whl")
        for index, (name, program) in enumerate(extras.items()):
            home = folder / str(index)
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            python, empty = str(home / "bin/python"), nbytes(home)
            start = time.perf_counter()
            wanted = f"{wheel}{name.removeprefix('tfdecode')}"
            subprocess.run([python, *pip[1:], "install", wanted], check=True)
            seconds, size = time.perf_counter() - start, nbytes(home) - empty
            runs = [imported(python, program) for _ in range(rounds)]
            ms, megabytes = (statistics.median(column) for column in zip(*runs, strict=True))
            cells = (f"{size / 1e6:.0f}", f"{seconds:.0f}", f"{ms:.0f}", f"{megabytes:.0f}")
            rows.append([f"pip install '{name}'", program, *cells])
    note = (
        "`pip install` of the built wheel into an empty environment (seconds depend on pip's cache "
        "and the network), and then a new process that imports the client; none of them imports "
        "TensorFlow."
    )
    columns = ("install", "import", "MB", "install, s", "import, ms", "memory, MB")
    return Table("What a client installs", note, columns, rows, 2)


def nbytes(folder: Path) -> int:
    """The bytes of all files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def imported(python: str, program: str) -> tuple[float, float]:
    """Milliseconds of an import, and the megabytes of the process after it."""
    # Not ru_maxrss, in which Linux counts the peak of the benchmark that starts the process.
    code = f"""
import sys, time
start = time.perf_counter()
{program}
ms = (time.perf_counter() - start) * 1e3
assert "tensorflow" not in sys.modules
with open("/proc/self/status") as status:
    print(ms, next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1e3)
"""
    done = subprocess.run([python, "-I", "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    ms, megabytes = map(float, done.stdout.split())
    return ms, megabytes


def main() -> list[Table]:
    """Requests, then installs."""
    return [requests(), installs()]
