"""Run benchmarks: print their tables, and write them to ``RESULTS.md``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from importlib import import_module

from . import plots, report

BENCHMARKS = {
    "sizes": "payload bytes of each input, beside others and the targets; sizes.png",
    "encode": "MB/s on the client, and png beside cv2.imencode",
    "decode": "time in the graph as a multiple of decode_raw + reshape",
    "native": "files of other programs in the graph, as they are",
    "request": "four pose maps from arrays to the answer; docs/request.png",
    "clients": "clients and a server in another process, over REST and gRPC; what to install",
    "answers": "answers that a graph encodes, from the tensor to the array of a client",
    "overhead": "what checking every row costs",
    "png": "png in the graph beside map_fn(decode_png)",
    "memory": "the peak of memory while decoding",
    "worst": "the peak of memory for the worst payloads of what infer proposes",
    "choices": "what infer chooses beside plain deflate",
    "costs": "what each codec costs to decode, beside what infer assumes",
    "bulk": "CPU to write and read data sets of many files",
    "start": "imports, a whole pack process, the first request of a model",
}


def main() -> None:
    """Run the benchmarks that the command line names, or all."""
    listed = "\n".join(f"  {name:10}{what}" for name, what in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{__doc__}\n\nbenchmarks:\n{listed}\n\nexample: python -m benchmarks sizes",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", help="which to run; all if none is named")
    names = parser.parse_args().name or list(BENCHMARKS)
    unknown = ", ".join(name for name in names if name not in BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark is named {unknown}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for library in ("absl", "tensorflow"):  # which say at each input that TFDS is old-fashioned
        logging.getLogger(library).setLevel(logging.ERROR)
    for name in names:
        start = time.perf_counter()
        tables = import_module(f".bench_{name}", __package__).main()
        for table in tables:
            print(table.markdown(), flush=True)
        report.write(name, tables, list(BENCHMARKS))
        if name == "request":
            plots.plot_request(report.RESULTS.read_text())
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
