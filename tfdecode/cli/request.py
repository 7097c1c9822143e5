"""Print the body of a request to TensorFlow Serving, to post it with curl or another program.

An input of the schema is packed from an array file, or is a payload (.tfd), or a file that its
chain reads as it is. Another input is sent as a list if it is an array file, else as the bytes of
the file. Give NAME several times to send a batch of rows.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from ..client.array_file import ArrayFile
from ..client.options import model_of
from ..client.request import request
from ..schema import Schema
from .failure import UsageError
from .parsing import pair
from .predict import given_file, output
from .schema import is_url
from .show import say
from .source import add_casting, add_limit
from .write import refuse_overwriting, write_files

EXAMPLES = """\
examples:
  tfdecode request models/pose pose_map=pose.pkl | curl -d @- http://localhost:8501/v1/models/pose:predict
  tfdecode request pose.json pose_map=a.pkl pose_map=b.pkl -o body.json
  tfdecode request models/pose pose_map=pose.pkl -o body.json --url http://localhost:8501/v1/models/pose
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``request``."""
    add = parser.add_argument
    model = "SavedModel or its versions, or a schema file"
    add("schema", metavar="MODEL_OR_SCHEMA", help=model)
    file = "NAME=FILE[#KEY]"
    add("inputs", nargs="+", type=pair(file), metavar=file, help="input of the model")
    add("--signature", metavar="S", help="signature to run (default: that of the schema)")
    rows = 'the row format, {"instances": [...]}, which managed endpoints need'
    add("--rows", action="store_true", help=rows)
    add("-o", type=output, metavar="BODY.json", help="write the body to a file (default: print)")
    add("--url", help="print the curl command that posts the body to this URL of a model")
    add_limit(parser)
    add_casting(parser)
    add("--json", action="store_true", help="print a JSON object: the URL, the bytes and the body")


def run(arguments: argparse.Namespace) -> int:
    """Print or write the body."""
    if arguments.url is not None and not arguments.url.startswith(("http://", "https://")):
        raise UsageError(
            f"argument --url: {arguments.url!r} does not begin with http:// or https://"
        )
    if is_url(arguments.schema):
        raise UsageError(
            f"{arguments.schema} is a server, and request needs a directory or a schema file: "
            f"save the schema by tfdecode schema {shlex.quote(arguments.schema)} --json"
        )
    schema = Schema.load(Path(arguments.schema))
    inputs: dict[str, list[Any]] = {}
    files = [given_file(text, arguments) for _, text in arguments.inputs]
    for (name, _), file in zip(arguments.inputs, files, strict=True):
        inputs.setdefault(name, []).append(file)
    single = {name: values if len(values) > 1 else values[0] for name, values in inputs.items()}
    body = request(schema, single, signature=arguments.signature, by_rows=arguments.rows)
    out: Path | None = arguments.o
    if out is not None:
        refuse_overwriting([file.path for file in files if isinstance(file, ArrayFile)], [out])
        write_files({out: body})
    if arguments.json:
        report = {
            "url": None if arguments.url is None else predict_url(arguments.url),
            "bytes": len(body),
            "saved": None if out is None else str(out),
            "body": json.loads(body) if out is None else None,
        }
        say(json.dumps(report))
        return 0
    if out is None and arguments.url is None:
        sys.stdout.buffer.write(body + b"\n")
    if arguments.url is not None:
        data = f"@{out}" if out is not None else body.decode()
        kind = ["-H", "Content-Type: application/json"]
        say(shlex.join(["curl", *kind, "--data-binary", data, predict_url(arguments.url)]))
    return 0


def predict_url(url: str) -> str:
    """Where to post to: a model's own URL gets ``:predict``."""
    place, mark, query = url.partition("?")
    model = model_of(place)
    return f"{model}:predict{mark}{query}" if model else url
