"""Add byte inputs to a SavedModel of any origin, without its source.

Writes a new version into OUT_DIR with one more signature, whose inputs are byte strings. Everything
else of the model stays as it is: signatures, weights, assets. The new version is run as a server
runs it, and compared with the old signature, before it gets its name.

SPEC is a spec file (SPEC.json, or MODEL_DIR#INPUT), a chain, or an array file like those that
clients will send: then the chain is chosen for it. Of images it is image/png, image/jpeg, or
image/* for both; ;max_shape=HEIGHT,WIDTH,CHANNELS bounds sizes that the model leaves open.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from mimetypes import guess_type
from typing import Any

from ..choose.infer import infer
from ..codecs.chain_text import brief
from ..conversion import converted
from ..errors import EncodeError, ExportError, FileError, SpecError
from ..files import has_suffix, load
from ..names import bytes_key
from ..saved_models.media_types import MEDIA_TYPES, image_spec, is_media_type
from ..saved_models.wrap import signature_of, wrap
from ..spec import ArraySpec
from .failure import UsageError, note, one_line
from .packing import add_choice, preferences
from .parsing import INT64, local, pair, whole
from .quiet_import import import_quietly
from .show import dimensions, say, table
from .source import add_casting, add_limit, read_spec, split_fragment

EXAMPLES = """\
examples:
  tfdecode wrap theirs/ models/pose --input pose_map=pose.pkl
  tfdecode wrap theirs/1 models/pose --input pose_map=spec.json --input labels='astype:uint8|png'
  tfdecode wrap theirs/ models/seg --input image=image.npy --output mask=mask.npy --replace-default
  tfdecode wrap theirs/ models/shop --input prod_image=image/jpeg --cast prod_image --mask
  tfdecode wrap theirs/ models/pose --input pose_map=pose.pkl --min-tensorflow 2.8
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``wrap``."""
    add = parser.add_argument
    model = "SavedModel, or the directory of its versions"
    add("model", type=local, metavar="MODEL_DIR", help=model)
    add("out", type=local, metavar="OUT_DIR", help="directory of the versions of the result")
    each = "an input that becomes NAME_bytes; once for each"
    form = "NAME=SPEC"
    add("--input", action="append", type=pair(form), metavar=form, required=True, help=each)
    each = "an output that becomes NAME_bytes; once for each"
    add("--output", action="append", type=pair(form), metavar=form, default=[], help=each)
    source = "signature of the model to take them from (default: %(default)s)"
    add("--source", default="serving_default", metavar="S", help=source)
    new = "name of the new signature (default: %(default)s)"
    add("--signature", default="bytes", metavar="S", help=new)
    default = 'make it serving_default too; the old one is then called "arrays"'
    add("--replace-default", action="store_true", help=default)
    lengths = "an input of any length, if the signature takes NAME_lengths too; once for each"
    add("--padded", action="append", metavar="NAME", default=[], help=lengths)
    rows = "rows to decode at once (default: as many as the memory budget allows)"
    add("--max-rows", type=whole(1), metavar="N", help=rows)
    warmup = "write no record of a request that TensorFlow Serving runs first"
    add("--no-warmup", action="store_true", help=warmup)
    unequal = "take inputs that differ in their number of rows (default: refused)"
    add("--unequal-rows", action="store_true", help=unequal)
    add_result(parser)


def add_result(parser: argparse.ArgumentParser) -> None:
    """What ``wrap`` and ``convert`` take about the model that they write."""
    add = parser.add_argument
    each = "an input of pixels that the graph casts to the dtype of the model; once for each"
    add("--cast", action="append", metavar="NAME", default=[], help=each)
    mask = "answer the good rows of a batch and report the bad ones in the output status"
    add("--mask", action="store_true", help=f"{mask} (default: a bad row fails the request)")
    number = "number of the version (default: the next)"
    add("--version", type=whole(1, INT64), metavar="N", help=number)
    add_choice(parser)
    add_casting(parser)
    add_limit(parser)
    add("--json", action="store_true", help="print a JSON object")


def named(given: list[tuple[str, str]], known: dict[str, Any]) -> dict[str, str]:
    """Name -> spec of arguments ``NAME=SPEC``; UsageError for a name twice.

    A name of the model can have a ``=``: the longest that it has is meant.
    """
    found: dict[str, str] = {}
    for one in given:
        pieces = "=".join(one).split("=")
        splits = [("=".join(pieces[:n]), "=".join(pieces[n:])) for n in range(1, len(pieces))]
        name, spec = next((s for s in reversed(splits) if s[0] in known), splits[0])
        if name in found:
            raise UsageError(f"{name} is named twice")
        found[name] = spec
    return found


def run(arguments: argparse.Namespace) -> int:
    """Wrap one model."""
    import_quietly()
    inputs, outputs = signature_of(arguments.model, arguments.source)
    given = named(arguments.input, inputs)
    cast = {name: inputs[name].dtype.name for name in arguments.cast if name in inputs}
    unknown = [name for name in arguments.cast if name not in given]
    if unknown:
        raise UsageError(f"argument --cast: {unknown[0]} is not named by --input")
    specs = {name: spec_of(name, text, inputs, arguments) for name, text in given.items()}
    arguments.role = "output"
    given = named(arguments.output, outputs)
    encoded = {name: spec_of(name, text, outputs, arguments) for name, text in given.items()}
    path = wrap(
        arguments.model,
        arguments.out,
        specs,
        encoded,
        source=arguments.source,
        signature=arguments.signature,
        replace_default=arguments.replace_default,
        on_invalid="mask" if arguments.mask else "error",
        cast=cast,
        ragged=dict.fromkeys(arguments.padded, "padded"),
        max_rows=arguments.max_rows,
        independent_rows=not arguments.unequal_rows,
        warmup=not arguments.no_warmup,
        version=arguments.version,
        min_tensorflow=arguments.min_tensorflow,
    )
    groups = (("input", specs), ("output", encoded))
    added = [
        (bytes_key(name), role, spec) for role, group in groups for name, spec in group.items()
    ]
    if arguments.json:
        report = [{"name": key, "role": role, "spec": spec.to_dict()} for key, role, spec in added]
        result = {"model": str(path), "signature": arguments.signature, "bytes": report}
        say(json.dumps(result, indent=2))
        return 0
    say(one_line(f"{path}: signature {arguments.signature}, compared with {arguments.source}"))
    table_of_specs(groups)
    return 0


def table_of_specs(groups: Iterable[tuple[str, Mapping[str, ArraySpec]]]) -> None:
    """Print the specs of inputs and of outputs, if there are any."""
    cells = [
        [bytes_key(name), role, spec.dtype, dimensions(spec.shape), brief(spec.chain.text)]
        for role, group in groups
        for name, spec in group.items()
    ]
    if cells:
        table(("name", "role", "dtype", "shape", "chain"), cells)


def spec_of(
    name: str, text: str, known: dict[str, Any] | None, arguments: argparse.Namespace
) -> ArraySpec:
    """The spec of an input or output; an array or a chain takes dtype and shape of the model.

    ``known`` is None if the model does not say them.
    """
    if known is not None and name not in known:
        listed = ", ".join(known)
        raise ExportError(f"{arguments.source} has no {name!r}; it has: {listed}")
    dtype, shape = (known[name].dtype.name, known[name].shape) if known else (None, None)
    cast = name in arguments.cast
    if is_media_type(text):
        return image_spec(name, text, known[name] if known else None, {name: dtype} if cast else {})
    path, key = split_fragment(text)
    if path.is_file() and has_suffix(path):
        array = load(path, key, max_bytes=arguments.max_bytes)
        if dtype is not None and not cast:
            try:
                array = converted(array, dtype, arguments.casting)
            except EncodeError as error:
                raise EncodeError(f"{text}: the model takes {dtype} for {name}: {error}") from None
        if shape is not None and shape.rank == array.ndim > 0 and shape[0] is None:
            raise FileError(
                f"{text}: is a batch of {len(array)} for {name}, {dimensions(array.shape)}; pass a "
                "file of one row, like those that clients will send"
            )
        media, _ = guess_type(path.name)
        if media in MEDIA_TYPES and getattr(arguments, "role", "input") == "input":
            note(f"{name} takes packed pixels; --input {name}={media} takes files as they are")
        return infer(array, label=name, **preferences(arguments))
    if path.exists():
        return read_spec(text)[0]
    if has_suffix(path) or path.suffix == ".json":
        raise FileError(f"{path}: no such file, for {name}")
    if known is None:
        raise SpecError(
            f"a chain does not say dtype and shape of {name}: pass an array file or SPEC.json"
        )
    if shape is None or shape.rank is None or None in shape.as_list()[1:]:
        raise SpecError(
            f"{name} has shape {shape} in the model, so a chain does not say enough; pass an array "
            f"file or SPEC.json"
        )
    try:
        return ArraySpec(shape.as_list()[1:], "uint8" if cast else dtype, text, label=name)
    except SpecError as error:
        raise SpecError(f"{text!r} is neither a file nor a chain for {name}: {error}") from None
