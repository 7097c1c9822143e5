"""Make a SavedModel of a checkpoint, a frozen graph or a Keras file, with byte inputs.

Of a TensorFlow 1 graph only what the outputs need is taken: no optimizer, no input pipeline, no
devices. Tensors are named as in the graph, encode_ids:0; --suggest lists candidates. The new
version is run as a server runs it before it gets its name.

SPEC is a spec file (SPEC.json, or MODEL_DIR#INPUT), a chain, or an array file like those that
clients will send: then the chain is chosen for it. Of images it is image/png, image/jpeg or
image/*, as in tfdecode wrap. An input without SPEC takes arrays.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..saved_models import suggest as suggestions
from ..saved_models.convert import convert, spec_in_graph
from ..saved_models.declared import declared
from ..saved_models.keras_file import SUFFIXES, keras_model
from ..saved_models.media_types import is_media_type
from ..saved_models.sources import read_source
from ..schema import Schema
from .failure import UsageError, one_line
from .parsing import local
from .quiet_import import import_quietly
from .show import say, table
from .wrap import add_result, spec_of, table_of_specs

EXAMPLES = """\
examples:
  tfdecode convert model.ckpt-7 --suggest
  tfdecode convert model.ckpt-7 models/pose --input pose=pose:0=pose.pkl \\
      --output ids=encode_ids:0 --constant keep_prob:0=1
  tfdecode convert frozen.pb models/pose --input pose=pose:0=raw --output score=probs:0
  tfdecode convert model.keras models/pose --input pose=pose.pkl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``convert``."""
    add = parser.add_argument
    what = (
        "checkpoint (its prefix or .meta), frozen graph (.pb, .pbtxt) or Keras file (.keras, .h5)"
    )
    add("source", type=local, metavar="SOURCE", help=what)
    add("out", type=local, nargs="?", metavar="OUT_DIR", help="directory of the versions")
    each = "an input: NAME=TENSOR takes arrays, NAME=TENSOR=SPEC bytes; of a Keras file NAME=SPEC"
    add("--input", action="append", type=assigned, default=[], metavar="NAME=...", help=each)
    each = "an output: NAME=TENSOR, or NAME=TENSOR=SPEC to encode it; of a Keras file NAME=SPEC"
    add("--output", action="append", type=assigned, default=[], metavar="NAME=...", help=each)
    each = "the value of a tensor that no client sends: a number, JSON or text"
    add("--constant", action="append", type=constant, default=[], metavar="TENSOR=V", help=each)
    where = "directory of the vocabulary files that the graph names (default: that of SOURCE)"
    add("--assets", type=local, metavar="DIR", help=where)
    add("--suggest", action="store_true", help="list tensors that look like inputs and outputs")
    name = "signature with these inputs (default: %(default)s)"
    add("--signature", default="serving_default", metavar="S", help=name)
    unsafe = "run code that a Keras file brings (Lambda layers): only of a file that you trust"
    add("--no-safe-mode", action="store_true", help=unsafe)
    add_result(parser)


def assigned(text: str) -> tuple[str, list[str]]:
    """The argument ``NAME=TENSOR``, ``NAME=TENSOR=SPEC`` or ``NAME=SPEC``."""
    name, *rest = text.split("=", 2)
    if not (name and rest and all(rest)):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=TENSOR or NAME=TENSOR=SPEC")
    return name, rest


def constant(text: str) -> tuple[str, Any]:
    """The argument ``TENSOR=VALUE``; text if the value is not JSON, such as a path."""
    name, mark, value = text.partition("=")
    if not (name and mark):
        raise argparse.ArgumentTypeError(f"{text!r} is not TENSOR=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def run(arguments: argparse.Namespace) -> int:
    """Convert one model."""
    import_quietly()
    if arguments.suggest:
        return suggest(arguments)
    if arguments.out is None:
        raise UsageError("OUT_DIR is needed, or --suggest")
    keras = arguments.source.suffix in SUFFIXES
    for name, rest in arguments.input if keras else ():
        if len(rest) > 1:
            raise UsageError(f"argument --input: of a Keras file {name}=SPEC, without a tensor")
    graph = None if keras else read_source(arguments.source).graph
    takes, gives = (known(role, graph, arguments) for role in ("input", "output"))
    for name in arguments.cast:
        if name not in dict(arguments.input):
            raise UsageError(f"argument --cast: {name} is not named by --input")
    cast = {name: takes[name].dtype.name for name in arguments.cast if name in takes}
    inputs = {n: one(n, rest, graph, takes, arguments) for n, rest in arguments.input}
    arguments.role = "output"
    outputs = {n: one(n, rest, graph, gives, arguments) for n, rest in arguments.output}
    path = convert(
        arguments.source,
        arguments.out,
        inputs,
        outputs,
        constants=dict(arguments.constant),
        assets=arguments.assets,
        signature=arguments.signature,
        on_invalid="mask" if arguments.mask else "error",
        cast=cast,
        safe_mode=not arguments.no_safe_mode,
        version=arguments.version,
        min_tensorflow=arguments.min_tensorflow,
    )
    bytes_too = any(not isinstance(given, str) for given in inputs.values())
    packed = Schema.load(path) if bytes_too else Schema({})
    if arguments.json:
        result = {"model": str(path), "signature": arguments.signature, "bytes": list(packed)}
        say(json.dumps(result, indent=2))
        return 0
    say(one_line(f"{path}: signature {arguments.signature}, run as a server runs it"))
    table_of_specs([("input", packed), ("output", packed.outputs)])
    return 0


def known(role: str, graph: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """A tf.TensorSpec of each input or output, as far as the model says what it is."""
    given = dict(getattr(arguments, role))
    if graph is not None:
        specs = {n: spec_in_graph(graph, f"{role} {n}", rest[0]) for n, rest in given.items()}
        return {name: spec for name, spec in specs.items() if spec is not None}
    if role == "output":
        return {}
    return declared(keras_model(arguments.source, not arguments.no_safe_mode), list(given))


def one(
    name: str, rest: list[str], graph: Any, specs: dict[str, Any], arguments: argparse.Namespace
) -> Any:
    """An input or output as ``convert`` takes it."""
    if is_media_type(rest[-1]):  # the model says the shape
        return rest[0] if graph is None else tuple(rest)
    if graph is not None and len(rest) == 1:
        return rest[0]
    spec = spec_of(name, rest[-1], specs if name in specs else None, arguments)
    return spec if graph is None else (rest[0], spec)


def suggest(arguments: argparse.Namespace) -> int:
    """List tensors that look like inputs and outputs."""
    if arguments.source.suffix in SUFFIXES:
        raise UsageError("--suggest is for graphs; a Keras model knows its inputs")
    graph = read_source(arguments.source).graph
    inputs, outputs = suggestions.suggest(graph)
    known = {name: suggestions.about(graph, name) for name in (*inputs, *outputs)}
    if arguments.json:
        found = {name: {"dtype": dtype, "shape": shape} for name, (dtype, shape) in known.items()}
        say(json.dumps({"inputs": inputs, "outputs": outputs, "tensors": found}, indent=2))
        return 0
    rows = [
        [role, name, *known[name]]
        for role, names in (("input", inputs), ("output", outputs))
        for name in names
    ]
    table(("", "tensor", "dtype", "shape"), rows)
    return 0
