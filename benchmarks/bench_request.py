"""One request of four pose maps, from the arrays to the answer, in this process."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

import tfdecode as tfd
from tfdecode.saved_models.session import ServingSession

from . import peers, rest, targets
from .chains import REQUEST
from .inputs import variants
from .report import Table
from .timing import medians

BATCH, SECONDS = 4, 30.0
LISTS = "JSON lists"


@dataclass(frozen=True)
class Request:
    """A way to ask: arrays to what is sent, and that to the answer."""

    make: Callable[[], str | bytes]
    answer: Callable[[Any], np.ndarray]


def payload_request(spec: tfd.ArraySpec, batch: np.ndarray, session: ServingSession) -> Request:
    """Base64 of payloads."""

    def answer(body: str | bytes) -> np.ndarray:
        return session.run("serving_default", rest.read_payloads(body))["score"]

    return Request(
        lambda: rest.payloads_body({"pose_map_bytes": [spec.encode(x) for x in batch]}), answer
    )


def gzipped(request: Request) -> Request:
    """The same body under ``Content-Encoding: gzip``."""
    return Request(
        lambda: gzip.compress(request.make().encode(), 6),
        lambda body: request.answer(gzip.decompress(body)),
    )


def array_requests(batch: np.ndarray, session: ServingSession) -> dict[str, Request]:
    """Lists and protobufs, for a model that takes the arrays themselves."""

    def run(pose_map: np.ndarray) -> np.ndarray:
        return session.run("arrays", {"pose_map": pose_map})["score"]

    def lists(body: str) -> np.ndarray:
        return run(rest.read_lists(body, {"pose_map": batch.dtype.name})["pose_map"])

    def proto(body: bytes) -> np.ndarray:
        return run(tf.make_ndarray(TensorProto.FromString(body)))

    requests = {LISTS: Request(lambda: rest.lists_body({"pose_map": batch}), lists)}
    if "orjson" in peers.INSTALLED:
        import orjson

        option = orjson.OPT_SERIALIZE_NUMPY
        make = partial(orjson.dumps, {"inputs": {"pose_map": batch}}, option=option)

        def orjson_lists(body: bytes) -> np.ndarray:
            return run(np.asarray(orjson.loads(body)["inputs"]["pose_map"], batch.dtype))

        requests[f"{LISTS}, orjson"] = Request(make, orjson_lists)
    requests["TensorProto"] = Request(
        lambda: tf.make_tensor_proto(batch).SerializeToString(), proto
    )
    return requests


def ahead(own: tuple[int, float], other: tuple[int, float]) -> str:
    """Below how many Mbit/s of (bytes, ms) the first is there earlier than the second."""
    less, longer = other[0] - own[0], own[1] - other[1]
    if longer <= 0:
        return "always" if less >= 0 else "never"
    return f"{less * 8 / longer / 1e3:,.0f}"


def rows_of(sizes: Mapping[str, int], times: Mapping[str, float]) -> list[list[str]]:
    """Cells of each request; the first chain of ``REQUEST`` is what they are compared with."""
    own = sizes[REQUEST[0]], times[f"make {REQUEST[0]}"] + times[f"answer {REQUEST[0]}"]
    lists = times[f"make {LISTS}"] + times[f"answer {LISTS}"]
    rows = []
    for name, size in sizes.items():
        make, answer = times[f"make {name}"], times[f"answer {name}"]
        total = make + answer
        mark = targets.mark(lists / total >= targets.REQUEST_SPEEDUP) if name in REQUEST else ""
        below = "" if name in REQUEST else ahead(own, (size, total))
        cells = [f"{size:,}", f"{make:.1f}", f"{answer:.1f}", f"{total:.1f}"]
        rows.append([name, *cells, f"{lists / total:.1f}", mark, below])
    return rows


def main() -> list[Table]:
    """Pose discs, by lists, protobufs and payloads; every answer must be the same."""
    arrays = variants("pose_discs", BATCH)
    batch = np.stack(arrays)

    def model(pose_map: Any) -> Any:
        return {"score": tf.reduce_mean(pose_map, [1, 2, 3])}

    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        requests: dict[str, Request] = {}
        for index, chain in enumerate(["raw", *REQUEST]):
            spec = tfd.ArraySpec(batch.shape[1:], batch.dtype, codecs=chain)
            version = tfd.export(model, Path(temporary, str(index)), inputs={"pose_map": spec})
            session = stack.enter_context(ServingSession(version))
            request = payload_request(spec, batch, session)
            if chain == "raw":
                requests |= array_requests(batch, session)
                requests["raw base64"] = request
                requests["raw base64, gzip"] = gzipped(request)
            else:
                requests[chain] = request
        works: dict[str, Callable[[], Any]] = {}
        sizes, answers = {}, set()
        for name, request in requests.items():
            body = request.make()
            sizes[name] = len(body)
            answers.add(request.answer(body).tobytes())
            works[f"make {name}"] = request.make
            works[f"answer {name}"] = partial(request.answer, body)
        assert len(answers) == 1
        times = medians(works, SECONDS)
    note = (
        f"{BATCH} pose maps float32 [256,192,18] of discs; the model is a mean over each, so that "
        "reading takes most of the time. No server and no network: one Python process makes the "
        "body, reads it (with `json.loads`, base64 and numpy; a server has C++) and runs the "
        "signature with the session loader. gzip is `Content-Encoding` at level 6; TensorProto is "
        f"what gRPC sends as `tensor_content`. Times faster is against {LISTS}, target "
        f"{targets.REQUEST_SPEEDUP}. "
        f"The last column is the bandwidth below which `{REQUEST[0]}` is faster in total, "
        f"counting these times and the bytes (goal: above 1,000).{peers.absent()}"
    )
    columns = ("request", "bytes", "make, ms", "read and answer, ms", "both, ms", "times faster")
    last = f"{REQUEST[0]} ahead below, Mbit/s"
    rows = rows_of(sizes, times)
    return [Table("From arrays to the answer", note, (*columns, "target", last), rows)]
