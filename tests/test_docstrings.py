"""Every public name has a numpydoc docstring: a sentence, its parameters, no leftovers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import tfdecode as tfd
from tfdecode import serving
from tfdecode.client import ArrayFile, InProcess
from tfdecode.saved_models.check import Report

CLASSES = (tfd.ArraySpec, tfd.Schema, Report, ArrayFile, InProcess)


def documented() -> Iterator[tuple[str, Any]]:
    """The functions and classes of the public face, and the public methods of these classes."""
    for name in tfd.__all__:
        if name != "codecs":
            yield name, getattr(tfd, name)
    for name in serving.__all__:
        yield f"serving.{name}", getattr(serving, name)
    for owner in CLASSES:
        yield owner.__name__, owner
        for name, member in inspect.getmembers(owner):
            function = getattr(member, "__func__", member)
            ours = str(getattr(function, "__module__", "")).startswith("tfdecode")
            if not name.startswith("_") and inspect.isfunction(function) and ours:
                yield f"{owner.__name__}.{name}", member


PUBLIC = dict(documented())


@pytest.mark.parametrize("name", PUBLIC)
def test_begins_with_a_sentence(name: str) -> None:
    first = (inspect.getdoc(PUBLIC[name]) or "").splitlines()[0]
    assert re.fullmatch(r"[A-Z].*[^.]\.", first), first


@pytest.mark.parametrize("name", PUBLIC)
def test_names_and_types_every_parameter(name: str) -> None:
    value = PUBLIC[name]
    if value is Report or (inspect.isclass(value) and issubclass(value, Exception | int)):
        return  # made by the library alone
    parameters = [p for p in inspect.signature(value).parameters if p not in ("self", "cls")]
    doc = inspect.getdoc(value) or ""
    section = doc.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    lines = re.findall(r"^(\S[^:\n]*) : \S", section, re.MULTILINE)
    assert [one for line in lines for one in line.replace("*", "").split(", ")] == parameters


@pytest.mark.parametrize("name", PUBLIC)
def test_titles_are_underlined(name: str) -> None:
    doc = inspect.getdoc(PUBLIC[name]) or ""
    assert not re.search(r":(param|type|returns?|raises)\b|^(Returns|Raises)\b.", doc, re.MULTILINE)
    for title in re.findall(r"^(\w+)\n-+$", doc, re.MULTILINE):
        assert f"{title}\n{'-' * len(title)}\n" in doc, title
