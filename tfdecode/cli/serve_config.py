"""Write the configuration of TensorFlow Serving for model directories.

Writes models.config, batching.config and docker-compose.yml into OUT_DIR, and prints the command
lines that start the server. The largest batch is one that all the models take: a server merges the
requests of several clients, and a graph that refuses the batch refuses all of them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..serving.config import (
    INSIDE,
    Model,
    batching_config,
    command,
    compose_file,
    largest_batch,
    models_config,
    shell,
)
from .failure import UsageError
from .parsing import pair, whole
from .show import say
from .write import make_directory, write_files

EXAMPLES = """\
examples:
  tfdecode serve-config models/pose -o serving/
  tfdecode serve-config pose=models/pose depth=models/depth -o serving/ --max-batch-size 16
  tfdecode serve-config models/pose --versions pose=3,4 --label pose=stable:3 -o serving/
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``serve-config``."""
    add = parser.add_argument
    models = "directory of a model's versions; it is served under NAME (default: its own name)"
    add("models", nargs="+", type=named, metavar="[NAME=]DIR", help=models)
    add("-o", type=Path, required=True, metavar="OUT_DIR", help="where to write the files")
    versions = "versions to serve (default: the newest)"
    form = "NAME=N[,N...]"
    add("--versions", action="append", type=pair(form), metavar=form, default=[], help=versions)
    label = "label of a version: the URL is then .../labels/LABEL"
    form = "NAME=LABEL:N"
    add("--label", action="append", type=pair(form), metavar=form, default=[], help=label)
    batch = "rows of a batch (default: 64, or as many as every model takes)"
    add("--max-batch-size", type=whole(1), metavar="N", help=batch)
    wait = "microseconds to wait for a batch to fill (default: %(default)s)"
    add("--batch-timeout", type=whole(0), default=2000, metavar="N", help=wait)
    threads = "batches at the same time; the number of cores (default: %(default)s)"
    add("--threads", type=whole(1), default=4, metavar="N", help=threads)
    add("--no-batching", action="store_true", help="run each request on its own")
    port, default = whole(1, 65_535), "default: %(default)s"
    add("--rest-port", type=port, default=8501, metavar="N", help=default)
    add("--grpc-port", type=port, default=8500, metavar="N", help=default)
    add("--json", action="store_true", help="print a JSON object")


def named(text: str) -> tuple[str, Path]:
    """The argument ``[NAME=]DIR``; the path itself may have ``=``."""
    name, mark, path = text.partition("=")
    return (name, Path(path)) if mark and not Path(text).is_dir() else ("", Path(text))


def run(arguments: argparse.Namespace) -> int:
    """Write the files."""
    if arguments.rest_port == arguments.grpc_port:
        raise UsageError(f"--rest-port and --grpc-port are both {arguments.rest_port}")
    versions = {name: numbers(text) for name, text in arguments.versions}
    labels: dict[str, dict[str, int]] = {}
    for name, text in arguments.label:
        label, _, number = text.rpartition(":")
        if not label or not number.isdecimal():
            raise UsageError(f"{text!r} is not LABEL:N")
        labels.setdefault(name, {})[label] = int(number)
    names = [name or path.resolve().name for name, path in arguments.models]
    for name in (*versions, *labels):
        if name not in names:
            raise UsageError(f"no model is named {name}; there are: {', '.join(names)}")
    models = [
        Model(path, name, tuple(versions.get(name, ())), labels.get(name, {}))
        for (_, path), name in zip(arguments.models, names, strict=True)
    ]
    batching = not arguments.no_batching
    size = largest_batch(models, arguments.max_batch_size)
    out: Path = arguments.o
    make_directory(out)
    ports = {"rest_port": arguments.rest_port, "grpc_port": arguments.grpc_port}
    files = {
        "models.config": models_config(models),
        "docker/models.config": models_config(models, INSIDE),
        "docker/docker-compose.yml": compose_file(models, batching=batching, **ports),
    }
    if batching:
        text = batching_config(
            size, timeout_micros=arguments.batch_timeout, threads=arguments.threads
        )
        files["batching.config"] = files["docker/batching.config"] = text
    (out / "docker").mkdir(exist_ok=True)
    write_files({out / name: text.encode() for name, text in files.items()})
    config, batch = (str((out / name).resolve()) for name in ("models.config", "batching.config"))
    start = command(config, batch if batching else None, **ports)
    if arguments.json:
        report = {
            "files": [str(out / name) for name in sorted(files)],
            "max_batch_size": size if batching else None,
            "command": start,
        }
        say(json.dumps(report, indent=2))
        return 0
    say(f"# {', '.join(str(out / name) for name in sorted(files))}")
    if batching:
        say(f"# batches of at most {size} rows")
    say(shell(start))
    say(f"# or: docker compose -f {out / 'docker' / 'docker-compose.yml'} up")
    return 0


def numbers(text: str) -> list[int]:
    """Whole numbers with commas, each once; UsageError if it is not that."""
    pieces = text.split(",")
    if not all(piece.isdecimal() for piece in pieces):
        raise UsageError(f"{text!r} is not N or N,N")
    return list(dict.fromkeys(map(int, pieces)))
