"""Print what a model takes, from its directory, a schema file or the URL of a server."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from ..client.grpc import Grpc
from ..client.rest import Rest
from ..client.signature import Tensor, schema_inputs
from ..codecs.chain_text import brief
from ..errors import FileError, SpecError
from ..names import bytes_key
from ..reading import check_url
from ..schema import Schema
from ..schema_json import DEFAULT_SIGNATURE, main_of
from ..spec import ArraySpec
from .failure import one_line
from .parsing import byte_count, seconds, whole
from .show import dimensions, say, table

GRPC = ("grpc://", "grpcs://")

EXAMPLES = """\
examples:
  tfdecode schema models/pose
  tfdecode schema http://localhost:8501/v1/models/pose
  tfdecode schema grpc://localhost:8500/v1/models/pose
  tfdecode schema http://localhost:8501/v1/models/pose --json > pose.json   for pack --spec
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``schema``."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="SavedModel or its versions, schema file, or URL")
    signature = "signature to show (default: serving_default, else the first)"
    add("--signature", metavar="S", help=signature)
    add_headers(parser)
    add("--json", action="store_true", help="print the schema as JSON")


def add_headers(parser: argparse.ArgumentParser) -> None:
    """``--header``."""
    header = "header of each request, as 'Authorization: Bearer TOKEN'"
    parser.add_argument(
        "--header", action="append", default=[], type=header_line, metavar="H", help=header
    )


def add_server(parser: argparse.ArgumentParser) -> None:
    """The options of requests to a server."""
    add_headers(parser)
    add = parser.add_argument
    schema = "schema file or model directory, for an endpoint that does not tell its schema"
    add("--schema", type=Path, metavar="FILE", help=schema)
    body = "largest body that the server takes; 4K and 4M are allowed; a larger batch is split"
    add("--max-body-bytes", type=byte_count, metavar="N", help=body)
    retries = "tries again if there is no connection or the server is busy (default: none)"
    add("--retries", type=whole(0), default=0, metavar="N", help=retries)
    add("--timeout", type=seconds, default=60.0, metavar="S", help="seconds to wait (default: 60)")


def header_line(text: str) -> tuple[str, str]:
    """The argument ``NAME: VALUE``."""
    name, mark, value = text.partition(":")
    if not (name.strip() and mark):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME: VALUE")
    return name.strip(), value.strip()


def is_url(text: str) -> bool:
    """Whether an argument is the URL of a server, not a path."""
    return text.startswith(("http://", "https://", *GRPC))


def check_place(text: str) -> None:
    """FileError for a server's address that would be taken for a path, and for another URL."""
    check_url(text)
    if not Path(text).exists() and re.match(r"[\w.-]+:\d+(/|$)|[^/]+/v1/models/", text):
        raise FileError(
            f"{text}: there is no such file; if it is a server, write http://{text} (REST) or "
            f"grpc://{text} (gRPC)"
        )


def server_client(arguments: argparse.Namespace) -> Rest | Grpc:
    """The client of the model at a URL."""
    given = vars(arguments)
    options: dict[str, Any] = {"signature": arguments.signature, "headers": dict(arguments.header)}
    options |= {name: given[name] for name in ("retries", "timeout") if name in given}
    if given.get("schema") is not None:
        options["schema"] = Schema.load(arguments.schema)
    grpc, most = arguments.model.startswith(GRPC), given.get("max_body_bytes")
    if most is not None:
        options["max_message_bytes" if grpc else "max_body_bytes"] = most
    return Grpc(arguments.model, **options) if grpc else Rest(arguments.model, **options)


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    outputs: dict[str, Tensor] | None = None
    if is_url(arguments.model):
        with server_client(arguments) as client:
            schema, inputs, outputs = client.describe()
    else:
        check_place(arguments.model)
        schema = Schema.load(Path(arguments.model), arguments.signature)
        if arguments.signature not in (None, schema.name or DEFAULT_SIGNATURE):
            raise SpecError(
                f"{arguments.model}: its schema is that of {DEFAULT_SIGNATURE}, not of "
                f"{arguments.signature!r}; tfdecode inspect lists the signatures of a model"
            )
        inputs = schema_inputs(schema)
    if arguments.json:
        say(schema.to_json())
        return 0
    rows = [row("input", given.key, given, given.spec) for given in inputs.values()]
    if outputs is None:
        rows += [row("output", bytes_key(name), None, s) for name, s in schema.outputs.items()]
    else:
        packed = {bytes_key(name): spec for name, spec in schema.outputs.items()}
        rows += [row("output", key, one, packed.get(key)) for key, one in outputs.items()]
    table(("", "name", "dtype", "shape", "packed by"), rows)
    if schema.max_batch_size is not None:
        say(f"at most {schema.max_batch_size:,} rows in a batch")
    if schema.signatures:
        shown = main_of(schema.signatures)
        others = [f"--signature {name}" for name in schema.signatures if name != shown]
        say(one_line(f"signature {shown} of several; see {', '.join(others)}"))
    return 0


def row(role: str, key: str, one: Tensor | None, spec: ArraySpec | None) -> list[str]:
    """The cells of an input or output: of the array if it is packed, else of the tensor."""
    name = "" if one is None or one.name in key else f" ({one.name})"
    key = one_line(f"{key}{name}")
    if spec is not None:
        return [role, key, spec.dtype, dimensions(spec.shape), brief(spec.chain.text)]
    assert one is not None
    shape = "any" if one.shape is None else dimensions(one.shape)
    return [role, key, one.dtype, shape, ""]
