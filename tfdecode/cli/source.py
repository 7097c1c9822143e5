"""Arguments that name an array or a spec: ``FILE#KEY``, ``SPEC.json`` or ``MODEL_DIR#INPUT``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import reading
from ..conversion import CASTINGS
from ..dtypes import dtype_name
from ..errors import FileError, SpecError
from ..formats import contents
from ..schema import ASSET, MAX_BYTES, Schema, version_directory
from ..spec import ArraySpec
from ..spec_json import parse_json
from .failure import UsageError
from .parsing import argument, byte_count, sides
from .write import named_path

#: An argument that is standard input or output.
DASH = "-"


def refuse_dash(text: str) -> None:
    """ArgumentTypeError for ``-``, of an argument that takes only files."""
    if text == DASH:
        raise argparse.ArgumentTypeError(
            "standard input or output (-) is not taken here; name a file (./- if it is called so)"
        )


def split_fragment(text: str) -> tuple[Path, str | None]:
    """The longest path that exists, perhaps with ``#``, and the text after its own, or None."""
    pieces = text.split("#")
    for count in range(len(pieces), 0, -1):
        path = "#".join(pieces[:count])
        if path and os.path.exists(path):
            return Path(path), "#".join(pieces[count:]) if count < len(pieces) else None
    path, mark, fragment = text.partition("#")
    return Path(path), fragment if mark else None


def parse_path_key(text: str) -> tuple[Path, str | None]:
    """The argument ``PATH[#KEY]``."""
    refuse_dash(text)
    if not text or (text.startswith("#") and not os.path.exists(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a file name")
    return split_fragment(text)


def array_file(text: str) -> tuple[Path, str | None]:
    """The argument ``FILE[#KEY]``."""
    path, key = parse_path_key(text)
    return named_path(str(path)), key


def with_key(
    files: Sequence[tuple[Path, str | None]], key: str | None, metavar: str
) -> list[tuple[Path, str | None]]:
    """The files, each with ``--key`` if that is given; UsageError if one has its own key."""
    if key is not None and any(own is not None for _, own in files):
        raise UsageError(f"argument --key: not allowed with a {metavar} that has a #KEY")
    return [(path, key if own is None else own) for path, own in files]


def add_limit(parser: argparse.ArgumentParser) -> None:
    """``--max-bytes``."""
    limit = "largest array to read, in bytes; 4K, 4M and 4G are allowed (default: 2G)"
    parser.add_argument(
        "--max-bytes", type=byte_count, default=contents.MAX_BYTES, metavar="N", help=limit
    )


def add_missing(parser: argparse.ArgumentParser) -> None:
    """``--missing``."""
    missing = "read missing cells of a table (empty, NA, n/a, NULL) as NaN"
    parser.add_argument("--missing", choices=["nan"], help=missing)


def add_dtype(parser: argparse.ArgumentParser, what: str) -> None:
    """``--dtype``, ``--casting`` and ``--shape``."""
    dtype = f"{what}; of a file without a header (.bin), the dtype of its numbers"
    parser.add_argument("--dtype", type=argument(dtype_text), help=dtype)
    add_casting(parser)
    shape = "shape of a file without a header (.bin), as -1,4; one size may be -1"
    parser.add_argument("--shape", type=sides, help=shape)


def add_casting(parser: argparse.ArgumentParser) -> None:
    """``--casting``."""
    casting = (
        "values that a change of dtype may change: equiv none, same_kind rounds floats, unsafe "
        "any; no refuses another dtype (default: equiv)"
    )
    parser.add_argument("--casting", choices=CASTINGS, default="equiv", help=casting)


def dtype_text(text: str) -> str:
    """The argument of ``--dtype``; ``>f4`` keeps its byte order, for files without a header."""
    name = dtype_name(text)
    return text if text.startswith(">") else name


def reading_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of `load` that a command line gave."""
    names = ("max_bytes", "missing", "dtype", "casting", "shape")
    return {name: value for name in names if (value := getattr(arguments, name, None)) is not None}


def listing_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Those of them that say what a file holds."""
    return {name: value for name, value in reading_of(arguments).items() if name != "casting"}


def given_spec(text: str | None) -> tuple[ArraySpec | None, list[Path]]:
    """The spec of ``--spec``, and its file; None and no file without that option."""
    if text is None:
        return None, []
    spec, origin = read_spec(text)
    return spec, [origin]


def read_spec(text: str) -> tuple[ArraySpec, Path]:
    """The spec that ``text`` names, and its file; FileError if unreadable, SpecError if no spec."""
    path, name = split_fragment(text)
    if text == DASH:
        raise FileError("standard input (-) is not taken for a spec; save it to a file first")
    if not text or text.startswith("#"):
        raise FileError(f"{text!r} is not a spec; pass SPEC.json or MODEL_DIR#INPUT")
    try:
        if path.is_dir():
            return select_input(Schema.load(path), name), version_directory(path) / ASSET
        return select_input(read_specs(path), name), path
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def read_specs(path: Path) -> ArraySpec | Schema:
    """The spec or the schema of a JSON file; raises as ``read_spec``."""
    data = reading.read(path, MAX_BYTES, "it is not a spec")
    value = parse_json(data, "it")
    schema = isinstance(value, dict) and "inputs" in value
    return Schema.from_json(data) if schema else ArraySpec.from_dict(value)


def select_input(found: ArraySpec | Schema, name: str | None) -> ArraySpec:
    """The spec itself, or that of input ``name`` or the only input; SpecError if there is none."""
    if isinstance(found, ArraySpec):
        if name is not None:
            raise SpecError(f"is the spec of one array, so it has no input #{name}")
        return found
    known = inputs_of(found)
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None or name not in known:
        problem = "has several inputs" if name is None else f"has no input {name}"
        raise SpecError(f"{problem}; choose one with #NAME: {', '.join(known) or 'none'}")
    return known[name]


def inputs_of(schema: Schema) -> dict[str, ArraySpec]:
    """The inputs by name; of several signatures also by ``SIGNATURE/NAME``, if they differ."""
    if not schema.signatures:
        return dict(schema)
    known: dict[str, ArraySpec] = {}
    for signature, one in schema.signatures.items():
        for name, spec in one.items():
            if known.setdefault(name, spec) != spec:
                known[f"{signature}/{name}"] = spec
    return known


def spec_path(payload: Path) -> Path:
    """The file of a payload's spec, next to the payload."""
    return payload.with_name(f"{payload.name}.json")


def path_key(path: Path | str, key: str | None) -> str:
    """``FILE`` or ``FILE#KEY``: the reverse of ``parse_path_key``."""
    return str(path) if key is None else f"{path}#{key}"
