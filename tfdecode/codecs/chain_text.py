"""Chain text: one grammar for the command line, Python, messages and documentation.

Join steps with ``|``. Put options after ``:``, joined with ``,``. An option is ``name=value``; the
name of the first option of a codec may be left out: ``zlib:9`` is ``zlib:level=9``. If the first
option is a list, values without a name are its items (``transpose:2,0,1``). Values are JSON, or
words without quotes. Join the chains of `one_of` with `` or ``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import SpecError, meant, said
from .base import AnyCodec, Codec
from .compressors.seal import Seal
from .containers.raw import Raw
from .registry import CODECS

Codecs: TypeAlias = "str | Sequence[str | Mapping[str, Any] | AnyCodec]"

#: A schema can come from an untrusted server, and each step adds ops to the graph.
MAX_STEPS = 16
KINDS = ("filter", "container", "compressor")

# The separator of chains, not within double quotes.
OR = re.compile(r'\s+or\s+(?=(?:[^"]*"[^"]*")*[^"]*$)')
#: What codecs are called elsewhere.
OTHER_NAMES = {
    "gzip": "zlib",
    "gz": "zlib",
    "deflate": "zlib",
    "zstandard": "zstd",
    "pickle": "pkl",
    "numpy": "npy",
    "bitshuffle": "shuffle",
    "cast": "astype",
    "dtype": "astype",
    "matlab": "mat",
}
# Options with the bytes of a sample file or of a table, in base64.
SAMPLE_BYTES = re.compile(r'\b(head|tail|table)=(?:"[^"]*"|[\w./-]+)')
# Text up to a separator, which may occur inside double quotes and lists.
PIECE = r'(?:"(?:[^"\\]|\\.)*"|\[[^\[\]"]*\]|[^{}"])*'


def parse(codecs: Codecs) -> tuple[AnyCodec, ...]:
    """Codecs from chain text, names, dicts or codec objects; ``raw`` if there is no container."""
    steps = split(codecs, "|") if isinstance(codecs, str) else codecs
    if isinstance(codecs, str) and len(steps) > 1 and "" in [str(step).strip() for step in steps]:
        raise SpecError(f"chain text {brief(codecs)[:200]!r} has a | with no step on one side")
    if isinstance(steps, Mapping | bytes) or not isinstance(steps, Sequence):
        raise SpecError(f"codecs is {type(codecs).__name__}, needs chain text or a list of steps")
    if len(steps) > MAX_STEPS:
        raise SpecError(f"chain has {len(steps)} steps, at most {MAX_STEPS} are supported")
    parsed = [step if isinstance(step, Codec) else from_config(step) for step in steps]
    kinds = [codec.kind for codec in parsed]
    if "container" not in kinds:
        index = kinds.index("compressor") if "compressor" in kinds else len(kinds)
        parsed.insert(index, Raw())
        kinds.insert(index, "container")
    problem = ""
    if kinds.count("container") != 1:
        problem = f"has {kinds.count('container')} containers, needs exactly one"
    elif kinds != sorted(kinds, key=KINDS.index):
        problem = "is out of order: filters come first, then one container, then compressors"
    elif any(isinstance(codec, Seal) for codec in parsed[:-1]):
        problem = "is out of order: seal must be the last step"
    if problem:
        raise SpecError(f"chain {brief(chain_text(parsed))!r} {problem}")
    return tuple(parsed)


class Alternatives(tuple[tuple[AnyCodec, ...], ...]):
    """The codecs of several chains, for an ArraySpec."""


def one_of(*chains: Codecs) -> Alternatives:
    """Several chains for one input; each payload shows which of them packed it.

    ``encode`` tries all chains and returns the smallest payload. The graph decodes each row by its
    own chain, so a batch can mix them. Put a chain that can encode every array last, as ``raw``.

    Parameters
    ----------
    *chains : str or sequence
        2 to 32 chains: each is chain text, or a list of names, dicts or codec objects.

    Returns
    -------
    Alternatives
        The value for the argument ``codecs`` of an ArraySpec.

    Raises
    ------
    SpecError
        If a chain is invalid.

    Examples
    --------
    >>> import numpy as np, tfdecode as tfd
    >>> spec = tfd.ArraySpec((4, 5), "float32", tfd.one_of("astype:uint8|zlib", "raw"))
    >>> len(spec.encode(np.ones((4, 5), np.float32))) < len(spec.encode(np.full((4, 5), 0.1, "f4")))
    True
    """
    return Alternatives(parse(codecs) for codecs in chains)


def parse_any(codecs: Codecs | Alternatives) -> tuple[AnyCodec, ...] | Alternatives:
    """The codecs of one chain, as ``parse``, or of several: by ``one_of`` or text with `` or ``."""
    if isinstance(codecs, Alternatives):
        return codecs
    if isinstance(codecs, str) and len(chains := OR.split(f" {codecs} ")) > 1:
        if not all(chain.strip() for chain in chains):
            text = brief(codecs)[:200]
            raise SpecError(f"chain text {text!r} has an 'or' with no chain on one side")
        return one_of(*(chain.strip() for chain in chains))
    return parse(codecs)


def from_config(step: str | Mapping[str, Any]) -> AnyCodec:
    """One codec from its text or its dict."""
    if not isinstance(step, str | Mapping):
        raise SpecError(f"codec is {step!r}, needs a name, a dict or a codec object")
    config = from_text(step) if isinstance(step, str) else dict(step)
    name = config.get("name")
    if not isinstance(name, str) or name not in CODECS:
        own = said("; a codec of your own is known after tfdecode.register_codec")
        known = f"{', '.join(CODECS)}{own}"
        raise SpecError(f"unknown codec {name!r:.100}{correction(name)}; known: {known}")
    return CODECS[name].from_dict(config)


def correction(name: object) -> str:
    """What a text that is no name of a codec can have meant, for the message."""
    word, _, rest = re.sub(r"\W+", " ", str(name)).strip().lower().partition(" ")
    if word in OTHER_NAMES:
        return f" (did you mean {OTHER_NAMES[word]!r}?)"
    if word in ("one_of", "or") or rest.startswith("or "):
        return " (join chains by ' or ', as in 'zlib or raw')"
    if word in CODECS and rest.split(" ")[0] in CODECS:
        return " (join steps by '|', as in 'shuffle|zlib')"
    if word in CODECS and rest:
        return f" (options follow a colon and are joined by commas: '{word}:{rest}')"
    return meant(word, CODECS)


def from_text(step: str) -> dict[str, Any]:
    """The configuration of the step ``name:options``."""
    name, _, text = step.strip().partition(":")
    config: dict[str, Any] = {"name": name}
    if not text or name not in CODECS:
        return config
    bare: list[Any] = []
    for option in split(text, ","):
        key = re.match(r"\s*([a-z_]+)\s*=(.*)", option, re.DOTALL)
        if key and key[1] in config:
            raise SpecError(f"codec {name}: {text!r} gives {key[1]} twice")
        if key:
            config[key[1]] = parse_value(key[2])
        else:
            bare.append(parse_value(option))
    if bare:
        options = [option for option in CODECS[name].options() if not option.kw_only]
        if not options:
            raise SpecError(f"codec {name}: takes no options, got {text!r}")
        takes_list = str(options[0].type).startswith("tuple")
        if not takes_list and len(bare) > 1:
            raise SpecError(f"codec {name}: {text!r}: only one value may be given without a name")
        if options[0].name in config:
            raise SpecError(f"codec {name}: {text!r} gives {options[0].name} twice")
        items = bare[0] if len(bare) == 1 and isinstance(bare[0], list) else bare
        config[options[0].name] = items if takes_list else bare[0]
    return config


def parse_value(text: str) -> Any:
    """A JSON value, or a word without quotes."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def chain_text(codecs: Sequence[AnyCodec]) -> str:
    """The text of a chain."""
    return "|".join(to_text(codec) for codec in codecs)


def to_text(codec: AnyCodec) -> str:
    """The text of one codec, defaults left out."""
    config = codec.to_dict()
    options = []
    for index, option in enumerate(codec.options()):
        if option.name in config:
            value = config[option.name]
            bare = index == 0 and not option.kw_only
            if bare and isinstance(value, list):
                options += [format_value(item) for item in value]
            else:
                text = format_value(value)
                options.append(text if bare else f"{option.name}={text}")
    return codec.name + (":" + ",".join(options) if options else "")


def brief(text: str) -> str:
    """Chain text for messages: ``head=...`` in place of the bytes of samples and tables."""
    return SAMPLE_BYTES.sub(r"\1=...", text)


def format_value(value: Any) -> str:
    """The shortest text that ``parse_value`` reads back."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value):
        return value if parse_value(value) == value else json.dumps(value)
    return json.dumps(value)


def split(text: str, separator: str) -> list[str]:
    """``text`` at each separator outside double quotes; SpecError if a quote is not closed."""
    piece = re.compile(PIECE.replace("{}", re.escape(separator)))
    pieces, start = [], 0
    while True:
        match = piece.match(text, start)
        end = match.end() if match else start
        pieces.append(text[start:end])
        if end == len(text):
            return pieces
        if text[end] != separator:
            quoted = repr(brief(text)[:200])
            raise SpecError(f"chain text {quoted} has an unclosed quote at character {end}")
        start = end + 1
