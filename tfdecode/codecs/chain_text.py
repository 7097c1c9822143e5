"""Chain text: one grammar on the command line, in Python, in messages and in the documentation.

Steps are joined by ``|``. Options follow a ``:`` and are joined by ``,``. An option is
``name=value`` or, for the first option of a codec, the bare value: ``zlib:9`` is ``zlib:level=9``.
If that first option is a list, the bare values are its items (``transpose:2,0,1``). Values are
JSON, or words without quotes. Several chains for `one_of` are joined by `` or ``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import SpecError
from .base import AnyCodec, Codec
from .compressors.seal import Seal
from .containers.raw import Raw
from .registry import CODECS

Codecs: TypeAlias = "str | Sequence[str | Mapping[str, Any] | AnyCodec]"

#: A schema comes from a server, and each step is a part of the graph.
MAX_STEPS = 16
KINDS = ("filter", "container", "compressor")

# Between two chains, not within double quotes.
OR = re.compile(r'\s+or\s+(?=(?:[^"]*"[^"]*")*[^"]*$)')
# Options that hold bytes in base64.
BYTES = re.compile(r'\b(head|tail)=(?:"[^"]*"|[\w./-]+)')
# What stands between two separators, strings in double quotes and lists taken whole.
QUOTED = r'(?:"(?:[^"\\]|\\.)*"|\[[^\[\]"]*\]|[^{}"])*'


def parse(codecs: Codecs) -> tuple[AnyCodec, ...]:
    """Codecs from chain text, names, dicts or codec objects; ``raw`` where no container is named.

    >>> [codec.name for codec in parse("astype:uint8|zlib:9")]
    ['astype', 'raw', 'zlib']
    """
    steps = split(codecs, "|") if isinstance(codecs, str) else codecs
    if isinstance(steps, Mapping | bytes) or not isinstance(steps, Sequence):
        raise SpecError(f"codecs is {type(codecs).__name__}, needs chain text or a list of steps")
    if len(steps) > MAX_STEPS:
        raise SpecError(f"chain has {len(steps)} steps, at most {MAX_STEPS} can be")
    parsed = [step if isinstance(step, Codec) else from_config(step) for step in steps]
    kinds = [codec.kind for codec in parsed]
    if "container" not in kinds:
        place = kinds.index("compressor") if "compressor" in kinds else len(kinds)
        parsed.insert(place, Raw())
        kinds.insert(place, "container")
    if kinds.count("container") != 1 or kinds != sorted(kinds, key=KINDS.index):
        text = brief(chain_text(parsed))
        raise SpecError(f"chain {text!r} is not any filters, one container, any compressors")
    if any(isinstance(codec, Seal) for codec in parsed[:-1]):
        raise SpecError(f"chain {brief(chain_text(parsed))!r} has a seal that is not its last step")
    return tuple(parsed)


class Alternatives(tuple[tuple[AnyCodec, ...], ...]):
    """The codecs of several chains, as ``one_of`` gives them to an ArraySpec."""


def one_of(*chains: Codecs) -> Alternatives:
    """Several chains for one input, each payload of which says by which one it was packed.

    >>> [len(codecs) for codecs in one_of("astype:uint8|png|seal", "raw")]
    [3, 1]
    """
    return Alternatives(parse(codecs) for codecs in chains)


def parse_any(codecs: Codecs | Alternatives) -> tuple[AnyCodec, ...] | Alternatives:
    """What ``parse`` takes, or several chains: by ``one_of``, or as text with ``or`` between."""
    if isinstance(codecs, Alternatives):
        return codecs
    if isinstance(codecs, str) and len(chains := OR.split(codecs)) > 1:
        return one_of(*chains)
    return parse(codecs)


def from_config(step: str | Mapping[str, Any]) -> AnyCodec:
    """One codec from its text or its dict."""
    if not isinstance(step, str | Mapping):
        raise SpecError(f"codec is {step!r}, needs a name, a dict or a codec object")
    config = from_text(step) if isinstance(step, str) else dict(step)
    name = config.get("name")
    if not isinstance(name, str) or name not in CODECS:
        known = ", ".join(CODECS)
        raise SpecError(
            f"unknown codec {name!r}; known: {known}; a codec of your own is known after "
            "tfdecode.register_codec"
        )
    return CODECS[name].from_dict(config)


def from_text(step: str) -> dict[str, Any]:
    """The configuration that ``name:options`` stands for."""
    name, _, text = step.strip().partition(":")
    config: dict[str, Any] = {"name": name}
    if not text or name not in CODECS:
        return config
    bare: list[Any] = []
    for option in split(text, ","):
        key = re.match(r"\s*([a-z_]+)\s*=(.*)", option, re.DOTALL)
        if key and key[1] in config:
            raise SpecError(f"codec {name}: {text!r} gives {key[1]} again")
        if key:
            config[key[1]] = value_of(key[2])
        else:
            bare.append(value_of(option))
    if bare:
        options = [option for option in CODECS[name].options() if not option.kw_only]
        if not options:
            raise SpecError(f"codec {name} takes no options, {text!r} was given")
        takes_list = str(options[0].type).startswith("tuple")
        if not takes_list and len(bare) > 1:
            raise SpecError(f"codec {name}: {text!r} has {len(bare)} bare values, at most 1 can be")
        if options[0].name in config:
            raise SpecError(f"codec {name}: {text!r} gives {options[0].name} again")
        items = bare[0] if len(bare) == 1 and isinstance(bare[0], list) else bare
        config[options[0].name] = items if takes_list else bare[0]
    return config


def value_of(text: str) -> Any:
    """A JSON value, or the word as it stands."""
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
                options += [text_of(item) for item in value]
            else:
                options.append(text_of(value) if bare else f"{option.name}={text_of(value)}")
    return codec.name + (":" + ",".join(options) if options else "")


def brief(text: str) -> str:
    """Chain text for people, without the bytes that stand in it.

    >>> brief('pkl:pose,head="gASVtQAAAAAAAAB9lCiMBHBv",tail=lHSUYi4')
    'pkl:pose,head=...,tail=...'
    """
    return BYTES.sub(r"\1=...", text)


def text_of(value: Any) -> str:
    """The shortest text that ``value_of`` reads back."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value):
        return value if value_of(value) == value else json.dumps(value)
    return json.dumps(value)


def split(text: str, separator: str) -> list[str]:
    """``text`` at each separator outside double quotes."""
    pattern = QUOTED.replace("{}", re.escape(separator))
    return list(split_at(text, re.compile(pattern), separator))


def split_at(text: str, piece: re.Pattern[str], separator: str) -> Iterator[str]:
    """The pieces of ``text``; SpecError where a quote is left open."""
    start = 0
    while True:
        match = piece.match(text, start)
        end = match.end() if match else start
        yield text[start:end]
        if end == len(text):
            return
        if text[end] != separator:
            raise SpecError(
                f"chain text {brief(text)[:200]!r} has an open quote at character {end}"
            )
        start = end + 1
