"""The domain that a codec states is the domain that it accepts."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tfdecode as tfd
from tests.codecs.cases import CASES

SMALL = ["bool", "int8", "uint8", "int16", "uint16"]


@pytest.mark.parametrize("target", SMALL)
@pytest.mark.parametrize("source", SMALL)
def test_integers_that_astype_names_are_those_that_it_takes(source: str, target: str) -> None:
    spec = tfd.ArraySpec((), source, f"astype:{target}")
    text = spec.codecs[0].domain(spec.chain.form)
    low, high = (0, 1) if source == "bool" else (np.iinfo(source).min, np.iinfo(source).max)
    edges = {-(2**15), -(2**7), 0, 1, 2, 2**7, 2**8, 2**15, 2**16 - 2**7}
    spans = re.findall(r"(-?\d+)\.\.(-?\d+)", text)
    assert bool(spans) == bool(text)
    edges |= {int(edge) for span in spans for edge in span}
    for value in sorted({edge + step for edge in edges for step in (-1, 0, 1)}):
        if not low <= value <= high:
            continue
        named = not text or any(int(a) <= value <= int(b) for a, b in spans)
        try:
            spec.encode(np.array(value, source))
            taken = True
        except tfd.EncodeError:
            taken = False
        assert taken == named, (value, text)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_a_codec_refuses_is_outside_of_a_domain_that_it_names(case) -> None:
    named = [
        codec.domain(form)
        for chain in case.spec.chains
        for codec, form in zip(chain.codecs, chain.forms, strict=False)
    ]
    assert all(isinstance(text, str) for text in named)
    refused = [array for array, _ in case.refused if np.shape(array) == case.spec.shape]
    if refused and "bool" not in case.dtype:
        assert any(named)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_decoding_never_makes_more_bytes_than_a_codec_says(case) -> None:
    chain = case.spec.chains[-1]
    for array in case.arrays(2):
        for codec, value in chain.undo(chain.encode(array)):
            form = chain.forms[chain.codecs.index(codec)]
            size = len(value) if isinstance(value, bytes) else value.nbytes
            assert size <= codec.inflates(form)
